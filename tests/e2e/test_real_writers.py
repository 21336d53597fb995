"""Programs that write into the folder of the running service: only whole versions go out.

What the portal takes in is told by the portal itself, file by file, even what nothing points to
any more: no version is served that it did not take in.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path

import pytest
from colleague import Api
from launcher import Sandbox
from producer import Producer
from remote import Remote
from waiting import wait_until
from writers import BY_HAND, GAP, PROGRAMS, QUIET, Writer, aside, content, later, pause


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[Remote]:
    home = tmp_path / "ssh"
    home.mkdir()
    with Remote(home) as standing:
        yield standing


def sha1(version: bytes) -> str:
    return hashlib.sha1(version).hexdigest()


def only_whole_versions_go_out(
    producer: Producer, portal: Sandbox, api: Api, writers: Mapping[str, Writer]
) -> None:
    """Let all write twice, at the same time; fail if anything but their versions went out."""
    producer.folder_settings["quiet"] = f'"{QUIET}s"'
    producer.settings["workers"] = "8"
    taken_before = len(portal.stored)
    first = {name: content(name) for name in writers}
    last = {name: later(version) for name, version in first.items()}
    # a dataset each, so that none is looked at late because others are busy
    datasets = {name: portal.new_dataset() for name in writers}
    for name, dataset in datasets.items():
        (producer.home / "depots" / name).mkdir(parents=True)
        producer.more += (
            f'[[folders]]\npath = "{producer.home / "depots" / name}"\n'
            f'dataset = "{dataset}"\nquiet = "{QUIET}s"\n'
            # this is about whole versions; what the checks think of them is told elsewhere
            '[folders.checks]\nmode = "off"\n'
        )

    def write(name: str) -> None:
        writers[name](producer.home / "depots" / name / "a.csv", first[name])
        writers[name](producer.home / "depots" / name / "a.csv", last[name])

    with producer.start() as service:
        producer.drop("first.csv", b"first")
        service.wait_for("resource.created")
        threads = [threading.Thread(target=write, args=(name,)) for name in writers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for name, dataset in datasets.items():
            wait_until(partial(serves, api, dataset, sha1(last[name])), 60, f"{name} published")

    taken = {one["sha1"] for one in portal.stored[taken_before:]}
    whole = {sha1(version) for version in [*first.values(), *last.values(), b"first"]}
    assert taken <= whole


def serves(api: Api, dataset: str, version: str) -> bool:
    return list(api.sha1s(dataset).values()) == [version]


def test_no_habit_gets_an_incomplete_version_out(
    producer: Producer, portal: Sandbox, api: Api
) -> None:
    only_whole_versions_go_out(producer, portal, api, {write.__name__: write for write in BY_HAND})


@pytest.mark.needs("rsync", "vim", "sed", "unzip")
def test_no_program_gets_an_incomplete_version_out(
    producer: Producer, portal: Sandbox, api: Api
) -> None:
    only_whole_versions_go_out(producer, portal, api, PROGRAMS)


@pytest.mark.needs("sshd", "scp", "sftp", "sshfs")
def test_nothing_that_comes_over_ssh_gets_out_incomplete(
    producer: Producer, portal: Sandbox, api: Api, remote: Remote
) -> None:
    mounted = remote.home / "mounted"
    mounted.mkdir()
    remote.mount(producer.home, mounted)

    def scp(path: Path, version: bytes) -> None:
        subprocess.run(
            ["scp", "-q", "-l", "1500", *remote.options, str(aside(path, version)),
             f"{remote.host}:{path}"],
            check=True,
        )  # fmt: skip

    def sftp(path: Path, version: bytes) -> None:
        subprocess.run(
            ["sftp", "-q", "-l", "1500", "-b", "-", *remote.options, remote.host],
            input=f"put {aside(path, version)} {path}\n".encode(), check=True,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip

    def through_sshfs(path: Path, version: bytes) -> None:
        there = mounted / path.relative_to(producer.home)
        with there.open("wb", buffering=0) as file:
            for start in range(0, len(version), 80_000):
                file.write(version[start : start + 80_000])
                os.fsync(file.fileno())
                pause(GAP)

    only_whole_versions_go_out(
        producer, portal, api, {"scp": scp, "sftp": sftp, "sshfs": through_sshfs}
    )


@pytest.mark.alone
@pytest.mark.parametrize("how", ["renamed", "moved in"])
def test_what_arrives_whole_is_sent_within_half_a_second(
    producer: Producer, api: Api, how: str
) -> None:
    producer.folder_settings["quiet"] = '"5s"'
    times = []
    with producer.start() as service:
        for number in range(4):
            name = f"{number}.csv"
            places = {"renamed": producer.folder / f"{name}.part", "moved in": producer.home / name}
            temporary = places[how]
            temporary.write_bytes(name.encode())
            before = time.time()
            temporary.rename(producer.folder / name)
            service.wait_for("resource.created", number + 1)
            settled = service.events("file.settled")[-1]
            times.append(datetime.fromisoformat(settled["timestamp"]).timestamp() - before)

    # a busy machine may be late once
    assert sorted(times)[-2] < 0.5, times
    assert len(api.resources(producer.dataset)) == 4


@pytest.mark.root
def test_a_second_change_within_the_grain_of_the_dates_is_not_missed(
    producer: Producer, api: Api
) -> None:
    disk = producer.home / "disk.img"
    with disk.open("wb") as file:
        file.truncate(4_000_000)
    # inodes of 128 bytes have no room for fractions of a second
    subprocess.run(["mkfs.ext4", "-q", "-I", "128", str(disk)], check=True, capture_output=True)
    subprocess.run(["mount", "-o", "loop", str(disk), str(producer.folder)], check=True)
    path = producer.folder / "a.csv"
    try:
        with producer.start() as service:
            producer.drop("first.csv", b"first")
            service.wait_for("resource.created")
            path.with_name("a.csv.part").write_bytes(b"avant")
            wait_until(lambda: time.time() % 1 < 0.1, 2, "a second begins")
            path.with_name("a.csv.part").rename(path)
            before = path.stat()
            pause(0.6)
            with path.open("r+b") as file:
                file.write(b"apres")
            os.utime(path, ns=(before.st_mtime_ns, before.st_mtime_ns))
            after = path.stat()

            assert (before.st_size, before.st_ino) == (after.st_size, after.st_ino)
            assert before.st_ctime_ns == after.st_ctime_ns, "too slow to show anything"
            wait_until(
                lambda: sha1(b"apres") in api.sha1s(producer.dataset).values(), 10, "published"
            )
    finally:
        subprocess.run(["umount", "-l", str(producer.folder)], check=True)
