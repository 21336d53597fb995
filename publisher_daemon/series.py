"""Says which files of a series count: "mesures_{date}.csv", every day, as one resource or as some.

Only names decide, never the dates that a file system shows: a copy, a restored backup or a file
that comes late must not pass for the newest. What a name does not tell is never guessed at.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from heapq import nlargest

from publisher_daemon.model import Rule, Watch
from publisher_daemon.naming import match, parts_of

Order = tuple[int, ...]

#: Why a file that is older than what counts is not published.
AMONG_NEWER = (
    "A newer file of its series is in the folder or on the portal, so this one is not published "
    "(`keep` in its rule says how many are)."
)

#: The parts that tell which of two files is newer, the strongest first, in English and in French.
_RANKED = (
    ("date",),
    ("year", "annee", "an"),
    ("semester", "semestre"),
    ("quarter", "trimestre"),
    ("month", "mois"),
    ("week", "semaine"),
    ("day", "jour"),
    ("hour", "heure"),
    ("minute",),
    ("version", "revision", "edition", "number", "numero", "num", "n", "v"),
)
_RANKS = {name: rank for rank, names in enumerate(_RANKED) for name in names}
_MONTHS = (
    ("janvier", "january", "janv", "jan"), ("fevrier", "février", "february", "fev", "févr", "feb"),
    ("mars", "march", "mar"), ("avril", "april", "avr", "apr"), ("mai", "may"),
    ("juin", "june", "jun"), ("juillet", "july", "juil", "jul"),
    ("aout", "août", "august", "aug"), ("septembre", "september", "sept", "sep"),
    ("octobre", "october", "oct"), ("novembre", "november", "nov"),
    ("decembre", "décembre", "december", "dec", "déc"),
)  # fmt: skip
_MONTH_NAMES = {name: number for number, names in enumerate(_MONTHS, 1) for name in names}

_TIME = r"(?:[T _-]?(?P<hour>[0-2]\d)[:h_-]?(?P<minute>[0-5]\d)(?:[:_-]?(?P<second>[0-5]\d))?Z?)?"
_DATES = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?P<year>\d{{4}})[-_. ]?(?P<month>\d\d)[-_. ]?(?P<day>\d\d){_TIME}",
        # 8 digits are never both: 19…, 20… and 21… are no months
        rf"(?P<day>\d\d)[-_. ]?(?P<month>\d\d)[-_. ]?(?P<year>\d{{4}}){_TIME}",
        r"(?P<year>\d{4})[-_. ]?(?P<month>\d\d)",
        r"(?P<year>\d{4})[-_. ]?[WS](?P<week>\d\d)",
        r"(?P<year>\d{4})",
    )
)
#: Files before a new one that tell what is normal: two weeks of days, with their Sundays.
EARLIER = 14
_YEARS = range(1900, 2101)


@dataclass(frozen=True, slots=True, order=True)
class Name:
    """Which series: a rule of a folder, and the parts of the name that are the same all along."""

    rule: int
    same: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class Family:
    """The files of one series, by path."""

    rule: Rule
    #: how new each is; None: its name does not tell
    orders: dict[str, Order | None] = field(default_factory=dict)

    def beaten(self, paths: Iterable[str], by: Iterable[str]) -> set[str]:
        """Those of ``paths`` that as many of ``by`` as the series keeps are surely newer than."""
        known = [order for path in by if (order := self.orders[path]) is not None]
        best = nlargest(self.rule.last, known)
        return {
            path
            for path in paths
            if len(best) == self.rule.last
            and (order := self.orders[path]) is not None
            and all(newer(other, order) for other in best)
        }


def newer(one: Order, other: Order) -> bool:
    """Whether the first is surely newer; "2026-11" says nothing about a day of that month."""
    common = min(len(one), len(other))
    return one[:common] > other[:common]


def ordering(rule: Rule) -> tuple[str, ...]:
    """The parts of the names that say which file is newer, the strongest first."""
    if rule.order:
        return rule.order
    known = [name for name in parts_of(rule.match) if name.lower() in _RANKS]
    return tuple(sorted(known, key=lambda name: _RANKS[name.lower()]))


def member(watch: Watch, path: str) -> tuple[Name, Order | None] | None:
    """The series that a file counts in, and how new it is there; None: it is of none."""
    found = line_of(watch, path)
    return None if found is None or watch.rules[found[0].rule].keep == "each" else found


def line_of(watch: Watch, path: str) -> tuple[Name, Order | None] | None:
    """The series a file is of, though each of its files may be a resource; None: it is of none."""
    for index, rule in enumerate(watch.rules):
        parts = match(rule.match, path)
        if parts is None:
            continue
        names = ordering(rule)
        if not names:
            return None
        same = tuple(sorted((name, text) for name, text in parts.items() if name not in names))
        order: Order = ()
        for name in names:
            value = _value(name, parts[name])
            if value is None:
                return Name(index, same), None
            order += value
        return Name(index, same), order
    return None


def families(watch: Watch, paths: Iterable[str]) -> dict[Name, Family]:
    """These files by series; those of no series are left out."""
    if all(rule.keep == "each" for rule in watch.rules):
        return {}
    found: dict[Name, Family] = {}
    for path in sorted(paths):
        place = member(watch, path)
        if place is not None:
            name, order = place
            found.setdefault(name, Family(watch.rules[name.rule])).orders[path] = order
    return found


class Predecessors:
    """Finds, for a new file of a series, the published ones that come just before it."""

    def __init__(self, watches: Iterable[Watch], published: Iterable[tuple[str, str, str]]) -> None:
        """``published`` are folder, path and sha1 of what is there."""
        known = {watch.name: watch for watch in watches if any(map(ordering, watch.rules))}
        self._lines: dict[tuple[str, Name], list[tuple[Order, str]]] = {}
        for folder, path, sha1 in published:
            place = line_of(known[folder], path) if folder in known else None
            if place is not None and place[1] is not None:
                self._lines.setdefault((folder, place[0]), []).append((place[1], sha1))
        for line in self._lines.values():
            line.sort()

    def before(self, folder: str, name: Name, order: Order) -> tuple[str, ...]:
        """The sha1 of the newest published files that are older than this, the newest last."""
        line = self._lines.get((folder, name), [])
        at = bisect_left(line, (order, ""))
        return tuple(sha1 for _, sha1 in line[max(0, at - EARLIER) : at])


def set_aside(watch: Watch, present: Iterable[str], published: Iterable[str]) -> set[str]:
    """The files that need not even be read: the series goes without them."""
    there, ours = set(present), set(published)
    aside: set[str] = set()
    for family in families(watch, there | ours).values():
        paths = family.orders.keys()
        # a resource whose file is gone stays in the window of "last"; for "latest" the planner
        # must see the file that may be the gone one under another name
        rivals = paths & there if family.rule.keep == "latest" else paths
        aside |= family.beaten((paths & there) - ours, rivals)
    return aside


def _value(name: str, text: str) -> Order | None:
    """What one part of a name is worth, as numbers; None when it cannot be told."""
    low = name.lower()
    if low == "date":
        return _date(text)
    if low in {"month", "mois"} and text.lower() in _MONTH_NAMES:
        return (_MONTH_NAMES[text.lower()],)
    if low in _RANKS and low not in _RANKED[-1]:
        found = re.fullmatch(r"[A-Za-z]?(\d{1,4})", text)
        if found is None:
            return None
        number = int(found[1])
        short_year = low in _RANKED[1] and len(found[1]) == 2
        return (number + 2000 if short_year else number,)
    if re.fullmatch(r"[vV]?\d+(?:[._]\d+)*", text) and (low in _RANKED[-1] or len(text) < 4):
        return tuple(map(int, re.findall(r"\d+", text)))
    return _date(text) or (tuple(map(int, re.findall(r"\d+", text))) if text.isdigit() else None)


def _date(text: str) -> Order | None:
    for pattern in _DATES:
        found = pattern.fullmatch(text)
        if found is None:
            continue
        parts = {name: int(value) for name, value in found.groupdict().items() if value}
        if parts["year"] not in _YEARS:
            continue
        try:
            if "week" in parts:
                day = date.fromisocalendar(parts["year"], parts["week"], 1)
                return (day.year, day.month, day.day)
            date(parts["year"], parts.get("month", 1), parts.get("day", 1))
        except ValueError:
            continue
        names = ("year", "month", "day", "hour", "minute", "second")
        return tuple(parts[name] for name in names if name in parts)
    return None
