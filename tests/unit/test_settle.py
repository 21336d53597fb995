"""When a file is at rest: by what is seen, never by what its dates say alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as some

from publisher_daemon.model import DatasetId, ResourceKey, Sighting, Stamp, Watch
from publisher_daemon.settle import (
    EMPTY_HOLD,
    LONGEST_QUIET,
    TOO_LONG,
    Memory,
    Settled,
    settle,
)

DATASET = DatasetId("5bbb6d6cff66bd4dc17bfd5a")
KEY = ResourceKey(DATASET, "air", "a.csv")
QUIET = 5.0
#: where the wall clock stands when the monotonic one says 0
NOON = 1_700_000_000.5


def stamp(at: float = 0.0, size: int = 8) -> Stamp:
    """The stamp of a file that changed when the monotonic clock said ``at``."""
    when = round((NOON + at) * 1e9)
    return Stamp(size, when, when, 42)


def sighting(at: float = 0.0, **changes: object) -> Sighting:
    seen = Sighting(KEY, stamp(at))
    return replace(seen, **changes)  # type: ignore[arg-type]


class Desk:
    """Looks again and again, and remembers."""

    def __init__(
        self,
        *,
        once: bool = False,
        empty_files: Literal["refuse", "publish"] = "refuse",
        quiet: float = QUIET,
    ) -> None:
        self.watch = Watch("air", "/srv/air", DATASET, quiet=quiet, empty_files=empty_files)
        self.memory = Memory()
        self.once = once

    def look(self, now: float, *sightings: Sighting, wall: float | None = None) -> Settled:
        settled = settle(
            self.memory,
            sightings,
            now=now,
            wall=NOON + now if wall is None else wall,
            watches={"air": self.watch},
            present={seen.key for seen in sightings},
            once=self.once,
        )
        self.memory = settled.memory
        return settled

    def code(self, now: float, seen: Sighting, **options: float) -> str:
        settled = self.look(now, seen, **options)
        return "ready" if settled.ready else settled.waiting[0].code


def test_waits_for_the_quiet_time_and_says_when_to_look_again() -> None:
    desk = Desk()
    first = desk.look(0.0, sighting())

    assert first.waiting[0].code == "not_settled"
    assert first.waiting[0].until == first.recheck_at == QUIET
    assert desk.code(QUIET - 0.01, sighting()) == "not_settled"
    assert desk.code(QUIET, sighting()) == "ready"


def test_starts_again_when_the_file_changes() -> None:
    desk = Desk()
    desk.look(0.0, sighting(0))

    assert desk.code(QUIET, sighting(QUIET)) == "not_settled"


def test_counts_from_the_change_itself_when_the_look_came_late() -> None:
    desk = Desk()
    desk.look(0.0, sighting(0))
    late = desk.look(4.9, sighting(0.1))

    assert late.waiting[0].until == pytest.approx(0.1 + QUIET)


def test_a_writer_that_is_seen_keeps_the_file_back_however_still_it_is() -> None:
    desk = Desk()
    for now in range(0, 600, 5):
        assert desk.code(now, sighting(writing=True)) == "being_written"

    assert desk.code(600, sighting()) == "not_settled"
    assert desk.code(600 + QUIET, sighting()) == "ready"


def test_a_writer_that_cannot_be_seen_gets_twice_the_time() -> None:
    desk = Desk()
    desk.look(0.0, sighting(lease=False))

    assert desk.code(2 * QUIET - 0.01, sighting(lease=False)) == "not_settled"
    assert desk.code(2 * QUIET, sighting(lease=False)) == "ready"


def test_a_network_share_is_looked_at_twice_a_poll_apart() -> None:
    desk = Desk()
    share = Sighting(KEY, Stamp(8, 1, 0, 0), lease=False, remote=True)
    desk.look(0.0, share)

    assert desk.code(29.9, share) == "not_settled"
    assert desk.code(30.0, share) == "ready"


def test_a_writer_that_pauses_is_given_three_times_its_longest_pause() -> None:
    desk = Desk()
    for at in (0.0, 4.0, 8.0):
        desk.look(at, sighting(at))

    assert desk.code(8.0 + 11.9, sighting(8.0)) == "not_settled"
    assert desk.code(8.0 + 12.0, sighting(8.0)) == "ready"


def test_no_pause_makes_it_wait_longer_than_ten_minutes() -> None:
    desk = Desk(quiet=500)
    for at in (0.0, 400.0, 800.0):
        desk.look(at, sighting(at))

    assert desk.code(800 + LONGEST_QUIET, sighting(800.0)) == "ready"


def test_a_file_that_changes_long_after_it_was_ready_starts_anew() -> None:
    desk = Desk()
    desk.look(0.0, sighting(0))
    assert desk.code(5.0, sighting(0)) == "ready"
    desk.look(300.0, sighting(300))

    assert desk.code(305.0, sighting(300)) == "ready"


def test_a_slow_writer_that_is_seen_all_along_makes_nobody_wait_longer() -> None:
    desk = Desk()
    for now in range(0, 60, 5):
        desk.look(now, sighting(now - 0.1, writing=True))
    desk.look(60.0, sighting(60))

    assert desk.code(60.0 + QUIET, sighting(60)) == "ready"


@pytest.mark.parametrize(("behind", "ready_at"), [(0.0, 5.0), (0.1, 4.9), (0.5, 5.0), (-1.0, 5.0)])
def test_the_quiet_time_runs_from_the_change_not_from_a_look_a_moment_later(
    behind: float, ready_at: float
) -> None:
    seen = sighting(-behind)
    desk = Desk()

    assert desk.look(0.0, seen).recheck_at == pytest.approx(ready_at)
    assert desk.code(ready_at - 0.01, seen) == "not_settled"
    assert desk.code(ready_at + 0.01, seen) == "ready"


def test_what_arrived_whole_is_ready_after_two_looks() -> None:
    desk = Desk()

    assert desk.look(0.0, sighting(arrived=True)).recheck_at == 0.25
    # it is told once, and remembered while the file stays as it is
    assert desk.code(0.25, sighting()) == "ready"


@pytest.mark.parametrize("remote", [False, True])
def test_dates_in_whole_seconds_are_left_behind_before_a_file_is_read(remote: bool) -> None:
    whole = Stamp(8, 1_700_000_000_000_000_000, 0 if remote else 1_700_000_000_000_000_000, 42)
    desk = Desk(quiet=0.0)
    desk.watch = replace(desk.watch, poll_every=0.1)
    seen = sighting(stamp=whole, arrived=not remote, remote=remote)
    desk.look(0.0, seen)

    # written again within the same second, it would look the same
    assert desk.code(2.0, seen) == "not_settled"
    assert desk.code(3.0, seen) == "ready"


def test_what_arrived_whole_and_changes_after_all_waits_like_any_other() -> None:
    desk = Desk()
    desk.look(0.0, sighting(0, arrived=True))
    desk.look(0.2, sighting(0.2))

    assert desk.code(0.5, sighting(0.2)) == "not_settled"


def test_what_arrived_and_is_still_open_for_writing_waits() -> None:
    desk = Desk()
    desk.look(0.0, sighting(arrived=True, writing=True))

    assert desk.code(1.0, sighting(arrived=True, writing=True)) == "being_written"


def test_an_empty_file_is_held_then_refused() -> None:
    desk = Desk()
    empty = sighting(stamp=stamp(size=0))
    first = desk.look(0.0, empty)
    last = desk.look(EMPTY_HOLD, empty)

    assert (first.waiting[0].code, first.waiting[0].until) == ("empty", EMPTY_HOLD)
    assert (last.waiting[0].code, last.waiting[0].until) == ("empty", None)
    assert last.recheck_at is None


def test_an_empty_file_is_published_after_the_hold_where_that_is_allowed() -> None:
    desk = Desk(empty_files="publish")
    empty = sighting(stamp=stamp(size=0))

    assert desk.code(0.0, empty) == "empty"
    assert desk.code(EMPTY_HOLD, empty) == "ready"


@pytest.mark.parametrize("writing", [True, False])
def test_what_never_settles_is_told_and_waited_for(writing: bool) -> None:
    desk = Desk()
    now = 0.0
    while now < TOO_LONG:
        desk.look(now, sighting(now, writing=writing))
        now += 4.0
    last = desk.look(now, sighting(now, writing=writing))

    assert last.waiting[0].code == "never_settles"
    assert last.recheck_at is not None
    assert desk.code(now + 60, sighting(now)) in {"ready", "never_settles"}
    assert desk.code(now + 120, sighting(now)) == "ready"


def test_once_takes_files_that_were_at_rest_before_it_came() -> None:
    assert Desk(once=True).code(0.0, sighting(-QUIET)) == "ready"
    assert Desk(once=True).code(0.0, sighting(-QUIET + 1)) == "not_settled"


def test_once_believes_no_date_where_a_writer_could_hide_or_the_date_is_to_come() -> None:
    assert Desk(once=True).code(0.0, sighting(-900, lease=False)) == "not_settled"
    assert Desk(once=True).code(0.0, sighting(-900, remote=True)) == "not_settled"
    assert Desk(once=True).code(0.0, sighting(-900, writing=True)) == "being_written"
    assert Desk(once=True).code(0.0, sighting(900)) == "not_settled"


def test_the_service_believes_no_date_at_all() -> None:
    assert Desk().code(0.0, sighting(-900)) == "not_settled"


def test_a_step_of_the_wall_clock_settles_nothing() -> None:
    desk = Desk()
    desk.look(0.0, sighting(0))

    assert desk.code(1.0, sighting(0), wall=NOON + 9e6) == "not_settled"
    assert desk.code(2.0, sighting(1.5), wall=NOON - 9e6) == "not_settled"
    assert desk.code(2.0 + 2 * QUIET, sighting(1.5), wall=NOON) == "ready"


def test_what_is_ready_stays_ready_until_it_changes() -> None:
    desk = Desk()
    desk.look(0.0, sighting())
    desk.look(5.0, sighting())

    assert desk.code(5.1, sighting()) == "ready"
    assert desk.code(5.2, sighting(writing=True)) == "being_written"


def test_a_pending_file_is_remembered_while_others_are_looked_at() -> None:
    desk = Desk()
    desk.look(0.0, sighting())
    other = ResourceKey(DATASET, "air", "b.csv")
    desk.look(4.0, Sighting(other, stamp()))

    assert desk.code(5.0, sighting()) == "ready"


def test_what_is_not_seen_any_more_is_forgotten_in_the_end() -> None:
    desk = Desk()
    desk.look(0.0, sighting())
    desk.look(10_000.0)

    assert not desk.memory.tracks


# ------------------------------------------------------------------------------------------- laws

steps = some.lists(
    some.tuples(
        some.floats(0.05, 20.0),  # seconds until the next look
        some.booleans(),  # it changed meanwhile
        some.booleans(),  # somebody is seen writing
        some.booleans(),  # a writer can be seen at all
        some.integers(0, 2),  # its size
    ),
    max_size=40,
)


@given(steps)
def test_nothing_is_ready_unless_it_was_the_same_for_the_quiet_time(
    script: list[tuple[float, bool, bool, bool, int]],
) -> None:
    desk, now, changed_at, current = Desk(), 0.0, 0.0, stamp()
    desk.look(0.0, Sighting(KEY, current))
    for pause, changed, writing, lease, size in script:
        now += pause
        if changed:
            current, changed_at = stamp(now, size), now
        settled = desk.look(now, Sighting(KEY, current, writing=writing, lease=lease))

        assert len(settled.ready) + len(settled.waiting) == 1
        if settled.ready:
            assert not writing
            assert current.size > 0
            assert now - changed_at >= QUIET


@given(steps)
def test_whatever_happened_a_file_left_alone_is_ready_in_the_end(
    script: list[tuple[float, bool, bool, bool, int]],
) -> None:
    desk, now, current = Desk(), 0.0, stamp()
    for pause, changed, writing, lease, size in script:
        now += pause
        current = stamp(now, size) if changed else current
        desk.look(now, Sighting(KEY, current, writing=writing, lease=lease))
    left_alone = Sighting(KEY, stamp(now, size=3))
    settled = desk.look(now, left_alone)
    for _ in range(100):
        if settled.recheck_at is None:
            break
        assert settled.recheck_at > now
        now = settled.recheck_at
        settled = desk.look(now, left_alone)

    assert settled.ready == (left_alone,)
