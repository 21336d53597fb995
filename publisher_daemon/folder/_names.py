"""Which names people chose: the patterns of ``include`` and ``exclude``.

Patterns read as in gitignore: without a "/" they match the file's own name at any depth; with one
they match the whole path below the folder; "**/" is any number of directories, and "*" never
crosses a "/".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


class Patterns:
    """Several patterns, compiled to one expression."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._names = _either(p for p in patterns if "/" not in p)
        self._paths = _either(p for p in patterns if "/" in p)

    def match(self, path: str) -> bool:
        """Whether the path (relative to the folder), or its own name, matches one of them."""
        if self._names is not None and self._names.fullmatch(path.rpartition("/")[2]):
            return True
        return self._paths is not None and self._paths.fullmatch(path) is not None

    def match_directory(self, path: str) -> bool:
        """Whether everything below this directory matches."""
        return self.match(path) or self.match(f"{path}/")


def _either(patterns: Iterable[str]) -> re.Pattern[str] | None:
    expressions = [_translate(pattern) for pattern in patterns]
    return re.compile("|".join(expressions), re.DOTALL) if expressions else None


def _translate(pattern: str) -> str:
    """The regular expression of one pattern."""
    # "/a" is anchored, as any pattern with a "/" is; "a/" is everything in the directory a
    rest = pattern.removeprefix("/")
    out: list[str] = []
    if rest.endswith("/") and "/" not in rest[:-1]:
        out.append("(?:.*/)?")
    while rest:
        if rest.startswith("**/"):
            out.append("(?:.*/)?")
            rest = rest[3:]
        elif rest in {"**", "/**"}:
            out.append(".*" if rest == "**" else "/.*")
            rest = ""
        elif rest.startswith("*"):
            out.append("[^/]*")
            rest = rest.lstrip("*")
        elif rest.startswith("?"):
            out.append("[^/]")
            rest = rest[1:]
        elif rest.startswith("[") and (end := rest.find("]", 2)) > 0:
            inner = rest[1:end].replace("\\", "\\\\").replace("[", "\\[")
            inner = f"^{inner[1:]}" if inner.startswith("!") else inner
            out.append(f"(?!/)[{inner}]")
            rest = rest[end + 1 :]
        else:
            out.append(re.escape(rest[0]))
            rest = rest[1:]
    if pattern.endswith("/"):
        out.append(".*")
    return "".join(out)
