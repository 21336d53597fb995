"""Tells quotes that hold a value together from those that are signs in one (``Tube 5" acier``).

As those who read CSV do: a quote counts where a value begins, until the next that ends a value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

#: A quote that is open for longer than this was never meant to be one.
LONGEST_FIELD = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Outside:
    """What is outside the quotes of some rows."""

    bare: bytes
    #: where the rows end that are closed; after it, a quote is open
    end: int
    #: how many rows stand before a quote that is never closed
    lost: int | None = None


class Quotes:
    """The quotes of a table with this delimiter."""

    def __init__(self, delimiter: str) -> None:
        edge = rb"[%s\n\r]" % re.escape(delimiter.encode())
        inner = rb'[^"%s\n\r]*+' % re.escape(delimiter.encode())
        # each begins with the quote itself, which is quickly found; then looks back
        begins = rb'"(?:(?<=' + edge + rb'")|(?<=\A"))'
        ends = rb'"(?=' + edge + rb")"
        self._value = re.compile(
            # what was taken is not given back: `(?=(…))\N`, since a group's `*+` takes other
            # things before Python 3.11.5 (Debian 12 has 3.11.2)
            begins + rb'(?:(?=([^"]*+(?:""[^"]*+)*))\1' + ends +
            # a stroke before a quote, as databases write it
            rb'|(?=([^"]*+(?:(?<=\\)"(?!' + edge + rb')[^"]*+)+))\2' + ends +
            # text after the quoted value
            rb'|[^"\n\r]*+"' + inner + rb"(?=" + edge + rb"))"
        )  # fmt: skip
        self._opens = re.compile(begins)

    def outside(self, rows: bytes) -> Outside:
        """What is left of rows, which begin where a row does, without what is quoted."""
        bare = self._value.sub(b"", rows)
        open_at = self._opens.search(bare)
        if open_at is None:
            return Outside(bare.replace(b'"', b""), len(rows))
        start = bare.rfind(b"\n", 0, open_at.start()) + 1
        after = bare[open_at.end() :]
        if b'"' in after.replace(b'""', b"") or len(after) > LONGEST_FIELD:
            lost = bare.count(b"\n", 0, start)
            return Outside(bare.replace(b'"', b""), len(rows), lost)
        return Outside(bare[:start].replace(b'"', b""), self._in_rows(rows, start))

    def _in_rows(self, rows: bytes, place: int) -> int:
        """Where in the rows a place in what is outside quotes is."""
        for found in self._value.finditer(rows):
            if found.start() >= place:
                break
            place += found.end() - found.start()
        return place
