"""Says when a failed action may be tried again, if ever.

| kind | first wait | ceiling | gives up |
|---|---|---|---|
| unreachable | 2 s | 60 s, so that work resumes within a minute of the portal's return | never |
| busy | what the portal asks (an hour at most), or 5 s | 5 min, or what the portal asks | never |
| read_only | 45 s, then a twentieth more each time | 10 min, after some three hours | never |
| unknown_outcome | 5 s | 60 s | never |
| server_error | 3 s | 10 min; after 10 failures 6 h | never |
| refused, not_there | | | at once: until the file or the settings change |
| credential | 5 min | 5 min | never |
| source_changed | 1 s | 60 s | never |
| file_unreadable | 5 s | 60 s | never |
| page_refused | 1 h, for a person may have mended it at the portal | 24 h | never |

``Retry-After`` is honoured up to an hour: a portal that says 31 years is asked again long before,
by one request, since nobody would be there to undo such an answer.

A portal that takes no files may be so for five minutes or for days: how long it has been says how
soon it is worth asking again (within a minute at first, later after a twentieth of that time).

Any other wait doubles with each failure, and jitter takes up to a quarter off it, so that a
thousand files that failed together do not come back together.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

#: A portal that answers 500 this often in a row has something that waiting minutes does not cure.
STUBBORN = 10
STUBBORN_WAIT = 6 * 3600.0
#: The longest wait a portal may ask for, in seconds.
LONGEST_ASKED = 3600.0
#: What jitter may take off a wait.
JITTER = 0.25


class Kind(StrEnum):
    """What went wrong, by how long to wait."""

    UNREACHABLE = "unreachable"
    BUSY = "busy"
    READ_ONLY = "read_only"
    UNKNOWN_OUTCOME = "unknown_outcome"
    SERVER_ERROR = "server_error"
    REFUSED = "refused"
    NOT_THERE = "not_there"
    CREDENTIAL = "credential"
    SOURCE_CHANGED = "source_changed"
    FILE_UNREADABLE = "file_unreadable"
    PAGE_REFUSED = "page_refused"


class _Pace(NamedTuple):
    first: float
    ceiling: float
    growth: float = 2.0


_PACES = {
    Kind.UNREACHABLE: _Pace(2.0, 60.0),
    Kind.BUSY: _Pace(5.0, 300.0),
    Kind.READ_ONLY: _Pace(45.0, 600.0, 1.05),
    Kind.UNKNOWN_OUTCOME: _Pace(5.0, 60.0),
    Kind.SERVER_ERROR: _Pace(3.0, 600.0),
    Kind.CREDENTIAL: _Pace(300.0, 300.0),
    Kind.SOURCE_CHANGED: _Pace(1.0, 60.0),
    Kind.FILE_UNREADABLE: _Pace(5.0, 60.0),
    Kind.PAGE_REFUSED: _Pace(3600.0, 86400.0),
}


def next_try(
    failures: int, kind: Kind, now: float, jitter: float, *, retry_after: float | None = None
) -> float | None:
    """The instant of the next try after ``failures`` (1 or more) in a row; None: never by itself.

    ``jitter`` is in [0, 1); ``retry_after`` (seconds) is what the portal asked, and is honoured
    up to ``LONGEST_ASKED``.
    """
    pace = _PACES.get(kind)
    if pace is None:
        return None
    if kind is Kind.SERVER_ERROR and failures > STUBBORN:
        wait = STUBBORN_WAIT
    else:
        wait = min(pace.ceiling, pace.first * pace.growth ** min(max(failures, 1) - 1, 60))
    wait *= 1.0 - JITTER * jitter
    return now + max(wait, min(retry_after or 0.0, LONGEST_ASKED))
