"""Keeps what was published, by its sha1, so that there is a way back; never at publishing's cost.

A replacement deletes the old file on the portal at once. So each file is written here, compressed,
while its bytes go up (no reading more), within a quota and an age. Whatever fails here is said in
the log and nothing else: a full disk must not stop a publication, nor leave the ledger no room.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Protocol

import structlog

from publisher_daemon.errors import FileUnreadable, SourceChanged
from publisher_daemon.model import Fingerprint

log = structlog.get_logger(__name__)

#: What stays free on the disk for the ledger, in bytes.
RESERVE = 200 * 1024 * 1024
#: The quickest: most open data is text, which it still makes four times smaller.
LEVEL = 1
BLOCK = 256 * 1024


class Source(Protocol):
    """An open file."""

    @property
    def size(self) -> int:
        """Bytes."""

    def blocks(
        self, size: int = BLOCK, start: int = 0, stop: int | None = None
    ) -> Iterator[memoryview]:
        """The bytes, or a stretch of them, in blocks of one reused buffer."""

    def read_at(self, offset: int, size: int) -> bytes:
        """The bytes from there."""

    def check(self) -> None:
        """Raise SourceChanged if it moved."""


class Versions:
    """The store in ``state_dir``; ``quota`` bytes, ``age`` seconds at most; 0 for none at all."""

    def __init__(
        self, state_dir: Path, *, quota: int, age: float, clock: Callable[[], float]
    ) -> None:
        self._top = state_dir / "versions"
        self._quota = quota
        self._age = age
        self._clock = clock
        self._lock = threading.Lock()
        #: what is kept takes no more than this; unknown until it is looked at
        self._at_most = quota

    def _place(self, sha1: str) -> Path:
        return self._top / sha1[:2] / f"{sha1[2:]}.z"

    def has(self, sha1: str) -> bool:
        """Whether that content is kept."""
        return self._place(sha1).is_file()

    # ---------------------------------------------------------------------------------- keeping

    @contextmanager
    def keeping(
        self, source: Source, fingerprint: Fingerprint, before: Fingerprint | None = None
    ) -> Iterator[Keeper]:
        """Give the source on, and keep what passes; ``commit`` once it is published.

        The age of ``before``, which it takes the place of, counts from now.
        """
        keeper = Keeper(source, fingerprint)
        place = self._place(fingerprint.sha1)
        try:
            if before is not None and self.has(before.sha1):
                os.utime(self._place(before.sha1))
            if self._wanted(fingerprint):
                if place.is_file():
                    os.utime(place)
                else:
                    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                    self._make_room(fingerprint.size)
                    keeper.keep_at(place)
        except OSError as error:
            keeper.give_up(error)
        try:
            yield keeper
        finally:
            keeper.close()

    def _wanted(self, fingerprint: Fingerprint) -> bool:
        if not (self._quota and self._age) or fingerprint.size > self._quota:
            return False
        self._top.mkdir(mode=0o700, exist_ok=True)
        free = shutil.disk_usage(self._top).free
        if free < fingerprint.size + RESERVE:
            log.warning(
                "version.not_kept", sha1=fingerprint.sha1, size=fingerprint.size,
                why="the disk of the state directory is nearly full; publishing goes on",
            )  # fmt: skip
            return False
        return True

    def _make_room(self, size: int) -> None:
        """Drop the oldest until there is room within the quota.

        What is there is only looked at when it may have reached the quota: with thousands of small
        files, each look would cost more than the file.
        """
        with self._lock:
            self._at_most += size
            if self._at_most > self._quota:
                self._at_most = self._drop_oldest(size)

    def _drop_oldest(self, size: int) -> int:
        """Make room for so many bytes; returns how many are taken then, with them."""
        kept = sorted(
            (status.st_mtime, status.st_size, path)
            for path in self._top.glob("??/*.z")
            if (status := path.stat())
        )
        total = sum(length for _, length, _ in kept) + size
        for _, length, path in kept:
            if total <= self._quota:
                break
            path.unlink(missing_ok=True)
            total -= length
        return total

    def prune(self, published: Callable[[Collection[str]], Collection[str]]) -> int:
        """Drop what is too old and no longer on the portal, and what a crash left; how many.

        ``published`` says which of these sha1 are on the portal.
        """
        dropped, old = 0, dict[Path, str]()
        with suppress(OSError):
            for path in self._top.glob("??/*"):
                if self._clock() - path.stat().st_mtime > self._age:
                    old[path] = path.parent.name + path.stem
        current = published(set(old.values())) if old else ()
        for path, sha1 in old.items():
            if sha1 not in current or path.suffix != ".z":
                with suppress(OSError):
                    path.unlink(missing_ok=True)
                    dropped += 1
        return dropped

    # ---------------------------------------------------------------------------------- reading

    @contextmanager
    def open(self, fingerprint: Fingerprint) -> Iterator[Kept]:
        """The kept content; raises FileUnreadable."""
        kept = Kept(self._place(fingerprint.sha1), fingerprint)
        kept.check()
        yield kept


class Keeper:
    """A source whose bytes are also written down as they pass, once, in their order.

    A file that goes in parts is read in stretches, some of them twice, some not at all this time.
    """

    def __init__(self, source: Source, fingerprint: Fingerprint) -> None:
        self._source = source
        self._fingerprint = fingerprint
        self._digest = hashlib.sha1(usedforsecurity=False)
        self._written = 0
        self._place: Path | None = None
        self._draft: Path | None = None
        self._out: int | None = None
        self._pack = zlib.compressobj(LEVEL)

    @property
    def size(self) -> int:
        """Bytes."""
        return self._source.size

    def keep_at(self, place: Path) -> None:
        """Begin to write; raises OSError."""
        self._draft = place.with_suffix(f".{os.getpid()}-{id(self):x}")
        self._out = os.open(self._draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._place = place

    def blocks(
        self, size: int = BLOCK, start: int = 0, stop: int | None = None
    ) -> Iterator[memoryview]:
        """The bytes, as the source gives them."""
        at = start
        for block in self._source.blocks(size, start, stop):
            if at <= self._written < at + len(block):
                fresh = block[self._written - at :]
                self._digest.update(fresh)
                self._written += len(fresh)
                self._write(partial(self._pack.compress, fresh))
            at += len(block)
            yield block

    def read_at(self, offset: int, size: int) -> bytes:
        """The bytes from there; nothing is kept of them."""
        return self._source.read_at(offset, size)

    def check(self) -> None:
        """Raise SourceChanged if the file moved."""
        self._source.check()

    def _write(self, made: Callable[[], bytes]) -> None:
        if self._out is None:
            return
        try:
            data = memoryview(made())
            while data:
                data = data[os.write(self._out, data) :]
        except OSError as error:
            self.give_up(error)

    def give_up(self, error: Exception) -> None:
        """Say that this version is not kept; publishing goes on."""
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        log.warning("version.not_kept", sha1=self._fingerprint.sha1, why=why)
        self.close()

    def commit(self) -> None:
        """It is published: keep it."""
        if self._out is None or self._draft is None or self._place is None:
            return
        try:
            for _ in self.blocks(start=self._written):
                pass  # what went up in an earlier process
            self._write(self._pack.flush)
            if self._draft is not None and self._digest.hexdigest() == self._fingerprint.sha1:
                self._draft.replace(self._place)
        except (OSError, SourceChanged, FileUnreadable) as error:
            self.give_up(error)

    def close(self) -> None:
        """Leave nothing half written behind."""
        if self._out is not None:
            with suppress(OSError):
                os.close(self._out)
            self._out = None
        if self._draft is not None:
            with suppress(OSError):
                self._draft.unlink(missing_ok=True)
            self._draft = None


class Kept:
    """A kept version, as a source to be sent."""

    def __init__(self, place: Path, fingerprint: Fingerprint) -> None:
        self._place = place
        self._fingerprint = fingerprint

    @property
    def size(self) -> int:
        """Bytes."""
        return self._fingerprint.size

    def blocks(
        self, size: int = BLOCK, start: int = 0, stop: int | None = None
    ) -> Iterator[memoryview]:
        """The bytes; raises FileUnreadable when they are not what was kept."""
        end = self.size if stop is None else stop
        at = 0
        for block in self._all(size):
            part = block[max(0, start - at) : max(0, end - at)]
            at += len(block)
            if part:
                yield memoryview(part)

    def _all(self, size: int) -> Iterator[bytes]:
        digest, seen, unpack = hashlib.sha1(usedforsecurity=False), 0, zlib.decompressobj()
        try:
            with self._place.open("rb") as packed:
                while not unpack.eof:
                    data = unpack.unconsumed_tail or packed.read(BLOCK)
                    if not data:
                        break
                    part = unpack.decompress(data, size)
                    digest.update(part)
                    seen += len(part)
                    if part:
                        yield part
        except (OSError, zlib.error) as error:
            raise self._damaged() from error
        if (digest.hexdigest(), seen) != (self._fingerprint.sha1, self._fingerprint.size):
            raise self._damaged()

    def read_at(self, offset: int, size: int) -> bytes:
        """The bytes from there; unpacks what comes before, so it is not for many calls."""
        return b"".join(self.blocks(start=offset, stop=min(offset + size, self.size)))

    def check(self) -> None:
        """Raise FileUnreadable if it is not kept any more."""
        if not self._place.is_file():
            raise self._damaged()

    def _damaged(self) -> FileUnreadable:
        return FileUnreadable(
            f"The version {self._fingerprint.sha1[:12]} is not kept any more, or is damaged.",
            hint="`publisher-daemon history PATH` tells which versions are kept.",
        )
