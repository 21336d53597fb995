"""Computed values: ``{latest}`` in a text, or as a date, is what the files say at each refresh.

| written | stands for |
|---|---|
| ``today``, ``{today}`` | the day of the refresh, in the dataset's timezone |
| ``{files}`` | how many of our files the dataset holds |
| ``{last_publication}`` | the day the newest of them was published |
| ``{earliest}``, ``{latest}`` | the first and the last day that their names tell |
| ``{earliest:date}``, ``{latest:date}`` | the first and the last day in their column ``date`` |

Of one file (``words_of_file``), they are its own: its name, its column, and for ``today`` too the
day it was published, since each write of its words counts as an update of its data on the portal.

Any of the days may be moved: ``{last_publication+30d}``. A name that tells a year or a month covers
all of it, but not the days to come of the present one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from publisher_daemon.model import Words
from publisher_daemon.naming import readable

_VALUE = re.compile(
    r"\{(?:(?P<plain>today|files|last_publication)|(?P<end>earliest|latest)(?::(?P<column>[^{}+]+))?)"
    r"(?:\+(?P<days>\d{1,4})d)?\}"
)
#: dates in a file's name, the most precise first; nothing that is a digit may touch them
_IN_NAMES = (
    re.compile(r"(?<!\d)(?P<y>(?:19|20)\d\d)(?P<s>[-_.]?)(?P<m>0[1-9]|1[0-2])(?P=s)(?P<d>[0-3]\d)(?!\d)"),
    re.compile(r"(?<!\d)(?P<d>[0-3]\d)(?P<s>[-_.])(?P<m>0[1-9]|1[0-2])(?P=s)(?P<y>(?:19|20)\d\d)(?!\d)"),
    re.compile(r"(?<!\d)(?P<y>(?:19|20)\d\d)[-_.]?(?P<m>0[1-9]|1[0-2])(?!\d)"),
    re.compile(r"(?<!\d)(?P<y>(?:19|20)\d\d)(?!\d)"),
)  # fmt: skip
#: how a cell of a file may write a day: as ISO 8601 does, or day first as in French
_IN_CELLS = (
    re.compile(r"(?P<y>\d{4})[-/](?P<m>\d{1,2})[-/](?P<d>\d{1,2})(?:[T ].*)?"),
    re.compile(r"(?P<y>\d{4})(?P<m>\d{2})(?P<d>\d{2})(?:T.*)?"),
    re.compile(r"(?P<d>\d{1,2})[-/.](?P<m>\d{1,2})[-/.](?P<y>\d{4})(?: .*)?"),
    re.compile(r"(?P<y>\d{4})-(?P<m>\d{2})"),
    re.compile(r"(?P<y>\d{4})"),
)

Span = tuple[date, date]


class NoValue(Exception):
    """A computed value has none now; the message says why, in a sentence."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What computed values are made of."""

    today: date
    #: the paths of our files that the dataset holds
    names: tuple[str, ...] = ()
    published: date | None = None
    #: the days in a column of theirs, or why it has none
    columns: Mapping[str, Span | str] = field(default_factory=dict)


def computed_names(text: str) -> tuple[str, ...]:
    """The computed values a text asks for, as they are written."""
    return tuple(found[0] for found in _VALUE.finditer(text))


def has_values(said: Any) -> bool:
    """Whether the configured value is computed at each refresh."""
    return any(text == "today" or _VALUE.search(text) for text in _texts(said))


def columns_of(said: Any) -> frozenset[str]:
    """The columns whose days are needed."""
    return frozenset(
        found["column"]
        for text in _texts(said)
        for found in _VALUE.finditer(text)
        if found["column"] is not None
    )


def _texts(said: Any) -> Iterator[str]:
    if isinstance(said, str):
        yield said
    elif isinstance(said, Mapping):
        for inner in said.values():
            yield from _texts(inner)
    elif isinstance(said, list | tuple):
        for inner in said:
            yield from _texts(inner)


def compute(said: Any, facts: Facts) -> Any:
    """The value to write; raises NoValue."""
    if said == "today":
        return facts.today.isoformat()
    if isinstance(said, str):
        return _VALUE.sub(lambda found: _one(found, facts), said)
    if isinstance(said, Mapping):
        return {name: compute(inner, facts) for name, inner in said.items()}
    if isinstance(said, list | tuple):
        return [compute(inner, facts) for inner in said]
    return said


def words_of_file(
    words: Words, before: Words, facts: Callable[[frozenset[str]], Facts]
) -> tuple[Words, tuple[tuple[str, str, str], ...]]:
    """What is said of one file, values in place, and what has none: (field, as written, why).

    A word without a value stays as it was applied ``before``. ``facts`` is asked for columns.
    """
    said, unsaid = words.said(), []
    computed = {name: text for name, text in said.items() if _VALUE.search(text)}
    if not computed:
        return words, ()
    known = facts(columns_of(list(computed.values())))
    for name, text in computed.items():
        try:
            said[name] = str(compute(text, known))
        except NoValue as why:
            unsaid.append((name, text, str(why)))
            del said[name]
            if name in before.said():
                said[name] = before.said()[name]
    return Words.of(said), tuple(unsaid)


def without_values(text: str, facts: Facts) -> str | None:
    """The text with its values, or None when one of them is not known yet."""
    try:
        return str(compute(text, facts))
    except NoValue:
        return None


def _one(found: re.Match[str], facts: Facts) -> str:
    if found["plain"] == "files":
        return str(len(facts.names))
    if found["plain"] == "today":
        at = facts.today
    elif found["plain"] == "last_publication":
        if facts.published is None:
            raise NoValue("Nothing of this dataset was published yet.")
        at = facts.published
    else:
        span = _column(found["column"], facts) if found["column"] else _names(facts)
        at = span[0] if found["end"] == "earliest" else span[1]
    try:
        return (at + timedelta(days=int(found["days"] or 0))).isoformat()
    except OverflowError:
        raise NoValue(f"{at} and {found['days']} days is no date.") from None


def _column(name: str, facts: Facts) -> Span:
    span = facts.columns.get(name, f"No file of this dataset has a column “{name}”.")
    if isinstance(span, str):
        raise NoValue(span)
    return span


def _names(facts: Facts) -> Span:
    spans = [span for name in facts.names for span in in_name(name)]
    if not spans and len(facts.names) == 1:
        raise NoValue(f"The name “{readable(facts.names[0])}” tells no date.")
    if not spans:
        raise NoValue("No file of this dataset has a date in its name.")
    last = max(span[1] for span in spans)
    if last > facts.today and any(first <= facts.today <= end for first, end in spans):
        # the year or month that goes on is covered up to now
        last = max([facts.today, *(end for first, end in spans if first > facts.today)])
    return min(span[0] for span in spans), last


def in_name(path: str) -> Iterator[Span]:
    """The days that a file's name tells; a year alone is all of its days."""
    left = path.rpartition("/")[2]
    for pattern in _IN_NAMES:
        for found in pattern.finditer(left):
            span = _span(found.groupdict())
            if span is not None:
                yield span
                left = left.replace(found[0], "\0" * len(found[0]), 1)


def day(cell: str) -> Span | None:
    """The day, month or year that a cell of a file tells; None when it tells none."""
    text = cell.strip()
    for pattern in _IN_CELLS:
        found = pattern.fullmatch(text)
        if found is not None:
            return _span(found.groupdict())
    return None


def _span(parts: Mapping[str, str | None]) -> Span | None:
    year, month, number = (int(parts.get(part) or 0) for part in ("y", "m", "d"))
    try:
        if number:
            at = date(year, month, number)
            return at, at
        if month:
            following = date(year + month // 12, month % 12 + 1, 1)
            return date(year, month, 1), following - timedelta(days=1)
        return date(year, 1, 1), date(year, 12, 31)
    except ValueError:
        return None


def widest(spans: Iterable[Span]) -> Span | None:
    """From the first day of all to the last; None when there is none."""
    every = list(spans)
    return (min(first for first, _ in every), max(last for _, last in every)) if every else None
