"""The running service loses sight of its folder: it notices, says so once, and publishes on."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from colleague import Api
from limits import limited
from producer import Producer, Service
from waiting import wait_until


def watch_of(producer: Producer) -> dict[str, Any]:
    """How `status`, another process, says that the folder is watched."""
    watch: dict[str, Any] = producer.ask("status")["datasets"][0]["folders"][0]["watch"] or {}
    return watch


def trouble_of(producer: Producer) -> str | None:
    trouble: str | None = producer.ask("status")["datasets"][0]["trouble"]
    return trouble


def publishes(producer: Producer, api: Api, name: str) -> None:
    """Fail unless a file that is dropped now is soon on the portal."""
    sha1 = producer.drop(name, os.urandom(16).hex().encode())
    wait_until(lambda: sha1 in api.sha1s(producer.dataset).values(), 30, f"{name} published")


def sees_by_events(producer: Producer, losses: int) -> bool:
    watch = watch_of(producer)
    return watch.get("mode") == "events" and watch["losses"] >= losses


def deafened(producer: Producer, service: Service) -> None:
    """Archive a folder, make a new one: what ends watchdog's thread while it says it is alive."""
    folder, out = producer.folder / "d", producer.home / "out"
    folder.mkdir()
    producer.drop("d/1.csv", b"1")
    service.wait_for("file.settled", 2)
    folder.rename(out)
    folder.mkdir()
    producer.drop("d/2.csv", b"2")
    service.wait_for("file.settled", 3)
    shutil.rmtree(folder)
    shutil.rmtree(out)


def renamed(producer: Producer, _service: Service) -> None:
    producer.folder.rename(producer.home / "ailleurs")
    producer.folder.mkdir()


def removed(producer: Producer, _service: Service) -> None:
    shutil.rmtree(producer.folder)
    producer.folder.mkdir()


@pytest.mark.parametrize("fault", [deafened, renamed, removed], ids=lambda fault: fault.__name__)
def test_a_watch_that_went_blind_is_noticed_told_once_and_rebuilt(
    producer: Producer, api: Api, fault: Callable[[Producer, Service], None]
) -> None:
    with producer.start() as service:
        publishes(producer, api, "avant.csv")
        wait_until(lambda: sees_by_events(producer, 0), 20, "`status` tells how it is watched")

        fault(producer, service)
        wait_until(lambda: sees_by_events(producer, 1), 20, "`status` tells the loss")
        publishes(producer, api, "apres.csv")

        lost = service.events("watcher.lost")
        told = watch_of(producer)
        assert len(lost) == told["losses"] == 1
        assert told["last_loss"] == lost[0]["why"]
        assert len(service.events("watcher.rebuilt")) == 1
        # what was there before is still on the portal, whatever became of the folder
        assert len(api.resources(producer.dataset)) >= 2


@pytest.mark.root
def test_a_mount_over_the_folder_is_told_once_and_withdraws_nothing(
    producer: Producer, api: Api
) -> None:
    producer.folder_settings["when_deleted"] = '"withdraw"'
    producer.folder_settings["withdraw_after"] = '"1s"'
    with producer.start() as service:
        publishes(producer, api, "a.csv")
        publishes(producer, api, "b.csv")
        subprocess.run(["mount", "-t", "tmpfs", "none", str(producer.folder)], check=True)
        try:
            service.wait_for("folder.lost")
            assert "Another file system" in str(trouble_of(producer))
            assert not watch_of(producer)["why"]
        finally:
            subprocess.run(["umount", str(producer.folder)], check=True)
        service.wait_for("folder.returned")
        wait_until(lambda: sees_by_events(producer, 2), 20, "`status` tells both losses")

        publishes(producer, api, "c.csv")
        assert len(service.events("folder.lost")) == len(service.events("folder.returned")) == 1
        assert len(api.resources(producer.dataset)) == 3
        assert trouble_of(producer) is None


@pytest.mark.root
def test_a_disk_that_is_unmounted_and_comes_back_is_followed(producer: Producer, api: Api) -> None:
    producer.folder_settings["when_deleted"] = '"withdraw"'
    producer.folder_settings["withdraw_after"] = '"1s"'
    disk = producer.home / "disque.img"
    with disk.open("wb") as file:
        file.truncate(8_000_000)
    subprocess.run(["mkfs.ext4", "-q", str(disk)], check=True)
    attach = ["mount", "-o", "loop", str(disk), str(producer.folder)]
    subprocess.run(attach, check=True)
    try:
        with producer.start() as service:
            publishes(producer, api, "a.csv")
            publishes(producer, api, "b.csv")

            subprocess.run(["umount", "-l", str(producer.folder)], check=True)
            service.wait_for("folder.lost")
            # what somebody writes under the mount point is not of this folder
            (producer.folder / "dessous.csv").write_bytes(b"dessous")
            wait_until(lambda: sees_by_events(producer, 1), 20, "`status` tells the loss")
            subprocess.run(attach, check=True)
            service.wait_for("folder.returned")
            publishes(producer, api, "c.csv")

            assert len(service.events("folder.lost")) == 1
            assert {found["title"] for found in api.resources(producer.dataset)} == {
                "a.csv", "b.csv", "c.csv",
            }  # fmt: skip
    finally:
        subprocess.run(["umount", "-l", str(producer.folder)], check=False)


@pytest.mark.root
def test_a_file_that_a_disk_covers_for_an_instant_is_published_after_it(
    producer: Producer, api: Api
) -> None:
    covered = producer.folder / "d"
    covered.mkdir()
    with producer.start() as service:
        publishes(producer, api, "avant.csv")
        # three times: most are over before the service reads the table of mounts again
        for number in range(3):
            hide_at_its_first_look(producer, service, api, covered, number)


def hide_at_its_first_look(
    producer: Producer, service: Service, api: Api, covered: Path, number: int
) -> None:
    beside, sha1 = f"{number}.csv", producer.drop(f"d/{number}.csv", os.urandom(16).hex().encode())
    subprocess.run(["mount", "-t", "tmpfs", "none", str(covered)], check=True)
    try:
        producer.drop(beside, b"%d" % number)
        wait_until(
            lambda: beside in {one["path"] for one in service.events("file.settled")},
            30,
            "the look at what came while it is covered",
        )
    finally:
        subprocess.run(["umount", str(covered)], check=True)
    wait_until(
        lambda: sha1 in api.sha1s(producer.dataset).values(), 30, "what was covered is published"
    )


@pytest.mark.alone
def test_an_overflow_is_told_and_costs_no_file(producer: Producer, api: Api) -> None:
    with limited("max_queued_events", 64), producer.start() as service:
        publishes(producer, api, "avant.csv")
        service.process.send_signal(signal.SIGSTOP)
        sums = {producer.drop(f"{number}.csv", b"%d" % number) for number in range(40)}
        for number in range(300):
            producer.drop(f"{number}.tmp", b"")
        service.process.send_signal(signal.SIGCONT)

        wait_until(lambda: sees_by_events(producer, 1), 20, "`status` tells the overflow")
        assert "too many changes" in watch_of(producer)["last_loss"]
        wait_until(
            lambda: sums <= set(api.sha1s(producer.dataset).values()), 60, "every file published"
        )
        assert len(service.events("watcher.lost")) == watch_of(producer)["losses"]


@pytest.mark.alone
@pytest.mark.parametrize(("name", "value"), [("max_user_instances", 0), ("max_user_watches", 8)])
def test_a_limit_of_the_machine_is_told_and_the_folder_polled(
    producer: Producer, api: Api, name: str, value: int
) -> None:
    producer.folder_settings["poll_every"] = '"1s"'
    for number in range(30):
        (producer.folder / f"{number:02}").mkdir()
    with limited(name, value), producer.start() as service:
        wait_until(lambda: watch_of(producer).get("mode") == "degraded", 20, "`status` tells it")
        assert f"fs.inotify.{name}" in watch_of(producer)["why"]

        publishes(producer, api, "29/a.csv")
        publishes(producer, api, "29/b.csv")
        assert len(service.events("watcher.degraded")) == 1
