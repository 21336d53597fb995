"""The ledger of a million files: its size, the time it takes, and whether anybody waits for it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from hashlib import sha1
from pathlib import Path
from statistics import median
from typing import Any

from bench.table import Effort, Row, at_most, median_of, ratio_of, seconds
from publisher_daemon import log
from publisher_daemon.daemon.pruning import ROWS
from publisher_daemon.folder import Folder
from publisher_daemon.ledger import Ledger
from publisher_daemon.model import (
    DatasetId,
    Entry,
    Fingerprint,
    Hint,
    Policy,
    Reason,
    ResourceId,
    ResourceKey,
    Stamp,
    Watch,
    Words,
)
from publisher_daemon.reconcile import Gate, Reconciler

MILLION = 1_000_000
#: Files of one dataset: few portals show more.
TOGETHER = 10_000
#: What a million files may take, in MB.
MEGABYTES = 300
#: Seconds in which a million files are written the first time.
FIRST = 15.0
#: Seconds nobody may wait longer for the ledger.
PAUSE = 0.2
#: Seconds of a pass over one change.
PASS = 0.05


def a_million(effort: Effort) -> Iterator[Row]:
    """Known as published; then their history forgotten."""
    files = effort.choose(MILLION, 100_000)
    state = effort.directory / "million"
    ledger, bare = Ledger(state), _bare(effort.directory / "bare.sqlite3")
    ours, theirs = [], []
    for number in range(files // TOGETHER):
        entries = published(number)
        began = time.process_time()
        ledger.touch(*entries)
        ours.append(time.process_time() - began)
        began = time.process_time()
        with bare:
            bare.executemany("INSERT INTO file VALUES (?, ?, ?, ?, ?)", map(_plain, entries))
        theirs.append(time.process_time() - began)
    bare.close()
    size, share = ledger.size() / 1e6, files / MILLION
    yield Row(f"{files:,} files, as published: the ledger beside what it may take",
              f"{size:.0f} MB", f"{MEGABYTES * share:.0f} MB", size / share / MEGABYTES,
              at_most(1.0))  # fmt: skip
    yield Row(f"{files:,} files written the first time: processor time beside what it may take",
              f"{sum(ours):.1f} s", f"{FIRST * share:.1f} s", sum(ours) / share / FIRST,
              at_most(1.0))  # fmt: skip
    yield Row(f"{files:,} files written the first time: processor time beside SQLite alone",
              f"{sum(ours):.1f} s", f"{sum(theirs):.1f} s", ratio_of(ours, theirs))  # fmt: skip
    yield _one_change(ledger, effort.directory, files)
    yield _forgotten(ledger, files // 10)
    ledger.close()


def _one_change(ledger: Ledger, home: Path, files: int) -> Row:
    """A pass that one new file wakes, in a dataset that has them all in one folder."""
    log.configure(level="error")
    root = home / "changing"
    root.mkdir()
    dataset = DatasetId("5bbb6d6cff66bd4dffffffff")
    _gather(home / "million", dataset)
    watch = Watch("air", str(root), dataset)
    unused: Any = None  # what settles asks the portal nothing
    reconciler = Reconciler(
        portal=unused,
        ledger=ledger,
        folders={(dataset, "air"): Folder(watch)},
        policy=lambda: Policy((watch,)),
        gate=Gate(time.time, lambda: 0.5),
        jitter=lambda: 0.5,
        new_id=lambda: "bench",
    )
    reconciler._audited[dataset] = time.time()
    took = []
    for number in range(20):
        (root / f"{number}.csv").write_text("a;b\n1;2\n")
        hint = Hint("air", frozenset({f"{number}.csv"}))
        took.append(seconds(partial(reconciler.run, dataset, Reason.EVENT, [hint])))
    return Row(f"a pass over one change where {files:,} files are known, beside what it may take",
               median_of([each * 1000 for each in took], "ms", 1), f"{PASS * 1000:.0f} ms",
               median(took) / PASS, at_most(1.0))  # fmt: skip


def _gather(state: Path, dataset: DatasetId) -> None:
    """Let that dataset have the files of all the others too."""
    columns = "folder, path, resource, sha1, size, stamp, permalink, applied, published_at"
    with closing(sqlite3.connect(state / "ledger.sqlite3")) as connection, connection:
        connection.execute("PRAGMA cache_size=-200000")
        connection.execute(
            f"INSERT INTO entry (dataset, {columns}) SELECT ?, {columns} FROM entry ORDER BY path",
            (bytes.fromhex(dataset),),
        )


def _forgotten(ledger: Ledger, rows: int) -> Row:
    """The longest that a writer would wait while old history goes."""
    entries = (entry for number in range(rows // TOGETHER) for entry in published(number))
    while some := [entry for _, entry in zip(range(1000), entries, strict=False)]:
        ledger.adopt(some, now=1.0, details=[{"why": "it is the same"}] * len(some))
    longest, dropped = 0.0, 1
    while dropped:
        began = time.perf_counter()
        dropped = ledger.prune(2.0, ROWS)
        longest = max(longest, time.perf_counter() - began)
    return Row(f"{rows:,} old rows of history forgotten: the longest pause beside what it may be",
               f"{longest * 1000:.0f} ms", f"{PAUSE * 1000:.0f} ms", longest / PAUSE,
               at_most(1.0))  # fmt: skip


def published(number: int, files: int = TOGETHER) -> list[Entry]:
    """The files of one dataset, as they are after publication."""
    dataset = DatasetId(f"5bbb6d6cff66bd4d{number:08x}")
    return [_entry(dataset, number * files + each) for each in range(files)]


def _entry(dataset: DatasetId, number: int) -> Entry:
    digest = sha1(b"%d" % number, usedforsecurity=False).hexdigest()
    resource = "-".join((digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:32]))
    name = f"mesures_{number:07}.csv"
    at = 1_700_000_000_000_000_000 + number * 1_000_003
    return Entry(
        key=ResourceKey(dataset, "air", f"{number // 500:05}/{name}"),
        resource=ResourceId(resource),
        fingerprint=Fingerprint(digest, number),
        stamp=Stamp(number, at, at, number),
        permalink=f"https://www.data.gouv.fr/api/1/datasets/r/{resource}",
        applied=Words(name),
        published_at=at / 1e9,
    )


def _bare(path: Path) -> sqlite3.Connection:
    """What anybody would begin with: a path, a link, a checksum, a size, a date."""
    bare = sqlite3.connect(path)
    bare.execute("PRAGMA journal_mode=WAL")
    bare.execute("PRAGMA synchronous=FULL")
    bare.execute(
        "CREATE TABLE file (path TEXT PRIMARY KEY, link TEXT UNIQUE, sha1 TEXT, size INT, at INT)"
    )
    return bare


def _plain(entry: Entry) -> tuple[str, str, str, int, int]:
    at = entry.stamp.mtime_ns if entry.stamp else 0
    name = f"{entry.key.dataset}/{entry.key.path}"
    return name, entry.permalink, entry.fingerprint.sha1, entry.fingerprint.size, at
