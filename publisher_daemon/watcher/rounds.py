"""Sees that each folder is really watched, and hands on what was heard.

Each folder is tended by an errand of its own: a call into a dead share may never come back, and
then only that folder waits.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from publisher_daemon.model import DatasetId, Watch
from publisher_daemon.mounts import MountTable
from publisher_daemon.watcher.listening import Errands, Listener
from publisher_daemon.watcher.posts import Post, WatchHealth

#: Called with the dataset, the folder's name, the paths (None: look at everything) and which of
#: them arrived whole. Must not block for long, and must not raise.
Wake = Callable[[DatasetId, str, frozenset[str] | None, frozenset[str]], None]

#: Events are gathered this long before they are handed on: a program that writes makes several.
GATHER = 0.005
#: Each watch is looked at this often, and tended if it does not seem well.
TICK = 2.0
#: Of more watches than this, each round looks at a part.
AT_ONCE = 25
#: Every so many rounds the kernel's queues are looked at too.
THOROUGHLY = 5
#: A watch makes a sign of life this often, and all of them together one in so many seconds.
SIGN_EVERY, SIGN_APART = 60.0, 3.0
#: How long the start waits for every watch to stand; what comes up later wakes its dataset itself.
START_WITHIN = 30.0


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
        signs: Path | None = None,
    ) -> None:
        """``signs`` is a local directory for the signs of life, which this service alone uses."""
        self._wake = wake
        self._tick = tick
        self._stop = threading.Event()
        self._heard = threading.Event()
        # before the watches ask where they lie: what is mounted after that is told
        self._mounts = MountTable()
        self._died = self._over = False
        self._errands = Errands("watcher-errand", self._one_died)
        self._listener = Listener(self._errands)
        self._posts = [
            Post(
                watch,
                clock=clock,
                monotonic=monotonic,
                jitter=jitter,
                heard=self._heard.set,
                errands=self._errands,
                listener=self._listener,
                sign_every=max(SIGN_EVERY, SIGN_APART * len(watches)),
                signs=signs,
            )
            for watch in watches
        ]
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Watch; from the wake of a folder on, whatever changes in it is heard or found by it.

        The folders that are watched by now are woken before this returns: whoever then looks at
        everything looks once.
        """
        self._begin("watcher-listens", self._listener.listen)
        for post in self._posts:
            post.hurry()
        self._begin("watcher-rounds", self._go_round)
        deadline = time.monotonic() + START_WITHIN
        for post in self._posts:
            post.stands.wait(max(0.0, deadline - time.monotonic()))
        self._wake_all()
        self._begin("watcher", self._hand_on)

    def stop(self) -> None:
        """Stop watching; safe to call twice. What a dead share holds up is left behind."""
        self._stop.set()
        self._heard.set()
        if self._over:
            return
        self._over = True
        for post in self._posts:
            post.end()
        deadline = time.monotonic() + 10.0
        for post in self._posts:
            post.gone.wait(max(0.0, deadline - time.monotonic()))
        self._listener.close()
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._errands.close(deadline)
        self._threads.clear()
        self._listener.forget()
        self._mounts.close()

    def health(self) -> tuple[WatchHealth, ...]:
        """How each folder is watched, in the order they were given."""
        return tuple(post.health() for post in self._posts)

    def is_alive(self) -> bool:
        """Whether all threads run; when one does not, the process should end."""
        return bool(self._threads) and not self._died

    def check(self) -> None:
        """Tend every watch now; the watcher does so by itself all the time."""
        for post in self._posts:
            post.look_again()

    def _one_died(self) -> None:
        self._died = self._died or not self._stop.is_set()

    def _begin(self, name: str, work: Callable[[], None]) -> None:
        def until_stopped() -> None:
            try:
                work()
            finally:
                self._one_died()

        thread = threading.Thread(target=until_stopped, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _go_round(self) -> None:
        """Have those tended that need it: a hundred that do not cost less than one that wakes."""
        number, groups = 0, max(1, -(-len(self._posts) // AT_ONCE))
        while not self._stop.wait(self._tick):
            number += 1
            if self._mounts.changed():
                self._after_mount()
                continue
            thoroughly = number // groups % THOROUGHLY == 0
            for post in self._posts[number % groups :: groups]:
                if not post.is_steady(thoroughly=thoroughly):
                    post.hurry()

    def _after_mount(self) -> None:
        """Have those tended that lie elsewhere now: a disk or a container of others is no reason.

        The one at the same place may be another: asked first where it is, then what is there.
        """
        for post in self._posts:
            post.notice_unmounts()
            if post.has_moved():
                post.look_again()
            elif not post.is_steady(thoroughly=False):
                post.hurry()

    def _hand_on(self) -> None:
        while not self._stop.is_set():
            self._heard.wait()
            self._stop.wait(GATHER)
            self._heard.clear()
            self._wake_all()

    def _wake_all(self) -> None:
        for post in self._posts:
            taken = post.take()
            if taken is not None and not self._stop.is_set():
                self._wake(post.watch.dataset, post.watch.name, *taken)
