"""Serves ``/metrics``, ``/livez`` and ``/readyz``, on this machine only.

Alive is "the threads get on": if not, restart it. Ready is "it can publish": if not, look why; a
restart would not help.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET, AF_INET6
from urllib.parse import urlsplit

import structlog
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

log = structlog.get_logger(__name__)

Answers = Callable[[], Sequence[str]]


def address(listen: str) -> tuple[str, int]:
    """Host and port of ``host:port``; an IPv6 address stands in brackets."""
    parts = urlsplit(f"//{listen}")
    return parts.hostname or "", parts.port or 0


class Page:
    """The server, between ``start`` and ``stop``; a port that is taken is told and done without."""

    def __init__(
        self, listen: str, text: Callable[[], bytes], alive: Answers, ready: Answers
    ) -> None:
        self._listen = listen
        self._text, self._alive, self._ready = text, alive, ready
        self._server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        """Listen."""
        host, port = address(self._listen)
        page = self

        class Handler(_Handler):
            answers = staticmethod(page._answer)

        class Server(ThreadingHTTPServer):
            address_family = AF_INET6 if ":" in host else AF_INET
            daemon_threads = True

        try:
            self._server = Server((host, port), Handler)
        except OSError as error:
            # publishing matters more than being counted
            log.warning("metrics.failed", why=f"{self._listen}: {error.strerror}")
            return
        threading.Thread(
            target=self._server.serve_forever, args=(0.2,), name="metrics", daemon=True
        ).start()

    @property
    def port(self) -> int | None:
        """The port it listens on; None when it does not."""
        return self._server.server_address[1] if self._server else None

    def stop(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _answer(self, path: str) -> tuple[int, str, bytes]:
        plain = "text/plain; charset=utf-8"
        if path == "/metrics":
            return 200, CONTENT_TYPE_PLAIN_0_0_4, self._text()
        if path in {"/livez", "/readyz"}:
            troubles = self._alive() if path == "/livez" else self._ready()
            body = "\n".join(troubles) if troubles else "ok"
            return 503 if troubles else 200, plain, f"{body}\n".encode()
        return 404, plain, b"/metrics, /livez or /readyz\n"


class _Handler(BaseHTTPRequestHandler):
    #: a client that says nothing does not keep a thread for ever
    timeout = 10.0
    server_version = "publisher-daemon"
    sys_version = ""

    @staticmethod
    def answers(path: str) -> tuple[int, str, bytes]:
        raise NotImplementedError

    def do_GET(self) -> None:
        status, kind, body = self.answers(urlsplit(self.path).path)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 - http.server's name

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Say nothing: a look every few seconds is no event."""
