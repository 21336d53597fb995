"""Table Schema: which columns a table must have, and what may stand in them.

The part of the standard (specs.frictionlessdata.io/table-schema) that can be told of one value, one
column or one key at a time, so that a table of any size is checked as it goes by.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any

#: What a value is compared as: its own kind, so that 9 comes before 10.
Cast = Callable[[str], Any]
_DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Field:
    """One column, as the schema wants it."""

    name: str
    cast: Cast = field(default=str, compare=False, repr=False)
    #: what a right value looks like, for people
    wanted: str = "text"
    required: bool = False
    unique: bool = False
    pattern: re.Pattern[str] | None = None
    shortest: int = 0
    longest: int | None = None
    least: Any = None
    greatest: Any = None
    #: the values that are allowed, as they are written and as they are compared; empty: all
    allowed: tuple[str, ...] = ()
    among: frozenset[Any] = frozenset()

    def problem(self, value: str) -> str | None:
        """Why this value, which is not a missing one, does not follow; None when it does."""
        try:
            found = self.cast(value)
        except (ValueError, InvalidOperation, TypeError):
            return f"“{_short(value)}” is not {self.wanted}"
        if self.among and found not in self.among:
            some = ", ".join(f"“{each}”" for each in self.allowed[:8])
            return f"“{_short(value)}” is none of {some}{'…' if len(self.allowed) > 8 else ''}"
        if self.pattern is not None and not self.pattern.fullmatch(value):
            return f"“{_short(value)}” does not have the form {self.pattern.pattern}"
        if len(value) < self.shortest:
            return f"“{_short(value)}” is shorter than {self.shortest} characters"
        if self.longest is not None and len(value) > self.longest:
            return f"“{_short(value)}” is longer than {self.longest} characters"
        if self.least is not None and found < self.least:
            return f"“{_short(value)}” is less than {self.least}"
        if self.greatest is not None and found > self.greatest:
            return f"“{_short(value)}” is more than {self.greatest}"
        return None


@dataclass(frozen=True, slots=True)
class TableSchema:
    """What a table must be like."""

    #: what people call it: the name or the path that the configuration gives
    name: str
    fields: tuple[Field, ...]
    #: what stands for “no value”
    missing: frozenset[str] = frozenset({""})
    #: the columns whose values together may stand in one row only
    key: tuple[str, ...] = ()
    #: the same by name
    by_name: Mapping[str, Field] = field(default_factory=dict, compare=False, repr=False)


def parsed(name: str, text: str | bytes) -> TableSchema:
    """The schema in this JSON; raises ValueError with a sentence about what is wrong in it."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ValueError(f"it is no valid JSON ({error})") from None
    listed = found.get("fields") if isinstance(found, dict) else None
    if not isinstance(listed, list) or not listed:
        raise ValueError("it has no list of fields: it is no Table Schema")
    said = found.get("missingValues") or [""]
    missing = frozenset(str(one.get("value") if isinstance(one, dict) else one) for one in said)
    fields = tuple(_field(one, place) for place, one in enumerate(listed, 1))
    names = {one.name: one for one in fields}
    key = found.get("primaryKey") or []
    columns = (key,) if isinstance(key, str) else tuple(map(str, key))
    if unknown := [one for one in columns if one not in names]:
        raise ValueError(f"its primaryKey names “{unknown[0]}”, which is none of its fields")
    return TableSchema(name, fields, missing, columns, names)


def _field(one: Any, place: int) -> Field:
    if not isinstance(one, dict) or not isinstance(one.get("name"), str):
        raise ValueError(f"its field {place} has no name")  # noqa: TRY004 - a fault of the text
    rules = one.get("constraints") or {}
    kind, form = str(one.get("type") or "string"), str(one.get("format") or _DEFAULT)
    try:
        cast, wanted = _kind(kind, form, one)
        allowed = tuple(_written(each) for each in rules.get("enum") or ())
        bounds = [rules.get("minimum"), rules.get("maximum")]
        least, greatest = (None if one is None else cast(_written(one)) for one in bounds)
        pattern = rules.get("pattern")
        return Field(
            name=one["name"],
            cast=cast,
            wanted=wanted,
            required=rules.get("required") is True,
            unique=rules.get("unique") is True,
            pattern=None if pattern is None else re.compile(pattern),
            shortest=int(rules.get("minLength") or 0),
            longest=None if rules.get("maxLength") is None else int(rules["maxLength"]),
            least=least,
            greatest=greatest,
            allowed=allowed,
            among=frozenset(map(cast, allowed)),
        )
    except (ValueError, InvalidOperation, TypeError, AttributeError, re.error) as error:
        raise ValueError(f"its field “{one['name']}” cannot be understood ({error})") from None


def _written(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _short(value: str) -> str:
    return value if len(value) <= 60 else value[:60] + "…"


# ------------------------------------------------------------------------------------------ kinds


def _kind(kind: str, form: str, said: Mapping[str, Any]) -> tuple[Cast, str]:
    """How a value of that type is read, and what it looks like."""
    form = form.removeprefix("fmt:")
    match kind:
        case "string":
            return _STRINGS.get(form, (str, "text"))
        case "integer":
            return _integer(bare=said.get("bareNumber", True) is not False), "a whole number"
        case "number":
            point = str(said.get("decimalChar") or ".")
            group = str(said.get("groupChar") or "")
            bare = said.get("bareNumber", True) is not False
            return _number(point, group, bare=bare), f"a number like 3{point}5"
        case "boolean":
            yes = said.get("trueValues") or ["true", "True", "TRUE", "1"]
            no = said.get("falseValues") or ["false", "False", "FALSE", "0"]
            return _boolean(yes, no), f"“{yes[0]}” or “{no[0]}”"
        case "date" | "time" | "datetime" if form not in {_DEFAULT, "any"}:
            right = datetime(2026, 11, 20, 8, 30).strftime(form)  # noqa: DTZ001 - an example
            return lambda value: datetime.strptime(value, form), f"written like {right}"  # noqa: DTZ007
        case "date" | "time" | "datetime" if form == "any":
            return _matching(r"(?=\D*\d)[\w\s:/.,+-]*"), "a date"
        case "geopoint" if form in _PLACES:
            return _PLACES[form]
        case _:
            return _OTHERS.get(kind, (str, "text"))


def _matching(pattern: str) -> Cast:
    compiled = re.compile(pattern)

    def cast(value: str) -> str:
        if compiled.fullmatch(value) is None:
            raise ValueError(value)
        return value

    return cast


def _integer(*, bare: bool) -> Cast:
    form = re.compile(r"([+-]?\d+)" if bare else r"[^\d+-]*([+-]?\d+)\D*")

    def cast(value: str) -> int:
        found = form.fullmatch(value.strip())
        if found is None:
            raise ValueError(value)
        return int(found[1])

    return cast


def _number(point: str, group: str, *, bare: bool) -> Cast:
    number = r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
    form = re.compile(number if bare else rf"[^\d.+-]*{number}\D*")

    def cast(value: str) -> Decimal:
        text = value.strip()
        if text.upper() in {"NAN", "INF", "-INF"}:
            # equal to itself, unlike NaN: it only says that there is no number
            return Decimal(0) if text.upper() == "NAN" else Decimal(text)
        if group:
            text = text.replace(group, "")
        if point != ".":
            if "." in text:
                raise ValueError(value)
            text = text.replace(point, ".")
        found = form.fullmatch(text)
        if found is None:
            raise ValueError(value)
        return Decimal(found[1])

    return cast


def _boolean(yes: list[str], no: list[str]) -> Cast:
    known = {**dict.fromkeys(map(str, no), False), **dict.fromkeys(map(str, yes), True)}

    def cast(value: str) -> bool:
        if value not in known:
            raise ValueError(value)
        return known[value]

    return cast


def _dated(pattern: str, read: Cast) -> Cast:
    form = re.compile(pattern)

    def cast(value: str) -> Any:
        if form.fullmatch(value) is None:
            raise ValueError(value)
        return read(value)

    return cast


def _instant(value: str) -> datetime:
    # all compare with all: what names no zone is taken as it stands
    found = datetime.fromisoformat(value)
    return (found.astimezone(UTC) if found.tzinfo else found).replace(tzinfo=None)


def _hour(value: str) -> time:
    return time.fromisoformat(value).replace(tzinfo=None)


def _base64(value: str) -> str:
    b64decode("".join(value.split()), validate=True)
    return value


def _geojson(value: str) -> str:
    found = json.loads(value)
    if not isinstance(found, dict) or not isinstance(found.get("type"), str):
        raise TypeError(value)
    if found["type"] not in _GEOMETRIES:
        raise ValueError(value)
    return value


def _json(kind: type) -> Cast:
    def cast(value: str) -> str:
        if not isinstance(json.loads(value), kind):
            raise TypeError(value)
        return value

    return cast


def _point(value: str) -> str:
    return _within(value, *value.split(","))


def _point_in_list(value: str) -> str:
    longitude, latitude = json.loads(value)
    return _within(value, longitude, latitude)


def _point_in_object(value: str) -> str:
    found = json.loads(value)
    if not isinstance(found, dict) or set(found) != {"lon", "lat"}:
        raise TypeError(value)
    return _within(value, found["lon"], found["lat"])


def _within(value: str, *place: str | float) -> str:
    longitude, latitude = map(float, place)
    if not (-180 <= longitude <= 180 and -90 <= latitude <= 90):
        raise ValueError(value)
    return value


_STRINGS: dict[str, tuple[Cast, str]] = {
    "email": (_matching(r"[^@:\s]+@[^@\s]+\.[^@\s]+"), "a mail address like nom@example.org"),
    "uri": (_matching(r"[A-Za-z][A-Za-z0-9+.-]*:\S+"), "an address like https://example.org"),
    "uuid": (
        _matching(r"[0-9A-Fa-f]{8}-?(?:[0-9A-Fa-f]{4}-?){3}[0-9A-Fa-f]{12}"),
        "an identifier like 123e4567-e89b-12d3-a456-426614174000",
    ),
    "binary": (_base64, "data in base64"),
}
_GEOMETRIES = frozenset({
    "Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon",
    "GeometryCollection", "Feature", "FeatureCollection", "Topology",
})  # fmt: skip
_PLACES: dict[str, tuple[Cast, str]] = {
    "array": (_point_in_list, "a place like [4.835, 45.764] (longitude first)"),
    "object": (_point_in_object, 'a place like {"lon": 4.835, "lat": 45.764}'),
}
_OTHERS: dict[str, tuple[Cast, str]] = {
    "date": (_dated(r"\d{4}-\d\d-\d\d", date.fromisoformat), "a date like 2026-11-20"),
    "time": (
        _dated(r"\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?", _hour), "a time like 08:30:00"
    ),
    "datetime": (
        _dated(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?", _instant),
        "a day and time like 2026-11-20T08:30:00Z",
    ),
    "year": (_dated(r"\d{4}", int), "a year like 2026"),
    "yearmonth": (_matching(r"\d{4}-(?:0[1-9]|1[0-2])"), "a month like 2026-11"),
    "duration": (
        _matching(r"-?P(?=.)(?:\d+Y)?(?:\d+M)?(?:\d+W)?(?:\d+D)?(?:T(?=.)(?:\d+H)?(?:\d+M)?"
                  r"(?:\d+(?:\.\d+)?S)?)?"),
        "a duration like P1Y2M",
    ),
    "geopoint": (_point, "a place like 4.835, 45.764 (longitude first)"),
    "object": (_json(dict), "a JSON object"),
    "geojson": (_geojson, "a GeoJSON object"),
    "array": (_json(list), "a JSON list"),
}  # fmt: skip
