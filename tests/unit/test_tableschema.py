"""A table is followed row by row along its schema; what leaves it is told with its place."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from publications import Memory

from publisher_daemon.daemon.inspecting import inspecting
from publisher_daemon.errors import PortalUnreachable
from publisher_daemon.inspection import inspect
from publisher_daemon.model import Checks, DatasetId, Rule, Watch, Words
from publisher_daemon.schemas import AGE, Schemas
from publisher_daemon.tableschema import TableSchema, parsed
from publisher_daemon.verdict import Verdict, judge

DESCRIPTOR: dict[str, Any] = {
    "fields": [
        {"name": "id", "type": "integer", "constraints": {"required": True, "unique": True}},
        {"name": "jour", "type": "date", "constraints": {"minimum": "2020-01-01"}},
        {"name": "prise", "type": "string", "constraints": {"enum": ["T2", "CCS"]}},
        {"name": "kW", "type": "number", "constraints": {"minimum": 1, "maximum": 400}},
        {"name": "insee", "constraints": {"pattern": r"(?:\d{2}|2[AB])\d{3}", "required": True}},
        {"name": "note", "constraints": {"maxLength": 12}},
    ]
}
TEXT = json.dumps(DESCRIPTOR)
HEAD = "id,jour,prise,kW,insee,note\n"
ROWS = "".join(f"{n},2026-11-{n % 28 + 1:02},T2,{n % 300 + 1}.5,69{n % 900:03},\n"
               for n in range(1, 3001))  # fmt: skip
GOOD = HEAD + ROWS


def verdict(content: str | bytes, name: str = "a.csv", schema: Any = DESCRIPTOR) -> Verdict:
    data = content if isinstance(content, bytes) else content.encode()
    _, found = inspect(Memory(data), name, schema=parsed("bornes", json.dumps(schema)))
    return judge(found, None, None, Checks())


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (GOOD, "a.csv"),
        (GOOD.replace("\n", "\r\n"), "a.csv"),
        (GOOD.replace(",", "\t"), "a.tsv"),
        (GOOD.encode("utf-16"), "a.csv"),
        (("\ufeff" + GOOD).encode(), "a.csv"),
        (gzip.compress(GOOD.encode()), "a.csv.gz"),
        (GOOD.rstrip("\n"), "a.csv"),
        (HEAD + '1,2026-11-20,T2,22,2A004,"a ""b""\n, c"\n', "a.csv"),
    ],
)
def test_a_table_that_follows_its_schema_goes_without_a_word(
    content: str | bytes, name: str
) -> None:
    found = verdict(content, name)

    assert (found.holds, found.warnings) == ((), ())


LATE = "2999,2026-11-04,T2,300.5,69299,\n"
WRONG = {
    "no whole number": ("x2999" + LATE[4:],
                        "Row 3,000, column “id”: “x2999” is not a whole number"),
    "a day that is none": (LATE.replace("11-04", "02-31"),
                           "Row 3,000, column “jour”: “2026-02-31” is not a date like 2026-11-20"),
    "another way to write a day": (LATE.replace("2026-11-04", "04/11/2026"),
                                   "“04/11/2026” is not a date like 2026-11-20"),
    "before the least": (LATE.replace("2026", "1926"), "“1926-11-04” is less than 2020-01-01"),
    "no listed value": (LATE.replace("T2", "T3"), "“T3” is none of “T2”, “CCS”"),
    "a comma for a point": (LATE.replace("300.5", '"300,5"'),
                            "“300,5” is not a number like 3.5"),
    "more than the greatest": (LATE.replace("300.5", "4000"), "“4000” is more than 400"),
    "another form": (LATE.replace("69299", "9299"),
                     "column “insee”: “9299” does not have the form"),
    "an empty value": (LATE.replace("69299", ""),
                       "Row 3,000, column “insee”: there is no value, and there must be one"),
    "the same twice": ("1" + LATE[4:], "Row 3,000, column “id”: “1” stood there before"),
    "too long": (LATE.replace(",\n", ",une longue remarque\n"), "is longer than 12 characters"),
}  # fmt: skip


@pytest.mark.parametrize(("row", "said"), WRONG.values(), ids=WRONG.keys())
def test_a_row_that_does_not_is_held_with_its_place_and_what_would_be_right(
    row: str, said: str
) -> None:
    assert LATE in GOOD
    found = verdict(GOOD.replace(LATE, row))

    assert {one.code for one in found.holds} == {"schema"}
    assert said in found.sentence()
    assert "“bornes”" in found.sentence()
    assert "release PATH" in found.sentence()


def test_many_wrong_values_are_counted_and_told_once() -> None:
    found = verdict(GOOD.replace(",T2,", ",T3,"))

    assert "Row 2, column “prise”: “T3” is none of “T2”, “CCS”." in found.sentence()
    assert "In all, 3,000 of its values are wrong." in found.sentence()
    assert len(found.holds) == 2


def test_a_table_over_several_blocks_is_followed_over_their_seams() -> None:
    rows = "".join(f"{n},,,,69001,\n" for n in range(1, 100_000))
    last = "99999,,,,69001,\n"

    assert verdict(HEAD + rows).holds == ()
    found = verdict(HEAD + rows.replace(last, "99999,,,,,\n"))
    assert "Row 100,000, column “insee”" in found.sentence()


def test_a_column_that_is_asked_for_must_be_there_and_others_may_not() -> None:
    lacking = verdict("id,jour\n1,2026-11-20\n")
    assert "It has no column “insee”, which every row must have." in lacking.sentence()
    assert [one.code for one in lacking.warnings] == ["schema_column"]

    renamed = verdict("id,INSEE\n1,69001\n")
    assert "Its column “INSEE” must be called “insee”." in renamed.sentence()

    more = verdict(HEAD.rstrip() + ",x\n1,,,,69001,,2\n")
    assert more.holds == ()
    assert "columns that the schema “bornes” does not know: “x”" in more.warnings[0].why


def test_a_key_of_several_columns_stands_once() -> None:
    schema = {**DESCRIPTOR, "primaryKey": ["jour", "prise"]}
    fields = [{**one, "constraints": {}} for one in DESCRIPTOR["fields"]]
    rows = "1,2026-11-20,T2,,,\n2,2026-11-20,CCS,,,\n3,2026-11-20,T2,,,\n"

    found = verdict(HEAD + rows, schema={**schema, "fields": fields})

    assert "Row 4: “2026-11-20, T2” stood there before" in found.sentence()


@pytest.mark.parametrize(("level", "codes"), [("hold", []), ("warn", ["schema"]), ("off", [])])
def test_the_folder_says_what_follows(level: Any, codes: list[str]) -> None:
    _, found = inspect(Memory(b"id,insee\nx,69001\n"), "a.csv", schema=parsed("s", TEXT))
    result = judge(found, None, None, Checks(schema=level))

    assert bool(result.holds) == (level == "hold")
    assert [one.code for one in result.warnings if one.code == "schema"][:1] == codes


@pytest.mark.parametrize(
    ("field", "right", "wrong"),
    [
        ({"type": "number", "decimalChar": ",", "groupChar": " "}, ["1 234,5", "-3"], ["1.5", "x"]),
        ({"type": "number"}, ["1", "1.", ".5", "1e3", "NaN"], ["1,5", "", "1_0"]),
        ({"type": "integer", "bareNumber": False}, ["12 €"], ["x", "2026-11-20", "1.5"]),
        ({"type": "number", "bareNumber": False}, ["95.5 %"], ["1;5", "x"]),
        ({"type": "boolean"}, ["true", "0"], ["oui", "TrUe"]),
        ({"type": "boolean", "trueValues": ["oui"], "falseValues": ["non"]}, ["non"], ["true"]),
        ({"type": "date", "format": "%d/%m/%Y"}, ["20/11/2026"], ["2026-11-20", "31/02/2026"]),
        ({"type": "date"}, ["2026-11-20"], ["20261120", "2026-11-20T08:00:00"]),
        ({"type": "datetime"}, ["2026-11-20T08:30:00Z", "2026-11-20T08:30:00+02:00"], ["2026-11"]),
        (
            {"type": "datetime", "constraints": {"minimum": "2026-11-20T08:30:00Z"}},
            ["2026-11-20T08:30:00Z", "2026-11-20T09:30:00+01:00"],
            ["2026-11-20T08:30:00+01:00", "2026-11-20T08:31Z"],
        ),
        ({"type": "date", "format": "any"}, ["20 nov. 2026", "20/11/26"], ["x", "12€", "null"]),
        ({"type": "time"}, ["08:30:00", "08:30:00Z"], ["8h30", "25:00:00"]),
        ({"type": "year"}, ["2026"], ["26", "-2026"]),
        ({"type": "yearmonth"}, ["2026-11"], ["2026-13"]),
        ({"type": "geopoint"}, ["4.8, 45.7"], ["45.7", "200, 5"]),
        ({"type": "geopoint", "format": "array"}, ["[4.8, 45.7]"], ["4.8, 45.7", "[200, 5]"]),
        ({"type": "geopoint", "format": "object"}, ['{"lon": 4.8, "lat": 45.7}'], ["[4.8, 45.7]"]),
        ({"type": "geojson"}, ['{"type": "Point"}'], ["[1]", "x", '{"a": 1}', '{"type": "X"}']),
        ({"format": "uuid"}, ["123e4567e89b12d3a456426614174000"], ["123e4567"]),
        ({"format": "binary"}, ["aGVsbG8="], ["aGVsbG8", "a b!"]),
        ({"type": "array"}, ["[1, 2]"], ["{}"]),
        ({"type": "duration"}, ["P1Y", "PT2H"], ["P", "1 an"]),
        ({"format": "email"}, ["a@b.fr"], ["a@b", "a b@c.fr", "mailto:a@b.fr"]),
        ({"format": "uri"}, ["https://a.fr/b"], ["www.a.fr"]),
        ({"type": "any"}, ["x"], []),
    ],
)
def test_each_type_has_its_right_and_its_wrong_values(
    field: dict[str, Any], right: list[str], wrong: list[str]
) -> None:
    (one,) = parsed("s", json.dumps({"fields": [{"name": "a", **field}]})).fields

    assert [value for value in right if one.problem(value)] == []
    assert [value for value in wrong if one.problem(value) is None] == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "no valid JSON"),
        ("[]", "no Table Schema"),
        ('{"fields": [{}]}', "its field 1 has no name"),
        ('{"fields": [{"name": "a", "constraints": {"pattern": "("}}]}', "“a” cannot be"),
        ('{"fields": [{"name": "a", "type": "date", "constraints": {"minimum": "x"}}]}', "“a”"),
        ('{"fields": [{"name": "a"}], "primaryKey": "b"}', "none of its fields"),
    ],
)
def test_what_is_no_schema_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        parsed("s", text)


# ------------------------------------------------------------------------------------ the catalogue


class Portal:
    """A catalogue that may be away."""

    def __init__(self) -> None:
        self.away = False
        self.asked = 0

    def table_schemas(self) -> dict[str, str]:
        self._there()
        return {"etalab/bornes": "https://schema.example/bornes.json"}

    def document(self, url: str) -> bytes:
        self._there()
        assert url == "https://schema.example/bornes.json"
        return TEXT.encode()

    def _there(self) -> None:
        self.asked += 1
        if self.away:
            raise PortalUnreachable("the portal does not answer")


def named(name: str) -> Rule:
    return Rule("*.csv", words=Words(schema=name))


def test_a_schema_of_the_catalogue_is_read_once_a_day_and_there_without_the_portal(
    tmp_path: Path,
) -> None:
    portal, now = Portal(), [1e12]

    def opened() -> Schemas:
        return Schemas(portal, tmp_path / "schemas", lambda: now[0], keep=True)

    schemas = opened()
    first = schemas.of(named("etalab/bornes"))
    assert isinstance(first, TableSchema)
    assert schemas.of(named("etalab/bornes")) is first
    assert portal.asked == 2

    portal.away = True
    now[0] += 2 * AGE
    assert schemas.of(named("etalab/bornes")) == first
    assert opened().of(named("etalab/bornes")) == first
    assert isinstance(opened().of(named("https://schema.example/other.json")), str)
    assert schemas.of(Rule("*.csv")) is None


def test_a_schema_that_is_not_for_tables_checks_nothing(tmp_path: Path) -> None:
    schemas = Schemas(Portal(), tmp_path / "schemas", lambda: 1e12, keep=True)

    assert schemas.of(named("etalab/geojson")) is None


def test_a_schema_nobody_can_read_is_said_and_stops_nothing(tmp_path: Path) -> None:
    portal = Portal()
    portal.away = True
    schemas = Schemas(portal, tmp_path / "schemas", lambda: 1e12, keep=True)
    look: Callable[..., Any] = inspecting(schemas)
    watch = Watch("a", "/a", DatasetId("5bbb6d6cff66bd4dc17bfd5a"), rules=(named("x/y"),))

    _, found = look(Memory(GOOD.encode()), "a.csv", watch)

    result = judge(found, None, None, Checks())
    assert (result.holds, [one.code for one in result.warnings]) == ((), ["schema_unread"])


def test_a_schema_in_a_file_is_read_as_it_is_now(tmp_path: Path) -> None:
    file = tmp_path / "bornes.json"
    file.write_text(TEXT)
    schemas = Schemas(Portal(), tmp_path / "schemas", lambda: 1e12, keep=True)
    rule = Rule("*.csv", table_schema=str(file))

    assert isinstance(schemas.of(rule), TableSchema)
    file.unlink()
    assert "cannot be read" in str(schemas.of(rule))
