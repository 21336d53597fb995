"""Which file system a folder lies on: read from the kernel's own table, never guessed."""

from __future__ import annotations

import os
import re
import select
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["local", "network"]

#: File systems whose content other machines change: no event, no lease, no stable inode tells.
_NETWORK = frozenset({
    "nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "virtiofs", "ceph", "glusterfs", "vboxsf",
    "prl_fs", "afs", "ncpfs", "lustre", "beegfs", "gpfs", "ocfs2", "gfs2", "davfs", "fuse",
})  # fmt: skip
#: FUSE file systems over a local disk only this machine writes to.
_LOCAL_FUSE = frozenset({"fuse.ntfs-3g", "fuse.exfat", "fuse.fuse-overlayfs", "fuse.ciopfs"})
#: File systems whose ``f_fsid`` comes from their UUID, so that it survives a reboot.
_STEADY_ID = frozenset({"ext2", "ext3", "ext4", "btrfs"})
#: Symbolic links followed in one path: the kernel's own limit.
_LINKS = 40


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of mountinfo, as far as it matters here."""

    id: int
    root: str
    point: str
    fstype: str
    source: str
    #: the mount it stands on
    parent: int = 0

    @property
    def kind(self) -> Kind:
        """Whether other machines may change what is on it."""
        fuse = self.fstype.startswith("fuse.") and self.fstype not in _LOCAL_FUSE
        return "network" if fuse or self.fstype in _NETWORK else "local"


def mounts() -> Iterator[Mount]:
    """Every mount this process sees, in the order they were made."""
    with Path("/proc/self/mountinfo").open(
        encoding="utf-8", errors="surrogateescape", newline="\n"
    ) as table:
        for line in table:
            left, _, right = line.rstrip("\n").partition(" - ")
            fields, kind = left.split(" "), right.split(" ")
            yield Mount(
                int(fields[0]),
                _plain(fields[3]),
                _plain(fields[4]),
                kind[0],
                _plain(kind[1]),
                int(fields[1]),
            )


class MountTable:
    """Tells when something was mounted or unmounted, without reading the table: microseconds."""

    def __init__(self) -> None:
        self._poll = select.poll()
        try:
            self._table: int | None = os.open("/proc/self/mountinfo", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._table = None
        else:
            self._poll.register(self._table, select.POLLPRI | select.POLLERR)

    def changed(self) -> bool:
        """Whether it changed since it was last asked; always, where the kernel does not tell."""
        return self._table is None or bool(self._poll.poll(0))

    def close(self) -> None:
        """Ask no more."""
        if self._table is not None:
            os.close(self._table)
            self._table = None


class _Kept:
    """The table as it was last read, and read again once the kernel says that it changed.

    A look at one file asks where its folder lies, several times; reading the table for each was a
    quarter of that look.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changes: MountTable | None = None
        self._table: tuple[Mount, ...] | None = None

    def table(self) -> tuple[Mount, ...]:
        """Every mount; raises what reading the table does."""
        with self._lock:
            if self._changes is None:
                self._changes = MountTable()
            # asked first and read then: what changes in between is told the next time
            if self._changes.changed() or self._table is None:
                self._table = None
                self._table = tuple(mounts())
            return self._table


_kept = _Kept()


def mount_of(descriptor: int) -> Mount | None:
    """The mount an open directory lies on; None where the kernel does not tell."""
    number = _number(descriptor)
    try:
        return next((mount for mount in mounts() if mount.id == number), None)
    except (OSError, ValueError, IndexError):
        return None


def same(one: int, other: int) -> bool:
    """Whether two open descriptors lie on one mount; by device where the kernel does not tell.

    The device alone says too little and too much: a bind mount has the device of what it shows, and
    an overlay gives each file that of its layer, which is not that of its directories.
    """
    numbers = _number(one), _number(other)
    if None in numbers:
        return os.fstat(one).st_dev == os.fstat(other).st_dev
    return numbers[0] == numbers[1]


def _number(descriptor: int) -> int | None:
    try:
        told = Path(f"/proc/self/fdinfo/{descriptor}").read_text(encoding="utf-8")
    except OSError:
        return None
    found = re.search(r"^mnt_id:\s*(\d+)$", told, re.MULTILINE)
    return int(found[1]) if found else None


def identity(descriptor: int, mount: Mount | None) -> str:
    """What stays the same across reboots and remounts of the same file system, as one string."""
    if mount is None:
        return "unknown"
    steady = ""
    if mount.kind == "network":
        steady = mount.source
    elif mount.fstype in _STEADY_ID:
        steady = f"{os.fstatvfs(descriptor).f_fsid:x}"
    return f"{mount.fstype}|{steady}|{mount.root}|{mount.point}"


def same_folder(one: str, other: str, path: str) -> bool:
    """Whether two identities of what stands at this real path are of one directory.

    The sandbox of a service, or a container, shows a folder through a mount of its own: what counts
    is which file system it is on, and where in it.
    """
    return one == other or _place(one, path) == _place(other, path)


def _place(found: str, path: str) -> tuple[str, ...]:
    parts = tuple(found.split("|"))
    point = parts[-1].rstrip("/")
    if len(parts) != 4 or not (path == point or path.startswith(f"{point}/")):
        return parts
    return (*parts[:2], parts[2].rstrip("/") + path[len(point) :].rstrip("/"))


def mount_at(path: str) -> Mount | None:
    """The mount an absolute path leads to, through symbolic links, touching no network share.

    Asking a dead share what a name in it is may never come back: what is known of the mount table
    is enough as soon as a path enters one.
    """
    try:
        table = _kept.table()
    except (OSError, ValueError, IndexError):
        return None
    todo, at, links = [part for part in path.split("/") if part][::-1], "", 0
    mount = _above("/", table)
    while todo and (mount is None or mount.kind == "local"):
        part = todo.pop()
        below = {".": at, "..": at.rpartition("/")[0]}.get(part, f"{at}/{part}")
        mount = _above(below or "/", table)
        if mount is not None and mount.kind == "network":
            break
        try:
            target = os.readlink(below)  # noqa: PTH115 - a name that may be no text
        except OSError:
            at = below
            continue
        links += 1
        if links > _LINKS:
            break
        if target.startswith("/"):
            at = ""
        todo.extend([part for part in target.split("/") if part][::-1])
        mount = _above(at or "/", table)
    return mount


def _above(path: str, table: Sequence[Mount]) -> Mount | None:
    """The mount an absolute path without symbolic links lies on."""
    best: Mount | None = None
    for mount in table:
        point = mount.point.rstrip("/")
        above = path == point or path.startswith(f"{point}/")
        # of two mounts at one point the later one hides the earlier
        if above and (best is None or len(mount.point) >= len(best.point)):
            best = mount
    return best


def kind_of(path: str) -> Kind:
    """The kind of the mount an absolute path leads to, by name."""
    mount = mount_at(path)
    return mount.kind if mount else "local"


def below(directory: str) -> frozenset[str]:
    """Paths, relative to the directory (without symlinks), where something else is mounted."""
    prefix = directory.rstrip("/") + "/"
    try:
        return frozenset(
            mount.point[len(prefix) :] for mount in _kept.table() if mount.point.startswith(prefix)
        )
    except (OSError, ValueError, IndexError):
        return frozenset()


def _plain(field: str) -> str:
    """The field without mountinfo's octal escapes."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), field)
