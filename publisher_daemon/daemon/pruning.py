"""Forgets what is too old: history, profiles of files, kept versions; a little at a time.

The service does so once a day; where only ``once`` is run, by cron, each run does its share.
"""

from __future__ import annotations

import time

from publisher_daemon.config import Settings
from publisher_daemon.daemon.opening import open_versions
from publisher_daemon.ledger import Ledger

#: So little that nobody waits for the ledger.
ROWS = 250
#: Profiles are looked up by what is published, and dropped in one go.
PROFILES = 10_000


def prune(settings: Settings, ledger: Ledger) -> bool:
    """Drop some of what is too old; returns whether there is more of it."""
    before = time.time() - settings.daemon.keep_history
    more = ledger.prune(before, ROWS) == ROWS or ledger.prune_profiles(before, PROFILES) == PROFILES
    if not more:
        open_versions(settings).prune(ledger.published)
    return more
