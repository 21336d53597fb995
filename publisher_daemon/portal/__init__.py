"""Speaks the portal's API, and nothing else does.

``Portal`` is the promise. Under it, ``calls`` turns one request into an answer, or into an error
sorted by what to do next; ``shapes`` and ``answers`` read JSON; ``body`` withholds a file's end
until it is right; ``transport`` is the wire.
"""

from __future__ import annotations

from publisher_daemon.portal.body import Source
from publisher_daemon.portal.client import Portal
from publisher_daemon.portal.shapes import Me, Membership
from publisher_daemon.portal.transport import Timeouts

__all__ = ["Me", "Membership", "Portal", "Source", "Timeouts"]
