"""A clock that is set: noticed while the service runs, and in what the ledger kept."""

from __future__ import annotations

import pytest

from publisher_daemon.daemon.clock import ClockSteps
from publisher_daemon.errors import PortalUnreachable
from publisher_daemon.model import (
    Attempt,
    DatasetId,
    Entry,
    Fingerprint,
    Record,
    ResourceId,
    ResourceKey,
    Standing,
    State,
)
from publisher_daemon.reconcile.clock import gone_back
from publisher_daemon.reconcile.gate import Gate

KEY = ResourceKey(DatasetId("5bbb6d6cff66bd4dc17bfd5a"), "air", "a.csv")
DAY = 86_400.0


class Clocks:
    """Two clocks that go together until one is set."""

    def __init__(self) -> None:
        self.wall, self.steady = 1000.0, 10.0

    def go_on(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


def test_a_clock_that_goes_as_it_should_is_no_step() -> None:
    clocks = Clocks()
    steps = ClockSteps(lambda: clocks.wall, lambda: clocks.steady)
    clocks.go_on(DAY)
    clocks.wall += 0.5

    assert steps.seen() == 0.0


@pytest.mark.parametrize("step", [DAY, -DAY])
def test_a_step_is_seen_once(step: float) -> None:
    clocks = Clocks()
    steps = ClockSteps(lambda: clocks.wall, lambda: clocks.steady)
    clocks.wall += step

    assert [steps.seen(), steps.seen()] == [step, 0.0]


ATTEMPT = Attempt(1, KEY, "upload", 900.0, sent=True, sent_at=950.0)
STANDING = Standing(KEY, State.HELD, "busy", "…", 950.0, not_before=2000.0)
GONE = Entry(KEY, ResourceId("r1"), Fingerprint("a" * 40, 1), None, gone_since=950.0)


@pytest.mark.parametrize(
    "record",
    [
        Record(attempts=(ATTEMPT,)),
        Record(standings={KEY: STANDING}),
        Record(entries={KEY: GONE}),
    ],
    ids=["an attempt", "a standing", "an absence"],
)
def test_what_was_now_later_than_now_says_how_far_the_clock_went_back(record: Record) -> None:
    assert gone_back(record, 950.0 - DAY) == DAY
    assert gone_back(record, 951.0) == 0.0
    assert gone_back(record, 949.0) == 0.0, "a clock is steered by that much"


def test_an_empty_record_knows_no_clock() -> None:
    assert gone_back(Record(), 0.0) == 0.0


def test_a_gate_that_forgets_lets_a_probe_through_at_once() -> None:
    now = [1000.0]
    gate = Gate(lambda: now[0], lambda: 0.0)
    gate.failed(PortalUnreachable("away"))
    now[0] -= DAY
    assert gate.enter() is not None

    gate.forget()

    assert gate.enter() is None
