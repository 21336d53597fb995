"""A server on real sockets that does with each connection what a test's script says."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

Script = Callable[["Connection"], None]


class Connection:
    """One accepted connection, from the server's side."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.head = b""
        self._rest = b""

    def read_head(self) -> bytes:
        """Read up to the end of the headers; empty when the client is gone."""
        data = self._rest
        while b"\r\n\r\n" not in data:
            got = self.sock.recv(65536)
            if not got:
                return b""
            data += got
        head, self._rest = data.split(b"\r\n\r\n", 1)
        self.head = head
        return head

    def peek_head(self) -> bytes:
        """Read up to the end of the headers, which are then read again."""
        head = self.read_head() + b"\r\n\r\n"
        self._rest = head + self._rest
        return head

    def header(self, name: str) -> str | None:
        """Return a header of the last request."""
        for line in self.head.decode("latin-1").split("\r\n")[1:]:
            found, _, value = line.partition(":")
            if found.lower() == name.lower():
                return value.strip()
        return None

    def read_body(self, at_most: int | None = None) -> bytes:
        """Read the body, or its first bytes."""
        length = int(self.header("Content-Length") or 0)
        wanted = length if at_most is None else min(at_most, length)
        data = self._rest
        while len(data) < wanted:
            got = self.sock.recv(65536)
            if not got:
                break
            data += got
        body, self._rest = data[:wanted], data[wanted:]
        return body

    def answer(self, status: str, body: bytes = b"", headers: str = "") -> None:
        """Send an answer."""
        self.sock.sendall(
            f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body
        )

    def reset(self) -> None:
        """Close with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class Scripted:
    """Runs the script once for each connection, in a thread of its own."""

    def __init__(self, script: Script, context: ssl.SSLContext | None = None) -> None:
        self._script = script
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._accepted: list[socket.socket] = []
        self.connections: list[Connection] = []
        self.heads: list[str] = []
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._accepted:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self._accepted.append(sock)
            # as servers do: else an answer waits for an acknowledgement, and a reset throws it away
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            if self._context is not None:
                sock = self._context.wrap_socket(sock, server_side=True)
                self._accepted.append(sock)
            connection = Connection(sock)
            self.connections.append(connection)
            try:
                self._script(connection)
            finally:
                sock.close()


def answering(status: str, body: bytes = b"", headers: str = "") -> Script:
    """Answer every request of a connection alike, after reading it whole."""

    def script(connection: Connection) -> None:
        while connection.read_head():
            connection.read_body()
            connection.answer(status, body, headers)

    return script


def tunnel(connection: Connection) -> None:
    """Be a proxy that only knows CONNECT."""
    target = connection.read_head().split()[1].decode()
    host, _, port = target.partition(":")
    with socket.create_connection((host, int(port))) as upstream:
        connection.sock.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")

        def pump(source: socket.socket, sink: socket.socket) -> None:
            try:
                while data := source.recv(65536):
                    sink.sendall(data)
                sink.shutdown(socket.SHUT_WR)
            except OSError:
                return

        back = threading.Thread(target=pump, args=(upstream, connection.sock), daemon=True)
        back.start()
        pump(connection.sock, upstream)
        back.join(5)
