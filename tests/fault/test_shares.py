"""A network share, for real: sshfs to an SSH server on loopback, which other machines write to."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from colleague import Api
from launcher import Sandbox
from producer import Producer
from remote import Remote
from waiting import wait_until

from publisher_daemon.ledger import Ledger
from publisher_daemon.model import DatasetId

pytestmark = [pytest.mark.root, pytest.mark.needs("sshd", "sshfs")]


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[Remote]:
    (tmp_path / "ssh").mkdir()
    with Remote(tmp_path / "ssh") as standing:
        yield standing


@pytest.fixture
def there(remote: Remote, producer: Producer) -> Path:
    """The other machine's directory that is shown as the producer's folder."""
    share = remote.home / "share"
    share.mkdir()
    remote.mount(share, producer.folder)
    producer.folder_settings |= {
        "poll_every": '"1s"', "quiet": '"500ms"', "stalled_after": '"2s"',
        "when_deleted": '"withdraw"', "withdraw_after": '"1s"',
    }  # fmt: skip
    return share


def folder_of(producer: Producer, number: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = producer.ask("status")["datasets"][number]["folders"][0]
    return found


def published(api: Api, dataset: str, *names: str) -> None:
    wait_until(
        lambda: {one["title"] for one in api.resources(dataset)} >= set(names), 30, f"{names}"
    )


def test_what_another_machine_writes_is_found_by_looking(
    producer: Producer, api: Api, there: Path
) -> None:
    with producer.start():
        (there / "a.csv").write_bytes(b"avant")
        published(api, producer.dataset, "a.csv")
        watch = folder_of(producer)["watch"]
        assert (watch["mode"], watch["why"]) == ("polling", None)

        # another machine writes slowly, and no lease tells that it still does
        with (there / "b.csv").open("wb", buffering=0) as file:
            for _ in range(6):
                file.write(b"0123456789")
                time.sleep(0.7)  # the writer's own pace, longer than `quiet`
        published(api, producer.dataset, "b.csv")
        (there / "a.csv").write_bytes(b"apres")

        wait_until(
            lambda: {one["size"] for one in producer.status().values()} == {60, 5}, 30, "b whole"
        )
        wait_until(
            lambda: b"apres" in [api.download(one) for one in api.resources(producer.dataset)],
            30, "a second change of the same size",
        )  # fmt: skip
        history = producer.ask("history", "b.csv")["history"]
        assert {row["size"] for row in history if row["size"]} == {60}


def test_a_state_directory_on_a_share_is_refused_with_what_is_right(
    producer: Producer, there: Path
) -> None:
    state = producer.folder / "state"
    assert there.is_dir()
    producer.settings["state_dir"] = f'"{state}"'
    (producer.home / "autre").mkdir()
    producer.folder_settings["path"] = f'"{producer.home / "autre"}"'

    findings = producer.ask("check", code=1)["findings"]
    ran = producer.call("run")

    (finding,) = [one for one in findings if one["level"] == "error"]
    assert finding["code"] == "state.on_a_share"
    line = producer.config.read_text().splitlines().index(f'state_dir = "{state}"') + 1
    assert finding["where"] == f"{producer.config}:{line}"
    assert f"{state} is on a network share (fuse.sshfs)" in finding["what"]
    assert "a directory on a local disk, like /var/lib/publisher-daemon" in finding["right"]
    assert ran.returncode != 0
    assert "network share" in ran.stderr
    assert not state.exists()


@pytest.mark.parametrize("observe", ["events", "polling"])
def test_observe_is_obeyed(producer: Producer, there: Path, observe: str) -> None:
    producer.folder_settings["observe"] = f'"{observe}"'
    assert there.is_dir()
    with producer.start():
        wait_until(lambda: (folder_of(producer)["watch"] or {}).get("mode") == observe, 20, observe)


def test_a_stalled_share_blocks_no_other_folder_and_is_called_stalled(
    producer: Producer, portal: Sandbox, api: Api, there: Path, remote: Remote
) -> None:
    other, beside = portal.new_dataset(), producer.home / "a-cote"
    beside.mkdir()
    producer.settings["workers"] = "1"
    producer.more = f'[[folders]]\npath = "{beside}"\ndataset = "{other}"\nquiet = "300ms"\n'
    for name in ("a.csv", "b.csv"):
        (there / name).write_bytes(name.encode())
    with producer.start() as service:
        published(api, producer.dataset, "a.csv", "b.csv")

        remote.stall()
        service.wait_for("folder.lost")
        for number in range(3):
            (beside / f"{number}.csv").write_bytes(b"%d" % number)
            began = time.monotonic()
            published(api, other, f"{number}.csv")
            assert time.monotonic() - began < 5
        assert "has not answered" in service.events("folder.lost")[0]["why"]

        remote.resume()
        service.wait_for("folder.returned")
        (there / "c.csv").write_bytes(b"c")
        published(api, producer.dataset, "a.csv", "b.csv", "c.csv")
        assert len(service.events("folder.lost")) == 1


@pytest.mark.parametrize("how", ["unmounted", "its program killed"])
def test_a_share_that_is_lost_is_not_an_emptied_one(
    producer: Producer, api: Api, there: Path, remote: Remote, how: str
) -> None:
    for name in ("a.csv", "b.csv"):
        (there / name).write_bytes(name.encode())
    with producer.start() as service:
        published(api, producer.dataset, "a.csv", "b.csv")

        if how == "unmounted":
            remote.umount(producer.folder)
        else:
            remote.kill_mount(producer.folder)
        why = service.wait_for("folder.lost")[0]["why"]
        assert ("Another file system" if how == "unmounted" else "cannot be read") in why
        wait_until(lambda: folder_of(producer)["trouble"], 10, "`status` tells it")
        with closing(Ledger(producer.home / "state", read_only=True)) as ledger:
            # two more looks, which could withdraw if absence were believed
            for _ in range(2):
                before = ledger.datasets()[DatasetId(producer.dataset)].last_pass
                producer.call("retry")
                wait_until(
                    lambda: ledger.datasets()[DatasetId(producer.dataset)].last_pass != before,  # noqa: B023 - asked at once
                    60, "it is looked at again",
                )  # fmt: skip
        assert {one["title"] for one in api.resources(producer.dataset)} == {"a.csv", "b.csv"}

        if how != "unmounted":
            subprocess.run(["umount", "-l", str(producer.folder)], check=True)
        remote.mount(there, producer.folder)
        service.wait_for("folder.returned", timeout=40)
        os.unlink(there / "a.csv")
        wait_until(
            lambda: [one["title"] for one in api.resources(producer.dataset)] == ["b.csv"],
            40, "what is gone from a share that is there is withdrawn",
        )  # fmt: skip
