"""Connections that listen while they send, and that keep nothing between two requests.

requests without its Session: no cookie jar (udata's session cookie would beat the key:
portal-facts §1.5), no redirect that would carry the key elsewhere, no environment, no ``.netrc``.
What is left is its adapter, whose connections are taught to stop sending when the answer is there
already: stock urllib3 sends a whole gigabyte to a server that said 413, and loses the answer over
TLS.
"""

from __future__ import annotations

import http.client
import io
import os
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
import requests.adapters
import truststore
import urllib3.connection
import urllib3.connectionpool
import urllib3.exceptions
from requests.utils import get_environ_proxies

from publisher_daemon.errors import ConfigInvalid
from publisher_daemon.portal.body import Block, Outgoing

_RECEIVE = 65536
#: how long, in seconds, an answer is waited for once sending has failed
_LAST_WORDS = 5.0
#: an answer's head larger than this is not an answer
_MAX_HEAD = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long the portal may be silent, in seconds; writes get more for what they carry."""

    connect: float = 10.0
    #: no byte accepted while sending
    progress: float = 60.0
    #: silence before the answer of a read
    read: float = 60.0
    #: silence after a write's last byte
    answer: float = 120.0
    #: …and one second more for so many bytes (measured: 2-3 s per GiB)
    bytes_per_second: float = 10 * 2**20
    #: …and so much for each resource of the dataset: udata's writes are linear (portal-facts §12)
    per_resource: float = 0.010
    #: how long ``100 Continue`` is waited for (as curl does)
    expect: float = 1.0

    def for_write(self, size: int, resources: int) -> float:
        """Silence allowed after the last byte of a write."""
        return self.answer + size / self.bytes_per_second + self.per_resource * resources


class _Hearing:
    """A socket whose answer may have begun, and has so long to begin: what http.client reads of.

    A socket's own time-out is for each byte: an answer that drips would hold a worker for ever.
    """

    def __init__(self, sock: socket.socket, received: bytes, patience: float) -> None:
        self._sock = sock
        self._received = received
        self._patience = patience
        self._until: float | None = time.monotonic() + patience

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def makefile(self, *_args: Any, **_kwargs: Any) -> io.BufferedReader:
        rest = self._sock.makefile("rb", buffering=0)
        return io.BufferedReader(_Chained(self._received, rest, self._wait), _RECEIVE)

    def begun(self) -> None:
        """Leave each piece of the rest its own time."""
        self._until = None
        with suppress(OSError):  # closed already: there is no rest
            self._sock.settimeout(self._patience)

    def _wait(self) -> None:
        if self._until is not None:
            left = self._until - time.monotonic()
            if left <= 0:
                raise TimeoutError("silent")
            self._sock.settimeout(left)


class _Chained(io.RawIOBase):
    def __init__(self, first: bytes, rest: Any, wait: Callable[[], None]) -> None:
        super().__init__()
        self._first = memoryview(first)
        self._rest = rest
        self._wait = wait

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if not self._first:
            self._wait()
            got: int | None = self._rest.readinto(buffer)
            return got
        count = min(len(buffer), len(self._first))
        buffer[:count] = self._first[:count]
        self._first = self._first[count:]
        return count

    def close(self) -> None:
        self._rest.close()
        super().close()


class _Wire:
    """Sends a body over a connected socket without blocking, and hears an answer meanwhile."""

    def __init__(self, sock: socket.socket, progress: float) -> None:
        self._sock = sock
        self._progress = progress
        self.received = b""
        self._continued = False
        self._to_read = select.poll()
        self._to_read.register(sock, select.POLLIN)
        self._either = select.poll()
        self._either.register(sock, select.POLLIN | select.POLLOUT)

    def send_all(self, body: Outgoing, expect: float) -> None:
        """Send the body, or stop at the first final answer."""
        blocks = iter(body)
        wait = expect if body.expect else 0.0
        left = len(body)
        # once all is sent, an answer is no longer early
        while left:
            # asked before the next block is taken: taking the last one is what releases it
            if self._answered(wait):
                body.early = True
                return
            if wait and not self._continued:
                body.expect_ignored = True
            wait = 0.0
            block = next(blocks)
            left -= len(block)
            if self._send(block):
                body.early = True
                return
        for _ in blocks:
            raise AssertionError("a body is as long as it says")

    def _send(self, block: Block) -> bool:
        """Send all of a block; True when an answer came first."""
        left = memoryview(block)
        while left:
            try:
                left = left[self._sock.send(left) :]
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                ready = self._either.poll(self._progress * 1000)
                if not ready:
                    raise TimeoutError(f"no byte accepted for {self._progress:g} s") from None
                if ready[0][1] & ~select.POLLOUT and self._answered(0):
                    return True
        return False

    def _answered(self, wait: float) -> bool:
        """Whether a final status line, or the end of the stream, is there; 1xx are swallowed."""
        while self._pending() or self._to_read.poll(wait * 1000):
            try:
                got = self._sock.recv(_RECEIVE)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                # a TLS 1.3 session ticket, not an answer; what is waited for may still come
                if wait:
                    continue
                return False
            self.received += got
            while self.received.startswith(b"HTTP/1.1 1") and b"\r\n\r\n" in self.received:
                self.received = self.received.split(b"\r\n\r\n", 1)[1]
                self._continued = True
            if not got or len(self.received) > _MAX_HEAD:
                return True
            if b"\r\n" in self.received and not self.received.startswith(b"HTTP/1.1 1"):
                return True
            if self._continued and not self.received:
                return False
        return False

    def _pending(self) -> bool:
        return isinstance(self._sock, ssl.SSLSocket) and self._sock.pending() > 0


class _Final(http.client.HTTPResponse):
    """Passes over every interim answer: http.client knows 100 only, and takes a 103 for the last.

    The portal's own answer would then be read as the one to the next request.
    """

    def begin(self) -> None:
        super().begin()
        while self.status < 200:
            self.headers = self.msg = None  # type: ignore[assignment]  # as before the first
            super().begin()


class _Listening:
    """Mixed into urllib3's connections: sends an ``Outgoing`` through a ``_Wire``."""

    sock: Any
    timeout: Any
    response_class = _Final
    half_sent = False
    #: set by the adapter
    progress = 60.0
    expect = 1.0
    _received = b""
    _broken: OSError | None = None

    def request(self, method: str, url: str, body: Any = None, **options: Any) -> None:
        self.half_sent, self._received, self._broken = False, b"", None
        if not isinstance(body, Outgoing):
            super().request(method, url, body=body, **options)  # type: ignore[misc]  # a mixin
            return
        sending = _Sending(self, body)
        try:
            super().request(method, url, body=sending, **options)  # type: ignore[misc]  # a mixin
        except TimeoutError:
            raise
        except OSError as error:
            # reset, broken pipe, end of TLS: an answer may be waiting, getresponse() goes and sees
            self.half_sent, self._broken, body.early = True, error, True

    def getresponse(self) -> Any:
        if self._broken is not None:
            # what waits is there at once; a network that failed may leave the socket silent
            self.timeout = _LAST_WORDS
        sock = self.sock
        self.sock = hearing = _Hearing(sock, self._received, self.timeout)
        try:
            return super().getresponse()  # type: ignore[misc]  # a mixin
        except (OSError, urllib3.exceptions.HTTPError) as error:
            if self._broken is not None:
                raise self._broken from error
            raise
        finally:
            hearing.begun()
            if self.sock is not None:
                self.sock = sock


class _Sending:
    """What urllib3 iterates over once, after the headers: nothing is left for it to send."""

    def __init__(self, connection: _Listening, body: Outgoing) -> None:
        self._connection = connection
        self._body = body

    def __iter__(self) -> Iterator[Block]:
        connection, body = self._connection, self._body
        sock = connection.sock
        if not isinstance(sock, socket.socket):
            yield from body  # TLS inside TLS (a https:// proxy): urllib3's own sending
            return
        sock.settimeout(0)
        wire = _Wire(sock, connection.progress)
        try:
            wire.send_all(body, connection.expect)
        finally:
            sock.settimeout(connection.timeout)
            connection._received = wire.received  # noqa: SLF001 - two halves of one thing
            connection.half_sent = body.early


class _HTTPConnection(_Listening, urllib3.connection.HTTPConnection):  # type: ignore[misc]  # a mixin
    pass


class _HTTPSConnection(_Listening, urllib3.connection.HTTPSConnection):  # type: ignore[misc]  # a mixin
    pass


class _NeverHalfSent:
    """Mixed into urllib3's pools: a connection with half a request on it is closed, not kept."""

    def _put_conn(self, connection: Any) -> None:
        if connection is not None and connection.half_sent:
            connection.close()
        super()._put_conn(connection)  # type: ignore[misc]  # a mixin


class _HTTPPool(_NeverHalfSent, urllib3.connectionpool.HTTPConnectionPool):
    pass


class _HTTPSPool(_NeverHalfSent, urllib3.connectionpool.HTTPSConnectionPool):
    pass


class _Adapter(requests.adapters.HTTPAdapter):
    """requests' adapter with our connections, our certificates and nothing else's."""

    def __init__(self, context: ssl.SSLContext, timeouts: Timeouts) -> None:
        self._context = context
        self._pools = _pools(timeouts)
        super().__init__(pool_maxsize=16)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options, ssl_context=self._context)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        options.setdefault("ssl_context", self._context)
        manager = super().proxy_manager_for(proxy, **options)
        manager.pool_classes_by_scheme = self._pools
        return manager

    def cert_verify(self, conn: Any, *_: Any, **__: Any) -> None:
        """Leave the certificates to the context: requests would add its own bundle to them."""
        conn.cert_reqs = "CERT_REQUIRED"


def _pools(timeouts: Timeouts) -> dict[str, Any]:
    limits = {"progress": timeouts.progress, "expect": timeouts.expect}
    pools: dict[str, Any] = {}
    every = (("http", _HTTPPool, _HTTPConnection), ("https", _HTTPSPool, _HTTPSConnection))
    for scheme, pool, connection in every:
        limited = type(connection.__name__, (connection,), limits)
        pools[scheme] = type(pool.__name__, (pool,), {"ConnectionCls": limited})
    return pools


class Transport:
    """Sends one prepared request and gives its answer; safe for several threads."""

    def __init__(self, *, ca_file: str | None, proxy: str | None, timeouts: Timeouts) -> None:
        self._adapter = _Adapter(_context(ca_file), timeouts)
        self._proxies = _proxies(proxy)
        self._connect = timeouts.connect

    def send(self, request: requests.PreparedRequest, silence: float) -> requests.Response:
        """Send it; the answer's body is not read yet. Raises requests' own exceptions."""
        return self._adapter.send(
            request,
            stream=True,
            timeout=(self._connect, silence),
            verify=True,
            proxies=self._proxies(request.url or ""),
        )

    def close(self) -> None:
        """Close the connections kept for later."""
        self._adapter.close()


def _context(ca_file: str | None) -> ssl.SSLContext:
    """Certificates: the configured file, else the environment's, else the system's store."""
    chosen = ca_file or os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE")
    if not chosen:
        # administrations put their own authority in the system store, where certifi has none
        system = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        system.minimum_version = ssl.TLSVersion.TLSv1_2
        return system
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        if os.path.isdir(chosen):  # noqa: PTH112 - a string from the environment
            context.load_verify_locations(capath=chosen)
        else:
            context.load_verify_locations(cafile=chosen)
    except (OSError, ssl.SSLError) as error:
        raise ConfigInvalid(
            f"the certificates in {chosen} cannot be used: {error.strerror or error}.",
            hint="`ca_file` must name a readable file of certificates in PEM form.",
        ) from None
    return context


def _proxies(proxy: str | None) -> Callable[[str], Mapping[str, str]]:
    """Which proxies a URL goes through: the configured one, else what the environment says.

    The environment is looked at once per origin, not once per request.
    """
    if proxy:
        return lambda _url: {"http": proxy, "https": proxy}
    known: dict[tuple[str, str], Mapping[str, str]] = {}
    lock = threading.Lock()

    def of(url: str) -> Mapping[str, str]:
        parts = urlsplit(url)
        origin = (parts.scheme, parts.netloc)
        with lock:
            if origin not in known:
                known[origin] = get_environ_proxies(url)
            return known[origin]

    return of
