"""Says in a person's language what the program says in English; machines are always told English.

Two ways in. A text for people only is written ``words("{count} files", count=3)``. A reason (the
``why`` of a file, an error's message and hint) is made in English where it arises, goes to the log
and to the ledger as it is, and is put into words here, when a person reads it: the catalogue's
English templates are matched against it and give back their parameters. So no room below knows of
languages, and what the ledger kept of last year is said in today's language.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cached_property, lru_cache
from gettext import GNUTranslations, NullTranslations
from itertools import chain
from pathlib import Path
from typing import Literal, NamedTuple

Language = Literal["en", "fr"]

_HOLE = re.compile(r"\{(\w+)\}")
_QUOTED = re.compile(r"[“\"'`]\{(\w+)\}")
_NAME = re.compile(r"“([^“”]*)”")
_NAMES = re.compile(rf"{_NAME.pattern}(?:, {_NAME.pattern})*")
_NUMBER = r"\d[\d.,]*"
#: Where one sentence may end and the next begin: a hint follows its message.
_COLON = re.compile(": ")
_SEAM = re.compile(r"(?<=[.!?)”»…]) (?=[A-ZÀ-Ý`“/\d])|(?<=;) ")
#: …and where it may though nothing ends it: “API key” stands in the middle of one.
_WEAK_SEAM = re.compile(r"(?<=\w) (?=[A-ZÀ-Ý`“/])")
#: Where one sentence ends and another begins.
_END = re.compile(r"[.!?] [A-ZÀ-Ý`“/\d]")
_DEEPEST = 5
#: Numbers that are written otherwise elsewhere: thousands, and shares.
_FIGURE = re.compile(r"\d{1,3}(?:,\d{3})+%?|\d+%")
#: What an end of its own is worth, in characters, when several templates make one reason.
_CLOSED = 5
#: A list with more parts than this is left as it is.
_MOST_LISTED = 50
_LOCALE = ("LC_ALL", "LC_MESSAGES", "LANG")


def of_environment(environ: Mapping[str, str]) -> Language:
    """The language that this person's locale asks for, as gettext reads it; else English."""
    wanted = next((environ[name] for name in _LOCALE if environ.get(name)), "C")
    languages = [wanted]
    if wanted.split(".")[0] not in {"C", "POSIX"}:
        languages = [*filter(None, environ.get("LANGUAGE", "").split(":")), wanted]
    for language in languages:
        match re.split(r"[_.@]", language)[0].lower():
            case "fr":
                return "fr"
            case "en" | "c" | "posix":
                return "en"
    return "en"


class _Template(NamedTuple):
    """An English sentence with holes, and what recognises it."""

    text: str
    pattern: re.Pattern[str]
    #: its holes that hold somebody's own words, which are never put into others
    quoted: frozenset[str]
    #: its longest stretch without a hole: quick to look for
    stretch: str
    weight: int


class _Said(NamedTuple):
    """A reason in words; closed: its template ends with a word, not a hole that takes all."""

    text: str
    closed: bool


class Words:
    """One language. ``words(…)`` for our own texts, ``words.of(…)`` for reasons made elsewhere."""

    def __init__(self, language: Language = "en") -> None:
        self.language: Language = language
        self._catalogue = _catalogue(language)
        self._of = lru_cache(maxsize=4096)(self._translated)

    @cached_property
    def _templates(self) -> tuple[_Template, ...]:
        # not made before a reason is met: `--help` and `--version` answer at once
        return _templates(self.language)

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
        if _FIGURE.fullmatch(reason):
            return reason.replace(",", "\N{NO-BREAK SPACE}").replace("%", "\N{NO-BREAK SPACE}%")
        if _NAMES.fullmatch(reason):
            return _NAME.sub(lambda name: self("“{name}”", name=name[1]), reason)
        found = self._listed(reason, depth) or self._whole(reason, depth, alone=True)
        if found is not None:
            return found
        for seam in chain(_SEAM.finditer(reason), _WEAK_SEAM.finditer(reason)):
            first = self._sentence(reason[: seam.start()], depth, alone=True)
            if first is not None:
                return f"{first}{seam[0]}{self._of(reason[seam.end() :], depth)}"
        return self._sentence(reason, depth) or self._after_colon(reason, depth) or reason

    def _listed(self, reason: str, depth: int) -> str | None:
        """One thing after the other, if each of them is one we know."""
        each = reason.split(", ")
        said: list[str] = []
        for one in each if 1 < len(each) < _MOST_LISTED else ():
            known = self._whole(one, depth, alone=True)
            if known is None:
                return None
            said.append(known)
        return ", ".join(said) or None

    def _after_colon(self, reason: str, depth: int) -> str | None:
        """“place: key: what is wrong with it.”: places and keys stay, the rest is said."""
        for colon in _COLON.finditer(reason):
            rest = reason[colon.end() :]
            said = self._sentence(rest, depth)
            if said is not None:
                return f"{self._of(reason[: colon.start()], depth)}\N{NO-BREAK SPACE}: {said}"
        return None

    def _sentence(self, text: str, depth: int, *, alone: bool = False) -> str | None:
        """The same, with or without its full stop: what comes after may have made it need one."""
        whole = self._found(text, depth, alone=alone)
        bare = self._found(text[:-1], depth, alone=alone) if text.endswith(".") else None
        if bare is None or (whole is not None and whole.closed):
            return whole and whole.text
        return f"{bare.text}."

    def _several(self, text: str) -> bool:
        """Whether these are sentences one after the other, and not a reason known as one."""
        return _END.search(text) is not None and self._catalogue.gettext(text) == text

    def _whole(self, reason: str, depth: int, *, alone: bool = False) -> str | None:
        found = self._found(reason, depth, alone=alone)
        return found and found.text

    def _found(self, reason: str, depth: int, *, alone: bool) -> _Said | None:
        """The reason, if one template makes it, with or without a capital.

        ``alone``: without other sentences in its holes.
        """
        found = self._exact(reason, depth, alone=alone)
        if found is None and reason[:1].isalpha():
            found = self._exact(reason[0].swapcase() + reason[1:], depth, alone=alone)
            if found is not None:
                said = found.text
                first = said[0].upper() if reason[0].isupper() else said[0].lower()
                found = _Said(first + said[1:], found.closed)
        return found

    def _exact(self, reason: str, depth: int, *, alone: bool) -> _Said | None:
        said = self._catalogue.gettext(reason) if reason else reason
        if said != reason:
            return _Said(said, closed=True)
        if not depth:
            return None
        best = max(
            (
                (template.weight, template, match)
                for template in self._templates
                if template.stretch in reason
                and (match := template.pattern.fullmatch(reason))
                and not (alone and any(map(self._several, match.groups())))
            ),
            key=lambda one: (one[0], one[1].text),
            default=None,
        )
        if best is None:
            return None
        template, match = best[1:]
        holes = {
            name: value if name in template.quoted else self._of(value, depth - 1)
            for name, value in match.groupdict().items()
        }
        text = _fill(self._catalogue.gettext(template.text), holes)
        return _Said(text, closed=not template.text.endswith("}"))


def _fill(text: str, holes: dict[str, str]) -> str:
    # not str.format: a reason may hold braces of its own
    return _HOLE.sub(lambda hole: holes.get(hole[1], hole[0]), text)


@lru_cache(maxsize=2)
def _catalogue(language: Language) -> NullTranslations:
    if language == "en":
        return NullTranslations()
    # not importlib.resources: it takes longer to import than the rest of a start
    with (Path(__file__).parent / language / "publisher-daemon.mo").open("rb") as compiled:
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
                pattern += f"(?P<{piece}>{_NUMBER if piece == 'count' else '.*?'})"
        yield _Template(
            text=text,
            pattern=re.compile(pattern, re.DOTALL),
            quoted=frozenset(found[1] for found in _QUOTED.finditer(text)),
            stretch=max(plain, key=len),
            weight=sum(map(len, plain)) + (_CLOSED if plain[-1] else 0),
        )
