"""Uploads in parts, broken at every step against the real portal: no twin, nothing lost or torn."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable
from typing import Any

import pytest
from breaking import broken_at
from colleague import Api
from mishaps import met
from producer import Producer
from proxy import Proxy, Recorded
from waiting import wait_until

UPLOAD = "POST .*/upload/$"
MIB = 2**20
#: three parts
SIZE = 5 * MIB


def content(seed: int) -> bytes:
    return (b"%08d;" % seed) * (SIZE // 9) + b"." * (SIZE % 9)


@pytest.fixture
def producer(distant: Producer) -> Producer:
    distant.portal_settings["part_size"] = '"2 MiB"'
    return distant


def parts_seen(proxy: Proxy) -> list[Recorded]:
    return [one for one in proxy.seen(UPLOAD) if MIB // 2 < one.size < 3 * MIB]


def converge(producer: Producer, name: str = "a.csv") -> dict[str, Any]:
    """Run passes, as a timer would, until the file is published."""

    def published() -> dict[str, Any] | None:
        file = producer.once(code=None).get(name)
        return file if file and file["state"] == "published" else None

    found = wait_until(published, 90, f"{name} published")
    assert found is not None
    return found


def check_world(producer: Producer, api: Api, contents: dict[str, bytes]) -> None:
    found = api.resources(producer.dataset)
    assert sorted(one["title"] for one in found) == sorted(contents)
    for one in found:
        assert api.download(one) == contents[one["title"]]


def told(producer: Producer, *arguments: str) -> str:
    done = producer.call(*arguments)
    return done.stdout + done.stderr


def test_a_size_that_is_refused_goes_up_in_parts(
    producer: Producer, api: Api, proxy: Proxy
) -> None:
    proxy.rule(UPLOAD, status=413, times=1)
    producer.drop("a.csv", content(1))

    done = producer.call("once")

    assert done.returncode == 0, done.stderr
    check_world(producer, api, {"a.csv": content(1)})
    assert "upload.divided" in done.stderr
    assert "refused it in one request for its size" in done.stderr
    assert len(parts_seen(proxy)) == 3
    assert "It went up in 3 parts." in told(producer, "explain", "a.csv")


def test_the_next_files_of_that_size_go_up_in_parts_at_once(
    producer: Producer, api: Api, proxy: Proxy
) -> None:
    proxy.rule(UPLOAD, status=413, times=1)
    producer.drop("a.csv", content(1))
    producer.once()
    proxy.forget()
    producer.drop("a.csv", content(2))
    producer.drop("small.csv", b"a")

    producer.once()

    check_world(producer, api, {"a.csv": content(2), "small.csv": b"a"})
    assert len(parts_seen(proxy)) == 3
    assert max(one.size for one in proxy.seen(UPLOAD)) < 3 * MIB


def test_a_request_that_was_cut_goes_on_in_parts(
    producer: Producer, api: Api, proxy: Proxy
) -> None:
    large = content(1) * 3  # more than what the buffers between here and there hold
    # and late enough for a first block to be surely gone: a cut before that tells nothing of size
    proxy.rule(UPLOAD, cut_after=4 * MIB, times=1)
    producer.drop("a.csv", large)

    done = producer.call("once")
    converge(producer)

    check_world(producer, api, {"a.csv": large})
    assert len(parts_seen(proxy)) == 8
    assert "was cut after" in done.stderr
    assert "It went up in 8 parts." in told(producer, "explain", "a.csv")


#: what goes wrong at one part, and how many parts have to go again because of it
AT_A_PART: dict[str, tuple[dict[str, Any], int]] = {
    "the reply is lost after the work": ({"lose_reply": True}, 1),
    "500 that did the work": ({"status": 500, "after": True}, 1),
    "500 that did nothing": ({"status": 500}, 1),
    "502 page that did the work": ({"status": 502, "after": True}, 1),
    "503 page": ({"status": 503}, 1),
    "200 that is no JSON": ({"status": 200, "body": b"<html>ok</html>", "after": True}, 1),
    "reset in the body": ({"cut_after": MIB, "reset": True}, 2),
}


@pytest.mark.parametrize(
    "fault", met(AT_A_PART, "500 that did the work", "200 that is no JSON", "reset in the body")
)
def test_a_part_that_fails_is_made_good(
    producer: Producer, api: Api, proxy: Proxy, fault: str
) -> None:
    what, again = AT_A_PART[fault]
    proxy.rule(UPLOAD, status=413, times=1)
    proxy.rule(UPLOAD, times=1)
    proxy.rule(UPLOAD, times=1, **what)
    producer.drop("a.csv", content(1))

    converge(producer)

    check_world(producer, api, {"a.csv": content(1)})
    assert len(parts_seen(proxy)) <= 3 + again


AT_THE_ASSEMBLY: dict[str, dict[str, Any]] = {
    "the reply is lost after the work": {"lose_reply": True},
    "500 that did the work": {"status": 500, "after": True},
    "500 that did nothing": {"status": 500},
    "502 page that did the work": {"status": 502, "after": True},
    "504 page that did nothing": {"status": 504},
    "200 that is no JSON": {"status": 200, "body": b"<html>ok</html>", "after": True},
}


@pytest.mark.parametrize(
    "fault",
    met(
        AT_THE_ASSEMBLY,
        "the reply is lost after the work",
        "500 that did nothing",
        "504 page that did nothing",
    ),
)
def test_an_assembly_without_answer_is_looked_for(
    producer: Producer, api: Api, proxy: Proxy, fault: str
) -> None:
    proxy.rule(UPLOAD, status=413, times=1)
    proxy.rule(UPLOAD, times=3)
    proxy.rule(UPLOAD, times=1, **AT_THE_ASSEMBLY[fault])
    producer.drop("a.csv", content(1))

    converge(producer)

    check_world(producer, api, {"a.csv": content(1)})
    assert len(parts_seen(proxy)) <= 4


def test_a_replacement_in_parts_keeps_its_resource_and_its_title(
    producer: Producer, api: Api, proxy: Proxy
) -> None:
    producer.drop("é.csv", b"avant")
    first = converge(producer, "é.csv")
    proxy.rule(UPLOAD, status=413, times=1)
    proxy.rule(UPLOAD, times=3)
    proxy.rule(UPLOAD, times=1, status=500, after=True)
    producer.drop("é.csv", content(1))

    file = converge(producer, "é.csv")

    assert file["resource_id"] == first["resource_id"]
    check_world(producer, api, {"é.csv": content(1)})


def test_a_part_taken_for_there_that_is_not_is_sent_again_in_the_end(
    producer: Producer, api: Api, proxy: Proxy
) -> None:
    proxy.rule(UPLOAD, status=413, times=1)
    proxy.rule(UPLOAD, times=1)
    proxy.rule(UPLOAD, status=500, times=2)
    producer.drop("a.csv", content(1))

    converge(producer)

    check_world(producer, api, {"a.csv": content(1)})


def test_a_portal_that_fails_on_every_part_is_left_alone_and_resumed(
    producer: Producer, api: Api, proxy: Proxy
) -> None:
    proxy.rule(UPLOAD, status=413, times=1)
    proxy.rule(UPLOAD, times=1)
    proxy.rule(UPLOAD, status=500)
    producer.drop("a.csv", content(1))

    held = producer.once(code=1)["a.csv"]

    assert held["state"] == "held"
    assert api.resources(producer.dataset) == []
    assert len(parts_seen(proxy)) <= 8
    proxy.clear()
    proxy.forget()
    producer.call("retry")
    converge(producer)
    check_world(producer, api, {"a.csv": content(1)})
    assert len(parts_seen(proxy)) == 2  # the first one was there


def test_a_refused_part_becomes_smaller_ones_or_is_told(
    producer: Producer, api: Api, proxy: Proxy
) -> None:
    producer.portal_settings["part_size"] = '"4 MiB"'
    proxy.rule(UPLOAD, status=413, times=2)
    producer.drop("a.csv", content(1))
    producer.once()
    check_world(producer, api, {"a.csv": content(1)})
    proxy.rule(UPLOAD, status=413)
    producer.drop("b.csv", content(2))

    refused = producer.once(code=1)["b.csv"]

    assert refused["state"] == "failed"
    assert "size" in refused["why"]


def stopped_in_the_middle(producer: Producer, proxy: Proxy, stop: Callable[[Any], Any]) -> None:
    """Start the service, and end it while the second part is under way."""
    proxy.rule(UPLOAD, status=413, times=1)
    proxy.rule(UPLOAD, times=1)
    proxy.rule(UPLOAD, times=1, delay=2)
    with producer.start() as service:
        wait_until(lambda: len(parts_seen(proxy)) == 1, 30, "the first part")
        wait_until(lambda: proxy.relaying(UPLOAD), 10, "the second part")
        stop(service)
    # the portal answers 500 to a part that it is still taking in, which then goes a third time
    wait_until(lambda: not proxy.relaying(UPLOAD), 10, "the end of the second part")


@pytest.mark.parametrize("how", ["kill -9", "SIGTERM"])
def test_it_goes_on_where_it_stopped(producer: Producer, api: Api, proxy: Proxy, how: str) -> None:
    producer.drop("a.csv", content(1))
    end = {"kill -9": lambda service: service.process.kill(), "SIGTERM": lambda one: one.stop()}

    stopped_in_the_middle(producer, proxy, end[how])
    done = producer.call("once")

    assert done.returncode == 0, done.stderr
    assert "upload.resumed" in done.stderr
    check_world(producer, api, {"a.csv": content(1)})
    # the part that was cut is not one that was sent twice
    assert len([one for one in parts_seen(proxy) if one.status in {200, 500}]) <= 4


def test_parts_that_are_too_old_are_all_sent_again(
    producer: Producer, api: Api, proxy: Proxy
) -> None:
    producer.drop("a.csv", content(1))
    stopped_in_the_middle(producer, proxy, lambda service: service.process.kill())
    with sqlite3.connect(producer.state / "ledger.sqlite3") as ledger:
        ledger.execute("UPDATE parcel SET at = at - 21 * 3600")
    proxy.forget()

    converge(producer)

    check_world(producer, api, {"a.csv": content(1)})
    assert len(parts_seen(proxy)) == 3


@pytest.mark.parametrize("how", ["in place", "by rename"])
def test_a_file_that_changes_between_two_parts_is_never_torn(
    producer: Producer, api: Api, proxy: Proxy, how: str
) -> None:
    proxy.rule(UPLOAD, status=413, times=1)
    proxy.rule(UPLOAD, times=1)
    proxy.rule(UPLOAD, times=1, delay_reply=1)
    producer.drop("a.csv", content(1))
    seen: set[str] = set()
    with producer.start() as service:
        wait_until(lambda: len(parts_seen(proxy)) == 1, 30, "the first part")
        wait_until(lambda: proxy.relaying(UPLOAD), 10, "the second part")
        if how == "in place":
            with (producer.folder / "a.csv").open("r+b") as out:
                out.seek(SIZE - 9)
                out.write(b"AUTRECHOSE"[:9])
        else:
            (producer.home / "new").write_bytes(content(2))
            os.replace(producer.home / "new", producer.folder / "a.csv")
        last = (producer.folder / "a.csv").read_bytes()
        service.wait_for("resource.created")
        seen |= set(api.sha1s(producer.dataset).values())
        assert service.stop() == 0

    check_world(producer, api, {"a.csv": last})
    assert len(seen) == 1


@pytest.mark.parametrize("size", [SIZE, 100])
def test_a_portal_that_says_it_holds_other_bytes_is_not_believed_nor_hurried(
    producer: Producer, api: Api, proxy: Proxy, size: int
) -> None:
    if size == SIZE:
        proxy.rule(UPLOAD, status=413, times=1)
    producer.drop("a.csv", content(1)[:size])
    producer.once()
    published = time.time()
    [resource] = api.resources(producer.dataset)
    resource["checksum"]["value"] = "0" * 40
    # udata refuses a second upload of a name in one second, which the forged answer would hide
    wait_until(lambda: time.time() > published + 1.1, 5, "the next second")
    proxy.rule(UPLOAD, times=3 if size == SIZE else 0)
    proxy.rule(UPLOAD, status=200, after=True, times=1, body=json.dumps(resource).encode())
    producer.drop("a.csv", content(2)[:size])

    held = producer.once(code=1)["a.csv"]
    uploads = len(proxy.seen(UPLOAD))
    converge(producer)

    assert held["state"] == "held"
    assert "other bytes" in held["why"]
    assert len(proxy.seen(UPLOAD)) == uploads
    check_world(producer, api, {"a.csv": content(2)[:size]})


@pytest.mark.strace
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("call", "stride"),
    [
        ("fdatasync", 5),
        ("sendto", 8),
        pytest.param("fdatasync", 1, marks=pytest.mark.storm),
        pytest.param("sendto", 1, marks=pytest.mark.storm),
    ],
)
def test_killed_at_every_step_the_parts_converge(
    producer: Producer, api: Api, proxy: Proxy, call: str, stride: int
) -> None:
    proxy.rule(UPLOAD, status=413, times=1)
    producer.drop("a.csv", content(0))
    producer.once()
    number, killed = 1, 0
    while True:
        producer.drop("a.csv", content(number))
        if not broken_at(producer, ("once",), call, "signal=SIGKILL", number):
            break
        killed += 1
        number += stride
    converge(producer)

    check_world(producer, api, {"a.csv": content(number)})
    assert killed >= 3, "the test killed nothing"
