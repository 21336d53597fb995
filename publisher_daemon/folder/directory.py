"""One watched directory, walked from its own descriptor so that no symbolic link leads elsewhere.

A full scan only calls ``stat``; a scan of named paths also opens each file to ask who writes to it.
A pass therefore scans everything, then scans again by name the few files that differ from the
ledger before it believes that they are whole.

Whatever goes wrong is told apart from "nothing there": the folder may be gone, another one, or
unreadable; a sub-directory may be unobservable; absence is only proved by a scan that met none.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat as modes
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from operator import itemgetter
from typing import Literal

import structlog

from publisher_daemon import mounts
from publisher_daemon.errors import (
    FileUnreadable,
    FolderGone,
    FolderUnreadable,
    SourceChanged,
)
from publisher_daemon.folder._lease import Writer, writer_of
from publisher_daemon.folder._names import Patterns
from publisher_daemon.folder._patience import Patience
from publisher_daemon.folder.source import OpenFile, stamp_of, unreadable, why_not
from publisher_daemon.model import Fingerprint, Record, ResourceKey, Sighting, Stamp, Watch
from publisher_daemon.naming import is_ignored, readable

log = structlog.get_logger(__name__)

#: Directories below directories: beyond this nothing is published (each costs an open descriptor).
DEEPEST = 100
#: Entries asked for at once of a file system that may stall.
BATCH = 100
#: ``ln new final; rm new`` gives a file two names for an instant: seconds that is waited for.
LINKED_FOR_NOW = 60.0
#: Seconds a report that a file arrived whole is remembered.
ARRIVED_FOR = 60.0

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
_VANISHED = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
_SHARE_LOST = frozenset({errno.ESTALE, errno.ENOTCONN, errno.EHOSTDOWN, errno.ETIMEDOUT})
_LOCKED = frozenset({errno.EBUSY, errno.ETXTBSY, errno.EAGAIN})


@dataclass(frozen=True, slots=True)
class _Root:
    """The folder itself, opened."""

    descriptor: int
    device: int
    inode: int
    remote: bool

    def is_same(self, other: os.stat_result) -> bool:
        return (self.device, self.inode) == (other.st_dev, other.st_ino)


@dataclass(slots=True)
class _Found:
    """A file of the folder, or why one is not published."""

    path: str
    status: os.stat_result
    why: str | None = None
    arrived: bool = False
    #: it has two names, but since a moment only
    linked: bool = False


@dataclass(slots=True)
class _Walk:
    """One walk: the root, the mounts below it, and what could not be read."""

    root: _Root
    mounts: frozenset[str]
    blind: set[str] = field(default_factory=set)


class Folder:
    """One watched directory."""

    def __init__(
        self,
        watch: Watch,
        *,
        clock: Callable[[], float] = time.time,
        stalled_after: float | None = None,
    ) -> None:
        self._watch = watch
        self._clock = clock
        self._include = Patterns(watch.include)
        self._exclude = Patterns(watch.exclude)
        self._path = os.path.abspath(watch.path)  # noqa: PTH100 - must not touch the file system
        self._direct = Patience(watch.path, None)
        self._patient = Patience(watch.path, stalled_after or watch.stalled_after)
        self._remote = False
        self._patience = self._direct
        self._assess()
        self._identity: str | None = None
        self._inode: tuple[int, int] | None = None
        self._had_files = False
        self._unobservable: frozenset[str] = frozenset()
        self._mounts: frozenset[str] = frozenset()
        self._arrived: dict[str, tuple[float, Stamp | None]] = {}
        self._lock = threading.Lock()

    # ---------------------------------------------------------------------------------- looking

    def scan(self, paths: Iterable[str] | None = None) -> Iterator[Sighting]:
        """Every publishable file, or only those at or below these paths, in byte order.

        A scan of everything only calls ``stat``: ``writing`` is not known, and is False. A scan of
        ``paths`` opens each file and tells who writes to it. Raises FolderUnreadable, FolderGone
        (also at the end, when the folder was replaced meanwhile), FolderStalled.
        """
        self._assess()
        found = self._scan_all() if paths is None else self._scan_some(paths)
        while batch := self._patience.call(lambda: list(islice(found, BATCH))):
            yield from batch

    def unobservable(self) -> tuple[str, ...]:
        """Sub-directories the last scan could not read: nothing below them is absent."""
        return tuple(sorted(self._unobservable))

    def exists(self, path: str) -> bool:
        """Whether something is there under that name, publishable or not; True when in doubt."""
        try:
            return self._patience.call(lambda: self._exists(path))
        except (OSError, FolderUnreadable):
            return True

    def ignored(self) -> Iterator[tuple[str, str]]:
        """Files that are there and are not published: (path, why)."""
        found = self._ignored()
        while batch := self._patience.call(lambda: list(islice(found, BATCH))):
            yield from batch

    def hint_arrived(self, paths: Iterable[str]) -> None:
        """Remember that these files arrived whole (renamed, moved in), until their next change."""
        now = self._clock()
        with self._lock:
            self._arrived = {
                path: told for path, told in self._arrived.items() if now - told[0] < ARRIVED_FOR
            }
            self._arrived.update(dict.fromkeys(paths, (now, None)))

    # ----------------------------------------------------------------------------------- reading

    @contextmanager
    def open(self, path: str, stamp: Stamp) -> Iterator[OpenFile]:
        """Open the file if it still has that stamp; raises SourceChanged, FileUnreadable."""
        try:
            descriptor = self._patience.call(lambda: self._open(path, stamp))
        except FolderUnreadable as error:
            raise FileUnreadable(error.message, hint=error.hint) from error
        except OSError as error:
            if error.errno in _VANISHED:
                raise SourceChanged(f"{readable(path)} is no longer there.") from error
            raise unreadable(path, error) from error
        try:
            yield OpenFile(
                descriptor,
                path,
                stamp,
                remote=self._remote,
                patience=self._patience,
                named=lambda: self._names(path),
            )
        finally:
            self._patience.later(lambda: os.close(descriptor))

    def fingerprint(self, path: str, stamp: Stamp) -> Fingerprint:
        """Read the whole file, checked as ``open`` does; raises SourceChanged, FileUnreadable."""
        digest = hashlib.sha1(usedforsecurity=False)
        with self.open(path, stamp) as source:
            for block in source.blocks():
                digest.update(block)
            source.check()
            return Fingerprint(digest.hexdigest(), source.size)

    # ---------------------------------------------------------------------------------- presence

    def kind(self) -> Literal["local", "network"]:
        """Whether other machines may change what is in it, which no event and no lease tells."""
        return "network" if self._remote else "local"

    def presence(self) -> str:
        """The identity of what is there now (file system, mount), to be kept and expected later.

        Raises FolderUnreadable, FolderGone, FolderStalled.
        """

        def look() -> str:
            with self._open_root() as root:
                return mounts.identity(root.descriptor, mounts.mount_of(root.descriptor))

        return self._patience.call(look)

    @property
    def identity(self) -> str | None:
        """Which folder the last look that went well saw; None before it."""
        return self._identity

    def expect(self, identity: str | None) -> None:
        """From now on anything but this identity is another folder; None: the next one found."""
        self._identity = identity

    def recognise(self, kept: str | None, record: Callable[[], Record]) -> None:
        """Expect the folder that was there last time, so that an empty mount point is not it.

        Another file system, or mount, that holds a file as it was published is the same folder
        moved (a new disk, a container): then it is taken as it is.
        """
        if kept is None:
            return
        try:
            found = self.presence()
        except FolderUnreadable:
            found = kept
        if found != kept:
            known = {
                entry.key.path: entry.stamp
                for entry in record().entries.values()
                if entry.key.folder == self._watch.name
            }
            if not known or self._holds_one_of(known):
                return
        self.expect(kept)

    def _holds_one_of(self, known: Mapping[str, Stamp | None]) -> bool:
        try:
            return any(
                (before := known.get(sighting.key.path)) is not None
                and (before.size, before.mtime_ns) == (sighting.stamp.size, sighting.stamp.mtime_ns)
                for sighting in self.scan()
            )
        except FolderUnreadable:
            return False

    # ------------------------------------------------------------------------------------ inside

    def _assess(self) -> None:
        """See whether it is on a network share now: one may be mounted after the service started.

        Finding out what a path is may itself hang: only what the mount table says is sure.
        """
        self._remote = mounts.kind_of(self._path) == "network"
        self._patience = self._patient if self._remote else self._direct

    @contextmanager
    def _open_root(self) -> Iterator[_Root]:
        try:
            descriptor = os.open(self._watch.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise self._lost(error) from error
        try:
            status = os.fstat(descriptor)
            yield _Root(descriptor, status.st_dev, status.st_ino, self._remote)
        finally:
            os.close(descriptor)

    def _lost(self, error: OSError) -> FolderUnreadable:
        path = self._watch.path
        if error.errno == errno.ENOENT:
            return FolderGone(
                f"The folder {path} is missing.",
                hint="Nothing is withdrawn because of that; put it back, or mount it.",
            )
        if error.errno in _VANISHED:
            return FolderGone(f"{path} is not a directory.", hint="Name a directory in `path`.")
        return FolderUnreadable(
            f"The folder {path} cannot be read: {error.strerror or error}.",
            hint="Nothing is concluded from it; see its rights, or the server it is on.",
        )

    def _recognise(self, root: _Root, *, completely: bool) -> None:
        """Raise FolderGone unless it is the folder we know, or nothing speaks against a new one."""
        inode = (root.device, root.inode)
        if self._inode == inode and not completely:
            return
        found = mounts.identity(root.descriptor, mounts.mount_of(root.descriptor))
        if self._identity is not None and found != self._identity and not self._is_arrival(found):
            raise FolderGone(
                f"Another file system than before stands at {self._watch.path}"
                f" ({_say(found)} instead of {_say(self._identity)}).",
                hint="Mount the right one again; if it is meant: `publisher-daemon retry --yes`.",
            )
        if self._inode not in {None, inode}:
            if self._had_files and not os.listdir(root.descriptor):  # noqa: PTH208 - a descriptor
                raise FolderGone(
                    f"{self._watch.path} was replaced by an empty folder.",
                    hint="Nothing is withdrawn because of that; put its files back.",
                )
            log.warning("folder.replaced", folder=self._watch.name, path=self._watch.path)
        self._identity, self._inode = found, inode

    def _is_arrival(self, found: str) -> bool:
        """Whether the share that was not mounted yet when we first looked has come.

        Only then: over a folder that had files, an unknown mount would hide them.
        """
        if self._identity is None or self._had_files:
            return False
        before, now = self._identity.split("|"), found.split("|")
        return len(before) == len(now) == 4 and now[3].startswith(before[3].rstrip("/") + "/")

    @contextmanager
    def _walking(self, *, completely: bool) -> Iterator[_Walk]:
        """A walk of the recognised root, which is still the same one when the walk is over."""
        with self._open_root() as root:
            self._recognise(root, completely=completely)
            if completely:
                real = os.path.realpath(f"/proc/self/fd/{root.descriptor}")
                self._mounts = mounts.below(real)
            walk = _Walk(root, self._mounts)
            try:
                yield walk
            except OSError as error:
                raise self._lost(error) from error
            with self._open_root() as again:
                if (again.device, again.inode) != (root.device, root.inode):
                    raise FolderGone(
                        f"{self._watch.path} was replaced while it was being read.",
                        hint="It is read again by itself.",
                    )

    def _scan_all(self) -> Iterator[Sighting]:
        with self._walking(completely=True) as walk:
            some = False
            for found in self._walk(walk, walk.root.descriptor, "", 0):
                if found.why is None:
                    some = True
                    yield self._sighting(found, writing=found.linked, lease=not self._remote)
        self._had_files = self._had_files or some
        self._unobservable = frozenset(walk.blind)

    def _scan_some(self, paths: Iterable[str]) -> Iterator[Sighting]:
        marker = self._watch.ready_marker
        wanted = {path.removesuffix(marker) if marker else path for path in paths}
        last = ""
        with self._walking(completely=False) as walk:
            for path in sorted(wanted, key=os.fsencode):
                # a directory was walked already, and everything below it
                if last and path.startswith(last):
                    continue
                try:
                    if path in {"", "."}:
                        last = ""
                        yield from self._below(walk, walk.root.descriptor, "")
                        break
                    with self._parent(walk, path) as parent:
                        if parent is None:
                            continue
                        status = os.stat(
                            path.rpartition("/")[2], dir_fd=parent, follow_symlinks=False
                        )
                        if modes.S_ISDIR(status.st_mode):
                            last = f"{path}/"
                            yield from self._narrow_directory(walk, parent, path, status)
                        else:
                            yield from self._narrow_file(walk, parent, path, status)
                except OSError as error:
                    if error.errno in _SHARE_LOST:
                        raise
                    if error.errno not in _VANISHED:
                        walk.blind.add(path.rpartition("/")[0] or path)
        self._unobservable = self._unobservable | walk.blind

    def _narrow_file(
        self, walk: _Walk, parent: int, path: str, status: os.stat_result
    ) -> Iterator[Sighting]:
        if not is_ignored(path.rpartition("/")[2]):
            found = self._verdict(walk, path, status, partial(_stat, parent))
            if found.why is None:
                yield self._asked(found, parent)

    def _narrow_directory(
        self, walk: _Walk, parent: int, path: str, status: os.stat_result
    ) -> Iterator[Sighting]:
        if self._closed_directory(walk, path, status) is not None:
            return
        descriptor = os.open(path.rpartition("/")[2], _DIRECTORY, dir_fd=parent)
        try:
            yield from self._below(walk, descriptor, f"{path}/")
        finally:
            os.close(descriptor)

    def _below(self, walk: _Walk, descriptor: int, prefix: str) -> Iterator[Sighting]:
        """Everything below an open directory, each file asked who writes to it."""
        for found in self._walk(walk, descriptor, prefix, prefix.count("/")):
            if found.why is None:
                rest = found.path[len(prefix) :]
                if "/" not in rest:
                    yield self._asked(found, descriptor)
                    continue
                with suppress(OSError), self._parent(walk, found.path) as parent:
                    if parent is not None:
                        yield self._asked(found, parent)

    def _asked(self, found: _Found, parent: int) -> Sighting:
        """The sighting of a file, opened to learn who writes to it."""
        name = found.path.rpartition("/")[2]
        try:
            descriptor = os.open(name, _FILE, dir_fd=parent)
        except OSError as error:
            # not readable: reading it will say so, in words, once it is still
            return self._sighting(found, writing=error.errno in _LOCKED, lease=False)
        try:
            # a share shows its newest state to whoever opens the file
            status = os.fstat(descriptor)
            found = _Found(found.path, status, None, found.arrived, found.linked)
            writer = Writer.UNKNOWN if self._remote else writer_of(descriptor)
        finally:
            os.close(descriptor)
        writing = found.linked or writer is Writer.SOMEBODY
        return self._sighting(found, writing=writing, lease=writer is not Writer.UNKNOWN)

    def _sighting(self, found: _Found, *, writing: bool, lease: bool) -> Sighting:
        stamp = stamp_of(found.status, remote=self._remote)
        return Sighting(
            key=ResourceKey(self._watch.dataset, self._watch.name, found.path),
            stamp=stamp,
            writing=writing,
            lease=lease,
            arrived=found.arrived or self._has_arrived(found.path, stamp),
            remote=self._remote,
        )

    def _has_arrived(self, path: str, stamp: Stamp) -> bool:
        if not self._arrived:
            return False
        with self._lock:
            told = self._arrived.get(path)
            if told is None:
                return False
            at, known = told
            if self._clock() - at >= ARRIVED_FOR or known not in {None, stamp}:
                del self._arrived[path]
                return False
            self._arrived[path] = (at, stamp)
            return True

    # ---------------------------------------------------------------------------------- the walk

    def _ignored(self) -> Iterator[tuple[str, str]]:
        with self._walking(completely=True) as walk:
            for found in self._walk(walk, walk.root.descriptor, "", 0):
                if found.why is not None:
                    yield found.path, found.why

    def _walk(self, walk: _Walk, descriptor: int, prefix: str, depth: int) -> Iterator[_Found]:
        """Everything below an open directory, in byte order of the path; vanished files are not."""
        with os.scandir(descriptor) as scan:
            entries = [(*_order(entry), entry) for entry in scan]
        entries.sort(key=itemgetter(0))
        sibling = partial(_stat, descriptor)
        for _, is_directory, entry in entries:
            path = prefix + entry.name
            try:
                if is_directory:
                    yield from self._enter(walk, descriptor, path, depth)
                    continue
                if is_ignored(entry.name):
                    yield _Found(path, _NOTHING, _TEMPORARY)
                    continue
                status = entry.stat(follow_symlinks=False)
            except OSError as error:
                if error.errno in _SHARE_LOST or (not prefix and error.errno == errno.EIO):
                    raise
                if error.errno not in _VANISHED:
                    walk.blind.add(path)
                continue
            yield self._verdict(walk, path, status, sibling)

    def _enter(self, walk: _Walk, parent: int, path: str, depth: int) -> Iterator[_Found]:
        """What is in a sub-directory; one that cannot be read is remembered by the caller."""
        name = path.rpartition("/")[2]
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
        why = self._closed_directory(walk, path, status)
        if why is None and depth >= DEEPEST:
            walk.blind.add(path)
            why = f"it lies deeper than {DEEPEST} directories"
        if why is not None:
            yield _Found(path, status, why)
            return
        descriptor = os.open(name, _DIRECTORY, dir_fd=parent)
        try:
            yield from self._walk(walk, descriptor, f"{path}/", depth + 1)
        finally:
            os.close(descriptor)

    def _closed_directory(self, walk: _Walk, path: str, status: os.stat_result) -> str | None:
        """Why a directory is not entered; None when it is."""
        if is_ignored(path.rpartition("/")[2]):
            return _TEMPORARY
        if status.st_dev != walk.root.device or path in walk.mounts:
            # what was there before is hidden, not gone
            walk.blind.add(path)
            return "another file system is mounted there; watch it as a folder of its own"
        if self._exclude.match_directory(path):
            return _EXCLUDED
        return None

    def _verdict(
        self,
        walk: _Walk,
        path: str,
        status: os.stat_result,
        sibling: Callable[[str], os.stat_result | None],
    ) -> _Found:
        """Whether a file, whose name is not one to ignore, is one to publish."""
        marker, name = self._watch.ready_marker, path.rpartition("/")[2]
        if marker and name.endswith(marker):
            return _Found(path, status, _TEMPORARY)
        if self._watch.include and not self._include.match(path):
            return _Found(path, status, "no pattern of `include` matches it")
        if self._exclude.match(path):
            return _Found(path, status, _EXCLUDED)
        if status.st_dev != walk.root.device or path in walk.mounts:
            return _Found(path, status, "another file system is mounted there")
        why = why_not(status)
        if why is not None:
            age = self._clock() - status.st_ctime
            if modes.S_ISREG(status.st_mode) and 0 <= age < LINKED_FOR_NOW:
                return _Found(path, status, linked=True)
            return _Found(path, status, why)
        if marker:
            told = sibling(name + marker)
            if told is None or not modes.S_ISREG(told.st_mode):
                return _Found(path, status, f"{readable(name + marker)} is not there yet")
            if told.st_mtime_ns < status.st_mtime_ns:
                return _Found(path, status, f"{readable(name + marker)} is older than it")
        return _Found(path, status, arrived=bool(marker))

    # ------------------------------------------------------------------------------- single files

    @contextmanager
    def _parent(self, walk: _Walk, path: str) -> Iterator[int | None]:
        """The directory of a path, opened component by component; None when it is not read."""
        parts = path.split("/")
        if any(part in {"", ".", ".."} for part in parts):
            yield None
            return
        descriptor = os.dup(walk.root.descriptor)
        try:
            for depth, part in enumerate(parts[:-1]):
                below = os.open(part, _DIRECTORY, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = below
                at = "/".join(parts[: depth + 1])
                if self._closed_directory(walk, at, os.fstat(descriptor)) is not None:
                    yield None
                    return
            yield descriptor
        finally:
            os.close(descriptor)

    def _exists(self, path: str) -> bool:
        with self._open_root() as root:
            if self._inode not in {None, (root.device, root.inode)}:
                return True
            try:
                os.stat(path, dir_fd=root.descriptor, follow_symlinks=False)
            except OSError as error:
                return error.errno not in {errno.ENOENT, errno.ENOTDIR}
            return True

    def _open(self, path: str, stamp: Stamp) -> int:
        with self._open_root() as root, self._parent(_Walk(root, self._mounts), path) as parent:
            if parent is None:
                raise SourceChanged(f"{readable(path)} is not in a directory that is published.")
            descriptor = os.open(path.rpartition("/")[2], _FILE, dir_fd=parent)
            try:
                self._admit(descriptor, root, path, stamp)
            except BaseException:
                os.close(descriptor)
                raise
            return descriptor

    def _admit(self, descriptor: int, root: _Root, path: str, stamp: Stamp) -> None:
        """Raise SourceChanged unless this open file is the one that was settled, at rest."""
        status = os.fstat(descriptor)
        if stamp_of(status, remote=self._remote) != stamp:
            raise SourceChanged(f"{readable(path)} changed since it was seen.")
        why = why_not(status)
        if why is not None or status.st_dev != root.device:
            raise SourceChanged(f"{readable(path)} is no longer published: {why or 'it moved'}.")
        if not self._remote and writer_of(descriptor) is Writer.SOMEBODY:
            raise SourceChanged(f"{readable(path)} is being written by another program.")

    def _names(self, path: str) -> tuple[int, int] | None:
        """What file the path leads to now: (device, inode)."""
        try:
            with self._open_root() as root, self._parent(_Walk(root, self._mounts), path) as parent:
                if parent is None:
                    return None
                status = os.stat(path.rpartition("/")[2], dir_fd=parent, follow_symlinks=False)
                return status.st_dev, status.st_ino
        except FolderUnreadable:
            return None
        except OSError as error:
            if error.errno in _VANISHED:
                return None
            raise


_NOTHING = os.stat_result([0] * 10)
_TEMPORARY = "its name is one of temporary, hidden, lock or system files"
_EXCLUDED = "a pattern of `exclude` matches it"


def _order(entry: os.DirEntry[str]) -> tuple[bytes, bool]:
    """Where an entry comes in the byte order of whole paths ("name/" for a directory)."""
    name = os.fsencode(entry.name)
    try:
        is_directory = entry.is_dir(follow_symlinks=False)
    except OSError:
        is_directory = False
    return (name + b"/" if is_directory else name), is_directory


def _stat(parent: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=parent, follow_symlinks=False)
    except OSError:
        return None


def _say(identity: str) -> str:
    parts = identity.split("|")
    return f"{parts[0]} mounted at {readable(parts[3])}" if len(parts) == 4 else identity
