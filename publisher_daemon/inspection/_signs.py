"""What the first bytes of a file show, against what its name says."""

from __future__ import annotations

import re

from publisher_daemon.profile import Finding, Level

#: (what it is, where it stands, the bytes)
_MAGIC: tuple[tuple[str, int, bytes], ...] = (
    ("pdf", 0, b"%PDF-"),
    ("zip", 0, b"PK\x03\x04"),
    ("zip", 0, b"PK\x05\x06"),
    ("gzip", 0, b"\x1f\x8b"),
    ("parquet", 0, b"PAR1"),
    ("ole", 0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
    ("sqlite", 0, b"SQLite format 3\x00"),
    ("7z", 0, b"7z\xbc\xaf\x27\x1c"),
    ("rar", 0, b"Rar!"),
    ("bzip2", 0, b"BZh"),
    ("xz", 0, b"\xfd7zXZ"),
    ("png", 0, b"\x89PNG\r\n"),
    ("jpeg", 0, b"\xff\xd8\xff"),
    ("gif", 0, b"GIF8"),
    ("tiff", 0, b"II*\x00"),
    ("tiff", 0, b"MM\x00*"),
    ("rtf", 0, b"{\\rtf"),
    ("program", 0, b"\x7fELF"),
    ("program", 0, b"MZ"),
    ("tar", 257, b"ustar"),
)
#: What a file of that extension must begin as.
_EXPECTED: dict[str, frozenset[str]] = {
    extension: frozenset(kinds.split())
    for kinds, extensions in (
        ("pdf", "pdf"),
        ("zip", "zip xlsx xlsm ods docx odt odp pptx kmz"),
        ("gzip", "gz tgz gzip"),
        ("parquet", "parquet"),
        ("ole", "xls doc ppt"),
        ("sqlite", "gpkg sqlite db"),
        ("7z", "7z"),
        ("rar", "rar"),
        ("bzip2", "bz2"),
        ("xz", "xz"),
        ("png", "png"),
        ("jpeg", "jpg jpeg"),
        ("gif", "gif"),
        ("tiff", "tif tiff"),
        ("rtf", "rtf"),
        ("tar", "tar"),
        ("json", "json geojson topojson"),
        ("xml", "xml kml gml gpx rdf rss atom wsdl"),
        ("html", "html htm"),
        ("text", "csv tsv txt md jsonl ndjson yaml yml sql ics"),
    )
    for extension in extensions.split()
}
_NAMES = {
    "zip": "a ZIP archive (Excel and LibreOffice files are some)",
    "gzip": "compressed data (gzip)",
    "pdf": "a PDF document",
    "ole": "an old Office document (.xls, .doc), or one with a password",
    "html": "a web page (HTML)",
    "xml": "XML",
    "json": "JSON",
    "text": "plain text",
    "program": "a program",
    "sqlite": "a database (SQLite)",
    "pointer": "a Git LFS pointer, not the data",
}
_HTML = re.compile(rb"(?:<!doctype\s+html|<html|<head|<body|<\?php)", re.IGNORECASE)
_ERROR = re.compile(
    rb"\s*(?:ORA-\d+|SQLSTATE|Fatal error|Traceback \(most recent|PHP (?:Fatal|Warning|Parse)|"
    rb"(?:Internal Server |Server |Erreur|Error)\s*[:\d]|Access denied|Permission denied|"
    rb"502 Bad Gateway|503 Service|504 Gateway|404 Not Found|psql: |mysqldump: |ERROR:? )",
    re.IGNORECASE,
)
#: How lines begin that programs leave in what they write.
_FAILURE = re.compile(
    rb"\s*(?:<br\s*/?>\s*)?(?:<b>)?\s*(?:"
    rb"(?:PHP )?(?:Warning|Notice|Deprecated|Fatal error|Parse error)(?:</b>)?\s*:|"
    rb"Traceback \(most recent|ORA-\d+|SQLSTATE|Msg \d+, Level|psql: |mysqldump: |"
    rb"(?:FATAL|ERROR|Error|Erreur)\s*:|<!doctype html|<html|"
    rb"\[?\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d\S*\s+"
    rb"\[?(?:DEBUG|INFO|WARN|WARNING|ERROR|FATAL|CRITICAL)\b)",
    re.IGNORECASE,
)
#: Of text, only what begins like this is held against a name that promises something else.
_TEXTS = frozenset({"text", "json", "xml", "html"})
#: Smaller files than this, in bytes, are hardly data that came to harm.
TRYING = 64


def seen_as(head: bytes) -> str:
    """What a file beginning with these bytes is."""
    for kind, at, magic in _MAGIC:
        if head[at : at + len(magic)] == magic:
            return kind
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith(b"version https://git-lfs"):
        return "pointer"
    if _HTML.match(text) or (text.startswith(b"<!--") and _HTML.search(text[:2000])):
        return "html"
    if text.startswith(b"<?xml") or re.match(rb"<[A-Za-z][\w:.-]*[\s/>]", text):
        return "html" if _HTML.search(text[:400]) else "xml"
    if re.match(rb'[\[{]\s*(?:["\[{\]}]|-?\d|true|false|null|$)', text):
        return "json"
    return "text"


def mismatch(head: bytes, extension: str | None, size: int) -> Finding | None:
    """What is wrong when the content is not what the name says."""
    expected = _EXPECTED.get(extension or "")
    seen = seen_as(head)
    if seen == "pointer":
        return Finding("not_the_data", "It is a Git LFS pointer, not the data itself.")
    if expected is None or seen in expected:
        return None
    if seen == "xml" and "html" in expected:
        return None
    if seen == "json" and "text" in expected and extension not in {"csv", "tsv"}:
        return None
    if seen == "json" and re.match(rb"\s*\[\d", head):
        return None
    what = _NAMES.get(seen, f"a {seen.upper()} file")
    if seen == "html":
        return Finding(
            "html_page",
            f"Its name says .{extension}, its content is a web page: rather the error page of a "
            "server than data.",
        )
    if seen == "text" and not expected & _TEXTS:
        what = "no such thing (damaged, or plain text)"
    # a few words that say nothing of an error are a person trying things
    level: Level = "warn" if seen == "text" and size < TRYING else "hold"
    why = f"Its name says .{extension}, its content is {what}."
    return Finding("not_its_extension", why, level)


def error_message(head: bytes, size: int) -> Finding | None:
    """What is wrong when the whole file is the message of a program that failed."""
    if size > 20_000 or not _ERROR.match(head):
        return None
    line = head.strip().splitlines()[0][:120].decode("utf-8", "replace")
    return Finding("error_message", f"It holds the message of a failed export: “{line}”.")


def failure(lines: bytes) -> str | None:
    """The first of these lines that is the message of a program."""
    for line in lines.splitlines():
        if _FAILURE.match(line):
            return line.strip()[:120].decode("utf-8", "replace")
    return None
