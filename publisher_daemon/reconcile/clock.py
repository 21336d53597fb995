"""What a clock that is set back does to instants kept in the ledger, and the cure.

An instant that was "now" when it was written cannot be later than now. If it is, the clock went
back (a dead battery, a first NTP answer), and every wait counted from it would last that much
longer: a day off would be a day without publications.
"""

from __future__ import annotations

from publisher_daemon.model import Record

#: A clock is steered by less than this all the time (NTP), in seconds.
STEERING = 2.0


def gone_back(record: Record, now: float) -> float:
    """Seconds by which the clock went back since the record was written; 0.0 when it did not."""
    instants = [
        instant
        for attempt in record.attempts
        for instant in (attempt.started_at, attempt.sent_at)
        if instant is not None
    ]
    instants += [standing.since for standing in record.standings.values()]
    instants += [entry.gone_since for entry in record.entries.values() if entry.gone_since]
    back = max(instants, default=now) - now
    return back if back > STEERING else 0.0
