"""The file itself: opened, brought to this version, written in transactions, its errors explained.

Write-ahead log with synchronous=FULL: what a transaction has committed survives a power cut, but
for what the next look finds out again anyway. One connection for each thread; the single-instance
lock is a file lock, which the kernel frees.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib.resources import files
from pathlib import Path
from typing import Any

from publisher_daemon.errors import LedgerBroken, LedgerBusy, LedgerUnwell
from publisher_daemon.ledger._rows import storable
from publisher_daemon.ledger.place import state_dir_problem

FILE = "ledger.sqlite3"
#: Seconds to wait for another thread or process that writes: any transaction takes far less.
_BUSY_TIMEOUT = 10.0
#: Pages kept in memory by each connection, as far as they are used: every thread has its own.
_CACHE_KIB = 4000
#: What a disk says that is full, fails, or was made read-only: it may be well again later.
_PASSING = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS})
_MAY_WRITE = "Give the directory to the service's account, on a disk that can be written."


class Writing:
    """One transaction: everything in it is committed together, or nothing is."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def do(self, statement: str, values: Iterable[object] = ()) -> sqlite3.Cursor:
        """Run one statement."""
        return self._connection.execute(statement, storable(values))

    def each(self, statement: str, rows: Iterable[Iterable[object]]) -> None:
        """Run it once for each row of values."""
        self.each_as_is(statement, map(storable, rows))

    def each_as_is(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        """Run it once for each row of values that are storable already."""
        self._connection.executemany(statement, rows)


class Store:
    """A ledger's file in ``state_dir``. ``read_only`` opens what is there, or nothing at all."""

    def __init__(self, state_dir: Path, *, read_only: bool = False) -> None:
        self._dir = state_dir
        self._read_only = read_only
        self._local = threading.local()
        self._open: list[sqlite3.Connection] = []
        self._guard = threading.Lock()
        #: which file it is, once it is open: another one of the same name is another ledger
        self._inode: tuple[int, int] | None = None
        if not read_only:
            try:
                self._prepare()
                self._inode = self._inode_now()
            except BaseException:
                self.close()
                raise

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
        with self._explained(), self._alone_at_the_door():
            connection = self._connection()
            if 0 < _version(connection) < len(_migrations()):
                with self.lock():  # a service of the older version may be running
                    self._migrate(connection)
            else:
                self._migrate(connection)

    @contextmanager
    def _alone_at_the_door(self) -> Iterator[None]:
        """One process opens at a time: switching to the write-ahead log does not wait its turn."""
        door = os.open(self._dir, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(door, fcntl.LOCK_EX)
            yield
        finally:
            os.close(door)

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._connect()
            self._local.connection = connection
            with self._guard:
                self._open.append(connection)
        return connection

    def _inode_now(self) -> tuple[int, int] | None:
        with suppress(OSError):
            found = (self._dir / FILE).stat()
            return found.st_dev, found.st_ino
        return None

    def see(self) -> None:
        """Raise LedgerUnwell when the file was removed or replaced while it was in use.

        Connections that are open go on with what was there, and new ones with what is.
        """
        if self._inode not in {None, self._inode_now()}:
            raise LedgerUnwell(
                f"The ledger in {self._dir} was removed, or another one put in its place, while "
                "it was in use.",
                hint="It is opened anew by itself; what it does not know is looked for on the "
                "portal before anything is sent.",
            )

    def _connect(self) -> sqlite3.Connection:
        self.see()
        path = self._dir / FILE
        # an empty file is what a crash (or a full disk) at the very first start leaves
        if self._read_only and not (path.exists() and path.stat().st_size):
            return self._nothing()
        mode = "ro" if self._read_only else "rwc"
        connection = _opened(f"{path.resolve().as_uri()}?mode={mode}")
        try:
            if not self._read_only:
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute("PRAGMA synchronous=FULL")
                connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
                return connection
            version = self._readable_version(connection)
        except BaseException:
            connection.close()
            raise
        if version == 0:
            connection.close()
            return self._nothing()
        return connection

    def _readable_version(self, connection: sqlite3.Connection) -> int:
        """The version of what is only read: 0 (nothing was ever written) or ours."""
        version, wanted = _version(connection), len(_migrations())
        if version > wanted:
            raise self._too_new()
        if 0 < version < wanted:
            raise LedgerBroken(
                f"The ledger in {self._dir} was written by an older version of publisher-daemon.",
                hint="Start the service once (or run `publisher-daemon once`): it brings the "
                "ledger to this version.",
            )
        return version

    def _nothing(self) -> sqlite3.Connection:
        """An empty ledger in memory: nothing was ever written."""
        connection = _opened("file::memory:")
        self._migrate(connection)
        return connection

    def _migrate(self, connection: sqlite3.Connection) -> None:
        """Bring it to this version in one transaction: a crash leaves the older one whole."""
        steps = _migrations()
        if _version(connection) == len(steps):
            return
        with _transaction(connection, "BEGIN IMMEDIATE"):
            done = _version(connection)  # another process may have been faster
            if done > len(steps):
                raise self._too_new()
            for script in steps[done:]:
                for statement in _statements(script):
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version={len(steps)}")

    def close(self) -> None:
        """Close every connection."""
        with self._guard:
            for connection in self._open:
                connection.close()
            self._open.clear()
        self._local = threading.local()

    def rest(self) -> None:
        """Close this thread's connection, with its pages and statements: the next use opens it."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is not None:
            with self._guard:
                self._open.remove(connection)
            del self._local.connection
            connection.close()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Be the only instance on this state directory; raises LedgerBusy, LedgerBroken."""
        path = self._dir / "lock"
        try:
            held = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            kind = LedgerUnwell if error.errno in _PASSING else LedgerBroken
            raise kind(
                f"The lock file {path} cannot be opened: {error.strerror}.", hint=_MAY_WRITE
            ) from error
        try:
            self._take(held, path)
            # who holds it is told to people only: a full disk does not matter here
            with suppress(OSError):
                os.truncate(held, 0)
                os.pwrite(held, str(os.getpid()).encode(), 0)
            yield
        finally:
            os.close(held)

    def _take(self, held: int, path: Path) -> None:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            pid = os.pread(held, 20, 0).decode("ascii", "replace").strip() or "unknown"
            raise LedgerBusy(
                f"Another instance (process {pid}) already uses the state directory {self._dir}.",
                hint="Stop it first (`systemctl stop publisher-daemon`), or give this one its own "
                "`state_dir`.",
            ) from error
        except OSError as error:
            raise LedgerBroken(
                f"The lock file {path} cannot be locked: {error.strerror}.",
                hint="Set `state_dir` to a directory on a local disk.",
            ) from error

    # --------------------------------------------------------------------------------- using it

    @contextmanager
    def write(self, *, lightly: bool = False) -> Iterator[Writing]:
        """Commit all that is done inside, or nothing; raises LedgerBroken.

        ``lightly``: a power cut may undo it, as the disk is not waited for; nothing else may.
        """
        with self._explained():
            connection = self._connection()
            if lightly:
                connection.execute("PRAGMA synchronous=NORMAL")
            try:
                with _transaction(connection, "BEGIN IMMEDIATE"):
                    yield Writing(connection)
            finally:
                if lightly:
                    connection.execute("PRAGMA synchronous=FULL")

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """What ``rows`` gives inside is of one instant, whatever is written meanwhile."""
        with self._explained(), _transaction(self._connection(), "BEGIN"):
            yield

    def rows(self, query: str, values: Iterable[object] = ()) -> list[tuple[Any, ...]]:
        """The answer to a query."""
        with self._explained():
            return self._connection().execute(query, storable(values)).fetchall()

    def each(self, query: str, values: Iterable[object] = ()) -> Iterator[tuple[Any, ...]]:
        """The answer to a query, row by row; inside a ``snapshot``, which explains its errors."""
        yield from self._connection().execute(query, storable(values))

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn SQLite's words into ours, with what to do."""
        try:
            yield
        except sqlite3.Error as error:
            what, hint = self._words_of(error)
            kind = LedgerUnwell if self._may_pass(error) else LedgerBroken
            raise kind(f"The ledger in {self._dir} cannot be used: {what}.", hint=hint) from error
        except OSError as error:
            kind = LedgerUnwell if error.errno in _PASSING else LedgerBroken
            raise kind(
                f"The ledger in {self._dir} cannot be used: {error.strerror or error}.",
                hint=_MAY_WRITE,
            ) from error

    def _may_pass(self, error: sqlite3.Error) -> bool:
        """Whether the disk is what is wrong, and not what is on it, nor who may write there."""
        name = getattr(error, "sqlite_errorname", "") or ""
        if name.startswith("SQLITE_READONLY"):
            with suppress(OSError):
                return bool(os.statvfs(self._dir).f_flag & os.ST_RDONLY)
        return name.startswith(("SQLITE_FULL", "SQLITE_IOERR")) and "SHORT_READ" not in name

    def _words_of(self, error: sqlite3.Error) -> tuple[str, str]:
        name = getattr(error, "sqlite_errorname", "") or ""
        if name.startswith("SQLITE_FULL"):
            return "the disk is full", "Make room; nothing is lost, it goes on by itself."
        if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
            if self._read_only:
                return "it cannot be opened", "Run this as the service's account, or as root."
            return "it cannot be written", _MAY_WRITE
        if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            return "it is damaged", (
                f"Move {self._dir / FILE} (and -wal, -shm beside it) aside and start again: the "
                "daemon finds its resources again on the portal, without one upload."
            )
        return str(error), "Look at the disk; the daemon starts again by itself."

    def _too_new(self) -> LedgerBroken:
        return LedgerBroken(
            f"The ledger in {self._dir} was written by a newer version of publisher-daemon.",
            hint="Install that version again, or newer. Nothing was changed.",
        )


@contextmanager
def _transaction(connection: sqlite3.Connection, begin: str) -> Iterator[None]:
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # after some errors (disk full, I/O) SQLite has rolled back by itself
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _opened(uri: str) -> sqlite3.Connection:
    return sqlite3.connect(
        uri, uri=True, timeout=_BUSY_TIMEOUT, isolation_level=None, check_same_thread=False
    )


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _migrations() -> list[str]:
    folder = files("publisher_daemon") / "migrations"
    return [
        step.read_text(encoding="utf-8")
        for step in sorted(folder.iterdir(), key=lambda step: step.name)
        if step.name.endswith(".sql")
    ]


def _statements(script: str) -> Iterator[str]:
    """One at a time, as ``executescript`` would commit what is open."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip():
        yield statement
