"""Reads “daily by 08:00”: when a file is expected, and whether that time has passed.

Words and not a cron line, because whoever promises the file says it so; the other way round is easy
to get wrong, and a wrong line here is an alarm that never rings.
"""

from __future__ import annotations

import re

from publisher_daemon import cron

_DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_FORM = re.compile(
    r"(?:(daily|weekdays)|weekly(?P<weekly>)|monthly(?P<monthly>)) by "
    r"(?:(?P<day>[a-z]+|\d{1,2}) )?(?P<hour>[01]?\d|2[0-3]):(?P<minute>[0-5]\d)"
)
#: How far back the two last times surely are, in seconds.
_SPANS = {"daily": 4 * 86400.0, "weekdays": 6 * 86400.0, "weekly": 15 * 86400.0}
_MONTHS = 64 * 86400.0


class ExpectError(ValueError):
    """The text means no time; the message goes on after the text itself: “is not…”."""


def cron_line(text: str) -> str:
    """The cron line that means the same; raises ExpectError."""
    found = _FORM.fullmatch(text.strip().lower())
    if found is not None:
        at, day = f"{int(found['minute'])} {int(found['hour'])}", found["day"]
        if found[1] and day is None:
            return f"{at} * * {'1-5' if found[1] == 'weekdays' else '*'}"
        if found["weekly"] is not None and day in _DAYS:
            return f"{at} * * {_DAYS.index(day)}"
        if found["monthly"] is not None and day == "last":
            return f"{at} L * *"
        if found["monthly"] is not None and day and day.isdigit() and 1 <= int(day) <= 28:
            return f"{at} {int(day)} * *"
    raise ExpectError(
        'is no time at which a file is expected. Write "daily by 08:00", "weekdays by 08:00", '
        '"weekly by monday 08:00", "monthly by 5 08:00" (1 to 28) or "monthly by last 18:00"'
    )


def last_times(text: str, now: float, timezone: str) -> tuple[float, float]:
    """The two last times until ``now``: what came between them came in time."""
    line = cron_line(text)
    times = [now - _SPANS.get(text.split(maxsplit=1)[0].lower(), _MONTHS)]
    while (following := cron.next_time(line, times[-1], timezone)) <= now:
        times.append(following)
    return times[-2], times[-1]
