"""A share that fails at any call on it: nothing is withdrawn, nothing torn, and it converges."""

from __future__ import annotations

import io
import sqlite3
import subprocess
import zipfile
from dataclasses import dataclass
from functools import partial
from hashlib import sha1
from pathlib import Path

import pytest
from colleague import Api
from launcher import Sandbox
from producer import Producer
from waiting import wait_until

NAMES = ("a.csv", "b.csv", "c.csv")
#: more calls of a kind than any pass makes on three files
MANY = 200


def failed_at(producer: Producer, call: str, error: str, number: int, paths: list[Path]) -> bool:
    """Make one pass whose n-th such call on these paths fails; False when it made fewer."""
    producer.configure()
    trace = producer.home / "trace"
    only = [word for path in paths for word in ("-P", str(path))]
    done = subprocess.run(
        ["strace", "-f", "-qq", "-o", str(trace), *only, "-e", f"trace={call}",
         "-e", f"inject={call}:error={error}:when={number}", *producer.command("once")],
        capture_output=True, text=True, timeout=240, check=False, cwd=producer.home,
        env=producer.surroundings(),
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    return "INJECTED" in trace.read_text(errors="replace")


@pytest.mark.strace
@pytest.mark.storm
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("error", ["EIO", "ESTALE", "ENOTCONN"])
@pytest.mark.parametrize("call", ["getdents64", "openat", "newfstatat,statx,fstat"])
def test_an_error_at_any_call_on_the_folder_withdraws_nothing_and_tears_nothing(
    producer: Producer, api: Api, portal: Sandbox, call: str, error: str
) -> None:
    producer.folder_settings |= {
        "when_deleted": '"withdraw"', "withdraw_after": '"0s"', "max_withdraw": '"100%"',
    }  # fmt: skip
    paths = [producer.folder, *(producer.folder / name for name in NAMES)]
    contents = {name: b"0 " + name.encode() for name in NAMES}
    whole = {producer.drop(name, content) for name, content in contents.items()}
    producer.once()
    before, since = api.sha1s(producer.dataset).keys(), len(portal.stored)
    for number in range(1, MANY):
        contents = {name: b"%d " % number * 30 + name.encode() for name in NAMES}
        whole |= {producer.drop(name, content) for name, content in contents.items()}
        if not failed_at(producer, call, error, number, paths):
            break
        assert api.sha1s(producer.dataset).keys() == before, f"at {call} number {number}"
    else:
        pytest.fail("it never ends by itself")
    for _ in range(2):
        producer.once(code=None)
    producer.once()

    assert number > 2, "the test broke nothing"
    assert {one["title"]: api.download(one) for one in api.resources(producer.dataset)} == contents
    assert {line["sha1"] for line in portal.stored[since:]} <= whole


def rows(number: int) -> bytes:
    """Build a table that takes several reads to hash, and to send."""
    return b"ligne;version\n" + b"".join(b"%07d;%07d\n" % (row, number) for row in range(45_000))


def archive(number: int) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as out:
        out.writestr("dedans.csv", rows(number))
    return packed.getvalue()


def database(number: int) -> bytes:
    with sqlite3.connect(":memory:") as made:
        made.execute("CREATE TABLE mesure (ligne, version)")
        made.executemany("INSERT INTO mesure VALUES (?, ?)", ((n, number) for n in range(5000)))
        return made.serialize()


@pytest.mark.strace
@pytest.mark.storm
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("error", ["EIO", "ESTALE"])
@pytest.mark.parametrize("call", ["preadv,preadv2", "read,pread64", "fcntl", "close"])
def test_an_error_inside_a_file_tears_nothing_and_is_no_damage_of_its_own(
    producer: Producer, api: Api, portal: Sandbox, call: str, error: str
) -> None:
    made = {"a.csv": rows, "b.zip": archive, "c.sqlite": database}
    paths = [producer.folder / name for name in made]
    whole: set[str] = set()
    since = len(portal.stored)
    for number in range(1, MANY):
        contents = {name: make(number) for name, make in made.items()}
        contents[f"n{number}.csv"] = rows(-number)
        paths.append(producer.folder / f"n{number}.csv")
        whole |= {producer.drop(name, content) for name, content in contents.items()}
        if not failed_at(producer, call, error, number, paths):
            break
        assert {line["sha1"] for line in portal.stored[since:]} <= whole
    else:
        pytest.fail("it never ends by itself")
    for _ in range(2):
        producer.once(code=None)
    files = producer.once()

    assert {file["state"] for file in files.values()} == {"published"}
    assert {one["title"] for one in api.resources(producer.dataset)} == files.keys()
    assert {line["sha1"] for line in portal.stored[since:]} <= whole
    served = api.sha1s(producer.dataset)
    for name, file in files.items():
        assert (
            served[file["resource_id"]] == sha1((producer.folder / name).read_bytes()).hexdigest()
        )


@dataclass
class Unlucky(Producer):
    """Its service fails to read the file at the second read of a thread, and each seventh after."""

    def command(self, *arguments: str) -> list[str]:
        trace = [
            "strace", "-D", "-f", "-qq", "-o", str(self.home / "trace"),
            "-P", str(self.folder / "a.csv"),
            "-e", "trace=preadv2", "-e", "inject=preadv2:error=EIO:when=2+7",
        ]  # fmt: skip
        return [*(trace if arguments == ("run",) else ()), *super().command(*arguments)]


def holds(api: Api, dataset: str, sha1s: list[str]) -> bool:
    return [*api.sha1s(dataset).values()] == sha1s


@pytest.mark.strace
@pytest.mark.storm
@pytest.mark.timeout(600)
@pytest.mark.parametrize("observe", ["events", "polling"])
def test_a_file_whose_reading_fails_midway_is_told_and_goes_by_itself(
    producer: Producer, api: Api, portal: Sandbox, observe: str
) -> None:
    unlucky = Unlucky(producer.home, producer.url, producer.key, producer.dataset)
    unlucky.folder_settings |= {"observe": f'"{observe}"', "poll_every": '"1s"'}
    unlucky.settings["workers"] = "1"
    since = len(portal.stored)
    whole: set[str] = set()
    with unlucky.start() as service:
        for number in range(3):
            wanted = [unlucky.drop("a.csv", rows(number))]
            whole.update(wanted)
            wait_until(partial(holds, api, unlucky.dataset, wanted), 120, f"version {number}")
        told = [line["why"] for line in service.events("action.held")]
        service.process.terminate()
        service.process.wait(60)

    assert "INJECTED" in (unlucky.home / "trace").read_text(errors="replace")
    assert any("cannot be read: Input/output error" in why for why in told)
    assert {line["sha1"] for line in portal.stored[since:]} <= whole
