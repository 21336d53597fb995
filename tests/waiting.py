"""Waits on a condition with a deadline, so that no test sleeps and hopes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_LOOK_EVERY = 0.02
#: a look that starts a program is not repeated without a pause: others need the processor
_PAUSE = 0.5


def wait_until(predicate: Callable[[], T], timeout: float, what: str) -> T:
    """Return the first true value of ``predicate``; fail with ``what`` when time is over."""
    deadline = time.monotonic() + timeout
    while True:
        began = time.monotonic()
        value = predicate()
        if value:
            return value
        ended = time.monotonic()
        if ended >= deadline:
            raise AssertionError(f"not within {timeout:g} s: {what} (last seen: {value!r})")
        time.sleep(max(_LOOK_EVERY, _PAUSE * (ended - began)))
