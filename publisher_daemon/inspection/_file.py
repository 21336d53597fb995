"""The open file as the inspection needs it: from its start, and at any place."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, Protocol


class Positioned(Protocol):
    """An open file whose bytes are those that will be sent."""

    @property
    def size(self) -> int:
        """Bytes."""

    @property
    def descriptor(self) -> int | None:
        """Its number for this process, where a library may read it without waiting for a server."""

    def blocks(self, size: int = ...) -> Iterator[memoryview]:
        """The bytes from the start, in blocks: each stays as it is until the next but one."""

    def read_at(self, offset: int, size: int) -> bytes:
        """The bytes from there, as many as there are up to ``size``."""


class Window(io.RawIOBase):
    """The same file for libraries that want one of Python's."""

    def __init__(self, source: Positioned) -> None:
        super().__init__()
        self._source = source
        self._at = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Where the next byte comes from."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go there."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._source.size}[whence]
        if base + offset < 0:
            raise OSError("before the start")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Read what fits."""
        data = self._source.read_at(self._at, len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
