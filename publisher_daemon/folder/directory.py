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
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Literal

from publisher_daemon import mounts
from publisher_daemon.errors import (
    FileUnreadable,
    FolderGone,
    FolderStalled,
    FolderUnreadable,
    SourceChanged,
)
from publisher_daemon.folder._arrivals import Arrivals
from publisher_daemon.folder._covers import Covers
from publisher_daemon.folder._difference import Difference
from publisher_daemon.folder._lease import Writer, writer_of
from publisher_daemon.folder._patience import Patience
from publisher_daemon.folder._root import VANISHED, Presence, Root
from publisher_daemon.folder._tree import DIRECTORY, SHARE_LOST, Found, Tree, Walk
from publisher_daemon.folder.source import OpenFile, let_go, stamp_of, unreadable, why_not
from publisher_daemon.model import Fingerprint, Known, Record, ResourceKey, Sighting, Stamp, Watch
from publisher_daemon.naming import is_ignored, readable

#: Entries asked for at once of a file system that may stall.
BATCH = 100

_FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
_LOCKED = frozenset({errno.EBUSY, errno.ETXTBSY, errno.EAGAIN})


class Folder:
    """One watched directory."""

    def __init__(
        self,
        watch: Watch,
        *,
        clock: Callable[[], float] = time.time,
        stalled_after: float | None = None,
        answered: Callable[[], None] = lambda: None,
    ) -> None:
        """``answered`` is told each time the file system gave something."""
        self._watch = watch
        self._tree = Tree(watch, clock)
        self._presence = Presence(watch)
        self._arrivals = Arrivals(clock)
        self._path = os.path.abspath(watch.path)  # noqa: PTH100 - must not touch the file system
        self._direct = Patience(watch.path, None, answered)
        self._patient = Patience(watch.path, stalled_after or watch.stalled_after, answered)
        self._remote = False
        self._patience = self._direct
        self._assess()
        self._unobservable: frozenset[str] = frozenset()
        self._mounts: frozenset[str] = frozenset()
        self._covers = Covers()
        self._whole = True
        self._unmarked: list[tuple[Sighting, str]] = []

    # ---------------------------------------------------------------------------------- looking

    def scan(self, paths: Iterable[str] | None = None) -> Iterator[Sighting]:
        """Every publishable file, or only those at or below these paths, in byte order.

        A scan of everything only calls ``stat``: ``writing`` is not known, and is False. A scan of
        ``paths`` opens each file and tells who writes to it. Raises FolderUnreadable, FolderGone
        (also at the end, when the folder was replaced meanwhile), FolderStalled.
        """
        self._assess()
        self._unmarked = []
        found = self._scan_all() if paths is None else self._scan_some(paths)
        while batch := self._patience.call(lambda: list(islice(found, BATCH))):
            self._presence.had_files = True
            yield from batch

    def differences(self, known: Iterator[Known]) -> Iterator[str] | None:
        """Every path that is not as it was known: new, other, or gone; None when it cannot tell.

        ``known`` comes in byte order, and is walked along: a folder that did not change costs one
        ``stat`` a file and no memory. A file that may not be published any more though it is the
        same (a marker that went) is not told of. Raises as ``scan`` does.
        """
        if self._watch.ready_marker is not None:
            return None
        self._assess()
        return self._told(self._compare(known))

    def _told(self, found: Iterator[str | None]) -> Iterator[str]:
        while batch := self._patience.call(lambda: list(islice(found, BATCH))):
            yield from (path for path in batch if path is not None)

    def looked_whole(self) -> bool:
        """Whether the last look at everything could read everything."""
        return self._whole

    def unobservable(self) -> tuple[str, ...]:
        """Sub-directories the last scan could not read: nothing below them is absent."""
        return tuple(sorted(self._unobservable))

    def shows_again(self) -> bool:
        """Whether something that a mount hid from a look shows again: told once, to be looked at.

        Touches no file system; may be asked while somebody looks.
        """
        return self._covers.show_again()

    def exists(self, path: str) -> bool:
        """Whether a file of any kind has that name, publishable or not; True when in doubt."""
        try:
            return self._patience.call(lambda: self._exists(path))
        except (OSError, FolderUnreadable):
            return True

    def ignored(self) -> Iterator[tuple[str, str]]:
        """Files that are there and are not published: (path, why); not those that wait."""
        found = self._others()
        while batch := self._patience.call(lambda: list(islice(found, BATCH))):
            yield from batch

    def unmarked(self) -> tuple[tuple[Sighting, str], ...]:
        """Files the last scan met that are published once their marker says so, and why not yet."""
        return tuple(self._unmarked)

    def hint_arrived(self, paths: Iterable[str]) -> None:
        """Remember that these files arrived whole (renamed, moved in), until their next change."""
        self._arrivals.add(paths)

    # ----------------------------------------------------------------------------------- reading

    @contextmanager
    def open(self, path: str, stamp: Stamp) -> Iterator[OpenFile]:
        """Open the file if it still has that stamp; raises SourceChanged, FileUnreadable."""
        try:
            descriptor = self._patience.call(lambda: self._open(path, stamp))
        except FolderUnreadable as error:
            raise FileUnreadable(error.message, hint=error.hint) from error
        except OSError as error:
            if error.errno in VANISHED:
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

    def approved(self, path: str, fingerprint: Fingerprint) -> bool:
        """Whether a person put these very bytes, under this name, in the folder for approvals."""
        top = self._watch.checks.approvals
        if top is None:
            return False
        digest = hashlib.sha1(usedforsecurity=False)
        try:
            with _opened(os.path.join(top, path)) as descriptor:  # noqa: PTH118 - bytes stay
                status = os.fstat(descriptor)
                if not modes.S_ISREG(status.st_mode) or status.st_size != fingerprint.size:
                    return False
                while block := os.read(descriptor, 1024 * 1024):
                    digest.update(block)
        except OSError:
            return False
        return digest.hexdigest() == fingerprint.sha1

    def embargo(self, path: str) -> str | None:
        """What the file beside it, ``NAME.publish_after``, says; None when there is none.

        One that cannot be read says "?": better too late than too early.
        """
        beside = os.path.join(self._watch.path, f"{path}.publish_after")  # noqa: PTH118 - bytes stay

        def read() -> bytes:
            with _opened(beside) as descriptor:
                return os.read(descriptor, 100)

        try:
            said = self._patience.call(read)
        except FolderStalled:
            return "?"
        except OSError as error:
            absent = {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG}
            return None if error.errno in absent else "?"
        return said.decode("utf-8-sig", "replace").strip() or "?"

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
            with self._presence.open() as root:
                try:
                    return mounts.identity(root.descriptor, mounts.mount_of(root.descriptor))
                except OSError as error:
                    raise self._presence.lost(error) from error

        return self._patience.call(look)

    @property
    def identity(self) -> str | None:
        """Which folder the last look that went well saw; None before it.

        Not one that came in its place and has shown no file yet: that may go again.
        """
        return self._presence.sure()

    def expect(self, identity: str | None) -> None:
        """From now on anything but this identity is another folder; None: the next one found."""
        self._presence.expect(identity)

    def recognise(self, kept: str | None, record: Callable[[], Record]) -> None:
        """Expect the folder that was there last time, so that an empty mount point is not it.

        Another file system, or mount, that holds a file as it was published is the same folder
        moved (a new disk, a container): then it is taken as it is.
        """
        if kept is None:
            return
        real = self._path
        found: str | None = None
        with suppress(FolderUnreadable):
            found = self.presence()
            real = self._patience.call(lambda: os.path.realpath(self._path))
        if found is not None and mounts.same_folder(found, kept, real):
            self.expect(kept)
            return
        ours = [
            entry for entry in record().entries.values() if entry.key.folder == self._watch.name
        ]
        if found is not None:
            known = {entry.key.path: entry.stamp for entry in ours}
            if not known or self._holds_one_of(known):
                return
        self.expect(kept)
        self._presence.had_files = any(entry.gone_since is None for entry in ours)

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
    def _walking(self, *, completely: bool) -> Iterator[Walk]:
        """A walk of the recognised root, which is still the same one when the walk is over."""
        with self._presence.open() as root:
            try:
                self._presence.recognise(root, completely=completely)
                if completely:
                    real = os.path.realpath(f"/proc/self/fd/{root.descriptor}")
                    self._mounts = mounts.below(real)
                walk = Walk(root, self._mounts)
                try:
                    yield walk
                finally:
                    self._covers.note(walk)
            except OSError as error:
                raise self._presence.lost(error) from error
            with self._presence.open() as again:
                if (again.device, again.inode) != (root.device, root.inode):
                    raise FolderGone(
                        f"{self._watch.path} was replaced while it was being read.",
                        hint="It is read again by itself.",
                    )

    def _scan_all(self) -> Iterator[Sighting]:
        with self._walking(completely=True) as walk:
            some = False
            for found in self._tree.walk(walk, walk.root.descriptor, "", 0):
                some = some or found.why is None or found.waits
                if found.why is None:
                    yield self._sighting(found, writing=found.linked, lease=not self._remote)
                elif found.waits:
                    self._await_marker(found)
        self._met(walk, some=some)

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
                    with self._tree.parent(walk, path) as parent:
                        if parent is None or walk.is_mount(path):
                            walk.blind |= {path} & walk.mounts
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
                    if error.errno in SHARE_LOST:
                        raise
                    if error.errno not in VANISHED:
                        walk.blind.add(path.rpartition("/")[0] or path)
        self._unobservable = self._unobservable | walk.blind

    def _compare(self, known: Iterator[Known]) -> Iterator[str | None]:
        with self._walking(completely=True) as walk:
            difference = Difference(self._tree, walk, known, remote=self._remote)
            yield from difference.paths()
        self._met(walk, some=difference.some)

    def _met(self, walk: Walk, *, some: bool) -> None:
        """Keep what a look at everything met."""
        self._presence.had_files = self._presence.had_files or some
        self._unobservable = frozenset(walk.blind)
        self._whole = not walk.failed

    def _narrow_file(
        self, walk: Walk, parent: int, path: str, status: os.stat_result
    ) -> Iterator[Sighting]:
        if not is_ignored(path.rpartition("/")[2]):
            found = self._tree.verdict(walk, parent, path, status)
            if found.why is None:
                yield self._asked(found, parent)
            elif found.waits:
                self._await_marker(found)

    def _narrow_directory(
        self, walk: Walk, parent: int, path: str, status: os.stat_result
    ) -> Iterator[Sighting]:
        if self._tree.closed(walk, path, status) is not None:
            return
        descriptor = os.open(path.rpartition("/")[2], DIRECTORY, dir_fd=parent)
        try:
            yield from self._below(walk, descriptor, f"{path}/")
        finally:
            let_go(descriptor)

    def _below(self, walk: Walk, descriptor: int, prefix: str) -> Iterator[Sighting]:
        """Everything below an open directory, each file asked who writes to it."""
        for found in self._tree.walk(walk, descriptor, prefix, prefix.count("/")):
            if found.waits:
                self._await_marker(found)
            elif found.why is None:
                rest = found.path[len(prefix) :]
                if "/" not in rest:
                    yield self._asked(found, descriptor)
                    continue
                with suppress(OSError), self._tree.parent(walk, found.path) as parent:
                    if parent is not None:
                        yield self._asked(found, parent)

    def _asked(self, found: Found, parent: int) -> Sighting:
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
            found = Found(found.path, status, None, found.arrived, found.linked)
            writer = Writer.UNKNOWN if self._remote else writer_of(descriptor)
        finally:
            let_go(descriptor)
        writing = found.linked or writer is Writer.SOMEBODY
        return self._sighting(found, writing=writing, lease=writer is not Writer.UNKNOWN)

    def _sighting(self, found: Found, *, writing: bool, lease: bool) -> Sighting:
        stamp = stamp_of(found.status, remote=self._remote)
        return Sighting(
            key=ResourceKey(self._watch.dataset, self._watch.name, found.path),
            stamp=stamp,
            writing=writing,
            lease=lease,
            arrived=found.arrived or self._arrivals.has(found.path, stamp),
            remote=self._remote,
        )

    def _await_marker(self, found: Found) -> None:
        sighting = self._sighting(found, writing=False, lease=not self._remote)
        self._unmarked.append((sighting, found.why or ""))

    def _others(self) -> Iterator[tuple[str, str]]:
        with self._walking(completely=True) as walk:
            for found in self._tree.walk(walk, walk.root.descriptor, "", 0):
                if found.why is not None and not found.waits:
                    yield found.path, found.why

    # ------------------------------------------------------------------------------- single files

    def _exists(self, path: str) -> bool:
        with self._presence.open() as root:
            if self._presence.inode not in {None, (root.device, root.inode)}:
                return True
            try:
                found = os.stat(path, dir_fd=root.descriptor, follow_symlinks=False)
            except OSError as error:
                return error.errno not in {errno.ENOENT, errno.ENOTDIR}
            # the file of that name is gone: no directory hides one
            return not modes.S_ISDIR(found.st_mode)

    def _open(self, path: str, stamp: Stamp) -> int:
        with (
            self._presence.open() as root,
            self._tree.parent(Walk(root, self._mounts), path) as parent,
        ):
            if parent is None:
                raise SourceChanged(f"{readable(path)} is not in a directory that is published.")
            descriptor = os.open(path.rpartition("/")[2], _FILE, dir_fd=parent)
            try:
                self._admit(descriptor, root, path, stamp)
            except BaseException:
                let_go(descriptor)
                raise
            return descriptor

    def _admit(self, descriptor: int, root: Root, path: str, stamp: Stamp) -> None:
        """Raise SourceChanged unless this open file is the one that was settled, at rest."""
        status = os.fstat(descriptor)
        if stamp_of(status, remote=self._remote) != stamp:
            raise SourceChanged(f"{readable(path)} changed since it was seen.")
        why = why_not(status)
        if why is None and not mounts.same(descriptor, root.descriptor):
            why = "another file system is mounted there"
        if why is not None:
            raise SourceChanged(f"{readable(path)} is no longer published: {why}.")
        if not self._remote and writer_of(descriptor) is Writer.SOMEBODY:
            raise SourceChanged(f"{readable(path)} is being written by another program.")

    def _names(self, path: str) -> tuple[int, int] | None:
        """What file the path leads to now: (device, inode)."""
        try:
            with (
                self._presence.open() as root,
                self._tree.parent(Walk(root, self._mounts), path) as parent,
            ):
                if parent is None:
                    return None
                status = os.stat(path.rpartition("/")[2], dir_fd=parent, follow_symlinks=False)
                return status.st_dev, status.st_ino
        except FolderUnreadable:
            return None
        except OSError as error:
            if error.errno in VANISHED:
                return None
            raise


@contextmanager
def _opened(path: str) -> Iterator[int]:
    """A file that lies beside what is published; raises OSError."""
    descriptor = os.open(path, _FILE)
    try:
        yield descriptor
    finally:
        let_go(descriptor)
