"""JSON, GeoJSON and XML: read from end to end as a stream, whatever their size."""

from __future__ import annotations

import codecs
import json
from collections import Counter
from collections.abc import Generator
from dataclasses import replace
from typing import Any
from xml.parsers import expat

import ijson

from publisher_daemon.profile import Column, Finding, Profile

#: Names of columns are gathered from this many objects.
NAMED = 2000
#: Coordinates as large as this are those of a projection.
PROJECTED = 1000
#: Where France lies when longitude and latitude are exchanged.
EXCHANGED = ((41.0, 51.6), (-5.6, 9.9))
#: What the answer of a service that failed consists of.
FAILURE = frozenset({
    "status", "statuscode", "code", "message", "msg", "detail", "details", "title", "type", "path",
    "instance", "timestamp", "error", "errors",
})  # fmt: skip
#: And the root of one in XML: those of maps (WFS, WMS), SOAP, object stores.
FAULTS = frozenset({"ExceptionReport", "ServiceExceptionReport", "ServiceException", "Error"})
#: Elements of one name, of which fewer are no rows of anything.
FEW = 20
#: WGS 84 in degrees, with a little room for rounding.
LONGITUDE, LATITUDE = 180.0001, 90.0001


class Json:
    """A JSON document: an array of objects, GeoJSON features, or anything else that is valid."""

    def __init__(self, size: int, *, geo: bool = False) -> None:
        self._size = size
        self._geo = geo
        self._events: Any = ijson.sendable_list()
        self._coroutine: Any = ijson.basic_parse_coro(self._events, use_float=True)
        self._problem: str | None = None
        self._marked: bool | None = None
        self._state = _Shape(geo=geo)
        self._walk = self._state.walk()
        next(self._walk)

    def feed(self, block: bytes) -> bool:
        """Parse the next block."""
        if self._marked is None:
            self._marked = block.startswith(codecs.BOM_UTF8)
            block = block.removeprefix(codecs.BOM_UTF8)
        if self._problem is None:
            self._send(block)
        return True

    def _send(self, block: bytes) -> None:
        try:
            if block:
                self._coroutine.send(block)
            else:
                self._coroutine.close()
        except (ijson.JSONError, UnicodeDecodeError, ValueError) as error:
            self._problem = str(error).strip().splitlines()[0][:160] if str(error) else "?"
        for event in self._events:
            self._walk.send(event)
        del self._events[:]

    def profile(self) -> Profile:
        """What it holds."""
        if self._problem is None:
            self._send(b"")
        shape = self._state
        findings: list[Finding] = []
        if self._problem is not None:
            findings.append(
                Finding("invalid_json", f"It is no valid JSON, or it is cut off: {self._problem}.")
            )
        elif self._geo:
            findings += shape.geography()
        if self._marked:
            findings.append(
                Finding(
                    "mark",
                    "It begins with a byte order mark, which JSON does not have: some programs "
                    "will not read it.",
                    "warn",
                )
            )
        if self._problem is None and shape.is_error() and self._size < 20_000:
            findings.append(
                Finding("error_message", "It holds the error message of a service, not data.")
            )
        if self._problem is None and shape.rows == 0:
            findings.append(Finding("no_rows", "It is valid and empty: no object in it.", "warn"))
        # what few of the objects have comes and goes; only what is usual is compared
        usual = min(shape.rows or 0, NAMED) / 10
        columns = [
            Column(name, "text", 0.0) for name, times in shape.names.items() if times > usual
        ]
        if shape.box:
            for name, (least, greatest) in zip(("x", "y"), shape.box, strict=True):
                columns.append(
                    Column(f"({name})", "place", 1.0, 0.0, 0.0, f"{least}", f"{greatest}")
                )
        return Profile(
            size=self._size,
            kind="geojson" if self._geo else "json",
            rows=shape.rows,
            columns=tuple(columns),
            findings=tuple(findings),
        )


class _Shape:
    """What the events of the parser tell of the document."""

    def __init__(self, *, geo: bool) -> None:
        self._geo = geo
        self.rows: int | None = None
        self.names: dict[str, int] = {}
        self.type: str | None = None
        self.error = False
        self._first: set[str] = set()
        self.outside = self.impossible = 0
        self.box: tuple[tuple[float, float], tuple[float, float]] | None = None

    def walk(self) -> Generator[None, tuple[str, Any], None]:  # noqa: C901, PLR0912 - one case an event
        """Follow the events; where the rows are depends on what the document is."""
        path: list[str] = []
        numbers: list[float] = []
        name = ""
        while True:
            event, value = yield
            if event in {"start_map", "start_array"}:
                path.append(name if event == "start_map" else f"{name}[]")
                numbers = []
                if event == "start_map" and self._is_row(path):
                    self.rows = (self.rows or 0) + 1
                elif event == "start_array" and self._is_table(path):
                    self.rows = self.rows or 0
                name = ""
            elif event in {"end_map", "end_array"}:
                if self._geo and len(numbers) >= 2 and "coordinates[]" in path:
                    self._place(numbers[0], numbers[1])
                numbers = []
                path.pop()
            elif event == "map_key":
                name = value
                if self._is_named(path) and (self.rows or 0) <= NAMED:
                    self.names[value] = self.names.get(value, 0) + 1
                if path == [""] and len(self._first) <= len(FAILURE):
                    self._first.add(value.lower())
                if len(path) == 1 and value in {"error", "errors", "exception", "fault"}:
                    self.error = True
            else:
                if event == "number" and path and path[-1].endswith("[]"):
                    numbers.append(value)
                elif name == "type" and len(path) == 1:
                    self.type = str(value)
                if event != "number":
                    numbers = []
                if path and path[-1].endswith("[]") is False:
                    name = ""

    def is_error(self) -> bool:
        """Whether it is the answer of a service that failed."""
        said = self._first & {"message", "msg", "detail", "title"}
        coded = self._first & {"status", "statuscode", "code"}
        failed = said and coded and self._first <= FAILURE
        return bool(self.error or failed) and (self.rows or 0) <= 1

    def _is_table(self, path: list[str]) -> bool:
        if self._geo:
            return path == ["", "features[]"]
        return path == ["[]"] or (len(path) == 2 and not path[0].endswith("[]"))

    def _is_row(self, path: list[str]) -> bool:
        return len(path) >= 2 and self._is_table(path[:-1])

    def _is_named(self, path: list[str]) -> bool:
        if self._geo:
            return path[1:2] == ["features[]"] and path[-1] == "properties" and len(path) == 4
        return self._is_row(path)

    def _place(self, x: float, y: float) -> None:
        if abs(x) > LONGITUDE or abs(y) > LATITUDE:
            self.outside += 1
            # projections count in metres; no convention knows such degrees
            self.impossible += LATITUDE < abs(y) < PROJECTED > abs(x)
        if self.box is None:
            self.box = ((x, x), (y, y))
            return
        (left, right), (low, high) = self.box
        self.box = ((min(left, x), max(right, x)), (min(low, y), max(high, y)))

    def geography(self) -> list[Finding]:
        """What is wrong with it as GeoJSON."""
        geometries = {
            "Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon",
            "GeometryCollection", "Feature", "FeatureCollection",
        }  # fmt: skip
        if self.type not in geometries:
            what = f"“{self.type}”" if self.type else "missing"
            return [
                Finding(
                    "not_geojson",
                    f"It is valid JSON and no GeoJSON: its “type” is {what}, not "
                    "“FeatureCollection”.",
                )
            ]
        if self.impossible:
            why = (
                f"{self.impossible:,} of its positions are nowhere: no latitude is beyond 90 "
                "degrees."
            )
            return [Finding("coordinates", why)]
        if self.box and all(
            least >= low and greatest <= high
            for (least, greatest), (low, high) in zip(self.box, EXCHANGED, strict=True)
        ):
            return [
                Finding(
                    "exchanged",
                    "Its places lie in Somalia and the sea beside it; with longitude and latitude "
                    "exchanged, they would lie in France: GeoJSON wants the longitude first.",
                    "warn",
                )
            ]
        if self.outside:
            return [
                Finding(
                    "coordinates",
                    f"{self.outside:,} of its positions are no longitudes and latitudes in "
                    "degrees (WGS 84), as GeoJSON wants them: another projection?",
                    "warn",
                )
            ]
        return []


class JsonLines:
    """One JSON document a line."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._carry = b""
        self._rows = 0
        self._names: dict[str, int] = {}
        self._bad: int | None = None

    def feed(self, block: bytes) -> bool:
        """Parse the lines of a block."""
        *lines, self._carry = (self._carry + block).split(b"\n")
        for line in lines:
            self._line(line)
        return True

    def _line(self, line: bytes) -> None:
        if not line.strip():
            return
        self._rows += 1
        try:
            found = json.loads(line)
        except ValueError:
            self._bad = self._bad or self._rows
            return
        if isinstance(found, dict) and self._rows <= NAMED:
            for name in found:
                self._names[name] = self._names.get(name, 0) + 1

    def profile(self) -> Profile:
        """What it holds."""
        self._line(self._carry)
        findings = (
            [Finding("invalid_json", f"Its line {self._bad:,} is no valid JSON, or is cut off.")]
            if self._bad
            else []
        )
        usual = min(self._rows, NAMED) / 10
        columns = tuple(
            Column(name, "text", 0.0) for name, times in self._names.items() if times > usual
        )
        return Profile(
            self._size, "json", rows=self._rows, columns=columns, findings=tuple(findings)
        )


class Xml:
    """An XML document that is read to its end; its rows are the elements that come most often."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._parser = expat.ParserCreate()
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._problem: str | None = None
        self._depth = 0
        self._root = ""
        #: how often each name stands, nearest to the root
        self._names: list[Counter[str]] = [Counter() for _ in range(3)]

    def _start(self, name: str, _: dict[str, str]) -> None:
        if self._depth == 0:
            self._root = name.rpartition(":")[2]
        elif self._depth <= len(self._names):
            self._names[self._depth - 1][name] += 1
        self._depth += 1

    def _end(self, _: str) -> None:
        self._depth -= 1

    def feed(self, block: bytes) -> bool:
        """Parse the next block."""
        self._parse(block, last=False)
        return True

    def _parse(self, block: bytes, *, last: bool) -> None:
        if self._problem is not None:
            return
        try:
            self._parser.Parse(block, last)
        except expat.ExpatError as error:
            self._problem = str(error)

    def profile(self) -> Profile:
        """Whether it is whole, and how many things it is about."""
        self._parse(b"", last=True)
        found = Profile(self._size, "xml", rows=self._rows())
        if self._problem is not None:
            why = f"It is no valid XML, or it is cut off: {self._problem}."
            return Profile(self._size, "xml", findings=(Finding("invalid_xml", why),))
        fault = any(name.rpartition(":")[2] == "Fault" for name in self._names[1])
        if self._root in FAULTS or (self._root == "Envelope" and fault):
            why = "It holds the error message of a service, not data."
            return replace(found, findings=(Finding("error_message", why),))
        return found

    def _rows(self) -> int | None:
        """The first level of elements at which there are many of one name; None: no such."""
        most = (max(names.values(), default=0) for names in self._names)
        return next((times for times in most if times >= FEW), None)
