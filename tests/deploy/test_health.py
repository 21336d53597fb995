"""The heartbeat of the service, and the command that health checks call."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from publisher_daemon.cli import main
from publisher_daemon.health import Heartbeat


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir()
    path = tmp_path / "config.toml"
    path.write_text(
        '[portal]\nurl = "https://portal.example.org"\n[daemon]\n'
        f'state_dir = "{tmp_path / "state"}"\n'
        f'[[folders]]\npath = "{tmp_path / "in"}"\ndataset = "5bbb6d6cff66bd4dc17bfd5a"\n'
    )
    return path


def test_a_service_that_gets_on_is_well(tmp_path: Path, config: Path) -> None:
    Heartbeat(tmp_path / "state").beat()

    assert main(["--config", str(config), "health"]) == 0


def test_a_service_that_is_not_there_is_not_well(config: Path) -> None:
    assert main(["--config", str(config), "health"]) == 1


def test_an_old_heartbeat_is_no_sign_of_life(tmp_path: Path, config: Path) -> None:
    Heartbeat(tmp_path / "state").beat()
    os.utime(tmp_path / "state" / "heartbeat", (1, 1))

    assert main(["--config", str(config), "health"]) == 1


def test_a_service_that_stopped_leaves_no_heartbeat(tmp_path: Path) -> None:
    heart = Heartbeat(tmp_path)
    heart.beat()

    heart.gone()

    assert heart.age() is None


def test_the_heartbeat_is_not_written_at_every_turn(tmp_path: Path) -> None:
    now = [1000.0]
    heart = Heartbeat(tmp_path, lambda: now[0])
    heart.beat()
    now[0] += 9
    heart.beat()
    assert heart.age() == 9
    now[0] += 1

    heart.beat()

    assert heart.age() == 0


def test_a_clock_set_back_does_not_stop_the_heart(tmp_path: Path) -> None:
    now = [1000.0]
    heart = Heartbeat(tmp_path, lambda: now[0])
    heart.beat()
    now[0] = 500.0

    heart.beat()

    assert heart.age() == 0
