"""Calls that may never come back: a dead share blocks its own helper thread and nobody else."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from publisher_daemon.errors import FolderStalled

T = TypeVar("T")


class Patience:
    """Runs calls, one at a time, on a thread of its own; gives up waiting after some seconds.

    While one call is stuck every other one is refused at once, so that at most one thread a folder
    ever waits for a dead server. ``seconds=None`` calls directly.
    """

    def __init__(
        self, what: str, seconds: float | None, answered: Callable[[], None] = lambda: None
    ) -> None:
        """``answered`` is told of each call that came back."""
        self._answered = answered
        self._what = what
        self._seconds = seconds
        self._todo: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._stuck: threading.Event | None = None
        self._lock = threading.Lock()

    def call(self, function: Callable[[], T]) -> T:
        """What the function gives or raises; raises FolderStalled when it takes too long."""
        if self._seconds is None:
            found = function()
            self._answered()
            return found
        results: list[T] = []
        errors: list[BaseException] = []
        done = threading.Event()

        def work() -> None:
            try:
                results.append(function())
            except BaseException as error:  # noqa: BLE001 - carried over to the caller's thread
                errors.append(error)
            finally:
                done.set()

        with self._lock:
            if self._stuck is not None and not self._stuck.is_set():
                raise self._stalled()
            self._post(work)
            if not done.wait(self._seconds):
                self._stuck = done
                raise self._stalled()
        self._answered()
        if errors:
            raise errors[0]
        return results[0]

    def later(self, function: Callable[[], object]) -> None:
        """Run it when its turn comes, and do not wait."""
        if self._seconds is None:
            _quietly(function)
        else:
            self._post(lambda: _quietly(function))

    def _post(self, work: Callable[[], None]) -> None:
        self._todo.put(work)
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._serve, name=f"folder {self._what}", daemon=True
            )
            self._thread.start()

    def _serve(self) -> None:
        while True:
            self._todo.get()()

    def _stalled(self) -> FolderStalled:
        return FolderStalled(
            f"The file system of {self._what} has not answered for {self._seconds:g} s.",
            hint="Nothing is concluded from it; look at the server or the network of that share.",
        )


def _quietly(function: Callable[[], object]) -> None:
    """Close what was only read; what goes wrong there loses nothing, and nobody is left to tell."""
    with suppress(OSError):
        function()
