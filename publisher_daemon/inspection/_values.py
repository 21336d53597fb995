"""What the values of a column are: of which kind, how large, from when to when."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from publisher_daemon.profile import Column

_KINDS = (
    ("integer", re.compile(r"[+-]?\d{1,18}")),
    ("decimal", re.compile(r"[+-]?\d*\.\d+")),
    ("decimal_comma", re.compile(r"[+-]?\d*,\d+")),
    ("exponent", re.compile(r"[+-]?\d+(?:[.,]\d+)?[eE][+-]?\d+")),
    ("date", re.compile(
        r"(?:19|20|21)\d\d-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12]\d|3[01]))?"
        r"(?:[T ][\d:.]+(?:Z|[+-]\d\d:?\d\d)?)?"
    )),
    ("date_fr", re.compile(
        r"(?:0?[1-9]|[12]\d|3[01])/(?:0?[1-9]|1[0-2])/(?:(?:19|20|21)\d\d|\d\d)(?:[T ][\d:.]+)?"
    )),
)  # fmt: skip
#: Dates as registers write them: 20261121, and with the hour and the minute.
_COMPACT = re.compile(
    r"(?:19|20|21)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[01]\d|2[0-4])?(?:[0-5]\d)?"
)
NUMBERS = ("integer", "decimal", "decimal_comma", "exponent")
#: What programs write where they have nothing to write.
_NOTHING = frozenset({"null", "none", "nan", "undefined", "nil", "(null)", "<null>"})
#: Shorter values mostly come again: their kind is remembered.
LONG = 40
#: Numbers kept for the middle one; of more, every other, and so on.
KEPT = 2000


class Values:
    """What one column showed so far."""

    __slots__ = (
        "_apart", "_blank", "_codes", "_compact", "_first", "_fractions", "_greatest", "_kinds",
        "_least", "_nothing", "_numbers", "_same", "_seen",
    )  # fmt: skip

    def __init__(self) -> None:
        self._kinds: Counter[str] = Counter()
        self._blank = self._codes = self._compact = self._nothing = self._fractions = self._seen = 0
        self._least: str | None = None
        self._greatest: str | None = None
        self._first: str | None = None
        self._same = True
        self._numbers: list[float] = []
        self._apart = 1

    def note(self, cell: str) -> None:
        """One more value."""
        text = cell.strip()
        if not text:
            self._blank += 1
            return
        kind = kind_of(text)
        self._kinds[kind] += 1
        if self._first is None:
            self._first = text
        elif self._same and text != self._first:
            self._same = False
        if kind in NUMBERS:
            self._number(kind, text)
        elif kind == "text":
            self._nothing += text.lower() in _NOTHING
        else:
            self._day(text[:19] if kind == "date" else _iso(text))

    def _day(self, day: str) -> None:
        if self._least is None or day < self._least:
            self._least = day
        if self._greatest is None or day > self._greatest:
            self._greatest = day

    def _number(self, kind: str, text: str) -> None:
        if kind == "integer":
            self._codes += len(text) > 1 and text[0] == "0"
            if self._compact == self._seen and _COMPACT.fullmatch(text):
                self._compact += 1
                self._day(f"{text[:4]}-{text[4:6]}-{text[6:8]}" + f"T{text[8:]}" * (len(text) > 8))
        if kind in {"decimal", "decimal_comma"} and text.rstrip("0")[-1] not in ".,":
            self._fractions += 1
        self._seen += 1
        if self._seen % self._apart == 0:
            self._numbers.append(float(text.replace(",", ".")))
            if len(self._numbers) > KEPT:
                del self._numbers[::2]
                self._apart *= 2

    def column(self, name: str) -> Column:
        """The column that these are the values of."""
        kinds = self._kinds
        seen = kinds.total()
        total = seen + self._blank
        if not seen:
            return Column(name, "blank", 1.0, 1.0 if total else 0.0)
        kind, times = kinds.most_common(1)[0]
        numbers = sum(kinds[each] for each in NUMBERS)
        if kind == "integer" and kinds["decimal"] + kinds["decimal_comma"]:
            # 1, 2.5, 3: decimals, some of which are whole
            kind = max(("decimal", "decimal_comma"), key=lambda each: kinds[each])
        if kind in {"decimal", "decimal_comma", "exponent"}:
            other = {"decimal": "decimal_comma", "decimal_comma": "decimal"}.get(kind, "")
            times = numbers - kinds[other]
        dated = kind in {"date", "date_fr"} or (kind == "integer" and self._compact == seen)
        sizes = sorted(self._numbers) if numbers > seen / 2 else []
        return Column(
            name,
            kind,
            round(min(1.0, times / seen), 4),
            round(self._blank / total, 4),
            round(self._codes / seen, 4),
            self._least if dated else None,
            self._greatest if dated else None,
            sizes=(_short(sizes[0]), _short(sizes[len(sizes) // 2]), _short(sizes[-1]))
            if sizes
            else None,
            fractions=round(self._fractions / seen, 4),
            nothing=round(self._nothing / seen, 4),
            same=self._first[:40] if self._same and self._first and seen > 1 else None,
        )


def kind_of(cell: str) -> str:
    """The kind of one value."""
    return _kind_of(cell) if len(cell) < LONG else _kind_of.__wrapped__(cell)


@lru_cache(4096)
def _kind_of(cell: str) -> str:
    for kind, pattern in _KINDS:
        if pattern.fullmatch(cell):
            return kind
    return "text"


def looks_like_data(names: Sequence[str]) -> bool:
    """Whether these names of columns are rather values."""
    return all(kind_of(name) in {"integer", "decimal", "date"} for name in names)


def _short(number: float) -> float:
    return float(f"{number:.4g}")


def _iso(text: str) -> str:
    day, month, year = re.split("[ T]", text, maxsplit=1)[0].split("/")
    return f"{year if len(year) == 4 else '20' + year}-{month:0>2}-{day:0>2}"
