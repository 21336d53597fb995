"""Goes round all folders: hands on what was heard, and sees that each one is really watched."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence

from publisher_daemon.model import DatasetId, Watch
from publisher_daemon.watcher.posts import Post, WatchHealth

#: Called with the dataset, the folder's name, the paths (None: look at everything) and which of
#: them arrived whole. Must not block for long, and must not raise.
Wake = Callable[[DatasetId, str, frozenset[str] | None, frozenset[str]], None]

#: Events are gathered this long before they are handed on: a program that writes makes several.
GATHER = 0.05
#: Each watch is tended this often.
TICK = 2.0


class Watcher:
    """Watches every folder; each event, loss or poll ends in a ``wake``."""

    def __init__(
        self,
        watches: Sequence[Watch],
        wake: Wake,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
        tick: float = TICK,
    ) -> None:
        self._wake = wake
        self._tick = tick
        self._stop = threading.Event()
        self._heard = threading.Event()
        self._hurry = threading.Event()
        self._posts = [
            Post(
                watch,
                clock=clock,
                monotonic=monotonic,
                jitter=jitter,
                heard=self._heard.set,
                hurry=self._hurry.set,
            )
            for watch in watches
        ]
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Watch; when this returns, whatever changes is heard or found by the wake it caused."""
        for post in self._posts:
            post.start()
        for name, work in (("watcher", self._hand_on), ("watcher-rounds", self._tend)):
            thread = threading.Thread(target=work, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Stop watching; safe to call twice."""
        self._stop.set()
        self._heard.set()
        self._hurry.set()
        for thread in self._threads:
            thread.join(10.0)
        self._threads.clear()
        for post in self._posts:
            post.close()

    def health(self) -> tuple[WatchHealth, ...]:
        """How each folder is watched, in the order they were given."""
        return tuple(post.health() for post in self._posts)

    def is_alive(self) -> bool:
        """Whether both threads run; when one does not, the process should end."""
        return bool(self._threads) and all(thread.is_alive() for thread in self._threads)

    def check(self) -> None:
        """Tend every watch now; the watcher does so by itself all the time."""
        self._hurry.set()

    def _hand_on(self) -> None:
        while not self._stop.is_set():
            self._heard.wait()
            self._stop.wait(GATHER)
            self._heard.clear()
            for post in self._posts:
                taken = post.take()
                if taken is not None and not self._stop.is_set():
                    self._wake(post.watch.dataset, post.watch.name, *taken)

    def _tend(self) -> None:
        while not self._stop.is_set():
            self._hurry.wait(self._tick)
            self._hurry.clear()
            for post in self._posts:
                if not self._stop.is_set():
                    post.tend()
