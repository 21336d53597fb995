"""Names the way of one file from event to permalink, so that all its log lines can be found.

The name is a digest of the file and of what was published of it before: every pass, process and
restart finds the same one without remembering it, and the next change of the file gets another.
"""

from __future__ import annotations

import os
from hashlib import blake2s

from publisher_daemon.model import Entry, ResourceKey


def journey_of(key: ResourceKey, published: Entry | None) -> str:
    """Twelve hex digits: the same from the first event until the file is published."""
    before = "" if published is None else f"{published.fingerprint.sha1} {published.published_at}"
    named = f"{key.dataset}\0{key.folder}\0{before}".encode("utf-8", "surrogatepass")
    return blake2s(named + b"\0" + os.fsencode(key.path), digest_size=6).hexdigest()
