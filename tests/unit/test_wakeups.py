from __future__ import annotations

import threading
import time
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from waiting import wait_until

from publisher_daemon.model import DatasetId, Hint, Reason
from publisher_daemon.wakeups import MOST_PATHS, Wake, Wakeups

A, B, C = (DatasetId(letter * 24) for letter in "abc")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def made() -> tuple[Wakeups, Clock]:
    clock = Clock()
    return Wakeups(clock), clock


def taken(lanes: Wakeups) -> Wake:
    wake = lanes.take(0)
    assert wake is not None
    return wake


def hint(folder: str, *paths: str, arrived: tuple[str, ...] = ()) -> Hint:
    return Hint(folder, frozenset(paths), frozenset(arrived))


def test_a_thousand_events_are_one_turn() -> None:
    lanes, _ = made()
    for number in range(1000):
        lanes.wake(A, Reason.EVENT, hint=hint("air", f"{number}.csv"))

    wake = taken(lanes)

    assert wake.hints == (hint("air", *(f"{number}.csv" for number in range(1000))),)
    assert not wake.everywhere
    lanes.done(A)
    assert lanes.take(0) is None


def test_a_dataset_at_work_is_not_handed_out_and_loses_nothing() -> None:
    lanes, _ = made()
    lanes.wake(A, Reason.EVENT, hint=hint("air", "a.csv"))
    taken(lanes)
    lanes.wake(A, Reason.EVENT, hint=hint("air", "b.csv"))

    assert lanes.take(0) is None
    lanes.done(A)

    assert taken(lanes).hints == (hint("air", "b.csv"),)


def test_who_waits_longest_goes_first() -> None:
    lanes, clock = made()
    lanes.wake(B, Reason.EVENT)
    clock.now += 1
    lanes.wake(A, Reason.EVENT)
    lanes.wake(C, Reason.EVENT)
    lanes.wake(B, Reason.RETRY)

    assert [taken(lanes).dataset for _ in range(3)] == [B, A, C]


def test_a_dataset_that_is_always_woken_does_not_starve_the_others() -> None:
    lanes, clock = made()
    lanes.wake(B, Reason.EVENT)
    served: Counter[DatasetId] = Counter()
    for _ in range(10):
        clock.now += 1
        lanes.wake(A, Reason.EVENT)
        lanes.wake(C, Reason.EVENT)
        wake = taken(lanes)
        served[wake.dataset] += 1
        lanes.wake(wake.dataset, Reason.EVENT)
        lanes.done(wake.dataset)

    assert served == {A: 3, B: 4, C: 3}


def test_a_later_turn_comes_in_its_time() -> None:
    lanes, clock = made()
    lanes.wake(A, Reason.SETTLE, at=clock.now + 5, hint=hint("air", "a.csv"))

    assert lanes.take(0) is None
    clock.now += 4.9
    assert lanes.take(0) is None
    clock.now += 0.1
    assert taken(lanes).reasons == {Reason.SETTLE}


def test_a_later_turn_never_delays_one_for_now() -> None:
    lanes, clock = made()
    lanes.wake(A, Reason.EVENT, hint=hint("air", "a.csv"))
    lanes.wake(A, Reason.SETTLE, at=clock.now + 60, hint=hint("air", "b.csv"))

    assert taken(lanes).hints == (hint("air", "a.csv"),)
    lanes.done(A)
    assert lanes.take(0) is None
    clock.now += 60
    assert taken(lanes).hints == (hint("air", "b.csv"),)


def test_a_look_at_one_path_does_not_bring_forward_one_at_everything() -> None:
    lanes, clock = made()
    lanes.wake(A, Reason.RESCAN, at=clock.now + 60)
    lanes.wake(A, Reason.SETTLE, at=clock.now + 5, hint=hint("air", "a.csv"))

    clock.now += 5
    soon = taken(lanes)

    assert (soon.hints, soon.everywhere) == ((hint("air", "a.csv"),), False)
    lanes.done(A)
    assert lanes.take(0) is None
    clock.now += 55
    assert taken(lanes).everywhere


def test_what_is_due_together_is_one_turn() -> None:
    lanes, clock = made()
    lanes.wake(A, Reason.SETTLE, at=clock.now + 1, hint=hint("air", "a.csv", arrived=("a.csv",)))
    clock.now += 2
    lanes.wake(A, Reason.EVENT, hint=hint("air", "b.csv"))

    wake = taken(lanes)

    assert wake.reasons == {Reason.SETTLE, Reason.EVENT}
    assert wake.hints == (hint("air", "a.csv", "b.csv", arrived=("a.csv",)),)
    lanes.done(A)
    assert lanes.take(0) is None


def test_a_wake_without_hint_keeps_what_arrived_whole() -> None:
    for order in (1, -1):
        lanes, _ = made()
        for one in (hint("air", "a.csv", arrived=("a.csv",)), None)[::order]:
            lanes.wake(A, Reason.EVENT, hint=one)

        wake = taken(lanes)

        assert wake.everywhere
        assert wake.all_of(["air", "eau"]) == (
            Hint("air", None, frozenset({"a.csv"})),
            Hint("eau"),
        )


def test_a_hintless_later_turn_keeps_what_arrived_whole() -> None:
    lanes, clock = made()
    lanes.wake(A, Reason.RESCAN, at=clock.now + 1)
    lanes.wake(A, Reason.EVENT, at=clock.now + 1, hint=hint("air", "a.csv", arrived=("a.csv",)))
    clock.now += 2
    lanes.wake(A, Reason.RESCAN)

    assert taken(lanes).all_of(["air"]) == (Hint("air", None, frozenset({"a.csv"})),)


def test_a_hint_for_a_whole_folder_wins_over_its_paths() -> None:
    lanes, _ = made()
    lanes.wake(A, Reason.EVENT, hint=Hint("air"))
    lanes.wake(A, Reason.EVENT, hint=hint("air", "a.csv"))
    lanes.wake(A, Reason.EVENT, hint=hint("eau", "b.csv"))

    assert taken(lanes).hints == (Hint("air"), hint("eau", "b.csv"))


def test_too_many_paths_are_the_whole_folder() -> None:
    lanes, _ = made()
    paths = [f"{number}.csv" for number in range(MOST_PATHS + 1)]
    lanes.wake(A, Reason.EVENT, hint=hint("air", *paths[1:]))
    lanes.wake(A, Reason.EVENT, hint=hint("air", paths[0]))

    assert taken(lanes).hints == (Hint("air"),)


def test_a_wake_reaches_who_waits() -> None:
    lanes = Wakeups(time.monotonic)
    found: list[Wake | None] = []
    waiting = threading.Thread(target=lambda: found.append(lanes.take(30)))
    waiting.start()

    lanes.wake(A, Reason.EVENT)

    waiting.join(10)
    assert [wake.dataset for wake in found if wake] == [A]


def test_closing_lets_everybody_go_and_hands_out_nothing_more() -> None:
    lanes = Wakeups(time.monotonic)
    waiting = [threading.Thread(target=lanes.take, args=(30,)) for _ in range(3)]
    for thread in waiting:
        thread.start()
    lanes.close()
    lanes.wake(A, Reason.EVENT)

    for thread in waiting:
        thread.join(10)
    assert not any(thread.is_alive() for thread in waiting)
    assert lanes.take(0) is None


def test_what_was_closed_hands_out_again_once_it_begins_anew() -> None:
    lanes = Wakeups(time.monotonic)
    lanes.wake(A, Reason.EVENT)
    lanes.close()

    lanes.forget()

    assert lanes.take(0) is None
    lanes.wake(A, Reason.RESCAN)
    taken = lanes.take(0)
    assert taken is not None
    assert taken.reasons == {Reason.RESCAN}


def test_nobody_works_on_a_dataset_that_another_works_on() -> None:
    lanes = Wakeups(time.monotonic)
    names = [DatasetId(f"{number:024x}") for number in range(5)]
    working: set[DatasetId] = set()
    turns: Counter[DatasetId] = Counter()
    doubled: list[DatasetId] = []

    def work() -> None:
        while (wake := lanes.take(30)) is not None:
            if wake.dataset in working:
                doubled.append(wake.dataset)
            working.add(wake.dataset)
            turns[wake.dataset] += 1
            lanes.wake(wake.dataset, Reason.RETRY)
            working.discard(wake.dataset)
            lanes.done(wake.dataset)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for name in names:
        lanes.wake(name, Reason.START)
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: all(turns[name] > 50 for name in names), 20.0, "fifty turns each")
    finally:
        lanes.close()
        for thread in threads:
            thread.join(10)
    assert doubled == []


class Life(RuleBasedStateMachine):
    """Whatever is asked, in any order: each path is handed out, in time, once."""

    def __init__(self) -> None:
        super().__init__()
        self.lanes, self.clock = made()
        self.serial = 0
        #: what was asked and not handed out: dataset, path, from when
        self.asked: dict[tuple[DatasetId, str], float] = {}
        self.busy: set[DatasetId] = set()

    @rule(dataset=st.sampled_from([A, B, C]), wait=st.none() | st.integers(-3, 10))
    def ask(self, dataset: DatasetId, wait: int | None) -> None:
        self.serial += 1
        path = f"{self.serial}.csv"
        at = None if wait is None else self.clock.now + wait
        self.lanes.wake(dataset, Reason.EVENT, at=at, hint=hint("air", path, arrived=(path,)))
        self.asked[dataset, path] = self.clock.now + max(wait or 0, 0)

    @rule(dataset=st.sampled_from([A, B, C]))
    def ask_for_all(self, dataset: DatasetId) -> None:
        self.lanes.wake(dataset, Reason.RESCAN)

    @rule(seconds=st.integers(1, 6))
    def time_goes_by(self, seconds: int) -> None:
        self.clock.now += seconds

    @rule()
    def take(self) -> None:
        wake = self.lanes.take(0)
        overdue = {
            dataset
            for (dataset, _), at in self.asked.items()
            if at <= self.clock.now and dataset not in self.busy
        }
        if wake is None:
            assert not overdue
            return
        assert wake.dataset not in self.busy
        self.busy.add(wake.dataset)
        paths = {path for each in wake.hints for path in each.paths or ()}
        assert paths == {path for each in wake.hints for path in each.arrived}
        for path in paths:
            del self.asked[wake.dataset, path]  # never twice
        left = [at for (dataset, _), at in self.asked.items() if dataset == wake.dataset]
        assert all(at > self.clock.now for at in left)

    @precondition(lambda self: self.busy)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        dataset = data.draw(st.sampled_from(sorted(self.busy)))
        self.busy.discard(dataset)
        self.lanes.done(dataset)

    @invariant()
    def nothing_is_forgotten(self) -> None:
        waiting = {dataset for dataset, _ in self.lanes._turns}
        assert {dataset for dataset, _ in self.asked} <= waiting


Life.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestLife = Life.TestCase


@given(st.lists(st.integers(0, 20), min_size=1, max_size=8))
def test_turns_come_in_the_order_of_their_instants(waits: list[int]) -> None:
    lanes, clock = made()
    for number, wait in enumerate(waits):
        lanes.wake(DatasetId(f"{number:024x}"), Reason.RETRY, at=clock.now + wait)
    clock.now += 100

    order = [int(taken(lanes).dataset, 16) for _ in waits]

    assert [waits[number] for number in order] == sorted(waits)


def test_what_waits_for_the_next_turn_can_be_seen_while_this_one_lasts() -> None:
    lanes, clock = made()
    lanes.wake(A, Reason.EVENT, hint=hint("air", "a.csv"))
    taken(lanes)

    assert lanes.asked(A) == (0, ())

    lanes.wake(A, Reason.EVENT, hint=hint("air", "b.csv"))
    lanes.wake(A, Reason.EVENT, hint=hint("air", "c.csv"))
    lanes.wake(A, Reason.SETTLE, at=clock.now + 1, hint=hint("air", "a.csv"))

    assert lanes.asked(A) == (2, (hint("air", "b.csv", "c.csv"),))
