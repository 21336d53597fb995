"""The words of a benchmark: a row compares ours with theirs and says whether the goal is reached.

Only ratios are goals: both sides run in turn, in one run, on one machine, so that what the machine
does besides strikes both. A measure is a function that gives rows; ``measures.py`` lists them all.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Goal:
    """What a ratio (ours / theirs) must be."""

    limit: float
    at_least: bool

    def reached(self, ratio: float) -> bool:
        return ratio >= self.limit if self.at_least else ratio <= self.limit

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.limit:g}"


def at_least(limit: float) -> Goal:
    return Goal(limit, at_least=True)


def at_most(limit: float) -> Goal:
    return Goal(limit, at_least=False)


@dataclass(frozen=True)
class Row:
    """One line of the table; without a goal it is only told."""

    name: str
    ours: str
    theirs: str
    ratio: float
    goal: Goal | None = None

    @property
    def short(self) -> bool:
        """Whether the goal is missed."""
        return self.goal is not None and not self.goal.reached(self.ratio)


#: A minute at most; ten minutes at most; as long as it takes. Each has what the one before has.
FORMS = ("short", "whole", "long")
Form = Literal["short", "whole", "long"]


@dataclass(frozen=True)
class Effort:
    """How much work a run may be."""

    form: Form
    #: for files; removed at the end
    directory: Path

    @property
    def short(self) -> bool:
        """Whether it may take a minute only."""
        return self.form == "short"

    def choose(self, whole: int, short: int, long: int | None = None) -> int:
        if self.form == "long" and long is not None:
            return long
        return short if self.short else whole


@dataclass(frozen=True)
class Measure:
    """A group of rows that are measured together."""

    name: str
    title: str
    run: Callable[[Effort], Iterable[Row]]
    #: the least form that it is in
    form: Form = "short"


def in_turns(rounds: int, sides: Mapping[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Run every side once a round, in an order that changes; a side gives its own figure."""
    order = random.Random(0)
    figures: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        names = list(sides)
        order.shuffle(names)
        for name in names:
            figures[name].append(sides[name]())
    return figures


def ratio_of(ours: list[float], theirs: list[float]) -> float:
    """The median of the rounds' ratios: a disturbed round counts once."""
    return statistics.median(one / other for one, other in zip(ours, theirs, strict=True))


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def median_of(figures: list[float], unit: str, digits: int = 2) -> str:
    return f"{statistics.median(figures):.{digits}f} {unit}"
