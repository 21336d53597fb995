"""The three-way merge: what we last applied, what the configuration says, what the portal shows.

| applied | configured | found on the portal | verdict |
|---|---|---|---|
| any | not said | any | UNMANAGED: never touched |
| any | X | X | SAME |
| none | X | Y | APPLY: newly said |
| A | X ≠ A | A | APPLY: the configuration changed |
| A | A | Y ≠ A | DRIFT: a colleague wrote Y; kept, or APPLY when the configuration is to win |
| A | X ≠ A | Y ≠ A | CLASH: both changed; held, or APPLY when the configuration is to win |
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from publisher_daemon.model import Words

#: what to say of a clash
BOTH_CHANGED = (
    "It was changed both in the configuration and on the portal. Write the portal's value in the "
    'configuration, or set `on_drift = "enforce"`.'
)


class Verdict(StrEnum):
    """What to do with one field."""

    UNMANAGED = "unmanaged"
    SAME = "same"
    APPLY = "apply"
    DRIFT = "drift"
    CLASH = "clash"


def merge(applied: object, configured: object, found: object, *, enforce: bool = False) -> Verdict:
    """Decide one field; None means "not said" for the first two. See the table above."""
    if configured is None:
        return Verdict.UNMANAGED
    if configured == found:
        return Verdict.SAME
    if enforce or applied is None or found == applied:
        return Verdict.APPLY
    return Verdict.DRIFT if configured == applied else Verdict.CLASH


@dataclass(frozen=True, slots=True)
class Merged:
    """What to write, the base once it is written, and what was left to a colleague."""

    write: Words
    applied: Words
    #: (field, configured, found, verdict) of DRIFT and CLASH
    kept: tuple[tuple[str, str, str, Verdict], ...] = ()


def merge_words(applied: Words, configured: Words, found: Words, *, enforce: bool) -> Merged:
    """Merge a resource's words field by field."""
    base, shown = applied.said(), found.said()
    write: dict[str, str] = {}
    after = {name: value for name, value in base.items() if name in configured.said()}
    kept: list[tuple[str, str, str, Verdict]] = []
    for name, value in configured.said().items():
        verdict = merge(
            _plain(base.get(name)), _plain(value), _plain(shown.get(name)), enforce=enforce
        )
        if verdict is Verdict.SAME:
            after[name] = value
        elif verdict is Verdict.APPLY:
            write[name] = after[name] = value
        else:
            kept.append((name, value, shown.get(name, ""), verdict))
    return Merged(Words.of(write), Words.of(after), tuple(kept))


def _plain(text: str | None) -> str | None:
    """A text as the portal gives it back: line ends and outer blanks do not make a difference."""
    return None if text is None else text.replace("\r\n", "\n").strip()
