"""Parquet: its description stands at its end; rows, columns and where the data must lie are in it.

The description is Thrift's compact form, of which only the shape is read: no library for it is
smaller than a hundred megabytes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from publisher_daemon.inspection._file import Positioned
from publisher_daemon.profile import MOST_COLUMNS, Column, Finding, Profile

#: Longer descriptions are not read: they are of tens of thousands of columns.
LONGEST = 16 * 1024 * 1024
#: Structures in structures; the real ones are five deep.
DEEPEST = 12
#: What stands before the values of a page is no longer; of so many columns it is looked at.
HEADER = 8 * 1024
CHUNKS = 2000
MAGIC = b"PAR1"


def parquet(source: Positioned, found: Profile) -> Profile:
    """Rows and columns, or what is wrong with it."""
    found = replace(found, kind="parquet")
    tail = source.read_at(max(0, source.size - 8), 8)
    if len(tail) < 8 or tail[4:] != MAGIC:
        return _damaged(found, "The Parquet file is cut off: its end is missing.")
    length = int.from_bytes(tail[:4], "little")
    start = source.size - 8 - length
    if start < len(MAGIC):
        why = "The Parquet file is damaged: its description is longer than the file."
        return _damaged(found, why)
    if length > LONGEST:
        return found
    try:
        said = _Thrift(source.read_at(start, length)).structure()
        rows, groups = int(said[3]), list(said[4])
        names = _top(said[2])
        # a column may be told of elsewhere (encrypted), or in another file
        columns = [
            each[3] for group in groups for each in group[1] if 3 in each and not {1, 8} & {*each}
        ]
        chunks = [column for column in columns if column[5]]
        ends = [_end(column) for column in chunks]
        counted = sum(group[3] for group in groups)
    except (IndexError, KeyError, TypeError, ValueError, RecursionError):
        return _damaged(found, "The Parquet file is damaged: its description cannot be read.")
    if counted != rows or any(end > start for end in ends) or _is_torn(source, chunks):
        why = "The Parquet file is damaged: its data are not where its description says."
        return _damaged(found, why)
    findings = () if rows else (Finding("no_rows", "It has columns and no row.", "warn"),)
    described = tuple(Column(name, "text", 0.0) for name in names[:MOST_COLUMNS])
    return replace(found, rows=rows, columns=described, findings=(*found.findings, *findings))


def _damaged(found: Profile, why: str) -> Profile:
    return replace(found, findings=(Finding("damaged", why),))


def _is_torn(source: Positioned, columns: list[dict[int, Any]]) -> bool:
    """Whether a page does not begin as pages do, where the one before it ends."""
    for column in columns[:CHUNKS]:
        at, end = _start(column), _end(column)
        while at < end:
            page = _Thrift(source.read_at(at, HEADER))
            try:
                said = page.structure()
                sizes = said[2], said[3]
            except IndexError:
                break  # longer than what was read of it
            except (KeyError, TypeError, ValueError, RecursionError):
                return True
            if said.get(1) not in range(4) or min(sizes) < 0:
                return True
            at += page.at + sizes[1]
    return False


def _start(column: dict[int, Any]) -> int:
    return int(min(column[9], column.get(11, column[9])))


def _end(column: dict[int, Any]) -> int:
    """Where the data of a column end: from its first page on, as long as they are."""
    start = _start(column)
    if start < len(MAGIC) or column[7] < 0:
        raise ValueError(start)
    return int(start + column[7])


def _top(elements: list[dict[int, Any]]) -> list[str]:
    """The names of the columns, of which each may be a structure of others."""
    names: list[str] = []
    inside = 0
    for element in elements[1:]:
        if not inside:
            names.append(element[4].decode("utf-8"))
            inside = 1
        inside += element.get(5, 0) - 1
    return names


class _Thrift:
    """Reads Thrift's compact protocol into dictionaries by field number."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def structure(self, depth: int = 0) -> dict[int, Any]:
        """A structure, up to its stop."""
        if depth > DEEPEST:
            raise ValueError(depth)
        fields: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._zigzag()
            kind = head & 15
            fields[number] = kind == 1 if kind in {1, 2} else self._value(kind, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        match kind:
            case 1 | 2 | 3:
                return self._byte()
            case 4 | 5 | 6:
                return self._zigzag()
            case 7:
                return self._take(8)
            case 8:
                return self._take(self._varint())
            case 9 | 10:
                return self._list(depth)
            case 12:
                return self.structure(depth + 1)
            case _:
                raise ValueError(kind)

    def _list(self, depth: int) -> list[Any]:
        head = self._byte()
        size = head >> 4 if head >> 4 < 15 else self._varint()
        if size > len(self._data) - self.at:
            raise ValueError(size)
        return [self._value(head & 15, depth) for _ in range(size)]

    def _byte(self) -> int:
        found = self._data[self.at]
        self.at += 1
        return found

    def _take(self, size: int) -> bytes:
        if size > len(self._data) - self.at:
            raise ValueError(size)
        self.at += size
        return self._data[self.at - size : self.at]

    def _varint(self) -> int:
        found = shift = 0
        while True:
            byte = self._byte()
            found |= (byte & 127) << shift
            if byte < 128:
                return found
            shift += 7
            if shift > 63:
                raise ValueError(shift)

    def _zigzag(self) -> int:
        found = self._varint()
        return found >> 1 ^ -(found & 1)
