"""What a pass needs of the folder, the portal and the ledger: the promises they keep."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from publisher_daemon.errors import OutcomeUnknown
from publisher_daemon.model import (
    Attempt,
    AttemptKind,
    DatasetId,
    Entry,
    Fingerprint,
    Identity,
    Known,
    Line,
    Parcel,
    Record,
    RemoteDataset,
    RemoteResource,
    ResourceId,
    ResourceKey,
    Sighting,
    Stamp,
    Standing,
    Words,
)
from publisher_daemon.profile import Packed
from publisher_daemon.shelf import Entries, Resources


class Source(Protocol):
    """An open file whose stat is the one that was settled; what is read is what was checked."""

    @property
    def size(self) -> int:
        """Bytes, as ``fstat`` told when it was opened."""

    def blocks(
        self, size: int = 256 * 1024, start: int = 0, stop: int | None = None
    ) -> Iterator[memoryview]:
        """The bytes, or a stretch of them, in blocks of reused buffers; raises SourceChanged."""

    def read_at(self, offset: int, size: int) -> bytes:
        """The bytes from there, as many as there are up to ``size``; raises FileUnreadable."""

    def check(self) -> None:
        """Raise SourceChanged if the file moved since it was opened, or somebody writes to it."""


class OpenFile(Source, Protocol):
    """A file of the folder, which libraries may read as well."""

    @property
    def descriptor(self) -> int | None:
        """Its number for this process; None on a share."""


class Folder(Protocol):
    """One watched directory."""

    def scan(self, paths: Iterable[str] | None = None) -> Iterator[Sighting]:
        """Every publishable file (or only those), in byte order of the path.

        Raises FolderUnreadable, FolderGone, FolderStalled; after it ``unobservable`` tells which
        sub-directories could not be read.
        """

    def differences(self, known: Iterator[Known]) -> Iterator[str] | None:
        """Every path that is new, other or gone, at no cost in memory; None when it cannot tell.

        Raises as ``scan`` does.
        """

    def unmarked(self) -> tuple[tuple[Sighting, str], ...]:
        """Files the last scan met that wait for their ready marker, and why, in a sentence."""

    def unobservable(self) -> tuple[str, ...]:
        """Sub-directories the last complete scan could not read: nothing below them is absent."""

    def looked_whole(self) -> bool:
        """Whether the last look at everything could read everything."""

    def exists(self, path: str) -> bool:
        """Whether a file of any kind has that name, publishable or not; True when in doubt."""

    def hint_arrived(self, paths: Iterable[str]) -> None:
        """These came whole (moved in, renamed): their next sighting says so."""

    def ignored(self) -> Iterator[tuple[str, str]]:
        """Files that are there and are not published: (path, why)."""

    def open(self, path: str, stamp: Stamp) -> AbstractContextManager[OpenFile]:
        """Open the file if it still has that stamp; raises SourceChanged, FileUnreadable."""

    def approved(self, path: str, fingerprint: Fingerprint) -> bool:
        """Whether a person put these very bytes, under this name, in the folder for approvals."""

    def embargo(self, path: str) -> str | None:
        """What the file beside it, ``NAME.publish_after``, says; None when there is none."""

    def fingerprint(self, path: str, stamp: Stamp) -> Fingerprint:
        """Read the whole file, checked as ``open`` does; raises SourceChanged, FileUnreadable."""


class Keeper(Source, Protocol):
    """A source whose bytes are kept as they pass."""

    def commit(self) -> None:
        """They are published: keep them. Never raises."""


class Versions(Protocol):
    """What was published before; keeping it never gets in the way of publishing."""

    def keeping(
        self, source: Source, fingerprint: Fingerprint, before: Fingerprint | None = None
    ) -> AbstractContextManager[Keeper]:
        """Give the source on, and keep what passes once it is committed, and what was before."""

    def open(self, fingerprint: Fingerprint) -> AbstractContextManager[Source]:
        """A kept version; raises FileUnreadable."""


class Portal(Protocol):
    """The portal, as far as publishing needs it. No method retries a write."""

    def dataset(self, dataset: DatasetId) -> RemoteDataset:
        """The dataset as this key sees it; raises NotThere."""

    def resources(self, dataset: DatasetId) -> Resources:
        """All its resources, page after page."""

    def resource(self, dataset: DatasetId, resource: ResourceId) -> RemoteResource:
        """One resource; raises NotThere."""

    def upload(
        self,
        dataset: DatasetId,
        source: Source,
        fingerprint: Fingerprint,
        name: str,
        before_last_byte: Callable[[], None],
    ) -> RemoteResource:
        """Create a resource. The last block waits for ``source.check()``, the sha1, the callback.

        Whatever fails before the callback returned has done nothing (PortalUnreachable,
        SourceChanged); an answer lost after it is OutcomeUnknown.
        """

    def replace(  # noqa: PLR0917 - as upload, and the resource
        self,
        dataset: DatasetId,
        resource: ResourceId,
        source: Source,
        fingerprint: Fingerprint,
        name: str,
        before_last_byte: Callable[[], None],
    ) -> RemoteResource:
        """Give a resource other bytes; the same promises as ``upload``. Resets its title."""

    def put_part(  # noqa: PLR0917 - as replace, and the parts
        self,
        dataset: DatasetId,
        resource: ResourceId | None,
        parcel: Parcel,
        index: int,
        source: Source,
        name: str,
        seen: Callable[[bytes | bytearray | memoryview], object],
        before_last_byte: Callable[[], None],
    ) -> OutcomeUnknown | None:
        """Send one part; the error is given back when it is a 500: the part may be there or not.

        Nothing is published by it. The last block waits for ``source.check()`` and the callback;
        ``seen`` is given every byte.
        """

    def assemble(
        self, dataset: DatasetId, resource: ResourceId | None, parcel: Parcel, name: str
    ) -> RemoteResource:
        """Have the parts put together, which publishes the file. Raises OutcomeUnknown."""

    def describe(
        self,
        dataset: DatasetId,
        resource: ResourceId,
        words: Words,
        identity: Identity | None = None,
    ) -> RemoteResource:
        """Write the words that are said, and our identity if given (replaces all extras)."""

    def identify(self, dataset: DatasetId, resource: ResourceId, identity: Identity) -> None:
        """Merge our identity into the resource's extras; freshness does not move."""

    def withdraw(self, dataset: DatasetId, resource: ResourceId) -> None:
        """Delete the resource; raises NotThere when it is gone already."""

    def serves(self, resource: RemoteResource, *, bytes_too: bool = True) -> str | None:
        """None when its permalink leads to its url, which gives its size in bytes; else why not.

        Without ``bytes_too`` only where the permalink leads is looked at.
        """

    def extensions(self) -> frozenset[str]:
        """The extensions the portal says it accepts, lower case, without the dot."""


class Ledger(Protocol):
    """What we own and what we were about to do; each method is one durable transaction."""

    def read(
        self, dataset: DatasetId, *, queue: bool = True, over: Entries | None = None
    ) -> Record:
        """All that is known of one dataset; without the files that are queued if so asked.

        ``over``: what was read of it before, which is renewed rather than held twice.
        """

    def queue(self, dataset: DatasetId, folder: str, after: str, limit: int) -> list[str]:
        """The paths queued in one folder that come after this one, in byte order."""

    def enqueue(
        self, dataset: DatasetId, folder: str, paths: Iterable[str], *, why: str, now: float
    ) -> None:
        """Remember that these wait in the queue; those that stand somewhere stay there."""

    def unqueue(self, dataset: DatasetId, folder: str, paths: Iterable[str]) -> None:
        """Forget that these were queued."""

    def read_at(self, dataset: DatasetId, places: Mapping[str, Collection[str]]) -> Record:
        """What is known at or below these paths (by folder), and whatever waits for the portal."""

    def known(self, dataset: DatasetId, folder: str) -> Iterator[Known]:
        """The files of one folder, in byte order of their paths, without keeping them."""

    def waits(self, dataset: DatasetId) -> bool:
        """Whether anything of the dataset waits: a file, or a request without an answer."""

    def rewind(self, dataset: DatasetId, seconds: float) -> None:
        """Move what is waited for so many seconds back, as the clock was."""

    def profiles(self, sha1s: Iterable[str]) -> Mapping[str, Packed]:
        """What these published bytes hold, as far as it is known."""

    def end_rollback(self, key: ResourceKey) -> None:
        """The file in the folder counts again."""

    def begin(
        self,
        key: ResourceKey,
        kind: AttemptKind,
        *,
        now: float,
        fingerprint: Fingerprint | None = None,
        stamp: Stamp | None = None,
        name: str | None = None,
        resource: ResourceId | None = None,
        before: Fingerprint | None = None,
        title: str | None = None,
        words: Words = Words(),  # noqa: B008 - frozen
        profile: Packed | None = None,
    ) -> Attempt:
        """Commit an intent before its request, and what is known of the bytes it sends."""

    def sent(self, attempt: Attempt, *, now: float) -> None:
        """Commit that the request's last byte is about to go: from here on it may be done."""

    def finish(
        self,
        attempt: Attempt | int | None,
        entry: Entry,
        *,
        now: float,
        action: str,
        detail: Mapping[str, object] | None = None,
    ) -> None:
        """Write the entry, close the attempt, add a history row, clear the file's standing."""

    def adopt(
        self, entries: Collection[Entry], *, now: float, details: Iterable[Mapping[str, object]]
    ) -> None:
        """What ``finish`` does without an attempt, of many files in one transaction."""

    def close_attempt(
        self,
        attempt: Attempt,
        *,
        now: float,
        action: str,
        detail: Mapping[str, object] | None = None,
    ) -> None:
        """Close an attempt that did nothing (abandoned, refused)."""

    def note(
        self, key: ResourceKey, action: str, *, now: float, detail: Mapping[str, object]
    ) -> None:
        """Add a history row, and nothing else."""

    def parcel(self, key: ResourceKey) -> Parcel | None:
        """What the portal has of a file that goes up in parts."""

    def keep_parcel(self, parcel: Parcel) -> None:
        """Commit what is about to be on the portal of a file that goes up in parts."""

    def drop_parcel(self, key: ResourceKey) -> None:
        """Forget the parts: they were put together, or are of no use."""

    def line(self) -> Line:
        """What was learned of the way to the portal."""

    def keep_line(self, line: Line, *, now: float) -> None:
        """Keep what was learned of the way to the portal."""

    def rename(self, old: ResourceKey, entry: Entry, *, now: float) -> None:
        """Move the entry of ``old`` to ``entry.key``."""

    def forget(self, key: ResourceKey, *, now: float, action: str) -> None:
        """Drop an entry (history stays)."""

    def touch(self, entry: Entry) -> None:
        """Rewrite an entry without history: a new stamp, or ``gone_since``."""

    def stand(self, standings: Iterable[Standing], cleared: Iterable[ResourceKey] = ()) -> None:
        """Remember why these files are not as they should be; forget it for the cleared ones."""
