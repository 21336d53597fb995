"""The watchdog is fed for work that gets on, not for a process that merely exists."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from publisher_daemon.config import load
from publisher_daemon.daemon import Daemon
from publisher_daemon.ledger import Ledger


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Daemon]:
    path = tmp_path / "config.toml"
    path.write_text(
        '[portal]\nurl = "https://portal.example.org"\n[daemon]\n'
        f'state_dir = "{tmp_path / "state"}"\n'
    )
    settings = load(path, {})
    ledger = Ledger(settings.daemon.state_dir)
    yield Daemon(settings, ledger, reload=lambda: settings)
    ledger.close()


@pytest.fixture
def worker(service: Daemon) -> Iterator[threading.Thread]:
    """Give a thread that reported once, and now waits."""
    reported, release = threading.Event(), threading.Event()

    def work() -> None:
        service._gets_on()
        reported.set()
        release.wait(60)

    thread = threading.Thread(target=work)
    thread.start()
    assert reported.wait(10)
    yield thread
    release.set()
    thread.join(10)


def test_workers_that_report_get_on(service: Daemon, worker: threading.Thread) -> None:
    assert service._all_get_on([worker])


def test_one_silent_worker_is_enough_to_starve_the_watchdog(
    service: Daemon, worker: threading.Thread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("publisher_daemon.daemon.service.STUCK", -1.0)

    assert not service._all_get_on([worker])


def test_a_dead_worker_does_not_get_on(service: Daemon) -> None:
    thread = threading.Thread(target=service._gets_on)
    thread.start()
    thread.join(10)

    assert not service._all_get_on([thread])
