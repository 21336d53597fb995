"""The ledger in one SQLite file: each method is one durable transaction."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, fields, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from publisher_daemon.ledger import _rows
from publisher_daemon.ledger._links import Links
from publisher_daemon.ledger._store import Store, Writing
from publisher_daemon.ledger.values import DatasetFacts, HistoryRow, Request
from publisher_daemon.model import (
    QUEUED,
    Attempt,
    AttemptKind,
    DatasetId,
    Entry,
    Fingerprint,
    Known,
    Line,
    Parcel,
    Record,
    ResourceId,
    ResourceKey,
    Rollback,
    Stamp,
    Standing,
    State,
    Words,
)
from publisher_daemon.profile import Packed
from publisher_daemon.shelf import Entries

#: Rows read at once of a folder that may have a million.
AT_ONCE = 5000
#: Values in one statement (SQLite's own limit is 32,766).
_MOST_VALUES = 30_000

#: Parcels this old (in seconds) are of files that are gone; the portal keeps no part so long.
_LOST_PARCEL = 7 * 86400.0
#: REPLACE drops the resource's row of another file of the dataset too: two files cannot own one
#: resource, so that one is gone, or was overruled
_PUT, _PUT_PLAIN = (
    f"INSERT OR REPLACE INTO entry ({columns}) VALUES ({_rows.marks(columns)})"  # noqa: S608 - our own words
    for columns in (_rows.ENTRY, _rows.PLAIN_ENTRY)
)
_NOTE = f"INSERT INTO history ({_rows.NOTE}) VALUES ({_rows.marks(_rows.NOTE)})"  # noqa: S608 - our own words
_THIS_FILE = "dataset=? AND folder=? AND path=?"
# two statements: for one with OR, SQLite reads all of the folder
_AT = f"WHERE {_THIS_FILE}"
_BELOW = "WHERE dataset=? AND folder=? AND path>=? AND path<?"
_UNSTAND = f"DELETE FROM standing WHERE {_THIS_FILE}"  # noqa: S608 - our own words
_UNPARCEL = f"DELETE FROM parcel WHERE {_THIS_FILE} AND sha1=?"  # noqa: S608 - our own words
#: The instants that waits count from or end at; NULL stays NULL.
_WAITED = {
    "attempt": ("started_at", "sent_at"),
    "standing": ("since", "not_before"),
    "entry": ("gone_since",),
}


class Ledger:
    """What we own, in ``state_dir``. ``read_only`` opens what is there, or nothing at all."""

    def __init__(self, state_dir: Path, *, read_only: bool = False) -> None:
        self._store = Store(state_dir, read_only=read_only)
        self._links = Links(self._store)

    def close(self) -> None:
        """Close every connection."""
        self._store.close()

    def lock(self) -> AbstractContextManager[None]:
        """Be the only instance on this state directory; raises LedgerBusy, LedgerBroken."""
        return self._store.lock()

    # ---------------------------------------------------------------------------------- reading

    def read(
        self, dataset: DatasetId, *, queue: bool = True, over: Entries | None = None
    ) -> Record:
        """All that is known of one dataset, at one instant; without those queued if so asked.

        ``over``: what was read of it before, which is renewed rather than held twice.
        """
        kept = Entries() if over is None else over
        waiting = "" if queue else f" AND (code<>'{QUEUED}' OR forced)"
        # row by row: a folder's burst has fifty thousand, each of which would be held twice
        with self._store.snapshot():
            kept.renew(map(self._links.entry, self._of(dataset, _rows.ENTRY, "entry")))
            attempts = map(_rows.attempt, self._of(dataset, _rows.ATTEMPT, "attempt"))
            standings = map(_rows.standing, self._of(dataset, _rows.STANDING, "standing", waiting))
            released = map(_rows.released, self._of(dataset, _rows.RELEASED, "released"))
            rollbacks = map(_rows.rollback, self._of(dataset, _rows.ROLLBACK, "rollback"))
            return Record(
                kept,
                tuple(sorted(attempts, key=lambda attempt: attempt.id)),
                {standing.key: standing for standing in standings},
                dict(released),
                dict(rollbacks),
            )

    def read_at(self, dataset: DatasetId, places: Mapping[str, Collection[str]]) -> Record:
        """Of the files at or below these paths (by folder), all; of the others, what cannot wait.

        That is: every attempt, and the standings that only a look at the portal ends.
        """
        name = _rows.packed(dataset)
        with self._store.snapshot():
            attempts = map(_rows.attempt, self._of(dataset, _rows.ATTEMPT, "attempt"))
            rows = self._store.rows(
                f"SELECT {_rows.STANDING} FROM standing "  # noqa: S608 - our own words
                "WHERE dataset=? AND (forced OR code='unverified')",
                (name,),
            )
            entries: list[tuple[Any, ...]] = []
            for folder, paths in places.items():
                for path in paths:
                    there = os.fsencode(path)
                    # "0" is what comes after "/"
                    below = (name, folder, there + b"/", there + b"0")
                    for where, values in ((_AT, (name, folder, there)), (_BELOW, below)):
                        entries += self._store.rows(
                            f"SELECT {_rows.ENTRY} FROM entry {where}",  # noqa: S608 - our own words
                            values,
                        )
                        # of a directory, not those queued in it: there may be very many
                        rows += self._store.rows(
                            f"SELECT {_rows.STANDING} FROM standing {where}"  # noqa: S608 - our own words
                            f" AND (path=?3 OR code<>'{QUEUED}' OR forced)",
                            values,
                        )
            released = map(_rows.released, self._of(dataset, _rows.RELEASED, "released"))
            rollbacks = map(_rows.rollback, self._of(dataset, _rows.ROLLBACK, "rollback"))
            return Record(
                Entries(map(self._links.entry, entries)),
                tuple(sorted(attempts, key=lambda attempt: attempt.id)),
                {standing.key: standing for standing in map(_rows.standing, rows)},
                dict(released),
                dict(rollbacks),
            )

    def known(self, dataset: DatasetId, folder: str) -> Iterator[Known]:
        """The files of one folder in byte order of their paths, a few thousand at a time."""
        last: bytes = b""
        while True:
            rows = self._store.rows(
                "SELECT path, stamp, gone_since IS NOT NULL FROM entry"
                " WHERE dataset=? AND folder=? AND path>? ORDER BY path LIMIT ?",
                (_rows.packed(dataset), folder, last, AT_ONCE),
            )
            yield from map(_rows.known, rows)
            if len(rows) < AT_ONCE:
                return
            last = rows[-1][0]

    def waits(self, dataset: DatasetId) -> bool:
        """Whether anything of the dataset waits: a file, or a request without an answer."""
        ((waits,),) = self._store.rows(
            "SELECT EXISTS (SELECT 1 FROM standing WHERE dataset=?1)"
            " OR EXISTS (SELECT 1 FROM attempt WHERE dataset=?1)",
            (_rows.packed(dataset),),
        )
        return bool(waits)

    def queue(self, dataset: DatasetId, folder: str, after: str, limit: int) -> list[str]:
        """The paths queued in one folder that come after this one, in byte order."""
        rows = self._store.rows(
            "SELECT path FROM standing WHERE dataset=? AND folder=? AND path>?"
            " AND code=? AND NOT forced ORDER BY path LIMIT ?",
            (_rows.packed(dataset), folder, os.fsencode(after), QUEUED, limit),
        )
        return [os.fsdecode(row[0]) for row in rows]

    def profiles(self, sha1s: Iterable[str]) -> dict[str, Packed]:
        """What these published bytes hold, as far as it is known."""
        found: dict[str, Packed] = {}
        for sha1 in sha1s:
            rows = self._store.rows(
                "SELECT profile FROM profile WHERE sha1=?", (_rows.packed(sha1),)
            )
            if rows:
                found[sha1] = Packed(rows[0][0])
        return found

    def _of(
        self, dataset: DatasetId, columns: str, table: str, which: str = ""
    ) -> Iterator[tuple[Any, ...]]:
        """The dataset's rows, one by one; inside a snapshot."""
        return self._store.each(
            f"SELECT {columns} FROM {table} WHERE dataset=?{which}",  # noqa: S608 - our own words
            (_rows.packed(dataset),),
        )

    def standings(self, limit: int = 10_000) -> list[Standing]:
        """Why files are not as they should be, of every dataset, the oldest first."""
        rows = self._store.rows(
            f"SELECT {_rows.STANDING} FROM standing ORDER BY since LIMIT ?",  # noqa: S608 - our own words
            (limit,),
        )
        return [_rows.standing(row) for row in rows]

    def entry(self, key: ResourceKey) -> Entry | None:
        """What is known of one file."""
        rows = self._store.rows(
            f"SELECT {_rows.ENTRY} FROM entry WHERE {_THIS_FILE}",  # noqa: S608 - our own words
            _rows.key_cells(key),
        )
        return self._links.entry(rows[0]) if rows else None

    def standing_counts(self) -> dict[tuple[DatasetId, str, State], tuple[int, float]]:
        """How many files of each folder stand where, and since when the first of them does."""
        rows = self._store.rows(
            "SELECT dataset, folder, state, count(*), min(since) FROM standing GROUP BY 1, 2, 3"
        )
        return {
            (DatasetId(_rows.unpacked(row[0])), str(_rows.text(row[1])), State(row[2])): row[3:]
            for row in rows
        }

    def last_published(self) -> dict[tuple[DatasetId, str], float]:
        """When a file of each folder was last published; reads every entry."""
        rows = self._store.rows(
            "SELECT dataset, folder, max(published_at) FROM entry GROUP BY 1, 2"
        )
        return {
            (DatasetId(_rows.unpacked(row[0])), str(_rows.text(row[1]))): row[2] for row in rows
        }

    def size(self) -> int:
        """Bytes of the ledger itself."""
        pages, size = (
            self._store.rows(f"PRAGMA {name}")[0][0] for name in ("page_count", "page_size")
        )
        return int(pages) * int(size)

    def entry_of(self, dataset: DatasetId, resource: ResourceId) -> ResourceKey | None:
        """The file that owns this resource of a dataset."""
        rows = self._store.rows(
            f"SELECT {_rows.ENTRY} FROM entry WHERE dataset=? AND resource=?",  # noqa: S608 - our own words
            (_rows.packed(dataset), _rows.packed(resource)),
        )
        return self._links.entry(rows[0]).key if rows else None

    def history(
        self,
        *,
        dataset: DatasetId | None = None,
        path: str | None = None,
        since: float = 0.0,
        limit: int = 1000,
    ) -> list[HistoryRow]:
        """What was done, newest first."""
        where: list[str] = ["at>=?"]
        values: list[object] = [since]
        if dataset is not None:
            where.append("dataset=?")
            values.append(_rows.packed(dataset))
        if path is not None:
            where.append("path=?")
            values.append(_rows.path_cell(path))
        rows = self._store.rows(
            f"SELECT {_rows.HISTORY} FROM history "  # noqa: S608 - our own words
            f"WHERE {' AND '.join(where)} ORDER BY at DESC, id DESC LIMIT ?",
            [*values, limit],
        )
        return [_rows.history_row(row) for row in rows]

    def remembered(self) -> set[ResourceKey]:
        """Every file that the history tells of."""
        rows = self._store.rows("SELECT DISTINCT dataset, folder, path FROM history")
        return {_rows.key_of(row) for row in rows}

    def prune(self, older_than: float, batch: int = 1000) -> int:
        """Drop the oldest history rows before that instant, at most ``batch``; returns how many.

        Few at a time, so that nobody waits for it: ask again while it gives ``batch`` back.
        """
        with self._store.write() as writing:
            return writing.do(
                "DELETE FROM history WHERE id IN "
                "(SELECT id FROM history WHERE at<? ORDER BY at LIMIT ?)",
                (older_than, batch),
            ).rowcount

    def published(self, among: Collection[str]) -> set[str]:
        """Those of these sha1 that are on the portal because of us; reads every entry."""
        asked, found = sorted(among), set[str]()
        for start in range(0, len(asked), _MOST_VALUES):
            some = [_rows.packed(sha1) for sha1 in asked[start : start + _MOST_VALUES]]
            marks = ", ".join("?" for _ in some)
            rows = self._store.rows(
                f"SELECT DISTINCT sha1 FROM entry WHERE sha1 IN ({marks})",  # noqa: S608 - our own words
                some,
            )
            found |= {str(_rows.unpacked(row[0])) for row in rows}
        return found

    def prune_profiles(self, older_than: float, batch: int = 1000) -> int:
        """Forget what bytes held that have not been published for so long; how many, as ``prune``.

        Which they are takes a look at every entry: it is taken before the transaction, in which
        nobody else could write.
        """
        rows = self._store.rows(
            "SELECT sha1 FROM profile WHERE at<? AND sha1 NOT IN (SELECT sha1 FROM entry) LIMIT ?",
            (older_than, batch),
        )
        if rows:
            with self._store.write() as writing:
                # what is published again meanwhile is of today
                writing.each(
                    "DELETE FROM profile WHERE sha1=? AND at<?",
                    ((row[0], older_than) for row in rows),
                )
        return len(rows)

    def rewind(self, dataset: DatasetId, seconds: float) -> None:
        """Move what is waited for so many seconds back, as the clock was."""
        with self._store.write() as writing:
            for table, instants in _WAITED.items():
                moved = ", ".join(f"{instant}={instant}-?" for instant in instants)
                writing.do(
                    f"UPDATE {table} SET {moved} WHERE dataset=? "  # noqa: S608 - our own words
                    f"AND {instants[0]} IS NOT NULL",
                    (*[seconds] * len(instants), _rows.packed(dataset)),
                )

    # -------------------------------------------------------------------------------- publishing

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
        attempt = Attempt(
            0, key, kind, now, fingerprint, stamp, name, resource, before, title, words
        )
        with self._store.write() as writing:
            number = _insert(
                writing, "INSERT", "attempt", _rows.INTENT, _rows.intent_cells(attempt)
            )
            if profile is not None and fingerprint is not None:
                writing.do(
                    "INSERT OR REPLACE INTO profile VALUES (?, ?, ?)",
                    (_rows.packed(fingerprint.sha1), profile, now),
                )
        return replace(attempt, id=number)

    def sent(self, attempt: Attempt, *, now: float) -> None:
        """Commit that the request's last byte is about to go: its grace counts from here."""
        with self._store.write() as writing:
            writing.do("UPDATE attempt SET sent=1, sent_at=? WHERE id=?", (now, attempt.id))

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
        self._links.meet([entry])
        with self._store.write() as writing:
            self._put(writing, [entry])
            _close(writing, attempt)
            _delete(writing, "standing", entry.key)
            writing.do(_UNPARCEL, _parcel_cells(entry))
            _note(writing, entry, now=now, action=action, detail=detail)

    def adopt(
        self, entries: Collection[Entry], *, now: float, details: Iterable[Mapping[str, object]]
    ) -> None:
        """What ``finish`` does without an attempt, of many files at once: ``resource.adopted``.

        Each commit waits for the disk; a dataset that is found again has thousands of files.
        """
        self._links.meet(entries)
        with self._store.write() as writing:
            self._put(writing, entries)
            writing.each(_UNSTAND, (_rows.key_cells(entry.key) for entry in entries))
            writing.each(_UNPARCEL, map(_parcel_cells, entries))
            writing.each(
                _NOTE,
                (
                    _rows.note_cells(
                        entry.key,
                        at=now,
                        action="resource.adopted",
                        resource=entry.resource,
                        fingerprint=entry.fingerprint,
                        detail=detail,
                    )
                    for entry, detail in zip(entries, details, strict=True)
                ),
            )

    def _put(self, writing: Writing, entries: Iterable[Entry]) -> None:
        for plain, some in groupby(entries, _rows.is_plain):
            writing.each_as_is(_PUT_PLAIN if plain else _PUT, map(self._links.cells, some))

    def close_attempt(
        self,
        attempt: Attempt,
        *,
        now: float,
        action: str,
        detail: Mapping[str, object] | None = None,
    ) -> None:
        """Close an attempt that did nothing (abandoned, refused)."""
        with self._store.write() as writing:
            _close(writing, attempt)
            _note(writing, attempt, now=now, action=action, detail=detail)

    def note(
        self, key: ResourceKey, action: str, *, now: float, detail: Mapping[str, object]
    ) -> None:
        """Add a history row, and nothing else."""
        with self._store.write() as writing:
            _note(writing, key, now=now, action=action, detail=detail)

    def parcel(self, key: ResourceKey) -> Parcel | None:
        """What the portal has of a file that goes up in parts."""
        rows = self._store.rows(
            f"SELECT {_rows.PARCEL} FROM parcel WHERE {_THIS_FILE}",  # noqa: S608 - our own words
            _rows.key_cells(key),
        )
        return _rows.parcel(rows[0]) if rows else None

    def keep_parcel(self, parcel: Parcel) -> None:
        """Commit what is about to be on the portal of a file that goes up in parts."""
        with self._store.write() as writing:
            writing.do("DELETE FROM parcel WHERE at<?", (parcel.at - _LOST_PARCEL,))
            cells = _rows.parcel_cells(parcel)
            _insert(writing, "INSERT OR REPLACE", "parcel", _rows.PARCEL, cells)

    def drop_parcel(self, key: ResourceKey) -> None:
        """Forget the parts: they were put together, or are of no use."""
        with self._store.write() as writing:
            _delete(writing, "parcel", key)

    def line(self) -> Line:
        """What was learned of the way to the portal."""
        kept = self.cache_get("line")
        return Line(**json.loads(kept[0])) if kept else Line()

    def keep_line(self, line: Line, *, now: float) -> None:
        """Keep what was learned of the way to the portal."""
        self.cache_put("line", json.dumps(line._asdict()), now)

    def rename(self, old: ResourceKey, entry: Entry, *, now: float) -> None:
        """Move the entry of ``old`` to ``entry.key``."""
        self._links.meet([entry])
        with self._store.write() as writing:
            _delete(writing, "entry", old)
            _delete(writing, "standing", old)
            self._put(writing, [entry])
            path = os.fsencode(old.path).decode(errors="backslashreplace")
            detail = {"old_folder": old.folder, "old_path": path}
            _note(writing, entry, now=now, action="resource.renamed", detail=detail)

    def forget(self, key: ResourceKey, *, now: float, action: str) -> None:
        """Drop an entry; history stays."""
        with self._store.write() as writing:
            row = writing.do(
                f"SELECT {_rows.ENTRY} FROM entry WHERE {_THIS_FILE}",  # noqa: S608 - our own words
                _rows.key_cells(key),
            ).fetchone()
            _delete(writing, "entry", key)
            _delete(writing, "standing", key)
            _note(writing, self._links.entry(row) if row else key, now=now, action=action)

    def touch(self, *entries: Entry) -> None:
        """Rewrite entries without history."""
        self._links.meet(entries)
        with self._store.write() as writing:
            self._put(writing, entries)

    def stand(self, standings: Iterable[Standing], cleared: Iterable[ResourceKey] = ()) -> None:
        """Remember why these files are not as they should be; forget it for the cleared ones.

        Of files that only wait the disk is not waited for: the next look finds them waiting, and
        the quiet time of others would run out meanwhile.
        """
        standings, cleared = tuple(standings), tuple(cleared)
        lightly = not cleared and all(
            standing.state is State.PENDING and not standing.failures for standing in standings
        )
        with self._store.write(lightly=lightly) as writing:
            for key in cleared:
                _delete(writing, "standing", key)
            for standing in standings:
                cells = _rows.standing_cells(standing)
                _insert(writing, "INSERT OR REPLACE", "standing", _rows.STANDING, cells)

    def enqueue(
        self, dataset: DatasetId, folder: str, paths: Iterable[str], *, why: str, now: float
    ) -> None:
        """Remember that these wait in the queue; those that stand somewhere stay there."""
        with self._store.write(lightly=True) as writing:
            for path in paths:
                key = ResourceKey(dataset, folder, path)
                cells = _rows.standing_cells(Standing(key, State.PENDING, QUEUED, why, now))
                _insert(writing, "INSERT OR IGNORE", "standing", _rows.STANDING, cells)

    def unqueue(self, dataset: DatasetId, folder: str, paths: Iterable[str]) -> None:
        """Forget that these were queued."""
        with self._store.write(lightly=True) as writing:
            writing.each(
                f"{_UNSTAND} AND code=? AND NOT forced",
                ((*_rows.key_cells(ResourceKey(dataset, folder, path)), QUEUED) for path in paths),
            )

    def release(self, key: ResourceKey, fingerprint: Fingerprint, *, now: float) -> None:
        """A person lets exactly these bytes through, in spite of a check."""
        with self._store.write() as writing:
            writing.do(
                "INSERT OR REPLACE INTO released VALUES (?, ?, ?, ?)",
                (*_rows.key_cells(key), _rows.packed(fingerprint.sha1)),
            )
            _note(writing, key, now=now, action="file.released", detail=asdict(fingerprint))

    def roll_back(self, key: ResourceKey, rollback: Rollback, *, now: float) -> None:
        """A person wants an earlier version on the portal, until the file changes again."""
        with self._store.write() as writing:
            writing.do(
                "INSERT OR REPLACE INTO rollback VALUES (?, ?, ?, ?, ?, ?)",
                (
                    *_rows.key_cells(key),
                    _rows.packed(rollback.fingerprint.sha1),
                    rollback.fingerprint.size,
                    _rows.packed(rollback.instead),
                ),
            )
            _note(writing, key, now=now, action="rollback.asked",
                  detail=asdict(rollback.fingerprint))  # fmt: skip

    def end_rollback(self, key: ResourceKey) -> None:
        """The file in the folder counts again."""
        with self._store.write() as writing:
            _delete(writing, "rollback", key)

    def force(self, keys: Collection[ResourceKey] | None, *, yes: bool = False) -> None:
        """A person asks to go on: no file (of these) waits for its next try any more.

        Without keys only what failed is tried again; with keys, or ``yes``, a held file goes on in
        spite of the reason it is held for.
        """
        with self._store.write() as writing:
            if keys is None:
                writing.do("UPDATE standing SET not_before=0, failures=0")
                if yes:
                    writing.do("UPDATE standing SET forced=1")
            else:
                writing.each(
                    f"UPDATE standing SET not_before=0, failures=0, forced=1 WHERE {_THIS_FILE}",  # noqa: S608 - our own words
                    map(_rows.key_cells, keys),
                )

    # ------------------------------------------------------------------------ datasets, folders

    def datasets(self) -> dict[DatasetId, DatasetFacts]:
        """What was learned of each dataset."""
        rows = self._store.rows("SELECT dataset, facts FROM dataset")
        return {DatasetId(_rows.unpacked(row[0])): _facts(json.loads(row[1])) for row in rows}

    def facts_of(self, dataset: DatasetId) -> DatasetFacts | None:
        """What was learned of one dataset: of many, each pass reads its own only."""
        query = "SELECT facts FROM dataset WHERE dataset=?"
        rows = self._store.rows(query, (_rows.packed(dataset),))
        return _facts(json.loads(rows[0][0])) if rows else None

    def remember_dataset(self, facts: DatasetFacts) -> None:
        """Keep what was learned of a dataset."""
        with self._store.write() as writing:
            writing.do(
                "INSERT INTO dataset (dataset, facts) VALUES (?, ?) "
                "ON CONFLICT (dataset) DO UPDATE SET facts=excluded.facts",
                (_rows.packed(facts.dataset), json.dumps(asdict(facts))),
            )

    def applied(self, dataset: DatasetId) -> dict[str, Any]:
        """The metadata we last applied: the base of the dataset's three-way merge."""
        rows = self._store.rows(
            "SELECT applied FROM dataset WHERE dataset=?", (_rows.packed(dataset),)
        )
        return dict(json.loads(rows[0][0])) if rows else {}

    def apply(self, dataset: DatasetId, applied: Mapping[str, Any]) -> None:
        """Keep the metadata we have just applied."""
        empty = json.dumps(asdict(DatasetFacts(dataset)))
        with self._store.write() as writing:
            writing.do(
                "INSERT INTO dataset (dataset, facts, applied) VALUES (?, ?, ?) "
                "ON CONFLICT (dataset) DO UPDATE SET applied=excluded.applied",
                (_rows.packed(dataset), empty, json.dumps(dict(applied))),
            )

    def pinned(self, name: str) -> DatasetId | None:
        """The id that this slug had when it was first used."""
        rows = self._store.rows("SELECT dataset FROM pin WHERE name=?", (name,))
        return DatasetId(_rows.unpacked(rows[0][0])) if rows else None

    def pin(self, name: str, dataset: DatasetId) -> None:
        """Remember which dataset a slug meant: slugs move when titles change."""
        with self._store.write() as writing:
            writing.do("INSERT OR REPLACE INTO pin VALUES (?, ?)", (name, _rows.packed(dataset)))

    def presence(self, dataset: DatasetId, folder: str) -> str | None:
        """Which directory this folder was when it was last seen well."""
        rows = self._store.rows(
            "SELECT identity FROM presence WHERE dataset=? AND folder=?",
            (_rows.packed(dataset), folder),
        )
        return str(_rows.text(rows[0][0])) if rows else None

    def remember_presence(self, dataset: DatasetId, folder: str, identity: str) -> None:
        """Keep which directory this folder is."""
        with self._store.write() as writing:
            writing.do(
                "INSERT OR REPLACE INTO presence VALUES (?, ?, ?)",
                (_rows.packed(dataset), folder, identity),
            )

    def forget_presence(self, dataset: DatasetId, folder: str) -> None:
        """Take the next directory found there for the folder: a person says so."""
        with self._store.write() as writing:
            writing.do(
                "DELETE FROM presence WHERE dataset=? AND folder=?",
                (_rows.packed(dataset), folder),
            )

    # ------------------------------------------------------------- the command line, and a cache

    def ask(
        self, verb: str, dataset: DatasetId | None, path: str | None, detail: str | None
    ) -> None:
        """Ask something of the running service."""
        with self._store.write() as writing:
            writing.do(
                "INSERT INTO request (verb, dataset, path, detail) VALUES (?, ?, ?, ?)",
                (verb, _rows.packed(dataset), _rows.path_cell(path), detail),
            )

    def take_requests(self) -> list[Request]:
        """What was asked since the last time; each request is given once."""
        if not self._store.rows("SELECT 1 FROM request LIMIT 1"):
            return []
        with self._store.write() as writing:
            rows = writing.do(
                "DELETE FROM request RETURNING id, verb, dataset, path, detail"
            ).fetchall()
        return [_rows.request(row) for row in sorted(rows, key=lambda row: row[0])]

    def changed(self) -> int:
        """A number that moves when another process or thread has written; costs microseconds.

        Each thread has its own, in which what it wrote itself does not count.
        """
        self._store.see()
        return int(self._store.rows("PRAGMA data_version")[0][0])

    def rest(self) -> None:
        """Give back the memory that this thread keeps of it, until it wants it again."""
        self._store.rest()

    def cache_get(self, name: str) -> tuple[str, float] | None:
        """A value kept for when the portal is away, and when it was kept."""
        rows = self._store.rows("SELECT value, at FROM cache WHERE name=?", (name,))
        return (str(_rows.text(rows[0][0])), float(rows[0][1])) if rows else None

    def cache_put(self, name: str, value: str, at: float) -> None:
        """Keep a value for when the portal is away."""
        with self._store.write() as writing:
            writing.do("INSERT OR REPLACE INTO cache VALUES (?, ?, ?)", (name, value, at))


def _insert(
    writing: Writing, verb: str, table: str, columns: str, cells: tuple[object, ...]
) -> int:
    """Write one row; returns its number where the table numbers its rows."""
    cursor = writing.do(
        f"{verb} INTO {table} ({columns}) VALUES ({_rows.marks(columns)})",
        cells,
    )
    return cursor.lastrowid or 0


def _delete(writing: Writing, table: str, key: ResourceKey) -> None:
    writing.do(
        f"DELETE FROM {table} WHERE {_THIS_FILE}",  # noqa: S608 - our own words
        _rows.key_cells(key),
    )


def _parcel_cells(entry: Entry) -> tuple[object, ...]:
    return (*_rows.key_cells(entry.key), _rows.packed(entry.fingerprint.sha1))


def _close(writing: Writing, attempt: Attempt | int | None) -> None:
    if attempt is not None:
        number = attempt if isinstance(attempt, int) else attempt.id
        writing.do("DELETE FROM attempt WHERE id=?", (number,))


def _note(
    writing: Writing,
    what: Entry | Attempt | ResourceKey,
    *,
    now: float,
    action: str,
    detail: Mapping[str, object] | None = None,
) -> None:
    """Add a row to the history."""
    key = what if isinstance(what, ResourceKey) else what.key
    cells = _rows.note_cells(
        key,
        at=now,
        action=action,
        resource=None if isinstance(what, ResourceKey) else what.resource,
        fingerprint=None if isinstance(what, ResourceKey) else what.fingerprint,
        detail=detail,
    )
    _insert(writing, "INSERT", "history", _rows.NOTE, cells)


_FACTS = frozenset(field.name for field in fields(DatasetFacts))


def _facts(kept: dict[str, Any]) -> DatasetFacts:
    """The facts as they were kept, by this version or another one."""
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in kept.items()
        if name in _FACTS
    }
    return DatasetFacts(**values)
