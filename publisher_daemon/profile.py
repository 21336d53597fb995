"""What is known of a file's content: the words of the checks; immutable, and small when packed.

A profile is made while a file is read to be published, and belongs to exactly the bytes that were
read. It is packed because a first run over a full folder holds one for every file.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, Literal, NewType

Packed = NewType("Packed", bytes)
Level = Literal["hold", "warn"]

#: How many earlier versions' numbers of rows a profile remembers: more than a month of days.
RECENT = 40
#: Columns beyond this are counted, and not described.
MOST_COLUMNS = 500


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was noticed: a stable code, a sentence for people, how bad it is."""

    code: str
    why: str
    level: Level = "hold"


@dataclass(frozen=True, slots=True)
class Column:
    """One column, as its values show it."""

    name: str
    #: ``integer``, ``decimal``, ``decimal_comma``, ``exponent``, ``date``, ``date_fr``, ``text``,
    #: ``blank``
    kind: str
    #: the share of its values that are of that kind, and that are blank
    share: float = 1.0
    blank: float = 0.0
    #: the share of its values that are numbers with a leading zero: codes, not quantities
    codes: float = 0.0
    #: the first and the last day in it (ISO 8601), or the extremes of coordinates
    least: str | None = None
    greatest: str | None = None
    #: the least, the middle and the greatest of its numbers
    sizes: tuple[float, float, float] | None = None
    #: the share of its values that are no whole numbers, and that say “null”, “None”, “nan”
    fractions: float = 0.0
    nothing: float = 0.0
    #: the one value that it has in every row
    same: str | None = None
    #: how many versions ago it was empty, or nearly; 0: not among those that are remembered
    emptied: int = 0


@dataclass(frozen=True, slots=True)
class Profile:
    """What a file holds."""

    size: int
    #: ``table``, ``json``, ``geojson``, ``xml``, ``zip``… or ``other``
    kind: str = "other"
    encoding: str | None = None
    delimiter: str | None = None
    rows: int | None = None
    #: whether these are an estimate, of a table that is too large to count them
    about: bool = False
    columns: tuple[Column, ...] = ()
    #: whether its last line is ended, where that means something
    ended: bool | None = None
    #: letters like “Ã©”, which are text that was read in the wrong encoding
    garbled: int = 0
    #: letters with accents, letters that may have become question marks, errors of formulas
    accents: int = 0
    doubts: int = 0
    broken: int = 0
    #: the share of rows that stood there before
    again: float = 0.0
    findings: tuple[Finding, ...] = ()
    #: rows of the versions published before it, the latest last
    recent: tuple[int, ...] = ()

    def packed(self) -> Packed:
        """A few hundred bytes."""
        # not asdict(): it copies all that is inside, and takes as long as a request
        text = json.dumps(self, default=_fields, separators=(",", ":"))
        return Packed(zlib.compress(text.encode()))


def _fields(value: Profile | Column | Finding) -> dict[str, object]:
    return {field.name: getattr(value, field.name) for field in fields(value)}


@lru_cache(256)
def unpacked(packed: Packed) -> Profile:
    """The profile that was packed, by this version or an earlier one."""
    found: dict[str, Any] = json.loads(zlib.decompress(packed))
    found["columns"] = tuple(
        Column(**column | {"sizes": tuple(column["sizes"]) if column.get("sizes") else None})
        for column in found["columns"]
    )
    found["findings"] = tuple(Finding(**finding) for finding in found["findings"])
    found["recent"] = tuple(found["recent"])
    return Profile(**found)
