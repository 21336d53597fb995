"""Says whether a file goes up in one request or in parts, and why.

One request is the rule: udata takes three to four times longer to put parts together, and far
longer when they are above 8 MiB (uploading.md §4). Parts are for what one request cannot do:

| what is known | how the file goes |
|---|---|
| it is no larger than a part | one request |
| parts of these bytes are on the portal, young enough | the parts that are missing |
| a request of this size, or a smaller one, was refused (413) | parts, smaller than that |
| at the measured rate, or the set one, it would take longer than a set time | parts |
| a request for it was cut before | parts |
| none of these | one request |
"""

from __future__ import annotations

from typing import NamedTuple

from publisher_daemon.model import Fingerprint, Line, Parcel, Policy
from publisher_daemon.pacing import limit_at

MIB = 1024 * 1024
#: Below it the number of requests is what costs; above 8 MiB udata's own work explodes.
SMALLEST_PART = 2 * MIB
#: The portal drops parts a day after the last one came (portal-facts §7.13); some hours less.
KEPT = 20 * 3600.0
#: Times that parts are put together in vain before they are all sent again.
ASSEMBLIES = 3
#: A front that refused a size is tried again after so long: its limit may have been raised.
REFUSAL_AGE = 7 * 86400.0
#: A request is judged by its own rate once it has lasted this long, in seconds.
JUDGED_AFTER = 30.0


class Parts(NamedTuple):
    """The size of a part, and why there are any."""

    size: int
    why: str


def division(size: int, line: Line, policy: Policy, now: float) -> Parts | None:
    """How a file that nothing was tried of yet goes up; None: in one request."""
    refused = line.refused if now - line.refused_at < REFUSAL_AGE else None
    part = part_size(policy, refused)
    if part is None or size <= part:
        return None
    if refused is not None and size >= refused:
        return Parts(part, f"The portal refused a request of {mib(refused)} for its size.")
    limit = limit_at(now, policy)
    rate = min((one for one in (line.rate, limit) if one), default=None)
    if rate and size / rate > policy.longest_request:
        return Parts(part, too_slow(size, rate, policy))
    return None


def part_size(policy: Policy, refused: int | None) -> int | None:
    """The size of a part that the front takes, as far as is known; None when there is none."""
    fits = (size for size in (policy.part_size, SMALLEST_PART) if refused is None or size < refused)
    return next(fits, None)


def is_too_slow(size: int, sent: int, seconds: float, policy: Policy) -> bool:
    """Whether a request that goes on like this takes longer than it may."""
    return size * seconds > policy.longest_request * max(sent, 1)


def too_slow(size: int, rate: float, policy: Policy) -> str:
    """Why a file is too large for this line."""
    return (
        f"At {rate / MIB:.2g} MiB/s one request would take {size / rate / 60:.0f} minutes, longer "
        f"than {policy.longest_request / 60:.0f}."
    )


def goes_on(parcel: Parcel, fingerprint: Fingerprint, now: float) -> bool:
    """Whether the parts that are on the portal can still be used for these bytes."""
    return (
        parcel.fingerprint == fingerprint
        and 0 <= now - parcel.at < KEPT
        and parcel.failures < ASSEMBLIES
    )


def mib(size: int) -> str:
    """A size for people."""
    return f"{size / MIB:.3g} MiB"
