"""Turns clock times into wakes (APScheduler, memory job store).

Cron lines mean what cron(5) says (Sunday is 0 or 7; day of month *or* day of week): cronsim reads
them, since APScheduler's own parser numbers the days differently.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.interval import IntervalTrigger
from cronsim import CronSim, CronSimError

from publisher_daemon.errors import ConfigInvalid
from publisher_daemon.model import DatasetId, Reason


def next_cron(line: str, after: float, timezone: str) -> float:
    """The first instant after ``after`` (UTC seconds) that the cron line names, in that timezone."""
    zone = ZoneInfo(timezone)
    try:
        found = next(CronSim(line, datetime.fromtimestamp(after, zone)))
    except (CronSimError, StopIteration) as error:
        raise ConfigInvalid(
            f"“{line}” is no schedule that ever comes.",
            hint='Write five fields as in cron: "0 6 * * 1" is Mondays at 6.',
        ) from error
    return found.timestamp()


class _Cron(BaseTrigger):  # type: ignore[misc]  # APScheduler is untyped
    """A cron line as APScheduler wants its triggers."""

    def __init__(self, line: str, timezone: str) -> None:
        self._line, self._timezone = line, timezone

    def get_next_fire_time(
        self, previous_fire_time: datetime | None, now: datetime
    ) -> datetime | None:
        after = max(previous_fire_time, now) if previous_fire_time else now
        return datetime.fromtimestamp(next_cron(self._line, after.timestamp(), self._timezone), UTC)


class Schedule:
    """Wakes datasets at their times; a run missed while this ran (a suspended machine) runs once."""

    def __init__(
        self,
        *,
        timezone: str,
        jitter: float,
        wake: Callable[[DatasetId, Reason], None],
        clock: Callable[[], float],
    ) -> None:
        self._timezone = timezone
        self._jitter = jitter
        self._wake = wake
        self._clock = clock
        self._crons: dict[DatasetId, str] = {}
        self._everys: dict[DatasetId, float] = {}
        self._scheduler = BackgroundScheduler(
            timezone=UTC, job_defaults={"coalesce": True, "misfire_grace_time": None}
        )

    def add_cron(self, dataset: DatasetId, line: str) -> None:
        """Refresh this dataset when the cron line says; raises ConfigInvalid."""
        next_cron(line, self._clock(), self._timezone)
        self._crons[dataset] = line
        self._scheduler.add_job(
            self._wake,
            _Cron(line, self._timezone),
            (dataset, Reason.REFRESH),
            id=f"{Reason.REFRESH}:{dataset}",
            replace_existing=True,
        )

    def add_every(self, dataset: DatasetId, seconds: float, reason: Reason) -> None:
        """Wake this dataset every so many seconds, spread so that they do not all come at once."""
        if reason is Reason.REFRESH:
            self._everys[dataset] = seconds
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
        for dataset, line in self._crons.items():
            at = last.get(dataset)
            if at is None or next_cron(line, at, self._timezone) <= now:
                due.append(dataset)
        for dataset, seconds in self._everys.items():
            at = last.get(dataset)
            if at is None or at + seconds <= now:
                due.append(dataset)
        return due
