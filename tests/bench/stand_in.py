"""A portal in memory, in a process of its own: where a real one would take hours.

It answers what a daemon asks about its own files, and nothing else; what it holds at first is
worked out on both sides from the same names.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import multiprocessing
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from typing import Any
from urllib.parse import parse_qs, urlsplit

FOLDER = "depot"
_NAME = re.compile(rb'filename="([^"]*)"')


def dataset_named(number: int) -> str:
    """The id of a dataset."""
    return f"5bbb6d6cff66bd4d{number:08x}"


def sha1_of(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


def resource_of(dataset: str, path: str) -> str:
    """The id under which a file is there from the beginning."""
    digest = sha1_of(f"{dataset}/{path}".encode())
    return "-".join((digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:32]))


@contextlib.contextmanager
def running(datasets: int, files: list[str] | None = None) -> Iterator[str]:
    """Run one that holds these empty files in each dataset already; gives its address."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, datasets, files or []), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        process.kill()
        process.join()


def _serve(ready: Connection, datasets: int, files: list[str]) -> None:
    server = _Server(("127.0.0.1", 0), _Handler)
    server.hold(datasets, files)
    ready.send(server.url)
    server.serve_forever()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def hold(self, datasets: int, files: list[str]) -> None:
        """Know these from the beginning."""
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.lock = threading.Lock()
        #: dataset → id → resource, the newest last
        self.held: dict[str, dict[str, dict[str, Any]]] = {}
        for number in range(datasets):
            dataset = dataset_named(number)
            held = self.held[dataset] = {}
            for path in files:
                made = self.resource(resource_of(dataset, path), path, b"")
                made["extras"] = {
                    "publisher-daemon:folder": FOLDER,
                    "publisher-daemon:path": path,
                    "publisher-daemon:sha1": sha1_of(b""),
                }
                held[made["id"]] = made

    def resource(self, identifier: str, name: str, content: bytes) -> dict[str, Any]:
        """A resource as the portal tells of it."""
        return {
            "id": identifier,
            "title": name,
            "url": f"{self.url}/files/{identifier}/{len(content)}",
            "latest": f"{self.url}/api/1/datasets/r/{identifier}",
            "filesize": len(content),
            "filetype": "file",
            "type": "main",
            "format": "csv",
            "checksum": {"type": "sha1", "value": sha1_of(content)},
            "created_at": "2026-11-21T00:00:00+00:00",
            "last_modified": "2026-11-21T00:00:00+00:00",
            "extras": {},
        }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        parts = asked.path.strip("/").split("/")
        if parts[-1] == "extensions":
            self._answer(["csv"])
        elif parts[:2] == ["api", "2"] and parts[-1] == "resources":
            self._page(parts[3], parse_qs(asked.query))
        elif "resources" in parts:
            self._answer(self.server.held[parts[3]][parts[5]])
        else:
            self._answer(
                {"id": parts[3], "slug": "a", "title": "A", "page": "", "private": False,
                 "tags": [], "temporal_coverage": None, "extras": {},
                 "permissions": {"edit": True, "edit_resources": True}}
            )  # fmt: skip

    def _page(self, dataset: str, query: dict[str, list[str]]) -> None:
        number, size = int(query["page"][0]), int(query["page_size"][0])
        with self.server.lock:
            every = list(reversed(self.server.held[dataset].values()))
        data = every[(number - 1) * size : number * size]
        more = number * size < len(every)
        self._answer({"data": data, "total": len(every), "next_page": "more" if more else None})

    def do_HEAD(self) -> None:
        parts = self.path.strip("/").split("/")
        if parts[0] == "files":
            self.send_response(200)
            self.send_header("Content-Length", parts[2])
        else:
            size = next(
                held[parts[-1]]["filesize"]
                for held in self.server.held.values()
                if parts[-1] in held
            )
            self.send_response(302)
            self.send_header("Location", f"{self.server.url}/files/{parts[-1]}/{size}")
            self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        """Take an upload: a form whose one field is the file."""
        dataset, body = self.path.split("/")[4], self._body()
        head, _, rest = body.partition(b"\r\n\r\n")
        content = rest[: rest.rindex(b"\r\n--")]
        if rest.count(b"\r\nContent-Disposition") or not (named := _NAME.search(head)):
            raise ValueError(head)
        with self.server.lock:
            held = self.server.held[dataset]
            made = self.server.resource(
                resource_of(dataset, f"new {len(held)}"), named[1].decode(), content
            )
            held[made["id"]] = made
        self._answer(made, 201)

    def do_PUT(self) -> None:
        """Take what is said of a resource."""
        parts = self.path.strip("/").split("/")
        resource = self.server.held[parts[3]][parts[5]]
        resource.update(json.loads(self._body()))
        self._answer(resource)

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers["Content-Length"]))

    def _answer(self, document: object, status: int = 200) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
