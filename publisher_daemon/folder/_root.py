"""Which directory stands at the folder's path now, and whether it is the one we know."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from publisher_daemon import mounts
from publisher_daemon.errors import FolderGone, FolderUnreadable
from publisher_daemon.folder.source import let_go
from publisher_daemon.model import Watch
from publisher_daemon.naming import readable

log = structlog.get_logger(__name__)

#: Not there, or not what it was: a name, a directory, a link.
VANISHED = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})


#: what the drop-in of the unit empties, so that the folders it names are all there is
_EMPTIED = frozenset({"/srv", "/mnt", "/media", "/home", "/root"})
_NOT_SHOWN = (
    "Nothing is withdrawn because of that. If it is there, the service was started without it: "
    "write the drop-in again (`publisher-daemon systemd-dropin`), then `systemctl daemon-reload` "
    "and `systemctl restart publisher-daemon`."
)


@dataclass(frozen=True, slots=True)
class Root:
    """The folder itself, opened."""

    descriptor: int
    device: int
    inode: int


class Presence:
    """What is known of the directory at the folder's path, from one look to the next."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        #: file system and mount of the last look that went well, or what to expect
        self.identity: str | None = None
        #: device and inode of the last look that went well
        self.inode: tuple[int, int] | None = None
        #: the mount of that look, as the kernel numbers it while it stands
        self._mount: int | None = None
        #: it is a mount of this very directory, as a sandbox or a container is given one
        self._bound = False
        self.had_files = False
        #: what stood there before a file system came that has shown no file yet
        self._before: str | None = None

    def expect(self, identity: str | None) -> None:
        """Believe nothing but this file system from now on; None: that of the next look."""
        self.identity, self._before = identity, None
        if identity is not None:
            # a look that asked what stands there may have met another one
            self.inode = None

    def sure(self) -> str | None:
        """The identity, without one that came late and has shown no file yet."""
        return self.identity if self.had_files or self._before is None else self._before

    @contextmanager
    def open(self) -> Iterator[Root]:
        """Open it; raises FolderGone, FolderUnreadable."""
        try:
            descriptor = os.open(self._watch.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise self.lost(error) from error
        try:
            try:
                status = os.fstat(descriptor)
            except OSError as error:  # a share that went away since: ESTALE
                raise self.lost(error) from error
            yield Root(descriptor, status.st_dev, status.st_ino)
        finally:
            let_go(descriptor)

    def lost(self, error: OSError) -> FolderUnreadable:
        """What to say when the system refuses the folder."""
        path = self._watch.path
        if error.errno == errno.ENOENT:
            hint = "Nothing is withdrawn because of that; put it back, or mount it."
            return FolderGone(
                f"The folder {path} is missing.", hint=_NOT_SHOWN if _hidden(path) else hint
            )
        if error.errno in VANISHED:
            return FolderGone(f"{path} is not a directory.", hint="Name a directory in `path`.")
        return FolderUnreadable(
            f"The folder {path} cannot be read: {error.strerror or error}.",
            hint="Nothing is concluded from it; see its rights, or the server it is on.",
        )

    def recognise(self, root: Root, *, completely: bool) -> None:
        """Raise FolderGone unless it is the folder we know, or nothing speaks against a new one."""
        inode = (root.device, root.inode)
        # such a mount stays at its directory wherever that goes: its inode tells nothing
        if self.inode == inode and not completely and not self._bound:
            return
        mount = mounts.mount_of(root.descriptor)
        found = mounts.identity(root.descriptor, mount)
        real = os.path.realpath(f"/proc/self/fd/{root.descriptor}")
        known = self.identity
        if known is not None and not mounts.same_folder(found, known, real):
            before = self._before
            if self.had_files or before is None or not mounts.same_folder(found, before, real):
                self._refuse_unless_arrival(found, known, mount)
                self._before = before or known
            else:
                # what came is gone again, and had nothing: a disk, for a moment, on an empty folder
                self._before = None
        if self.inode not in {None, inode}:
            if self.had_files and not os.listdir(root.descriptor):  # noqa: PTH208 - a descriptor
                raise FolderGone(
                    f"{self._watch.path} was replaced by an empty folder.",
                    hint="Nothing is withdrawn because of that; put its files back.",
                )
            log.warning("folder.replaced", folder=self._watch.name, path=self._watch.path)
        self.identity, self.inode = found, inode
        self._mount = mount.id if mount else None
        self._bound = mount is not None and mount.point == real and mount.root != "/"

    def _refuse_unless_arrival(self, found: str, known: str, mount: mounts.Mount | None) -> None:
        if self._is_arrival(found, mount):
            return
        if _moved(found, known):
            raise FolderGone(
                f"{self._watch.path} was moved or made anew, and the service is still shown the "
                "old one.",
                hint="Nothing is withdrawn because of that. To show it the new one, restart it: "
                "systemctl restart publisher-daemon, or its container.",
            )
        raise FolderGone(
            f"Another file system than before stands at {self._watch.path}"
            f" ({_say(found)} instead of {_say(known)}).",
            hint="Mount the right one again; if it is meant: `publisher-daemon retry --yes`.",
        )

    def _is_arrival(self, found: str, mount: mounts.Mount | None) -> bool:
        """Whether the share that was not mounted yet when we first looked has come.

        Only then: over a folder that had files, an unknown mount would hide them. In the sandbox of
        a service the folder is a mount already, and the share's stands on that very one.
        """
        if self.identity is None or self.had_files:
            return False
        if mount is not None and mount.parent == self._mount:
            return True
        before, now = self.identity.split("|"), found.split("|")
        return len(before) == len(now) == 4 and now[3].startswith(before[3].rstrip("/") + "/")


def _hidden(path: str) -> bool:
    """Whether it may be there, outside the sandbox that this runs in."""
    mount = mounts.mount_at(path)
    return mount is not None and mount.fstype == "tmpfs" and mount.point in _EMPTIED


def _moved(found: str, known: str) -> bool:
    """Whether the same mount shows another place of the same file system."""
    one, other = found.split("|"), known.split("|")
    bound = len(one) == len(other) == 4 and "/" not in {one[2], other[2]}
    return bound and [*one[:2], one[3]] == [*other[:2], other[3]]


def _say(identity: str) -> str:
    parts = identity.split("|")
    return f"{parts[0]} mounted at {readable(parts[3])}" if len(parts) == 4 else identity
