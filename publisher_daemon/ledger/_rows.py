"""Turns values into rows and back, without losing a byte.

Paths are the bytes of the file name. Any other text may hold what is not Unicode (a surrogate that
stands for a byte of a mount point or of an answer): it is then kept as bytes, and read back the
same. Ids and checksums are hexadecimal digits: as bytes they take half the room, and a ledger of a
million files a third less.
"""

from __future__ import annotations

import json
import os
import struct
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from publisher_daemon.ledger.values import HistoryRow, Request
from publisher_daemon.model import (
    Attempt,
    DatasetId,
    Entry,
    Fingerprint,
    Known,
    Parcel,
    ResourceId,
    ResourceKey,
    Rollback,
    Stamp,
    Standing,
    State,
    Words,
)
from publisher_daemon.naming import base_name

#: What is said of every file, and what of few.
PLAIN_ENTRY = "dataset, folder, path, resource, sha1, size, stamp, permalink, applied, published_at"
ENTRY = f"{PLAIN_ENTRY}, restore, reset_to, gone_since"
INTENT = (
    "dataset, folder, path, kind, started_at, sha1, size, stamp, name, resource, before_sha1, "
    "before_size, title, words, sent, sent_at"
)
ATTEMPT = f"id, {INTENT}"
STANDING = (
    "dataset, folder, path, state, code, why, since, failures, not_before, stamp, sentry_id, "
    "http_status, forced, settings"
)
RELEASED = "dataset, folder, path, sha1"
ROLLBACK = "dataset, folder, path, sha1, size, instead"
PARCEL = "dataset, folder, path, id, sha1, size, part_size, why, at, sent, prefix, failures"
NOTE = "at, dataset, folder, path, action, resource, sha1, size, detail"
HISTORY = f"id, {NOTE}"

Row = Sequence[Any]
_STAMP = struct.Struct(">QqqQ")
_OWN_NAME = "="
_NUMBERS = frozenset({int, float})
#: of a dataset's id, of a sha1
_HEX_LENGTHS = frozenset({24, 40})
_UUID_LENGTH, _UUID_BYTES = 36, 16
#: where a UUID has its dashes
_DASHES = slice(8, 24, 5)


def marks(columns: str) -> str:
    """As many question marks as columns."""
    return ", ".join("?" for _ in columns.split(","))


# ------------------------------------------------------------------------------------------- cells


def storable(values: Iterable[object]) -> tuple[object, ...]:
    """What Python's sqlite3 takes at once: text that SQLite would refuse becomes bytes.

    And bytes become a bytearray: for bytes, and for None, sqlite3 first looks for an adapter in
    three places, which takes half a microsecond, and with five in a row as long as all the rest.
    """
    return tuple([value if type(value) in _NUMBERS else _storable(value) for value in values])


def _storable(value: object) -> object:
    if isinstance(value, bytes):
        return bytearray(value)
    if isinstance(value, str) and not value.isascii() and _has_surrogates(value):
        return bytearray(value, "utf-8", "surrogatepass")
    return value


def _has_surrogates(text: str) -> bool:
    return any("\ud800" <= letter <= "\udfff" for letter in text)


def text(cell: Any) -> Any:
    """The text that was stored; None stays None."""
    return cell.decode("utf-8", "surrogatepass") if isinstance(cell, bytes) else cell


def packed(identifier: str | None) -> str | bytes | None:
    """An id or a checksum in half the room; what does not look like one stays text."""
    if identifier is None:
        return None
    length = len(identifier)
    if length == _UUID_LENGTH and identifier[_DASHES] == "----":
        digits = identifier.replace("-", "")
    elif length in _HEX_LENGTHS:
        digits = identifier
    else:
        return identifier
    try:
        found = bytes.fromhex(digits)
    except ValueError:
        return identifier
    # fromhex takes capitals and blanks too; a dash too many leaves too few digits
    same = found.hex() == digits and (length != _UUID_LENGTH or len(found) == _UUID_BYTES)
    return found if same else identifier


def unpacked(cell: Any) -> Any:
    """The id or checksum that was packed."""
    if not isinstance(cell, bytes):
        return cell
    digits = cell.hex()
    if len(cell) != _UUID_BYTES:
        return digits
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


#: few, and asked for at each row
_dataset_cell = lru_cache(packed)
_dataset_of = lru_cache(unpacked)


def _shared(cell: Any) -> Any:
    """The text that was stored, as one object however many rows have it: a burst has 50,000."""
    found = text(cell)
    return None if found is None else sys.intern(found)


def path_cell(path: str | None) -> bytes | None:
    """A path as the bytes it has on the disk."""
    return None if path is None else os.fsencode(path)


def key_cells(key: ResourceKey) -> tuple[object, ...]:
    """The three columns that name a file."""
    return _dataset_cell(key.dataset), key.folder, os.fsencode(key.path)


def key_of(row: Row) -> ResourceKey:
    """From the three columns that name a file."""
    return ResourceKey(DatasetId(_dataset_of(row[0])), _shared(row[1]), os.fsdecode(row[2]))


def _bytes_cells(fingerprint: Fingerprint | None) -> tuple[object, object]:
    return (None, None) if fingerprint is None else (packed(fingerprint.sha1), fingerprint.size)


def _fingerprint(sha1: Any, size: Any) -> Fingerprint | None:
    return None if sha1 is None else Fingerprint(unpacked(sha1), size)


def _stamp_cell(stamp: Stamp | None) -> bytes | None:
    return None if stamp is None else _packed_stamp(stamp)


def _packed_stamp(stamp: Stamp) -> bytes:
    return _STAMP.pack(stamp.size, stamp.mtime_ns, stamp.ctime_ns, stamp.inode)


def _stamp(cell: bytes | None) -> Stamp | None:
    return None if cell is None else Stamp(*_STAMP.unpack(cell))


def known(row: Row) -> Known:
    """Path, stamp and whether it is gone, of one file of many."""
    return row[0], None if row[1] is None else _STAMP.unpack(row[1]), bool(row[2])


def _words(cell: str) -> Words:
    return Words.of(json.loads(cell)) if cell else Words()


def _words_cell(words: Words) -> str:
    said = words.said()
    return json.dumps(said) if said else ""


# -------------------------------------------------------------------------------------------- rows


def is_plain(entry: Entry) -> bool:
    """Whether PLAIN_ENTRY says all of it."""
    return entry.restore is None and entry.reset_to is None and entry.gone_since is None


def entry_cells(entry: Entry, links: Mapping[str, int]) -> tuple[object, ...]:
    """The columns of PLAIN_ENTRY or else of ENTRY, storable; ``links`` numbers how links begin."""
    key, fingerprint, stamp = entry.key, entry.fingerprint, entry.stamp
    plain = (
        *_folder_cells(key.dataset, key.folder), bytearray(os.fsencode(key.path)),
        _storable(packed(entry.resource)), _storable(packed(fingerprint.sha1)), fingerprint.size,
        None if stamp is None else bytearray(_packed_stamp(stamp)), _link_cell(entry, links),
        _applied_cell(entry), entry.published_at,
    )  # fmt: skip
    if is_plain(entry):
        return plain
    return *plain, *storable((entry.restore, entry.reset_to, entry.gone_since))


@lru_cache
def _folder_cells(dataset: DatasetId, folder: str) -> tuple[object, ...]:
    return storable((packed(dataset), folder))


def entry(row: Row, start: Callable[[int], str]) -> Entry:
    """From the columns of ENTRY; ``start`` says how the permalinks of that number begin."""
    resource, key = ResourceId(unpacked(row[3])), key_of(row)
    return Entry(
        key=key,
        resource=resource,
        fingerprint=Fingerprint(unpacked(row[4]), row[5]),
        stamp=_stamp(row[6]),
        permalink=_link(text(row[7]), resource, start),
        applied=_applied(row[8], key),
        published_at=row[9],
        restore=text(row[10]),
        reset_to=text(row[11]),
        gone_since=row[12],
    )


def link_start(entry: Entry) -> str | None:
    """How its permalink begins, when its end is the resource's id; else None."""
    if entry.permalink.endswith(entry.resource):
        return entry.permalink[: -len(entry.resource)]
    return None


def _link_cell(entry: Entry, links: Mapping[str, int]) -> object:
    """What is not there already: the last letter says what follows it."""
    start = link_start(entry)
    return _storable(f"{entry.permalink}.") if start is None else f"{links[start]}#"


def _link(cell: str, resource: ResourceId, start: Callable[[int], str]) -> str:
    if cell.endswith("#"):
        return f"{start(int(cell[:-1]))}{resource}"
    # the first version wrote the beginning itself
    return f"{cell[:-1]}{resource}" if cell.endswith("*") else cell[:-1]


def _applied_cell(entry: Entry) -> str:
    """The words; most files have their own name as title, and nothing else is said of them."""
    words = entry.applied
    if words.title == base_name(entry.key.path) and words.no_more_than_title:
        return _OWN_NAME
    return _words_cell(words)


def _applied(cell: str, key: ResourceKey) -> Words:
    return Words(title=base_name(key.path)) if cell == _OWN_NAME else _words(cell)


def intent_cells(attempt: Attempt) -> tuple[object, ...]:
    """The columns of INTENT."""
    return (
        *key_cells(attempt.key), attempt.kind, attempt.started_at,
        *_bytes_cells(attempt.fingerprint), _stamp_cell(attempt.stamp), attempt.name,
        packed(attempt.resource), *_bytes_cells(attempt.before), attempt.title,
        _words_cell(attempt.words), int(attempt.sent), attempt.sent_at,
    )  # fmt: skip


def attempt(row: Row) -> Attempt:
    """From the columns of ATTEMPT."""
    return Attempt(
        id=row[0],
        key=key_of(row[1:4]),
        kind=row[4],
        started_at=row[5],
        fingerprint=_fingerprint(row[6], row[7]),
        stamp=_stamp(row[8]),
        name=text(row[9]),
        resource=unpacked(row[10]),
        before=_fingerprint(row[11], row[12]),
        title=text(row[13]),
        words=_words(row[14]),
        sent=bool(row[15]),
        sent_at=row[16],
    )


def standing_cells(standing: Standing) -> tuple[object, ...]:
    """The columns of STANDING."""
    return (
        *key_cells(standing.key), standing.state, standing.code, standing.why, standing.since,
        standing.failures, standing.not_before, _stamp_cell(standing.stamp), standing.sentry_id,
        standing.http_status, int(standing.forced), standing.settings,
    )  # fmt: skip


def standing(row: Row) -> Standing:
    """From the columns of STANDING."""
    return Standing(
        key=key_of(row),
        state=State(row[3]),
        code=_shared(row[4]),
        why=_shared(row[5]),
        since=row[6],
        failures=row[7],
        not_before=row[8],
        stamp=_stamp(row[9]),
        sentry_id=text(row[10]),
        http_status=row[11],
        forced=bool(row[12]),
        settings=_shared(row[13]),
    )


def released(row: Row) -> tuple[ResourceKey, str]:
    """From the columns of RELEASED."""
    return key_of(row), str(unpacked(row[3]))


def rollback(row: Row) -> tuple[ResourceKey, Rollback]:
    """From the columns of ROLLBACK."""
    return key_of(row), Rollback(Fingerprint(unpacked(row[3]), row[4]), unpacked(row[5]))


def parcel_cells(parcel: Parcel) -> tuple[object, ...]:
    """The columns of PARCEL."""
    return (
        *key_cells(parcel.key), packed(parcel.id), *_bytes_cells(parcel.fingerprint),
        parcel.part_size, parcel.why, parcel.at, parcel.sent, packed(parcel.prefix),
        parcel.failures,
    )  # fmt: skip


def parcel(row: Row) -> Parcel:
    """From the columns of PARCEL."""
    return Parcel(
        key=key_of(row),
        id=unpacked(row[3]),
        fingerprint=Fingerprint(unpacked(row[4]), row[5]),
        part_size=row[6],
        why=text(row[7]),
        at=row[8],
        sent=row[9],
        prefix=unpacked(row[10]),
        failures=row[11],
    )


def note_cells(
    key: ResourceKey,
    *,
    at: float,
    action: str,
    resource: ResourceId | None,
    fingerprint: Fingerprint | None,
    detail: Mapping[str, object] | None,
) -> tuple[object, ...]:
    """The columns of NOTE."""
    return (
        at, *key_cells(key), action, packed(resource), *_bytes_cells(fingerprint),
        json.dumps(dict(detail or {}), default=str),
    )  # fmt: skip


def history_row(row: Row) -> HistoryRow:
    """From the columns of HISTORY."""
    return HistoryRow(
        id=row[0],
        at=row[1],
        key=key_of(row[2:5]),
        action=text(row[5]),
        resource=unpacked(row[6]),
        sha1=unpacked(row[7]),
        size=row[8],
        detail=json.loads(row[9]),
    )


def request(row: Row) -> Request:
    """From id, verb, dataset, path, detail."""
    path = None if row[3] is None else os.fsdecode(row[3])
    return Request(text(row[1]), unpacked(row[2]), path, text(row[4]))
