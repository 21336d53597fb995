"""The wire: early answers, cuts and silences, on real sockets, plain and TLS."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme
from scripted import Connection, Script, Scripted, answering
from sources import Bytes, fingerprint, nothing

from publisher_daemon.errors import (
    OutcomeUnknown,
    PortalError,
    PortalRefused,
    PortalUnreachable,
    SourceChanged,
)
from publisher_daemon.model import DatasetId, ResourceId, Words
from publisher_daemon.portal import Portal, Timeouts

DATASET = DatasetId("5bbb6d6cff66bd4dc17bfd5a")
RESOURCE = ResourceId("00000000-0000-4000-8000-000000000000")
KEY = "udata_" + "k" * 64
LARGE = bytes(range(256)) * (64 * 1024)  # 16 MiB
SMALL = b"a;b\n1;2\n"
STORED: dict[str, object] = {
    "id": RESOURCE,
    "title": "a.csv",
    "extras": {},
    "checksum": {"type": "sha1", "value": "0" * 40},
    "filesize": 8,
}
CREATED = json.dumps(STORED).encode()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


class Stage:
    """Makes servers, and portals that know their certificate."""

    def __init__(self, authority: trustme.CA | None, ca_file: Path) -> None:
        self._context: ssl.SSLContext | None = None
        self._ca_file: str | None = None
        if authority is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            authority.issue_cert("127.0.0.1").configure_cert(self._context)
            authority.cert_pem.write_to_path(str(ca_file))
            self._ca_file = str(ca_file)

    @contextmanager
    def playing(
        self,
        script: Script,
        timeouts: Timeouts = Timeouts(),  # noqa: B008 - an immutable value
    ) -> Iterator[tuple[Portal, Scripted]]:
        with Scripted(script, self._context) as server:
            portal = Portal(server.url, KEY, ca_file=self._ca_file, timeouts=timeouts)
            try:
                yield portal, server
            finally:
                portal.close()


@pytest.fixture(params=["plain", "tls"])
def stage(request: pytest.FixtureRequest, authority: trustme.CA, tmp_path: Path) -> Stage:
    return Stage(authority if request.param == "tls" else None, tmp_path / "ca.pem")


def upload(portal: Portal, content: bytes = LARGE) -> None:
    portal.upload(DATASET, Bytes(content), fingerprint(content), "a.csv", nothing)


# --------------------------------------------------------------------------------- early answers


def test_hears_a_refusal_before_sending_anything(stage: Stage) -> None:
    got = []

    def refusing(connection: Connection) -> None:
        connection.read_head()
        connection.answer("413 Content Too Large", b'{"message": "too large"}')
        got.append(connection.read_body())

    with stage.playing(refusing) as (portal, _), pytest.raises(PortalRefused) as refused:
        upload(portal)

    assert refused.value.status == 413
    assert "too large" in refused.value.message
    assert got in ([b""], [])


def test_an_early_success_is_no_success(stage: Stage) -> None:
    def hasty(connection: Connection) -> None:
        connection.read_head()
        connection.answer("201 Created", CREATED)
        connection.read_body()

    with stage.playing(hasty) as (portal, _), pytest.raises(OutcomeUnknown):
        upload(portal)


def test_a_half_sent_connection_is_not_used_again(stage: Stage) -> None:
    def refusing(connection: Connection) -> None:
        connection.read_head()
        connection.answer("413 Content Too Large", b"{}")
        connection.read_body()

    with stage.playing(refusing) as (portal, server):
        for _ in range(2):
            with pytest.raises(PortalRefused):
                upload(portal)

        assert len(server.connections) == 2


def test_a_kept_connection_is_used_again(stage: Stage) -> None:
    with stage.playing(answering("201 Created", CREATED)) as (portal, server):
        upload(portal, SMALL)
        portal.describe(DATASET, RESOURCE, Words(title="A"))

        assert len(server.connections) == 1


def test_a_server_that_ignores_expect_is_asked_once(stage: Stage) -> None:
    asked: list[str | None] = []

    def deaf(connection: Connection) -> None:
        while connection.read_head():
            asked.append(connection.header("Expect"))
            connection.read_body()
            connection.answer("201 Created", CREATED)

    with stage.playing(deaf, Timeouts(expect=0.2)) as (portal, _):
        upload(portal)
        portal.replace(DATASET, RESOURCE, Bytes(LARGE), fingerprint(LARGE), "b.csv", nothing)

    assert asked == ["100-continue", None]


def test_a_server_that_says_continue_is_asked_again(stage: Stage) -> None:
    asked: list[str | None] = []

    def polite(connection: Connection) -> None:
        while connection.read_head():
            asked.append(connection.header("Expect"))
            connection.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            connection.read_body()
            connection.answer("201 Created", CREATED)

    with stage.playing(polite) as (portal, _):
        upload(portal)
        portal.replace(DATASET, RESOURCE, Bytes(LARGE), fingerprint(LARGE), "b.csv", nothing)

    assert asked == ["100-continue", "100-continue"]


def test_an_interim_answer_is_not_the_last_word_and_leaves_nothing_for_the_next_request(
    stage: Stage,
) -> None:
    answered = iter((b"a", b"b", b"c"))

    def hinting(connection: Connection) -> None:
        while connection.read_head():
            connection.read_body()
            connection.sock.sendall(b"HTTP/1.1 102 Processing\r\n\r\n")
            connection.sock.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
            connection.answer("201 Created", CREATED.replace(RESOURCE.encode(), next(answered)))

    with stage.playing(hinting) as (portal, server):
        created = [
            portal.upload(DATASET, Bytes(content), fingerprint(content), "a.csv", nothing).id
            for content in (SMALL, LARGE, SMALL)
        ]

        assert created == ["a", "b", "c"]
        assert len(server.connections) == 1


def test_a_refused_expectation_is_not_repeated(stage: Stage) -> None:
    asked: list[str | None] = []

    def strict(connection: Connection) -> None:
        connection.read_head()
        asked.append(connection.header("Expect"))
        connection.answer("417 Expectation Failed")

    with stage.playing(strict) as (portal, _):
        for name in ("a.csv", "b.csv"):
            with pytest.raises(PortalUnreachable):
                portal.upload(DATASET, Bytes(LARGE), fingerprint(LARGE), name, nothing)

    assert asked == ["100-continue", None]


# ------------------------------------------------------------------------------ cuts and silences


def test_nothing_happened_when_it_broke_before_the_last_byte(stage: Stage) -> None:
    def cutting(connection: Connection) -> None:
        connection.read_head()
        connection.read_body(at_most=1024 * 1024)
        connection.reset()

    called: list[bool] = []
    with stage.playing(cutting) as (portal, _), pytest.raises(PortalUnreachable):
        portal.upload(
            DATASET, Bytes(LARGE), fingerprint(LARGE), "a.csv", lambda: called.append(True)
        )

    assert not called


def test_the_outcome_is_unknown_when_it_broke_after_the_last_byte(stage: Stage) -> None:
    def swallowing(connection: Connection) -> None:
        connection.read_head()
        connection.read_body()
        connection.reset()

    with stage.playing(swallowing) as (portal, server):
        for content in (SMALL, LARGE):
            with pytest.raises(OutcomeUnknown):
                upload(portal, content)

        assert len(server.connections) == 2  # no write is tried twice


def test_a_server_that_stops_reading_is_given_up(stage: Stage) -> None:
    release = threading.Event()

    def stuck(connection: Connection) -> None:
        connection.read_head()
        release.wait(30)

    with stage.playing(stuck, Timeouts(progress=0.3, expect=0.1)) as (portal, _):
        with pytest.raises(PortalUnreachable, match="silence"):
            upload(portal)
        release.set()


def test_a_server_that_stops_reading_and_answers_is_heard(stage: Stage) -> None:
    def sulking(connection: Connection) -> None:
        connection.read_head()
        connection.read_body(at_most=1024 * 1024)
        connection.answer("403 Forbidden", b'{"message": "not yours"}')
        connection.read_head()

    with stage.playing(sulking) as (portal, _), pytest.raises(PortalRefused, match="not yours"):
        upload(portal)


def test_silence_after_the_last_byte_is_an_unknown_outcome(stage: Stage) -> None:
    release = threading.Event()

    def mute(connection: Connection) -> None:
        connection.read_head()
        connection.read_body()
        release.wait(30)

    with stage.playing(mute, Timeouts(answer=0.3)) as (portal, _):
        with pytest.raises(OutcomeUnknown, match="silence"):
            upload(portal, SMALL)
        with pytest.raises(OutcomeUnknown, match="silence"):
            portal.withdraw(DATASET, RESOURCE)
        release.set()


def test_an_answer_that_drips_holds_nobody(stage: Stage) -> None:
    over = threading.Event()

    def dripping(connection: Connection) -> None:
        connection.read_head()
        connection.read_body()
        while not over.wait(0.02):
            connection.sock.sendall(b"H")

    with stage.playing(dripping, Timeouts(answer=0.3, read=0.3)) as (portal, _):
        with pytest.raises(OutcomeUnknown, match="silence"):
            upload(portal, SMALL)
        with pytest.raises(PortalUnreachable, match="silence"):
            portal.whoami()
        over.set()


def test_a_file_that_changes_is_cut_before_its_end(stage: Stage) -> None:
    seen: list[int] = []
    done = threading.Event()

    def counting(connection: Connection) -> None:
        connection.read_head()
        connection.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        try:
            seen.append(len(connection.read_body()))
        finally:
            done.set()

    source = Bytes(LARGE)
    source.content = LARGE[:-1] + b"!"
    with stage.playing(counting) as (portal, _):
        with pytest.raises(SourceChanged):
            portal.upload(DATASET, source, fingerprint(LARGE), "a.csv", nothing)
        assert done.wait(10)

    assert not seen or seen[0] < len(LARGE)


def test_what_the_callback_raises_comes_back_as_it_is(stage: Stage) -> None:
    def failing() -> None:
        raise OSError(28, "No space left on device")

    created = answering("201 Created", CREATED)
    with (
        stage.playing(created) as (portal, _),
        pytest.raises(OSError, match="No space left") as failed,
    ):
        portal.upload(DATASET, Bytes(LARGE), fingerprint(LARGE), "a.csv", failing)

    assert not isinstance(failed.value, PortalError)


@pytest.mark.parametrize("method", ["upload", "describe"])
def test_a_truncated_answer_is_an_unknown_outcome(stage: Stage, method: str) -> None:
    def truncating(connection: Connection) -> None:
        connection.read_head()
        connection.read_body()
        connection.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + CREATED)

    calls: dict[str, Callable[[Portal], object]] = {
        "upload": lambda portal: upload(portal, SMALL),
        "describe": lambda portal: portal.describe(DATASET, RESOURCE, Words(title="A")),
    }
    with stage.playing(truncating) as (portal, _), pytest.raises(OutcomeUnknown):
        calls[method](portal)


def test_an_answer_that_is_not_json_is_an_unknown_outcome_of_a_write(stage: Stage) -> None:
    with (
        stage.playing(answering("200 OK", b"<html>captive portal</html>")) as (portal, _),
        pytest.raises(OutcomeUnknown),
    ):
        upload(portal, SMALL)


def test_a_read_is_asked_again_when_the_kept_connection_was_closed(stage: Stage) -> None:
    count = []

    def closing_once(connection: Connection) -> None:
        connection.read_head()
        count.append(1)
        if len(count) == 1:
            connection.reset()
            return
        connection.answer("200 OK", b'["CSV"]')
        connection.read_head()

    with stage.playing(closing_once) as (portal, _):
        assert portal.extensions() == {"csv"}


def test_a_write_is_never_sent_twice(stage: Stage) -> None:
    def closing(connection: Connection) -> None:
        connection.read_head()
        connection.read_body()

    with stage.playing(closing) as (portal, server):
        with pytest.raises(OutcomeUnknown):
            portal.withdraw(DATASET, RESOURCE)
        assert len(server.connections) == 1


def test_several_threads_share_one_portal(stage: Stage) -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(5):
                name = f"{number}-{turn}.csv"
                portal.upload(DATASET, Bytes(SMALL), fingerprint(SMALL), name, nothing)
        except PortalError as error:
            failures.append(error)

    with stage.playing(answering("201 Created", CREATED)) as (portal, _):
        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)

    assert not failures


@pytest.mark.parametrize("body", [b'{"hello": 1}', b"[1, 2]", b'[{"name": "x"}]', b"null", b'"x"'])
def test_a_vocabulary_of_another_shape_is_no_answer(body: bytes) -> None:
    with Scripted(answering("200 OK", body)) as server:
        portal = Portal(server.url, KEY)
        for ask in (portal.frequencies, portal.licenses, portal.extensions):
            with pytest.raises(PortalUnreachable, match="no list of words"):
                ask()
        portal.close()


#: JSON that a portal, or what stands before it, may give for any document
NO_DOCUMENT: tuple[object, ...] = (
    [], {}, None, "x", 3, {"id": None}, {"id": ""}, {"message": "ok"}, {"data": None, "total": 1},
    {"data": [None], "total": 1}, {"data": [{}], "total": 1}, {"data": {}, "total": "x"},
)  # fmt: skip
#: …and of a resource that was just written: no bytes, or another one's
NOT_STORED = ({"id": "r"}, STORED | {"checksum": "x"}, STORED | {"filesize": "8"})


def test_a_document_of_another_shape_is_no_answer_to_a_read_and_tells_nothing_of_a_write() -> None:
    said: list[bytes] = []

    def saying(connection: Connection) -> None:
        while connection.read_head():
            connection.read_body()
            connection.answer("200 OK", said[-1])

    with Scripted(saying) as server:
        portal = Portal(server.url, KEY)
        reads: tuple[Callable[[], object], ...] = (
            lambda: portal.dataset(DATASET),
            lambda: portal.resources(DATASET),
            lambda: portal.resource(DATASET, RESOURCE),
            lambda: portal.find_resource(RESOURCE),
            portal.whoami,
        )
        new = (Bytes(SMALL), fingerprint(SMALL))
        writes: tuple[Callable[[], object], ...] = (
            # each name its own: uploads of one name are a second apart
            lambda: portal.replace(DATASET, RESOURCE, *new, f"r{len(said)}.csv", nothing),
            lambda: portal.upload(DATASET, *new, f"u{len(said)}.csv", nothing),
            lambda: portal.describe(DATASET, RESOURCE, Words(title="A")),
        )
        for document in (*NO_DOCUMENT, *NOT_STORED):
            said.append(json.dumps(document).encode())
            for ask in reads if document in NO_DOCUMENT else ():
                with pytest.raises(PortalUnreachable):
                    ask()
            for write in writes[:2]:
                with pytest.raises(OutcomeUnknown):
                    write()
        said.append(CREATED.replace(RESOURCE.encode(), b"another"))
        for write in (writes[0], writes[2]):
            with pytest.raises(OutcomeUnknown, match="another resource"):
                write()
        portal.close()
