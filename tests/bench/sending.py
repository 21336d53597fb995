"""One large file to a sink, ours beside ``curl -F``, plain and TLS."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from bench import sink
from bench.table import Effort, Row, at_least, at_most, in_turns, median_of, ratio_of, seconds
from publisher_daemon.folder.source import BLOCK
from publisher_daemon.model import DatasetId, Fingerprint
from publisher_daemon.portal import Portal

_DATASET = DatasetId("5bbb6d6cff66bd4dc17bfd5a")
_MIB = 2**20


class File:
    """A file as the daemon gives it to the portal's client, without its checks of the folder."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY)
        self.size = path.stat().st_size

    def blocks(
        self, size: int = BLOCK, start: int = 0, stop: int | None = None
    ) -> Iterator[memoryview]:
        buffer = memoryview(bytearray(size))
        offset, end = start, self.size if stop is None else stop
        while offset < end:
            got = os.preadv(self._descriptor, [buffer[: end - offset]], offset)
            offset += got
            yield buffer[:got]

    def check(self) -> None:
        os.fstat(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)


def made(directory: Path, size: int) -> tuple[Path, Fingerprint]:
    """Write a file whose bytes do not repeat, and read it once so that it is in memory."""
    path = directory / f"{size}.bin"
    digest = hashlib.sha1(usedforsecurity=False)
    block = bytearray(os.urandom(_MIB))
    with path.open("wb") as out:
        for number in range(size // _MIB):
            block[:8] = number.to_bytes(8, "big")
            out.write(block)
            digest.update(block)
    return path, Fingerprint(digest.hexdigest(), size)


def to_a_sink(effort: Effort) -> Iterator[Row]:
    """As it is really sent: the sha1 of the sent bytes and the checks in the same pass."""
    size = effort.choose(1024, 128) * _MIB
    path, fingerprint = made(effort.directory, size)
    for tls in (False, True):
        with sink.running(effort.directory, tls=tls) as server:
            yield from _beside_curl(effort, path, fingerprint, server, tls=tls)
    path.unlink()


def _beside_curl(
    effort: Effort, path: Path, fingerprint: Fingerprint, server: sink.Sink, *, tls: bool
) -> Iterator[Row]:
    curl = _curl(path, server)
    with _ours(path, fingerprint, server) as ours:
        figures = in_turns(
            effort.choose(7, 3),
            {
                "ours": lambda: seconds(ours),
                "curl": lambda: seconds(curl),
                "sha1sum": lambda: seconds(lambda: _run("sha1sum", str(path))),
                "hashlib": lambda: seconds(lambda: _hash(path)),
            },
        )
    mine = figures["ours"]
    both = [one + other for one, other in zip(figures["sha1sum"], figures["curl"], strict=True)]
    parts = [one + other for one, other in zip(figures["hashlib"], figures["curl"], strict=True)]
    what = f"{fingerprint.size // _MIB} MiB, {'TLS' if tls else 'plain'}"
    yield Row(
        f"{what}, with sha1: speed beside `sha1sum f && curl -F`",
        median_of(mine, "s"), median_of(both, "s"), ratio_of(both, mine),
        at_least(1.5 if tls else 1.7),
    )  # fmt: skip
    yield Row(
        f"{what}, with sha1: time beside curl's and hashlib's together",
        median_of(mine, "s"), median_of(parts, "s"), ratio_of(mine, parts), at_most(1.1),
    )  # fmt: skip


@contextlib.contextmanager
def _ours(
    path: Path, fingerprint: Fingerprint, server: sink.Sink
) -> Iterator[Callable[[], object]]:
    portal, source = Portal(server.url, None, ca_file=server.ca_file), File(path)
    names = iter(range(1_000_000))
    try:
        yield lambda: portal.upload(
            _DATASET, source, fingerprint, f"{next(names)}.bin", lambda: None
        )
    finally:
        source.close()
        portal.close()


def _curl(path: Path, server: sink.Sink) -> Callable[[], None]:
    trust = ["--cacert", server.ca_file] if server.ca_file else []
    where = f"{server.url}/api/1/datasets/{_DATASET}/upload/"
    return lambda: _run("curl", "-sSf", "-o", os.devnull, *trust, "-F", f"file=@{path}", where)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _hash(path: Path) -> str:
    digest = hashlib.sha1(usedforsecurity=False)
    buffer = memoryview(bytearray(BLOCK))
    with path.open("rb", buffering=0) as source:
        while got := source.readinto(buffer):
            digest.update(buffer[:got])
    return digest.hexdigest()
