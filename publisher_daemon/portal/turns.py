"""Keeps uploads of one name to one dataset more than a second apart.

udata's storage path is made of the name and the second (portal-facts §6.6): of two in one second,
the later fails. The second is the portal's, taken when its application first sees the request,
behind whatever buffers; only the end of the earlier upload is surely later than that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from publisher_daemon.model import DatasetId

#: one upload a second, and a little for the clocks
_APART = 1.05


class Turns:
    """When which name was last sent to which dataset; safe for several threads."""

    def __init__(self, monotonic: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._monotonic = monotonic
        self._sleep = sleep
        self._ended: dict[tuple[DatasetId, str], float] = {}
        self._lock = threading.Lock()

    @contextmanager
    def alone(self, dataset: DatasetId, name: str) -> Iterator[None]:
        """Wait until an upload of that name may begin; what is inside is that upload."""
        key = (dataset, name)
        with self._lock:
            now = self._monotonic()
            self._ended = {one: at for one, at in self._ended.items() if at + _APART > now}
            left = self._ended.get(key, now - _APART) + _APART - now
        if left > 0:
            self._sleep(left)
        try:
            yield
        finally:
            with self._lock:
                self._ended[key] = self._monotonic()
