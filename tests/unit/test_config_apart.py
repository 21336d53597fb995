"""The settings read by another process: the same ones, the same refusals, and no pydantic here."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from waiting import wait_until

from publisher_daemon.config import _apart, load, load_apart
from publisher_daemon.errors import ConfigInvalid

CONFIG = """
[portal]
url = "http://127.0.0.1:9"
[daemon]
state_dir = "state"
[alerts]
to = ["json://user:password@127.0.0.1/a-long-enough-token"]
[[folders]]
path = "data"
dataset = "5bbb6d6cff66bd4dc17bfd5a"
[[folders.resources]]
match = "{year}.csv"
extras = { since = 2020-01-01 }
[[datasets]]
id = "5bbb6d6cff66bd4dc17bfd5a"
temporal_coverage = { start = 2020-01-01 }
"""
KEY = {"PUBLISHER_PORTAL__API_KEY": "a-key", "PUBLISHER_NAME": "not ours"}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(CONFIG)
    path.chmod(0o600)
    return path


def test_another_process_reads_the_very_same_wherever_it_is(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.with_name("pydantic.py").write_text("raise SystemExit('not this one')")
    monkeypatch.chdir(config.parent)

    apart = load_apart(config, KEY)

    assert apart == load(config, KEY)
    assert apart.api_key() == "a-key"
    assert apart.path == config
    assert len(apart.warnings()) == 1


@pytest.mark.parametrize("wrong", ['[portal]\nurl = 1\n[x]\ny = "é"\n', "[portal\n"])
def test_another_process_refuses_in_the_very_same_words(config: Path, wrong: str) -> None:
    config.write_text(wrong)
    with pytest.raises(ConfigInvalid) as here:
        load(config, KEY)
    with pytest.raises(ConfigInvalid) as apart:
        load_apart(config, KEY)

    assert (apart.value.message, apart.value.hint) == (here.value.message, here.value.hint)


@pytest.mark.parametrize("interpreter", ["/bin/false", "/nowhere/python"])
def test_where_no_other_process_can_read_this_one_does_and_says_so(
    config: Path, monkeypatch: pytest.MonkeyPatch, interpreter: str
) -> None:
    monkeypatch.setattr(sys, "executable", interpreter)

    found = load_apart(config, KEY)

    assert found.folders == load(config, KEY).folders
    assert "had to read its settings itself" in found.warnings()[-1]


def test_a_program_that_was_replaced_meanwhile_asks_for_a_restart(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_apart, "__version__", "0.0.1")

    with pytest.raises(ConfigInvalid) as caught:
        load_apart(config, KEY)

    assert "since this service was started as 0.0.1" in caught.value.message
    assert "systemctl restart" in (caught.value.hint or "")


def test_the_service_never_holds_pydantic_not_even_after_a_reload(config: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "publisher_daemon", "--config", str(config), "run"],
        stderr=subprocess.PIPE, text=True, env={**os.environ, **KEY},
    ) as service:  # fmt: skip
        assert service.stderr is not None
        try:
            _read_until(service.stderr, "portal.unreachable")
            config.write_text(CONFIG.replace("[alerts]", 'language = "fr"\n[alerts]'))
            service.send_signal(signal.SIGHUP)
            _read_until(service.stderr, "config.reloaded")
            maps = Path(f"/proc/{service.pid}/maps").read_text()
        finally:
            service.terminate()

    assert "libsqlite3" in maps or "_sqlite3" in maps
    assert not [name for name in ("pydantic", "_asyncio") if name in maps]


def test_a_reload_asked_for_while_the_settings_are_read_is_made_once_it_serves(
    config: Path,
) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "publisher_daemon", "--config", str(config), "run"],
        stderr=subprocess.PIPE, text=True, env={**os.environ, **KEY},
    ) as service:  # fmt: skip
        assert service.stderr is not None
        reading = Path(f"/proc/{service.pid}/task/{service.pid}/children")
        try:
            wait_until(reading.read_text, 30, "another process reads the settings")
            service.send_signal(signal.SIGHUP)
            _read_until(service.stderr, "config.reloaded")
        finally:
            service.terminate()


def _read_until(lines: Iterable[str], event: str) -> None:
    seen = []
    for line in lines:
        seen.append(line)
        if event in line:
            return
    pytest.fail("".join(seen))
