"""Tables of text: rows are counted and measured, the values of a part of them are read."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator

from publisher_daemon.inspection._following import Following
from publisher_daemon.inspection._opening import Opening, decoded, opening_of, rows_of
from publisher_daemon.inspection._rows import Rows, SomeRows
from publisher_daemon.inspection._secrets import keeper_of
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
#: Lines without a delimiter at the end of a table are notes, up to this many.
NOTES = 15
#: Rows that are remembered, to find those that come again.
REMEMBERED = 50_000
#: Of fewer rows, that some come again says nothing.
FEW = 20
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
        #: of very large files, less is looked at: what the reading takes is to stay the most of it
        self._large = size > LARGE
        self._rows = self._measuring()
        self._columns: list[Values] = []
        #: columns of passwords and keys by their names, and the first of which one was met
        self._keepers: dict[int, re.Pattern[str]] = {}
        self._kept: int | None = None
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
        pieces = PIECES if self._large else SAMPLED // SAMPLE
        #: bytes from one piece to the next; 0: all is read
        self._every = size // pieces if size > SAMPLED else 0
        self._next = 0

    def _measuring(self) -> Rows:
        # a schema is followed by every row
        of_all = self._following is not None or not self._large
        return (Rows if of_all else SomeRows)(self._opening, self._writing, self._follow)

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
        self._rows.measure(block)
        self._last = block if len(block) >= SAMPLE else (self._last + block)[-SAMPLE:]
        return sampled

    def _start(self, block: bytes) -> bytes:
        """Find out how it begins; what is left is the header and the rows."""
        self._started = True
        block = self._writing.start(block)
        self._opening = found = opening_of(block)
        self._rows = self._measuring()
        self._columns = [Values() for _ in range(min(found.width, MOST_COLUMNS))]
        keepers = enumerate(map(keeper_of, found.header))
        self._keepers = {place: like for place, like in keepers if like is not None}
        self._follow(found.above)
        return block[len(found.above) :]

    def _follow(self, rows: bytes) -> None:
        if self._following is not None and rows:
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

    # ------------------------------------------------------------------------------- sampling

    def _sample(self, block: bytes, *, first: bool, last: bool) -> None:
        """Read the values of the complete rows of a block."""
        mark = self._opening.mark
        start = 0 if first else block.find(mark) + 1
        end = block.rfind(mark) + 1 or (len(block) if last else 0)
        part = block[start:end]
        self._markers += part.count(b"\n<<<<<<< ") + part.count(b"\n>>>>>>> ")
        text = decoded(part)
        self._writing.read(text)
        if self._text or not self._columns:
            return
        if first and self._every:
            self._first_rows = b"".join(part.splitlines(keepends=True)[1:4])
            self._doubled = (
                bool(self._first_rows)
                and self._first_rows in block[block.find(self._first_rows) + 1 :]
            )
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
        if self._is_header(row):
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

    def _is_header(self, row: list[str]) -> bool:
        header = self._opening.header
        # nearly no row is one: most are told by their first value
        return _name(row[0]) == header[0] and tuple(map(_name, row)) == header

    # -------------------------------------------------------------------------------- the end

    def profile(self) -> Profile:
        """What the table holds, and what is wrong with it by itself."""
        rows = self._rows
        rows.end()
        self._text = self._text or rows.endless
        unended = bool(self._last) and not self._last.endswith((b"\n", b"\r"))
        findings = [*self._cut()] if unended else []
        header = self._opening.header
        notes = rows.notes if rows.notes <= NOTES else 0
        count = max(0, rows.lines - rows.blank - notes - rows.above - bool(header))
        if not rows.exact:
            # not more is known of it than this
            count = int(float(f"{count:.3g}"))
        if not self._text:
            findings += self._shape(count, notes)
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
                rows=None if self._text else count,
                about=not (rows.exact or self._text),
                columns=columns if self._has_header() else (),
                ended=not unended,
                again=0.5 if self._doubled else round(again, 4),
                findings=tuple(findings),
            )
        )

    def _cut(self) -> Iterator[Finding]:
        """What a last row without an end tells."""
        rows, width = self._rows, self._opening.width
        if rows.open or self._text or width < 2:
            return
        if rows.last_width == width or rows.lines < 2:
            return
        *_, before, last = (b"\n\n" + self._last[-SAMPLE:]).splitlines()
        note = not before.strip() or rows.notes > 1 or _NOTE.match(decoded(last))
        if rows.notes and note:
            return
        rows.odd[rows.last_width] -= 1
        rows.notes = 0
        yield Finding(
            "cut_off",
            f"Its last row has {rows.last_width} of {width} columns and no end: it was cut off on "
            "its way.",
        )

    def _has_header(self) -> bool:
        """Whether the first line names columns: no data, and not a line that comes again."""
        again = self._repeated > self._whole_rows
        named = [name for name in self._opening.header if name]
        return not (self._text or again or looks_like_data(named))

    def _shape(self, count: int, notes: int) -> Iterator[Finding]:
        header, rows = self._opening.header, self._rows
        if rows.failed:
            why = f"The message of a program stands between its rows: “{rows.failed}”."
            yield Finding("error_message", why)
        if rows.unclosed is not None:
            yield Finding(
                "quote_open",
                f"A quote that opens around line {rows.unclosed:,} is never closed: the rest of "
                "the file reads as one value.",
            )
        yield from self._ragged(rows.odd.total() - notes)
        if rows.above or notes:
            yield Finding(
                "notes",
                "A line above its header or below its rows is no part of the table: many programs "
                "will read it as a row."
                if rows.above + notes == 1
                else f"{rows.above + notes:,} lines above its header or below its rows are no "
                "part of the table: many programs will read them as rows.",
                "warn",
            )
        if count == 0:
            yield Finding("no_rows", "It has a header and no row.", "warn")
        if self._doubled or (
            count >= FEW and len(header) > 1 and self._again > self._whole_rows * 0.45
        ):
            why = "Its rows stand in it twice: is the export in it twice?"
            yield Finding("rows_twice", why, "warn")
        if 0 < self._repeated < self._whole_rows / 2:
            yield Finding(
                "header_repeated",
                "Its header stands in it again further down: two exports were put together.",
            )
        yield from _names(header)

    def _ragged(self, odd: int) -> Iterator[Finding]:
        if not odd:
            return
        rows, width = self._rows, self._opening.width
        level: Level = "hold" if odd > max(2, rows.measured * 0.001) else "warn"
        if not rows.exact:
            some = ", ".join(f"around line {line:,}: {found}" for line, found in rows.odd_at)
            why = (
                f"Of the rows that were looked at, {odd:,} do not have {width} columns as the "
                f"others ({some})."
            )
            yield Finding("ragged", why, level)
            return
        some = ", ".join(f"line {line:,}: {found}" for line, found in rows.odd_at)
        yield Finding(
            "ragged",
            f"{odd:,} of its rows does not have {width} columns as the others ({some})."
            if odd == 1
            else f"{odd:,} of its rows do not have {width} columns as the others ({some}).",
            level,
        )


def _name(cell: str) -> str:
    return cell.strip("\ufeff \t")


def _names(header: tuple[str, ...]) -> Iterator[Finding]:
    names = [name for name in header if name]
    if len(set(names)) < len(names):
        double = ", ".join(f"“{name}”" for name, times in Counter(names).items() if times > 1)
        yield Finding("names_twice", f"Several of its columns are called {double}.", "warn")
    if len(names) < len(header):
        yield Finding("name_missing", "Some of its columns have no name.", "warn")
    if names and looks_like_data(names):
        yield Finding("no_header", "Its first line looks like data: no header?", "warn")
