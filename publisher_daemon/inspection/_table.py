"""Tables of text: every row is counted and measured, the values of a part of them are read.

All but delimiters, quotes, line ends and accents is thrown away at once (``bytes.translate``, as
fast as the digest itself): the accents show the encoding, and without them what is left of a sound
row is always the same few bytes, so that a block of sound rows is found sound by one comparison.
Only blocks that are not are looked at row by row.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from publisher_daemon.inspection._following import Following
from publisher_daemon.profile import MOST_COLUMNS, Column, Finding, Level, Profile

DELIMITERS = (";", ",", "\t", "|")
#: How much of the values is read: all of small files, an even sample of large ones.
SAMPLED = 2 * 1024 * 1024
SAMPLE = 32 * 1024
LARGE = 64 * 1024 * 1024
#: A quote that is open for longer than this was never meant to be one.
LONGEST_FIELD = 1024 * 1024
#: Delimiters without the end of a row.
LONGEST_ROW = 4 * 1024 * 1024
#: Names of odd rows are given for the first few.
FIRST_FEW = 3
#: Bytes that are no ASCII.
HIGH = bytes(range(128, 256))
_QUOTED = re.compile(rb'"[^"]*"')
_GARBLED = re.compile("Ã[\u00a0-¿]|Â[°«»\u00a0]|â€[™œ“]|ï¿½|\ufffd")


@dataclass(slots=True)
class _Values:
    """What one column showed so far."""

    kinds: Counter[str] = field(default_factory=Counter)
    blank: int = 0
    codes: int = 0
    least: str | None = None
    greatest: str | None = None


class Table:
    """A table, fed block by block."""

    def __init__(
        self, size: int, *, text: bool = False, following: Following | None = None
    ) -> None:
        self._size = size
        #: plain text, that may or may not be a table
        self._text = text
        self._following = following
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._encoding = "ascii"
        self._broken_at: int | None = None
        self._mixed = False
        self._delimiter = ""
        self._width = 0
        self._header: list[str] = []
        self._raw_header = b""
        self._columns: list[_Values] = []
        self._delete = b""
        self._good = b""
        self._carry = b""
        self._lines = 0
        self._odd: Counter[int] = Counter()
        self._odd_at: list[tuple[int, int]] = []
        self._blank_lines = 0
        self._nul = 0
        self._unclosed: int | None = None
        self._repeated = 0
        self._markers = 0
        self._garbled = 0
        self._read = 0
        self._last = b""
        self._started = False
        self._wide: codecs.IncrementalDecoder | None = None
        self._bad_rows = 0
        self._whole_rows = 0
        # of very large files, less: what the reading itself takes is to stay the most of it
        part = SAMPLED if size < LARGE else SAMPLED // 4
        self._step = max(1, size // part) if size > SAMPLED else 1
        self._blocks = 0

    # -------------------------------------------------------------------------------- reading

    def feed(self, block: bytes) -> bool:
        """Take the next block; returns whether its values were sampled."""
        raw = block
        if not self._started:
            block = self._start(block)
        if self._following is not None:
            self._following.feed(raw, self._delimiter)
        if self._wide is not None:
            block = self._wide.decode(block).encode()
        self._read += len(block)
        sampled = self._step == 1 or self._blocks % max(1, self._step // 8) == 0
        self._measure(block, exactly=sampled)
        self._last = (self._last + block)[-SAMPLE:] if len(block) < SAMPLE else block[-SAMPLE:]
        if sampled:
            self._sample(block if self._step == 1 else block[:SAMPLE], first=self._blocks == 0)
        self._blocks += 1
        return sampled

    def _start(self, block: bytes) -> bytes:
        self._started = True
        if block.startswith(codecs.BOM_UTF8):
            self._encoding = "utf-8-sig"
            block = block[3:]
        elif block.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            self._encoding = "utf-16"
            self._wide = codecs.getincrementaldecoder("utf-16")(errors="replace")
            head = block.decode("utf-16", "replace").encode()
            self._understand(head)
            return block
        self._understand(block)
        return block

    def _understand(self, head: bytes) -> None:
        """Find the delimiter, the width and the header from the first rows."""
        end = head.rfind(b"\n", 0, 256 * 1024)
        text = _decoded(head[: end + 1] if end >= 0 else head)
        self._delimiter, rows = _delimiter_of(text)
        widths = Counter(len(row) for row in rows if row)
        self._width = max(widths, key=lambda width: (widths[width], width), default=0)
        if rows:
            self._header = [name.strip() for name in rows[0]]
            self._raw_header = head.split(b"\n", 1)[0].rstrip(b"\r")
        self._columns = [_Values() for _ in range(min(self._width, MOST_COLUMNS))]
        keep = {ord(self._delimiter or ";"), *b'"\n\r\0'}
        self._delete = bytes(code for code in range(128) if code not in keep)
        self._good = (self._delimiter or ";").encode() * max(0, self._width - 1) + b"\n"

    def _check_encoding(self, block: bytes, left: bytes) -> None:
        """Follow the encoding by what is left of a block; ``block`` tells what went wrong."""
        if self._wide is not None or self._broken_at is not None:
            return
        if self._encoding == "ascii":
            if left.isascii():
                return
            self._encoding = "utf-8"
        if left.isascii() and not self._decoder.getstate()[0]:
            return
        try:
            self._decoder.decode(left)
        except UnicodeDecodeError:
            self._broken_at = self._lines + 1
            text = block.decode("utf-8", "replace")
            bad = text.count("\ufffd")
            good = len(text) - len(text.encode("ascii", "ignore")) - bad
            # letters of both encodings: two sources were put together
            self._mixed = good > 3 and good > bad / 4

    # ------------------------------------------------------------------------------ measuring

    def _measure(self, block: bytes, *, exactly: bool) -> None:
        """Count rows, and those that are not as wide as they should be."""
        left = block.translate(None, self._delete)
        # accents that stand alone in the block do so in what is left of it, but by a rare chance
        self._check_encoding(block, block if exactly else left)
        if not left.isascii():
            left = left.translate(None, HIGH)
        if self._carry:
            left = self._carry + left
            self._carry = b""
        if b"\0" in left:
            self._nul += left.count(b"\0")
            left = left.replace(b"\0", b"")
        if b"\r" in left:
            if left.endswith(b"\r"):
                left, self._carry = left[:-1], b"\r"
            left = left.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if b'"' in left:
            left = self._without_quoted(left)
        end = left.rfind(b"\n") + 1
        self._carry = left[end:] + self._carry
        if len(self._carry) > LONGEST_ROW:
            # no row is so long: it is no table, and memory stays flat
            self._text, self._carry = True, b""
        self._judge(left[:end], block)

    def _without_quoted(self, left: bytes) -> bytes:
        """What is outside quotes; an open quote waits for the next block."""
        left = left.replace(b'""', b"")
        if b'"' not in left:
            return left
        left = _QUOTED.sub(b"", left)
        start = left.find(b'"')
        if start < 0:
            return left
        line = left.rfind(b"\n", 0, start) + 1
        if len(left) - start > LONGEST_FIELD:
            self._unclosed = self._lines + left.count(b"\n", 0, start) + 1
            return left.replace(b'"', b"")
        self._carry = left[line:] + self._carry
        return left[:line]

    def _judge(self, rows: bytes, block: bytes) -> None:
        count = len(rows) // len(self._good) if self._good else 0
        if rows == self._good * count:
            self._lines += count
            return
        lines = rows.split(b"\n")[:-1]
        wanted = self._width - 1
        blank = block.count(b"\n\n") + block.count(b"\n\r\n") if wanted else 0
        for number, line in enumerate(lines, self._lines + 1):
            if len(line) == wanted:
                continue
            if not line and blank > 0:
                blank -= 1
                self._blank_lines += 1
                continue
            self._odd[len(line) + 1] += 1
            if len(self._odd_at) < FIRST_FEW:
                self._odd_at.append((number, len(line) + 1))
        self._lines += len(lines)

    # ------------------------------------------------------------------------------- sampling

    def _sample(self, block: bytes, *, first: bool) -> None:
        """Read the values of the complete rows of a block."""
        start = 0 if first else block.find(b"\n") + 1
        end = block.rfind(b"\n") + 1 or (len(block) if self._read >= self._size else 0)
        part = block[start:end]
        self._markers += part.count(b"\n<<<<<<< ") + part.count(b"\n>>>>>>> ")
        text = _decoded(part)
        self._garbled += len(_GARBLED.findall(text)) if not text.isascii() else 0
        if self._text or not self._columns:
            return
        try:
            for number, row in enumerate(_rows(text, self._delimiter)):
                if first and number == 0:
                    continue
                if len(row) != self._width:
                    self._bad_rows += 1
                    continue
                if row == self._header or [cell.strip() for cell in row] == self._header:
                    self._repeated += 1
                    continue
                self._whole_rows += 1
                for values, cell in zip(self._columns, row, strict=False):
                    _note(values, cell)
        except csv.Error:
            self._bad_rows += 1

    # -------------------------------------------------------------------------------- the end

    def profile(self) -> Profile:
        """What the table holds, and what is wrong with it by itself."""
        rest = self._carry.replace(b"\r", b"\n")
        unended = bool(self._last) and not self._last.endswith((b"\n", b"\r"))
        findings: list[Finding] = []
        if rest.count(b'"') % 2 and self._unclosed is None:
            self._unclosed = self._lines + 1
        if unended:
            self._lines += 1
            last = _QUOTED.sub(b"", rest).replace(b"\n", b"").replace(b'"', b"")
            if 1 < self._width != len(last) + 1 and self._lines > 1 and self._unclosed is None:
                findings.append(
                    Finding(
                        "cut_off",
                        f"Its last row has {len(last) + 1} of {self._width} columns and no end: it "
                        "was cut off on its way.",
                    )
                )
        elif rest == b"\n":
            self._lines += 1
        encoding = self._encoding
        if self._broken_at is not None:
            encoding = "windows-1252"
        rows = max(0, self._lines - self._blank_lines - (1 if self._header else 0))
        if not self._text:
            findings += self._shape(rows)
        findings += self._writing()
        if self._following is not None and not self._text:
            self._following.end(self._delimiter)
            findings += self._following.findings()
        columns = tuple(
            _column(name, values) for name, values in zip(self._header, self._columns, strict=False)
        )
        return Profile(
            size=self._size,
            kind="text" if self._text else "table",
            encoding=encoding,
            delimiter=self._delimiter or None,
            rows=None if self._text else rows,
            columns=columns if self._has_header() else (),
            ended=not unended,
            garbled=self._garbled,
            findings=tuple(findings),
        )

    def _has_header(self) -> bool:
        """Whether the first line names columns: no data, and not a line that comes again."""
        again = self._repeated > self._whole_rows
        return not (self._text or again or _looks_like_data([n for n in self._header if n]))

    def _shape(self, rows: int) -> Iterator[Finding]:
        odd, width = self._odd.total(), self._width
        if self._unclosed is not None:
            yield Finding(
                "quote_open",
                f"A quote that opens around line {self._unclosed:,} is never closed: the rest of "
                "the file reads as one value.",
            )
        if odd:
            some = ", ".join(f"line {line:,}: {found}" for line, found in self._odd_at)
            level: Level = "hold" if odd > max(2, rows * 0.001) else "warn"
            yield Finding(
                "ragged",
                f"{odd:,} of its rows do not have {width} columns as the others ({some}).",
                level,
            )
        if rows == 0:
            yield Finding("no_rows", "It has a header and no row.", "warn")
        if 0 < self._repeated < self._whole_rows / 2:
            yield Finding(
                "header_repeated",
                "Its header stands in it again further down: two exports were put together.",
            )
        names = [name for name in self._header if name]
        if len(set(names)) < len(names):
            double = ", ".join(f"“{name}”" for name, times in Counter(names).items() if times > 1)
            yield Finding("names_twice", f"Several of its columns are called {double}.", "warn")
        if len(names) < len(self._header):
            yield Finding("name_missing", "Some of its columns have no name.", "warn")
        if names and _looks_like_data(names):
            yield Finding("no_header", "Its first line looks like data: no header?", "warn")

    def _writing(self) -> Iterator[Finding]:
        if self._nul:
            yield Finding(
                "zero_bytes",
                f"It holds {self._nul:,} zero bytes, as files do after a full disk or a crash.",
            )
        if self._mixed:
            yield Finding(
                "mixed_encodings",
                f"Its text is partly UTF-8 and partly not (from line {self._broken_at:,} on).",
            )
        if self._markers:
            yield Finding("merge_markers", "It holds the marks of a merge that was not finished.")
        if self._garbled > 2:
            yield Finding(
                "garbled",
                f"Accents look wrong in it (“Ã©” for “é”, {self._garbled:,} times in what was "
                "read).",
                "warn",
            )


def _decoded(part: bytes) -> str:
    try:
        return part.decode("utf-8")
    except UnicodeDecodeError as error:
        # a letter cut by the end of the block is no other encoding
        if error.end >= len(part) - 3 and error.reason == "unexpected end of data":
            return part[: error.start].decode("utf-8")
        return part.decode("cp1252", "replace")


def _rows(text: str, delimiter: str) -> Iterator[list[str]]:
    lines = text.replace("\0", "").splitlines(keepends=True) if "\0" in text else _lines(text)
    yield from csv.reader(lines, delimiter=delimiter or ";")


def _lines(text: str) -> Iterable[str]:
    # not splitlines(): it also cuts at the separators that values may hold (U+2028, form feed)
    return (line + "\n" for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"))


def _delimiter_of(text: str) -> tuple[str, list[list[str]]]:
    """The delimiter that cuts most rows into the same number of columns, and the first rows."""
    best: tuple[float, int, str, list[list[str]]] = (0.0, 1, "", [])
    head = "\n".join(text.split("\n", 200)[:200])
    for delimiter in DELIMITERS:
        try:
            rows = [row for row in _rows(head, delimiter) if row]
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


_KINDS = (
    ("integer", re.compile(r"[+-]?\d{1,18}")),
    ("decimal", re.compile(r"[+-]?\d*\.\d+(?:[eE][+-]?\d+)?")),
    ("decimal_comma", re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?")),
    ("date", re.compile(
        r"(?:19|20|21)\d\d-[01]\d(?:-[0-3]\d)?(?:[T ][\d:.]+(?:Z|[+-]\d\d:?\d\d)?)?"
    )),
    ("date_fr", re.compile(r"[0-3]?\d/[01]?\d/(?:(?:19|20|21)\d\d|\d\d)(?:[T ][\d:.]+)?")),
)  # fmt: skip


def _kind_of(cell: str) -> str:
    for kind, pattern in _KINDS:
        if pattern.fullmatch(cell):
            return kind
    return "text"


def _note(values: _Values, cell: str) -> None:
    text = cell.strip()
    if not text:
        values.blank += 1
        return
    kind = _kind_of(text)
    values.kinds[kind] += 1
    if kind == "integer" and len(text) > 1 and text[0] == "0":
        values.codes += 1
    if kind in {"date", "date_fr"}:
        day = text[:19] if kind == "date" else _iso(text)
        if values.least is None or day < values.least:
            values.least = day
        if values.greatest is None or day > values.greatest:
            values.greatest = day


def _iso(text: str) -> str:
    day, month, year = re.split("[ T]", text, maxsplit=1)[0].split("/")
    return f"{year if len(year) == 4 else '20' + year}-{month:0>2}-{day:0>2}"


def _looks_like_data(names: Sequence[str]) -> bool:
    return all(_kind_of(name) in {"integer", "decimal", "date"} for name in names)


def _column(name: str, values: _Values) -> Column:
    seen = values.kinds.total()
    total = seen + values.blank
    if not seen:
        return Column(name, "blank", 1.0, 1.0 if total else 0.0)
    kind, times = values.kinds.most_common(1)[0]
    numbers = sum(values.kinds[each] for each in ("integer", "decimal", "decimal_comma"))
    if kind == "integer" and values.kinds["decimal"] + values.kinds["decimal_comma"]:
        # 1, 2.5, 3: decimals, some of which are whole
        marks = ("decimal", "decimal_comma")
        kind, times = max(marks, key=lambda each: values.kinds[each]), numbers
    elif kind in {"decimal", "decimal_comma"}:
        times += values.kinds["integer"]
    dated = kind in {"date", "date_fr"}
    return Column(
        name,
        kind,
        round(times / seen, 4),
        round(values.blank / total, 4),
        round(values.codes / seen, 4),
        values.least if dated else None,
        values.greatest if dated else None,
    )
