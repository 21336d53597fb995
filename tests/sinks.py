"""Where a test's messages go: a real SMTP server, and a real HTTP server, on this machine."""

from __future__ import annotations

import socket
import threading
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from aiosmtpd.controller import Controller


class MailSink:
    """Takes every mail, between ``with`` and its end."""

    def __init__(self) -> None:
        self.raw: list[bytes] = []
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self._controller = Controller(self, hostname="127.0.0.1", port=self._port)

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        self.raw.append(envelope.content)
        return "250 OK"

    def __enter__(self) -> Self:
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()

    @property
    def address(self) -> str:
        """An apprise address that ends here."""
        return f"mailto://127.0.0.1:{self._port}?from=daemon@example.org&to=equipe@example.org"

    @property
    def mails(self) -> list[EmailMessage]:
        return [message_from_bytes(raw, policy=policy.default) for raw in self.raw]

    def texts(self) -> list[tuple[str, str]]:
        """Subject and plain text of each."""
        found = []
        for mail in self.mails:
            body = mail.get_body(("plain",))
            assert body is not None
            found.append((str(mail["Subject"]), body.get_content().replace("\r\n", "\n")))
        return found


class HttpSink:
    """Remembers every request; answers ``status`` and ``body``."""

    content_type: str | None = None

    def __init__(self, status: int = 200, body: bytes = b"") -> None:
        self.status = status
        self.body = body
        self.requests: list[tuple[str, str, str]] = []
        self.heads: list[dict[str, str]] = []
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length).decode()
                sink.heads.append({name.lower(): value for name, value in self.headers.items()})
                sink.requests.append((self.command, self.path, body))
                status, answer = sink.answer(self.path)
                self.send_response(status)
                if sink.content_type is not None:
                    self.send_header("Content-Type", sink.content_type)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_POST = do_PUT = do_GET  # noqa: N815 - http.server's name

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str) -> tuple[int, bytes]:  # noqa: ARG002 - others answer by it
        """The status and the body for this path and query."""
        return self.status, self.body

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])
