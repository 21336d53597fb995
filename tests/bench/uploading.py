"""Sends one file to a sink as the daemon does, and tells what it took: also run as a process.

``python -m bench.uploading URL CA SIZE`` sends a file of holes and prints how much its memory grew.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.sink import Sink
from publisher_daemon.folder.source import BLOCK
from publisher_daemon.model import DatasetId, Fingerprint
from publisher_daemon.portal import Portal
from publisher_daemon.portal.body import Block, FileForm

DATASET = DatasetId("5bbb6d6cff66bd4dc17bfd5a")
PATH = f"/api/1/datasets/{DATASET}/upload/"
MIB = 2**20


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


class Unsummed(FileForm):
    """The same form without its sha1, to compare the sending alone."""

    def _see(self, block: Block) -> None:
        pass

    def _insist(self, size: int) -> None:
        pass


class Unplanned(FileForm):
    """The same form, with its sha1, of a file whose sha1 nobody has worked out before."""

    def _insist(self, size: int) -> None:
        self._fingerprint = Fingerprint(self._digest.hexdigest(), size)


def made(directory: Path, size: int) -> tuple[Path, Fingerprint]:
    """Write a file whose bytes do not repeat; it is in memory then, and on the disk.

    Or the system would write it back in the midst of the first round.
    """
    path = directory / f"{size}.bin"
    digest = hashlib.sha1(usedforsecurity=False)
    block = bytearray(os.urandom(MIB))
    with path.open("wb") as out:
        for number in range(size // MIB):
            block[:8] = number.to_bytes(8, "big")
            out.write(block)
            digest.update(block)
        out.flush()
        os.fsync(out.fileno())
    return path, Fingerprint(digest.hexdigest(), size)


@contextlib.contextmanager
def sender(
    path: Path,
    fingerprint: Fingerprint,
    server: Sink,
    key: str | None = None,
    dataset: DatasetId = DATASET,
) -> Iterator[Callable[[], object]]:
    """Give what uploads the file once, as it is really done."""
    portal, source = Portal(server.url, key, ca_file=server.ca_file), File(path)
    numbers = itertools.count()
    try:
        # another name each time: of one name, the client keeps uploads a second apart
        yield lambda: portal.upload(
            dataset, source, fingerprint, f"{next(numbers)}.bin.zip", lambda: None
        )
    finally:
        source.close()
        portal.close()


@contextlib.contextmanager
def form_sender(path: Path, form: type[FileForm], server: Sink) -> Iterator[Callable[[], object]]:
    """Give what sends the file once in such a form."""
    portal, source = Portal(server.url, None, ca_file=server.ca_file), File(path)
    calls = portal._calls
    try:
        yield lambda: calls.written(
            "POST",
            PATH,
            form(source, Fingerprint("", source.size), "a.bin", lambda: None, expect=calls.expect),
            silence=600,
        )
    finally:
        source.close()
        portal.close()


def growth(server: Sink, size: int) -> int:
    """Bytes by which this process's memory grows, at its most, while such a file goes up."""
    with tempfile.TemporaryDirectory() as directory:
        warm, large = Path(directory) / "warm", Path(directory) / "large"
        warm.write_bytes(bytes(MIB))
        with large.open("wb") as out:
            out.truncate(size)
        for path in (warm, large):
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak starts anew
            before = _memory("VmRSS")
            with form_sender(path, Unplanned, server) as send:
                send()
        return max(0, _memory("VmHWM") - before)


def _memory(what: str) -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(
        int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith(what)
    )


if __name__ == "__main__":
    url, authority, length = sys.argv[1:]
    print(json.dumps(growth(Sink(url, authority or None), int(length))))
