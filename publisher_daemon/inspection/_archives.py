"""Archives and documents that are read from their end: whether they are whole, what they hold."""

from __future__ import annotations

import io
import re
import sqlite3
import zipfile
import zlib
from contextlib import closing
from dataclasses import dataclass, replace
from xml.parsers import expat

from publisher_daemon.inspection._file import Positioned, Window
from publisher_daemon.inspection._parquet import parquet
from publisher_daemon.inspection._signs import error_message, mismatch
from publisher_daemon.naming import extension
from publisher_daemon.profile import Column, Finding, Profile

#: A ZIP that says it holds this many times its own size is no data.
BOMB = 1000
#: What a file in an archive must not be.
_NO_DATA = frozenset({"html_page", "error_message", "not_the_data"})
#: So many of the files in an archive are looked at.
MEMBERS = 100
#: How many of a spreadsheet's cells with shared text are looked up for its header.
HEADER = 500
BLOCK = 256 * 1024
#: So many of a PDF's objects are looked for.
OBJECTS = 200


@dataclass(frozen=True, slots=True)
class Archive:
    """What sort of container it is, by its content and by its name."""

    kind: str
    extension: str

    @classmethod
    def of(cls, seen: str, path: str) -> Archive | None:
        """The container to look into; None when it is none that we know."""
        if seen in {"zip", "pdf", "parquet", "sqlite"}:
            return cls(seen, extension(path) or "")
        return None


def look_inside(source: Positioned, archive: Archive, found: Profile) -> Profile:
    """The profile of a container, which is read once more at most."""
    match archive.kind:
        case "zip":
            return _zip(source, archive.extension, found)
        case "pdf":
            return _with(found, "pdf", _pdf(source))
        case "parquet":
            return parquet(source, found)
        case _:
            return _with(found, "sqlite", _sqlite(source))


def _with(found: Profile, kind: str, problem: str | None) -> Profile:
    if problem is None:
        return replace(found, kind=kind)
    return replace(found, kind=kind, findings=(Finding("damaged", problem),))


# ---------------------------------------------------------------------------------- ZIP and kin

_INSIDE = {
    "xlsx": "xl/workbook.xml",
    "xlsm": "xl/workbook.xml",
    "ods": "content.xml",
    "odt": "content.xml",
    "docx": "word/document.xml",
}


def _zip(source: Positioned, ending: str, found: Profile) -> Profile:
    kind = ending if ending in _INSIDE else "zip"
    whole = found
    try:
        with zipfile.ZipFile(io.BufferedReader(Window(source), BLOCK)) as opened:
            infos = opened.infolist()
            if any(info.flag_bits & 1 for info in infos):
                return _with(found, kind, "It is protected by a password: nobody could open it.")
            if sum(info.file_size for info in infos) > BOMB * source.size + BLOCK:
                return _with(found, kind, "It unpacks to far more than any data would.")
            broken = opened.testzip()
            if broken is not None:
                return _with(found, kind, f"It is damaged: “{broken}” in it cannot be unpacked.")
            wanted = _INSIDE.get(ending)
            if wanted is not None and wanted not in opened.namelist():
                return _with(found, kind, f"It is a ZIP archive, and no .{ending} document.")
            if not any(not info.is_dir() for info in infos):
                return _with(found, kind, "It is an archive with nothing in it.")
            whole = _opened(opened, ending, found)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
        why = "its end is missing" if "not a zip" in str(error) else str(error)[:120]
        return _with(found, kind, f"It is damaged or cut off: {why}.")
    except expat.ExpatError as error:
        return _with(found, kind, f"It is damaged: what is in it cannot be read ({error}).")
    return replace(whole, kind=kind)


def _opened(opened: zipfile.ZipFile, ending: str, found: Profile) -> Profile:
    """What a whole archive holds."""
    if ending in {"xlsx", "xlsm"}:
        return _sheet(opened, found, _Excel(_shared(opened)), _first_sheet(opened))
    if ending == "ods":
        return _sheet(opened, found, _Calc(), "content.xml")
    wrong = None if ending in _INSIDE else _member(opened)
    return found if wrong is None else replace(found, findings=(wrong,))


def _member(opened: zipfile.ZipFile) -> Finding | None:
    """What is wrong with a file in it, by its beginning, or by others that it needs."""
    names = {name.lower() for name in opened.namelist()}
    for info in opened.infolist()[:MEMBERS]:
        name = info.filename
        base, _, ending = name.lower().rpartition(".")
        if ending == "shp" and f"{base}.dbf" not in names:
            why = f"“{name}” in it lacks its table, the file that ends with .dbf."
            return Finding("damaged", why)
        with opened.open(info) as stream:
            head = stream.read(4096)
        wrong = mismatch(head, ending, info.file_size) or error_message(head, info.file_size)
        if wrong is not None and wrong.code in _NO_DATA:
            return replace(
                wrong, why=f"A file in it, “{name}”, is not what it should be: {wrong.why}"
            )
    return None


def _sheet(
    opened: zipfile.ZipFile, found: Profile, reader: _Excel | _Calc, member: str | None
) -> Profile:
    """The rows and the header of the first sheet."""
    if member is None:
        return found
    parser = expat.ParserCreate()
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    with opened.open(member) as stream:
        while block := stream.read(BLOCK):
            parser.Parse(block, False)
        parser.Parse(b"", True)
    names = [name.strip() for name in reader.names]
    while names and not names[-1]:
        names.pop()
    rows = max(0, reader.rows - 1)
    findings = found.findings
    if rows == 0:
        findings = (*findings, Finding("no_rows", "Its first sheet has no row.", "warn"))
    return replace(
        found,
        rows=rows,
        columns=tuple(Column(name, "text", 0.0) for name in names),
        findings=findings,
    )


def _first_sheet(opened: zipfile.ZipFile) -> str | None:
    names = [n for n in opened.namelist() if re.fullmatch(r"xl/worksheets/sheet\d+\.xml", n)]
    return min(names, key=lambda name: (len(name), name), default=None)


def _shared(opened: zipfile.ZipFile) -> list[str]:
    """The first texts that a workbook's cells point to: the header's are among them."""
    if "xl/sharedStrings.xml" not in opened.namelist():
        return []
    texts: list[str] = []
    inside = False

    def start(name: str, _: dict[str, str]) -> None:
        nonlocal inside
        if name == "si":
            texts.append("")
        inside = name == "t"

    def said(text: str) -> None:
        if inside and texts and len(texts) <= HEADER:
            texts[-1] += text

    def end(_: str) -> None:
        nonlocal inside
        inside = False

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = said
    with opened.open("xl/sharedStrings.xml") as stream:
        while len(texts) <= HEADER and (block := stream.read(BLOCK)):
            parser.Parse(block, False)
    return texts


class _Excel:
    """Follows the rows of a worksheet."""

    def __init__(self, shared: list[str]) -> None:
        self.rows = 0
        self.names: list[str] = []
        self._shared = shared
        self._type = ""
        self._value = ""
        self._inside = False
        self._filled = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """A row, a cell, a value begins."""
        if name == "row":
            self._filled = False
        elif name == "c":
            self._type, self._value = attributes.get("t", ""), ""
        self._inside = name in {"v", "t"}

    def text(self, text: str) -> None:
        """Some of a value."""
        if self._inside:
            self._filled = True
            if self.rows == 0:
                self._value += text

    def end(self, name: str) -> None:
        """A row or a cell ends."""
        self._inside = False
        if name == "c" and self.rows == 0:
            self.names.append(self._said())
        elif name == "row" and self._filled:
            self.rows += 1
        elif name == "row" and self.rows == 0:
            self.names = []

    def _said(self) -> str:
        if self._type == "s" and self._value.isdigit():
            place = int(self._value)
            return self._shared[place] if place < len(self._shared) else f"#{place}"
        return self._value


class _Calc:
    """Follows the rows of the first table of an OpenDocument sheet."""

    def __init__(self) -> None:
        self.rows = 0
        self.names: list[str] = []
        self._tables = 0
        self._value = ""
        self._filled = False
        self._times = 1

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """A table, a row, a cell begins."""
        if name == "table:table":
            self._tables += 1
        elif name == "table:table-row":
            self._filled = False
            self._times = int(attributes.get("table:number-rows-repeated", "1"))
        elif name == "table:table-cell":
            self._value = ""
            self._filled = self._filled or "office:value" in attributes

    def text(self, text: str) -> None:
        """Some of a value."""
        if self._tables == 1 and text.strip():
            self._filled = True
            if self.rows == 0:
                self._value += text

    def end(self, name: str) -> None:
        """A cell or a row ends."""
        if self._tables != 1:
            return
        if name == "table:table-cell" and self.rows == 0:
            self.names.append(self._value)
        elif name == "table:table-row" and self._filled:
            self.rows += self._times
        elif name == "table:table-row" and self.rows == 0:
            self.names = []


# -------------------------------------------------------------------------------------- others


def _pdf(source: Positioned) -> str | None:
    tail = source.read_at(max(0, source.size - 2048), 2048)
    if b"%%EOF" not in tail:
        return "The PDF is cut off: its end is missing."
    found = re.findall(rb"startxref\s+(\d+)", tail)
    if not found or int(found[-1]) >= source.size:
        return "The PDF is damaged: its table of contents is not where it should be."
    table = source.read_at(int(found[-1]), 64).lstrip()
    if not (table.startswith(b"xref") or re.match(rb"\d+\s+\d+\s+obj", table)):
        return "The PDF is damaged: its table of contents is not where it should be."
    if table.startswith(b"xref") and _has_holes(source, int(found[-1])):
        return "The PDF is damaged: parts of it are zero bytes, as after a full disk or a crash."
    return None


def _has_holes(source: Positioned, table: int) -> bool:
    """Whether nothing but zero bytes stands where its table of contents says that something does.

    What is only somewhere near is none of our business: those who show a PDF find it.
    """
    places = re.findall(rb"(\d{10}) \d{5} n", source.read_at(table, BLOCK))
    some = places[:: max(1, len(places) // OBJECTS)]
    return any(source.read_at(int(place), 16) == bytes(16) for place in some)


def _sqlite(source: Positioned) -> str | None:
    head = source.read_at(0, 100)
    page = int.from_bytes(head[16:18], "big")
    pages = int.from_bytes(head[28:32], "big")
    size = (65536 if page == 1 else page) * pages
    written_ahead = head[18:19] == b"\x02"  # it may have pages in its log, which is another file
    if pages and source.size < size and not written_ahead:
        return "The database is cut off: pages are missing at its end."
    if source.descriptor is None or not _is_torn(source.descriptor):
        return None
    return "The database is damaged inside: its pages do not fit together."


def _is_torn(descriptor: int) -> bool:
    """Whether SQLite's own check says so, in one reading; what it cannot read is no damage."""
    address = f"file:/proc/self/fd/{descriptor}?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(address, uri=True)) as opened:
            # nothing that the file says is run
            opened.execute("PRAGMA trusted_schema=OFF")
            opened.execute("PRAGMA cell_size_check=ON")
            (said,) = opened.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        return code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
    return bool(said != "ok")
