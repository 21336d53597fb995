"""Long work leaves room for short work, whatever the number of workers."""

from __future__ import annotations

import threading

from waiting import wait_until

from publisher_daemon.model import DatasetId
from publisher_daemon.reconcile.longs import LongPlaces

BIG, SMALL = DatasetId("big"), DatasetId("small")


def _while_another_is_at_work(longs: LongPlaces, *, long: bool) -> bool:
    """Whether a turn is to be had while another thread is in its own."""
    begun, over = threading.Event(), threading.Event()

    def other() -> None:
        with longs.turn(5):
            if long:
                assert longs.enter(BIG)
            begun.set()
            over.wait(10)
            longs.leave(BIG)

    thread = threading.Thread(target=other)
    thread.start()
    wait_until(begun.is_set, 5, "the other one has its turn")
    with longs.turn(0.05) as mine:
        got = mine
    over.set()
    thread.join(5)
    return got


def test_a_single_worker_serves_one_dataset_at_a_time() -> None:
    assert not _while_another_is_at_work(LongPlaces(1), long=False)


def test_a_single_worker_at_long_work_gives_its_turn_to_another_thread() -> None:
    longs = LongPlaces(1)

    assert longs.threads == 2
    assert _while_another_is_at_work(longs, long=True)
    # and only one of them is lent
    assert not _while_another_is_at_work(longs, long=False)


def test_one_of_several_workers_is_never_at_long_work() -> None:
    longs = LongPlaces(2)

    assert longs.enter(BIG)
    assert longs.enter(BIG)
    assert not longs.enter(SMALL)
    longs.leave(BIG)
    assert longs.enter(SMALL)
