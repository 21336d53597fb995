"""Looks at the directory where the service keeps what it knows; nothing is written there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from publisher_daemon.check._finding import Finding, error, fine, warning
from publisher_daemon.check._folders import account
from publisher_daemon.errors import LedgerBroken
from publisher_daemon.ledger import Ledger, state_dir_problem

#: a ledger grows by some hundred bytes a publication: below this, something else fills the disk
_ENOUGH = 100 * 2**20


def state(directory: Path, where: str) -> Iterator[Finding]:
    """What would stop the service from keeping its state there."""
    problem = state_dir_problem(directory)
    if problem is not None:
        yield error(
            where,
            problem,
            "Name a directory on a local disk, like /var/lib/publisher-daemon.",
            "state.on_a_share",
        )
        return
    there = next(each for each in (directory, *directory.parents) if os.path.lexists(each))
    yield from _closed(directory, there, where)
    yield from _space(directory, there, where)
    running = holder(directory / "lock")
    if running is not None:
        yield fine(where, f"The service is running (process {running}).", "state.running")
    try:
        _read(directory)
    except LedgerBroken as trouble:
        yield error(
            where,
            trouble.message,
            trouble.hint or f"Move {directory} away: what the portal holds is then found again.",
            "state.ledger",
        )


def _closed(directory: Path, there: Path, where: str) -> Iterator[Finding]:
    if not there.is_dir():
        yield error(
            where,
            f"{there} is not a directory: no state can be kept there.",
            "Name a directory on a local disk, like /var/lib/publisher-daemon.",
            "state.not_a_directory",
        )
    elif not os.access(there, os.R_OK | os.W_OK | os.X_OK, effective_ids=True):
        what = (
            f"The account “{account()}” may not write to {directory}."
            if there == directory
            else f"{directory} does not exist, and the account “{account()}” may not make it."
        )
        yield error(
            where,
            what,
            f"Run: install -d -m 0700 -o {account()} {directory}. Or run `check` as the account "
            "of the service (systemd makes the directory for it).",
            "state.not_writable",
        )
    else:
        yield fine(where, f"The service's state can be kept in {directory}.", "state.read")


def _space(directory: Path, there: Path, where: str) -> Iterator[Finding]:
    try:
        free = shutil.disk_usage(there).free
    except OSError:
        return  # told by what comes before and after
    if free < _ENOUGH:
        yield warning(
            where,
            f"Only {free // 2**20} MB are left on the disk of {directory}.",
            "Make room, or name a directory on another disk.",
            "state.space",
        )


def _read(directory: Path) -> None:
    ledger = Ledger(directory, read_only=True)
    try:
        ledger.datasets()
    finally:
        ledger.close()


def holder(lock: Path, table: Path = Path("/proc/locks")) -> int | None:
    """The process that holds the one-instance lock, if any.

    The kernel's table is read because trying the lock would be one: a service that starts at that
    very instant would find the place taken, and end.
    """
    try:
        inode, pid = lock.stat().st_ino, lock.read_text(encoding="ascii").strip()
        held = [line.split() for line in table.read_text(encoding="ascii").splitlines()]
    except (OSError, UnicodeDecodeError):
        return None
    for line in held:
        # 1: FLOCK ADVISORY WRITE <pid> <major>:<minor>:<inode> 0 EOF
        if len(line) > 5 and line[4] == pid and line[5].rpartition(":")[2] == str(inode):
            return int(pid)
    return None
