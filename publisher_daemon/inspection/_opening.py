"""How a table begins: its encoding and delimiter, the lines above its header, the header.

Comments, a title or Excel's ``sep=;`` above the header are normal life, and no rows.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from publisher_daemon.inspection._values import kind_of

DELIMITERS = (";", ",", "\t", "|")
#: A header further down is none.
MOST_ABOVE = 30
#: Rows with so many columns have no header with a single name.
WIDE = 5
_END = re.compile(rb"\r\n|\n|\r")
_YEAR = re.compile(r"(?:19|20)\d\d")


@dataclass(frozen=True, slots=True)
class Opening:
    """What the first rows show."""

    delimiter: str
    width: int
    header: tuple[str, ...]
    #: the lines above the header, as they are
    above: bytes = b""
    #: how its rows end; some programs of old Macs still write another
    mark: bytes = b"\n"


def opening_of(head: bytes) -> Opening:
    """The delimiter, the width and the header, from the first rows."""
    end = head.rfind(b"\n", 0, 256 * 1024)
    text = decoded(head[: end + 1] if end >= 0 else head)
    delimiter, rows = _delimiter_of(text)
    widths = Counter(len(row) for row in rows if row)
    width = max(widths, key=lambda width: (widths[width], width), default=0)
    above, header = _header(text, delimiter, width)
    if not above:
        header = rows[0] if rows else []
    cut = 0
    for _ in range(above):
        found = _END.search(head, cut)
        cut = found.end() if found else cut
    named = tuple(name.strip() for name in header)
    return Opening(delimiter, width, named, head[:cut], _mark_of(head[: 64 * 1024]))


def _mark_of(head: bytes) -> bytes:
    # both together, as Windows writes them, end with the first
    return b"\r" if head.count(b"\r") > 2 * head.count(b"\n") else b"\n"


def order_of_utf16(head: bytes) -> str | None:
    """The order of bytes of UTF-16 without a mark: every other byte of its text is zero."""
    part = head[:4096]
    if part[1::2].count(0) > len(part) * 0.4 and not part[::2].count(0):
        return "utf-16-le"
    if part[::2].count(0) > len(part) * 0.4 and not part[1::2].count(0):
        return "utf-16-be"
    return None


def decoded(part: bytes) -> str:
    """The text of some lines, in the encoding that they are in."""
    try:
        return part.decode("utf-8")
    except UnicodeDecodeError as error:
        # a letter cut by the end of the block is no other encoding
        if error.end >= len(part) - 3 and error.reason == "unexpected end of data":
            return part[: error.start].decode("utf-8")
        return part.decode("cp1252", "replace")


def rows_of(text: str, delimiter: str) -> Iterator[list[str]]:
    """The rows of a piece of a table."""
    lines = text.replace("\0", "").splitlines(keepends=True) if "\0" in text else _lines(text)
    yield from csv.reader(lines, delimiter=delimiter or ";")


def without_marks(block: bytes) -> tuple[bytes, int]:
    """The bytes after the UTF-8 marks that they begin with, and how many of these there are."""
    marks = 0
    while block.startswith(codecs.BOM_UTF8):
        block, marks = block[3:], marks + 1
    return block, marks


def _lines(text: str) -> Iterable[str]:
    # not splitlines(): it also cuts at the separators that values may hold (U+2028, form feed)
    return (line + "\n" for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"))


def _header(text: str, delimiter: str, width: int) -> tuple[int, Sequence[str]]:
    """How many lines stand above the header, and the header; none above unless it is plain."""
    if width < 2:
        return 0, ()
    first = text.replace("\r\n", "\n").replace("\r", "\n").split("\n", MOST_ABOVE + 1)
    for number, line in enumerate(first[:MOST_ABOVE]):
        try:
            row = next(csv.reader([line], delimiter=delimiter), [])
        except csv.Error:
            return 0, ()
        filled = sum(1 for cell in row if cell.strip())
        named = all(kind_of(c.strip()) == "text" or _YEAR.fullmatch(c.strip()) for c in row if c)
        if len(row) in {width, width - 1} and filled >= max(2, width * 0.6) and named:
            return number, row
        comment = line.startswith("#") and len(row) != width
        slight = filled <= max(1, width // 3) and (len(row) < width or width >= WIDE)
        if row and not (comment or slight or line.lower().startswith("sep=")):
            return 0, ()
    return 0, ()


def _delimiter_of(text: str) -> tuple[str, list[list[str]]]:
    """The delimiter that cuts most rows into the same number of columns, and the first rows."""
    best: tuple[float, int, str, list[list[str]]] = (0.0, 1, "", [])
    head = "\n".join(text.split("\n", 200)[:200])
    for delimiter in filter(head.__contains__, DELIMITERS):
        try:
            rows = [row for row in rows_of(head, delimiter) if row]
        except csv.Error:
            continue
        widths = Counter(len(row) for row in rows)
        width, times = widths.most_common(1)[0] if widths else (1, 0)
        agree = times / len(rows) if rows else 0.0
        surer = agree > 0.5 >= best[0]
        wider = agree >= best[0] - 0.05 and width > best[1]
        if width > 1 and (surer or wider):
            best = (agree, width, delimiter, rows)
    if best[2]:
        return best[2], best[3]
    rows = [[line.rstrip("\r")] for line in head.split("\n") if line.strip()]
    return "", rows
