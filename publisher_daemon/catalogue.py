"""Says what to write on a dataset's page so that it is as configured, without undoing a colleague.

Each field is merged three ways (``merge``): what we last applied, what the configuration says, what
the portal shows. Values are compared as the portal would store them, so that a tag written with an
accent, or a date with a time, is no difference.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from anyascii import anyascii

from publisher_daemon.merge import Verdict, merge

#: Texts: the portal trims them and folds line ends.
_TEXTS = frozenset({"title", "acronym", "description", "description_short"})
#: What the portal shows for "nothing said" (portal-facts §2.7, §3.1); sent back it would be stored.
_UNSAID = {"license": "notspecified", "frequency": "unknown"}


@dataclass(frozen=True, slots=True)
class Change:
    """One field of the dataset, and what becomes of it."""

    field: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class MetadataPlan:
    """What to write, what was left to a colleague, and the merge base once it is written."""

    changes: tuple[Change, ...] = ()
    applied: Mapping[str, Any] = field(default_factory=dict)
    #: (field, configured, found on the portal); both sides changed it when it is a clash
    drifts: tuple[Change, ...] = ()
    clashes: tuple[Change, ...] = ()

    @property
    def document(self) -> dict[str, Any]:
        """The fields to send."""
        return {change.field: change.after for change in self.changes}

    @property
    def publishes(self) -> bool:
        """Whether it makes a private dataset public; only ever because a person wrote so."""
        return any(one.field == "private" and one.after is False for one in self.changes)


def plan_metadata(
    configured: Mapping[str, Any],
    applied: Mapping[str, Any],
    found: Mapping[str, Any],
    *,
    today: date,
    enforce: bool = False,
) -> MetadataPlan:
    """Decide field by field; what is not configured is never touched, and leaves the base."""
    changes: list[Change] = []
    drifts: list[Change] = []
    clashes: list[Change] = []
    base: dict[str, Any] = {}
    for name, said in sorted(_flat(configured).items()):
        wanted = _as_stored(name, _computed(said, today))
        shown = _as_stored(name, _found(name, found))
        verdict = merge(applied.get(name), wanted, shown, enforce=enforce)
        match verdict:
            case Verdict.SAME:
                base[name] = wanted
            case Verdict.APPLY:
                base[name] = wanted
                changes.append(Change(name, shown, wanted))
            case Verdict.DRIFT:
                base[name] = applied[name]
                drifts.append(Change(name, wanted, shown))
            case Verdict.CLASH:
                base[name] = applied[name]
                clashes.append(Change(name, wanted, shown))
            case Verdict.UNMANAGED:  # _flat leaves out what is not said
                pass
    return MetadataPlan(_gathered(changes, found), base, tuple(drifts), tuple(clashes))


def _flat(configured: Mapping[str, Any]) -> dict[str, Any]:
    """Each inner key of spatial and extras is a field of its own: ``extras.theme``."""
    flat: dict[str, Any] = {}
    for name, value in configured.items():
        if name in {"extras", "spatial"} and isinstance(value, Mapping):
            flat |= {f"{name}.{inner}": said for inner, said in value.items() if said is not None}
        elif value is not None:
            flat[name] = value
    return flat


def _gathered(changes: list[Change], found: Mapping[str, Any]) -> tuple[Change, ...]:
    """The changes as the portal takes them: extras whole, since sending some drops the others."""
    whole: dict[str, Change] = {}
    for change in changes:
        name, _, inner = change.field.partition(".")
        if not inner:
            whole[name] = change
            continue
        kept = found.get(name)
        before = dict(kept) if isinstance(kept, Mapping) else {}
        known = whole.get(name)
        after = dict(known.after) if known else (dict(before) if name == "extras" else {})
        after[inner] = change.after
        whole[name] = Change(name, before, after)
    return tuple(whole[name] for name in sorted(whole))


def _computed(value: Any, today: date) -> Any:
    """The value with ``today`` written out, in UTC or wherever the caller's day is."""
    if value == "today":
        return today.isoformat()
    if isinstance(value, Mapping):
        return {name: _computed(inner, today) for name, inner in value.items()}
    return value


def _found(name: str, found: Mapping[str, Any]) -> Any:
    outer, _, inner = name.partition(".")
    value = found.get(outer)
    return value.get(inner) if inner and isinstance(value, Mapping) else None if inner else value


def _as_stored(name: str, value: Any) -> Any:
    """The value as the portal keeps it."""
    if value is None:
        return _UNSAID.get(name)
    if name in _TEXTS:
        return str(value).replace("\r\n", "\n").strip()
    if name == "tags":
        return sorted({slug for tag in value if (slug := _slug(str(tag)))})
    if name in {"license", "frequency", "organization"}:
        return value.get("id") if isinstance(value, Mapping) else value
    if name == "frequency_date":
        return str(value)[:10]
    if name == "temporal_coverage" and isinstance(value, Mapping):
        return {end: str(day)[:10] for end, day in sorted(value.items()) if day is not None}
    if name == "contact_points":
        return sorted(one["id"] if isinstance(one, Mapping) else str(one) for one in value)
    if name == "spatial.granularity" and isinstance(value, Mapping):
        return value.get("id")
    if name == "spatial.zones":
        return sorted(one["id"] if isinstance(one, Mapping) else str(one) for one in value)
    return value


def _slug(tag: str) -> str:
    """A tag as the portal slugs it (portal-facts §3.1)."""
    return re.sub(r"[^a-z0-9]+", "-", anyascii(tag).lower().replace("'", "")).strip("-")
