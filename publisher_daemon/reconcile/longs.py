"""Keeps a worker free for short work: not all of them may be at something long at once.

A worker serves one dataset at a time, and a file of 20 GiB takes hours. So a pass that has more to
do than short work needs one of a few places, one less than there are workers; without one it does
what is short, and the rest waits for its turn.
"""

from __future__ import annotations

import threading

from publisher_daemon.model import DatasetId


class LongPlaces:
    """The places for long work; a dataset that has one keeps it until its pass ends."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._lock = threading.Lock()
        self._taken: set[DatasetId] = set()

    def enter(self, dataset: DatasetId) -> bool:
        """Take a place, or keep the one that it has; False when all are taken."""
        with self._lock:
            if len(self._taken - {dataset}) >= self._places:
                return False
            self._taken.add(dataset)
            return True

    def leave(self, dataset: DatasetId) -> None:
        """Give it back, if it has one."""
        with self._lock:
            self._taken.discard(dataset)
