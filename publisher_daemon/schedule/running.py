"""Turns clock times into wakes (APScheduler, memory job store).

Cron lines are read by ``cron``, as cron(5) means them: APScheduler's own parser numbers the days
differently.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from publisher_daemon.model import DatasetId, Reason
from publisher_daemon.schedule import SPREAD, moment, next_cron
from publisher_daemon.schedule._apscheduler import (
    BackgroundScheduler,
    BaseTrigger,
    IntervalTrigger,
)


class _Cron(BaseTrigger):  # type: ignore[misc]  # APScheduler is untyped
    """A cron line as APScheduler wants its triggers, so many seconds later."""

    def __init__(self, line: str, timezone: str, later: float) -> None:
        self._line, self._timezone, self._later = line, timezone, later

    def get_next_fire_time(
        self, previous_fire_time: datetime | None, now: datetime
    ) -> datetime | None:
        after = max(previous_fire_time, now) if previous_fire_time else now
        at = next_cron(self._line, after.timestamp() - self._later, self._timezone)
        return datetime.fromtimestamp(at + self._later, UTC)


class Schedule:
    """Wakes datasets at their times; a run missed while this ran (a suspended machine) runs once.

    ``jitter`` is the share by which an interval varies; ``spread`` the seconds over which the
    datasets of one cron line are spread, each always at the same moment.
    """

    def __init__(
        self,
        *,
        timezone: str,
        jitter: float,
        spread: float = SPREAD,
        wake: Callable[[DatasetId, Reason], None],
        clock: Callable[[], float],
    ) -> None:
        self._timezone = timezone
        self._jitter = jitter
        self._spread = spread
        self._wake = wake
        self._clock = clock
        self._crons: dict[DatasetId, tuple[str, str]] = {}
        self._intervals: dict[tuple[DatasetId, Reason], float] = {}
        self._scheduler = BackgroundScheduler(
            timezone=UTC, job_defaults={"coalesce": True, "misfire_grace_time": None}
        )

    def add_cron(self, dataset: DatasetId, line: str, timezone: str | None = None) -> None:
        """Refresh this dataset when the cron line says; raises ConfigInvalid."""
        zone = timezone or self._timezone
        next_cron(line, self._clock(), zone)
        self._crons[dataset] = line, zone
        self._scheduler.add_job(
            self._wake,
            _Cron(line, zone, moment(dataset, self._spread)),
            (dataset, Reason.REFRESH),
            id=f"{Reason.REFRESH}:{dataset}",
            replace_existing=True,
        )

    def add_every(self, dataset: DatasetId, seconds: float, reason: Reason) -> None:
        """Wake this dataset every so many seconds, spread so that they do not all come at once."""
        self._intervals[dataset, reason] = seconds
        first = datetime.fromtimestamp(self._clock(), UTC) + timedelta(
            seconds=seconds * random.uniform(1 - self._jitter, 1 + self._jitter)  # noqa: S311 - spreading load, not a secret
        )
        self._scheduler.add_job(
            self._wake,
            IntervalTrigger(seconds=seconds, start_date=first, jitter=seconds * self._jitter),
            (dataset, reason),
            id=f"{reason}:{dataset}",
            replace_existing=True,
        )

    def again(self) -> None:
        """Count every wait from now on: the clock was set, and APScheduler's instants are off."""
        for dataset, (line, zone) in self._crons.items():
            self.add_cron(dataset, line, zone)
        for (dataset, reason), seconds in self._intervals.items():
            self.add_every(dataset, seconds, reason)

    def start(self) -> None:
        """Start the scheduler's thread."""
        self._scheduler.start()

    def stop(self) -> None:
        """Stop it; what it woke goes on."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def next(self, dataset: DatasetId) -> float | None:
        """When this dataset is refreshed next; None when it has no schedule."""
        job = self._scheduler.get_job(f"{Reason.REFRESH}:{dataset}")
        at = getattr(job, "next_run_time", None)
        return at.timestamp() if at else None

    def missed(self, last: Mapping[DatasetId, float | None], now: float) -> list[DatasetId]:
        """The datasets whose refresh came while the machine was off: each is due once, now."""
        due = []
        for dataset, (line, zone) in self._crons.items():
            at = last.get(dataset)
            later = moment(dataset, self._spread)
            if at is None or next_cron(line, at - later, zone) + later <= now:
                due.append(dataset)
        for (dataset, reason), seconds in self._intervals.items():
            at = last.get(dataset)
            if reason is Reason.REFRESH and (at is None or at + seconds <= now):
                due.append(dataset)
        return due
