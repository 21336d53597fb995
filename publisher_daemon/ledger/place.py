"""Where a ledger may live: on a local disk, whose locks and commits mean what they say."""

from __future__ import annotations

import os
from pathlib import Path

#: SQLite's write-ahead log is not safe on these (operations: WAL needs shared memory).
_NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "glusterfs", "fuse.sshfs", "fuse.glusterfs",
     "fuse.rclone", "fuse.s3fs", "vboxsf", "prl_fs", "afs"}
)  # fmt: skip


def state_dir_problem(path: Path) -> str | None:
    """Why the ledger must not be kept there, in a sentence; None when it may."""
    kind = _file_system(path)
    if kind in _NETWORK:
        return (
            f"{path} is on a network share ({kind}), where a ledger can be corrupted. "
            "Set `state_dir` to a directory on a local disk."
        )
    return None


def _file_system(path: Path) -> str | None:
    """The type of the file system that holds the path, or would hold it."""
    wanted = os.path.realpath(path)
    best, kind = "", None
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    for line in lines.splitlines():
        left, _, right = line.partition(" - ")
        point = left.split()[4].encode().decode("unicode_escape")
        inside = point == "/" or wanted == point or wanted.startswith(f"{point}/")
        if inside and len(point) >= len(best):
            best, kind = point, right.split()[0]
    return kind
