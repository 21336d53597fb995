"""Addresses: of the portal, of what is on it, and of where its answers lead."""

from __future__ import annotations

import re
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

from publisher_daemon.errors import ConfigInvalid

#: redirections followed before they are taken for a ring
HOPS = 5
_DEFAULT_PORTS = {"http": 80, "https": 443}

Origin = tuple[str, str, int | None]


def origin(url: str) -> Origin:
    """Scheme, host and port: what decides whether the key may go there."""
    try:
        parts = urlsplit(url)
        return parts.scheme, (parts.hostname or ""), parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return "", "", None  # not an address at all


def joined(url: str, location: str) -> str:
    """Where a redirection leads; empty when it is no address."""
    try:
        return urljoin(url, location)
    except ValueError:
        return ""


def spoken(url: str) -> bool:
    """Whether it is of a protocol that is spoken here."""
    return urlsplit(url).scheme in _DEFAULT_PORTS


def part(value: str) -> str:
    """A value as one part of a path."""
    return quote(value, safe="")


def base_of(url: str) -> str:
    """The portal's address without a final slash; raises ConfigInvalid where it is none."""
    parts = urlsplit(url.strip())
    try:
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        port_is_fine = False
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or not port_is_fine:
        raise ConfigInvalid(
            "the portal's address must be like https://www.data.gouv.fr.",
            hint="Check `[portal] url`.",
        )
    if parts.username is not None or parts.password is not None:
        raise ConfigInvalid(
            "the portal's address must not hold a user name or a password.",
            hint="Check `[portal] url`.",
        )
    path = re.sub(r"/api(/[12])?$", "", parts.path.rstrip("/")).rstrip("/")
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))


def shown_origin(url: str) -> str:
    """Scheme, host and port as people write them, without a user's name or password."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return url[:100]
    if not parts.hostname:
        return parts.path
    return f"{parts.scheme or 'https'}://{parts.hostname}{port}"


def without_query(url: str, ours: bool) -> str:
    """Off the portal, a query may be a signature that opens a file: it is left out."""
    if ours:
        return url
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
