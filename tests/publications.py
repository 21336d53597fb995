"""Realistic open data files, and twenty-odd ways in which they come to harm."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import zipfile
import zlib
from base64 import b64decode
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from functools import cache

from publisher_daemon.inspection import inspect
from publisher_daemon.model import Fingerprint
from publisher_daemon.profile import Profile

COMMUNES = (
    ("69123", "Lyon"), ("01004", "Ambérieu-en-Bugey"), ("38185", "Grenoble"),
    ("74010", "Annecy"), ("42218", "Saint-Étienne"), ("07019", "Aubenas"),
    ("26362", "Valence"), ("73065", "Chambéry"),
)  # fmt: skip


class Memory:
    """A file in memory, as the inspection reads it."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    @property
    def size(self) -> int:
        return len(self.content)

    @property
    def descriptor(self) -> int | None:
        return None

    def blocks(self, size: int = 256 * 1024) -> Iterator[memoryview]:
        buffers = [bytearray(size), bytearray(size)]  # reused, as the real ones are
        for at in range(0, len(self.content), size):
            part = self.content[at : at + size]
            buffer = buffers[at // size % 2]
            buffer[: len(part)] = part
            yield memoryview(buffer)[: len(part)]

    def read_at(self, offset: int, size: int) -> bytes:
        return self.content[offset : offset + size]


@cache
def look(content: bytes, name: str = "mesures.csv") -> Profile:
    return looked(content, name)[1]


def looked(content: bytes, name: str = "mesures.csv") -> tuple[Fingerprint, Profile]:
    return inspect(Memory(content), name)


def measures(
    first: date = date(2026, 1, 1),
    days: int = 49,
    *,
    hours: int = 25,
    delimiter: str = ";",
    seed: int = 1,
    header: tuple[str, ...] | None = None,
) -> str:
    """Air quality by commune and hour: dates, codes with leading zeros, decimal commas, accents."""
    rng = random.Random(seed)
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\n")
    writer.writerow(header or ("date", "code_insee", "commune", "heure", "no2", "remarque"))
    for day in range(days):
        for hour in range(hours):
            for code, name in COMMUNES:
                value = f"{rng.gammavariate(4, 8):.1f}".replace(".", ",")
                remark = rng.choice(("", "", "", "capteur d'été; révisé", 'dit "provisoire"'))
                writer.writerow((first + timedelta(day), code, name, hour, value, remark))
    return out.getvalue()


def lines(text: str, start: int, end: int | None = None) -> str:
    """The header and some of the rows."""
    head, *rows = text.splitlines(keepends=True)
    return head + "".join(rows[start:end])


def features(count: int = 200, *, swapped: bool = False) -> bytes:
    """Points around Lyon."""
    rng = random.Random(2)
    made = []
    for number in range(count):
        place = [round(4.8 + rng.random() / 10, 5), round(45.7 + rng.random() / 10, 5)]
        made.append(
            {
                "type": "Feature",
                "geometry": {"type": "Point", "coordinates": place[::-1] if swapped else place},
                "properties": {"nom": f"Arrêt {number}", "ligne": number % 9, "pmr": True},
            }
        )
    return json.dumps(
        {"type": "FeatureCollection", "name": "arrets", "features": made}, ensure_ascii=False
    ).encode()


def zipped(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members.items():
            made.writestr(name, content)
    return out.getvalue()


def workbook(rows: int = 300) -> bytes:
    """A small Excel file."""
    names = ("code", "libellé", "montant")
    return workbook_of(names, [(n, "Ligne", n * 3) for n in range(2, rows + 2)])


def workbook_of(names: Sequence[str], rows: Sequence[Sequence[str | int]]) -> bytes:
    """An Excel file, as its writers make them."""
    cells = "".join(f'<c t="s"><v>{place}</v></c>' for place in range(len(names)))
    body = "".join(
        f'<row r="{number}">'
        + "".join(
            f"<c><v>{cell}</v></c>"
            if isinstance(cell, int)
            else f'<c t="inlineStr"><is><t>{cell}</t></is></c>'
            for cell in row
        )
        + "</row>"
        for number, row in enumerate(rows, 2)
    )
    space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    return zipped(
        {
            "[Content_Types].xml": b"<Types/>",
            "xl/workbook.xml": b"<workbook/>",
            "xl/sharedStrings.xml": (
                f"<sst {space}>" + "".join(f"<si><t>{name}</t></si>" for name in names) + "</sst>"
            ).encode(),
            "xl/worksheets/sheet1.xml": (
                f'<worksheet {space}><sheetData><row r="1">{cells}</row>{body}</sheetData>'
                "</worksheet>"
            ).encode(),
        }
    )


def calc(rows: int = 300) -> bytes:
    """A small LibreOffice sheet."""

    def row(*values: str) -> str:
        cells = "".join(
            f"<table:table-cell><text:p>{value}</text:p></table:table-cell>" for value in values
        )
        return f"<table:table-row>{cells}</table:table-row>"

    body = "".join(row(str(number), "Ligne") for number in range(rows))
    empty = (
        '<table:table-row table:number-rows-repeated="1048000"><table:table-cell/>'
        "</table:table-row>"
    )
    rows_of = row("code", "libellé") + body + empty
    content = (
        "<office:document-content xmlns:office='o' xmlns:table='t' xmlns:text='x'>"
        f"<table:table>{rows_of}</table:table></office:document-content>"
    )
    return zipped({"mimetype": b"x", "content.xml": content.encode()})


def compressed(text: str) -> bytes:
    return gzip.compress(text.encode(), mtime=0)


def document() -> bytes:
    """The smallest PDF that is whole."""
    head = b"%PDF-1.4\n1 0 obj\n<</Type/Catalog>>\nendobj\n" + b"% filling\n" * 200
    return head + b"xref\n0 1\ntrailer\n<</Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % len(head)


#: Written by Apache Arrow 26: `n` rows of a day, a place (x, y) and a number, packed.
_PARQUET = {
    300: (
        "eNqVks1KAzEQxyfZEEotUsQJjexhLw0tdEt3sT0JKnjsofgGS12wUtu6/bA96NGH8Al8APFJPOwzePLYoxO32oPW"
        "jxAyhP/8Zv756ByfBijQRa+NHGEHYHs/DwBhI2z5QeCHDQRUuFfDVGARJUqX1K2KQ2sqGEsFoBV2P/Cc1WksD38C"
        "+WZQHP0bZBkJf7Cq+00oyXH3PL6MUAIWyrwkzqJJXIa2TW/Stt+Lp0jJedLYfBUXBFN0BsMQVCq0q9sGXCzoJsii"
        "zmogJ0XN1K05MblqjWwCcuuqSOFAvda11Ia8UB/L5jO28t6QzTP6QiXmiZk79oWvSt2CTfRiTT9ws/yVFivf9jxr"
        "9N4xL/w7dOVaPTqUanLq2YGKN4qSq2k88bujkR8lyfDam8XJuDcceGGr3qgH2t7o54QbeqYOfbc3ikxasA=="
    ),
    20: (
        "eNqV0kFKw0AUBuA3kzDUUCQU39CBLLLpMIWmNMF2JajgsoviDUIbsBDbmLba7ly69AA9hAfwIB7CA7j0panZaCkO"
        "YR7hzZf5k8zo+jZEGz30h8gRGgCn5w4ARL1oEIRhEPUQsIGygwZdFCg8ap74nGbDmAGyLp792FrRpfF1eVjxg8q+"
        "+p9iJYNjCVXah6ZYjO+S+xgFYL3Fm/YkXiYtGBaL+3SbTpMV2oAO9dh6XzeEqVqzeQTSKE8NNXhYV30QriofgVwa"
        "mcm1vtG1docSAvIikEvlQr5aSigNhjYppFNKs9uNrXd2IlP9xvQz+6XbQg3ggN1Udsv15zFr7xMXL1LBF0t/8L9g"
        "mVduLWl0Tb5bYPwszh9WyTIYZ1kQ5/n8yX9M8sV0PvOjQbfXDVXxHasLFvRnRnSwvgHBYEmv"
    ),
    0: (
        "eNqVkE0LgkAQhl9NJKJTMEsLS3hxqYNRgd2Djh6if2C1UFBq9qX/vjEjpEMQDDMM88w7H6vFekoOgeyIHXoA/kzl"
        "MUTfvWz35hSTC+r6dt/ZxVfjI1JMhJweD+ZGDqjDNat4x5KbObaSdAYBqWSkoagrfbiyViBbQCgx0NDtkaons2KF"
        "dV7Y8KVsFQ1Q/wLLBrj8Ap16cLVOg9o0KJEJXkQUGHpZnJ9v5hpssyyI8zx9eHeTXw5p4s3m48l4KqvTPwZtASv+"
        "9BNcMTAX"
    ),
}


def arrow(rows: int = 300) -> bytes:
    """A Parquet file; of 300, 20 or 0 rows."""
    return zlib.decompress(b64decode(_PARQUET[rows]))
