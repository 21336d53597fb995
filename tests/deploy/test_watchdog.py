"""The watchdog is fed for work that gets on, not for a process that merely exists."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from publisher_daemon.daemon.signs import STUCK, Signs
from publisher_daemon.folder import Folder
from publisher_daemon.health import Notifier, Pulse
from publisher_daemon.model import DatasetId, Watch

DATASET = DatasetId("d" * 24)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pulse(clock: Clock) -> Pulse:
    return Pulse(clock)


@pytest.fixture
def signs(tmp_path: Path, pulse: Pulse) -> Signs:
    return Signs(tmp_path, Notifier({}), pulse)


@pytest.fixture
def working() -> Iterator[Callable[[Callable[[], None]], threading.Thread]]:
    """Give a thread that does something once, and then hangs."""
    release = threading.Event()
    threads: list[threading.Thread] = []

    def start(first: Callable[[], None]) -> threading.Thread:
        reported = threading.Event()

        def work() -> None:
            first()
            reported.set()
            release.wait(60)

        threads.append(threading.Thread(target=work))
        threads[-1].start()
        assert reported.wait(10)
        return threads[-1]

    yield start
    release.set()
    for thread in threads:
        thread.join(10)


Working = Callable[[Callable[[], None]], threading.Thread]


def test_workers_that_report_get_on(
    signs: Signs, pulse: Pulse, working: Working, clock: Clock
) -> None:
    worker = working(pulse.beat)
    clock.now += STUCK - 1

    assert signs.all_get_on([worker])


def test_one_silent_worker_is_enough_to_starve_the_watchdog(
    signs: Signs, pulse: Pulse, working: Working, clock: Clock
) -> None:
    silent = working(pulse.beat)
    clock.now += STUCK + 1
    other = working(pulse.beat)

    assert signs.all_get_on([other])
    assert not signs.all_get_on([other, silent])


def test_a_worker_that_waits_for_an_answer_has_as_long_as_that_may_take(
    signs: Signs, pulse: Pulse, working: Working, clock: Clock
) -> None:
    worker = working(lambda: pulse.beat(2000))

    clock.now += 2000 + STUCK - 1
    assert signs.all_get_on([worker])
    clock.now += 2
    assert not signs.all_get_on([worker])


def test_reading_is_a_sign_of_life_whichever_thread_reads(
    signs: Signs, pulse: Pulse, working: Working, clock: Clock, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.csv").write_text("a;b\n")
    watch = Watch("folder", str(tmp_path / "folder"), DATASET)
    folder = Folder(watch, answered=lambda: pulse.moved(DATASET))
    worker = working(lambda: pulse.serve(DATASET))
    clock.now += STUCK + 1
    assert not signs.all_get_on([worker])

    assert list(folder.scan())

    assert signs.all_get_on([worker])


def test_a_dead_worker_does_not_get_on(signs: Signs, pulse: Pulse) -> None:
    thread = threading.Thread(target=pulse.beat)
    thread.start()
    thread.join(10)

    assert not signs.all_get_on([thread])
