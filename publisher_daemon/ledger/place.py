"""Where a ledger may live: on a local disk, whose locks and commits mean what they say."""

from __future__ import annotations

import os
from pathlib import Path

from publisher_daemon.mounts import mount_at

#: With less room than this a commit fails sooner or later.
_LEAST = 256 * 1024


def state_dir_problem(path: Path) -> str | None:
    """Why the ledger must not be kept there, in a sentence; None when it may."""
    mount = mount_at(os.path.realpath(path))
    # SQLite's write-ahead log needs memory that all its readers share: no share gives it
    if mount is not None and mount.kind == "network":
        return (
            f"{path} is on a network share ({mount.fstype}), where a ledger can be corrupted. "
            "Set `state_dir` to a directory on a local disk."
        )
    return None


def standstill(path: Path) -> str | None:
    """Why nothing can be remembered there now, and so nothing published; None when it can."""
    try:
        disk = os.statvfs(path)
    except OSError:
        return None  # whoever opens the ledger tells
    if disk.f_flag & os.ST_RDONLY:
        return (
            f"Nothing can be published: the disk of the ledger in {path} is read-only. Make it "
            "writable; nothing is lost, it goes on by itself."
        )
    if disk.f_bavail * disk.f_frsize < _LEAST:
        return (
            f"Nothing can be published: the disk of the ledger in {path} is full. Make room; "
            "nothing is lost, it goes on by itself."
        )
    return None
