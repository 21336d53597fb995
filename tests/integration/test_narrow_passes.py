"""An event about one file costs one file, however many are known; also while the portal is away."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from waiting import wait_until

from publisher_daemon.errors import PortalUnreachable
from publisher_daemon.folder import Folder
from publisher_daemon.ledger import Ledger
from publisher_daemon.model import (
    DatasetId,
    Entry,
    Fingerprint,
    Hint,
    Identity,
    Policy,
    Reason,
    Record,
    RemoteDataset,
    RemoteResource,
    Report,
    ResourceId,
    ResourceKey,
    Rule,
    Standing,
    State,
    Watch,
)
from publisher_daemon.reconcile import Gate, Reconciler
from publisher_daemon.reconcile.coming import Coming
from publisher_daemon.reconcile.turn import Pass
from publisher_daemon.shelf import Entries, Resources

DATASET = DatasetId("5bbb6d6cff66bd4dc17bfd5a")
QUIET = 0.1


class NeverWhole(Ledger):
    """A ledger that says when all of it is read."""

    whole = 0
    stood = 0

    def stand(self, standings: Iterable[Standing], cleared: Iterable[ResourceKey] = ()) -> None:
        self.stood += 1
        super().stand(standings, cleared)

    def read(
        self, dataset: DatasetId, *, queue: bool = True, over: Entries | None = None
    ) -> Record:
        self.whole += 1
        return super().read(dataset, queue=queue, over=over)


class Desk:
    """A pass over one folder, with no portal: what asks it fails."""

    def __init__(self, home: Path) -> None:
        self.root = home / "depot"
        self.root.mkdir()
        self.watch = Watch("air", str(self.root), DATASET, quiet=QUIET)
        self.ledger = NeverWhole(home / "state")
        self.gate = Gate(time.time, lambda: 0.5)
        self.reconciler = Reconciler(
            portal=_Absent(),
            ledger=self.ledger,
            folders={(DATASET, "air"): Folder(self.watch)},
            policy=lambda: Policy((self.watch,)),
            gate=self.gate,
            jitter=lambda: 0.5,
            new_id=map(str, itertools.count()).__next__,
        )
        self.reconciler._audited[DATASET] = time.time()

    def hear(self, *paths: str) -> Report:
        return self.reconciler.run(DATASET, Reason.EVENT, [Hint("air", frozenset(paths))])

    def hear_until_read(self, path: str) -> Report:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            report = self.hear(path)
            if [one.code for one in report.standings] not in (["not_settled"], ["being_written"]):
                return report
        raise AssertionError("it never settled")


class _Absent:
    def __getattr__(self, name: str) -> Any:
        raise PortalUnreachable("The portal does not answer.")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.ledger.close()


def test_a_file_that_settles_reads_nothing_of_the_others(desk: Desk) -> None:
    (desk.root / "a.csv").write_text("a;b\n")

    report = desk.hear("a.csv")

    assert [one.code for one in report.standings] == ["not_settled"]
    assert report.requeue_at is not None
    assert desk.ledger.whole == 0


def test_a_file_that_still_waits_is_written_down_once(desk: Desk) -> None:
    desk.watch = replace(desk.watch, quiet=60.0)
    (desk.root / "a.csv").write_text("a;b\n")

    first, again = desk.hear("a.csv"), desk.hear("a.csv")

    assert first.standings == again.standings
    assert desk.ledger.stood == 1


def test_a_file_that_is_as_it_was_published_reads_nothing_of_the_others(desk: Desk) -> None:
    (desk.root / "sub").mkdir()
    (desk.root / "sub" / "a.csv").write_text("a;b\n")
    (seen,) = Folder(desk.watch).scan()
    desk.ledger.touch(Entry(seen.key, ResourceId("r"), Fingerprint("a" * 40, 4), seen.stamp))

    assert desk.hear("sub").standings == ()
    assert desk.ledger.whole == 0


def test_a_file_that_is_gone_is_decided_with_all_that_is_known(desk: Desk) -> None:
    key = ResourceKey(DATASET, "air", "a.csv")
    desk.ledger.touch(Entry(key, ResourceId("r"), Fingerprint("a" * 40, 4), None))

    report = desk.hear("a.csv")

    assert desk.ledger.whole > 0
    assert report.portal_at is not None  # it was asked


def test_while_the_portal_is_away_a_new_file_is_told_of_and_nothing_else_read(desk: Desk) -> None:
    desk.gate.failed(PortalUnreachable("The portal does not answer."))
    (desk.root / "a.csv").write_text("a;b\n")

    report = desk.hear_until_read("a.csv")

    assert [(one.code, one.why) for one in report.standings] == [
        ("portal_unreachable", "The portal does not answer.")
    ]
    assert report.portal_at is not None
    assert desk.ledger.whole == 0
    assert set(desk.ledger.read(DATASET).standings) == {ResourceKey(DATASET, "air", "a.csv")}


def test_of_very_many_files_some_are_read_and_the_others_wait_for_what_stops_those(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("publisher_daemon.reconcile.looking.AT_A_TIME", 2)
    desk.watch = replace(desk.watch, quiet=0.05)
    names = [f"{number}.csv" for number in range(5)]
    for name in names:
        (desk.root / name).write_text("a;b\n")

    desk.hear(*names)
    time.sleep(0.3)
    for _ in range(2):  # while the portal is away no more are read, and all are told of
        report = desk.hear(*names)
        assert {one.code for one in report.standings} == {"portal_unreachable"}
        assert sorted(one.key.path for one in report.standings) == names
        assert len(desk.reconciler._looker._digests) == 2


def waiting(desk: Desk) -> dict[str, str]:
    return {one.key.path: one.code for one in desk.ledger.standings()}


@pytest.mark.parametrize("asked", [None, frozenset({""})])
def test_of_very_many_files_the_first_are_held_and_the_others_queue_in_the_ledger(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, asked: frozenset[str] | None
) -> None:
    monkeypatch.setattr("publisher_daemon.reconcile.queueing.AT_A_TIME", 2)
    desk.watch = replace(desk.watch, quiet=60.0)
    for number in range(6):
        (desk.root / f"{number}.csv").write_text("a;b\n")
    published = ResourceKey(DATASET, "air", "5.csv")
    desk.ledger.touch(Entry(published, ResourceId("r"), Fingerprint("a" * 40, 4), None))
    looker = desk.reconciler._looker

    report = desk.reconciler.run(DATASET, Reason.EVENT, [Hint("air", asked)])

    first = dict.fromkeys(("0.csv", "1.csv"), "not_settled")
    assert waiting(desk) == first | dict.fromkeys(("2.csv", "3.csv", "4.csv", "5.csv"), "queued")
    assert report.counts == {"pending": 6}
    assert {key.path for key in looker._memory[DATASET].tracks} == first.keys()
    # one stands for all in the report: nothing may be withdrawn, it might be there under a new name
    (one,) = [standing for standing in report.standings if standing.code == "queued"]
    assert (one.key.path, one.state) == ("2.csv", State.PENDING)
    assert one.not_before is not None
    record = desk.ledger.read(DATASET, queue=False)
    seen = looker.look(desk.reconciler._policy(), record, (), audit=False, once=False)
    assert published in seen.present


def test_a_resource_is_not_given_to_a_copy_while_its_own_file_waits_in_the_queue(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("publisher_daemon.reconcile.queueing.AT_A_TIME", 1)
    desk.watch = replace(desk.watch, quiet=0.0)
    for name in ("a.csv", "b.csv"):
        (desk.root / name).write_text("a;b\n")
    # the ledger was lost: only the portal remembers that this is b.csv
    bytes_ = Folder(desk.watch).fingerprint("b.csv", next(Folder(desk.watch).scan(["b.csv"])).stamp)
    shown = RemoteResource(
        ResourceId("r"), "b.csv", "https://static.example/b.csv", "", bytes_.sha1, bytes_.size,
        source=Identity("air", "b.csv", bytes_.sha1),
    )  # fmt: skip
    dataset = RemoteDataset(DATASET, "air", "Air", "https://portal.example/air")
    monkeypatch.setattr(_Absent, "dataset", lambda *_: dataset, raising=False)
    monkeypatch.setattr(_Absent, "resources", lambda *_: Resources([shown]), raising=False)

    def decided() -> bool:
        before = waiting(desk)
        desk.reconciler.run(DATASET, Reason.RESCAN, [Hint("air")])
        return before.get("b.csv") == "queued" and waiting(desk).get("a.csv") != "not_settled"

    wait_until(decided, 10, "the first one is still")

    assert waiting(desk)["a.csv"] == "portal_unreachable"  # it would be sent
    assert desk.ledger.read(DATASET).entries == {}


def test_what_left_the_queue_is_waited_for_no_more(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("publisher_daemon.reconcile.queueing.AT_A_TIME", 2)
    monkeypatch.setattr("publisher_daemon.reconcile.queueing.SOME", 2)
    desk.watch = replace(desk.watch, quiet=60.0)
    for number in range(9):
        (desk.root / f"{number}.csv").write_text("a;b\n")
    everything = [Hint("air")]
    desk.reconciler.run(DATASET, Reason.RESCAN, everything)
    since = {one.key.path: one.since for one in desk.ledger.standings()}
    for gone in ("1.csv", "2.csv", "5.csv", "8.csv"):
        (desk.root / gone).unlink()
    (desk.root / "4.csv").replace(desk.root / "4bis.csv")

    desk.reconciler.run(DATASET, Reason.RESCAN, everything)

    first = dict.fromkeys(("0.csv", "3.csv"), "not_settled")
    assert waiting(desk) == first | dict.fromkeys(("4bis.csv", "6.csv", "7.csv"), "queued")
    assert {one.key.path: one.since for one in desk.ledger.standings()}["7.csv"] == since["7.csv"]

    desk.ledger.force([ResourceKey(DATASET, "air", "7.csv")])
    desk.reconciler.run(DATASET, Reason.RESCAN, everything)

    assert waiting(desk)["7.csv"] == "not_settled"  # a person asked for this one

    # of a folder that is watched no more the queue makes no look at everything necessary
    desk.ledger.enqueue(DATASET, "formerly", ["a.csv"], why="", now=1.0)
    desk.ledger.unqueue(DATASET, "air", waiting(desk))
    assert desk.reconciler._narrowed(desk.reconciler._policy(), DATASET, everything) is not None


@pytest.mark.parametrize("where", [None, frozenset({"1.csv", "2.csv", ".3.csv"})])
def test_what_comes_while_others_are_published_is_told_of_at_once(
    desk: Desk, where: frozenset[str] | None
) -> None:
    (desk.root / "0.csv").write_text("a;b\n")
    asked, now = (1, [Hint("air", where)]), 0.0
    policy, record = desk.reconciler._policy(), desk.ledger.read(DATASET)
    seen = desk.reconciler._looker.look(policy, record, (), audit=False, once=False)
    run = Pass(DATASET, Reason.EVENT, policy, record, seen)
    folders = {(DATASET, "air"): Folder(desk.watch)}
    look = Coming(lambda _: asked, folders, desk.ledger, time.time, lambda: now).during(run)
    for name in ("1.csv", "2.csv", ".3.csv"):
        (desk.root / name).write_text("a;b\n")

    look()
    assert waiting(desk) == {}  # the pass has just begun

    now = 5.0
    look()
    assert waiting(desk) == dict.fromkeys(("1.csv", "2.csv"), "queued")

    now = 100.0
    (desk.root / "4.csv").write_text("a;b\n")
    look()
    assert len(waiting(desk)) == 2  # nothing was asked since

    asked = (2, [Hint("air")])
    (known,) = folders[DATASET, "air"].scan(["1.csv"])
    run.own(Entry(known.key, ResourceId("r"), Fingerprint("a" * 40, 4), known.stamp))
    (desk.root / "2.csv").unlink()
    now = 200.0
    look()
    assert waiting(desk) == {"4.csv": "queued"}  # neither what is published, nor what is gone


def test_what_a_newer_file_decides_is_never_queued(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("publisher_daemon.reconcile.queueing.AT_A_TIME", 2)
    rule = Rule("mesures_{year}.csv", keep="latest", order=("year",))
    desk.watch = replace(desk.watch, rules=(rule,), quiet=60.0)
    for year in range(2020, 2026):
        (desk.root / f"mesures_{year}.csv").write_text("a;b\n")

    desk.reconciler.run(DATASET, Reason.RESCAN, [Hint("air")])

    assert waiting(desk)["mesures_2025.csv"] == "not_settled"
    assert set(waiting(desk).values()) == {"not_settled", "superseded"}


def test_what_waits_for_a_person_still_does_while_the_portal_is_away(desk: Desk) -> None:
    desk.gate.failed(PortalUnreachable("The portal does not answer."))
    (desk.root / "a.csv").write_text("a;b\n")
    (away,) = desk.hear_until_read("a.csv").standings
    held = replace(away, state=State.HELD, code="check_held", why="Emptied.", not_before=None)
    desk.ledger.stand([held], [])

    report = desk.hear("a.csv")

    assert report.standings == (held,)
    assert set(desk.ledger.read(DATASET).standings.values()) == {held}
