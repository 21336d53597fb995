"""Gathers from the source every sentence a person may read, and keeps the catalogues in step.

    python tests/wording.py          # what is missing, or no longer used, in each language
    python tests/wording.py update   # add what is missing (to be translated), compile

A sentence is a text (or an f-string: its expressions become holes, named after them) of two words
or more in one of the rooms that speak to people, or the argument of ``words(…)`` anywhere.
"""

from __future__ import annotations

import ast
import itertools
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "publisher_daemon"
LANGUAGES = ("fr",)

#: The rooms whose sentences people read as they are: the reasons of files, datasets and errors.
SPEAKING = (
    "plan", "verdict.py", "series.py", "inspection", "tableschema.py", "schemas.py",
    "settle.py", "folder", "portal", "reconcile", "status.py", "refresh", "catalogue",
    "errors.py", "retry.py", "dividing.py", "watcher", "ledger/_store.py", "ledger/place.py",
    "merge.py", "daemon/office.py", "daemon/concerns.py", "daemon/inspecting.py",
    "cli", "config", "check", "cron.py", "expect.py", "windows.py",
)  # fmt: skip
#: What may stand before the words of a line (``cli.showing``).
LEAD = re.compile(r"^[\s!→-]+")
#: What has the form of a sentence there, and is none: headers, journal texts, our own mistakes.
SILENT = re.compile(
    r"^(BEGIN|PRAGMA|POST|PUT|DELETE) |multipart/|Content-Disposition|^\\s"
    r"|\(\?|^(zip|gz|xls|gpkg|jpg|tif|json|xml|html|csv)( \w+)+$|^not a zip$|^before the start$"
    r"|^unexpected end of data$|private must be|a body is as long|never sent in an update"
    r"|^publisher-daemon [\w -]+$|^publisher-daemon:? \{|^no TOML for|^#?\[\[folders\]\]"
    r"|^#?api_key_file = |^#state_dir|^# /etc/|^\\\(at line|^\(at end of|^environment: \{URL\}"
    r"|^path = |^does not answer: $|^# $|^import sys"
)
WORD = re.compile(r"[^\W\d_]{2,}")


def po(language: str) -> Path:
    return PACKAGE / "words" / language / "publisher-daemon.po"


def mo(language: str) -> Path:
    return po(language).with_suffix(".mo")


def catalogue(language: str) -> Catalog:
    with po(language).open("rb") as source:
        return read_po(source, locale=language)


def compiled(found: Catalog) -> bytes:
    out = BytesIO()
    write_mo(out, found)
    return out.getvalue()


# ----------------------------------------------------------------------------- from the source

Piece = str | ast.expr


def _pieces(node: ast.expr) -> Iterator[list[Piece]]:
    """Every text the expression may make, as plain pieces and expressions."""
    match node:
        case ast.Constant(value=str(text)):
            yield [text]
        case ast.JoinedStr(values=values):
            yield [
                part.value if isinstance(part, ast.FormattedValue) else str(_constant(part))
                for part in values
            ]
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            lefts, rights = list(_pieces(left)), list(_pieces(right))
            if lefts or rights:
                first: list[list[Piece]] = lefts or [[left]]
                second: list[list[Piece]] = rights or [[right]]
                for one, other in itertools.product(first, second):
                    yield [*one, *other]
        case ast.IfExp(body=body, orelse=orelse):
            yield from _pieces(body)
            yield from _pieces(orelse)
        case _:
            return


def _constant(node: ast.expr) -> object:
    return node.value if isinstance(node, ast.Constant) else ""


def _name(node: ast.expr) -> str:
    """A name for the hole that this expression fills."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(attr=name):
            return name
        case ast.Call(func=ast.Attribute(value=ast.Constant()), args=[first, *_]):
            return _name(first)
        case ast.Call(args=[first, *_]):
            return _name(first)
        case ast.Call(func=function):
            return _name(function)
        case ast.Subscript(value=value):
            return _name(value)
        case ast.BoolOp(values=[first, *_]):
            return _name(first)
        case _:
            return "value"


def _template(pieces: list[Piece]) -> str:
    text, seen = "", dict[str, str]()
    for piece in pieces:
        if isinstance(piece, str):
            text += piece
            continue
        source, base = ast.unparse(piece), _name(piece).strip("_")
        name, number = base, 1
        while seen.setdefault(name, source) != source:
            number += 1
            name = f"{base}{number}"
        text += f"{{{name}}}"
    return text


def _speaks(path: Path) -> bool:
    inside = path.relative_to(PACKAGE).as_posix()
    return any(inside == room or inside.startswith(f"{room}/") for room in SPEAKING)


def _documentation(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                yield first.value


def _counts(call: ast.Call) -> bool:
    function = call.func
    return (
        isinstance(function, ast.Attribute)
        and function.attr == "count"
        and _is_words(function.value)
    )


def _is_words(node: ast.expr) -> bool:
    if isinstance(node, ast.Call):
        return ast.unparse(node) == "speaking()"
    named = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    return named.strip("_") == "words"


def _asked(tree: ast.AST) -> Iterator[str]:
    """The texts of ``words(…)`` and of ``words.count(…)``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (_counts(node) or _is_words(node.func)):
            for argument in node.args[: 2 if _counts(node) else 1]:
                yield from (_template(pieces) for pieces in _pieces(argument))


def _defaults(tree: ast.AST) -> Iterator[str]:
    """The default messages of errors: the docstrings of their classes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name not in {"Exchange", "PublisherError"}:
            yield ast.get_docstring(node) or ""


def sentences() -> dict[str, str]:
    """Every sentence, with the place where it first stands."""
    found = dict.fromkeys((*SINGLE, *PYTHON), "tests/wording.py")
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        where = path.relative_to(ROOT).as_posix()
        for text in _asked(tree):
            found.setdefault(text, where)
        if path.name == "errors.py":
            for text in _defaults(tree):
                found.setdefault(text, where)
        elif _speaks(path):
            for text in _spoken(tree):
                found.setdefault(text, where)
    return found


#: What people read and nothing else would tell from a key or a code.
SINGLE = (
    "published", "pending", "held", "failed", "kept", "withdrawn", "ignored",
    "events", "polling", "degraded", "never", "nowhere", "contains", "directories", "folders",
    "none", "nothing", "PUBLIC", "private", "topic", "configuration", "environment: {variable}",
    "“{name}”", "{count} file", "{count} files", "{count} day", "{count} days", "{count} hour",
    "{count} hours", "{count} minute", "{count} minutes", "{count} seconds",
    "{count} resource", "{count} resources",
    "upload", "replace", "describe", "identify", "adopt", "rename", "abandon", "forget", "keep",
    "withdraw",
    *(f"{many} {state}" for many in ("1", "{count}") for state in (
        "published", "pending", "held", "failed", "kept", "withdrawn", "ignored",
    )),
    "text", "tabs", "commas", "semicolons", "bars", "line {at}: {count}", "about {count}",
    "daily by {time}", "weekdays by {time}", "monthly by {count} {time}", "monthly by last {time}",
    *(f"weekly by {day} {{time}}" for day in (
        "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday",
    )),
    "'{some}' or '{last}'", "{some}:// or {last}://",
    "minute", "hour", "day-of-month", "month", "day-of-week", "0 to 59", "0 to 23",
)  # fmt: skip
#: What Python itself says on the command line and of a file: argparse, tomllib, the system.
PYTHON = (
    "the following arguments are required: {names}",
    "unrecognized arguments: {names}",
    "argument {name}: invalid choice: {given} (choose from {known})",
    "argument {name}: invalid int value: {given}",
    "argument {name}: expected one argument",
    "argument {name}: ignored explicit argument {given}",
    "ambiguous option: {given} could match {known}",
    "Expected '=' after a key in a key/value pair",
    "Expected newline or end of document after a statement",
    "Expected ']' at the end of a table declaration",
    "Expected ']]' at the end of an array declaration",
    "Cannot declare {key} twice",
    "Cannot overwrite a value",
    "Duplicate inline table key {key}",
    "Found invalid character {char}",
    "Illegal character {char}",
    "Invalid date or datetime",
    "Invalid initial character for a key part",
    "Invalid statement",
    "Invalid value",
    "Unclosed array",
    "Unclosed inline table",
    "Unescaped '\\' in a string",
    "Unterminated string",
    "Permission denied",
    "No such file or directory",
    "Is a directory",
    "Not a directory",
    "Read-only file system",
    "No space left on device",
    "Input/output error",
    "Stale file handle",
    "Too many levels of symbolic links",
)


def _sentence(text: str) -> Iterator[str]:
    """The text, when it is one of two words or more that people read."""
    text = LEAD.sub("", text)
    plain = re.sub(r"\{\w*\}", "", text)
    if len(WORD.findall(plain)) >= 2 and " " in plain and not SILENT.search(text):
        yield text


def _inside(node: ast.expr) -> Iterator[str]:
    """The texts that the expressions of an f-string may be: ``{day or 'not known yet'}``."""
    for hole in ast.walk(node):
        if isinstance(hole, ast.FormattedValue) and isinstance(hole.value, ast.BoolOp | ast.IfExp):
            for said in ast.walk(hole.value):
                if isinstance(said, ast.Constant) and isinstance(said.value, str):
                    yield said.value


def _spoken(tree: ast.AST) -> Iterator[str]:
    skipped = {id(node) for node in _documentation(tree)}
    for node in ast.walk(tree):
        if id(node) in skipped or not isinstance(node, ast.expr):
            skipped.update(id(child) for child in ast.iter_child_nodes(node) if id(node) in skipped)
            continue
        made = list(_pieces(node))
        if made and not isinstance(node, ast.IfExp):
            skipped.update(id(inner) for inner in ast.walk(node) if inner is not node)
            for pieces in made:
                yield from _sentence(_template(pieces))
            for inner in _inside(node):
                yield from _sentence(inner)


# -------------------------------------------------------------------------------------- the tool


def _ids(message: Message) -> tuple[str, ...]:
    """The text, or the singular and the plural."""
    return tuple(message.id) if isinstance(message.id, list | tuple) else (str(message.id),)


def _said(message: Message) -> bool:
    said = message.string
    return all(said) if isinstance(said, list | tuple) else bool(said)


def plurals() -> dict[str, tuple[str, str]]:
    """Both forms of what is counted, by either of them."""
    found: dict[str, tuple[str, str]] = {}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and _counts(node) and len(node.args) >= 2:
                one, many = (_template(next(_pieces(argument), [])) for argument in node.args[:2])
                found |= dict.fromkeys((one, many), (one, many))
    return found


def missing(language: str) -> dict[str, str]:
    known = {one for message in catalogue(language) if _said(message) for one in _ids(message)}
    return {text: where for text, where in sentences().items() if text not in known}


def unused(language: str) -> set[str]:
    known = {one for message in catalogue(language) for one in _ids(message) if one}
    return known - set(sentences())


def typography(text: str) -> str:
    """The text as French is printed: what stands before : ; ! ? and inside « » never wraps."""
    text = re.sub(r" ([:;!?»])(?=\W|$)", "\N{NO-BREAK SPACE}\\1", text)
    text = re.sub(r"« ", "«\N{NO-BREAK SPACE}", text)
    return re.sub(r"(?<=[^\W\d_])'(?=[^\W\d_])", "’", text)


def update(language: str) -> None:
    found = catalogue(language)
    for message in found:
        said = message.string
        if message.id and language == "fr":
            message.string = (
                tuple(map(typography, said))
                if isinstance(said, list | tuple)
                else typography(str(said or ""))
            )
    found.project, found.language_team, found.last_translator = "publisher-daemon", "", ""
    found.msgid_bugs_address, found.copyright_holder = "", ""
    found.creation_date = found.revision_date = datetime(2026, 11, 21, tzinfo=UTC)
    both = plurals()
    for text in missing(language):
        found.add(both.get(text, text))
    for text in unused(language):
        found.delete(text)
    out = BytesIO()
    write_po(out, found, width=98, sort_output=True)
    po(language).write_bytes(out.getvalue())
    mo(language).write_bytes(compiled(catalogue(language)))


def main() -> int:
    for language in LANGUAGES:
        if sys.argv[1:] == ["update"]:
            update(language)
        left = missing(language)
        for text, where in left.items():
            print(f"{language}: to be said: {where}: {text!r}")
        for text in sorted(unused(language)):
            print(f"{language}: not used any more: {text!r}")
    return int(any(map(missing, LANGUAGES)))


if __name__ == "__main__":
    raise SystemExit(main())
