"""The ledger in one SQLite file: each method is one durable transaction.

Write-ahead log with synchronous=FULL: what a method has committed survives a power cut. One
connection per thread; the single-instance lock is a file lock that the kernel frees.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from publisher_daemon.errors import LedgerBroken, LedgerBusy
from publisher_daemon.ledger.place import state_dir_problem
from publisher_daemon.ledger.values import DatasetFacts, HistoryRow, Request
from publisher_daemon.model import (
    Attempt,
    AttemptKind,
    DatasetId,
    Entry,
    Fingerprint,
    Record,
    ResourceId,
    ResourceKey,
    Stamp,
    Standing,
    State,
    Words,
)

FILE = "ledger.sqlite3"
_BUSY_TIMEOUT = 10.0


class Ledger:
    """What we own, in ``state_dir``. ``read_only`` opens what is there, or nothing at all."""

    def __init__(self, state_dir: Path, *, read_only: bool = False) -> None:
        self._dir = state_dir
        self._read_only = read_only
        self._local = threading.local()
        self._open: list[sqlite3.Connection] = []
        self._guard = threading.Lock()
        if not read_only:
            self._prepare()

    # ---------------------------------------------------------------------------------- opening

    def _prepare(self) -> None:
        problem = state_dir_problem(self._dir)
        if problem:
            raise LedgerBroken(problem)
        try:
            self._dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise LedgerBroken(
                f"The state directory {self._dir} cannot be made: {error.strerror}.",
                hint="Make it and give it to the service's account, or set another `state_dir`.",
            ) from error
        with _explained(self._dir):
            connection = self._connection()
            self._migrate(connection)

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._connect()
            self._local.connection = connection
            with self._guard:
                self._open.append(connection)
        return connection

    def _connect(self) -> sqlite3.Connection:
        path = self._dir / FILE
        if self._read_only and not path.exists():
            connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            self._migrate(connection)
            return connection
        mode = "ro" if self._read_only else "rwc"
        connection = sqlite3.connect(
            f"{path.resolve().as_uri()}?mode={mode}",
            uri=True,
            timeout=_BUSY_TIMEOUT,
            isolation_level=None,
            check_same_thread=False,
        )
        if not self._read_only:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
        elif _version(connection) > len(_migrations()):
            raise _too_new(self._dir)
        return connection

    def _migrate(self, connection: sqlite3.Connection) -> None:
        steps = _migrations()
        if _version(connection) > len(steps):
            raise _too_new(self._dir)
        while (done := _version(connection)) < len(steps):
            script = steps[done]
            # one transaction: a crash in the middle leaves the older version whole
            connection.executescript(
                f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version={done + 1};\nCOMMIT;"
            )

    def close(self) -> None:
        """Close every connection."""
        with self._guard:
            for connection in self._open:
                connection.close()
            self._open.clear()
        self._local = threading.local()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Be the only instance on this state directory; raises LedgerBusy."""
        path = self._dir / "lock"
        with path.open("a+", encoding="ascii") as held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                held.seek(0)
                pid = held.read().strip() or "unknown"
                raise LedgerBusy(
                    f"Another instance (process {pid}) already uses the state directory {self._dir}.",
                    hint="Stop it first (`systemctl stop publisher-daemon`), or give this one its own "
                    "`state_dir`.",
                ) from error
            held.truncate(0)
            held.write(str(os.getpid()))
            held.flush()
            yield

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with _explained(self._dir):
            connection = self._connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def _rows(self, query: str, parameters: Iterable[object] = ()) -> list[tuple[Any, ...]]:
        with _explained(self._dir):
            return self._connection().execute(query, tuple(parameters)).fetchall()

    # ---------------------------------------------------------------------------------- reading

    def read(self, dataset: DatasetId) -> Record:
        """All that is known of one dataset."""
        return Record(
            {entry.key: entry for entry in self._entries(dataset)},
            tuple(
                _attempt(row)
                for row in self._rows(
                    f"SELECT {_ATTEMPT} FROM attempt WHERE dataset=? ORDER BY id", (dataset,)
                )
            ),
            {standing.key: standing for standing in self._standings(dataset)},
        )

    def _entries(self, dataset: DatasetId) -> Iterator[Entry]:
        rows = self._rows(f"SELECT {_ENTRY} FROM entry WHERE dataset=?", (dataset,))
        return map(_entry, rows)

    def _standings(self, dataset: DatasetId) -> Iterator[Standing]:
        rows = self._rows(f"SELECT {_STANDING} FROM standing WHERE dataset=?", (dataset,))
        return map(_standing, rows)

    def entry_of(self, resource: ResourceId) -> ResourceKey | None:
        """The file that owns this resource."""
        rows = self._rows("SELECT dataset, folder, path FROM entry WHERE resource=?", (resource,))
        return _key(rows[0]) if rows else None

    def history(
        self,
        *,
        dataset: DatasetId | None = None,
        path: str | None = None,
        since: float = 0.0,
        limit: int = 1000,
    ) -> list[HistoryRow]:
        """What was done, newest first."""
        where, parameters = ["at>=?"], [since]
        if dataset is not None:
            where.append("dataset=?")
            parameters.append(dataset)  # type: ignore[arg-type]
        if path is not None:
            where.append("path=?")
            parameters.append(os.fsencode(path))  # type: ignore[arg-type]
        rows = self._rows(
            "SELECT id, at, dataset, folder, path, action, resource, sha1, size, detail "  # noqa: S608 - only our own words
            f"FROM history WHERE {' AND '.join(where)} ORDER BY at DESC, id DESC LIMIT ?",
            [*parameters, limit],
        )
        return [
            HistoryRow(row[0], row[1], _key(row[2:5]), row[5], row[6], row[7], row[8], json.loads(row[9]))
            for row in rows
        ]  # fmt: skip

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
    ) -> Attempt:
        """Commit an intent before its request."""
        attempt = Attempt(
            0, key, kind, now, fingerprint, stamp, name, resource, before, title, words
        )
        with self._write() as connection:
            cursor = connection.execute(
                f"INSERT INTO attempt ({_ATTEMPT_COLUMNS}) VALUES ({_marks(_ATTEMPT_COLUMNS)})",
                (
                    *_key_row(key), kind, now, fingerprint.sha1 if fingerprint else None,
                    fingerprint.size if fingerprint else None, _stamp_text(stamp), name, resource,
                    before.sha1 if before else None, before.size if before else None, title,
                    json.dumps(words.said()), 0, None,
                ),
            )  # fmt: skip
            number = cursor.lastrowid
        return replace(attempt, id=number or 0)

    def sent(self, attempt: Attempt, *, now: float) -> None:
        """Commit that the request's last byte is about to go: its grace counts from here."""
        with self._write() as connection:
            connection.execute("UPDATE attempt SET sent=1, sent_at=? WHERE id=?", (now, attempt.id))

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
        with self._write() as connection:
            self._put(connection, entry)
            self._close(connection, attempt)
            connection.execute(
                "DELETE FROM standing WHERE dataset=? AND folder=? AND path=?", _key_row(entry.key)
            )
            _note(connection, entry.key, action, now, detail, entry.resource, entry.fingerprint)

    def close_attempt(
        self,
        attempt: Attempt,
        *,
        now: float,
        action: str,
        detail: Mapping[str, object] | None = None,
    ) -> None:
        """Close an attempt that did nothing (abandoned, refused)."""
        with self._write() as connection:
            self._close(connection, attempt)
            _note(
                connection, attempt.key, action, now, detail, attempt.resource, attempt.fingerprint
            )

    @staticmethod
    def _close(connection: sqlite3.Connection, attempt: Attempt | int | None) -> None:
        if attempt is not None:
            number = attempt if isinstance(attempt, int) else attempt.id
            connection.execute("DELETE FROM attempt WHERE id=?", (number,))

    @staticmethod
    def _put(connection: sqlite3.Connection, entry: Entry) -> None:
        # two files cannot own one resource: whoever owned it before is gone or was overruled
        connection.execute(
            "DELETE FROM entry WHERE resource=? AND NOT (dataset=? AND folder=? AND path=?)",
            (entry.resource, *_key_row(entry.key)),
        )
        connection.execute(
            f"INSERT OR REPLACE INTO entry ({_ENTRY}) VALUES ({_marks(_ENTRY)})",
            (
                *_key_row(entry.key), entry.resource, entry.fingerprint.sha1,
                entry.fingerprint.size, _stamp_text(entry.stamp), entry.permalink,
                json.dumps(entry.applied.said()), entry.restore, entry.reset_to, entry.gone_since,
                entry.published_at,
            ),
        )  # fmt: skip

    def rename(self, old: ResourceKey, entry: Entry, *, now: float) -> None:
        """Move the entry of ``old`` to ``entry.key``."""
        with self._write() as connection:
            for table in ("entry", "standing"):
                connection.execute(
                    f"DELETE FROM {table} WHERE dataset=? AND folder=? AND path=?",  # noqa: S608
                    _key_row(old),
                )
            self._put(connection, entry)
            detail = {"old_folder": old.folder, "old_path": os.fsencode(old.path).decode(errors="replace")}  # fmt: skip
            _note(
                connection, entry.key, "resource.renamed", now, detail, entry.resource,
                entry.fingerprint,
            )  # fmt: skip

    def forget(self, key: ResourceKey, *, now: float, action: str) -> None:
        """Drop an entry; history stays."""
        with self._write() as connection:
            row = connection.execute(
                "SELECT resource, sha1, size FROM entry WHERE dataset=? AND folder=? AND path=?",
                _key_row(key),
            ).fetchone()
            for table in ("entry", "standing"):
                connection.execute(
                    f"DELETE FROM {table} WHERE dataset=? AND folder=? AND path=?",  # noqa: S608
                    _key_row(key),
                )
            resource, fingerprint = (row[0], Fingerprint(row[1], row[2])) if row else (None, None)
            _note(connection, key, action, now, None, resource, fingerprint)

    def touch(self, entry: Entry) -> None:
        """Rewrite an entry without history."""
        with self._write() as connection:
            self._put(connection, entry)

    def stand(self, standings: Iterable[Standing], cleared: Iterable[ResourceKey] = ()) -> None:
        """Remember why these files are not as they should be; forget it for the cleared ones."""
        with self._write() as connection:
            connection.executemany(
                "DELETE FROM standing WHERE dataset=? AND folder=? AND path=?",
                [_key_row(key) for key in cleared],
            )
            connection.executemany(
                f"INSERT OR REPLACE INTO standing ({_STANDING}) VALUES ({_marks(_STANDING)})",
                [
                    (
                        *_key_row(one.key), one.state, one.code, one.why, one.since, one.failures,
                        one.not_before, _stamp_text(one.stamp), one.sentry_id, one.http_status,
                        int(one.forced), one.settings,
                    )
                    for one in standings
                ],
            )  # fmt: skip

    def force(self, keys: Collection[ResourceKey] | None, *, yes: bool = False) -> None:
        """A person asks to go on: no file (of these) waits for its next try any more.

        Without keys only what failed is tried again; with keys, or ``yes``, a held file goes on in
        spite of the reason it is held for.
        """
        with self._write() as connection:
            if keys is None:
                connection.execute("UPDATE standing SET not_before=0, failures=0")
                if yes:
                    connection.execute("UPDATE standing SET forced=1")
            else:
                connection.executemany(
                    "UPDATE standing SET not_before=0, failures=0, forced=1 "
                    "WHERE dataset=? AND folder=? AND path=?",
                    [_key_row(key) for key in keys],
                )

    # ------------------------------------------------------------------------ datasets, folders

    def datasets(self) -> dict[DatasetId, DatasetFacts]:
        """What was learned of each dataset."""
        known = {field.name for field in fields(DatasetFacts)}
        rows = self._rows("SELECT dataset, facts FROM dataset")
        return {
            DatasetId(row[0]): DatasetFacts(
                **{name: value for name, value in json.loads(row[1]).items() if name in known}
            )
            for row in rows
        }

    def remember_dataset(self, facts: DatasetFacts) -> None:
        """Keep what was learned of a dataset."""
        with self._write() as connection:
            connection.execute(
                "INSERT INTO dataset (dataset, facts) VALUES (?, ?) "
                "ON CONFLICT (dataset) DO UPDATE SET facts=excluded.facts",
                (facts.dataset, json.dumps(asdict(facts))),
            )

    def applied(self, dataset: DatasetId) -> dict[str, Any]:
        """The metadata we last applied: the base of the dataset's three-way merge."""
        rows = self._rows("SELECT applied FROM dataset WHERE dataset=?", (dataset,))
        return dict(json.loads(rows[0][0])) if rows else {}

    def apply(self, dataset: DatasetId, applied: Mapping[str, Any]) -> None:
        """Keep the metadata we have just applied."""
        empty = json.dumps(asdict(DatasetFacts(dataset)))
        with self._write() as connection:
            connection.execute(
                "INSERT INTO dataset (dataset, facts, applied) VALUES (?, ?, ?) "
                "ON CONFLICT (dataset) DO UPDATE SET applied=excluded.applied",
                (dataset, empty, json.dumps(dict(applied))),
            )

    def pinned(self, name: str) -> DatasetId | None:
        """The id that this slug had when it was first used."""
        rows = self._rows("SELECT dataset FROM pin WHERE name=?", (name,))
        return DatasetId(rows[0][0]) if rows else None

    def pin(self, name: str, dataset: DatasetId) -> None:
        """Remember which dataset a slug meant: slugs move when titles change."""
        with self._write() as connection:
            connection.execute("INSERT OR REPLACE INTO pin VALUES (?, ?)", (name, dataset))

    def presence(self, dataset: DatasetId, folder: str) -> str | None:
        """Which directory this folder was when it was last seen well."""
        rows = self._rows(
            "SELECT identity FROM presence WHERE dataset=? AND folder=?", (dataset, folder)
        )
        return str(rows[0][0]) if rows else None

    def remember_presence(self, dataset: DatasetId, folder: str, identity: str) -> None:
        """Keep which directory this folder is."""
        with self._write() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO presence VALUES (?, ?, ?)", (dataset, folder, identity)
            )

    def forget_presence(self, dataset: DatasetId, folder: str) -> None:
        """Take the next directory found there for the folder: a person says so."""
        with self._write() as connection:
            connection.execute(
                "DELETE FROM presence WHERE dataset=? AND folder=?", (dataset, folder)
            )

    # ------------------------------------------------------------- the command line, and a cache

    def ask(
        self, verb: str, dataset: DatasetId | None, path: str | None, detail: str | None
    ) -> None:
        """Ask something of the running service."""
        with self._write() as connection:
            connection.execute(
                "INSERT INTO request (verb, dataset, path, detail) VALUES (?, ?, ?, ?)",
                (verb, dataset, None if path is None else os.fsencode(path), detail),
            )

    def take_requests(self) -> list[Request]:
        """What was asked since the last time; each request is given once."""
        if not self._rows("SELECT 1 FROM request LIMIT 1"):
            return []
        with self._write() as connection:
            rows = connection.execute(
                "DELETE FROM request RETURNING id, verb, dataset, path, detail"
            ).fetchall()
        return [
            Request(row[1], row[2], None if row[3] is None else os.fsdecode(row[3]), row[4])
            for row in sorted(rows)
        ]

    def changed(self) -> int:
        """A number that moves when another process has written; costs microseconds."""
        return int(self._rows("PRAGMA data_version")[0][0])

    def cache_get(self, name: str) -> tuple[str, float] | None:
        """A value kept for when the portal is away, and when it was kept."""
        rows = self._rows("SELECT value, at FROM cache WHERE name=?", (name,))
        return (str(rows[0][0]), float(rows[0][1])) if rows else None

    def cache_put(self, name: str, value: str, at: float) -> None:
        """Keep a value for when the portal is away."""
        with self._write() as connection:
            connection.execute("INSERT OR REPLACE INTO cache VALUES (?, ?, ?)", (name, value, at))


_ENTRY = (
    "dataset, folder, path, resource, sha1, size, stamp, permalink, applied, restore, reset_to, "
    "gone_since, published_at"
)
_ATTEMPT_COLUMNS = (
    "dataset, folder, path, kind, started_at, sha1, size, stamp, name, resource, before_sha1, "
    "before_size, title, words, sent, sent_at"
)
_ATTEMPT = f"id, {_ATTEMPT_COLUMNS}"
_STANDING = (
    "dataset, folder, path, state, code, why, since, failures, not_before, stamp, sentry_id, "
    "http_status, forced, settings"
)


def _marks(columns: str) -> str:
    return ", ".join("?" for _ in columns.split(","))


def _key_row(key: ResourceKey) -> tuple[str, str, bytes]:
    return key.dataset, key.folder, os.fsencode(key.path)


def _key(row: Any) -> ResourceKey:
    return ResourceKey(DatasetId(row[0]), row[1], os.fsdecode(row[2]))


def _stamp_text(stamp: Stamp | None) -> str | None:
    if stamp is None:
        return None
    return f"{stamp.size} {stamp.mtime_ns} {stamp.ctime_ns} {stamp.inode}"


def _stamp(text: str | None) -> Stamp | None:
    return None if text is None else Stamp(*map(int, text.split()))


def _entry(row: tuple[Any, ...]) -> Entry:
    return Entry(
        key=_key(row[:3]),
        resource=ResourceId(row[3]),
        fingerprint=Fingerprint(row[4], row[5]),
        stamp=_stamp(row[6]),
        permalink=row[7],
        applied=Words(**json.loads(row[8])),
        restore=row[9],
        reset_to=row[10],
        gone_since=row[11],
        published_at=row[12],
    )


def _attempt(row: tuple[Any, ...]) -> Attempt:
    return Attempt(
        id=row[0],
        key=_key(row[1:4]),
        kind=row[4],
        started_at=row[5],
        fingerprint=None if row[6] is None else Fingerprint(row[6], row[7]),
        stamp=_stamp(row[8]),
        name=row[9],
        resource=row[10],
        before=None if row[11] is None else Fingerprint(row[11], row[12]),
        title=row[13],
        words=Words(**json.loads(row[14])),
        sent=bool(row[15]),
        sent_at=row[16],
    )


def _standing(row: tuple[Any, ...]) -> Standing:
    return Standing(
        key=_key(row[:3]),
        state=State(row[3]),
        code=row[4],
        why=row[5],
        since=row[6],
        failures=row[7],
        not_before=row[8],
        stamp=_stamp(row[9]),
        sentry_id=row[10],
        http_status=row[11],
        forced=bool(row[12]),
        settings=row[13],
    )


def _note(
    connection: sqlite3.Connection,
    key: ResourceKey,
    action: str,
    now: float,
    detail: Mapping[str, object] | None,
    resource: ResourceId | None,
    fingerprint: Fingerprint | None,
) -> None:
    connection.execute(
        "INSERT INTO history (at, dataset, folder, path, action, resource, sha1, size, detail) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            now, *_key_row(key), action, resource, fingerprint.sha1 if fingerprint else None,
            fingerprint.size if fingerprint else None, json.dumps(dict(detail or {}), default=str),
        ),
    )  # fmt: skip


def _migrations() -> list[str]:
    folder = files("publisher_daemon") / "migrations"
    return [
        step.read_text(encoding="utf-8")
        for step in sorted(folder.iterdir(), key=lambda step: step.name)
        if step.name.endswith(".sql")
    ]


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _too_new(where: Path) -> LedgerBroken:
    return LedgerBroken(
        f"The ledger in {where} was written by a newer version of publisher-daemon.",
        hint="Install that version again, or newer. Nothing was changed.",
    )


@contextmanager
def _explained(where: Path) -> Iterator[None]:
    """Turn SQLite's words into ours, with what to do."""
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "") or ""
        if name.startswith("SQLITE_FULL"):
            what, hint = "the disk is full", "Make room; nothing is lost, it goes on by itself."
        elif name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
            what = "it cannot be written"
            hint = "Give the directory to the service's account, on a disk that can be written."
        elif name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            what = "it is damaged"
            hint = (
                f"Move {where / FILE} aside and start again: the daemon finds its resources again "
                "on the portal, without one upload."
            )
        else:
            what, hint = str(error), "Look at the disk; the daemon starts again by itself."
        raise LedgerBroken(f"The ledger in {where} cannot be used: {what}.", hint=hint) from error
