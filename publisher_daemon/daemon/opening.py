"""Opens what the state directory holds; light, as every verb begins with it."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

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
    state = settings.daemon.state_dir
    owner = _other_owner(state)
    ledger = Ledger(state)
    try:
        with ledger.lock():
            yield ledger
    finally:
        ledger.close()
        if owner is not None:
            _hand_over(state, owner)


def _other_owner(state: Path) -> tuple[int, int] | None:
    """Whose the directory is, or will be, when root works in it for somebody."""
    if os.geteuid() != 0:
        return None
    there = next((each for each in (state, *state.parents) if each.exists()), state)
    status = there.stat()
    return (status.st_uid, status.st_gid) if status.st_uid != 0 else None


def _hand_over(state: Path, owner: tuple[int, int]) -> None:
    """Give what root made in the state directory to whom it belongs, or the service may not write.

    Neither links nor files with a second name: that account could have put them there.
    """
    for _, directories, files, here in os.fwalk(state):
        for name in (".", *directories, *files):
            with suppress(OSError):
                one = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=here)
                try:
                    status = os.fstat(one)
                    plain = stat.S_ISREG(status.st_mode) and status.st_nlink == 1
                    if status.st_uid == 0 and (plain or stat.S_ISDIR(status.st_mode)):
                        os.fchown(one, *owner)
                finally:
                    os.close(one)
