"""Asks the portal who it is and whose key this is; every way of not getting there is told apart."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from publisher_daemon.check._finding import Finding, error, fine, warning
from publisher_daemon.config import Settings
from publisher_daemon.errors import (
    ConfigInvalid,
    CredentialRefused,
    NotThere,
    PortalError,
    PortalRefused,
    PortalUnreachable,
)
from publisher_daemon.log import redact
from publisher_daemon.portal import Me, Portal

_DAY = 86400.0
#: a key that expires within so many days is told
_SOON = 30
#: a clock wrong by so many seconds is told, and by so many is an error: "today" may be another day
_DOUBTFUL, _WRONG = 300.0, 3600.0
_SILENT = " does not answer: "
#: the portal's own words, in the message of its refusal
_SAID = re.compile(r"\((?:\d+: )?(.+)\)")
_OTHER = {"demo.data.gouv.fr": "www.data.gouv.fr", "www.data.gouv.fr": "demo.data.gouv.fr"}


@dataclass(slots=True)
class Reached:
    """What the portal says to somebody without a key."""

    findings: list[Finding] = field(default_factory=list)
    #: it is a udata portal, and it answers
    usable: bool = False
    extensions: frozenset[str] = frozenset()
    frequencies: frozenset[str] = frozenset()
    licenses: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    granularities: frozenset[str] = frozenset()


def open_portal(settings: Settings, key: str | None) -> Portal:
    """The portal of this configuration, for reading; raises ConfigInvalid."""
    portal = settings.portal
    return Portal(
        portal.url,
        key,
        ca_file=str(portal.ca_file) if portal.ca_file else None,
        proxy=portal.proxy,
        reason="publisher-daemon check",
        hide=redact,
    )


def reach(portal: Portal, where: str, clock: Callable[[], float]) -> Reached:
    """Ask the portal, without a key, what it is; never raises."""
    reached = Reached()
    host = urlsplit(portal.url).netloc
    try:
        reached.frequencies = portal.frequencies()
        reached.licenses = portal.licenses()
        reached.types = portal.resource_types()
        reached.granularities = portal.granularities()
        reached.extensions = portal.extensions()
        reached.findings += _clock(portal, where, clock)
    except PortalError as trouble:
        reached.findings.append(_not_reached(trouble, portal.url, where))
        return reached
    reached.usable = True
    reached.findings.append(fine(where, f"{host} answers, and is a udata portal.", "portal.read"))
    return reached


def _not_reached(trouble: PortalError, url: str, where: str) -> Finding:
    answered = trouble.status is not None
    if isinstance(trouble, PortalRefused) and 300 <= (trouble.status or 0) < 400:
        return _elsewhere(trouble, url, where)
    if isinstance(trouble, PortalUnreachable) and not (answered and (trouble.status or 0) < 300):
        # "<host> does not answer: why": the host is told already
        told = trouble.message.rpartition(_SILENT)[2]
        return error(
            where,
            f"The portal {url} cannot be used now: {told}."
            if answered
            else f"The portal {url} cannot be reached: {told}.",
            trouble.hint or _way(trouble),
            "portal.unreachable",
        )
    said = f" ({trouble.message})"
    return error(
        where,
        f"{url} answers, but not as the API of a udata portal{said}.",
        "Write only the portal's own address, like https://demo.data.gouv.fr or "
        "https://www.data.gouv.fr. If it is right, a proxy or a login page answers in its place: "
        "ask the network's administrators to let this machine through, or set `[portal] proxy`.",
        "portal.not_udata",
    )


def _way(trouble: PortalError) -> str:
    if trouble.status is not None:
        return (
            "It answers, so the network is well: wait, and run `check` again. If it lasts, ask the "
            "portal's support."
        )
    if "certificate" in trouble.message:
        return "Name your authority's certificates in `[portal] ca_file`."
    return (
        "See whether this machine may go out to that host (firewall; HTTPS_PROXY or "
        "`[portal] proxy` where a proxy is needed) and whether the portal is up."
    )


def _elsewhere(trouble: PortalError, url: str, where: str) -> Finding:
    headers = dict(trouble.exchange.answer_headers) if trouble.exchange else {}
    to = urlsplit(next((to for name, to in headers.items() if name.lower() == "location"), ""))
    if not to.hostname or f"{to.scheme}://{to.netloc}" == url:
        what, right = f"{url} sends its readers to {to.geturl() or 'nowhere'}.", "Correct `url`."
    else:
        what = f"{url} sends its readers to {to.scheme}://{to.netloc}; the key does not follow."
        right = f'If that is the portal you mean, write url = "{to.scheme}://{to.netloc}".'
    return error(where, what, right, "portal.redirected")


def _clock(portal: Portal, where: str, clock: Callable[[], float]) -> Iterator[Finding]:
    before = clock()
    theirs = portal.server_date()
    if theirs is None:
        return
    ours = (before + clock()) / 2
    off = ours - theirs
    if abs(off) <= _DOUBTFUL:
        return
    make = error if abs(off) > _WRONG else warning
    yield make(
        where,
        f"This machine's clock is {_duration(abs(off))} "
        + ("ahead of" if off > 0 else "behind")
        + f" the portal's ({_date(ours, hours=True)} here, {_date(theirs, hours=True)} there).",
        "Set the clock, and keep it: timedatectl set-ntp true.",
        "portal.clock",
    )


# ----------------------------------------------------------------------------------------- the key


def key(settings: Settings, where: str) -> tuple[str | None, list[Finding]]:
    """The key as the settings give it, or why they do not."""
    try:
        return settings.api_key(), []
    except ConfigInvalid as trouble:
        return None, [
            error(where, _sentence(trouble.message), trouble.hint or "", "config.api_key")
        ]


def identify(
    portal: Portal, where: str, clock: Callable[[], float]
) -> tuple[Me | None, list[Finding]]:
    """Whose key it is, and what is doubtful about it; raises PortalUnreachable."""
    try:
        me = portal.whoami()
    except CredentialRefused as trouble:
        return None, [refused(trouble, portal.url, where)]
    except NotThere as trouble:
        return None, [_not_reached(trouble, portal.url, where)]
    name = " ".join(filter(None, (me.first_name, me.last_name))) or me.email or me.id
    member = ", ".join(f"“{each.name}”" for each in me.organizations) or "no organization"
    findings = [fine(where, f"The key is that of {name}, member of {member}.", "key.read")]
    findings += _expiry(portal, where, clock)
    findings += _powers(me, name, where)
    return me, findings


def _profile(url: str) -> str:
    return f"the profile page of the account, {url}/admin/me"


def refused(trouble: CredentialRefused, url: str, where: str) -> Finding:
    host = urlsplit(url).hostname or url
    new = f"Make a new one on {_profile(url)}, and put it in place of this one."
    found = _SAID.search(trouble.message)
    told = found[1] if found else trouble.message
    said = told.lower()
    what, right = "", new
    if "expired" in said:
        what = "has expired"
    elif "revoked" in said:
        what = "was revoked"
    elif "invalid" in said:
        what = "is not one that this portal knows"
        other = _OTHER.get(host, "www.data.gouv.fr or demo.data.gouv.fr")
        right = (
            f"Each portal has its own keys: one made on {other} does not work on {host}. If it was "
            f"made here, look whether it was copied whole. Else: {_then(new)}"
        )
    else:
        # udata then answers the web server's general words, which help nobody
        what, told = "is refused", "401, without a reason"
        right = f"Its account may be inactive: sign in on {host} to see. Else: {_then(new)}"
    return error(where, f"The API key {what} (the portal says: {told}).", right, "key.refused")


def _then(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def _expiry(portal: Portal, where: str, clock: Callable[[], float]) -> Iterator[Finding]:
    try:
        known = portal.key_expiry()
    except PortalRefused:
        return  # an older portal, which does not list its keys
    if known is None or known[1] is None:
        return
    expires, left = known[1], known[1] - clock()
    if left < _SOON * _DAY:
        yield warning(
            where,
            f"The API key expires on {_date(expires)}, in {_duration(max(left, 0))}: nothing will "
            "be published after that.",
            f"Make a new one before, on {_profile(portal.url)}.",
            "key.expires",
        )
    else:
        yield fine(where, f"The key expires on {_date(expires)}.", "key.expiry")


def _powers(me: Me, name: str, where: str) -> Iterator[Finding]:
    least = (
        "Use an account made for this service, partial editor of one organization, assigned to "
        "these datasets only: a stolen key could then do no more."
    )
    if "admin" in me.roles:
        yield warning(
            where,
            f"{name} administers the whole portal: this key may do everything there.",
            least,
            "key.too_powerful",
        )
    if len(me.organizations) > 1:
        yield warning(
            where,
            f"{name} belongs to {len(me.organizations)} organizations: this key may publish in "
            "each of them.",
            least,
            "key.too_powerful",
        )


# ------------------------------------------------------------------------------------------- words


def _sentence(text: str) -> str:
    # a name like api_key_file stays as it is written
    return text if "_" in text.partition(" ")[0] else text[:1].upper() + text[1:]


def _date(instant: float, *, hours: bool = False) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC" if hours else "%Y-%m-%d", time.gmtime(instant))


def _duration(seconds: float) -> str:
    for unit, length in (("day", _DAY), ("hour", 3600.0), ("minute", 60.0)):
        if seconds >= 2 * length or (unit == "minute" and seconds >= length):
            return f"{seconds / length:.0f} {unit}{'s' if seconds / length >= 1.5 else ''}"
    return f"{seconds:.0f} seconds"
