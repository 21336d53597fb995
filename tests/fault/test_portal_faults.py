"""Every way a portal can fail in the middle of a write: no twin, nothing lost, nothing torn."""

from __future__ import annotations

import json
import signal
from hashlib import sha1
from typing import Any

import pytest
from colleague import Api
from launcher import Sandbox
from mishaps import FAULTS, REFUSALS, met
from passes import Adopting, Moving, Publishing, Refreshing
from producer import Producer
from proxy import Proxy
from waiting import wait_until

UPLOAD = "POST .*/upload/$"
WORDS = "PUT .*/resources/"

#: the more a pass asks, the more there is to break; a pass that asks more never ends
REQUESTS = 30


#: what each kind of write meets in `make test`, unlike each other
UNLIKE = (
    "the reply is lost by a reset",
    "500 that did the work",
    "502 page that did nothing",
    "429 with Retry-After",
    "200 that is half JSON",
    "reset in the body",
)
#: …and what a new file meets besides
NEW = (
    "the reply is lost after the work",
    "the reply is cut short",
    "the reply is longer than it says",
    "the reply ends within a chunk",
    "the reply comes after hints",
    "500 that did nothing",
    "503 page",
    "200 with nothing that did the work",
    "cut before the body",
)
REFUSED = ("302 to another origin", "401", "404", "413 page", "423")


@pytest.fixture
def producer(distant: Producer) -> Producer:
    return distant


def converge(producer: Producer, name: str = "a.csv") -> dict[str, Any]:
    """Run passes, as a timer would, until the file is published."""

    def published() -> dict[str, Any] | None:
        file = producer.once(code=None).get(name)
        return file if file and file["state"] == "published" else None

    found = wait_until(published, 60, f"{name} published")
    assert found is not None
    return found


def check_world(producer: Producer, api: Api, contents: dict[str, bytes], sha1s: set[str]) -> None:
    found = api.resources(producer.dataset)
    assert sorted(one["title"] for one in found) == sorted(contents)
    assert {one["checksum"]["value"] for one in found} == sha1s
    for one in found:
        assert api.download(one) == contents[one["title"]]


@pytest.mark.parametrize("fault", met(FAULTS, *UNLIKE, *NEW))
def test_a_new_file_is_there_once(producer: Producer, api: Api, proxy: Proxy, fault: str) -> None:
    sha1 = producer.drop("a.csv", b"a;b\n" * 100)
    proxy.rule(UPLOAD, times=1, **FAULTS[fault])

    converge(producer)

    check_world(producer, api, {"a.csv": b"a;b\n" * 100}, {sha1})


@pytest.mark.parametrize("fault", met(FAULTS, *UNLIKE))
def test_a_replacement_is_there_once_with_its_words(
    producer: Producer, api: Api, proxy: Proxy, fault: str
) -> None:
    producer.drop("a.csv", b"avant")
    first = converge(producer)
    api.edit_resource(producer.dataset, first["resource_id"], title="Son titre")
    sha1 = producer.drop("a.csv", b"c;d\n" * 100)
    proxy.rule(UPLOAD, times=1, **FAULTS[fault])

    file = converge(producer)

    assert file["resource_id"] == first["resource_id"]
    check_world(producer, api, {"Son titre": b"c;d\n" * 100}, {sha1})


@pytest.mark.parametrize("fault", met(FAULTS, *UNLIKE))
def test_the_title_is_put_back_whatever_happens_to_the_request(
    producer: Producer, api: Api, proxy: Proxy, fault: str
) -> None:
    sha1 = producer.drop("É 1.csv", b"x")
    proxy.rule(WORDS, times=1, **FAULTS[fault])

    converge(producer, "É 1.csv")

    def titled() -> bool:
        producer.once(code=None)
        return [one["title"] for one in api.resources(producer.dataset)] == ["É 1.csv"]

    wait_until(titled, 60, "the title put back")
    check_world(producer, api, {"É 1.csv": b"x"}, {sha1})


@pytest.mark.parametrize("refusal", met(REFUSALS, *REFUSED))
@pytest.mark.parametrize("request_", [UPLOAD, WORDS])
def test_what_is_refused_is_told_and_goes_once_a_person_asks(
    producer: Producer, api: Api, proxy: Proxy, request_: str, refusal: str
) -> None:
    producer.drop("É 1.csv", b"avant")
    first = converge(producer, "É 1.csv")
    proxy.rule(request_, times=1, **REFUSALS[refusal])
    sha1 = producer.drop("É 1.csv", b"apres")

    told = producer.call("once")
    file = producer.status()["É 1.csv"]

    if file["state"] != "published":
        assert file["why"], "a person is told why"
        assert told.returncode in {1, 75, 77}
    producer.call("retry")
    file = converge(producer, "É 1.csv")
    assert file["resource_id"] == first["resource_id"]
    check_world(producer, api, {"É 1.csv": b"apres"}, {sha1})


def break_each_request(
    producer: Producer,
    proxy: Proxy,
    world: Publishing,
    fault: dict[str, Any],
    *,
    stride: int,
    first: int,
) -> None:
    """Break the first request of a pass, the next one of another pass…; all is right after each."""
    world.begin(REQUESTS // stride)
    for run, at in enumerate(range(first, REQUESTS, stride), start=1):
        world.change(run)
        struck = proxy.rule("", skip=at, times=1, **fault)
        told = producer.call(*world.command)
        proxy.clear()
        if told.returncode != 0 and not struck():
            pytest.fail(f"nothing was broken: {told.stdout}{told.stderr}")
        if told.returncode != 0 and world.command[0] == "adopt":
            told = producer.call(*world.command)  # the person who asked asks again
        wait_until(lambda: producer.call("retry", "--yes").returncode == 0, 30, "all is well")
        try:
            world.check()
        except AssertionError as wrong:
            wrong.add_note(f"request {at} of {world.command} was broken")
            raise
        if not struck():
            assert run > 1, "the test broke nothing"
            return
    pytest.fail("it never ends by itself")


def requests_met(fault: str) -> tuple[int, int]:
    """Which requests of a pass a fault strikes in `make storm`: the first, and how many further.

    Those unlike each other strike each; of the others, every third one, so that each request is
    struck by a third of them. Each kind of write is met by all of them in the tests above.
    """
    if fault in {*UNLIKE, *REFUSED}:
        return 0, 1
    return [*FAULTS, *REFUSALS].index(fault) % 3, 3


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("world", "fault", "first", "stride"),
    [
        (Moving, "the reply is lost after the work", 0, 4),
        *(
            pytest.param(world, fault, *requests_met(fault), marks=pytest.mark.storm)
            for world in (Publishing, Moving, Adopting, Refreshing)
            for fault in (*FAULTS, *REFUSALS)
        ),
    ],
)
def test_whatever_happens_to_any_one_request_of_a_pass_the_world_is_right(  # noqa: PLR0917 - a table of cases
    producer: Producer,
    api: Api,
    proxy: Proxy,
    world: type[Publishing],
    fault: str,
    first: int,
    stride: int,
) -> None:
    break_each_request(
        producer,
        proxy,
        world(producer, api),
        (FAULTS | REFUSALS)[fault],
        stride=stride,
        first=first,
    )


def test_a_reset_at_any_byte_of_an_upload_changes_nothing_else(
    producer: Producer, api: Api, proxy: Proxy
) -> None:
    producer.drop("a.csv", b"0" * 900)
    converge(producer)
    whole = proxy.seen(UPLOAD)[0].size
    for at in (1, 160, 700, whole - 40, whole - 2, whole - 1, whole):
        content = b"%04d" % at * 225
        sha1 = producer.drop("a.csv", content)
        proxy.rule(UPLOAD, times=1, cut_after=at, reset=True)

        converge(producer)

        check_world(producer, api, {"a.csv": content}, {sha1})


def test_a_list_that_lacks_what_is_there_is_not_believed(
    producer: Producer, api: Api, proxy: Proxy
) -> None:
    producer.drop("a.csv", b"a")
    first = converge(producer)
    (producer.folder / "a.csv").rename(producer.folder / "b.csv")
    nothing = json.dumps({"data": [], "total": 0, "next_page": None}).encode()
    proxy.rule(
        "GET .*/2/.*/resources/", times=2, status=200, body=nothing, content_type="application/json"
    )

    told = producer.call("once")

    assert told.returncode == 75
    assert "which it has" in told.stdout + told.stderr
    assert converge(producer, "b.csv")["resource_id"] == first["resource_id"]
    check_world(producer, api, {"b.csv": b"a"}, {sha1(b"a").hexdigest()})


@pytest.mark.parametrize("key", ["revoked", "expired", "unknown"])
def test_a_key_that_does_not_work_loses_nothing(
    producer: Producer, api: Api, portal: Sandbox, key: str
) -> None:
    good = producer.key
    producer.key = portal.tokens.get(key, "x" * 40)
    sha1 = producer.drop("a.csv", b"a")

    done = producer.call("once")

    assert done.returncode == 77
    assert "key" in done.stdout + done.stderr
    assert api.resources(producer.dataset) == []
    producer.key = good
    converge(producer)
    check_world(producer, api, {"a.csv": b"a"}, {sha1})


@pytest.mark.parametrize(
    "address",
    ["https://portail.invalid", "https://127.0.0.1:{port}", "http://127.0.0.1:1"],
    ids=["no such name", "no TLS there", "nobody listens"],
)
def test_a_portal_that_cannot_be_reached_is_told_and_waited_for(
    producer: Producer, api: Api, proxy: Proxy, address: str
) -> None:
    right = producer.url
    producer.url = address.format(port=proxy.url.rpartition(":")[2])
    sha1 = producer.drop("a.csv", b"a")

    done = producer.call("once")

    assert done.returncode == 75
    assert "does not answer" in done.stdout + done.stderr
    producer.url = right
    converge(producer)
    check_world(producer, api, {"a.csv": b"a"}, {sha1})


def test_a_portal_that_is_away_is_asked_by_one_request_at_a_time(
    producer: Producer, portal: Sandbox, proxy: Proxy
) -> None:
    for number in range(4):
        (producer.home / f"d{number}").mkdir()
        producer.more += (
            f'\n[[folders]]\npath = "{producer.home / f"d{number}"}"\n'
            f'dataset = "{portal.new_dataset()}"\nquiet = "200ms"\n'
        )
    producer.settings["rescan_every"] = '"1s"'
    with producer.start() as service:
        portal.stop_portal()
        for number in range(4):
            (producer.home / f"d{number}" / "a.csv").write_bytes(b"%d" % number)
        producer.drop("a.csv", b"a")
        service.wait_for("portal.unreachable")
        proxy.forget()
        service.wait_for("portal.unreachable", count=4, timeout=60)

        # five datasets look for changes each second; the portal sees one probe for all of them
        assert len(proxy.seen("")) <= 5


def test_a_read_only_portal_is_waited_for_and_words_still_go(
    producer: Producer, api: Api, portal: Sandbox
) -> None:
    producer.drop("a.csv", b"a")
    producer.once()
    portal.restart({"READ_ONLY_MODE": True})
    producer.drop("a.csv", b"b")
    producer.drop("n.csv", b"n")

    files = producer.once(code=1)

    assert {file["state"] for file in files.values()} == {"held"}
    assert "read-only" in files["a.csv"]["why"]
    # one of them asks for both
    assert files["a.csv"]["retry_at"] == files["n.csv"]["retry_at"] is not None
    portal.restart()
    assert producer.call("retry").returncode == 0
    assert len(api.resources(producer.dataset)) == 2


def test_a_portal_that_asked_for_an_hour_is_asked_again_when_a_person_asks(
    producer: Producer, api: Api, proxy: Proxy
) -> None:
    with producer.start() as service:
        service.wait_for("daemon.started")
        proxy.rule("", status=429, headers={"Retry-After": "1000000000"})
        expected = producer.drop("a.csv", b"a")
        service.wait_for("portal.throttled")
        proxy.clear()

        assert producer.call("retry").returncode == 0

        wait_until(
            lambda: set(api.sha1s(producer.dataset).values()) == {expected}, 30, "the file there"
        )


def test_an_error_keeps_the_portals_sentry_id(producer: Producer, proxy: Proxy) -> None:
    sentry = "0123456789abcdef0123456789abcdef"
    producer.drop("a.csv", b"a")
    proxy.rule(UPLOAD, status=500, headers={"X-Sentry-ID": sentry})

    file = producer.once(code=1)["a.csv"]

    assert file["sentry_id"] == sentry


def test_a_portal_that_fails_for_ever_gets_few_requests_and_no_twin(
    producer: Producer, api: Api, proxy: Proxy
) -> None:
    producer.drop("a.csv", b"a")
    proxy.rule(UPLOAD, status=500)

    for _ in range(5):
        producer.once(code=1)

    assert len(proxy.seen(UPLOAD)) <= 5
    assert api.resources(producer.dataset) == []


def test_one_refused_file_does_not_delay_the_others(producer: Producer, proxy: Proxy) -> None:
    proxy.rule(UPLOAD, status=413, times=1)
    producer.drop("a.csv", b"a")
    producer.drop("b.csv", b"b")

    files = producer.once(code=1)

    assert [files["a.csv"]["state"], files["b.csv"]["state"]] == ["failed", "published"]
    producer.once(code=1)
    assert len(proxy.seen(UPLOAD)) == 2


def test_work_resumes_when_the_portal_is_back(
    producer: Producer, api: Api, portal: Sandbox
) -> None:
    with producer.start() as service:
        portal.stop_portal()
        sha1 = producer.drop("a.csv", b"a")
        service.wait_for("portal.unreachable")
        portal.restart()
        wait_until(
            lambda: set(api.sha1s(producer.dataset).values()) == {sha1}, 75, "the file published"
        )
        assert service.stop() == 0


def test_the_support_report_has_what_the_portal_asks_for_and_not_the_key(
    producer: Producer, proxy: Proxy
) -> None:
    sentry = "fedcba9876543210fedcba9876543210"
    producer.settings["language"] = '"fr"'
    producer.drop("é.csv", b"a")
    proxy.rule(UPLOAD, status=400, headers={"X-Sentry-ID": sentry})
    producer.once(code=1)

    done = producer.call("support", sentry)

    assert done.returncode == 0, done.stderr
    for wanted in ("Bonjour", sentry, "POST http", "/upload/", "HTTP 400", "é.csv", "User-Agent"):
        assert wanted in done.stdout
    assert producer.key not in done.stdout
    assert producer.call("support", "inconnu").returncode == 1


@pytest.mark.storm  # it waits for the minute after which the reload is tried again
def test_a_reload_that_needs_an_absent_portal_keeps_the_last_good_configuration_serving(
    producer: Producer, api: Api, portal: Sandbox
) -> None:
    slug = api.dataset(portal.new_dataset())["slug"]
    (producer.home / "second").mkdir()
    producer.drop("a.csv", b"avant")
    with producer.start() as service:
        service.wait_for("resource.created")
        portal.stop_portal()
        producer.more = (
            f'\n[[folders]]\npath = "{producer.home / "second"}"\ndataset = "{slug}"\n'
            'quiet = "200ms"\n'
        )
        producer.configure()
        service.process.send_signal(signal.SIGHUP)
        (refused,) = service.wait_for("config.refused")
        sha1 = producer.drop("a.csv", b"a")
        portal.restart()
        wait_until(
            lambda: set(api.sha1s(producer.dataset).values()) == {sha1}, 75, "still publishing"
        )

        assert slug in refused["why"] or "does not answer" in refused["why"]
        service.wait_for("config.reloaded", timeout=90)
        assert service.stop() == 0
