"""A real HTTP proxy that stands before the portal and breaks connections as a test wants.

The portal's own fault file (``portal.faults``) changes answers; only something on the wire can cut
a connection in the middle of an upload, lose or truncate a reply. And it records what was sent::

    proxy.rule("POST .*/upload/", cut_after=100_000, times=1)
    publish(proxy.url)
    assert len(proxy.seen("POST .*/upload/")) == 2

udata writes absolute links with its own SERVER_NAME, so a client that came through the proxy would
follow them around it. Therefore the proxy rewrites, besides the request's ``Host``, the portal's
origin into its own in JSON bodies and ``Location`` headers of the replies (``Content-Length``
follows). Request bodies are passed as they are. ``real`` undoes the rewriting of one link.

Each request goes to the portal on a connection of its own; connections of clients are kept alive.
When the portal is down, the answer is a 502 page, as behind any reverse proxy.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import os
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

_BLOCK = 1 << 16
_PATIENCE = 120.0
#: how long a look at the requests waits for those that are being answered
_RECORDING = 1.0
#: headers that belong to one connection (RFC 9110 §7.6.1), and those that the proxy writes itself
_OWN_HEADERS = frozenset(
    {"connection", "keep-alive", "host", "expect", "content-length", "transfer-encoding"}
)


@dataclass(frozen=True)
class Rule:
    """What to do to the requests that match; several fields may be given together."""

    #: a regular expression, searched in ``METHOD /path?query``
    match: str
    #: how many requests it applies to; None: all
    times: int | None = None
    #: how many requests that match go by before
    skip: int = 0
    #: relay so many bytes of the request's body, then cut both connections
    cut_after: int | None = None
    #: let the portal do the work, then cut without a reply
    lose_reply: bool = False
    #: send the reply's head and so many bytes of its body, then cut
    truncate_reply: int | None = None
    #: what goes back on the wire instead of the portal's whole reply, head and body
    mangle: Callable[[bytes], bytes] | None = None
    #: with ``mangle``: then end the connection
    hang_up: bool = False
    #: cut with a reset (RST) rather than an end of stream
    reset: bool = False
    #: seconds to wait before the request goes to the portal, and before the reply goes back
    delay: float = 0.0
    delay_reply: float = 0.0
    #: answer this instead of the portal, which sees nothing of it (unless ``after``)
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b"<html><body><h1>Bad gateway</h1></body></html>"
    content_type: str = "text/html"
    #: with ``status``: the portal does the work first
    after: bool = False
    #: called when the request has come, before any of it goes to the portal
    on_request: Callable[[], None] | None = None
    #: called when the portal has done the work, before any of its answer goes back
    on_reply: Callable[[], None] | None = None
    #: called when so many bytes of the request's body have gone to the portal
    on_bytes: tuple[int, Callable[[], None]] | None = None


@dataclass(frozen=True)
class Recorded:
    """One request as it came to the proxy, and what went back."""

    method: str
    path: str
    #: names in lower case
    headers: Mapping[str, str]
    #: bytes of body received (of the data itself when it came in chunks)
    size: int
    #: the status sent back; None when the connection was cut
    status: int | None
    at: float
    #: the body, of a JSON document
    sent: bytes = b""


class Proxy:
    """Runs between ``start`` and ``stop``, or as a context manager; rules may change meanwhile."""

    def __init__(self, origin: str, context: ssl.SSLContext | None = None) -> None:
        self.origin = origin.rstrip("/")
        self._scheme = "https" if context else "http"
        self._server = _Server(("127.0.0.1", 0), _Relay)
        if context is not None:
            # the handshake is the connection's own thread's: a client that refuses holds no other
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._server.proxy = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._lock = threading.RLock()
        self._idle = threading.Condition(self._lock)
        self._relaying: list[str] = []
        self._rules: list[tuple[Rule, list[int]]] = []
        self._recorded: list[Recorded] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _where: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._server.hang_up()

    @property
    def url(self) -> str:
        """The proxy's address, to give to the client in the portal's place."""
        return f"{self._scheme}://127.0.0.1:{self._server.server_address[1]}"

    @property
    def requests(self) -> list[Recorded]:
        """Every request so far, in the order in which they ended.

        A reply reaches the client a moment before its request is recorded: those are waited for.
        """
        with self._lock:
            self._idle.wait_for(lambda: not self._relaying, timeout=_RECORDING)
            return list(self._recorded)

    def seen(self, match: str) -> list[Recorded]:
        """Return the requests whose ``METHOD /path`` matches."""
        return [one for one in self.requests if re.search(match, f"{one.method} {one.path}")]

    def forget(self) -> None:
        """Forget the requests seen so far."""
        with self._lock:
            self._recorded.clear()

    def rule(self, match: str, **what: Any) -> Callable[[], bool]:
        """Add a rule; the first that matches and is not used up applies. Tells whether it did."""
        rule, met = Rule(match, **what), [0]
        with self._lock:
            self._rules.append((rule, met))
        return lambda: met[0] > rule.skip

    def clear(self) -> None:
        """Drop all the rules."""
        with self._lock:
            self._rules.clear()

    def real(self, url: str) -> str:
        """Return the portal's own form of a link seen through the proxy."""
        return url.replace(self.url, self.origin)

    # for the connections

    def apply(self, line: str) -> Rule:
        """Return the rule for this request, and count its use."""
        with self._lock:
            for rule, met in self._rules:
                used_up = rule.times is not None and met[0] >= rule.skip + rule.times
                if re.search(rule.match, line) and not used_up:
                    met[0] += 1
                    if met[0] > rule.skip:
                        return rule
        return Rule(match="")

    def relaying(self, match: str) -> bool:
        """Whether such a request is under way."""
        with self._lock:
            return any(re.search(match, line) for line in self._relaying)

    def begin(self, line: str) -> None:
        """Note a request that has come and is not recorded yet."""
        with self._lock:
            self._relaying.append(line)

    def record(self, request: Recorded) -> None:
        """Remember a request."""
        with self._lock:
            self._relaying.remove(f"{request.method} {request.path}")
            self._recorded.append(request)
            self._idle.notify_all()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    proxy: Proxy

    def __init__(self, *args: Any) -> None:
        self._open: set[socket.socket] = set()
        super().__init__(*args)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """End the connections that clients still keep alive."""
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Cut(Exception):
    """The connection ends here."""


class _Relay(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def handle(self) -> None:
        # a client that goes away in the middle is what half of the tests are about
        with contextlib.suppress(ConnectionError, TimeoutError, ssl.SSLError):
            super().handle()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        pass

    def _relay(self) -> None:
        self._size = 0
        self._status: int | None = None
        self._sent = b""
        self.server.proxy.begin(f"{self.command} {self.path}")
        rule = self.server.proxy.apply(f"{self.command} {self.path}")
        try:
            self._obey(rule)
        except _Cut:
            self._cut(reset=rule.reset)
        finally:
            self.server.proxy.record(
                Recorded(
                    self.command,
                    self.path,
                    {name.lower(): value for name, value in self.headers.items()},
                    self._size,
                    self._status,
                    time.monotonic(),
                    self._sent,
                )
            )

    # the names are http.server's
    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _relay  # noqa: N815

    def _obey(self, rule: Rule) -> None:
        if rule.on_request is not None:
            rule.on_request()
        time.sleep(rule.delay)
        if rule.status is not None and not rule.after:
            for _block in self._body(rule):
                pass
        else:
            upstream = urlsplit(self.server.proxy.origin)
            portal = http.client.HTTPConnection(upstream.netloc, timeout=_PATIENCE)
            with contextlib.closing(portal):
                try:
                    portal.connect()
                except ConnectionRefusedError:
                    for _block in self._body(rule):
                        pass
                    self._answer(502, {}, Rule.body, "text/html")
                    return
                reply = self._forward(portal, rule)
                if rule.on_reply is not None:
                    rule.on_reply()
                if rule.lose_reply:
                    reply.read()
                    raise _Cut
                if rule.status is None:
                    time.sleep(rule.delay_reply)
                    if rule.mangle is None:
                        self._pass_on(reply, rule)
                    else:
                        self._mangled(reply, rule, rule.mangle)
                    return
                reply.read()
        time.sleep(rule.delay_reply)
        self._answer(rule.status, rule.headers, rule.body, rule.content_type)

    def _forward(self, portal: http.client.HTTPConnection, rule: Rule) -> http.client.HTTPResponse:
        portal.putrequest(self.command, self.path, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in _OWN_HEADERS:
                portal.putheader(name, value)
        for name in ("Content-Length", "Transfer-Encoding"):
            if name in self.headers:
                portal.putheader(name, self.headers[name])
        portal.putheader("Connection", "close")
        portal.endheaders()
        sent, waiting = 0, rule.on_bytes
        for block in self._body(rule):
            if self.headers.get("Content-Type") == "application/json":
                self._sent += block
            try:
                portal.send(block)
                sent += len(block)
                if waiting is not None and sent >= waiting[0]:
                    waiting[1]()
                    waiting = None
            except (BrokenPipeError, ConnectionResetError):
                # a portal that refuses early stops reading; its answer is still to be had
                self.close_connection = True
                break
        return portal.getresponse()

    def _body(self, rule: Rule) -> Iterator[bytes]:
        """Yield the request's body as it is on the wire, cutting it where the rule says."""
        read = self._limited(rule.cut_after)
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            yield from read(int(self.headers.get("Content-Length") or 0))
            return
        while True:
            head = self.rfile.readline()
            if not head:
                raise _Cut  # the client gave up
            length = int(head.split(b";")[0], 16)
            yield head
            if length == 0:
                yield self.rfile.readline()
                return
            yield from read(length)
            yield self.rfile.readline()

    def _limited(self, limit: int | None) -> Callable[[int], Iterator[bytes]]:
        def read(length: int) -> Iterator[bytes]:
            while length > 0:
                if limit is not None and self._size >= limit:
                    raise _Cut
                allowed = _BLOCK if limit is None else min(_BLOCK, limit - self._size)
                block = self.rfile.read1(min(allowed, length))
                if not block:
                    raise _Cut  # the client gave up
                self._size += len(block)
                length -= len(block)
                yield block

        if limit == 0:
            raise _Cut
        return read

    def _pass_on(self, reply: http.client.HTTPResponse, rule: Rule) -> None:
        proxy = self.server.proxy
        kind = reply.headers.get("Content-Type", "")
        headers = [
            (name, value.replace(proxy.origin, proxy.url) if name == "Location" else value)
            for name, value in reply.headers.items()
            if name.lower() not in _OWN_HEADERS
        ]
        if self.command == "HEAD" or reply.status in {204, 304}:
            length = reply.headers.get("Content-Length")
            body: Iterator[bytes] = iter(())
        elif "json" in kind or reply.length is None:
            whole = reply.read()
            if "json" in kind:
                whole = whole.replace(proxy.origin.encode(), proxy.url.encode())
            length, body = str(len(whole)), iter((whole,))
        else:
            length, body = str(reply.length), iter(lambda: reply.read(_BLOCK), b"")
        self.send_response_only(reply.status, reply.reason)
        for name, value in (*headers, *rule.headers.items()):
            self.send_header(name, value)
        if length is not None:
            self.send_header("Content-Length", length)
        self.end_headers()
        left = rule.truncate_reply
        for block in body:
            self.wfile.write(block[:left])
            if left is not None:
                left -= min(left, len(block))
        if rule.truncate_reply is not None:
            raise _Cut
        self._status = reply.status

    def _mangled(
        self, reply: http.client.HTTPResponse, rule: Rule, mangle: Callable[[bytes], bytes]
    ) -> None:
        wire, whole = self.wfile, io.BytesIO()
        self.wfile = whole
        try:
            self._pass_on(reply, rule)
        finally:
            self.wfile = wire
        self.wfile.write(mangle(whole.getvalue()))
        if rule.hang_up:
            raise _Cut

    def _answer(
        self, status: int | None, headers: Mapping[str, str], body: bytes, kind: str
    ) -> None:
        assert status is not None
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self._status = status

    def _cut(self, *, reset: bool) -> None:
        self.close_connection = True
        if reset:
            # no lingering: close() then sends RST (socket(7), SO_LINGER)
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            # detached: the server would send FIN first, and ``rfile`` keeps a socket from closing
            os.close(self.connection.detach())
