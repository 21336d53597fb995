"""What a person sends when they ask for help: the report, and the archive with everything else."""

from __future__ import annotations

import json
import stat
import zipfile
from pathlib import Path

import pytest
from producer import Producer
from proxy import Proxy

from publisher_daemon.log import Recent
from publisher_daemon.support import Part, write_bundle

SENTRY = "0123456789abcdef0123456789abcdef"


def unpacked(path: Path) -> dict[str, str]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def test_the_archive_holds_what_support_asks_for_and_no_key(
    distant: Producer, proxy: Proxy
) -> None:
    distant.settings["language"] = '"fr"'
    proxy.rule("POST .*/upload/", status=500, headers={"X-Sentry-ID": SENTRY}, times=9)
    distant.drop("a.csv", b"a;b\n")
    distant.once(code=1)
    target = distant.home / "archive.zip"

    by_path = distant.call("support", str(distant.folder / "a.csv"))
    done = distant.call("support", "--bundle", str(target))

    assert f"X-Sentry-ID: {SENTRY}" in by_path.stdout
    assert "La requête\u00a0:\n    POST " in by_path.stdout
    assert "a.csv" in by_path.stdout
    assert done.returncode == 0, done.stderr
    assert str(target) in done.stdout
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    kept = unpacked(target)
    assert set(kept) >= {
        "README.txt", "configuration.toml", "settings.json", "versions.json", "status.json",
        "history.json", "events.jsonl",
    }  # fmt: skip
    assert json.loads(kept["versions.json"])["packages"]["requests"]
    assert json.loads(kept["status.json"])["datasets"][0]["files"][0]["path"] == "a.csv"
    events = [json.loads(line) for line in kept["events.jsonl"].splitlines()]
    assert SENTRY in {event.get("sentry_id") for event in events}
    reports = [text for name, text in kept.items() if name.startswith("reports/")]
    assert any(f"X-Sentry-ID: {SENTRY}" in text and "Bonjour" in text for text in reports)
    assert not any(distant.key in text for text in kept.values())


@pytest.mark.parametrize(
    "request_", ["GET .*/datasets/{dataset}/", "PUT .*/datasets/{dataset}/"], ids=["read", "page"]
)
def test_an_answer_that_concerns_no_file_is_kept_too(
    distant: Producer, proxy: Proxy, request_: str
) -> None:
    distant.more = f'[[datasets]]\nid = "{distant.dataset}"\nacronym = "AIR"\n'
    distant.drop("a.csv", b"a;b\n")
    proxy.rule(
        request_.format(dataset=distant.dataset), status=500, headers={"X-Sentry-ID": SENTRY}
    )

    for _ in range(3):
        assert distant.call("refresh").returncode in {1, 75}
    by_id = distant.call("support", SENTRY)

    assert f"X-Sentry-ID: {SENTRY}" in by_id.stdout, by_id.stderr
    assert request_.split(maxsplit=1)[0] in by_id.stdout
    assert distant.key not in by_id.stdout
    assert distant.dataset in distant.call("history").stdout


def test_an_archive_that_cannot_be_written_says_where_else(producer: Producer) -> None:
    producer.configure()

    done = producer.call("support", "--bundle", str(producer.home / "no" / "where.zip"))

    assert done.returncode == 1
    assert "--bundle FILE" in done.stderr


def test_passwords_in_addresses_and_secret_settings_are_taken_out(tmp_path: Path) -> None:
    text = (
        'proxy = "http://agent:motdepasse@proxy:3128"\napi_key = "courte"\n  "password": "x1y2"\n'
        'to = ["mailto://u:p4ss@mail.example"]\nauthor = "kept"\n'
    )

    found = unpacked(write_bundle(tmp_path / "x.zip", [Part("a.toml", "", text)]))["a.toml"]

    for secret in ("motdepasse", "courte", "x1y2", "p4ss"):
        assert secret not in found
    assert 'author = "kept"' in found
    assert "@proxy:3128" in found


def test_what_is_kept_of_the_log_is_bounded_and_the_newest(tmp_path: Path) -> None:
    recent = Recent(tmp_path, limit=1000)

    for number in range(500):
        recent.add(f'{{"event": "line {number}"}}')

    lines = recent.text().splitlines()
    assert 10 < len(lines) < 100
    assert lines[-1] == '{"event": "line 499"}'
    assert lines == [f'{{"event": "line {500 - len(lines) + n}"}}' for n in range(len(lines))]
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 2100
