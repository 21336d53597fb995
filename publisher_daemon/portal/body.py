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
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from publisher_daemon.errors import SourceChanged
from publisher_daemon.model import Fingerprint

#: the smallest block at the plateau of throughput: it fits the processor's second cache
BLOCK = 256 * 1024
#: above this the portal is asked whether it wants the body at all (as curl does)
EXPECT_ABOVE = 1024 * 1024


class Source(Protocol):
    """An open file: its size, its bytes in blocks of one reused buffer, and whether it moved."""

    @property
    def size(self) -> int:
        """Bytes, as told when it was opened."""

    def blocks(self, size: int = BLOCK) -> Iterator[memoryview]:
        """The bytes from the start, in blocks of one reused buffer."""

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
        #: an answer came before everything was sent
        self.early = False
        #: 100 Continue was asked for and did not come in time
        self.expect_ignored = False

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __iter__(self) -> Iterator[bytes | memoryview]: ...


class Document(Outgoing):
    """A JSON document, or nothing at all."""

    def __init__(self, document: Any = None) -> None:
        super().__init__(content_type=None if document is None else "application/json")
        self._bytes = b"" if document is None else json.dumps(document).encode()

    def __len__(self) -> int:
        return len(self._bytes)

    def __iter__(self) -> Iterator[bytes]:
        self.released = True
        if self._bytes:
            yield self._bytes


class FileForm(Outgoing):
    """A multipart form with one file, whose bytes are checked while they pass."""

    def __init__(
        self,
        source: Source,
        fingerprint: Fingerprint,
        name: str,
        before_last_byte: Callable[[], None],
        *,
        expect: bool = False,
    ) -> None:
        boundary = secrets.token_hex(16)
        self._preamble = (
            f"--{boundary}\r\n"
            f'Content-Disposition: form-data; name="file"; filename="{_quoted(name)}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        ).encode()
        self._epilogue = f"\r\n--{boundary}--\r\n".encode()
        self._source = source
        self._fingerprint = fingerprint
        self._before_last_byte = before_last_byte
        super().__init__(
            content_type=f"multipart/form-data; boundary={boundary}",
            expect=expect and fingerprint.size > EXPECT_ABOVE,
        )

    def __len__(self) -> int:
        return len(self._preamble) + self._fingerprint.size + len(self._epilogue)

    def __iter__(self) -> Iterator[bytes | memoryview]:
        if self._source.size != self._fingerprint.size:
            raise SourceChanged
        if self._fingerprint.size > BLOCK:
            yield self._preamble
            last = yield from self._all_but_last()
        else:
            # small files travel in one packet or TLS record, preamble and all
            last = self._preamble + self._whole()
        with _ours():
            self._source.check()
            self._before_last_byte()
        self.released = True
        yield last + self._epilogue

    def _all_but_last(self) -> Generator[memoryview, None, bytes]:
        """Give out every block but the last one, which is returned once all of it is right."""
        seen, digest, last = 0, hashlib.sha1(usedforsecurity=False), b""
        for block in self._blocks():
            digest.update(block)
            seen += len(block)
            if seen < self._fingerprint.size:
                yield block
            else:
                # kept apart: reading on, to see that the file ends here, may reuse the buffer
                last += bytes(block)
                if seen > self._fingerprint.size:
                    break
        self._insist(seen, digest.hexdigest())
        return last

    def _whole(self) -> bytes:
        content = bytearray()
        for block in self._blocks():
            content += block
            if len(content) > self._fingerprint.size:
                break
        self._insist(len(content), hashlib.sha1(content, usedforsecurity=False).hexdigest())
        return bytes(content)

    def _blocks(self) -> Iterator[memoryview]:
        blocks = self._source.blocks(BLOCK)
        while True:
            with _ours():
                block = next(blocks, None)
            if block is None:
                return
            yield block

    def _insist(self, size: int, sha1: str) -> None:
        if Fingerprint(sha1, size) != self._fingerprint:
            raise SourceChanged


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
