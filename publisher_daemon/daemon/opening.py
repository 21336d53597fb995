"""Opens what the state directory holds; light, as every verb begins with it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from publisher_daemon.config import Settings
from publisher_daemon.ledger import Ledger
from publisher_daemon.versions import Versions


def now() -> float:
    """The wall clock, in UTC seconds."""
    return time.time()


def open_versions(settings: Settings) -> Versions:
    """What was published before, and is kept."""
    daemon = settings.daemon
    return Versions(
        daemon.state_dir,
        quota=daemon.versions_quota,
        age=daemon.keep_versions,
        clock=time.time,
    )


@contextmanager
def open_ledger(settings: Settings) -> Iterator[Ledger]:
    """The ledger, with the one-instance lock held; raises LedgerBusy, LedgerBroken."""
    ledger = Ledger(settings.daemon.state_dir)
    try:
        with ledger.lock():
            yield ledger
    finally:
        ledger.close()
