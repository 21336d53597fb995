"""The producer's machine runs out of memory, or out of disk for what must be remembered."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from colleague import Api
from producer import Producer
from waiting import wait_until

#: address space in MiB: from too little to start Python to enough for all of it
MEMORY = (30, 75, 110, 150, 210, 600)


def test_out_of_memory_at_any_moment_loses_nothing(producer: Producer, api: Api) -> None:
    producer.settings["workers"] = "1"
    contents = {f"a{number}.csv": b"%d" % number * 200_000 for number in range(3)}
    ended: set[int] = set()
    for size in MEMORY:
        contents["a0.csv"] = b"%d;" % size * 200_000
        for name, content in contents.items():
            producer.drop(name, content)
        producer.configure()
        done = subprocess.run(
            ["prlimit", f"--as={size << 20}", *producer.command("once")],
            capture_output=True, timeout=90, check=False, cwd=producer.home,
            env=producer.surroundings(),
        )  # fmt: skip
        ended.add(done.returncode)

    assert ended >= {0}, "with enough it works"
    assert len(ended) > 1, "with too little it does not: nothing was tested"
    producer.once()
    found = api.resources(producer.dataset)
    assert {one["title"]: api.download(one) for one in found} == contents
    assert len(found) == len(contents)


@pytest.fixture
def small_disk(producer: Producer) -> Iterator[Path]:
    """Put the state directory on a small disk of its own."""
    producer.state.mkdir(mode=0o700)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m,mode=700", "none", str(producer.state)], check=True
    )
    yield producer.state
    subprocess.run(["umount", "-l", str(producer.state)], check=True)


@pytest.mark.root
def test_a_service_whose_state_disk_is_full_goes_on_by_itself_once_there_is_room(
    producer: Producer, api: Api, small_disk: Path
) -> None:
    producer.drop("a.csv", b"un")
    filler = small_disk / "filler"
    with producer.start() as service:
        service.wait_for("resource.created")
        with suppress(OSError), filler.open("wb", buffering=0) as out:
            while True:
                out.write(b"x" * 4096)
        contents = {f"n{number}.csv": b"%d" % number for number in range(30)}
        for name, content in contents.items():
            producer.drop(name, content)
        (told, *_) = service.wait_for("ledger.broken")
        asked = producer.ask("status", code=1)
        filler.unlink()

        def published() -> bool:
            found = api.resources(producer.dataset)
            return {one["title"]: api.download(one) for one in found} == contents | {"a.csv": b"un"}

        wait_until(published, 60, "all that came meanwhile is there")
        assert service.stop() == 0

    assert "full" in told["why"]
    (shown,) = asked["datasets"]
    assert "full" in shown["trouble"]
    assert {
        "Make room" in file["why"] for file in shown["files"] if file["state"] == "pending"
    } == {True}
    assert len(api.resources(producer.dataset)) == len(contents) + 1, "no twin"


@pytest.mark.root
def test_a_full_state_disk_is_told_publishes_nothing_unrecorded_and_ends_by_itself(
    producer: Producer, api: Api, small_disk: Path
) -> None:
    producer.drop("a.csv", b"un")
    first = producer.once()["a.csv"]
    filler = small_disk / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as out:
        while True:
            out.write(b"x" * 4096)
    contents = {"a.csv": b"deux", **{f"n{number}.csv": b"%d" % number for number in range(30)}}
    for name, content in contents.items():
        producer.drop(name, content)

    done = producer.call("once")

    assert done.returncode == 1
    assert "full" in done.stdout + done.stderr
    assert str(small_disk) in done.stdout + done.stderr, "which disk"
    filler.unlink()
    producer.once()
    found = api.resources(producer.dataset)
    assert {one["title"]: api.download(one) for one in found} == contents
    assert len(found) == len(contents)
    assert producer.status()["a.csv"]["resource_id"] == first["resource_id"]
