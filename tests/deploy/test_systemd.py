"""The systemd files we ship and the drop-in we print, judged by systemd itself."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from publisher_daemon.cli.dropin import dropin
from publisher_daemon.errors import ConfigInvalid
from publisher_daemon.log import message_id

UNIT = Path(__file__).resolve().parents[2] / "deploy" / "systemd" / "publisher-daemon.service"
INSTALLED = "/usr/lib/publisher-daemon/venv/bin/python"

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not on this machine"
)


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """Copy the unit, with an interpreter that exists here: verify wants one."""
    copy = tmp_path / UNIT.name
    text = UNIT.read_text()
    assert INSTALLED in text
    copy.write_text(text.replace(INSTALLED, sys.executable))
    return copy


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", "--no-pager", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@needs_systemd
def test_systemd_finds_nothing_to_say_about_the_unit(unit: Path) -> None:
    found = analyze("verify", unit)

    # an unknown key is a line on standard error, with exit code 0
    assert (found.returncode, found.stderr) == (0, "")


@needs_systemd
def test_the_unit_is_exposed_to_little(unit: Path) -> None:
    found = analyze("security", "--offline=yes", "--threshold=15", unit)

    assert found.returncode == 0, found.stdout


@needs_systemd
def test_systemd_understands_the_drop_in(unit: Path) -> None:
    beside = unit.parent / f"{unit.name}.d"
    beside.mkdir()
    folders = ["/srv/open data/l'air", "/srv/100%/été", "/home/anne/open", "/data"]
    (beside / "folders.conf").write_text(dropin(folders))

    found = analyze("verify", unit)

    assert (found.returncode, found.stderr) == (0, "")


def test_the_drop_in_shows_each_folder_once_and_read_only() -> None:
    text = dropin(["/srv/air", "/srv/air", "/data/water 1"])

    assert text.count("BindReadOnlyPaths=-/srv/air\n") == 1
    assert 'BindReadOnlyPaths="-/data/water 1"\n' in text
    assert 'RequiresMountsFor="/data/water 1"\n' in text
    assert "TemporaryFileSystem=/srv:ro /mnt:ro /media:ro\n" in text
    assert "ProtectHome" not in text


def test_a_folder_in_a_home_is_shown_and_nothing_else_there() -> None:
    assert "ProtectHome=tmpfs\n" in dropin(["/home/anne/open"])


@pytest.mark.parametrize("path", ['/srv/a"b', "/srv/a\nb", "/srv/a\\b", "/srv/a:b"])
def test_a_path_systemd_cannot_name_is_refused(path: str) -> None:
    with pytest.raises(ConfigInvalid, match="cannot be named in a systemd unit"):
        dropin([path])


def test_the_catalogue_explains_our_events_in_two_languages() -> None:
    text = (UNIT.parent / "publisher-daemon.catalog").read_text()
    found = re.findall(r"^# ([a-z_.]+)\n-- ([0-9a-f]{32})( fr)?\nSubject: .+$", text, re.MULTILINE)

    assert len(found) == len(re.findall("^-- ", text, re.MULTILINE)) > 20
    assert [identity for event, identity, _ in found if message_id(event) != identity] == []
    events = {event for event, _, _ in found}
    assert {event for event, _, language in found if language} == events
    told = (UNIT.parents[2] / "docs/reference/events.md").read_text()
    assert [event for event in events if f"| `{event}` |" not in told] == []
