"""The ledger is destroyed under the service, or before it: it says so, stops, and loses nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from colleague import Api
from producer import Producer, Service, events
from waiting import wait_until

CONTENTS = {f"{name}.csv": f"n;v\n{name};1\n".encode() for name in "abcd"}


def garble(state: Path) -> None:
    """Write over everything the ledger keeps, the files staying the ones that are open."""
    for each in state.glob("ledger*"):
        size = each.stat().st_size
        with each.open("r+b") as opened:
            opened.write(os.urandom(size))


def truncate(state: Path) -> None:
    """Leave the beginning of the ledger only, as a disk that lost its end does."""
    for each in state.glob("ledger*"):
        os.truncate(each, each.stat().st_size // 3)


def aside(state: Path) -> None:
    """Do what the hint says."""
    (state / "aside").mkdir()
    for each in [*state.glob("ledger*")]:
        each.rename(state / "aside" / each.name)


def publish(producer: Producer) -> dict[str, str]:
    for name, content in CONTENTS.items():
        producer.drop(name, content)
    return {name: file["resource_id"] for name, file in producer.once().items()}


@pytest.mark.parametrize("destroy", [garble, truncate])
def test_a_ledger_that_is_damaged_at_start_is_told_and_once_moved_aside_nothing_is_sent_twice(
    producer: Producer, api: Api, destroy: Callable[[Path], None]
) -> None:
    before = publish(producer)
    destroy(producer.state)
    producer.drop("a.csv", b"n;v\na;2\n")

    service = Service(producer)
    ended = service.process.wait(60)
    checked = producer.call("check")

    (told,) = service.events("ledger.broken")
    assert ended == 1
    assert (told["level"], str(producer.state) in told["why"]) == ("error", True)
    assert "Move" in told["hint"]
    assert "aside" in told["hint"]
    assert checked.returncode == 1
    assert "damaged" in checked.stdout
    assert not service.events("daemon.started"), "nothing is done without a ledger"

    aside(producer.state)
    done = producer.call("once")

    assert done.returncode == 0, done.stdout + done.stderr
    assert not events(done.stderr, "resource.created"), "no twin"
    assert len(events(done.stderr, "resource.adopted")) == len(CONTENTS)
    assert len(events(done.stderr, "resource.replaced")) == 1, "the change is not lost"
    assert {n: file["resource_id"] for n, file in producer.status().items()} == before
    found = api.resources(producer.dataset)
    assert {str(one["id"]) for one in found} == {*before.values()}


def test_a_ledger_destroyed_under_the_running_service_stops_it_and_loses_nothing(
    producer: Producer, api: Api
) -> None:
    before = publish(producer)
    with producer.start() as service:
        garble(producer.state)
        producer.drop("e.csv", b"n;v\ne;1\n")
        wait_until(lambda: service.process.poll() is not None, 60, "the service stops")
        (told, *_) = service.wait_for("ledger.broken")

    assert service.process.returncode == 1
    assert told["level"] == "error"
    assert told["hint"], "what to do"
    assert service.events("daemon.stopped")[-1]["level"] == "error"

    aside(producer.state)
    producer.once()

    found = api.resources(producer.dataset)
    expected = CONTENTS | {"e.csv": b"n;v\ne;1\n"}
    assert {one["title"]: api.download(one) for one in found} == expected
    assert len(found) == len(expected), "no twin"
    after = {name: file["resource_id"] for name, file in producer.status().items()}
    assert {name: after[name] for name in before} == before


@pytest.mark.storm  # it waits for the ten seconds after which the service begins anew
def test_a_ledger_removed_under_the_running_service_is_made_anew_without_a_twin(
    producer: Producer, api: Api
) -> None:
    before = publish(producer)
    with producer.start() as service:
        service.wait_for("daemon.started")
        aside(producer.state)
        (told, *_) = service.wait_for("ledger.broken")
        producer.drop("e.csv", b"n;v\ne;1\n")
        wait_until(lambda: len(api.resources(producer.dataset)) > len(before), 60, "the new file")
        assert service.stop() == 0

    assert "while it was in use" in told["why"]
    found = api.resources(producer.dataset)
    assert len(found) == len(CONTENTS) + 1, "no twin"
    after = {name: file["resource_id"] for name, file in producer.status().items()}
    assert {name: after[name] for name in before} == before


@pytest.mark.storm
def test_an_older_copy_of_the_ledger_makes_no_twin_and_goes_over_nothing_unasked(
    producer: Producer, api: Api
) -> None:
    before = publish(producer)
    shutil.copytree(producer.state, producer.home / "copy")
    producer.drop("a.csv", b"n;v\na;2\n")
    producer.drop("e.csv", b"n;v\ne;1\n")
    (producer.folder / "b.csv").rename(producer.folder / "f.csv")
    producer.once()
    shutil.rmtree(producer.state)
    (producer.home / "copy").rename(producer.state)
    contents = CONTENTS | {
        name: f"n;v\n{name};3\n".encode() for name in ("a.csv", "e.csv", "f.csv")
    }
    del contents["b.csv"]
    for name, content in contents.items():
        producer.drop(name, content)

    files = producer.once(code=1)

    assert (files["a.csv"]["state"], "older copy" in files["a.csv"]["why"]) == ("held", True)
    assert files["f.csv"]["resource_id"] == before["b.csv"], "it was renamed since"
    assert producer.call("retry", "a.csv").returncode == 0
    found = api.resources(producer.dataset)
    assert {one["title"]: api.download(one) for one in found} == contents
    assert len(found) == len(contents), "no twin"
