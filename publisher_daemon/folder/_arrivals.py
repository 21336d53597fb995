"""Remembers which files arrived whole (renamed, moved in), until they change or it is long ago."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from publisher_daemon.model import Stamp

#: Seconds a report is remembered.
ARRIVED_FOR = 60.0


class Arrivals:
    """What was told, by path; safe to use from several threads."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._told: dict[str, tuple[float, Stamp | None]] = {}
        self._lock = threading.Lock()

    def add(self, paths: Iterable[str]) -> None:
        """Remember that these arrived whole."""
        now = self._clock()
        with self._lock:
            self._told = {
                path: told for path, told in self._told.items() if now - told[0] < ARRIVED_FOR
            }
            self._told.update(dict.fromkeys(paths, (now, None)))

    def has(self, path: str, stamp: Stamp) -> bool:
        """Whether it arrived whole, and has not changed since it was first seen after that."""
        if not self._told:
            return False
        with self._lock:
            told = self._told.get(path)
            if told is None:
                return False
            at, known = told
            if self._clock() - at >= ARRIVED_FOR or known not in {None, stamp}:
                del self._told[path]
                return False
            self._told[path] = (at, stamp)
            return True
