"""Tables of text: rows are counted and measured, the values of a part of them are read.

All but delimiters, quotes, line ends and accents is thrown away at once (``bytes.translate``, as
fast as the digest itself): the accents show the encoding, and without them what is left of a sound
row is always the same few bytes, so that many sound rows are found sound by one comparison. Only
where they are not is looked at row by row.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator

from publisher_daemon.inspection._following import Following
from publisher_daemon.inspection._opening import (
    Opening,
    decoded,
    opening_of,
    rows_of,
)
from publisher_daemon.inspection._quotes import Quotes
from publisher_daemon.inspection._secrets import keeper_of
from publisher_daemon.inspection._signs import failure
from publisher_daemon.inspection._values import Values, looks_like_data
from publisher_daemon.inspection._writing import Writing
from publisher_daemon.profile import MOST_COLUMNS, Finding, Level, Profile

#: How much of the values is read: all of small files, an even sample of large ones.
SAMPLED = 2 * 1024 * 1024
SAMPLE = 32 * 1024
LARGE = 64 * 1024 * 1024
#: Of large files, this many pieces of that size.
PIECES, PIECE = 16, 6 * 1024
#: An export that is in it some times begins again this near to where it is to be expected.
BEGINS = 1024 * 1024
#: Delimiters without the end of a row.
LONGEST_ROW = 4 * 1024 * 1024
#: Names of odd rows are given for the first few.
FIRST_FEW = 3
#: Lines without a delimiter at the end of a table are notes, up to this many.
NOTES = 15
#: Rows that are remembered, to find those that come again.
REMEMBERED = 50_000
#: Of fewer rows, that some come again says nothing.
FEW = 20
#: Of very large files, the encoding of one in so many blocks is looked at after the first accent.
ACCENTS = 4
#: Bytes that are no ASCII.
HIGH = bytes(range(128, 256))
_BLANK = re.compile(rb"^[ \t]*\r?$", re.MULTILINE)
_NOTE = re.compile(
    r"\W*(?:sources?|notes?|champ|lecture|légende|producteur|licence|données|mise à jour|total|"
    r"extraction|©)\b",
    re.IGNORECASE,
)


class Table:
    """A table, fed block by block."""

    def __init__(
        self, size: int, *, text: bool = False, following: Following | None = None
    ) -> None:
        self._size = size
        #: plain text, that may or may not be a table
        self._text = text
        self._following = following
        self._opening = Opening("", 0, ())
        self._writing = Writing()
        self._quotes = Quotes(";")
        self._columns: list[Values] = []
        #: columns of passwords and keys by their names, and the first of which one was met
        self._keepers: dict[int, re.Pattern[str]] = {}
        self._kept: int | None = None
        self._delete = self._delete_all = b""
        self._taken = 0
        #: what is left of a row that is as wide as it should be; and with its end as it stands
        self._good = self._sound = b"\n"
        self._carry = b""
        self._lines = 0
        self._above = 0
        self._odd: Counter[int] = Counter()
        self._odd_at: list[tuple[int, int]] = []
        self._last_width = 0
        #: lines without a delimiter since the last row that has some
        self._notes = 0
        self._blank_lines = 0
        self._failed: str | None = None
        self._unclosed: int | None = None
        self._repeated = 0
        self._markers = 0
        self._read = 0
        self._last = b""
        self._started = False
        self._whole_rows = 0
        self._remembered: set[int] = set()
        self._again = 0
        self._first_rows = b""
        self._doubled = False
        # of very large files, less: what the reading itself takes is to stay the most of it
        self._large = size > LARGE
        pieces = PIECES if self._large else SAMPLED // SAMPLE
        #: bytes from one piece to the next; 0: all is read
        self._every = size // pieces if size > SAMPLED else 0
        self._next = 0

    # -------------------------------------------------------------------------------- reading

    def feed(self, block: bytes) -> bool:
        """Take the next block; returns whether its values were sampled."""
        self._read += len(block)
        first = not self._started
        block = self._start(block) if first else self._writing.plain(block)
        sampled = self._read > self._next or not self._every
        if sampled:
            self._next += self._every
            size = len(block) if not self._every else PIECE if self._large else SAMPLE
            self._sample(block[:size], first=first, last=self._read >= self._size)
        if self._first_rows and not (first or self._doubled) and self._may_begin_again(len(block)):
            # over the seam too
            self._doubled = self._first_rows in self._last[-4096:] + block
        self._measure(block)
        self._last = block if len(block) >= SAMPLE else (self._last + block)[-SAMPLE:]
        return sampled

    def _start(self, block: bytes) -> bytes:
        """Find out how it begins; what is left is the header and the rows."""
        self._started = True
        block = self._writing.start(block)
        self._opening = found = opening_of(block)
        delimiter = found.delimiter or ";"
        self._quotes = Quotes(delimiter)
        self._columns = [Values() for _ in range(min(found.width, MOST_COLUMNS))]
        keepers = enumerate(map(keeper_of, found.header))
        self._keepers = {place: like for place, like in keepers if like is not None}
        keep = {ord(delimiter), *b'"\n\r\0'}
        self._delete = bytes(code for code in range(128) if code not in keep)
        self._delete_all = self._delete + HIGH
        self._good = delimiter.encode() * max(0, found.width - 1) + b"\n"
        self._sound = self._good
        if block.partition(b"\n")[0].endswith(b"\r"):
            self._sound = self._good[:-1] + b"\r\n"
        if found.above:
            self._above = self._lines = len(found.above.splitlines())
            self._failed = failure(found.above)
            self._follow(found.above)
        return block[len(found.above) :]

    def _follow(self, rows: bytes) -> None:
        if self._following is not None:
            self._following.feed(rows, self._opening.delimiter)

    def _may_begin_again(self, length: int) -> bool:
        """Whether an export that is in it some times whole begins again in this block.

        To look for it everywhere in a large file would cost as much as a third of the digest.
        """
        if not self._large:
            return True
        return any(
            self._read - length - BEGINS <= self._size // times <= self._read + BEGINS
            for times in range(2, 5)
        )

    # ------------------------------------------------------------------------------ measuring

    def _measure(self, block: bytes) -> None:
        """Count rows, and those that are not as wide as they should be."""
        end = block.rfind(b"\n") + 1 or block.rfind(b"\r", 0, -1) + 1
        if not end:
            self._carry += block
            if len(self._carry) > LONGEST_ROW:
                # no row is so long: it is no table, and memory stays flat
                self._writing.look(self._carry, self._carry, self._lines)
                self._text, self._carry = True, b""
            return
        self._taken += 1
        seldom = self._large and self._writing.has_accents and self._taken % ACCENTS
        delete = self._delete_all if seldom else self._delete
        left = block.translate(None, delete)
        cut = len(left) - len(block[end:].translate(None, delete))
        left = self._carry.translate(None, delete) + left[:cut]
        if self._following is None and self._is_sound(left):
            self._carry = block[end:]
            return
        rows, self._carry = b"".join((self._carry, memoryview(block)[:end])), b""
        self._take(rows, left)
        self._carry += block[end:]

    def _is_sound(self, left: bytes) -> bool:
        """Whether these are rows that all are as they should be: then they are counted."""
        if not left.isascii():
            if not (self._large and self._writing.is_known(left)):
                return False
            left = left.translate(None, HIGH)
        count = len(left) // len(self._sound)
        if left != self._sound * count:
            return False
        self._lines += count
        self._notes, self._last_width = 0, self._opening.width
        return True

    def _take(self, rows: bytes, left: bytes) -> None:
        """Measure these rows, but for those that a quote holds open."""
        self._writing.look(rows, left, self._lines, exactly=not self._large)
        left = self._plain(left)
        if b'"' in left:
            # what is quoted without a delimiter in it leaves nothing but its two quotes
            left = left.replace(b'""', b"")
            if b'"' in left:
                rows, left = self._outside(rows)
        self._follow(rows)
        self._judge(left, rows)

    @staticmethod
    def _plain(left: bytes) -> bytes:
        if not left.isascii():
            left = left.translate(None, HIGH)
        if b"\0" in left:
            left = left.replace(b"\0", b"")
        if b"\r" in left:
            left = left.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return left

    def _outside(self, rows: bytes) -> tuple[bytes, bytes]:
        """The rows that are closed, and what is outside quotes of them; the others wait."""
        found = self._quotes.outside(rows)
        if found.lost is not None and self._unclosed is None:
            self._unclosed = self._lines + found.lost + 1
        self._carry = rows[found.end :]
        return rows[: found.end], self._plain(found.bare.translate(None, self._delete))

    def _judge(self, left: bytes, rows: bytes) -> None:
        count = len(left) // len(self._good) if self._good else 0
        if left == self._good * count:
            self._lines += count
            self._notes, self._last_width = 0, self._opening.width
            return
        lines = left.split(b"\n")[:-1]
        wanted = self._opening.width - 1
        blank = len(_BLANK.findall(rows)) - 1 if wanted else 0
        seen = rows.split(b"\n") if rows.count(b"\n") == len(lines) else []
        for number, line in enumerate(lines):
            if len(line) == wanted:
                self._notes, self._last_width = 0, wanted + 1
                continue
            if not line and blank > 0:
                blank -= 1
                self._blank_lines += 1
                continue
            self._notes = 0 if line else self._notes + 1
            self._last_width = len(line) + 1
            self._odd[len(line) + 1] += 1
            if len(self._odd_at) < FIRST_FEW:
                self._odd_at.append((self._lines + number + 1, len(line) + 1))
            if seen and self._failed is None:
                self._failed = failure(seen[number])
        self._lines += len(lines)

    # ------------------------------------------------------------------------------- sampling

    def _sample(self, block: bytes, *, first: bool, last: bool) -> None:
        """Read the values of the complete rows of a block."""
        start = 0 if first else block.find(b"\n") + 1
        end = block.rfind(b"\n") + 1 or (len(block) if last else 0)
        part = block[start:end]
        self._markers += part.count(b"\n<<<<<<< ") + part.count(b"\n>>>>>>> ")
        text = decoded(part)
        self._writing.read(text)
        if self._text or not self._columns:
            return
        if first and self._every:
            self._first_rows = b"".join(part.splitlines(keepends=True)[1:4])
            self._doubled = self._first_rows in block[block.find(self._first_rows) + 1 :]
        try:
            for number, row in enumerate(rows_of(text, self._opening.delimiter)):
                if first and number == 0:
                    continue
                self._row(row)
        except csv.Error:
            return

    def _row(self, row: list[str]) -> None:
        if len(row) != self._opening.width:
            return
        if tuple(cell.strip("\ufeff \t") for cell in row) == self._opening.header:
            self._repeated += 1
            return
        self._whole_rows += 1
        if not self._every:
            known = hash(tuple(row))
            self._again += known in self._remembered
            if len(self._remembered) < REMEMBERED:
                self._remembered.add(known)
        for values, cell in zip(self._columns, row, strict=False):
            values.note(cell)
        for place, like in self._keepers.items():
            if self._kept is None and like.fullmatch(row[place].strip()):
                self._kept = place

    # -------------------------------------------------------------------------------- the end

    def profile(self) -> Profile:
        """What the table holds, and what is wrong with it by itself."""
        unended = bool(self._last) and not self._last.endswith((b"\n", b"\r"))
        findings = [*self._end(unended=unended)]
        header = self._opening.header
        notes = self._notes if self._notes <= NOTES else 0
        above = self._above + (1 if header else 0)
        rows = max(0, self._lines - self._blank_lines - notes - above)
        if not self._text:
            findings += self._shape(rows, notes)
        findings += self._writing.findings()
        if self._markers:
            why = "It holds the marks of a merge that was not finished."
            findings.append(Finding("merge_markers", why))
        if self._following is not None and not self._text:
            findings += self._following.findings()
        if self._kept is not None:
            why = (
                f"Its column “{header[self._kept]}” seems to contain passwords or keys. Once "
                "published they must be taken as known to everybody: leave it out, and replace "
                "them where they are used."
            )
            findings.append(Finding("secret", why))
        columns = tuple(
            values.column(name) for name, values in zip(header, self._columns, strict=False)
        )
        again = self._again / self._whole_rows if self._whole_rows else 0.0
        return self._writing.told(
            Profile(
                size=self._size,
                kind="text" if self._text else "table",
                delimiter=self._opening.delimiter or None,
                rows=None if self._text else rows,
                columns=columns if self._has_header() else (),
                ended=not unended,
                again=0.5 if self._doubled else round(again, 4),
                findings=tuple(findings),
            )
        )

    def _end(self, *, unended: bool) -> Iterator[Finding]:
        """Take what is left: a last row without an end, or with a quote that is open."""
        rest, self._carry = self._carry, b""
        if not rest:
            return
        rows = rest if rest.endswith((b"\n", b"\r")) else rest + b"\n"
        self._take(rows, rows.translate(None, self._delete))
        if self._carry:
            self._lines += 1
            self._unclosed = self._unclosed or self._lines
        elif unended and self._is_cut():
            self._odd[self._last_width] -= 1
            yield Finding(
                "cut_off",
                f"Its last row has {self._last_width} of {self._opening.width} columns and no "
                "end: it was cut off on its way.",
            )

    def _is_cut(self) -> bool:
        width = self._opening.width
        if self._text or width < 2 or self._last_width == width or self._lines < 2:
            return False
        *_, before, last = (b"\n\n" + self._last[-SAMPLE:]).splitlines()
        note = not before.strip() or self._notes > 1 or _NOTE.match(decoded(last))
        return not (self._notes and note)

    def _has_header(self) -> bool:
        """Whether the first line names columns: no data, and not a line that comes again."""
        again = self._repeated > self._whole_rows
        named = [name for name in self._opening.header if name]
        return not (self._text or again or looks_like_data(named))

    def _shape(self, rows: int, notes: int) -> Iterator[Finding]:
        header, width = self._opening.header, self._opening.width
        odd = self._odd.total() - notes
        if self._failed:
            why = f"The message of a program stands between its rows: “{self._failed}”."
            yield Finding("error_message", why)
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
                f"{odd:,} of its rows does not have {width} columns as the others ({some})."
                if odd == 1
                else f"{odd:,} of its rows do not have {width} columns as the others ({some}).",
                level,
            )
        if self._above or notes:
            yield Finding(
                "notes",
                "A line above its header or below its rows is no part of the table: many programs "
                "will read it as a row."
                if self._above + notes == 1
                else f"{self._above + notes:,} lines above its header or below its rows are no "
                "part of the table: many programs will read them as rows.",
                "warn",
            )
        if rows == 0:
            yield Finding("no_rows", "It has a header and no row.", "warn")
        if self._doubled or (rows >= FEW and width > 1 and self._again > self._whole_rows * 0.45):
            why = "Its rows stand in it twice: is the export in it twice?"
            yield Finding("rows_twice", why, "warn")
        if 0 < self._repeated < self._whole_rows / 2:
            yield Finding(
                "header_repeated",
                "Its header stands in it again further down: two exports were put together.",
            )
        yield from _names(header)


def _names(header: tuple[str, ...]) -> Iterator[Finding]:
    names = [name for name in header if name]
    if len(set(names)) < len(names):
        double = ", ".join(f"“{name}”" for name, times in Counter(names).items() if times > 1)
        yield Finding("names_twice", f"Several of its columns are called {double}.", "warn")
    if len(names) < len(header):
        yield Finding("name_missing", "Some of its columns have no name.", "warn")
    if names and looks_like_data(names):
        yield Finding("no_header", "Its first line looks like data: no header?", "warn")
