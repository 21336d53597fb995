"""Walks below an open directory without following links, and says which files are to publish."""

from __future__ import annotations

import errno
import os
import stat as modes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from publisher_daemon import mounts
from publisher_daemon.folder._names import Patterns
from publisher_daemon.folder._root import VANISHED, Root
from publisher_daemon.folder.source import let_go, why_not
from publisher_daemon.model import Watch
from publisher_daemon.naming import is_ignored, readable

#: Directories below directories: beyond this nothing is published (each costs an open descriptor).
DEEPEST = 100
#: ``ln new final; rm new`` gives a file two names for an instant: seconds that is waited for.
LINKED_FOR_NOW = 60.0

#: to ask about a name without opening what it is
_NAME = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
#: The file system itself answers no more: nothing below can be believed.
SHARE_LOST = frozenset({errno.ESTALE, errno.ENOTCONN, errno.EHOSTDOWN, errno.ETIMEDOUT})


@dataclass(slots=True)
class Found:
    """A file of the folder, or why one is not published."""

    path: str
    status: os.stat_result
    why: str | None = None
    arrived: bool = False
    #: it has two names, but since a moment only
    linked: bool = False
    #: it is one to publish, once its marker says so
    waits: bool = False


@dataclass(slots=True)
class Walk:
    """One walk: the root, the mounts below it, and what could not be read."""

    root: Root
    mounts: frozenset[str]
    #: where nothing that is not seen is absent: unreadable, or hidden below a mount
    blind: set[str] = field(default_factory=set)
    #: something was there and could not be read
    failed: bool = False
    #: what another file system was met at, whether or not the table had it
    foreign: set[str] = field(default_factory=set)
    #: devices whose files lie on the root's mount: more than one when that is an overlay
    devices: set[int] = field(default_factory=set)

    def cannot(self, path: str, error: OSError) -> None:
        """Note that this could not be read, unless it vanished; raises what concerns all of it."""
        if error.errno in SHARE_LOST or ("/" not in path and error.errno == errno.EIO):
            raise error
        if error.errno not in VANISHED:
            self.blind.add(path)
            self.failed = True

    def is_mount(self, path: str, status: os.stat_result | None = None) -> bool:
        """Whether another file system is mounted there; by name first, as a dead one hangs."""
        return path in self.mounts or (status is not None and status.st_dev != self.root.device)

    def is_mounted_file(self, parent: int, path: str, status: os.stat_result) -> bool:
        """Whether a file lies on another mount; raises OSError.

        Its device does not settle that on an overlay: the first file of each device is asked.
        """
        if path in self.mounts:
            return True
        if status.st_dev == self.root.device or status.st_dev in self.devices:
            return False
        descriptor = os.open(path.rpartition("/")[2], _NAME, dir_fd=parent)
        try:
            if not mounts.same(descriptor, self.root.descriptor):
                return True
        finally:
            let_go(descriptor)
        self.devices.add(status.st_dev)
        return False


class Tree:
    """What is below the folder, as its settings choose."""

    def __init__(self, watch: Watch, clock: Callable[[], float]) -> None:
        self._marker = watch.ready_marker
        self._clock = clock
        self._some = bool(watch.include)
        self._include = Patterns(watch.include)
        self._exclude = Patterns(watch.exclude)

    def walk(self, walk: Walk, descriptor: int, prefix: str, depth: int) -> Iterator[Found]:
        """Everything below an open directory, in byte order of the path; vanished files are not."""
        with os.scandir(descriptor) as scan:
            entries = sorted(((order(entry), entry) for entry in scan), reverse=True)
        while entries:
            # an entry keeps what it was asked for: each is let go when it was looked at
            name, entry = entries.pop()
            path = prefix + entry.name
            try:
                if name.endswith(b"/"):
                    yield from self.enter(walk, descriptor, path, depth)
                    continue
                found = self.look(walk, descriptor, path, entry)
            except OSError as error:
                walk.cannot(path, error)
                continue
            yield found

    def look(self, walk: Walk, parent: int, path: str, entry: os.DirEntry[str]) -> Found:
        """What an entry that is no directory is; raises OSError."""
        if is_ignored(entry.name):
            return Found(path, _NOTHING, _TEMPORARY)
        if walk.is_mount(path):
            return Found(path, _NOTHING, _MOUNTED)
        status = entry.stat(follow_symlinks=False)
        return self.verdict(walk, parent, path, status)

    def enter(self, walk: Walk, parent: int, path: str, depth: int) -> Iterator[Found]:
        """What is in a sub-directory; one that cannot be read is remembered by the caller."""
        with self.inside(walk, parent, path, depth) as opened:
            if isinstance(opened, str):
                yield Found(path, _NOTHING, opened)
            else:
                yield from self.walk(walk, opened, f"{path}/", depth + 1)

    @contextmanager
    def inside(self, walk: Walk, parent: int, path: str, depth: int) -> Iterator[int | str]:
        """A sub-directory, opened; or why it is not entered. Raises OSError."""
        why = self.closed(walk, path)
        if why is None and depth >= DEEPEST:
            walk.blind.add(path)
            why = f"it lies deeper than {DEEPEST} directories"
        if why is not None:
            yield why
            return
        descriptor = os.open(path.rpartition("/")[2], DIRECTORY, dir_fd=parent)
        try:
            yield self.closed(walk, path, os.fstat(descriptor)) or descriptor
        finally:
            let_go(descriptor)

    def closed(self, walk: Walk, path: str, status: os.stat_result | None = None) -> str | None:
        """Why a directory is not entered; None when it is."""
        if is_ignored(path.rpartition("/")[2]):
            return _TEMPORARY
        if walk.is_mount(path, status):
            # what was there before is hidden, not gone
            walk.blind.add(path)
            walk.foreign.add(path)
            return _MOUNTED
        if self._exclude.match_directory(path):
            return _EXCLUDED
        return None

    def verdict(
        self,
        walk: Walk,
        parent: int,
        path: str,
        status: os.stat_result,
    ) -> Found:
        """Whether a file, whose name is not one to ignore, is one to publish."""
        marker, name = self._marker, path.rpartition("/")[2]
        if marker and name.endswith(marker):
            return Found(path, status, _MARKER)
        if self._some and not self._include.match(path):
            return Found(path, status, "no pattern of `include` matches it")
        if self._exclude.match(path):
            return Found(path, status, _EXCLUDED)
        if walk.is_mounted_file(parent, path, status):
            return Found(path, status, _MOUNTED)
        why = why_not(status)
        if why is not None:
            age = self._clock() - status.st_ctime
            if modes.S_ISREG(status.st_mode) and 0 <= age < LINKED_FOR_NOW:
                return Found(path, status, linked=True)
            return Found(path, status, why)
        if marker:
            told = _stat(parent, name + marker)
            if told is None or not modes.S_ISREG(told.st_mode):
                why = f"It waits for {readable(name + marker)}, which is not there yet."
                return Found(path, status, why, waits=True)
            if told.st_mtime_ns < status.st_mtime_ns:
                why = (
                    f"It waits for {readable(name + marker)} to be written again: the one that is "
                    "there is older than the file."
                )
                return Found(path, status, why, waits=True)
        return Found(path, status, arrived=bool(marker))

    @contextmanager
    def parent(self, walk: Walk, path: str) -> Iterator[int | None]:
        """The directory of a path, opened component by component; None when it is not read."""
        parts = path.split("/")
        if any(part in {"", ".", ".."} for part in parts):
            yield None
            return
        descriptor = os.dup(walk.root.descriptor)
        try:
            for depth, part in enumerate(parts[:-1]):
                at = "/".join(parts[: depth + 1])
                if self.closed(walk, at) is not None:
                    yield None
                    return
                below = os.open(part, DIRECTORY, dir_fd=descriptor)
                let_go(descriptor)
                descriptor = below
                if self.closed(walk, at, os.fstat(descriptor)) is not None:
                    yield None
                    return
            yield descriptor
        finally:
            let_go(descriptor)


_NOTHING = os.stat_result([0] * 10)
_TEMPORARY = "its name is one of temporary, hidden, lock or system files"
_MARKER = "it is a marker, which says that another file is ready"
_EXCLUDED = "a pattern of `exclude` matches it"
_MOUNTED = "another file system is mounted there; watch it as a folder of its own"


def order(entry: os.DirEntry[str]) -> bytes:
    """Where an entry comes in the byte order of whole paths: a directory is its name and "/"."""
    name = os.fsencode(entry.name)
    try:
        return name + b"/" if entry.is_dir(follow_symlinks=False) else name
    except OSError:
        return name


def _stat(parent: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=parent, follow_symlinks=False)
    except OSError:
        return None
