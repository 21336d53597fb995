"""Keeps what is known of the thousands of files of one dataset in a tenth of the room.

As objects, what the ledger, the portal and the folder say of one file takes two to three KiB, and
a dataset may have fifty thousand. Here each is a few bytes, and made anew when it is asked for:
take a value out once and keep it for as long as it is needed, and no longer.
"""

from __future__ import annotations

import copy
import marshal
from abc import abstractmethod
from collections.abc import Collection, Iterable, Iterator, MutableMapping
from typing import Any, Self, TypeVar

from publisher_daemon.model import (
    Entry,
    Fingerprint,
    Identity,
    RemoteResource,
    ResourceId,
    ResourceKey,
    SourceFile,
    Stamp,
    Words,
)
from publisher_daemon.profile import Packed

K = TypeVar("K")
V = TypeVar("V")

#: Letters of a sha1, and of the id of a resource.
_SHA1, _UUID = 40, 36
#: Beginnings of permalinks that are looked through for each; a portal has one.
_MOST_STARTS = 8


class Shelf(MutableMapping[K, V]):
    """Values by their key; equal to what was put there, and never the same object."""

    def __init__(self, values: Iterable[V] = ()) -> None:
        self._kept: dict[K, bytes] = {}
        for value in values:
            self.put(value)

    def put(self, value: V) -> None:
        """Keep a value under its own key."""
        self[self._key(value)] = value

    def renew(self, values: Iterable[V]) -> None:
        """Have these and no others; the keys that are there already stay the same objects."""
        old = set(self._kept)
        for value in values:
            self.put(value)
            old.discard(self._key(value))
        for key in old:
            del self._kept[key]

    def without(self, keys: Collection[K]) -> Self:
        """The same, but for these."""
        if not keys:
            return self
        other = copy.copy(self)
        other._kept = {  # noqa: SLF001 - of the same class
            key: kept for key, kept in self._kept.items() if key not in keys
        }
        return other

    def __getitem__(self, key: K) -> V:
        # nothing but what we packed ourselves is ever read
        return self._value(key, marshal.loads(self._kept[key]))  # noqa: S302

    def __setitem__(self, key: K, value: V) -> None:
        self._kept[key] = marshal.dumps(self._cells(value))

    def __delitem__(self, key: K) -> None:
        del self._kept[key]

    def __iter__(self) -> Iterator[K]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, key: object) -> bool:
        return key in self._kept

    @abstractmethod
    def _key(self, value: V) -> K: ...

    @abstractmethod
    def _cells(self, value: V) -> tuple[Any, ...]: ...

    @abstractmethod
    def _value(self, key: K, cells: Any) -> V: ...


class Entries(Shelf[ResourceKey, Entry]):
    """What the ledger says of each file."""

    def __init__(self, values: Iterable[Entry] = ()) -> None:
        self._links = _Links()
        super().__init__(values)

    def _key(self, value: Entry) -> ResourceKey:
        return value.key

    def _cells(self, value: Entry) -> tuple[Any, ...]:
        return (
            _short(value.resource), *_bytes(value.fingerprint), _stamp(value.stamp),
            self._links.cell(value.permalink, value.resource), _words(value.applied),
            value.restore, value.reset_to, value.gone_since, value.published_at,
        )  # fmt: skip

    def _value(self, key: ResourceKey, cells: Any) -> Entry:
        resource = ResourceId(_long(cells[0]))
        return Entry(
            key,
            resource,
            Fingerprint(_long(cells[1]), cells[2]),
            cells[3] and Stamp(*cells[3]),
            self._links.link(cells[4], resource),
            Words(*cells[5]),
            *cells[6:],
        )


class Resources(Shelf[ResourceId, RemoteResource]):
    """What the portal says of each resource."""

    def __init__(self, values: Iterable[RemoteResource] = ()) -> None:
        self._links = _Links()
        super().__init__(values)

    def _key(self, value: RemoteResource) -> ResourceId:
        return value.id

    def _cells(self, value: RemoteResource) -> tuple[Any, ...]:
        source = value.source
        return (
            value.title, value.url, self._links.cell(value.permalink, value.id),
            value.sha1 and _short(value.sha1), value.size, value.description, value.type,
            value.filetype, value.format, value.schema, value.schema_version, value.created_at,
            value.last_modified,
            # mostly its own title and its own sha1 again
            source and (
                source.folder,
                True if source.path == value.title else source.path,
                True if source.sha1 == value.sha1 else source.sha1,
            ),
            value.extras,
            # what it finds is the portal's own JSON
            dict(value.analysis),
        )  # fmt: skip

    def _value(self, key: ResourceId, cells: Any) -> RemoteResource:
        title, url, link, sha1, size, *said, source, extras, analysis = cells
        sha1 = sha1 and _long(sha1)
        if source is not None:
            folder, path, same = source
            source = Identity(
                folder, title if path is True else path, sha1 if same is True else same
            )
        permalink = self._links.link(link, key)
        described = (sha1, size, *said, source, extras, analysis)
        return RemoteResource(key, title, url, permalink, *described)


class Files(Shelf[ResourceKey, SourceFile]):
    """The settled files that a look found."""

    def _key(self, value: SourceFile) -> ResourceKey:
        return value.key

    def _cells(self, value: SourceFile) -> tuple[Any, ...]:
        return (
            _stamp(value.stamp), *_bytes(value.fingerprint), value.name, _words(value.words),
            value.default_title, value.unsaid, value.pinned, value.profile, value.approved,
            value.rolled_back, value.publish_after,
        )  # fmt: skip

    def _value(self, key: ResourceKey, cells: Any) -> SourceFile:
        stamp, sha1, size, name, words, default, unsaid, pinned, profile, *more = cells
        return SourceFile(
            key,
            Stamp(*stamp),
            Fingerprint(_long(sha1), size),
            name,
            Words(*words),
            default,
            unsaid,
            pinned,
            None if profile is None else Packed(profile),
            *more,
        )


class _Links:
    """How permalinks begin, each beginning once; most end with the resource's id."""

    def __init__(self) -> None:
        self._starts: list[str] = []

    def cell(self, link: str, resource: str) -> str | int:
        if not link.endswith(resource):
            return link
        start = link[: len(link) - len(resource)]
        if start not in self._starts:
            if len(self._starts) == _MOST_STARTS:
                return link
            self._starts.append(start)
        return self._starts.index(start)

    def link(self, cell: str | int, resource: str) -> str:
        return cell if isinstance(cell, str) else self._starts[cell] + resource


def _short(digits: str) -> str | bytes:
    """A checksum or an id in half the room; what does not look like one stays text."""
    if len(digits) not in {_SHA1, _UUID}:
        return digits
    try:
        cell = bytes.fromhex(digits.replace("-", ""))
    except ValueError:
        return digits
    return cell if _long(cell) == digits else digits


def _long(cell: str | bytes) -> str:
    if isinstance(cell, str):
        return cell
    digits = cell.hex()
    if len(digits) == _SHA1:
        return digits
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _bytes(fingerprint: Fingerprint) -> tuple[Any, ...]:
    return _short(fingerprint.sha1), fingerprint.size


def _stamp(stamp: Stamp | None) -> tuple[int, ...] | None:
    if stamp is None:
        return None
    return stamp.size, stamp.mtime_ns, stamp.ctime_ns, stamp.inode


def _words(words: Words) -> tuple[Any, ...]:
    return words.title, words.description, words.type, words.schema, words.extras
