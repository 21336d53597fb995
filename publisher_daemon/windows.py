"""Says from when on a file may go out: not before its day, not in the quiet hours of its folder."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

_DAY = re.compile(
    r"(?P<year>\d{4})-?(?P<month>\d\d)-?(?P<day>\d\d)"
    r"(?:[T _]?(?P<hour>\d\d|(?<=[T _])\d(?=[:h]))[:h]?(?P<minute>\d\d)(?::?(?P<second>\d\d))?"
    r" ?(?P<zone>Z|[+-]\d\d(?::?\d\d)?)?)?"
)
_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")


def instant(text: str, timezone: str) -> float | None:
    """The instant meant by "2026-12-01", "2026-12-01 08:00"…; None when none is.

    In that time zone, unless the text says another.
    """
    found = _DAY.fullmatch(text.strip())
    if found is None:
        return None
    *numbers, zone = found.groups()
    year, month, day, hour, minute, second = (int(value or 0) for value in numbers)
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=ZoneInfo(timezone))
        if zone is not None:
            moment = datetime.fromisoformat(f"{moment:%Y-%m-%dT%H:%M:%S}{zone}")
    except ValueError:
        return None
    return moment.timestamp()


def day_of(now: float, timezone: str) -> str:
    """The day that it is there, like 2026-12-01."""
    return datetime.fromtimestamp(now, ZoneInfo(timezone)).date().isoformat()


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


def within(now: float, hours: Sequence[str], timezone: str) -> bool:
    """Whether the instant lies in one of these stretches of the day."""
    zone = ZoneInfo(timezone)
    return any(_end_of(now, each, zone) is not None for each in hours)


def begins_at(now: float, hours: Sequence[str], timezone: str) -> float:
    """The first instant from now on that lies in one of these; ``now`` when it does, or of none."""
    zone = ZoneInfo(timezone)
    to_come = [
        max(start, now)
        for each in hours
        for start, stop in _stretches(now, each, zone)
        if stop > now
    ]
    return min(to_come, default=now)


def _end_of(at: float, hours: str, zone: ZoneInfo) -> float | None:
    """When the hours end that this instant lies in; None when it lies in none."""
    return next((stop for start, stop in _stretches(at, hours, zone) if start <= at < stop), None)


def _stretches(at: float, hours: str, zone: ZoneInfo) -> Iterator[tuple[float, float]]:
    """The stretches of the day before, of the day itself and of the day after."""
    begin, end = hours.split("-")
    day = datetime.fromtimestamp(at, zone).date()
    for first in (day - timedelta(days=1), day, day + timedelta(days=1)):
        start = datetime.combine(first, time.fromisoformat(begin), zone)
        last = first if end > begin else first + timedelta(days=1)
        if end == "24:00":
            stop = datetime.combine(last + timedelta(days=1), time(), zone)
        else:
            stop = datetime.combine(last, time.fromisoformat(end), zone)
        yield start.timestamp(), stop.timestamp()
