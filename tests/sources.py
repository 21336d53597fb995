"""Files in memory that keep the promise of ``Source``, for tests of what is sent."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

from publisher_daemon.model import Fingerprint

BLOCK = 256 * 1024


class Bytes:
    """A source whose blocks share one buffer, as those of a real file do."""

    def __init__(self, content: bytes, check: Callable[[], None] = lambda: None) -> None:
        self.content = content
        self.size = len(content)
        self._check = check

    def blocks(
        self, size: int = BLOCK, start: int = 0, stop: int | None = None
    ) -> Iterator[memoryview]:
        """Give the content out in blocks of one reused buffer."""
        buffer = bytearray(size)
        content = self.content[start:stop]
        for offset in range(0, len(content), size):
            piece = content[offset : offset + size]
            buffer[: len(piece)] = piece
            yield memoryview(buffer)[: len(piece)]

    def check(self) -> None:
        """Do what the test says."""
        self._check()


def fingerprint(content: bytes) -> Fingerprint:
    """Return the fingerprint of these bytes."""
    return Fingerprint(hashlib.sha1(content).hexdigest(), len(content))


def nothing() -> None:
    """Do nothing before the last byte."""
