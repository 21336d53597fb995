"""Says what computed values are made of: names, publication dates, days in a column of the files.

Only what the dataset holds because of us counts: a file that waits to be published does not move
the period a page claims to cover. A column is read once for each content, then remembered.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from publisher_daemon.catalogue import Facts, Span, day, widest
from publisher_daemon.errors import FileUnreadable, FolderUnreadable, SourceChanged
from publisher_daemon.folder import Folder
from publisher_daemon.ledger import Ledger
from publisher_daemon.model import DatasetId, Entry, Fingerprint, ResourceKey, Stamp
from publisher_daemon.naming import readable

_TABLES = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz")
#: contents whose days are kept, of each dataset
MOST_DAYS = 5000
_SEPARATORS = ";,\t|"
#: first and last day by sha1 and column; None: that content has no such day
_Kept = dict[str, list[str] | None]
_day = lru_cache(maxsize=4096)(day)


class FactsOfFiles:
    """Looks at the files of a dataset, as far as its configuration needs."""

    def __init__(
        self,
        ledger: Ledger,
        folders: Mapping[tuple[DatasetId, str], Folder],
        clock: Callable[[], float],
    ) -> None:
        self._ledger = ledger
        self._folders = folders
        self._clock = clock
        self._lock = threading.Lock()
        self._memory: dict[DatasetId, _Kept] = {}

    def of(
        self, dataset: DatasetId, timezone: str, columns: frozenset[str], *, keep: bool = True
    ) -> Facts:
        """What is known now; ``keep`` False writes nothing in the ledger."""
        entries = self._ledger.read(dataset).entries
        zone = ZoneInfo(timezone)
        newest = max((entry.published_at for entry in entries.values()), default=0.0)
        return Facts(
            today=_date(self._clock(), zone),
            names=tuple(sorted(key.path for key in entries)),
            published=_date(newest, zone) if newest else None,
            columns=self._columns(dataset, entries.values(), columns, keep=keep) if columns else {},
        )

    def column(
        self,
        key: ResourceKey,
        stamp: Stamp,
        fingerprint: Fingerprint,
        column: str,
        *,
        keep: bool = True,
    ) -> Span | str:
        """The days in that column of one file, or why there are none; its content is read once."""
        if not key.path.lower().endswith(_TABLES):
            return f"It is no table, so it has no column “{column}”."
        place = f"{fingerprint.sha1}:{column}"
        known = self._known(key.dataset)
        if place not in known:
            try:
                span = self._read(key, stamp, column)
            except (FileUnreadable, FolderUnreadable, SourceChanged) as error:
                return f"The column “{column}” cannot be read: {error.message}"
            with self._lock:
                known[place] = span
                while len(known) > MOST_DAYS:
                    del known[next(iter(known))]
                if keep:
                    self._ledger.cache_put(_days(key.dataset), json.dumps(known), self._clock())
        said = known.get(place)
        if said is None:
            return f"It has no date in a column “{column}”."
        return date.fromisoformat(said[0]), date.fromisoformat(said[1])

    def _known(self, dataset: DatasetId) -> _Kept:
        """The days of each content and column, oldest first, as far as they were read."""
        with self._lock:
            if dataset not in self._memory:
                kept = self._ledger.cache_get(_days(dataset))
                self._memory[dataset] = {} if kept is None else json.loads(kept[0])
            return self._memory[dataset]

    def _columns(
        self, dataset: DatasetId, entries: Iterable[Entry], columns: frozenset[str], *, keep: bool
    ) -> dict[str, Span | str]:
        name = f"columns:{dataset}"
        kept = self._ledger.cache_get(name)
        before: _Kept = json.loads(kept[0]) if kept else {}
        after: _Kept = {}
        tables = [one for one in entries if one.key.path.lower().endswith(_TABLES)]
        spans = {column: self._column(tables, column, before, after) for column in columns}
        if keep and before != after:
            self._ledger.cache_put(name, json.dumps(after), self._clock())
        return spans

    def _column(self, tables: list[Entry], column: str, before: _Kept, after: _Kept) -> Span | str:
        """The days in that column of all the tables, or why there are none."""
        for entry in tables:
            place = f"{entry.fingerprint.sha1}:{column}"
            if place in before:
                after[place] = before[place]
            elif entry.stamp is not None and entry.gone_since is None:
                try:
                    after[place] = self._read(entry.key, entry.stamp, column)
                except (FileUnreadable, FolderUnreadable, SourceChanged) as error:
                    return f"The column “{column}” cannot be read everywhere: {error.message}"
        mine = (said for place, said in after.items() if place.partition(":")[2] == column)
        return (
            widest(
                (date.fromisoformat(said[0]), date.fromisoformat(said[1])) for said in mine if said
            )
            or f"No file of this dataset has a date in a column “{column}”."
        )

    def _read(self, key: ResourceKey, stamp: Stamp, column: str) -> list[str] | None:
        """The first and the last day of that column; None when the file has none."""
        folder = self._folders.get((key.dataset, key.folder))
        name = readable(key.path)
        if folder is None:
            return None
        with folder.open(key.path, stamp) as source:
            raw: io.BufferedReader | gzip.GzipFile = io.BufferedReader(_Blocks(source.blocks()))
            if key.path.lower().endswith(".gz"):
                raw = gzip.GzipFile(fileobj=raw)
            try:
                span = widest(_days_in(raw, column))
                source.check()
            except (csv.Error, EOFError, gzip.BadGzipFile, zlib.error) as error:
                raise FileUnreadable(f"{name} is no table that can be read: {error}.") from error
        return None if span is None else [span[0].isoformat(), span[1].isoformat()]


def _days(dataset: DatasetId) -> str:
    """Where the days of its files are kept."""
    return f"days:{dataset}"


def _date(at: float, zone: ZoneInfo) -> date:
    return datetime.fromtimestamp(at, UTC).astimezone(zone).date()


def _days_in(raw: io.BufferedReader | gzip.GzipFile, column: str) -> Iterator[Span]:
    """The days in that column, line after line."""
    first = raw.readline().removeprefix(codecs.BOM_UTF8)
    try:
        header, encoding = first.decode(), "utf-8"
    except UnicodeDecodeError:
        header, encoding = first.decode("cp1252", "replace"), "cp1252"
    separator = max(_SEPARATORS, key=header.count)
    names = next(csv.reader([header], delimiter=separator), [])
    wanted = [at for at, name in enumerate(names) if _same(name, column)]
    if not wanted:
        return
    lines = io.TextIOWrapper(raw, encoding, "replace", newline="")
    for cells in csv.reader(lines, delimiter=separator):
        span = _day(cells[wanted[0]]) if len(cells) > wanted[0] else None
        if span is not None:
            yield span


def _same(name: str, column: str) -> bool:
    return name.strip().casefold() == column.strip().casefold()


class _Blocks(io.RawIOBase):
    """Blocks of bytes as a file that can be read."""

    def __init__(self, blocks: Iterator[memoryview]) -> None:
        super().__init__()
        self._blocks = blocks
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # any writable buffer
        if not self._left:
            self._left = next(self._blocks, memoryview(b""))
        size = min(len(buffer), len(self._left))
        buffer[:size] = self._left[:size]
        self._left = self._left[size:]
        return size
