"""What a request carries, block by block, the last one only when all is known to be right.

udata publishes a file as soon as its last byte is in, and that cannot be taken back. So the last
block of a file and the end of the multipart form are withheld until the bytes are proven to be
those that were planned: a request that is cut before has done nothing (portal-facts §5.14).
"""

from __future__ import annotations

import hashlib
import json
import secrets
from abc import abstractmethod
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from publisher_daemon.errors import SourceChanged
from publisher_daemon.model import Fingerprint

Block = bytes | bytearray | memoryview
#: the smallest block at the plateau of throughput: it fits the processor's second cache
BLOCK = 256 * 1024
#: above this the portal is asked whether it wants the body at all (as curl does)
EXPECT_ABOVE = 1024 * 1024


class Source(Protocol):
    """An open file: its size, its bytes in blocks of one reused buffer, and whether it moved."""

    @property
    def size(self) -> int:
        """Bytes, as told when it was opened."""

    def blocks(
        self, size: int = BLOCK, start: int = 0, stop: int | None = None
    ) -> Iterator[memoryview]:
        """The bytes, or those of a stretch, in blocks of one reused buffer."""

    def check(self) -> None:
        """Raise SourceChanged if it moved since it was opened."""


class BodyFailed(Exception):
    """Our side failed while sending; the cause is what is raised again.

    Not an OSError, so that no network layer can take a failing disk for a failing network.
    """


class Outgoing:
    """A request's body, and how far it went."""

    def __init__(self, *, content_type: str | None, expect: bool = False) -> None:
        self.content_type = content_type
        #: ask with ``Expect: 100-continue`` before sending
        self.expect = expect
        #: what closes the request was given out: from here on it may be done
        self.released = False
        #: told when that happens
        self.on_release: Callable[[], None] = lambda: None
        #: an answer came before everything was sent
        self.early = False
        #: 100 Continue was asked for and did not come in time
        self.expect_ignored = False

    def release(self) -> None:
        """What closes the request is given out now."""
        self.released = True
        self.on_release()

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __iter__(self) -> Iterator[Block]: ...


class Document(Outgoing):
    """A JSON document, or nothing at all."""

    def __init__(self, document: Any = None) -> None:
        super().__init__(content_type=None if document is None else "application/json")
        self._bytes = b"" if document is None else json.dumps(document).encode()

    def __len__(self) -> int:
        return len(self._bytes)

    def __iter__(self) -> Iterator[bytes]:
        self.release()
        if self._bytes:
            yield self._bytes


class _Form(Outgoing):
    """A multipart form with a stretch of a file, whose end waits until ``_insist`` is content."""

    def __init__(
        self,
        source: Source,
        stretch: tuple[int, int],
        name: str,
        fields: Mapping[str, str],
        before_last_byte: Callable[[], None],
        *,
        expect: bool,
    ) -> None:
        boundary = secrets.token_hex(16)
        self._preamble = (
            _fields(boundary, fields) + f"--{boundary}\r\n"
            f'Content-Disposition: form-data; name="file"; filename="{_quoted(name)}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        ).encode()
        self._epilogue = f"\r\n--{boundary}--\r\n".encode()
        self._source = source
        self._start, self._stop = stretch
        self._size = self._stop - self._start
        self._before_last_byte = before_last_byte
        super().__init__(
            content_type=f"multipart/form-data; boundary={boundary}",
            expect=expect and self._size > EXPECT_ABOVE,
        )

    @abstractmethod
    def _see(self, block: Block) -> None:
        """Take note of bytes that pass."""

    @abstractmethod
    def _insist(self, size: int) -> None:
        """Raise SourceChanged unless what was seen, so many bytes, is what was planned."""

    def __len__(self) -> int:
        return len(self._preamble) + self._size + len(self._epilogue)

    def __iter__(self) -> Iterator[Block]:
        if self._size > BLOCK:
            yield self._preamble
            last = yield from self._all_but_last()
        else:
            # small files travel in one packet or TLS record, preamble and all
            last = self._preamble + self._whole()
        with _ours():
            self._source.check()
            self._before_last_byte()
        self.release()
        yield last + self._epilogue

    def _all_but_last(self) -> Generator[memoryview, None, bytes]:
        """Give out every block but the last one, which is returned once all of it is right."""
        seen, last = 0, b""
        for block in self._blocks():
            self._see(block)
            seen += len(block)
            if seen < self._size:
                yield block
            else:
                # kept apart: reading on, to see that the file ends here, may reuse the buffer
                last += bytes(block)
                if seen > self._size:
                    break
        self._insist(seen)
        return last

    def _whole(self) -> bytes:
        content = bytearray()
        for block in self._blocks():
            content += block
            if len(content) > self._size:
                break
        self._see(content)
        self._insist(len(content))
        return bytes(content)

    @abstractmethod
    def _read(self) -> Iterator[memoryview]:
        """The bytes of the stretch."""

    def _blocks(self) -> Iterator[memoryview]:
        blocks = self._read()
        while True:
            with _ours():
                block = next(blocks, None)
            if block is None:
                return
            yield block


class FileForm(_Form):
    """A whole file, whose bytes are checked while they pass."""

    def __init__(
        self,
        source: Source,
        fingerprint: Fingerprint,
        name: str,
        before_last_byte: Callable[[], None],
        *,
        expect: bool = False,
    ) -> None:
        super().__init__(source, (0, fingerprint.size), name, {}, before_last_byte, expect=expect)
        self._fingerprint = fingerprint
        self._digest = hashlib.sha1(usedforsecurity=False)

    def __iter__(self) -> Iterator[Block]:
        if self._source.size != self._size:
            raise SourceChanged
        return super().__iter__()

    def _read(self) -> Iterator[memoryview]:
        return self._source.blocks(BLOCK)

    def _see(self, block: Block) -> None:
        self._digest.update(block)

    def _insist(self, size: int) -> None:
        if Fingerprint(self._digest.hexdigest(), size) != self._fingerprint:
            raise SourceChanged


class PartForm(_Form):
    """One part of a file that goes up in parts; ``seen`` takes note of its bytes."""

    def __init__(
        self,
        source: Source,
        stretch: tuple[int, int],
        name: str,
        fields: Mapping[str, str],
        *,
        seen: Callable[[Block], object],
        before_last_byte: Callable[[], None],
    ) -> None:
        # not worth asking first: a refusal costs at most this part
        super().__init__(source, stretch, name, fields, before_last_byte, expect=False)
        self._see_block = seen

    def _read(self) -> Iterator[memoryview]:
        return self._source.blocks(BLOCK, self._start, self._stop)

    def _see(self, block: Block) -> None:
        self._see_block(block)

    def _insist(self, size: int) -> None:
        if size != self._size:
            raise SourceChanged


class Fields(Outgoing):
    """A multipart form without a file."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        boundary = secrets.token_hex(16)
        super().__init__(content_type=f"multipart/form-data; boundary={boundary}")
        self._bytes = f"{_fields(boundary, fields)}--{boundary}--\r\n".encode()

    def __len__(self) -> int:
        return len(self._bytes)

    def __iter__(self) -> Iterator[bytes]:
        self.release()
        yield self._bytes


def _fields(boundary: str, fields: Mapping[str, str]) -> str:
    return "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    )


@contextmanager
def _ours() -> Iterator[None]:
    """Mark what fails here as our side's failure, not the network's."""
    try:
        yield
    except OSError as error:
        raise BodyFailed from error


def _quoted(name: str) -> str:
    """Escape a file name as browsers do (WHATWG HTML, multipart/form-data encoding)."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
