"""Real accidents of open data files are held; what is only new or slightly odd is not."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from publications import (
    arrow,
    calc,
    compressed,
    document,
    features,
    lines,
    look,
    looked,
    measures,
    workbook,
    zipped,
)

from publisher_daemon.folder import Folder
from publisher_daemon.inspection import inspect
from publisher_daemon.model import Checks, DatasetId, Watch
from publisher_daemon.profile import RECENT, Profile, unpacked
from publisher_daemon.verdict import Verdict, judge, remembering
from publisher_daemon.words import Words

GOOD = measures()
NAMES = ("date", "code_insee", "commune", "heure", "no2", "remarque")
BEGIN = "-----BEGIN RSA PRIVATE KEY-----"


def verdict(
    damaged: bytes,
    published: bytes | None = GOOD.encode(),
    name: str = "mesures.csv",
    checks: Checks | None = None,
    today: str = "2026-11-21",
) -> Verdict:
    before = None if published is None else look(published, name)
    return judge(look(damaged, name), before, None, checks or Checks(), today)


def codes(found: Verdict) -> set[str]:
    return {finding.code for finding in found.holds}


def without_column(text: str, index: int) -> str:
    return "".join(
        ";".join(cell for place, cell in enumerate(line.split(";")) if place != index) + "\n"
        for line in text.replace('"capteur d\'été; révisé"', "").splitlines()
    )


def with_column(text: str, index: int, change: Callable[[str], str]) -> str:
    head, *rows = text.replace('"capteur d\'été; révisé"', "").splitlines()
    out = [head]
    for row in rows:
        cells = row.split(";")
        cells[index] = change(cells[index])
        out.append(";".join(cells))
    return "\n".join(out) + "\n"


def french(day: str) -> str:
    year, month, number = day.split("-")
    return f"{number}/{month}/{year}"


def exchanged(day: str) -> str:
    year, month, number = day.split("-")
    return f"{year}-{number}-{month}"


def doubled(text: str) -> str:
    head, *rows = text.splitlines(keepends=True)
    return head + "".join(row + row for row in rows)


def lost(text: str) -> str:
    return text.encode("ascii", "replace").decode()


def token() -> str:
    return "ey" + "JhbGciOiJIUzI1NiJ9.ey" + "Jzb21lIjoiYm9keSJ9." + "x" * 43


TEXT = GOOD.encode()
DAMAGES = {
    "300 rows for 9,800": (lines(GOOD, 0, 300).encode(), "fewer_rows"),
    "an emptied export": (lines(GOOD, 0, 0).encode(), "emptied"),
    "half of the rows": (lines(GOOD, 0, 4900).encode(), "fewer_rows"),
    "cut off in a row": (TEXT[: len(TEXT) * 9 // 10], "cut_off"),
    "cut off inside a value": (lines(GOOD, 0, 9000).rstrip("\n")[:-2].encode(), "cut_off"),
    "last year's file": (measures(date(2025, 1, 1)).encode(), "dates_back"),
    "a web page named .csv": (b"<!DOCTYPE html>\n<html><body>502</body></html>", "html_page"),
    "an Excel file named .csv": (workbook(), "not_its_extension"),
    "a JSON error named .csv": (b'{"error": "timeout"}', "not_its_extension"),
    "the message of a database": (b"ORA-01555: snapshot too old\n", "error_message"),
    "a pointer of Git LFS": (b"version https://git-lfs.github.com/spec/v1\noid x\n",
                             "not_the_data"),
    "a column lost": (without_column(GOOD, 4).encode(), "column_lost"),
    "a column renamed": (GOOD.replace("code_insee", "code_commune", 1).encode(), "column_renamed"),
    "a column emptied": (with_column(GOOD, 4, lambda _: "").encode(), "column_emptied"),
    "leading zeros lost": (with_column(GOOD, 1, lambda code: code.lstrip("0")).encode(),
                           "zeros_lost"),
    "errors of a spreadsheet": (with_column(GOOD, 3, lambda _: "#REF!").encode(), "kind_changed"),
    "points for commas in numbers": (
        with_column(GOOD, 4, lambda number: number.replace(",", ".")).encode(), "kind_changed"
    ),
    "dates written another way": (with_column(GOOD, 0, french).encode(), "kind_changed"),
    "another delimiter": (measures(delimiter=",").encode(), "delimiter_changed"),
    "another encoding": (GOOD.encode("cp1252"), "encoding_changed"),
    "accents read wrongly": (GOOD.encode().decode("cp1252").encode(), "garbled"),
    "two encodings": (TEXT + measures(date(2026, 3, 1), 3).encode("cp1252").split(b"\n", 1)[1],
                      "mixed_encodings"),
    "zero bytes after a crash": (TEXT[:-4096] + bytes(4096), "zero_bytes"),
    "the export twice in one file": (TEXT + TEXT, "header_repeated"),
    "rows of other widths": (GOOD.replace(";Grenoble;", ";Grenoble;;").encode(), "ragged"),
    "a quote never closed": (GOOD.replace("Lyon", '"Lyon', 1).encode(), "quote_open"),
    "a private key": (f"{GOOD}{BEGIN}\n".encode(), "secret"),
    "a private key in UTF-16": (f"{GOOD}{BEGIN}\n".encode("utf-16"), "secret"),
    "an API token": (GOOD.replace('"dit ""provisoire"""', token(), 1).encode(), "secret"),
    "tokens in a column of tokens": (
        with_column(GOOD, 5, lambda _: "4f9a" * 8).replace("remarque", "api_key", 1).encode(),
        "secret",
    ),
    "a key in a link": (
        f"{GOOD}x;https://api.example.fr/v1?api_key={'4f9a' * 8}\n".encode(), "secret"
    ),
    "the portal's own API key": (f"{GOOD}cle;udata_{'Zz-9' * 16}\n".encode(), "secret"),
    "the export twice, without its header again": (TEXT + TEXT.split(b"\n", 1)[1], "rows_twice"),
    "every row twice": (doubled(GOOD).encode(), "rows_twice"),
    "accents that became question marks": (lost(GOOD).encode(), "accents_lost"),
    "errors of formulas in some rows": (GOOD.replace(";Annecy;12;", ";#REF!;12;").encode(),
                                        "formula_errors"),
    "a word for nothing": (with_column(GOOD, 2, lambda _: "None").encode(), "placeholders"),
    "decimals that lost their mark": (
        with_column(GOOD, 4, lambda number: number.replace(",", "")).encode(), "amounts"
    ),
    "another unit": (with_column(GOOD, 4, lambda number: f"{number.replace(',', '')}00,5").encode(),
                     "amounts"),
    "codes as numbers of a spreadsheet": (with_column(GOOD, 1, lambda _: "6,91E+04").encode(),
                                          "kind_changed"),
    "days and months exchanged": (with_column(GOOD, 0, exchanged).encode(), "kind_changed"),
    "a line of a log between the rows": (
        GOOD.replace("\n2026-01-03", "\n2026-01-03 04:00:01 ERROR connection lost\n2026-01-03", 1)
        .encode(), "error_message",
    ),
    "the message of a program at its end": (TEXT + b"<br />\n<b>Fatal error</b>: Out of memory\n",
                                            "error_message"),
    "cut off in a quoted value": (TEXT[: TEXT.rindex(b"; r\xc3\xa9vis") + 4], "quote_open"),
    "an unfinished merge": (GOOD.replace("\n2026-01-03", "\n<<<<<<< HEAD\n2026-01-03", 1).encode(),
                            "merge_markers"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "code"), DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_table_is_held_and_the_damage_is_named(content: bytes, code: str) -> None:
    found = verdict(content)

    assert code in codes(found), found
    assert "release PATH" in found.sentence()


@pytest.mark.parametrize("name", DAMAGES)
def test_what_is_said_of_any_damage_is_said_in_french_to_its_last_word(name: str) -> None:
    """Several findings are one reason: a template must not take the words of the next."""
    said = Words("fr").of(verdict(DAMAGES[name][0]).sentence())

    ours = re.sub(r"«[^»]*»|`[^`]*`|“[^”]*”", "", said)
    assert not re.search(
        r"\b(the|of|is|are|and|in|its?|rows?|now|line|text)\b", ours, re.IGNORECASE
    ), said
    assert not re.search(r"\d,\d{3}|\d%", ours), said


JSON = features()
KML = "<kml><Placemark><name>é</name></Placemark></kml>".encode()
PRICES = b"<pdv_liste>%s</pdv_liste>"
FAULT = b"<ows:ExceptionReport xmlns:ows='o'><ows:Exception/></ows:ExceptionReport>"
OBJECTS = b"%PDF-1.4\n" + b"1 0 obj\n<</Length 9>>\nendobj\n" + b"% filling\n" * 200
HOLES = (OBJECTS[:9] + bytes(400) + OBJECTS[409:]
         + b"xref\n0 2\n0000000000 65535 f \n0000000009 00000 n \ntrailer\n<</Size 2>>\nstartxref\n"
         b"%d\n%%%%EOF\n" % len(OBJECTS))  # fmt: skip
CONTAINERS = {
    "a web page in a ZIP": (zipped({"a.csv": b"<!DOCTYPE html><html>502</html>"}), "a.zip",
                            "html_page"),
    "a shapefile without its table": (zipped({"a.shp": b"x", "a.shx": b"y"}), "a.zip", "damaged"),
    "a PDF with a hole": (HOLES, "a.pdf", "damaged"),
    "a Parquet with a hole": (arrow()[:30] + bytes(60) + arrow()[90:], "a.parquet", "damaged"),
    "a map service's error": (FAULT, "a.gml", "error_message"),
    "a SOAP error": (b"<s:Envelope xmlns:s='s'><s:Body><s:Fault/></s:Body></s:Envelope>", "a.xml",
                     "error_message"),
    "a limit of requests": (b'{"statusCode": 429, "message": "Rate limit is exceeded."}', "a.json",
                            "error_message"),
    "a cut ZIP": (zipped({"a.csv": TEXT})[:-30], "a.zip", "damaged"),
    "a ZIP with a torn member": (
        zipped({"a.csv": TEXT})[:3000] + b"\xff" * 40 + zipped({"a.csv": TEXT})[3040:],
        "a.zip", "damaged",
    ),
    "a ZIP with nothing in it": (zipped({}), "a.zip", "damaged"),
    "a cut workbook": (workbook()[:-200], "a.xlsx", "damaged"),
    "a ZIP named .xlsx": (zipped({"a.csv": TEXT}), "a.xlsx", "damaged"),
    "a cut sheet": (calc()[:-200], "a.ods", "damaged"),
    "a cut gzip": (compressed(GOOD)[:-400], "a.csv.gz", "damaged"),
    "a torn gzip": (compressed(GOOD)[:5000] + b"\0" * 50 + compressed(GOOD)[5050:], "a.csv.gz",
                    "damaged"),
    "a cut PDF": (document()[:-60], "a.pdf", "damaged"),
    "a PDF with its table elsewhere": (document().replace(b"% filling\n", b"", 20), "a.pdf",
                                       "damaged"),
    "a cut Parquet": (b"PAR1" + b"x" * 500, "a.parquet", "damaged"),
    "a Parquet with other line ends": (arrow().replace(b"\n", b"\r\n"), "a.parquet", "damaged"),
    "a torn Parquet": (arrow()[:-300] + bytes(40) + arrow()[-260:], "a.parquet", "damaged"),
    "a Parquet without its data": (b"PAR1" + arrow()[-320:], "a.parquet", "damaged"),
    "a cut tgz": (compressed(GOOD)[:-400], "a.tgz", "damaged"),
    "cut JSON": (JSON[:-100], "a.json", "invalid_json"),
    "JSON with NaN": (b'[{"a": NaN}]', "a.json", "invalid_json"),
    "JSON that is an error": (b'{"error": {"code": 500}}', "a.json", "error_message"),
    "cut GeoJSON": (JSON[: len(JSON) // 2], "a.geojson", "invalid_json"),
    "JSON that is no GeoJSON": (b'{"type": "Topology", "features": []}', "a.geojson",
                                "not_geojson"),
    "a torn line of JSON": (b'{"a": 1}\n{"a":\n', "a.jsonl", "invalid_json"),
    "cut XML": (KML[:-5], "a.kml", "invalid_xml"),
    "a web page named .pdf": (b"<html>login</html>", "a.pdf", "html_page"),
    "a text named .zip": (b"Service Unavailable\n" * 9, "a.zip", "not_its_extension"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "name", "code"), CONTAINERS.values(), ids=CONTAINERS.keys())
def test_what_is_not_whole_is_held_even_the_first_time(
    content: bytes, name: str, code: str
) -> None:
    assert code in codes(verdict(content, None, name))


WHOLE = {
    "table": (TEXT, "a.csv"),
    "table with windows line ends": (GOOD.replace("\n", "\r\n").encode(), "a.csv"),
    "table with old line ends": (GOOD.replace("\n", "\r").encode(), "a.csv"),
    "table in windows-1252": (GOOD.encode("cp1252"), "a.csv"),
    "table in UTF-16": (GOOD.encode("utf-16"), "a.csv"),
    "table with a byte order mark": (GOOD.encode("utf-8-sig"), "a.csv"),
    "table without an end of line": (GOOD.rstrip("\n").encode(), "a.csv"),
    "table with values over lines": (b'a;b\n1;"x\ny;z"\n2;"say ""hi"";\n"\n', "a.csv"),
    "table of one column": (b"code\n01\n02\n", "a.csv"),
    "table with tabs": (measures(delimiter="\t").encode(), "a.tsv"),
    "ZIP": (zipped({"a.csv": TEXT}), "a.zip"),
    "workbook": (workbook(), "a.xlsx"),
    "sheet": (calc(), "a.ods"),
    "gzip": (compressed(GOOD), "a.csv.gz"),
    "two gzip in one": (compressed(GOOD) + compressed(GOOD), "a.txt.gz"),
    "PDF": (document(), "a.pdf"),
    "Parquet": (arrow(), "a.parquet"),
    "tgz": (compressed(GOOD), "a.tgz"),
    "JSON": (b'[{"a": 1, "b": "x"}, {"a": 2}]', "a.json"),
    "JSON with one value": (b'{"total": 12}', "a.json"),
    "GeoJSON": (JSON, "a.geojson"),
    "lines of JSON": (b'{"a": 1}\n{"a": 2}', "a.jsonl"),
    "KML": (KML, "a.kml"),
    "plain text": ("Méthode : relevés à 8:00 = norme\n".encode(), "a.txt"),
    "picture": (b"\x89PNG\r\n\x1a\n" + bytes(100), "a.png"),
    "nothing known": (bytes(range(256)) * 20, "a.shp"),
}


@pytest.mark.parametrize(("content", "name"), WHOLE.values(), ids=WHOLE.keys())
def test_what_is_whole_goes_without_a_word(content: bytes, name: str) -> None:
    found = verdict(content, None, name)

    assert (found.holds, found.warnings) == ((), ())


def inches(text: str) -> str:
    """A sign that is a quote too, in the middle and at the end of values."""
    return text.replace(";Lyon;", ';Tube 3" acier;').replace(";Annecy;", ';Tube 5";')


ODD = {
    "inch marks": inches(GOOD).encode(),
    "one inch mark": GOOD.replace(";Lyon;", ';Tube 3" acier;', 1).encode(),
    "quotes after a stroke": GOOD.replace('dit ""provisoire""', 'dit \\"provisoire\\"').encode(),
    "comments above": f"# source: Atmo\n# licence: lov2\n{GOOD}".encode(),
    "a title above": f"Qualité de l'air\nExtrait du 20/11/2026\n\n{GOOD}".encode(),
    "a title among delimiters": f"Qualité de l'air;;;;;\n;;;;;\n{GOOD}".encode(),
    "a word for Excel": f"sep=;\r\n{GOOD}".replace("\n", "\r\n").encode(),
    "notes below": f"{GOOD}\nSource : INSEE\nChamp : France\nLecture : 3 \nNote : x".encode(),
    "empty lines": GOOD.replace("\n", "\n\n").encode(),
    "delimiters at the end of rows": GOOD.replace("\n", ";\n").encode(),
    "both ends of lines": GOOD.replace("\n", "\r\n", 4000).encode(),
    "values over lines": GOOD.replace("capteur d'été;", "capteur\n\nd'été;\n").encode(),
    "UTF-16 without a mark": GOOD.encode("utf-16-le"),
    "a header written another way": GOOD.replace("code_insee", "Code INSÉÉ", 1).encode(),
}


@pytest.mark.parametrize("content", ODD.values(), ids=ODD.keys())
def test_what_is_odd_and_normal_is_counted_rightly_and_never_held(content: bytes) -> None:
    encoded = content.startswith(b"d\0")
    published = content if encoded or b";\n" in content[:80] else TEXT

    found = judge(look(content), look(published), None, Checks())

    assert (found.holds, look(content).rows) == ((), 9800)


def test_an_odd_quote_anywhere_in_a_large_table_costs_no_row() -> None:
    rows = "".join(f'{n};Tube {n % 9}" acier;"a;\n{n}"\n' for n in range(150_000))

    found = look.__wrapped__(f"id;nom;suite\n{rows}".encode())

    assert (found.rows, found.findings) == (150_000, ())


def test_rows_and_columns_are_counted_in_every_kind_that_has_some() -> None:
    shapes = {
        name: (found.rows, len(found.columns))
        for name, found in (
            ("csv", look(TEXT)),
            ("crlf", look(GOOD.replace("\n", "\r\n").encode())),
            ("quoted", look(b'a;b\n1;"x\ny;z"\n2;"say ""hi"";\n"\n')),
            ("gz", look(compressed(GOOD), "a.csv.gz")),
            ("xlsx", look(workbook(), "a.xlsx")),
            ("ods", look(calc(), "a.ods")),
            ("json", look(b'{"data": [{"a": 1, "b": {"c": 2}}, {"a": 2}]}', "a.json")),
            ("geojson", look(JSON, "a.geojson")),
            ("parquet", look(arrow(), "a.parquet")),
            ("jsonl", look(b'{"a": 1}\n{"a": 2, "b": 3}', "a.jsonl")),
        )
    }

    assert shapes == {
        "csv": (9800, 6), "crlf": (9800, 6), "quoted": (2, 2), "gz": (9800, 6), "xlsx": (300, 3),
        "ods": (300, 2), "json": (2, 2), "geojson": (200, 3 + 2),
        "parquet": (300, 3), "jsonl": (2, 2),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("damaged", "published", "name", "code"),
    [
        (workbook(20), workbook(300), "a.xlsx", "fewer_rows"),
        (calc(0), calc(300), "a.ods", "emptied"),
        (arrow(20), arrow(), "a.parquet", "fewer_rows"),
        (arrow(0), arrow(), "a.parquet", "emptied"),
        (features(20), features(200), "a.geojson", "fewer_rows"),
        (compressed(lines(GOOD, 0, 300)), compressed(GOOD), "a.csv.gz", "fewer_rows"),
        (b'[%s{"a": 1}]' % (b'{"a": 1},' * 9), b'[%s{"a": 1, "b": 2}]' % (b'{"a": 1, "b": 2},' * 9),
         "a.json", "column_lost"),
        (features(swapped=True), features(), "a.geojson", "moved"),
    ],
)  # fmt: skip
def test_other_kinds_are_compared_with_what_is_published_too(
    damaged: bytes, published: bytes, name: str, code: str
) -> None:
    assert code in codes(verdict(damaged, published, name))


@pytest.mark.parametrize(
    ("new", "published"),
    [
        (b"c,d\n3,4\n", b"a,b\n1,2\n"),  # a trial
        (b"2;31.5\n3;32\n" * 20, b"1;30.5\n2;31\n" * 20),  # no header
        (b"lot 2\n" + b"x\n" * 30, b"lot 1\n" + b"x\n" * 30),  # a list
    ],
)
def test_what_has_no_columns_that_others_rely_on_may_change_them(
    new: bytes, published: bytes
) -> None:
    assert codes(verdict(new, published)) == set()


def test_an_empty_day_is_held_until_one_was_let_through() -> None:
    empty, full = look(lines(GOOD, 0, 0).encode()), look(TEXT)

    assert codes(judge(empty, full, None, Checks())) == {"emptied"}
    once_empty = remembering(full, remembering(empty, full))
    assert codes(judge(empty, once_empty, None, Checks())) == set()


def test_the_day_after_an_empty_one_is_compared_with_the_day_before_it() -> None:
    empty, full = look(lines(GOOD, 0, 0).encode()), look(TEXT)
    sunday = remembering(empty, full)

    assert judge(full, sunday, None, Checks()).holds == ()
    for harmed in (without_column(GOOD, 4), lines(GOOD, 0, 300), with_column(GOOD, 0, french)):
        assert codes(judge(look(harmed.encode()), sunday, None, Checks()))


def test_a_column_that_was_empty_before_may_be_empty_again_until_that_is_forgotten() -> None:
    dry, full = look(with_column(GOOD, 4, lambda _: "").encode()), look(TEXT)
    assert codes(judge(dry, full, None, Checks())) == {"column_emptied"}

    known = remembering(full, remembering(dry, full))
    assert codes(judge(dry, known, None, Checks())) == set()
    for _ in range(RECENT):
        known = remembering(full, known)
    assert codes(judge(dry, known, None, Checks())) == {"column_emptied"}


def test_last_years_register_is_held_where_a_cancelled_announcement_is_not() -> None:
    register = GOOD.replace("2026-01-01", "2019-05-01")
    older = lines(register.replace(";Lyon;", ";Lille;"), 0, 9000).replace("2026-", "2025-")

    assert codes(verdict(older.encode(), register.encode())) == {"dates_back"}
    ahead = verdict(older.encode(), register.encode(), today="2025-06-01")
    assert codes(ahead) == set()


def test_a_header_that_is_lost_is_held() -> None:
    assert codes(verdict(GOOD.split("\n", 1)[1].encode()))


@pytest.mark.parametrize("torn", [False, True])
def test_a_database_is_held_when_its_pages_do_not_fit_together(tmp_path: Path, torn: bool) -> None:
    path = tmp_path / "a.gpkg"
    with closing(sqlite3.connect(path)) as made, made:
        made.execute("CREATE TABLE lieux (nom TEXT)")
        made.executemany("INSERT INTO lieux VALUES (?)", [(f"lieu {n}" * 9,) for n in range(900)])
        made.execute("CREATE INDEX par_nom ON lieux (nom)")
    content = path.read_bytes()
    if torn:
        path.write_bytes(content[:20480] + bytes(4096) + content[24576:])
    folder = Folder(Watch("air", str(tmp_path), DatasetId("5bbb6d6cff66bd4dc17bfd5a")))
    (sighting,) = folder.scan([path.name])

    with folder.open(path.name, sighting.stamp) as source:
        _, profile = inspect(source, path.name)

    assert [found.code for found in profile.findings] == (["damaged"] if torn else [])


def test_the_bytes_that_are_looked_at_are_those_that_are_hashed() -> None:
    from hashlib import sha1

    for content, name in WHOLE.values():
        fingerprint, _ = looked(content, name)

        assert (fingerprint.sha1, fingerprint.size) == (sha1(content).hexdigest(), len(content))


def test_a_profile_comes_back_from_its_packing_as_it_was() -> None:
    found = look(TEXT)

    assert unpacked(found.packed()) == found
    assert len(found.packed()) < 700


def test_warn_lets_everything_through_and_off_columns_are_not_compared() -> None:
    lost = without_column(GOOD, 4).encode()

    assert codes(verdict(lost, checks=Checks(mode="warn"))) == set()
    assert verdict(lost, checks=Checks(mode="warn")).warnings
    assert codes(verdict(lost, checks=Checks(columns="off"))) == set()


def test_a_table_with_more_rows_cut_before_a_last_value_is_doubted() -> None:
    cut = GOOD.rstrip("\n").rpartition(";")[0] + ";"
    found = verdict(cut.encode(), published=lines(GOOD, 0, 9000).encode())

    assert (codes(found), [one.code for one in found.warnings]) == (set(), ["cut_off"])


def test_the_share_of_rows_is_the_folders_own() -> None:
    third = lines(GOOD, 0, 6500).encode()

    assert codes(verdict(third)) == set()
    assert codes(verdict(third, checks=Checks(fewer_rows=0.3))) == {"fewer_rows"}


def test_what_is_not_compared_by_rows_is_compared_by_size() -> None:
    found = judge(Profile(1000), None, 1_000_000, Checks())

    assert {finding.code for finding in found.holds} == {"smaller"}
    assert judge(Profile(400_000), None, 1_000_000, Checks()).holds == ()


def test_columns_that_share_a_name_or_have_none_are_not_taken_for_each_other() -> None:
    rows = "".join(f"{day};x{day};{day},5\n" for day in range(1, 60))
    for head in ("Titre;;\n", "a;a;a\n"):
        assert codes(verdict((head + rows).encode(), (head + rows).encode())) == set()


def test_json_with_a_byte_order_mark_goes_with_a_word_about_it() -> None:
    found = verdict(b'\xef\xbb\xbf[{"a": 1}]', None, "a.json")

    assert (found.holds, [one.code for one in found.warnings]) == ((), ["mark"])


def test_the_names_of_the_columns_are_told_with_what_became_of_them() -> None:
    found = verdict(GOOD.replace("code_insee", "code_commune", 1).encode())

    assert "“code_insee” is now called “code_commune”" in found.sentence()


def test_signs_between_thousands_and_columns_that_are_exchanged_are_told_apart() -> None:
    counted = with_column(GOOD, 4, lambda number: f"{len(number) * 7919 + 1234}").encode()
    signed = with_column(counted.decode(), 4, lambda number: f'"{int(number):,}"'.strip('"'))
    other = with_column(counted.decode(), 4, lambda number: f"{int(number) / 3e6:.3f}")

    assert "signs between thousands" in verdict(signed.encode(), counted).sentence()
    assert "are columns exchanged?" in verdict(other.encode(), counted).sentence()


def test_dates_without_signs_are_dates() -> None:
    compact = with_column(GOOD, 0, lambda day: day.replace("-", ""))
    last_year = with_column(compact, 0, lambda day: f"{int(day) - 10000}")
    tomorrow = with_column(compact, 0, lambda day: f"{int(day) + 10000}")

    assert codes(verdict(last_year.encode(), compact.encode())) == {"dates_back"}
    assert "the last is 2025-" in verdict(last_year.encode(), compact.encode()).sentence()
    # of another period, a third of the rows may be normal
    assert codes(verdict(lines(tomorrow, 0, 3300).encode(), compact.encode())) == set()
    assert codes(verdict(lines(compact, 0, 3300).encode(), compact.encode())) == {"fewer_rows"}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", b'DB_HOST=x\nDB_PASSWORD="hunter 2 secret"\n'),
        ("a.yml", b"db:\n  password: hunter2secret\n"),
        ("a.txt", b"[db]\npassword = hunter2secret\n"),
        ("a.json", b'{"db": {"host": "x", "password": "hunter2secret"}}'),
        ("a.txt", b"-----BEGIN PGP " + b"PRIVATE KEY BLOCK-----\n"),
        ("a.csv", b"nom;mot_de_passe\n" + b"jean;hunter2\n" * 9),
    ],
)
def test_passwords_and_keys_are_seen_however_they_are_written(name: str, content: bytes) -> None:
    assert "secret" in codes(verdict(content, None, name))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", b'{"properties": {"password": {"type": "string"}, "api_key": "required"}}'),
        ("a.txt", b"password: required\nsecret = ${SECRET}\nThe token: a word.\n"),
        ("a.csv", b"phrase;token;pos\n" + b"12;anticonstitutionnellement;ADV\n" * 9),
        ("a.csv", b"site;mot_de_passe\n" + b"mairie;oui\ngare;non\nparc;\n"),
        ("a.csv", b"nom;lien\n" + b"a;https://example.fr/p?token=abc&page=2\n" * 9),
    ],
)
def test_what_only_speaks_of_passwords_goes(name: str, content: bytes) -> None:
    assert "secret" not in codes(verdict(content, None, name))


def test_places_that_cannot_be_are_held_and_exchanged_ones_the_first_time() -> None:
    def made(x: float, y: float) -> bytes:
        points = [{"type": "Feature", "properties": {"n": n},
                   "geometry": {"type": "Point", "coordinates": [x + n / 1e4, y]}}
                  for n in range(30)]  # fmt: skip
        return json.dumps({"type": "FeatureCollection", "features": points}).encode()

    assert codes(verdict(made(4.8, 145.0), None, "a.geojson")) == {"coordinates"}
    assert codes(verdict(made(45.7, 4.8), None, "a.geojson")) == {"exchanged"}
    assert codes(verdict(made(45.7, 4.8), made(45.7, 4.8), "a.geojson")) == set()
    assert codes(verdict(made(4.8, 45.7), None, "a.geojson")) == set()
    # Lambert 93 is said, not held
    assert codes(verdict(made(842000.0, 6519000.0), None, "a.geojson")) == set()


def test_what_an_xml_file_is_about_is_counted_at_the_first_level_where_there_are_many() -> None:
    full = PRICES % (b"<pdv><prix/><prix/></pdv>" * 500)

    assert look(full, "a.xml").rows == 500
    assert look(PRICES % b"<a/><b/>", "a.xml").rows is None
    assert codes(verdict(PRICES % (b"<pdv><prix/></pdv>" * 90), full, "a.xml")) == {"fewer_rows"}
    assert codes(verdict(PRICES % (b"<pdv><prix/></pdv>" * 200), full, "a.xml")) == set()


def test_a_new_month_has_as_many_rows_a_day_and_no_less() -> None:
    month = measures(date(2026, 1, 1), 31).encode()

    assert codes(verdict(measures(date(2026, 2, 1), 1).encode(), month)) == set()
    part = lines(measures(date(2026, 2, 1), 1), 0, 60)
    assert codes(verdict(part.encode(), month)) == {"fewer_rows"}


def test_days_without_a_row_are_known_by_days_with_hardly_any() -> None:
    few, full = look(lines(GOOD, 0, 3).encode()), look(lines(GOOD, 0, 60).encode())
    empty = look(lines(GOOD, 0, 0).encode())

    assert codes(judge(empty, remembering(few, full), None, Checks())) == set()
    assert codes(judge(empty, remembering(full, full), None, Checks())) == {"emptied"}


def test_an_instrument_may_rest_on_a_small_new_day_and_loses_no_column_of_a_large_one() -> None:
    def dry(first: date, hours: int) -> bytes:
        return with_column(measures(first, 1, hours=hours), 4, lambda _: "").encode()

    day = measures(date(2026, 1, 1), 1, hours=6).encode()
    assert codes(verdict(dry(date(2026, 1, 2), 6), day)) == set()
    assert codes(verdict(dry(date(2026, 1, 1), 6), day)) == {"column_emptied"}
    large = measures(date(2026, 1, 1), 1).encode()
    assert codes(verdict(dry(date(2026, 1, 2), 25), large)) == {"column_emptied"}


def test_a_map_without_a_feature_lacks_no_columns() -> None:
    full, none = features(), b'{"type": "FeatureCollection", "features": []}'

    assert codes(verdict(none, full, "a.geojson")) == {"emptied"}


def test_the_secret_itself_is_never_told() -> None:
    found = verdict(f"{GOOD}x;{token()}\n".encode())

    assert token() not in found.sentence()
    assert "line 9,802" in found.sentence()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (b"avant", b"c;d\n" * 100),
        (b"a;b\n" * 100, b"c;d\n" * 100),
        (b"0" * 900, b"0001" * 225),
        (b"00000001;" * 600_000, b"00000002;" * 600_000),
        (b"version 1", b"version 2"),
        (b"un\n", b"deux\n"),
    ],
)
def test_what_is_no_table_is_not_compared_as_one(first: bytes, second: bytes) -> None:
    assert codes(verdict(first, None)) == set()
    assert codes(verdict(second, first)) == set()


@pytest.mark.parametrize(
    ("odd", "encoding"),
    [("café;1\n".encode(), "utf-8"), ("café;1\n".encode("cp1252"), "windows-1252")],
)
def test_one_accent_anywhere_in_a_large_table_tells_its_encoding(odd: bytes, encoding: str) -> None:
    from publisher_daemon.inspection._table import Table

    table = Table(1024 * 1024 * 1024)
    rows = b"a;1\n" * 20_000
    sampled = [table.feed(b"nom;valeur\n" + rows)]
    sampled += [table.feed(rows + (odd if block == 7 else b"")) for block in range(12)]

    assert sampled == [True, *[False] * 12]
    assert table.profile().encoding == encoding


def very_large(header: bytes, rows: list[bytes]) -> Profile:
    """What is found where these come again and again, as if they were of a gigabyte."""
    from publisher_daemon.inspection._table import Table

    content = header + b"".join(rows)
    table = Table(1024 * 1024 * 1024)
    for at in range(0, len(content), 1 << 20):
        table.feed(content[at : at + (1 << 20)])
    return table.profile()


ROW = b'%d;"Lot 1; gros \xc5\x93uvre\n""Th\xc3\xa9\xc3\xa2tre"";\nphase %d";12,5;2025-11-%02d\n'
KINDS = {
    "values over lines": (b"id;objet;montant;date\n", lambda n: ROW % (n, n % 97, n % 28 + 1)),
    "windows line ends": (b"id;nom\r\n", lambda n: b"%d;station %d\r\n" % (n, n % 9 * 10**6)),
    "old line ends": (b"id;nom\r", lambda n: b"%d;station %d\r" % (n, n % 9 * 10**6)),
    "inch marks": (b"id;nom\n", lambda n: b'%d;Tube %d" acier "brut"\n' % (n, n % 9)),
    "windows-1252": (b"id;nom\n", lambda n: b'"%d";"Is\xe8re"\n' % n),
}


@pytest.mark.parametrize(("header", "row"), KINDS.values(), ids=KINDS)
def test_rows_of_a_very_large_table_are_told_from_a_part_of_them(
    header: bytes, row: Callable[[int], bytes]
) -> None:
    rows = [row(n) for n in range(9 * 1024 * 1024 // len(row(10**5)))]

    found = very_large(header, rows)

    assert (found.about, found.findings, found.ended) == (True, (), True)
    assert found.rows == pytest.approx(len(rows), rel=0.01)


@pytest.mark.parametrize("place", range(0, 8, 2))
def test_rows_of_another_width_in_a_part_of_a_very_large_table_are_found(place: int) -> None:
    rows = b"".join(f"été {n};1;2\n".encode() for n in range(120_000))
    parts = [b"x;1\n" * 400_000 if part == place else rows for part in range(8)]
    parts[0] = b"y;3;4\nz;5;6\nw;7;8\n" + parts[0]

    (found,) = very_large(b"nom;a;b\n", parts).findings

    assert (found.code, found.level) == ("ragged", "hold")
    assert "around line" in found.why


@pytest.mark.parametrize(
    ("end", "code"), [(b"7;sta", None), (b"7", "cut_off"), (b'7;"sta', "quote_open")]
)
def test_how_a_very_large_table_ends_is_looked_at_whole(end: bytes, code: str | None) -> None:
    rows = [b'%d;"station ""%d"""\n' % (n, n % 97) for n in range(150_000)]

    found = very_large(b"id;nom\n", [*rows, end])

    assert ([one.code for one in found.findings], found.ended) == ([code] if code else [], False)


def test_an_estimate_of_rows_says_so_and_its_last_figures_are_no_loss() -> None:
    old = Profile(1000, kind="table", rows=9_810_000, about=True, ended=True)
    cut = replace(old, rows=9_790_000, ended=False, size=1001)

    assert judge(cut, old, None, Checks()).holds == ()
    assert codes(judge(replace(cut, size=999), old, None, Checks())) == {"cut_off"}
    lost = judge(replace(old, rows=3_000_000), old, None, Checks()).sentence()
    assert "about 3,000,000 rows instead of about 9,810,000" in lost
    assert "près de 3\N{NO-BREAK SPACE}000\N{NO-BREAK SPACE}000 lignes" in Words("fr").of(lost)


def test_a_very_large_export_that_is_in_it_twice_is_told() -> None:
    from publisher_daemon.inspection._table import LARGE, Table

    half = b"".join(b"%07d;%030d\n" % (n, n) for n in range(LARGE // 78 + 9))
    whole = b"id;nombre\n" + half + half
    table = Table(len(whole))
    for at in range(0, len(whole), 131072):
        table.feed(whole[at : at + 131072])

    assert "rows_twice" in [one.code for one in table.profile().findings]


def test_a_line_without_end_does_not_fill_the_memory() -> None:
    import tracemalloc

    content = b"00000001;" * 6_000_000
    tracemalloc.start()
    found = look.__wrapped__(content)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert (found.kind, found.rows) == ("text", None)
    assert most < 40 * 1024 * 1024
