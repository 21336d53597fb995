"""docs/reference/events.md against the code: each event in use is explained, with its level."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "publisher_daemon"
CATALOGUE = ROOT / "docs" / "reference" / "events.md"

EVENT = re.compile(r"[a-z]+\.[a-z_]+")
LEVELS = {
    "debug": "debug",
    "info": "info",
    "warning": "warning",
    "error": "error",
    "exception": "error",
    "critical": "error",
}
LOGGERS = re.compile(r"_?(log|logger|say)")


def catalogue() -> dict[str, tuple[set[str], str]]:
    """Levels and meaning, by event."""
    lines = [line for line in CATALOGUE.read_text().splitlines() if line.startswith("| `")]
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert len({cells[0] for cells in table}) == len(table), "an event has two rows"
    return {cells[0].strip("`"): (set(cells[1].split(", ")), cells[2]) for cells in table}


def is_logger(node: ast.expr) -> bool:
    """``log``, ``self._log``, ``log.bind(…)``, ``structlog.get_logger()``."""
    if isinstance(node, ast.Call):
        return is_logger(node.func)
    if isinstance(node, ast.Attribute):
        if node.attr in ("bind", "new", "try_unbind"):
            return is_logger(node.value)
        return node.attr == "get_logger" or LOGGERS.fullmatch(node.attr) is not None
    return isinstance(node, ast.Name) and LOGGERS.fullmatch(node.id) is not None


def looks_like_event(node: ast.expr) -> bool:
    value = node.value if isinstance(node, ast.Constant) else None
    return isinstance(value, str) and EVENT.fullmatch(value) is not None


def calls(tree: ast.AST) -> Iterator[tuple[ast.expr, str | None, int]]:
    """(first argument, level or None when it is chosen at run time, line) of every log call."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        first = node.args[0]
        names = [first.body, first.orelse] if isinstance(first, ast.IfExp) else [first]
        if not isinstance(node.func, ast.Attribute):
            # `say` may also be a plain printer: only what has an event's form is one
            level = None
            names = [each for each in names if is_logger(node.func) and looks_like_event(each)]
        elif is_logger(node.func.value) and node.func.attr in LEVELS:
            level = LEVELS[node.func.attr]
        else:
            continue
        yield from ((name, level, node.lineno) for name in names)


def events(tree: ast.AST) -> Iterator[tuple[str, str | None, int]]:
    """(event, level or None, line) of every log call, and of names kept in a table."""
    dynamic = False
    for name, level, line in calls(tree):
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            yield name.value, level, line
        else:
            dynamic = True
    # the event comes out of a table: any constant of the module that looks like one of ours
    known = catalogue()
    nouns = {event.partition(".")[0] for event in known}
    for node in ast.walk(tree) if dynamic else ():
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            noun, _, verb = node.value.partition(".")
            new = EVENT.fullmatch(node.value) and noun in nouns and verb.endswith("ed")
            if new or node.value in known:
                yield node.value, None, node.lineno


def used() -> Iterator[tuple[str, str | None, str]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        for event, level, line in events(ast.parse(path.read_text())):
            yield event, level, f"{path.relative_to(ROOT)}:{line}"


def test_every_event_in_the_code_is_in_the_catalogue() -> None:
    known = catalogue()

    assert [(event, where) for event, _, where in used() if event not in known] == []


def test_every_event_in_the_code_has_the_level_of_the_catalogue() -> None:
    known = catalogue()

    wrong = [
        (event, level, where)
        for event, level, where in used()
        if level is not None and event in known and level not in known[event][0]
    ]
    assert wrong == []


def test_every_event_of_the_catalogue_is_used_or_marked() -> None:
    seen = {event for event, _, _ in used()}

    unused = [
        event
        for event, (_, meaning) in catalogue().items()
        if event not in seen and "*reserved*" not in meaning
    ]
    assert unused == []


def test_nothing_marked_as_reserved_is_used() -> None:
    seen = {event for event, _, _ in used()}

    assert [
        e for e, (_, meaning) in catalogue().items() if "*reserved*" in meaning and e in seen
    ] == []


def test_names_and_levels_have_the_promised_form() -> None:
    for event, (levels, _) in catalogue().items():
        assert EVENT.fullmatch(event), event
        assert levels <= set(LEVELS.values()), event


def test_finds_events_in_every_way_they_are_written() -> None:
    code = """
log.info("a.opened", x=1)
self._log.bind(k=1).warning("b.opened" if x else "c.opened")
structlog.get_logger().exception("d.opened")
other.info("e.opened")
math.log("f.opened")
log.error(NAMES[kind])
NAMES = {1: "file.opened", 2: "config.toml", 3: "nobody.opened"}
"""
    found = {(event, level) for event, level, _ in events(ast.parse(code))}

    assert found == {
        ("a.opened", "info"),
        ("b.opened", "warning"),
        ("c.opened", "warning"),
        ("d.opened", "error"),
        ("file.opened", None),
    }
