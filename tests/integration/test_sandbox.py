"""The sandbox is a real portal, starts fast, misbehaves on demand and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from launcher import RefusedError, Sandbox, SandboxError
from waiting import wait_until

if TYPE_CHECKING:
    from colleague import Api

COMMAND = [sys.executable, str(Path(__file__).parents[2] / "deploy" / "sandbox")]


@contextmanager
def _launched(*options: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """Run the command until it is ready; kill it if the test has not ended it."""
    with subprocess.Popen(
        [*COMMAND, "--json", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout is not None
            yield process, json.loads(process.stdout.readline())
        finally:
            if process.poll() is None:
                process.kill()


def _nothing_left(about: dict[str, Any]) -> bool:
    alive = [pid for pid in about["processes"] if Path(f"/proc/{pid}/cmdline").exists()]
    return not alive and not Path(about["data"]).exists()


def test_is_ready_within_15_seconds(portal: Sandbox) -> None:
    assert portal.url  # installed and seeded by now
    begun = time.monotonic()

    with _launched() as (_process, about):
        assert requests.get(f"{about['url']}/api/1/datasets/frequencies/", timeout=5).ok

        assert time.monotonic() - begun < 15


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everything(portal: Sandbox, number: signal.Signals) -> None:
    assert portal.url
    with _launched() as (process, about):
        assert len(about["processes"]) == 2
        process.send_signal(number)

        assert process.wait(15) == 0

    wait_until(lambda: _nothing_left(about), 5, "processes and data gone")


def test_nothing_survives_a_launcher_that_is_killed(portal: Sandbox) -> None:
    assert portal.url
    with _launched() as (process, about):
        process.kill()
        process.wait(5)

    wait_until(lambda: _nothing_left(about), 15, "processes and data gone")


def test_ctrl_c_reaches_the_whole_foreground_group_and_still_ends_well(portal: Sandbox) -> None:
    assert portal.url
    with _launched() as (process, about):
        os.killpg(process.pid, signal.SIGINT)  # what a terminal does

        assert process.wait(15) == 0

    wait_until(lambda: _nothing_left(about), 5, "processes and data gone")


def test_a_kept_directory_keeps_datasets_files_and_address(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    with Sandbox(data=kept) as first:
        dataset, url = first.new_dataset("Jeu gardé"), first.url

    with Sandbox(data=kept) as second:
        assert second.url == url
        assert second.call("GET", f"1/datasets/{dataset}/")["title"] == "Jeu gardé"


def test_refuses_a_directory_that_is_not_a_sandbox(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("mine")

    with pytest.raises(SandboxError, match="neither empty nor a sandbox"):
        Sandbox(data=tmp_path).start()

    assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]


def test_keys_have_the_rights_that_their_names_say(portal: Sandbox, api: Api) -> None:
    statuses = {
        token: api.request("GET", "1/me/", token=token).status_code for token in portal.tokens
    }

    assert statuses == {
        "prod": 200,
        "editor": 200,
        "partial": 200,
        "stranger": 200,
        "sysadmin": 200,
        "inactive": 401,
        "revoked": 401,
        "expired": 401,
    }
    with pytest.raises(RefusedError, match="403"):
        portal.call("PUT", f"1/datasets/{portal.datasets['pub']}/", {"tags": []}, "stranger")


def test_a_private_dataset_is_private(portal: Sandbox, api: Api) -> None:
    dataset = portal.new_dataset(private=True)

    assert api.request("GET", f"1/datasets/{dataset}/", token=None).status_code == 404
    assert api.dataset(dataset)["private"] is True


def test_a_fault_applies_as_often_as_it_says_then_no_more(
    portal: Sandbox, api: Api, dataset: str
) -> None:
    rule = {
        "match": f"GET .*{dataset}",
        "status": 500,
        "times": 2,
        "headers": {"X-Sentry-ID": "0123456789abcdef0123456789abcdef"},
    }
    for _turn in range(2):  # given again, it counts afresh
        portal.faults([rule])
        answers = [api.request("GET", f"1/datasets/{dataset}/") for _time in range(3)]

        assert [answer.status_code for answer in answers] == [500, 500, 200]
        assert answers[0].headers["X-Sentry-ID"] == "0123456789abcdef0123456789abcdef"


def test_a_fault_after_loses_the_reply_but_not_the_work(
    portal: Sandbox, api: Api, dataset: str
) -> None:
    portal.faults([{"match": "POST .*/upload/", "status": 504, "after": True, "html": "<h1>"}])

    answer = api.request(
        "POST", f"1/datasets/{dataset}/upload/", files={"file": ("a.csv", b"a\n1\n")}
    )

    assert (answer.status_code, answer.text) == (504, "<h1>")
    assert answer.headers["Content-Type"].startswith("text/html")
    assert len(api.resources(dataset)) == 1


def test_settings_change_at_restart_and_the_address_does_not(
    portal: Sandbox, api: Api, dataset: str
) -> None:
    url = portal.url
    portal.restart({"READ_ONLY_MODE": True})

    answer = api.request(
        "POST", f"1/datasets/{dataset}/upload/", files={"file": ("a.csv", b"a\n1\n")}
    )

    assert (portal.url, answer.status_code) == (url, 423)


def test_what_the_public_downloads_is_what_was_uploaded(
    api: Api, dataset: str, portal: Sandbox
) -> None:
    content = "ville;été\nNîmes;1\n".encode()

    made = api.upload(dataset, "mesures.csv", content)

    assert made["latest"].startswith(portal.url)
    assert api.download(made) == content
