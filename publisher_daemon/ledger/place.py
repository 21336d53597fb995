"""Where a ledger may live: on a local disk, whose locks and commits mean what they say."""

from __future__ import annotations

import os
from pathlib import Path

from publisher_daemon.mounts import mount_at


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
