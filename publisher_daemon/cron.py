"""Reads cron lines as cron(5) means them: five fields, or a name like @daily.

Sunday is 0 or 7; day of month *or* day of week where both are said. cronsim reads the fields; it
would take a sixth one for seconds, which no cron(5) does, so that one is refused here.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

_NAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
#: cronsim's word for a field, and what may stand there
_FIELDS = {
    "minute": "0 to 59",
    "hour": "0 to 23",
    "day-of-month": "1 to 31 (no day that its months do not have), or L for the last one",
    "month": "1 to 12, or JAN to DEC",
    "day-of-week": "0 to 7 (Sunday is 0 or 7), or SUN to SAT",
}
_RIGHT = "Write five fields, minute hour day month weekday: “0 6 * * 1” is Mondays at six o'clock"


class CronError(ValueError):
    """The line means no time; the message goes on after the line itself: “is not…”."""


def check(line: str) -> None:
    """Raise CronError, naming the field that is wrong and what would be right."""
    next_time(line, 0.0, "UTC")


def next_time(line: str, after: float, timezone: str) -> float:
    """The first instant after ``after`` (UTC seconds) that the line names; raises CronError."""
    start = datetime.fromtimestamp(after, UTC).astimezone(ZoneInfo(timezone))
    try:
        return next(CronSim(_five_fields(line), start)).timestamp()
    except StopIteration as never:
        raise CronError(f"is a time that never comes. {_RIGHT}") from never
    except CronSimError as error:
        raise CronError(_why(line, str(error))) from error


def _five_fields(line: str) -> str:
    text = line.strip()
    if text.startswith("@"):
        if text.lower() not in _NAMES:
            raise CronError(f"is no name of a time. Known ones: {', '.join(_NAMES)}; or: {_RIGHT}")
        return _NAMES[text.lower()]
    count = len(text.split())
    if count != 5:
        raise CronError(f"has {count} fields, where a cron line has five. {_RIGHT}")
    return text


def _why(line: str, told: str) -> str:
    """Cronsim's complaint with the field as it was written, and what may stand there."""
    found = re.fullmatch(r"Bad (\S+)", told)
    if found is None or found[1] not in _FIELDS:
        return f"is not a cron line ({told}). {_RIGHT}"
    name = found[1]
    written = line.split()[list(_FIELDS).index(name)]
    return (
        f"is not a cron line: its {name} cannot be “{written}”. Write {_FIELDS[name]}, or “*”, a "
        "range like 1-5, a list like 1,3 or a step like */2"
    )
