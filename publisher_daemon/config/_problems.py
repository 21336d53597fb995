"""Turns what is wrong into sentences: where, what, and what would be right. Never a secret."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from publisher_daemon.config._key import looks_like_a_key
from publisher_daemon.config._locate import Where

_SECRET = {"api_key", "proxy"}
_LONGEST = 60


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong at one place; ``text`` follows the key and its value."""

    where: Where
    text: str
    #: whether the value may be shown
    show: bool = True


@dataclass(frozen=True, slots=True)
class Origin:
    """Where each value came from."""

    file: str
    lines: Mapping[Where, int]
    variables: Mapping[Where, str]
    values: Mapping[str, Any]

    def sentence(self, problem: Problem) -> str:
        """The problem as one line."""
        return f"{self._place(problem.where)}: {self._key(problem)}: {problem.text.rstrip('.')}."

    def order(self, problem: Problem) -> tuple[int, str]:
        """Problems are told from the top of the file to its end."""
        return self._line(problem.where) or 0, str(problem.where)

    def _line(self, where: Where) -> int | None:
        for length in range(len(where), 0, -1):
            if where[:length] in self.lines:
                return self.lines[where[:length]]
        return None

    def _place(self, where: Where) -> str:
        for length in range(len(where), 0, -1):
            if where[:length] in self.variables:
                return f"environment: {self.variables[where[:length]]}"
        if where not in self.lines:
            # a section that only variables made: the first of them made it
            for place, variable in self.variables.items():
                if place[: len(where)] == where:
                    return f"environment: {variable}"
        line = self._line(where)
        return self.file if line is None else f"{self.file}:{line}"

    def _key(self, problem: Problem) -> str:
        shown = ""
        for index, step in enumerate(problem.where):
            last = index == len(problem.where) - 1
            if isinstance(step, int):
                shown += f"[{step + 1}]"
            elif last and index > 0:
                shown += f" {step}"
            else:
                shown += f"[{step}]" if index == 0 else f" {step}"
        value = self._value(problem)
        return shown if value is None else f"{shown} = {value}"

    def _value(self, problem: Problem) -> str | None:
        if not problem.show or _SECRET & set(problem.where):
            return None
        found: Any = self.values
        for step in problem.where:
            try:
                found = found[step]
            except (KeyError, IndexError, TypeError):
                return None
        if not isinstance(found, str | int | float):
            return None
        return _quoted(found)


def _quoted(value: str | float) -> str | None:
    if isinstance(value, str):
        if looks_like_a_key(value) or "@" in value:
            return None
        value = value if len(value) <= _LONGEST else value[: _LONGEST - 1] + "…"
        return json.dumps(value, ensure_ascii=False)
    return json.dumps(value)


def from_validation(error: ValidationError, root: type[BaseModel]) -> list[Problem]:
    """Every problem pydantic found, in our words."""
    details = error.errors(include_input=False, include_url=False)
    return [_problem(detail, root) for detail in details]


def _problem(detail: ErrorDetails, root: type[BaseModel]) -> Problem:
    where: Where = detail["loc"]
    kind = detail["type"]
    context = detail.get("ctx", {})
    if kind == "extra_forbidden":
        return Problem(where, _unknown(where, root), show=False)
    if kind == "missing":
        return Problem(where, "is missing. Add it to this section", show=False)
    if kind == "value_error":
        return Problem(where, str(context["error"]))
    text = _KINDS.get(kind)
    if text is None:
        return Problem(where, detail["msg"])
    return Problem(where, text.format(**context))


_TABLE = "must be a section of its own, with keys and values"
_LIST = 'must be a list. Write for example ["one", "two"]'
_BOOL = "must be true or false, without quotes"
_WHOLE = "must be a whole number, without quotes"
_KINDS = {
    "literal_error": "is not a choice. Write {expected}",
    "string_type": "must be text. Put it between quotes",
    "path_type": "must be a path. Put it between quotes",
    "string_too_short": "must have at least {min_length} character(s)",
    "string_too_long": "is too long for the portal. Write at most {max_length} characters",
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "greater_than_equal": "is too small. Write {ge} or more",
    "less_than_equal": "is too large. Write {le} or less",
    "bool_type": _BOOL,
    "bool_parsing": _BOOL,
    "tuple_type": _LIST,
    "list_type": _LIST,
    "dict_type": _TABLE,
    "model_type": _TABLE,
    "model_attributes_type": _TABLE,
}


def _unknown(where: Where, root: type[BaseModel]) -> str:
    known = keys_at(where[:-1], root)
    near = get_close_matches(str(where[-1]).lower(), known, n=1)
    if near:
        return f'unknown key. The nearest known one is "{near[0]}"'
    return f"unknown key. Known here: {', '.join(known)}"


def keys_at(where: Where, root: type[BaseModel]) -> list[str]:
    """The keys a section takes, as a person writes them."""
    section: type[BaseModel] | None = root
    for step in where:
        if isinstance(step, str) and section is not None:
            section = next(
                (
                    _section(field.annotation)
                    for name, field in section.model_fields.items()
                    if step in (name, field.alias)
                ),
                None,
            )
    if section is None:
        return []
    return [_alias(field) or name for name, field in section.model_fields.items()]


def _alias(field: Any) -> str | None:
    alias = field.alias
    return alias if isinstance(alias, str) else None


def _section(annotation: Any) -> type[BaseModel] | None:
    """The section inside ``X``, ``X | None`` or ``tuple[X, ...]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for arg in get_args(annotation) if (found := _section(arg))), None)
