"""Notices that the wall clock was set while the service runs: waits are counted by it."""

from __future__ import annotations

from collections.abc import Callable

#: Less than this is steering, not setting (seconds).
STEP = 5.0


class ClockSteps:
    """Compares the wall clock with one that nobody can set."""

    def __init__(self, clock: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self._clock, self._monotonic = clock, monotonic
        self._apart = clock() - monotonic()

    def seen(self) -> float:
        """Seconds by which the clock was set since the last call: 0.0 is not at all.

        A machine that slept counts as one whose clock was set: the other clock sleeps with it.
        """
        apart = self._clock() - self._monotonic()
        step, self._apart = apart - self._apart, apart
        return round(step, 1) if abs(step) >= STEP else 0.0
