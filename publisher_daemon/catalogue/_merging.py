"""Decides field by field what to write on a page, without undoing a colleague.

Each field is merged three ways (``merge``): what we last applied, what the configuration says, what
the portal shows. Values are compared as the portal would store them, so that a tag written with an
accent, or a date with a time, is no difference. A computed value that moves by itself is no change
of the configuration: its base remembers how it was written too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from anyascii import anyascii

from publisher_daemon.catalogue._computing import Facts, NoValue, compute, has_values
from publisher_daemon.merge import BOTH_CHANGED, Verdict, merge

#: Texts: the portal trims them and folds line ends.
_TEXTS = frozenset({"title", "acronym", "description", "description_short", "access_type_reason"})
#: What the portal shows for "nothing said" (portal-facts §2.7, §3.1); sent back it would be stored.
_UNSAID = {"license": "notspecified", "frequency": "unknown"}


@dataclass(frozen=True, slots=True)
class Change:
    """One field of the dataset, and what becomes of it."""

    field: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Held:
    """One field that is not written until a person decides."""

    field: str
    ours: Any
    theirs: Any
    why: str


@dataclass(frozen=True, slots=True)
class MetadataPlan:
    """What to write, what was left to a colleague, and the merge base once it is written."""

    changes: tuple[Change, ...] = ()
    applied: Mapping[str, Any] = field(default_factory=dict)
    #: (field, configured, found on the portal): a colleague's, kept
    drifts: tuple[Change, ...] = ()
    held: tuple[Held, ...] = ()
    #: what the changes are made of, each inner key by itself: ``spatial.zones``
    parts: tuple[str, ...] = ()
    #: the base until it is known whether that was written: what is found then may be ours already
    intent: Mapping[str, Any] = field(default_factory=dict)

    @property
    def document(self) -> dict[str, Any]:
        """The fields to send."""
        return {change.field: _clearing(change.field, change.after) for change in self.changes}

    @property
    def publishes(self) -> bool:
        """Whether it makes a private dataset public; only ever because a person wrote so."""
        return any(one.field == "private" and one.after is False for one in self.changes)

    @property
    def idle(self) -> bool:
        """Whether there is nothing to write, and nothing to tell."""
        return not (self.changes or self.drifts or self.held)


def _clearing(name: str, value: Any) -> Any:
    """The value as it is sent: null clears, an empty list changes nothing (portal-facts §3.1)."""
    if name == "contact_points":
        return value or None
    if name == "spatial" and value.get("zones") == []:
        return {**value, "zones": None}
    return value


def plan_metadata(
    configured: Mapping[str, Any],
    applied: Mapping[str, Any],
    found: Mapping[str, Any],
    *,
    facts: Facts,
    enforce: bool = False,
) -> MetadataPlan:
    """Decide field by field; what is not configured is never touched, and leaves the base."""
    changes: list[Change] = []
    drifts: list[Change] = []
    held: list[Held] = []
    base: dict[str, Any] = {}
    computed: dict[str, Any] = {}
    before = _base(applied) | _done(applied, found)
    written = applied.get(_COMPUTED) or {}
    for name, said in sorted(_flat(configured).items()):
        shown = _as_stored(name, _found(name, found))
        try:
            value = compute(said, facts)
            wanted = _as_stored(name, value)
            _fits(name, wanted)
        except NoValue as why:
            held.append(Held(name, said, shown, str(why)))
            base |= {name: before[name]} if name in before else {}
            continue
        if has_values(said):
            computed[name] = said
        verdict = merge(before.get(name), wanted, shown, enforce=enforce)
        if verdict is Verdict.CLASH and written.get(name) == said and has_values(said):
            # the configuration is as it was, only its value moved on
            verdict = Verdict.DRIFT
        match verdict:
            case Verdict.SAME:
                base[name] = wanted
            case Verdict.APPLY:
                base[name] = wanted
                changes.append(Change(name, shown, wanted))
            case Verdict.DRIFT:
                base[name] = before[name]
                drifts.append(Change(name, wanted, shown))
            case Verdict.CLASH:
                base[name] = before[name]
                computed |= {name: written[name]} if name in written else {}
                held.append(Held(name, wanted, shown, BOTH_CHANGED))
            case Verdict.UNMANAGED:  # _flat leaves out what is not said
                pass
    plan = MetadataPlan(
        tuple(changes),
        base | ({_COMPUTED: computed} if computed else {}),
        tuple(drifts),
        tuple(held),
    )
    plan = _less_unkept(plan, applied, before)
    parts = tuple(change.field for change in plan.changes)
    intent = {**applied, _MEANT: {change.field: change.after for change in plan.changes}}
    plan = replace(plan, changes=_gathered(plan.changes, found), parts=parts, intent=intent)
    return _coverage_in_order(plan, before)


#: in the merge base: how the computed values were written in the configuration
_COMPUTED = "computed"
#: in the merge base: what was written and not kept, as [written, shown after], so that it is not
#: written again at each refresh
_UNKEPT = "unkept"
NOT_KEPT = (
    "The portal was sent it, answered that all is well, and shows the other one still. It is sent "
    "again once either changes."
)
#: …and what was about to be written, as its fields are compared
_MEANT = "meant"
_INNER = ("temporal_coverage", "spatial", "extras")
#: the portal's limits, in characters (portal-facts §3.6)
_LONGEST = {"title": 350, "acronym": 128, "description": 100_000, "description_short": 200}


def _base(applied: Mapping[str, Any]) -> dict[str, Any]:
    """The merge base, each inner key a field of its own."""
    ours = {_COMPUTED, _UNKEPT, _MEANT}
    base = {name: said for name, said in applied.items() if name not in ours}
    whole = base.pop("temporal_coverage", None)
    if isinstance(whole, Mapping):  # as it was kept once
        base |= {f"temporal_coverage.{end}": said for end, said in whole.items()}
    return base


def _done(applied: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """What we were about to write and is there is ours: a write whose answer we never had."""
    meant: Mapping[str, Any] = applied.get(_MEANT) or {}
    return {
        name: said for name, said in meant.items() if _as_stored(name, _found(name, found)) == said
    }


def _less_unkept(
    plan: MetadataPlan, applied: Mapping[str, Any], before: Mapping[str, Any]
) -> MetadataPlan:
    """The same without what was sent as it is and not kept: it would be sent at each refresh."""
    unkept = applied.get(_UNKEPT) or {}
    again = {
        one.field: [one.after, one.before]
        for one in plan.changes
        if unkept.get(one.field) == [one.after, one.before]
    }
    if not again:
        return plan
    base = {name: said for name, said in plan.applied.items() if name not in again}
    base |= {name: before[name] for name in again if name in before}
    return replace(
        plan,
        changes=tuple(one for one in plan.changes if one.field not in again),
        applied=base | {_UNKEPT: again},
        held=(
            *plan.held,
            *(Held(name, ours, theirs, NOT_KEPT) for name, (ours, theirs) in again.items()),
        ),
    )


def _fits(name: str, value: Any) -> None:
    """Raise NoValue when a text, once its values are in it, is longer than the portal takes."""
    most = _LONGEST.get(name)
    if most is not None and not 0 < len(value) <= most:
        raise NoValue(
            f"It has {len(value)} characters once its values are in it; the portal takes 1 to "
            f"{most}."
        )


def _coverage_in_order(plan: MetadataPlan, before: Mapping[str, Any]) -> MetadataPlan:
    """Hold a period that ends before it starts: the portal would swap the two, and say nothing."""
    for change in plan.changes:
        start, end = (
            (change.after.get("start"), change.after.get("end"))
            if change.field == "temporal_coverage"
            else (None, None)
        )
        if start and end and end < start:
            why = f"The period would end on {end}, before it starts on {start}."
            return holding(plan, {change.field: why}, before)
    return plan


def holding(
    plan: MetadataPlan, reasons: Mapping[str, str], applied: Mapping[str, Any]
) -> MetadataPlan:
    """The same without these fields, which wait for a person; their base stays as it was."""

    def stays(name: str) -> bool:
        return name.partition(".")[0] in reasons

    old = {name: said for name, said in _base(applied).items() if stays(name)}
    return replace(
        plan,
        changes=tuple(one for one in plan.changes if one.field not in reasons),
        applied={name: said for name, said in plan.applied.items() if not stays(name)} | old,
        held=(
            *plan.held,
            *(
                Held(one.field, one.after, one.before, reasons[one.field])
                for one in plan.changes
                if one.field in reasons
            ),
        ),
        parts=tuple(name for name in plan.parts if not stays(name)),
    )


def settled(
    plan: MetadataPlan, applied: Mapping[str, Any], found: Mapping[str, Any]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The merge base once the plan is written, and the fields that the portal shows otherwise."""
    base, old = dict(plan.applied), _base(applied)
    left = {}
    for name in plan.parts:
        shown = _as_stored(name, _found(name, found))
        if shown != base[name]:
            left[name] = [base.pop(name), shown]
            base |= {name: old[name]} if name in old else {}
    if left:
        base[_UNKEPT] = {**base.get(_UNKEPT, {}), **left}
    return base, tuple(sorted({name.partition(".")[0] for name in left}))


def _flat(configured: Mapping[str, Any]) -> dict[str, Any]:
    """Each inner key of these is a field of its own: ``extras.theme``."""
    flat: dict[str, Any] = {}
    for name, value in configured.items():
        if name in _INNER and isinstance(value, Mapping):
            flat |= {f"{name}.{inner}": said for inner, said in value.items() if said is not None}
        elif value is not None:
            flat[name] = value
    return flat


def _gathered(changes: Iterable[Change], found: Mapping[str, Any]) -> tuple[Change, ...]:
    """The changes as the portal takes them: extras whole, since sending some drops the others."""
    whole: dict[str, Change] = {}
    for change in changes:
        name, _, inner = change.field.partition(".")
        if not inner:
            whole[name] = change
            continue
        kept = found.get(name)
        before = dict(kept) if isinstance(kept, Mapping) else {}
        if name == "temporal_coverage":
            before = {end: said[:10] for end, said in before.items() if said is not None}
        known = whole.get(name)
        # the portal merges what it is sent of `spatial` with the rest of it
        after = dict(known.after) if known else ({} if name == "spatial" else dict(before))
        after[inner] = change.after
        whole[name] = Change(name, before, after)
    return tuple(whole[name] for name in sorted(whole))


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
        return sorted({slug for tag in value if (slug := tag_slug(str(tag)))})
    if name in {"license", "frequency", "organization"}:
        return value.get("id") if isinstance(value, Mapping) else value
    if name in {"frequency_date", "temporal_coverage.start", "temporal_coverage.end"}:
        return str(value)[:10]
    if name == "contact_points":
        return sorted(one["id"] if isinstance(one, Mapping) else str(one) for one in value)
    if name == "access_audiences":
        return sorted(
            ({"role": one["role"], "condition": one["condition"]} for one in value),
            key=lambda one: str(one["role"]),
        )
    if name == "spatial.granularity" and isinstance(value, Mapping):
        return value.get("id")
    if name == "spatial.zones":
        return sorted(one["id"] if isinstance(one, Mapping) else str(one) for one in value)
    return value


def tag_slug(tag: str) -> str:
    """A tag as the portal slugs it (portal-facts §3.1)."""
    return re.sub(r"[^a-z0-9]+", "-", anyascii(tag).lower().replace("'", "")).strip("-")
