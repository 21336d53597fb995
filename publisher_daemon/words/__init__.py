"""Says in a person's language what the program says in English; machines are always told English.

Two ways in. A text for people only is written ``words("{count} files", count=3)``. A reason (the
``why`` of a file, an error's message and hint) is made in English where it arises, goes to the log
and to the ledger as it is, and is put into words here, when a person reads it: the catalogue's
English templates are matched against it and give back their parameters. So no room below knows of
languages, and what the ledger kept of last year is said in today's language.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from gettext import GNUTranslations, NullTranslations
from importlib.resources import files
from typing import Literal

Language = Literal["en", "fr"]

_HOLE = re.compile(r"\{(\w+)\}")
#: Where one sentence may end and the next begin: a hint follows its message.
_SEAM = re.compile(r"(?:(?<=[.!?)”»…])|(?<=\w)) (?=[A-ZÀ-Ý`“/])|(?<=;) ")
_DEEPEST = 3


@dataclass(frozen=True, slots=True)
class _Template:
    """An English sentence with holes, and what recognises it."""

    text: str
    pattern: re.Pattern[str]
    #: its longest stretch without a hole: quick to look for
    stretch: str
    weight: int


class Words:
    """One language. ``words(…)`` for our own texts, ``words.of(…)`` for reasons made elsewhere."""

    def __init__(self, language: Language = "en") -> None:
        self.language: Language = language
        self._catalogue = _catalogue(language)
        self._templates = _templates(language)
        self._of = lru_cache(maxsize=4096)(self._translated)

    def __call__(self, text: str, **values: object) -> str:
        """The text in this language, its holes filled."""
        said = self._catalogue.gettext(text)
        return said.format(**values) if values else said

    def count(self, one: str, many: str, count: int, **values: object) -> str:
        """The same for a number of things."""
        return self._catalogue.ngettext(one, many, count).format(count=count, **values)

    def of(self, reason: str) -> str:
        """A reason in this language; what the catalogue does not know stays as it is."""
        return reason if self.language == "en" else self._of(reason, _DEEPEST)

    def _translated(self, reason: str, depth: int) -> str:
        found = self._whole(reason, depth)
        if found is not None:
            return found
        for seam in _SEAM.finditer(reason):
            first = self._whole(reason[: seam.start()], depth)
            if first is not None:
                return f"{first}{seam[0]}{self._of(reason[seam.end() :], depth)}"
        return reason

    def _whole(self, reason: str, depth: int) -> str | None:
        """The reason, if one template makes it."""
        said = self._catalogue.gettext(reason) if reason else reason
        if said != reason:
            return said
        if not depth:
            return None
        best = max(
            (
                (template.weight, template.text, match)
                for template in self._templates
                if template.stretch in reason and (match := template.pattern.fullmatch(reason))
            ),
            key=lambda one: one[:2],
            default=None,
        )
        if best is None:
            return None
        holes = {name: self._of(value, depth - 1) for name, value in best[2].groupdict().items()}
        return _fill(self._catalogue.gettext(best[1]), holes)


def _fill(text: str, holes: dict[str, str]) -> str:
    # not str.format: a reason may hold braces of its own
    return _HOLE.sub(lambda hole: holes.get(hole[1], hole[0]), text)


@lru_cache(maxsize=2)
def _catalogue(language: Language) -> NullTranslations:
    if language == "en":
        return NullTranslations()
    with (files(__name__) / language / "publisher-daemon.mo").open("rb") as compiled:
        return GNUTranslations(compiled)


@lru_cache(maxsize=2)
def _templates(language: Language) -> tuple[_Template, ...]:
    catalogue = _catalogue(language)
    kept = getattr(catalogue, "_catalog", {})  # gettext has no other way to list its messages
    return tuple(_each(key for key in kept if isinstance(key, str)))


def _each(texts: Iterator[str]) -> Iterator[_Template]:
    for text in texts:
        if not _HOLE.search(text):
            continue
        plain = _HOLE.split(text)[::2]
        pattern, seen = "", set[str]()
        for index, piece in enumerate(_HOLE.split(text)):
            if index % 2 == 0:
                pattern += re.escape(piece)
            elif piece in seen:
                pattern += f"(?P={piece})"
            else:
                seen.add(piece)
                pattern += f"(?P<{piece}>.*?)"
        yield _Template(
            text, re.compile(pattern, re.DOTALL), max(plain, key=len), sum(map(len, plain))
        )
