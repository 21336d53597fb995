"""Rows are counted and measured: all of them, or those of an even part of a large table.

All but delimiters, quotes and line ends is thrown away at once (``bytes.translate``, as
fast as the digest itself). What is left of a sound row is always the same few bytes, so that many
sound rows are found sound by one comparison. Only where they are not is looked at row by row.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from publisher_daemon.inspection._opening import Opening
from publisher_daemon.inspection._quotes import Quotes
from publisher_daemon.inspection._signs import failure
from publisher_daemon.inspection._writing import Writing

#: Delimiters without the end of a row.
LONGEST_ROW = 4 * 1024 * 1024
#: Names of odd rows are given for the first few.
FIRST_FEW = 3
#: Of a large table one byte in so many is measured, at least so many of a block.
SHARE = 32
LEAST = 16 * 1024
#: So much of a part tells whether its quotes are some.
GLANCE = 4 * 1024
#: Where in a block they are: multiples of it fall evenly, and never into step with the data.
GOLDEN = 0.6180339887
_BLANK = re.compile(rb"^[ \t]*\r?$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Reading:
    """What is outside quotes in some rows, as they may be read."""

    left: bytes
    #: whether a quote is open at their end
    open: bool
    #: how many rows stand before a quote that is never closed
    lost: int | None = None


class Rows:
    """All rows of a table, block by block."""

    exact = True

    def __init__(self, opening: Opening, writing: Writing, follow: Callable[[bytes], None]) -> None:
        self._opening = opening
        self._writing = writing
        self._follow = follow
        self._mark = opening.mark
        self._delimiter = (opening.delimiter or ";").encode()
        self._quotes = Quotes(self._delimiter.decode())
        keep = {*self._delimiter, *b'"', *opening.mark}
        self._delete = bytes(code for code in range(256) if code not in keep)
        #: what is left of a row that is as wide as it should be
        self._good = self._delimiter * max(0, opening.width - 1) + b"\n"
        self._carry = b""
        #: lines above the header, and all so far
        self.above = len(opening.above.splitlines())
        self.lines = self.above
        #: how many of them were measured
        self.measured = 0
        #: those of other widths: how many of each, and where the first are
        self.odd: Counter[int] = Counter()
        self.odd_at: list[tuple[int, int]] = []
        self.last_width = 0
        #: lines without a delimiter since the last row that has some
        self.notes = 0
        self.blank = 0
        #: the message of a program, and the line of a quote that is never closed
        self.failed = failure(opening.above)
        self.unclosed: int | None = None
        #: whether a row is so long that it is no table, and whether a quote is open at the end
        self.endless = self.open = False

    def measure(self, block: bytes) -> None:
        """Count the rows that this block ends, and those that are not as wide as they should be."""
        self._writing.count_zeros(block)
        end = block.rfind(self._mark) + 1
        if not end:
            self._carry += block
            if len(self._carry) > LONGEST_ROW:
                # memory stays flat
                self._writing.look(self._carry, self.lines)
                self.endless, self._carry = True, b""
            return
        rows, self._carry = b"".join((self._carry, memoryview(block)[:end])), b""
        self._take(rows)
        self._carry += block[end:]

    def end(self) -> None:
        """Take what is left: a last row without an end, or with a quote that is open."""
        rest, self._carry = self._carry, b""
        if not rest:
            return
        self._take(rest if rest.endswith(self._mark) else rest + self._mark)
        if self._carry:
            self._leave_open()

    def _leave_open(self) -> None:
        self.open = True
        self.lines += 1
        self.unclosed = self.unclosed or self.lines

    def _take(self, rows: bytes) -> None:
        """Measure these rows, but for those that a quote holds open."""
        self._writing.look(rows, self.lines)
        left = self._left(rows)
        if b'"' in left:
            reading = self._read(left, rows)
            if reading.open or not self._is_sound(reading.left):
                rows, left = self._outside(rows)
            else:
                left = reading.left
        self._follow(rows)
        self._judge(left, rows)

    def _left(self, rows: bytes) -> bytes:
        """What is left of rows without their text; nothing of what is quoted without delimiters."""
        left = rows.translate(None, self._delete)
        if self._mark == b"\r":
            left = left.replace(b"\r", b"\n")
        return left.replace(b'""', b"") if b'"' in left else left

    def _read(self, left: bytes, rows: bytes, *, within: bool = False) -> _Reading:
        """What is outside quotes if each is one; ``within``: these rows begin inside a value."""
        parts = left.split(b'"')
        plain = rows.replace(b'""', b"")
        opening = plain.count(self._delimiter + b'"') + plain.count(self._mark + b'"')
        opening += not within and plain.startswith(b'"')
        if opening != (plain.count(b'"') + 1 - within) // 2:
            # some stand inside values, as signs
            return _Reading(b"", open=True)
        bare = b"".join(parts[within::2])
        first = bare.find(b"\n") + 1 if within else 0
        return _Reading(bare[first : bare.rfind(b"\n") + 1], open=len(parts) % 2 == within)

    def _outside(self, rows: bytes) -> tuple[bytes, bytes]:
        """The rows that are closed, and what is outside quotes of them; the others wait."""
        found = self._quotes.outside(rows)
        if found.lost is not None and self.unclosed is None:
            self.unclosed = self.lines + found.lost + 1
        self._carry = rows[found.end :]
        return rows[: found.end], self._left(found.bare)

    def _is_sound(self, left: bytes) -> bool:
        return left == self._good * (len(left) // len(self._good))

    def _judge(self, left: bytes, rows: bytes) -> None:
        """Count these rows, and note what is wrong with them."""
        wanted = self._opening.width - 1
        if self._is_sound(left):
            count = len(left) // len(self._good)
            self.notes, self.last_width = 0, wanted + 1
        else:
            lines = left.split(b"\n")[:-1]
            count = len(lines)
            self._judge_each(lines, rows, wanted)
        self.lines += count
        self.measured += count

    def _judge_each(self, lines: list[bytes], rows: bytes, wanted: int) -> None:
        blank = len(_BLANK.findall(rows)) - 1 if wanted else 0
        seen = rows.split(b"\n") if rows.count(b"\n") == len(lines) else []
        for number, line in enumerate(lines):
            if len(line) == wanted:
                self.notes, self.last_width = 0, wanted + 1
                continue
            if not line and blank > 0:
                blank -= 1
                self.blank += 1
                continue
            self.notes = 0 if line else self.notes + 1
            self.last_width = len(line) + 1
            self.odd[len(line) + 1] += 1
            if len(self.odd_at) < FIRST_FEW:
                self.odd_at.append((self.lines + number + 1, len(line) + 1))
            if seen and self.failed is None:
                self.failed = failure(seen[number])


class SomeRows(Rows):
    """The rows of a large table: an even part of each block is measured, and stands for all of it.

    To measure all of them would take several times as long as to read and hash them. The first
    block and the last are measured whole: what is above the table and below it, and how it ends.
    """

    exact = False

    def __init__(self, opening: Opening, writing: Writing, follow: Callable[[bytes], None]) -> None:
        super().__init__(opening, writing, follow)
        self._blocks = 0
        #: bytes since a row ended
        self._unended = 0

    def measure(self, block: bytes) -> None:
        """Measure some of the block before this one: it was not the last."""
        self._writing.count_zeros(block)
        self._blocks += 1
        if self._blocks == 1:
            self._look(block[: block.rfind(self._mark) + 1])
        elif len(block) < LEAST and len(self._carry) < LONGEST_ROW:
            self._carry += block
        else:
            self._pass(self._carry)
            self._carry = block

    def end(self) -> None:
        """Measure the last block."""
        last, self._carry = self._carry, b""
        rows = last[last.find(self._mark) + 1 :]
        if rows and self._look(rows if rows.endswith(self._mark) else rows + self._mark):
            self._leave_open()

    def _pass(self, block: bytes) -> None:
        """Measure a part of it, and take the rest for the same."""
        self._writing.glance(block, self.lines)
        size = max(LEAST, len(block) // SHARE)
        at = int(self._blocks * GOLDEN % 1 * max(0, len(block) - size))
        rows = self._between(block, at, at + size) or self._between(block, 0, len(block))
        if not rows:
            self._unended += len(block)
            self.endless = self.endless or self._unended > LONGEST_ROW
            return
        self._unended = 0
        lines, blank, times = self.lines, self.blank, len(block) / len(rows)
        self._look(rows)
        self.lines = lines + round((self.lines - lines) * times)
        self.blank = blank + round((self.blank - blank) * times)

    def _between(self, block: bytes, start: int, stop: int) -> bytes:
        """The whole rows there."""
        first = block.find(self._mark, start, stop) + 1
        return block[first : block.rfind(self._mark, first, stop) + 1] if first else b""

    def _look(self, rows: bytes) -> bool:
        """Measure rows that may begin and end within a quoted value; whether they do end so."""
        self._writing.look(rows, self.lines)
        left = self._left(rows)
        if b'"' not in left:
            self._judge(left, rows)
            return False
        best = self._best(left, rows)
        if best.lost is not None and self.unclosed is None:
            self.unclosed = self.lines + best.lost + 1
        self._judge(best.left, rows)
        return best.open

    def _best(self, left: bytes, rows: bytes) -> _Reading:
        """The reading by which they are as they should be, or nearly."""
        readings: list[_Reading] = []
        for within in (False, True):
            # signs that are no quotes and pass for some are in every row, or they do not
            readings.append(self._read(left, rows[:GLANCE], within=within))
            if readings[-1].left and self._is_sound(readings[-1].left):
                return readings[-1]
        return min([self._strictly(rows), *readings], key=self._oddness)

    def _strictly(self, rows: bytes) -> _Reading:
        """If some quotes are signs in a value; they begin outside of one."""
        found = self._quotes.outside(rows)
        return _Reading(self._left(found.bare), open=found.end < len(rows), lost=found.lost)

    def _oddness(self, reading: _Reading) -> float:
        """Which share of these rows is not as wide as it should be."""
        widths = Counter(map(len, reading.left.split(b"\n")[:-1]))
        return 1 - widths[self._opening.width - 1] / (widths.total() or 1)
