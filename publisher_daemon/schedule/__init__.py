"""Says when a dataset is due; ``running`` wakes it then.

Two hundred datasets with the same cron line come one after the other, each at its own moment of the
same minute. Who only asks when, as ``status`` does, need not load what runs the schedules.
"""

from __future__ import annotations

import zlib

from publisher_daemon import cron
from publisher_daemon.errors import ConfigInvalid
from publisher_daemon.model import DatasetId


def next_cron(line: str, after: float, timezone: str) -> float:
    """The first instant after ``after`` (UTC seconds) that the cron line names in that timezone."""
    try:
        return cron.next_time(line, after, timezone)
    except cron.CronError as error:
        raise ConfigInvalid(f"“{line}” {error}.") from error


#: the datasets of one cron line come one after the other within so many seconds
SPREAD = 60.0


def moment(dataset: DatasetId, spread: float = SPREAD) -> float:
    """The moment of this dataset after the one its line names; the same at each start."""
    return zlib.crc32(dataset.encode("utf-8", "replace")) / 2**32 * spread


def next_refresh(dataset: DatasetId, line: str, after: float, timezone: str) -> float:
    """When the line's next time after ``after`` comes for this dataset, its moment included."""
    later = moment(dataset)
    return next_cron(line, after - later, timezone) + later
