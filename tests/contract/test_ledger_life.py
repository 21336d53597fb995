"""Any life of a ledger, closed and opened again, beside its twin in plain dictionaries."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from ledger_twin import LedgerTwin

from publisher_daemon.ledger import Ledger
from publisher_daemon.model import (
    Attempt,
    DatasetId,
    Entry,
    Fingerprint,
    ResourceId,
    ResourceKey,
    Stamp,
    Standing,
    State,
    Words,
)

DATASETS = (DatasetId("5bbb6d6cff66bd4dc17bfd5a"), DatasetId("a-slug"))
RESOURCES = ("r1", "0b6ed8b6-3a3e-4b0e-9b6e-0c5a3b1c2d3e", "2d3e0b6e-3a3e-4b0e-9b6e-0c5a3b1cd8b6")

#: Any text, lone surrogates too: names of mount points and answers of portals hold anything.
texts = st.text(max_size=5) | st.characters(categories=["Cs"]).map("é{}".format)
instants = st.floats(0, 4e9)
sizes = st.integers(0, 2**62)
keys = st.builds(
    ResourceKey,
    st.sampled_from(DATASETS),
    st.sampled_from(["air", "eau\udcff"]),
    st.sampled_from(["a.csv", "sub/é.csv", "\udce9.csv"]),
)
words = st.builds(Words, *[st.none() | texts | st.just("a.csv")] * 4)
#: a checksum is digits, of whatever kind the portal gives
sums = st.text("0123456789abcdef", min_size=40, max_size=40) | st.text("09afAF-", max_size=6)
fingerprints = st.builds(Fingerprint, sums, sizes)
stamps = st.none() | st.builds(
    Stamp, sizes, st.integers(-(2**63), 2**63 - 1), sizes, st.integers(0, 2**64 - 1)
)
resources = st.sampled_from(RESOURCES).map(ResourceId)
entries = st.builds(
    Entry,
    keys,
    resources,
    fingerprints,
    stamps,
    texts | st.sampled_from([f"https://portal.example/r/{name}" for name in RESOURCES]),
    words,
    st.none() | texts,
    st.none() | texts,
    st.none() | instants,
    instants,
)
standings = st.builds(
    Standing,
    keys,
    st.sampled_from(State),
    texts,
    texts,
    instants,
    st.integers(0, 99),
    st.none() | instants,
    stamps,
    st.none() | texts,
    st.none() | st.integers(100, 599),
    st.booleans(),
    texts,
)


class Life(RuleBasedStateMachine):
    """Every method, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.ledger = Ledger(self.directory)
        self.twin = LedgerTwin()
        self.open: list[Attempt] = []

    def teardown(self) -> None:
        self.ledger.close()
        shutil.rmtree(self.directory)

    @initialize()
    def an_entry_at_least(self) -> None:
        key = ResourceKey(DATASETS[0], "air", "a.csv")
        self.touch(Entry(key, ResourceId("r1"), Fingerprint("a" * 40, 1), None))

    @rule(
        key=keys,
        kind=st.sampled_from(["upload", "replace", "describe", "identify", "withdraw"]),
        now=instants,
        fingerprint=st.none() | fingerprints,
        stamp=stamps,
        name=st.none() | texts,
        resource=st.none() | resources,
        before=st.none() | fingerprints,
        title=st.none() | texts,
        words=words,
    )
    def begin(self, key: ResourceKey, kind: str, **facts: object) -> None:
        attempt = self.ledger.begin(key, kind, **facts)  # type: ignore[arg-type]  # drawn by name
        self.twin.begin(attempt)
        self.open.append(attempt)

    @rule(data=st.data(), now=instants)
    def sent(self, data: st.DataObject, now: float) -> None:
        if self.open:
            attempt = data.draw(st.sampled_from(self.open))
            self.ledger.sent(attempt, now=now)
            self.twin.sent(attempt, now=now)

    @rule(dataset=st.sampled_from(DATASETS), seconds=instants)
    def rewind(self, dataset: DatasetId, seconds: float) -> None:
        self.ledger.rewind(dataset, seconds)
        self.twin.rewind(dataset, seconds)
        self.open = [self.twin.attempts.get(attempt.id, attempt) for attempt in self.open]

    @rule(data=st.data(), entry=entries, by_number=st.booleans())
    def finish(self, data: st.DataObject, entry: Entry, *, by_number: bool) -> None:
        attempt = data.draw(st.sampled_from([None, *self.open]))
        number = attempt.id if attempt and by_number else attempt
        self.ledger.finish(number, entry, now=1.0, action="resource.created")
        self.twin.finish(attempt, entry, action="resource.created")

    @rule(some=st.lists(entries, max_size=4))
    def adopt(self, some: list[Entry]) -> None:
        self.ledger.adopt(some, now=1.0, details=[{}] * len(some))
        for entry in some:
            self.twin.finish(None, entry, action="resource.adopted")

    @rule(data=st.data())
    def close_attempt(self, data: st.DataObject) -> None:
        if self.open:
            attempt = data.draw(st.sampled_from(self.open))
            self.ledger.close_attempt(attempt, now=1.0, action="attempt.abandoned")
            self.twin.close_attempt(attempt, action="attempt.abandoned")

    @rule(old=keys, entry=entries)
    def rename(self, old: ResourceKey, entry: Entry) -> None:
        self.ledger.rename(old, entry, now=1.0)
        self.twin.rename(old, entry)

    @rule(key=keys)
    def forget(self, key: ResourceKey) -> None:
        self.ledger.forget(key, now=1.0, action="resource.forgotten")
        self.twin.forget(key, action="resource.forgotten")

    @rule(entry=entries)
    def touch(self, entry: Entry) -> None:
        self.ledger.touch(entry)
        self.twin.touch(entry)

    @rule(standings=st.lists(standings, max_size=3), cleared=st.lists(keys, max_size=3))
    def stand(self, standings: list[Standing], cleared: list[ResourceKey]) -> None:
        self.ledger.stand(standings, cleared)
        self.twin.stand(standings, cleared)

    @rule(keys=st.none() | st.lists(keys, max_size=3), yes=st.booleans())
    def force(self, keys: list[ResourceKey] | None, *, yes: bool) -> None:
        self.ledger.force(keys, yes=yes)
        self.twin.force(keys, yes=yes)

    @rule()
    def restart(self) -> None:
        self.ledger.close()
        self.ledger = Ledger(self.directory)

    @invariant()
    def both_remember_the_same(self) -> None:
        for dataset in DATASETS:
            assert self.ledger.read(dataset) == self.twin.read(dataset)
            for places in ({"air": ["sub"], "eau\udcff": ["a.csv", "\udce9.csv"]}, {"air": ["b"]}):
                assert self.ledger.read_at(dataset, places) == self.twin.read_at(dataset, places)
        for entry in self.twin.entries.values():
            assert self.ledger.entry_of(entry.key.dataset, entry.resource) == entry.key
        done = [(row.key, row.action) for row in self.ledger.history()]
        assert sorted(done) == sorted(self.twin.history)


Life.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestLife = Life.TestCase
