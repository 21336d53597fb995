"""kill -9 at every step that commits or sends, enumerated by strace, not at random times."""

from __future__ import annotations

import os
import subprocess

import pytest
from colleague import Api
from producer import Producer

#: every commit of the ledger, and every piece of a request
STEPS = ("fdatasync", "sendto")


def killed_at(producer: Producer, call: str, number: int) -> bool:
    """Run ``once`` and kill it at its n-th such system call; False when it ended before."""
    producer.configure()
    trace = producer.home / "trace"
    done = subprocess.run(
        ["strace", "-f", "-qq", "-o", str(trace), "-e", f"trace={call}",
         "-e", f"inject={call}:signal=SIGKILL:when={number}", *producer.command("once")],
        capture_output=True, timeout=90, check=False, cwd=producer.home,
        env={"PATH": os.environ["PATH"], "HOME": str(producer.home)},
    )  # fmt: skip
    return done.returncode in {-9, 137}


@pytest.mark.strace
@pytest.mark.timeout(600)
@pytest.mark.parametrize("call", STEPS)
def test_killed_at_every_step_the_world_converges(producer: Producer, api: Api, call: str) -> None:
    number, killed = 0, 0
    contents: dict[str, bytes] = {}
    while True:
        number += 1
        # one new file, one changed file: every kind of step in each run
        contents[f"é{number}.csv"] = f"nouveau {number}".encode()
        contents["fixe.csv"] = f"version {number}".encode()
        for name in (f"é{number}.csv", "fixe.csv"):
            producer.drop(name, contents[name])
        if not killed_at(producer, call, number):
            break
        killed += 1
        assert number < 200, "it never ends by itself"
    producer.once(code=None)
    files = producer.once()

    found = api.resources(producer.dataset)
    assert killed >= 5, "the test killed nothing"
    assert sorted(one["title"] for one in found) == sorted(contents)
    assert {one["title"]: api.download(one) for one in found} == contents
    assert {file["state"] for file in files.values()} == {"published"}
