"""A share that fails at any call on it: nothing is withdrawn, nothing torn, and it converges."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from colleague import Api
from launcher import Sandbox
from producer import Producer

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
