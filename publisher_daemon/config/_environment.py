"""Reads settings from environment variables: ``PUBLISHER_DAEMON__QUIET`` is ``[daemon] quiet``.

Steps are separated by two underscores; a number is a place in a list, from 0 as in
``PUBLISHER_FOLDERS__0__PATH``; a value that starts with ``[`` or ``{`` is JSON. Own code rather
than pydantic-settings' reader, which neither reaches into lists nor tells which variable is wrong.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from publisher_daemon.config._locate import Where
from publisher_daemon.config._problems import Problem

_PREFIX = "PUBLISHER_"
_LITERALS = {"true": True, "false": False}


def read_environment(
    environ: Mapping[str, str], sections: Iterable[str]
) -> tuple[dict[Where, Any], dict[Where, str], list[Problem], list[str]]:
    """(values by place, variable by place, problems, warnings)."""
    values: dict[Where, Any] = {}
    variables: dict[Where, str] = {}
    problems: list[Problem] = []
    warnings: list[str] = []
    known = set(sections)
    for variable in sorted(environ):
        if not variable.startswith(_PREFIX) or variable == "PUBLISHER_CONFIG":
            continue
        steps = variable.removeprefix(_PREFIX).lower().split("__")
        if steps[0] not in known and len(steps) == 1:
            # other programs may share our prefix: only what has our form is surely meant for us
            warnings.append(f"the environment variable {variable} is no setting: it is ignored.")
            continue
        where: Where = tuple(int(step) if step.isdecimal() else step for step in steps)
        variables[where] = variable
        try:
            values[where] = _value(environ[variable])
        except json.JSONDecodeError as error:
            text = f"is not valid JSON (at character {error.pos + 1})"
            problems.append(Problem(where, text, show=False))
    return values, variables, problems, warnings


def _value(text: str) -> Any:
    if text[:1] in ("[", "{"):
        return json.loads(text)
    return _LITERALS.get(text, text)


def merge(
    file: dict[str, Any], values: Mapping[Where, Any], problems: list[Problem]
) -> dict[str, Any]:
    """The file's values with the environment's on top; ``file`` is changed."""
    # shorter places first: PUBLISHER_FOLDERS as JSON, then PUBLISHER_FOLDERS__0__QUIET on top of it
    for where in sorted(values, key=lambda where: (len(where), [str(step) for step in where])):
        _put(file, where, values[where], problems)
    return file


def _put(root: Any, where: Where, value: Any, problems: list[Problem]) -> None:
    node = root
    for index, step in enumerate(where):
        last = index == len(where) - 1
        empty: Any = None if last else ([] if isinstance(where[index + 1], int) else {})
        if isinstance(node, list) and isinstance(step, int):
            if step > len(node):
                text = f"skips a place: the list has {len(node)} so far, so the next is {len(node)}"
                problems.append(Problem(where, text, show=False))
                return
            if step == len(node):
                node.append(empty)
        elif not isinstance(node, dict) or not isinstance(step, str):
            problems.append(Problem(where, "does not fit the settings' structure", show=False))
            return
        if last:
            node[step] = value
        elif isinstance(node, dict):
            node = node.setdefault(step, empty)
        else:
            node = node[step]
