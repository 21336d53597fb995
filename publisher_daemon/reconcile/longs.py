"""Keeps a worker free for short work: not all of them may be at something long at once.

A worker serves one dataset at a time, and a file of 20 GiB takes hours. So a pass that has more to
do than short work needs one of a few places, one less than there are workers; without one it does
what is short, and the rest waits for its turn. A single worker cannot be two: its long work gives
its turn to a second thread, which serves the others meanwhile, one at a time as before.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from publisher_daemon.model import DatasetId


class LongPlaces:
    """The places for long work; a dataset that has one keeps it until its pass ends."""

    def __init__(self, workers: int) -> None:
        #: how many threads must ask for turns
        self.threads = max(2, workers)
        self._places = max(1, workers - 1)
        self._alone = workers == 1
        self._turns = threading.Semaphore(workers)
        self._lock = threading.Lock()
        self._taken: set[DatasetId] = set()
        #: the threads whose turn somebody else has now
        self._gave: set[int] = set()

    @contextmanager
    def turn(self, within: float) -> Iterator[bool]:
        """Make at most one pass inside; False when there is no turn within so many seconds."""
        if not self._turns.acquire(timeout=within):
            yield False
            return
        try:
            yield True
        finally:
            with self._lock:
                gave = threading.get_ident() in self._gave
                self._gave.discard(threading.get_ident())
            if not gave:
                self._turns.release()

    def enter(self, dataset: DatasetId) -> bool:
        """Take a place, or keep the one that it has; False when all are taken."""
        with self._lock:
            if len(self._taken - {dataset}) >= self._places:
                return False
            self._taken.add(dataset)
            if self._alone and threading.get_ident() not in self._gave:
                self._gave.add(threading.get_ident())
                self._turns.release()
            return True

    def leave(self, dataset: DatasetId) -> None:
        """Give it back, if it has one."""
        with self._lock:
            self._taken.discard(dataset)
