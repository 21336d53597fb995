"""Measures ours beside what users would pick instead: ``make bench`` (ARGS='--short').

Prints the table; a whole run writes it to docs/performance.md, and what only a long one measures
(``--long``) stands there by hand. Ends with 1, and says which rows,
when a ratio falls short of its goal.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from bench import ROOT, machine
from bench.measures import MEASURES
from bench.table import FORMS, Effort, Form, Row

PAGE = ROOT / "docs" / "performance.md"
#: What comes from here on is written by hand, and a run leaves it as it is.
_APART = "\n## Measured apart\n"

_HEAD = """\
# Performance, beside what users would pick

Written by `make bench`; both sides of a row run in turn in one run, and the ratio is the median of
the rounds. Only ratios count: the same program moves by half from one hour to the next on a shared
machine. A goal that is missed makes `make bench` fail.
"""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--short", action="store_true", help="a minute at most; writes no page")
    parser.add_argument(
        "--long",
        action="store_true",
        help="all that can be measured, however long it takes; writes no page",
    )
    parser.add_argument("--only", metavar="NAME", choices=[each.name for each in MEASURES],
                        action="append", help="this measure alone; writes no page")  # fmt: skip
    asked = parser.parse_args(arguments)
    form: Form = "short" if asked.short else "long" if asked.long else "whole"
    chosen = [
        each
        for each in MEASURES
        if (asked.only and each.name in asked.only)
        or (not asked.only and FORMS.index(each.form) <= FORMS.index(form))
    ]
    about, began = machine.description(), time.monotonic()
    tables: list[tuple[str, list[Row], float]] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        for measure in chosen:
            print(f"{measure.name}…", file=sys.stderr, flush=True)
            since = time.monotonic()
            rows = list(measure.run(Effort(form, Path(directory))))
            tables.append((measure.title, rows, time.monotonic() - since))
            # at once: a measure that fails later takes nothing away
            print("\n".join(_table(*tables[-1])), flush=True)
    took = time.monotonic() - began
    print("\n".join(["", *_taken(about, took)]))
    if form == "whole" and not asked.only:
        page = _page(about, took, tables)
        _, apart, rest = PAGE.read_text(encoding="utf-8").partition(_APART)
        PAGE.write_text(page + apart + rest, encoding="utf-8")
    missed = [row for _, rows, _ in tables for row in rows if row.short]
    for row in missed:
        print(f"FALLS SHORT: {row.name}: {row.ratio:.2f}, wanted {row.goal}", file=sys.stderr)
    return 1 if missed else 0


def _page(about: list[str], took: float, tables: list[tuple[str, list[Row], float]]) -> str:
    lines = [_HEAD, *_taken(about, took), *(line for each in tables for line in _table(*each))]
    return "\n".join(lines) + "\n"


def _taken(about: list[str], took: float) -> list[str]:
    day = datetime.fromtimestamp(time.time(), UTC)
    return [f"Measured on {day:%d %B %Y} in {took:.0f} s:", "", *(f"- {line}" for line in about)]


def _table(title: str, rows: list[Row], spent: float) -> list[str]:
    head = ["| | ours | theirs | ratio | goal |", "|---|---|---|---|---|"]
    return ["", f"## {title}", "", f"Measured in {spent:.0f} s.", "", *head] + [
        f"| {row.name} | {row.ours} | {row.theirs} | {row.ratio:.2f} | {_verdict(row)} |"
        for row in rows
    ]


def _verdict(row: Row) -> str:
    if row.goal is None:
        return "—"
    return f"{row.goal} {'**missed**' if row.short else 'reached'}"


if __name__ == "__main__":
    sys.exit(main())
