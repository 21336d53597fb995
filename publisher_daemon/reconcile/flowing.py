"""What happens to a file's bytes on their way out: counted, kept to the limit, seen by who looks.

Nothing here decides what is sent, nor when a request ends: bytes are only given out later.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from publisher_daemon.model import ResourceKey
from publisher_daemon.pacing import block_size, pay
from publisher_daemon.reconcile.ports import Source

#: How long the limit is taken to be what it was, in seconds: hours begin and end.
_STILL = 1.0


class Throttle:
    """One limit for all uploads; each pays for a block before it goes, first come, first served."""

    def __init__(
        self,
        limit: Callable[[], float | None],
        monotonic: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self._limit = limit
        self._monotonic = monotonic
        self._sleep = sleep
        self._lock = threading.Lock()
        self._rate: float | None = None
        self._asked_at = float("-inf")
        self._paid_until = float("-inf")

    def rate(self) -> float | None:
        """Bytes a second that may go out now; None: no limit."""
        now = self._monotonic()
        if now - self._asked_at >= _STILL:
            self._rate, self._asked_at = self._limit(), now
        return self._rate

    def block(self, largest: int) -> int:
        """How many bytes to send at once."""
        rate = self.rate()
        return largest if rate is None else block_size(largest, rate)

    def wait(self, size: int) -> float:
        """Wait until so many bytes may go; returns the seconds waited."""
        rate = self.rate()
        if rate is None:
            return 0.0
        with self._lock:
            self._paid_until, wait = pay(self._paid_until, self._monotonic(), size, rate)
        if wait > 0:
            self._sleep(wait)
        return wait


@dataclass(slots=True)
class Transfer:
    """One file on its way; only the lane that sends it writes here, anybody may read."""

    key: ResourceKey
    size: int
    #: on the clock that only goes forward
    began: float
    #: how much of the file was sent, and how much of that before this transfer
    sent: int = 0
    skipped: int = 0

    def seconds_left(self, now: float) -> float | None:
        """How long it still takes at its rate so far; None when that says nothing yet."""
        done, spent = self.sent - self.skipped, now - self.began
        return (self.size - self.sent) * spent / done if done > 0 and spent >= 1 else None

    def rate(self, now: float) -> float:
        """Bytes a second, since it began."""
        return (self.sent - self.skipped) / max(now - self.began, 0.001)


class Transfers:
    """The files that are on their way now."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: list[Transfer] = []

    def now(self) -> tuple[Transfer, ...]:
        """Those under way, the longest first."""
        with self._lock:
            return tuple(self._all)

    @contextmanager
    def under_way(self, key: ResourceKey, size: int, began: float) -> Iterator[Transfer]:
        """Show a file as under way."""
        transfer = Transfer(key, size, began)
        with self._lock:
            self._all.append(transfer)
        try:
            yield transfer
        finally:
            with self._lock:
                # by identity: two may look the same
                self._all = [one for one in self._all if one is not transfer]


class Flow:
    """A source whose bytes go out: within the limit, and counted."""

    def __init__(
        self,
        source: Source,
        throttle: Throttle,
        transfer: Transfer,
        monotonic: Callable[[], float],
        judge: Callable[[int, float], None] = lambda _taken, _seconds: None,
    ) -> None:
        """``judge`` is told before each block what was given out, and in how many seconds."""
        self._source = source
        self._throttle = throttle
        self._transfer = transfer
        self._monotonic = monotonic
        self._judge = judge
        self._began = monotonic()
        #: bytes given out, and seconds in which the limit held them back, since it began
        self.taken = 0
        self.held_back = 0.0

    @property
    def size(self) -> int:
        """Bytes."""
        return self._source.size

    def start_again(self) -> None:
        """Count from now on."""
        self._began, self.taken, self.held_back = self._monotonic(), 0, 0.0

    def seconds_of_line(self) -> float:
        """What the line took for what was given out: the limit's own waiting left out."""
        return self._monotonic() - self._began - self.held_back

    def blocks(
        self, size: int = 256 * 1024, start: int = 0, stop: int | None = None
    ) -> Iterator[memoryview]:
        """The bytes, as fast as they may go."""
        self.start_again()
        self._transfer.sent = start
        for block in self._source.blocks(self._throttle.block(size), start, stop):
            self._judge(self.taken, self._monotonic() - self._began)
            self.held_back += self._throttle.wait(len(block))
            yield block
            self.taken += len(block)
            self._transfer.sent += len(block)

    def read_at(self, offset: int, size: int) -> bytes:
        """The bytes from there, as many as there are up to ``size``; they do not go out."""
        return self._source.read_at(offset, size)

    def check(self) -> None:
        """Raise SourceChanged if the file moved."""
        self._source.check()
