"""What a pass relies on: each method of the ledger is one durable transaction."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from publisher_daemon.errors import LedgerUnwell
from publisher_daemon.ledger import DatasetFacts, Ledger, Request
from publisher_daemon.model import (
    DatasetId,
    Entry,
    Fingerprint,
    Parcel,
    Record,
    ResourceId,
    ResourceKey,
    Stamp,
    Standing,
    State,
    Words,
)
from publisher_daemon.profile import Packed

DATASET = DatasetId("5bbb6d6cff66bd4dc17bfd5a")
KEY = ResourceKey(DATASET, "air", "2026/mesures.csv")
BYTES = Fingerprint("a" * 40, 8)
STAMP = Stamp(8, 1_700_000_000_000_000_001, 1_700_000_000_000_000_002, 42)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(tmp_path)
    yield opened
    opened.close()


def reopened(path: Path) -> Ledger:
    """Open it as another process would after this one died."""
    return Ledger(path, read_only=True)


def test_an_intent_is_there_before_its_request(ledger: Ledger, tmp_path: Path) -> None:
    attempt = ledger.begin(
        KEY,
        "replace",
        now=100.0,
        fingerprint=BYTES,
        stamp=STAMP,
        name="mesures.csv",
        resource=ResourceId("r1"),
        before=Fingerprint("b" * 40, 9),
        title="Mesures",
        words=Words(title="Mesures", description="…"),
    )

    assert reopened(tmp_path).read(DATASET).attempts == (attempt,)
    assert not attempt.sent


def test_the_instant_of_the_last_byte_is_kept(ledger: Ledger, tmp_path: Path) -> None:
    attempt = ledger.begin(KEY, "upload", now=100.0, fingerprint=BYTES)

    ledger.sent(attempt, now=700.0)

    assert reopened(tmp_path).read(DATASET).attempts == (
        replace(attempt, sent=True, sent_at=700.0),
    )


def entry(key: ResourceKey = KEY, resource: str = "r1", **changes: Any) -> Entry:
    whole = Entry(
        key=key,
        resource=ResourceId(resource),
        fingerprint=BYTES,
        stamp=STAMP,
        permalink=f"https://portal.example/fr/datasets/r/{resource}",
        applied=Words(title="Mesures", description="…"),
        restore="Mesures 2026",
        reset_to="mesures.csv",
        published_at=100.0,
    )
    return replace(whole, **changes)


def standing(key: ResourceKey = KEY, **changes: Any) -> Standing:
    whole = Standing(
        key=key,
        state=State.FAILED,
        code="refused",
        why="The portal refuses it.",
        since=100.0,
        failures=3,
        not_before=200.0,
        stamp=STAMP,
        sentry_id="abc",
        http_status=415,
        settings="digest",
    )
    return replace(whole, **changes)


UUID = "0b6ed8b6-3a3e-4b0e-9b6e-0c5a3b1c2d3e"
OTHER = ResourceKey(DATASET, "air", "2026/autre.csv")


@pytest.mark.parametrize(
    "written",
    [
        entry(),
        entry(resource=UUID),
        entry(permalink=""),
        entry(permalink="https://portal.example/*"),
        entry(permalink="https://portal.example/#"),
        entry(permalink="7#"),
        entry(applied=Words(title="mesures.csv")),
        entry(applied=Words(title="=")),
        entry(stamp=None, applied=Words(), restore=None, reset_to=None, gone_since=7.5),
        entry(ResourceKey(DATASET, "air", "\udce9t\udce9.csv")),
        entry(ResourceKey(DatasetId("slug"), "\udcff", "a"), restore="\ud800", reset_to="\udcff"),
        entry(fingerprint=Fingerprint("AB" * 20, 1)),
        entry(fingerprint=Fingerprint("ab " * 13 + " ", 1)),
        entry(resource=ResourceId("01234567-89AB-cdef-0123-456789abcdef")),
        entry(resource=ResourceId("01234567-89ab-cdef-0123-456789-bcdef")),
        entry(resource=ResourceId("01234567-89ab-cdef-0123-4567-9-bcdef")),
        entry(fingerprint=Fingerprint("ABCDEF", 2**40), stamp=Stamp(2**40, -5, -6, 2**63 + 1)),
    ],
)  # fmt: skip
def test_an_entry_is_read_as_it_was_written(ledger: Ledger, tmp_path: Path, written: Entry) -> None:
    ledger.finish(None, written, now=101.0, action="resource.created")

    record = reopened(tmp_path).read(written.key.dataset)

    assert record.entries == {written.key: written}
    assert ledger.entry_of(written.key.dataset, written.resource) == written.key


@pytest.mark.parametrize(
    "written",
    [
        standing(),
        standing(why="“\udcff” cannot be read", code="\udc80", sentry_id="\ud800"),
        standing(not_before=None, stamp=None, sentry_id=None, http_status=None, forced=True),
    ],
)
def test_a_standing_is_read_as_it_was_written(
    ledger: Ledger, tmp_path: Path, written: Standing
) -> None:
    ledger.stand([written, standing(OTHER)])

    assert reopened(tmp_path).read(DATASET).standings == {KEY: written, OTHER: standing(OTHER)}

    ledger.stand([standing(OTHER, failures=4)], cleared=[KEY])

    assert reopened(tmp_path).read(DATASET).standings == {OTHER: standing(OTHER, failures=4)}


def test_the_disk_is_waited_for_but_for_a_file_that_only_waits(ledger: Ledger) -> None:
    asked: list[str] = []
    ledger._store._connection().set_trace_callback(asked.append)

    ledger.stand([standing(state=State.PENDING, failures=0)])
    assert "PRAGMA synchronous=NORMAL" in asked
    assert ledger._store.rows("PRAGMA synchronous") == [(2,)]

    asked.clear()
    ledger.stand([standing(state=State.PENDING, failures=0), standing(OTHER, failures=1)])
    ledger.stand([], cleared=[KEY])
    assert not [line for line in asked if line.startswith("PRAGMA")]


def test_text_that_is_not_unicode_is_kept_everywhere(ledger: Ledger) -> None:
    odd = "\udce9\ud800"
    attempt = ledger.begin(KEY, "describe", now=1.0, name=odd, title=odd, words=Words(odd))
    ledger.finish(None, entry(), now=2.0, action="resource.created", detail={odd: odd})
    ledger.remember_presence(DATASET, odd, odd)
    ledger.remember_dataset(DatasetFacts(DATASET, title=odd, trouble=odd))
    ledger.apply(DATASET, {"title": odd})
    ledger.cache_put(odd, odd, 1.0)
    ledger.pin(odd, DATASET)
    ledger.ask("retry", None, "\udce9.csv", odd)

    assert ledger.read(DATASET).attempts == (attempt,)
    assert ledger.history()[0].detail == {odd: odd}
    assert ledger.presence(DATASET, odd) == odd
    assert ledger.datasets()[DATASET].title == odd
    assert ledger.applied(DATASET) == {"title": odd}
    assert ledger.cache_get(odd) == (odd, 1.0)
    assert ledger.pinned(odd) == DATASET
    assert ledger.take_requests() == [Request("retry", None, "\udce9.csv", odd)]


def test_finishing_closes_the_attempt_and_clears_the_standing_at_once(
    ledger: Ledger, tmp_path: Path
) -> None:
    attempt = ledger.begin(KEY, "upload", now=100.0, fingerprint=BYTES)
    other = ledger.begin(OTHER, "upload", now=100.0, fingerprint=BYTES)
    ledger.stand([standing(), standing(OTHER)])

    ledger.finish(attempt, entry(), now=101.0, action="resource.created", detail={"status": 201})

    after = reopened(tmp_path)
    assert after.read(DATASET) == Record({KEY: entry()}, (other,), {OTHER: standing(OTHER)})
    (row,) = after.history()
    assert (row.at, row.key, row.action, row.resource, row.sha1, row.size, row.detail) == (
        101.0, KEY, "resource.created", "r1", BYTES.sha1, 8, {"status": 201}
    )  # fmt: skip


def test_an_attempt_is_finished_by_its_number_too(ledger: Ledger) -> None:
    attempt = ledger.begin(KEY, "upload", now=100.0)

    ledger.finish(attempt.id, entry(), now=101.0, action="resource.adopted")

    assert ledger.read(DATASET).attempts == ()


def test_attempt_numbers_are_never_given_again(ledger: Ledger) -> None:
    first = ledger.begin(KEY, "upload", now=1.0)
    ledger.close_attempt(first, now=2.0, action="attempt.abandoned")

    assert ledger.begin(KEY, "upload", now=3.0).id > first.id


def test_closing_an_attempt_leaves_the_entry_and_the_standing(
    ledger: Ledger, tmp_path: Path
) -> None:
    ledger.finish(None, entry(), now=99.0, action="resource.created")
    ledger.stand([standing()])
    attempt = ledger.begin(KEY, "replace", now=100.0, resource=ResourceId("r1"))

    ledger.close_attempt(attempt, now=101.0, action="attempt.abandoned", detail={"why": "x"})

    after = reopened(tmp_path)
    assert after.read(DATASET) == Record({KEY: entry()}, (), {KEY: standing()})
    assert [row.action for row in after.history()] == ["attempt.abandoned", "resource.created"]


def test_a_renamed_file_keeps_its_resource(ledger: Ledger, tmp_path: Path) -> None:
    old = ResourceKey(DATASET, "air", "\udce9.csv")
    ledger.finish(None, entry(old), now=99.0, action="resource.created")
    ledger.stand([standing(old)])

    ledger.rename(old, entry(OTHER), now=100.0)

    after = reopened(tmp_path)
    assert after.read(DATASET) == Record({OTHER: entry(OTHER)})
    assert after.history()[0].detail == {"old_folder": "air", "old_path": "\\xe9.csv"}


def test_a_resource_has_one_file_at_most(ledger: Ledger) -> None:
    ledger.touch(entry(KEY))
    ledger.touch(entry(OTHER))

    assert ledger.read(DATASET).entries == {OTHER: entry(OTHER)}


def test_forgetting_keeps_the_history(ledger: Ledger, tmp_path: Path) -> None:
    ledger.finish(None, entry(), now=99.0, action="resource.created")

    ledger.forget(KEY, now=100.0, action="resource.withdrawn")
    ledger.forget(OTHER, now=101.0, action="resource.forgotten")

    after = reopened(tmp_path)
    assert after.read(DATASET) == Record()
    assert after.remembered() == {KEY, OTHER}
    assert [(row.action, row.resource) for row in after.history()] == [
        ("resource.forgotten", None), ("resource.withdrawn", "r1"), ("resource.created", "r1"),
    ]  # fmt: skip


def test_touching_rewrites_an_entry_without_history(ledger: Ledger, tmp_path: Path) -> None:
    ledger.touch(entry())
    ledger.touch(entry(gone_since=5.0))

    assert reopened(tmp_path).read(DATASET).entries == {KEY: entry(gone_since=5.0)}
    assert ledger.history() == []


def test_datasets_do_not_see_each_other(ledger: Ledger) -> None:
    there = ResourceKey(DatasetId("f" * 24), "air", KEY.path)
    ledger.touch(entry())
    ledger.touch(entry(there, "r2"))

    assert ledger.read(DATASET).entries == {KEY: entry()}
    assert ledger.read(there.dataset).entries == {there: entry(there, "r2")}


def test_a_person_forces_one_file_or_all_that_failed(ledger: Ledger) -> None:
    ledger.stand([standing(), standing(OTHER)])

    ledger.force([KEY])

    found = ledger.read(DATASET).standings
    assert found[KEY] == standing(not_before=0.0, failures=0, forced=True)
    assert found[OTHER] == standing(OTHER)

    ledger.force(None)

    found = ledger.read(DATASET).standings
    assert found[OTHER] == standing(OTHER, not_before=0.0, failures=0)

    ledger.force(None, yes=True)

    assert all(one.forced for one in ledger.read(DATASET).standings.values())


def test_what_is_queued_is_read_apart_and_forgotten_unless_it_stands_elsewhere(
    ledger: Ledger,
) -> None:
    ledger.stand([standing()])
    names = [KEY.path, "a.csv", "a/z.csv", "\udcff.csv"]

    ledger.enqueue(DATASET, KEY.folder, names, why="In order.", now=7.0)

    assert ledger.queue(DATASET, KEY.folder, "", 2) == ["a.csv", "a/z.csv"]
    assert ledger.queue(DATASET, KEY.folder, "a/z.csv", 2) == ["\udcff.csv"]
    assert ledger.read(DATASET, queue=False).standings == {KEY: standing()}
    queued = ResourceKey(DATASET, KEY.folder, "a/z.csv")
    assert ledger.read(DATASET).standings[queued].since == 7.0
    below = ledger.read_at(DATASET, {KEY.folder: ["a", "a.csv"]}).standings
    assert [key.path for key in below] == ["a.csv"]

    ledger.unqueue(DATASET, KEY.folder, names)

    assert ledger.read(DATASET).standings == {KEY: standing()}
    assert ledger.queue(DATASET, KEY.folder, "", 2) == []


def test_a_clock_set_back_moves_what_is_waited_for_with_it(ledger: Ledger) -> None:
    attempt = ledger.begin(KEY, "upload", now=5000.0)
    ledger.sent(attempt, now=5001.0)
    ledger.touch(Entry(KEY, ResourceId("r1"), BYTES, STAMP, gone_since=4000.0, published_at=9.0))
    other = replace(KEY, path="other.csv")
    ledger.stand([Standing(other, State.HELD, "busy", "…", 4500.0, not_before=None)])

    ledger.rewind(DATASET, 1000.0)

    record = ledger.read(DATASET)
    assert (record.attempts[0].started_at, record.attempts[0].sent_at) == (4000.0, 4001.0)
    assert record.standings[other].since == 3500.0
    assert record.standings[other].not_before is None
    assert (record.entries[KEY].gone_since, record.entries[KEY].published_at) == (3000.0, 9.0)


def test_history_is_newest_first_and_answers_questions(ledger: Ledger) -> None:
    ledger.finish(None, entry(), now=1.0, action="resource.created")
    ledger.finish(None, entry(OTHER, "r2"), now=2.0, action="resource.created")
    ledger.finish(None, entry(), now=2.0, action="resource.replaced")

    assert [row.key for row in ledger.history()] == [KEY, OTHER, KEY]
    assert [row.at for row in ledger.history(path=KEY.path)] == [2.0, 1.0]
    assert [row.at for row in ledger.history(since=1.5, dataset=DATASET)] == [2.0, 2.0]
    assert ledger.history(dataset=DatasetId("f" * 24)) == []
    assert len(ledger.history(limit=1)) == 1


def test_old_history_goes_a_few_rows_at_a_time(ledger: Ledger) -> None:
    for at in range(5):
        ledger.forget(KEY, now=float(at), action="resource.forgotten")

    assert ledger.prune(3.0, batch=2) == 2
    assert [row.at for row in ledger.history()] == [4.0, 3.0, 2.0]
    assert ledger.prune(3.0, batch=2) == 1
    assert ledger.prune(3.0, batch=2) == 0
    assert [row.at for row in ledger.history()] == [4.0, 3.0]


def test_what_bytes_held_is_forgotten_once_they_are_long_gone(ledger: Ledger) -> None:
    sums = [f"{number:040x}" for number in range(4)]
    for at, sha1 in enumerate(sums):
        ledger.begin(KEY, "upload", now=at, fingerprint=Fingerprint(sha1, 1), profile=Packed(b"p"))
    ledger.touch(entry(fingerprint=Fingerprint(sums[0], 1)))

    assert ledger.prune_profiles(3.0, batch=1) == 1
    assert ledger.prune_profiles(3.0, batch=2) == 1
    assert ledger.prune_profiles(3.0, batch=2) == 0
    assert set(ledger.profiles(sums)) == {sums[0], sums[3]}


def test_says_which_of_some_bytes_are_published(ledger: Ledger) -> None:
    ledger.touch(entry())

    assert ledger.published({BYTES.sha1, "b" * 40}) == {BYTES.sha1}
    assert ledger.published(set()) == set()


def test_each_request_is_given_once(ledger: Ledger, tmp_path: Path) -> None:
    asking = Ledger(tmp_path)
    version = ledger.changed()
    asking.ask("retry", DATASET, KEY.path, "yes")
    asking.ask("refresh", None, None, None)

    assert ledger.changed() != version
    assert ledger.take_requests() == [
        Request("retry", DATASET, KEY.path, "yes"),
        Request("refresh", None, None, None),
    ]
    assert ledger.take_requests() == []
    asking.close()


def test_a_ledger_that_rested_goes_on_where_it_was(ledger: Ledger) -> None:
    ledger.rest()
    ledger.rest()
    ledger.touch(entry())
    ledger.rest()

    assert ledger.entry(KEY) == entry()
    held = len(ledger._store._open)
    with ThreadPoolExecutor(1) as other:
        other.submit(ledger.read, DATASET).result()
        other.submit(ledger.rest).result()
    assert len(ledger._store._open) == held


def test_what_is_known_of_datasets_folders_and_slugs_is_kept(
    ledger: Ledger, tmp_path: Path
) -> None:
    ledger.apply(DATASET, {"title": "Air", "tags": ["a"]})
    ledger.remember_dataset(DatasetFacts(DATASET, title="Air", last_pass=5.0))
    ledger.pin("air", DATASET)
    ledger.remember_presence(DATASET, "air", "ext4|1|/|/srv")
    ledger.remember_presence(DATASET, "eau", "ext4|1|/|/srv")
    ledger.forget_presence(DATASET, "eau")

    after = reopened(tmp_path)
    assert after.datasets() == {DATASET: DatasetFacts(DATASET, title="Air", last_pass=5.0)}
    assert after.facts_of(DATASET) == after.datasets()[DATASET]
    assert after.facts_of(DatasetId("f" * 24)) is None
    assert after.applied(DATASET) == {"title": "Air", "tags": ["a"]}
    assert after.applied(DatasetId("f" * 24)) == {}
    assert (after.pinned("air"), after.pinned("eau")) == (DATASET, None)
    assert after.presence(DATASET, "air") == "ext4|1|/|/srv"
    assert after.presence(DATASET, "eau") is None
    assert after.cache_get("extensions") is None


def test_a_reading_is_of_one_instant(ledger: Ledger, tmp_path: Path) -> None:
    """A file that moves between two datasets' tables is never seen in neither, or in both."""
    stop = threading.Event()

    def publish() -> None:
        with closing(Ledger(tmp_path)) as other:
            while not stop.is_set():
                attempt = other.begin(KEY, "upload", now=1.0)
                other.finish(attempt, entry(), now=2.0, action="resource.created")
                other.forget(KEY, now=3.0, action="resource.forgotten")
                other.stand([standing()])

    writer = threading.Thread(target=publish)
    writer.start()
    try:
        for _ in range(300):
            found = ledger.read(DATASET)
            # the attempt and the entry change places in one transaction, and so does the standing
            assert not (found.entries and (found.attempts or found.standings))
    finally:
        stop.set()
        writer.join()


def test_gives_the_files_of_a_folder_in_byte_order_however_many(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("publisher_daemon.ledger.sqlite.AT_ONCE", 3)
    names = ["b.csv", "a/z.csv", "a.csv", "é.csv", "\udcff.csv", "a-b.csv", "c.csv"]
    for number, name in enumerate(names):
        ledger.touch(entry(ResourceKey(DATASET, "air", name), f"r{number}"))
    ledger.touch(entry(ResourceKey(DATASET, "water", "a.csv"), "other"))
    ledger.touch(entry(ResourceKey(DATASET, "air", "gone.csv"), "r9", stamp=None, gone_since=1.0))

    found = list(ledger.known(DATASET, "air"))

    stamp = (STAMP.size, STAMP.mtime_ns, STAMP.ctime_ns, STAMP.inode)
    assert found == sorted(
        [(os.fsencode(name), stamp, False) for name in names] + [(b"gone.csv", None, True)]
    )


def test_many_are_adopted_at_once(ledger: Ledger) -> None:
    parcel = Parcel(KEY, UUID, Fingerprint("c" * 40, 9), 4, "It is large.", 1.0, prefix="d" * 40)
    ledger.stand([standing(), standing(OTHER)])
    ledger.keep_parcel(parcel)

    ledger.adopt([entry(), entry(OTHER, resource="r2")], now=7.0, details=[{"why": "a"}, {}])

    record = ledger.read(DATASET)
    assert set(record.entries) == {KEY, OTHER}
    assert record.standings == {}
    rows = {row.key: row for row in ledger.history(dataset=DATASET)}
    assert rows[KEY].action == rows[OTHER].action == "resource.adopted"
    assert (rows[KEY].at, dict(rows[KEY].detail)) == (7.0, {"why": "a"})
    # parts of other bytes than those that are there now may still be put together
    assert ledger.parcel(KEY) == parcel
    ledger.adopt([entry(fingerprint=Fingerprint("c" * 40, 9))], now=8.0, details=[{}])
    assert ledger.parcel(KEY) is None


def test_a_link_written_by_the_first_version_is_read(ledger: Ledger, tmp_path: Path) -> None:
    ledger.touch(entry())
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite3")) as older:
        older.execute("UPDATE entry SET permalink='https://old.example/r/*'")
        older.commit()

    assert (
        ledger.read(DATASET).entries[KEY].permalink == f"https://old.example/r/{entry().resource}"
    )


def test_says_whether_anything_waits(ledger: Ledger) -> None:
    ledger.touch(entry())
    assert not ledger.waits(DATASET)

    ledger.stand([Standing(KEY, State.PENDING, "not_settled", "…", since=1.0)])
    assert ledger.waits(DATASET)
    ledger.stand([], [KEY])
    attempt = ledger.begin(KEY, "replace", now=1.0)
    assert ledger.waits(DATASET)
    ledger.close_attempt(attempt, now=2.0, action="attempt.abandoned")
    assert not ledger.waits(DATASET)


@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_another_file_of_its_name_is_another_ledger(
    ledger: Ledger, tmp_path: Path, how: str
) -> None:
    path = tmp_path / "ledger.sqlite3"
    ledger.changed()
    if how == "removed":
        path.unlink()
    else:
        (tmp_path / "copy").write_bytes(path.read_bytes())
        (tmp_path / "copy").replace(path)

    with pytest.raises(LedgerUnwell, match="while it was in use"):
        ledger.changed()
    ledger.rest()
    with pytest.raises(LedgerUnwell, match="while it was in use"):
        ledger.read(DATASET)
