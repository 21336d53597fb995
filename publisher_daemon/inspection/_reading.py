"""The one reading: blocks are read and hashed beside the look; containers are then looked into."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from typing import Protocol

from publisher_daemon.inspection._archives import Archive, look_inside
from publisher_daemon.inspection._documents import Json, JsonLines, Xml
from publisher_daemon.inspection._file import Positioned
from publisher_daemon.inspection._following import Following
from publisher_daemon.inspection._secrets import Secrets
from publisher_daemon.inspection._signs import error_message, mismatch, seen_as
from publisher_daemon.inspection._table import Table
from publisher_daemon.model import Fingerprint
from publisher_daemon.naming import extension
from publisher_daemon.profile import Finding, Profile
from publisher_daemon.tableschema import TableSchema

BLOCK = 1024 * 1024
#: So much is read and hashed while what came before is looked at: of less, the one who reads spends
#: more time waiting for the interpreter than working.
AHEAD = 4 * BLOCK
#: What the portal's previews and its tabular API take (portal-facts §5.18), in MB.
PREVIEWS = {"csv": 100, "gz": 100, "xls": 50, "xlsx": 12.5, "parquet": 50, "geojson": 100}
#: An archive that says it holds this many times its own size is no data.
BOMB = 1000
_TEXTS = frozenset({"text", "json", "xml"})


class _Look(Protocol):
    """What looks at the blocks, and says what they were."""

    def feed(self, block: bytes) -> bool: ...

    def profile(self) -> Profile: ...


class _Hash(Protocol):
    """What the bytes go into."""

    def update(self, data: memoryview, /) -> None: ...


class _Nothing:
    """Looks at nothing: the kind of file is not known, or is looked into afterwards."""

    def __init__(self, size: int) -> None:
        self._size = size

    def feed(self, block: bytes) -> bool:
        """Take a block."""
        return len(block) < 0

    def profile(self) -> Profile:
        """Only its size."""
        return Profile(self._size)


class _Gzip:
    """Looks at what is compressed, without ever holding more than a block of it."""

    def __init__(self, size: int, inner: _Look, hidden: Secrets) -> None:
        self._size = size
        self._inner = inner
        self._hidden = hidden
        self._stream = zlib.decompressobj(31)
        self._out = 0
        self._in = 0
        self._problem: str | None = None
        self._ended = False

    def feed(self, block: bytes) -> bool:
        """Unpack a block, and pass it on."""
        if self._problem:
            return False
        self._in += len(block)
        data = block
        try:
            while data or self._stream.unconsumed_tail:
                if self._stream.eof:
                    if not data.strip(b"\0"):
                        break
                    self._stream = zlib.decompressobj(31)
                    self._ended = False
                part = self._stream.decompress(self._stream.unconsumed_tail or data, BLOCK)
                self._out += len(part)
                if part:
                    self._hidden.feed(part, sampled=self._inner.feed(part))
                if self._out > BOMB * self._in + BLOCK:
                    self._problem = "unpacks to far more than any data: it is not looked into"
                    return False
                data = self._stream.unused_data if self._stream.eof else b""
                self._ended = self._stream.eof
                if not part and not data and not self._stream.unconsumed_tail:
                    break
        except zlib.error:
            self._problem = "is damaged: it cannot be unpacked"
        return False

    def profile(self) -> Profile:
        """What is in it; its size is that of the file."""
        if self._problem is None and not self._ended:
            self._problem = "is cut off: its end is missing"
        found = replace(self._inner.profile(), size=self._size)
        if self._problem:
            why = Finding("damaged", f"The compressed file {self._problem}.")
            return replace(found, findings=(why,))
        return found


def inspect(
    source: Positioned, path: str, *, schema: TableSchema | None = None, secrets: bool = True
) -> tuple[Fingerprint, Profile]:
    """Read it all once: its sha1, what it holds, and where that leaves the schema it is to follow.

    Raises what reading raises.
    """
    digest = hashlib.sha1(usedforsecurity=False)
    look: _Look | None = None
    hidden = Secrets(source.size)
    head, is_text = b"", False
    with closing(_hashed(source, digest, AHEAD)) as stretches:
        for stretch in stretches:
            for at in range(0, len(stretch), BLOCK):
                block = bytes(stretch[at : at + BLOCK])
                if look is None:
                    head = block[:4096]
                    is_text = seen_as(head) in _TEXTS
                    look = _look_for(head, path, source.size, schema, hidden)
                sampled = look.feed(block)
                if is_text:
                    hidden.feed(block, sampled=sampled)
    found = (look or _Nothing(source.size)).profile()
    more = [*_of_the_name(head, path, source.size), *(hidden.findings() if secrets else ())]
    archive = Archive.of(seen_as(head), path)
    if archive is not None:
        found = look_inside(source, archive, found)
    ours = tuple(more) + (() if _is_moot(more) else found.findings)
    return (
        Fingerprint(digest.hexdigest(), source.size),
        replace(found, findings=ours),
    )


def _hashed(source: Positioned, digest: _Hash, size: int) -> Generator[memoryview, None, None]:
    """The bytes, in stretches of that size; each is hashed before it is given."""
    stretches = source.blocks(max(1, min(size, source.size)))

    def read_on() -> memoryview | None:
        stretch = next(stretches, None)
        if stretch is not None:
            digest.update(stretch)
        return stretch

    if source.size <= size:
        # of one stretch there is nothing to be ahead of: a thread takes longer than a small file
        while (stretch := read_on()) is not None:
            yield stretch
        return
    # reading and hashing let go of the interpreter: they are a stretch ahead of the look
    with ThreadPoolExecutor(1) as beside:
        ahead = beside.submit(read_on)
        while (stretch := ahead.result()) is not None:
            ahead = beside.submit(read_on)
            yield stretch


def _is_moot(findings: list[Finding]) -> bool:
    """Whether what is inside says nothing more: it is not what it should be at all."""
    return any(one.code in {"html_page", "not_its_extension", "not_the_data"} for one in findings)


def _look_for(
    head: bytes, path: str, size: int, schema: TableSchema | None, hidden: Secrets
) -> _Look:
    ending = (extension(path) or "").lower()
    inner = path.lower().rpartition(".")[0]
    following = None if schema is None else Following(schema)
    makers: dict[str, Callable[[], _Look]] = {
        **dict.fromkeys(("csv", "tsv"), lambda: Table(size, following=following)),
        **dict.fromkeys(("txt", "md", "sql", "yml"), lambda: Table(size, text=True)),
        "json": lambda: Json(size),
        "geojson": lambda: Json(size, geo=True),
        "topojson": lambda: Json(size),
        "jsonl": lambda: JsonLines(size),
        "ndjson": lambda: JsonLines(size),
        **dict.fromkeys(("xml", "kml", "gml", "gpx", "rdf"), lambda: Xml(size)),
    }
    if ending in {"gz", "gzip", "tgz"} and seen_as(head) == "gzip":
        return _Gzip(size, makers.get(extension(inner) or "", lambda: _Nothing(size))(), hidden)
    if seen_as(head) in _TEXTS:
        return makers.get(ending, lambda: _Nothing(size))()
    return _Nothing(size)


def _of_the_name(head: bytes, path: str, size: int) -> list[Finding]:
    """What is wrong with this content under this name."""
    found: list[Finding] = []
    ending = extension(path)
    if (wrong := mismatch(head, ending, size)) is not None:
        found.append(wrong)
    elif (message := error_message(head, size)) is not None:
        found.append(message)
    limit = PREVIEWS.get(ending or "")
    if limit is not None and size > limit * 1_000_000:
        found.append(
            Finding(
                "beyond_previews",
                f"The portal shows and analyses .{ending} files up to {limit:g} MB only; this one "
                f"has {size / 1_000_000:,.0f} MB and can be downloaded, not explored.",
                "warn",
            )
        )
    return found
