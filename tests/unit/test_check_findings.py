"""What ``check`` makes of what it finds, without a portal."""

from __future__ import annotations

import fcntl
import os
from dataclasses import replace
from pathlib import Path

import pytest

from publisher_daemon.check import Finding, exit_code, of_configuration
from publisher_daemon.check._folders import Seen, _held, limits
from publisher_daemon.check._state import holder, state
from publisher_daemon.errors import ConfigInvalid
from publisher_daemon.ledger import Ledger
from publisher_daemon.model import DatasetId, Watch

WATCH = Watch("air", "/srv/air", DatasetId("5bbb6d6cff66bd4dc17bfd5a"))


def of(code: str, level: str = "error") -> Finding:
    return Finding(level, "here", "This.", "That.", code)  # type: ignore[arg-type]  # a Level


@pytest.mark.parametrize(
    ("codes", "exits"),
    [
        ([], 0),
        (["folder.missing"], 1),
        (["folder.missing", "portal.unreachable"], 75),
        (["portal.unreachable", "key.refused"], 77),
        (["key.refused", "config.invalid", "folder.missing"], 78),
    ],
)
def test_the_exit_code_is_that_of_the_error_to_mend_first(codes: list[str], exits: int) -> None:
    assert exit_code(map(of, codes)) == exits


def test_warnings_alone_are_no_failure() -> None:
    assert exit_code([of("portal.unreachable", "warning"), of("config.read", "ok")]) == 0


def test_each_line_of_a_refused_configuration_is_a_finding_with_place_and_remedy() -> None:
    trouble = ConfigInvalid(
        '/etc/p.toml:3: [portal] urll: unknown key. The nearest known one is "url".\n'
        'environment: PUBLISHER_DAEMON__QUIET: [daemon] quiet = "x": is not a duration. Write 5s.'
    )

    first, second = of_configuration(trouble)

    assert (first.where, first.what) == ("/etc/p.toml:3", "[portal] urll: unknown key.")
    assert first.right == 'The nearest known one is "url".'
    assert second.where == "environment: PUBLISHER_DAEMON__QUIET"
    assert second.right == "Write 5s."


def test_a_configuration_problem_without_place_keeps_its_hint() -> None:
    (finding,) = of_configuration(ConfigInvalid("no configuration was found.", hint="Name one."))

    assert (finding.what, finding.right) == ("no configuration was found.", "Name one.")


def seen(**more: int | bool) -> Seen:
    return Seen(WATCH, "here", usable=True, **more)  # type: ignore[arg-type]  # few words


def kernel(at: Path, watches: int, instances: int) -> Path:
    (at / "max_user_watches").write_text(f"{watches}\n")
    (at / "max_user_instances").write_text(f"{instances}\n")
    return at


def test_too_few_watches_are_told_with_limit_need_and_the_line_to_write(tmp_path: Path) -> None:
    proc = kernel(tmp_path, watches=100, instances=8)

    (finding,) = limits([seen(directories=90), seen(directories=30)], "here", proc)

    assert finding.level == "warning"
    assert "watch 100 directories" in finding.what
    assert "120 are to be watched" in finding.what
    assert "fs.inotify.max_user_watches = 256" in finding.right


def test_too_few_instances_are_told(tmp_path: Path) -> None:
    proc = kernel(tmp_path, watches=100, instances=1)

    (finding,) = limits([seen(directories=1), seen(directories=1)], "here", proc)

    assert "fs.inotify.max_user_instances = 4" in finding.right


def test_polled_folders_need_no_watch(tmp_path: Path) -> None:
    proc = kernel(tmp_path, watches=1, instances=1)

    assert not list(limits([seen(directories=9, network=True)], "here", proc))


def test_a_network_share_is_fine_when_it_is_polled() -> None:
    told = list(_held(Seen(WATCH, "here", network=True, paths=["a.csv"]), 0))

    assert [each.level for each in told] == ["ok"]
    assert "regular scans, every 30 s. It is a network share" in told[0].what


def test_events_alone_on_a_network_share_are_doubtful() -> None:
    watch = replace(WATCH, observe="events")

    told = list(_held(Seen(watch, "here", network=True, paths=["a.csv"]), 0))

    assert 'observe = "auto"' in told[1].right


def test_no_limit_is_told_where_the_kernel_tells_none(tmp_path: Path) -> None:
    assert not list(limits([seen(directories=9)], "here", tmp_path / "nowhere"))


def test_the_holder_of_the_instance_lock_is_seen_without_taking_it(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    try:
        assert holder(tmp_path / "lock") is None
        with ledger.lock():
            assert holder(tmp_path / "lock") == os.getpid()
        assert holder(tmp_path / "lock") is None
        with (tmp_path / "lock").open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # it was left free
    finally:
        ledger.close()


def test_a_state_directory_to_be_made_is_fine_and_is_not_made(tmp_path: Path) -> None:
    findings = list(state(tmp_path / "var" / "lib", "here"))

    assert [finding.code for finding in findings] == ["state.read"]
    assert not (tmp_path / "var").exists()


def test_a_file_in_place_of_the_state_directory_is_told(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")

    findings = list(state(tmp_path / "state", "here"))

    assert "state.not_a_directory" in [finding.code for finding in findings]


def test_a_full_disk_is_told_before_it_stops_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("publisher_daemon.check._state._ENOUGH", 1 << 62)

    (finding,) = [each for each in state(tmp_path, "here") if each.code == "state.space"]

    assert finding.level == "warning"
