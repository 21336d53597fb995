"""Says from when on a file may go out: not before its day, not in the quiet hours of its folder."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

_DAY = re.compile(
    r"(?P<year>\d{4})-?(?P<month>\d\d)-?(?P<day>\d\d)(?:[T _]?(?P<hour>\d\d)[:h]?(?P<minute>\d\d))?"
)
_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")


def instant(text: str, timezone: str) -> float | None:
    """The instant meant by "2026-12-01", "2026-12-01 08:00"…; None when none is."""
    found = _DAY.fullmatch(text.strip())
    if found is None:
        return None
    year, month, day, hour, minute = (int(value or 0) for value in found.groups())
    try:
        moment = datetime(year, month, day, hour, minute, tzinfo=ZoneInfo(timezone))
    except ValueError:
        return None
    return moment.timestamp()


def are_hours(text: str) -> bool:
    """Whether it is a stretch of the day, like "08:00-18:00" or "22:00-06:00"."""
    found = _HOURS.fullmatch(text)
    return found is not None and (found[3] != "24" or found[4] == "00")


def opens_at(now: float, quiet_hours: Sequence[str], timezone: str) -> float:
    """The first instant from now on that lies in no quiet hours; ``now`` when it is one."""
    zone, at = ZoneInfo(timezone), now
    for _ in range(2 * len(quiet_hours) + 1):
        ends = [end for hours in quiet_hours if (end := _end_of(at, hours, zone)) is not None]
        if not ends:
            return at
        at = max(ends)
    return at


def _end_of(at: float, hours: str, zone: ZoneInfo) -> float | None:
    """When the quiet hours end that this instant lies in; None when it lies in none."""
    begin, end = hours.split("-")
    day = datetime.fromtimestamp(at, zone).date()
    for first in (day - timedelta(days=1), day):
        start = datetime.combine(first, time.fromisoformat(begin), zone)
        last = first if end > begin else first + timedelta(days=1)
        if end == "24:00":
            stop = datetime.combine(last + timedelta(days=1), time(), zone)
        else:
            stop = datetime.combine(last, time.fromisoformat(end), zone)
        if start.timestamp() <= at < stop.timestamp():
            return stop.timestamp()
    return None
