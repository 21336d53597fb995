"""Follows every row of a table, to say where it leaves its Table Schema.

A column's values are mostly those of the rows before: only those not yet seen are looked at, and
which they are is found by sets, in C.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from publisher_daemon.profile import Finding
from publisher_daemon.tableschema import Field, TableSchema

#: Values known to be right that are kept of all columns; beyond, the fullest starts anew.
KNOWN = 50_000
#: Keys and unique values that are remembered of all: memory stays flat, and later rows are not
#: compared.
KEYS = 200_000
#: Problems that are told one by one; all are counted.
TOLD = 5


@dataclass(slots=True)
class _Column:
    place: int
    wanted: Field
    right: set[str] = field(default_factory=set)
    #: the first problem, with its row, and how many values have one
    first: tuple[int, str] | None = None
    wrong: int = 0
    empty: int = 0
    empty_at: int = 0
    twice: int = 0
    twice_at: tuple[int, str] = (0, "")
    hashes: set[int] = field(default_factory=set)


class Following:
    """A table against its schema, fed by the table as its rows become whole."""

    def __init__(self, schema: TableSchema) -> None:
        self._schema = schema
        self._narrow = False
        self._rows = 1
        self._width = 0
        self._columns: list[_Column] = []
        self._key: list[int] = []
        self._keys: set[int] = set()
        self._room = KEYS // max(1, sum(one.unique for one in schema.fields) + bool(schema.key))
        self._key_twice = 0
        self._key_at: tuple[int, str] = (0, "")
        self._header: list[str] = []
        self._stopped = False

    def feed(self, rows: bytes, delimiter: str) -> None:
        """Take the next rows, which are whole."""
        try:
            text = rows.decode("utf-8") if not self._narrow else rows.decode("cp1252", "replace")
        except UnicodeDecodeError:
            self._narrow = True
            text = rows.decode("cp1252", "replace")
        if not self._stopped:
            self._read(text.replace("\0", ""), delimiter)

    def _read(self, text: str, delimiter: str) -> None:
        try:
            rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter or ";"))
        except csv.Error:
            self._stopped = True
            return
        if not self._width and rows:
            self._start(rows.pop(0))
        first = self._rows + 1
        self._rows += len(rows)
        numbers: Sequence[int] = range(first, first + len(rows))
        if set(map(len, rows)) - {self._width}:
            # those of another width, and empty lines, are told of as such
            whole = [(at, row) for at, row in enumerate(rows, first) if len(row) == self._width]
            numbers, rows = [at for at, _ in whole], [row for _, row in whole]
        if rows:
            self._look(numbers, rows)

    def _start(self, header: list[str]) -> None:
        self._header = [name.strip() for name in header]
        self._width = len(header)
        places = {name: place for place, name in reversed(list(enumerate(self._header)))}
        self._columns = [
            _Column(places[one.name], one) for one in self._schema.fields if one.name in places
        ]
        if self._schema.key and all(name in places for name in self._schema.key):
            self._key = [places[name] for name in self._schema.key]

    def _look(self, numbers: Sequence[int], rows: list[list[str]]) -> None:
        values = list(zip(*rows, strict=True))
        missing = self._schema.missing
        for column in self._columns:
            these = values[column.place]
            if column.wanted.required and (gone := sum(map(missing.__contains__, these))):
                if not column.empty:
                    column.empty_at = next(
                        at for at, one in zip(numbers, these, strict=True) if one in missing
                    )
                column.empty += gone
            for one in set(these) - column.right - missing:
                problem = column.wanted.problem(one)
                if problem is None:
                    column.right.add(one)
                    continue
                column.wrong += these.count(one)
                at = numbers[these.index(one)]
                if column.first is None or at < column.first[0]:
                    column.first = at, problem
            if column.wanted.unique:
                self._unique(column, numbers, these)
            self._forget()
        if self._key:
            self._key_of(numbers, rows)

    def _forget(self) -> None:
        if sum(len(column.right) for column in self._columns) > KNOWN:
            max(self._columns, key=lambda column: len(column.right)).right.clear()

    def _unique(self, column: _Column, numbers: Sequence[int], these: tuple[str, ...]) -> None:
        for at, one in zip(numbers, these, strict=True):
            if one in self._schema.missing or len(column.hashes) > self._room:
                continue
            if hash(one) in column.hashes:
                column.twice_at = column.twice_at if column.twice else (at, one)
                column.twice += 1
            column.hashes.add(hash(one))

    def _key_of(self, numbers: Sequence[int], rows: list[list[str]]) -> None:
        for at, row in zip(numbers, rows, strict=True):
            key = tuple(row[place] for place in self._key)
            if len(self._keys) > self._room:
                return
            if hash(key) in self._keys:
                self._key_at = self._key_at if self._key_twice else (at, ", ".join(key))
                self._key_twice += 1
            self._keys.add(hash(key))

    # -------------------------------------------------------------------------------- the end

    def findings(self) -> Iterator[Finding]:
        """Where the table leaves the schema, the first places first."""
        wrong = sorted(self._wrong())
        asked = f"The schema “{self._schema.name}” is not followed."
        if wrong:
            yield Finding("schema", asked)
        for _, why in wrong[:TOLD]:
            yield Finding("schema", why)
        if len(wrong) > TOLD:
            yield Finding("schema", f"And {len(wrong) - TOLD:,} more such columns.")
        if not self._header:
            return
        known = self._schema.by_name
        lacking = [one.name for one in self._schema.fields if one.name not in self._header]
        optional = [name for name in lacking if not known[name].required]
        if optional:
            yield Finding(
                "schema_column",
                f"It lacks columns of the schema “{self._schema.name}” that may be missing: "
                f"{_names(optional)}.",
                "warn",
            )
        if more := [name for name in self._header if name and name not in known]:
            yield Finding(
                "schema_column",
                f"It has columns that the schema “{self._schema.name}” does not know: "
                f"{_names(more)}.",
                "warn",
            )

    def _wrong(self) -> Iterator[tuple[int, str]]:
        for one in self._schema.fields:
            if one.required and self._header and one.name not in self._header:
                near = next((h for h in self._header if _plain(h) == _plain(one.name)), None)
                why = f"It has no column “{one.name}”, which every row must have."
                if near is not None:
                    why = f"Its column “{near}” must be called “{one.name}”."
                yield 1, why
        for column in self._columns:
            yield from self._wrong_in(column)
        if self._key_twice:
            at, value = self._key_at
            why = (
                f"Row {at:,}: “{value[:120]}” stood there before, and {_names(self._schema.key)} "
                "together may stand in one row only."
            )
            yield at, why

    @staticmethod
    def _wrong_in(column: _Column) -> Iterator[tuple[int, str]]:
        name, right = column.wanted.name, column.wanted.wanted
        if column.first is not None:
            at, problem = column.first
            said = [f"Row {at:,}, column “{name}”: {problem}."]
            if right != "text" and right not in problem:
                said.append(f"Right would be {right}.")
            if column.wrong > 1:
                said.append(f"In all, {column.wrong:,} of its values are wrong.")
            yield at, " ".join(said)
        if column.empty:
            at = column.empty_at
            said = [f"Row {at:,}, column “{name}”: there is no value, and there must be one."]
            if column.empty > 1:
                said.append(f"In all, {column.empty:,} are missing.")
            yield at, " ".join(said)
        if column.twice:
            at, value = column.twice_at
            why = (
                f"Row {at:,}, column “{name}”: “{value[:60]}” stood there before, and each value "
                "may stand in one row only."
            )
            yield at, why


def _plain(name: str) -> str:
    return name.strip().casefold().replace(" ", "_").replace("-", "_")


def _names(names: list[str] | tuple[str, ...]) -> str:
    said = ", ".join(f"“{name}”" for name in names[:8])
    return f"{said}…" if len(names) > 8 else said
