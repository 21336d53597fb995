"""A server that reads uploads and throws them away, in a process of its own.

Plain bodies are dropped inside the kernel (``MSG_TRUNC``), so that it takes a third of a core where
a client takes a whole one. It can read at a given pace, as a line would.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import trustme

_BLOCK = 1 << 20
#: What an upload is answered; of bytes that nobody kept, the fingerprint is of none.
_ANSWER = json.dumps(
    {
        "id": "0", "title": "a", "url": "http://x/a", "latest": "http://x/r", "extras": {},
        "checksum": {"type": "sha1", "value": "0" * 40}, "filesize": 0,
    }
).encode()  # fmt: skip


@dataclass(frozen=True)
class Sink:
    """Where to send to, and the authority to trust."""

    url: str
    ca_file: str | None


@contextlib.contextmanager
def running(directory: Path, *, tls: bool, pace: float | None = None) -> Iterator[Sink]:
    """Run one; ``pace`` is in bytes a second."""
    certificate = None
    if tls:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(directory / "authority.pem"))
        server = authority.issue_cert("127.0.0.1")
        certificate = str(directory / "server.pem")
        server.private_key_and_cert_chain_pem.write_to_path(certificate)
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_serve, args=(theirs, certificate, pace), daemon=True
    )
    process.start()
    try:
        port = ours.recv()
        yield Sink(
            f"{'https' if tls else 'http'}://127.0.0.1:{port}",
            str(directory / "authority.pem") if tls else None,
        )
    finally:
        process.kill()
        process.join()


def _serve(ready: Connection, certificate: str | None, pace: float | None) -> None:
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    ready.send(listener.getsockname()[1])
    while True:
        sock, _ = listener.accept()
        threading.Thread(target=_talk, args=(sock, context, pace), daemon=True).start()


def _talk(sock: socket.socket, context: ssl.SSLContext | None, pace: float | None) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with contextlib.suppress(OSError):
        wrapped = sock if context is None else context.wrap_socket(sock, server_side=True)
        with wrapped:
            while _one(wrapped, pace):
                pass


def _one(sock: socket.socket, pace: float | None) -> bool:
    """Take one request; False when the client is gone."""
    data = bytearray()
    while b"\r\n\r\n" not in data:
        got = sock.recv(65536)
        if not got:
            return False
        data += got
    head, _, rest = bytes(data).partition(b"\r\n\r\n")
    length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
    left = (int(length[1]) if length else 0) - len(rest)
    if b"100-continue" in head:
        sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    _drop(sock, left, pace)
    sock.sendall(
        b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
        % (len(_ANSWER), _ANSWER)
    )
    return True


def _drop(sock: socket.socket, left: int, pace: float | None) -> None:
    buffer = bytearray(_BLOCK)
    flags = 0 if isinstance(sock, ssl.SSLSocket) else socket.MSG_TRUNC
    began, taken = time.monotonic(), 0
    while left > 0:
        got = sock.recv_into(buffer, min(left, _BLOCK), flags)
        if not got:
            raise ConnectionError
        left -= got
        taken += got
        if pace is not None:
            ahead = taken / pace - (time.monotonic() - began)
            if ahead > 0.002:
                time.sleep(ahead)
