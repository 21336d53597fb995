"""A portal that says no while a large file goes up is heard, twenty times of twenty, and soon."""

from __future__ import annotations

import contextlib
import socket
import ssl
import statistics
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme
from scripted import Connection, Script, Scripted, tunnel

from publisher_daemon.errors import (
    CredentialRefused,
    OutcomeUnknown,
    PortalBusy,
    PortalError,
    PortalRefused,
)
from publisher_daemon.model import DatasetId, Fingerprint
from publisher_daemon.portal import Portal, Timeouts

DATASET = DatasetId("5bbb6d6cff66bd4dc17bfd5a")
KEY = "udata_" + "k" * 64
MIB = 2**20
GIB = Fingerprint("0" * 40, 1024 * MIB)
#: what goes out before the answer is heard; more where a busy machine keeps the server or the proxy
#: from running for a moment, but never more than what the kernel's buffers hold on the way
USUAL, MOST = 8 * MIB, 32 * MIB
TRIES = 20

REFUSALS: dict[str, type[PortalError]] = {
    "401 Unauthorized": CredentialRefused,
    "413 Content Too Large": PortalRefused,
    "423 Locked": PortalBusy,
    "503 Service Unavailable": PortalBusy,
}


class Endless:
    """A gigabyte that nobody has to keep, which knows how much of it was taken."""

    size = GIB.size

    def __init__(self) -> None:
        self.taken = 0

    def blocks(
        self, size: int = 256 * 1024, start: int = 0, stop: int | None = None
    ) -> Iterator[memoryview]:
        block = memoryview(bytes(size))
        for _ in range(((stop or self.size) - start) // size):
            self.taken += size
            yield block

    def check(self) -> None:
        raise AssertionError("nobody takes it to its end")


Way = Callable[[Script], contextlib.AbstractContextManager[Portal]]


@pytest.fixture(params=["plain", "TLS", "TLS through a proxy"])
def way(request: pytest.FixtureRequest, tmp_path: Path) -> Way:
    """Stand a server there, and give a portal's client that knows it."""
    context, ca_file = None, None
    if request.param != "plain":
        authority = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        ca_file = str(tmp_path / "ca.pem")
        authority.cert_pem.write_to_path(ca_file)

    @contextlib.contextmanager
    def stood(script: Script) -> Iterator[Portal]:
        with contextlib.ExitStack() as standing:
            server = standing.enter_context(Scripted(script, context))
            proxy = None
            if request.param == "TLS through a proxy":
                proxy = standing.enter_context(Scripted(tunnel)).url
            portal = Portal(
                server.url, KEY, ca_file=ca_file, proxy=proxy, timeouts=Timeouts(progress=20)
            )
            standing.callback(portal.close)
            yield portal

    return stood


def refusing(status: str, close: str, after: int) -> Script:
    """Take so much of the body, say no, and close as such servers do."""

    def script(connection: Connection) -> None:
        connection.read_head()
        if after:
            connection.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            connection.read_body(at_most=after)
        connection.answer(status, b'{"message": "not now"}', "Connection: close\r\n")
        if close == "a reset":
            connection.reset()
        elif close == "lingering, as nginx":
            with contextlib.suppress(OSError):
                connection.sock.shutdown(socket.SHUT_WR)
                while connection.sock.recv(65536):
                    pass
        else:
            gone.wait(10)

    gone = threading.Event()
    return script


@pytest.mark.parametrize("close", ["a reset", "lingering, as nginx", "no more reading"])
def test_a_refusal_is_heard_while_sending(way: Way, close: str) -> None:
    heard, taken = 0, []
    for number in range(TRIES):
        status, kind = list(REFUSALS.items())[number % len(REFUSALS)]
        source = Endless()
        with (
            way(refusing(status, close, after=MIB)) as portal,
            pytest.raises(kind, match="not now|" + status[:3]) as refused,
        ):
            portal.upload(DATASET, source, GIB, "a.csv", lambda: None)
        heard += refused.value.status == int(status[:3])
        taken.append(source.taken)

    assert heard == TRIES
    assert statistics.median(taken) <= USUAL
    assert max(taken) <= MOST


@pytest.mark.parametrize("status", REFUSALS)
def test_nothing_is_sent_where_the_server_says_no_before(way: Way, status: str) -> None:
    source = Endless()

    with (
        way(refusing(status, "a reset", after=0)) as portal,
        pytest.raises(REFUSALS[status], match="not now"),
    ):
        portal.upload(DATASET, source, GIB, "a.csv", lambda: None)

    assert source.taken == 0


def test_an_early_success_is_no_success_in_the_middle(way: Way) -> None:
    source = Endless()

    with (
        way(refusing("201 Created", "lingering, as nginx", after=MIB)) as portal,
        pytest.raises(OutcomeUnknown),
    ):
        portal.upload(DATASET, source, GIB, "a.csv", lambda: None)

    assert source.taken <= MOST
