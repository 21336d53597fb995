"""How fast bytes may go out, and what is too long a work for every worker; knows no clock.

One limit for all uploads, however many there are: each pays for its block before it goes, in the
order in which they ask, so that those that are under way get equal shares and a small file waits
for one block of each of them, not for their ends.
"""

from __future__ import annotations

from publisher_daemon.model import Line, Policy
from publisher_daemon.windows import within

#: Work that takes longer, in seconds, is only begun where a worker stays free for short work.
LONG = 30.0
#: What a file takes besides its bytes, in seconds: a small one, its words and a look at its link.
_EACH = 0.1
#: The rate of a line of which nothing is known yet, in bytes a second.
_UNKNOWN = 10 * 2**20
#: A block is to go out so often, in seconds, and is never smaller than this, in bytes.
_STRIDE, _SMALLEST = 0.1, 4096


def limit_at(now: float, policy: Policy) -> float | None:
    """Bytes a second that may go out at that instant; None: as many as the line takes."""
    hours = policy.max_upload_hours
    if policy.max_upload is None or (hours and not within(now, hours, policy.timezone)):
        return None
    return policy.max_upload


def pay(paid_until: float, now: float, size: int, rate: float) -> tuple[float, float]:
    """Until when all is paid for once this block has gone, and how long it waits before.

    A line that was idle has no credit: a pause never makes a burst.
    """
    begin = max(paid_until, now)
    return begin + size / rate, begin - now


def block_size(largest: int, rate: float) -> int:
    """How many bytes go at once, so that they flow rather than come in bursts."""
    return max(_SMALLEST, min(largest, int(rate * _STRIDE)))


def takes(size: int, line: Line, limit: float | None) -> float:
    """About how long publishing a file takes, in seconds."""
    rate = line.rate or _UNKNOWN
    return _EACH + size / (rate if limit is None else min(rate, limit))
