"""The laws that every world is held to; each one says what is broken, and of which file."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from world_portal import fingerprint_of

from publisher_daemon.model import (
    Adopt,
    DatasetId,
    Describe,
    Entry,
    Hold,
    Identify,
    Plan,
    Remote,
    Rename,
    Replace,
    ResourceId,
    ResourceKey,
    Upload,
    Withdraw,
)
from publisher_daemon.naming import identity_path
from publisher_daemon.plan import action_key, identity_of

if TYPE_CHECKING:
    from world import World

#: What a hold may still say once nothing goes wrong any more: each one waits for a person.
FINAL_HOLDS = frozenset(
    {
        "ambiguous",
        "claimed_twice",
        "conflict",
        "order_tied",
        "order_unknown",
        "refused",
        "removed_on_portal",
        "resource_not_found",
        "same_name",
        "superseded",
        "too_many_withdrawals",
    }
)


NOWHERE = DatasetId("")


class Broken(AssertionError):
    """A law does not hold in this world."""


def check_plan(world: World, result: Plan, remote: Remote) -> None:  # noqa: C901 - one case an action
    """Ownership: nothing is planned against what is not ours."""
    seen: set[ResourceKey] = set()
    for action in result.actions:
        match action:
            case Upload():
                entry = world.ledger.entries.get(action.file.key)
                if entry is not None and entry.resource in world.portal.resources:
                    raise Broken(f"twin: {action.file.key.path} already is {entry.resource}")
            case Replace():
                _check_ours(world, action.file.key, action.resource)
                _check_bytes_are_ours(world, action.file.key, action.resource)
            case Describe() | Identify():
                _check_ours(world, action.key, action.resource)
            case Withdraw():
                _check_ours(world, action.key, action.resource)
                _check_bytes_are_ours(world, action.key, action.resource)
                if action.left:
                    _check_left(world, action.key)
                elif not world.withdraw or action.key in world.files:
                    raise Broken(f"withdraws {action.resource}, whose file is there")
            case Adopt():
                _check_adoption(world, action.entry, remote)
                continue
            case Rename():
                _check_not_older(world, action.old, action.entry)
                continue
            case _:
                continue
        if action_key(action) in seen:
            raise Broken(f"two requests for {action_key(action).path} in one plan")
        seen.add(action_key(action))


def _check_left(world: World, key: ResourceKey) -> None:
    """Only what the series' own rule takes away leaves it, and never its newest."""
    rule = world.leaves or ("withdraw" if world.withdraw else "keep")
    age = series_age(key)
    newer = [other for other in _ages(world, key.folder) if age is not None and other > age]
    if rule != "withdraw" or not newer:
        raise Broken(f"takes {key.path} out of its series: {rule}, newer {newer}")


def _check_not_older(world: World, old: ResourceKey, entry: Entry) -> None:
    """An older file never takes the place of a newer one, unless it is that one, or asked for."""
    before, after = series_age(old), series_age(entry.key)
    if world.keep != "latest" or before is None or after is None or after >= before:
        return
    standing = world.ledger.standings.get(entry.key)
    asked = standing is not None and standing.forced
    same = fingerprint_of(world.files[entry.key].content) == entry.fingerprint
    if old.folder == entry.key.folder and not (asked or same):
        raise Broken(f"older wins: {entry.key.path} over {old.path}")


def series_age(key: ResourceKey) -> int | None:
    """How new a file of the worlds' series is; None: it is of none, or does not say."""
    found = re.fullmatch(r"(?:.*/)?jour_(\d)\.csv", key.path)
    return int(found[1]) if found else None


def _ages(world: World, folder: str) -> list[int]:
    keys = {key for key in (*world.files, *world.ledger.entries) if key.folder == folder}
    return sorted(age for key in keys if (age := series_age(key)) is not None)


def _check_series(world: World, held: dict[ResourceKey, Hold]) -> None:
    """One resource shows the newest file; a window shows its newest ones."""
    if world.keep == "each":
        return
    for folder in ("one", "two"):
        there = {
            key: age
            for key in world.files
            if key.folder == folder and (age := series_age(key)) is not None
        }
        shown = {key for key in there if key in world.ledger.entries}
        newest = max(there.values(), default=0)
        for key, age in there.items():
            if held.get(key) and held[key].code != "superseded":
                continue
            if age == newest and key not in shown and not _shows_newer(world, folder, age):
                raise Broken(f"lost: {key.path} is the newest of its series, and is not shown")
            if world.keep == "latest" and age < newest and len(shown) > 1 and not world.pins:
                raise Broken(f"series: {sorted(one.path for one in shown)} are all shown")


def _shows_newer(world: World, folder: str, age: int) -> bool:
    """Whether what is published came from newer files, which are gone."""
    said = {
        ResourceKey(NOWHERE, found.source.folder, found.source.path)
        for found in world.portal.resources.values()
        if found.source is not None
    }
    shown = [
        other
        for key in said | world.ledger.entries.keys()
        if key.folder == folder and (other := series_age(key)) is not None
    ]
    return len([other for other in shown if other > age]) >= world.rule.last


def _check_adoption(world: World, entry: Entry, remote: Remote) -> None:
    """Bytes a person put there become ours when the file has them, or the settings say so."""
    file, found = world.files.get(entry.key), remote.get(entry.resource)
    pinned = entry.key.folder == "one" and world.pins.get(entry.key.path) == entry.resource
    same = file and found and found.fingerprint == fingerprint_of(file.content)
    if same or pinned or _forced(world, entry.key):
        world.portal.last_writer[entry.resource] = "us"
        if found and found.sha1:
            world.portal.ours[entry.resource] = found.sha1


def _forced(world: World, key: ResourceKey) -> bool:
    standing = world.ledger.standings.get(key)
    return standing is not None and standing.forced and standing.code == "conflict"


def _check_ours(world: World, key: ResourceKey, resource: ResourceId) -> None:
    entry = world.ledger.entries.get(key)
    if entry is None or entry.resource != resource:
        raise Broken(f"writes to {resource}, which is not that of {key.path}")


def _check_bytes_are_ours(world: World, key: ResourceKey, resource: ResourceId) -> None:
    found, entry = world.portal.resources[resource], world.ledger.entries[key]
    # a person who put back what the ledger remembers did nothing that anybody could see
    theirs = (
        world.portal.last_writer[resource] == "person" and entry.fingerprint != found.fingerprint
    )
    if theirs and not _forced(world, key):
        raise Broken(f"takes away what a person put in {resource}")


def check_converged(world: World, result: Plan) -> None:
    """Each file is there once, with its last bytes and its words, or is held with a reason."""
    _check_ended(world, result)
    held = {hold.key: hold for hold in result.holds}
    owners = Counter(entry.resource for entry in world.ledger.entries.values())
    if owners and max(owners.values()) > 1:
        raise Broken(f"two files, one resource: {owners.most_common(1)}")
    _check_series(world, held)
    for key in world.files.keys() - held.keys():
        _check_published(world, key)
        kept, along = world.ledger.entries[key].resource, world.moved.get(key)
        if along not in {None, kept}:
            raise Broken(f"lost link: {key.path} was renamed and left {along} for {kept}")
    for sha1 in {found.sha1 for found in world.portal.resources.values()}:
        if sha1 not in world.states:
            raise Broken(f"torn: {sha1} was never a file")
    for resource in world.portal.made_by_us & world.portal.resources.keys() - owners.keys():
        _check_orphan(world, resource, held)


def _check_ended(world: World, result: Plan) -> None:
    for hold in result.holds:
        if hold.code not in FINAL_HOLDS:
            raise Broken(f"lost: {hold.key.path} is still held: {hold.code}")
        if not hold.why:
            raise Broken(f"held without a reason: {hold}")
    if result.actions:
        raise Broken(f"never ends: {result.actions}")
    if world.ledger.attempts:
        raise Broken(f"attempts left open: {world.ledger.attempts}")


def _check_published(world: World, key: ResourceKey) -> None:
    entry, file = world.ledger.entries.get(key), world.source(key)
    found = world.portal.resources.get(entry.resource) if entry else None
    if entry is None or found is None:
        raise Broken(f"lost: {key.path} is not on the portal")
    if found.fingerprint != file.fingerprint or entry.fingerprint != file.fingerprint:
        raise Broken(f"lost: {key.path} is not there with its last bytes")
    if found.source != identity_of(file):
        raise Broken(f"lost: {entry.resource} does not say that it is {key.path}")
    allowed = world.said.get(found.id, set()) | {file.words.title}
    if found.title not in allowed:
        raise Broken(f"lost: the title of {key.path} is {found.title!r}, not of {allowed}")
    wanted = world.wanted.get(found.id)
    if wanted is not None and not world.enforce and found.title != wanted:
        raise Broken(f"lost: the title {wanted!r} that a person gave {found.id}")
    if world.enforce and not file.default_title and found.title != file.words.title:
        raise Broken(f"lost: the title {file.words.title!r} does not win on {found.id}")


def _check_orphan(world: World, resource: ResourceId, held: dict[ResourceKey, Hold]) -> None:
    if resource in world.disowned:
        return
    if resource in world.inherited and world.portal.last_writer[resource] == "person":
        return  # the state is lost, and what it holds is a colleague's
    found = world.portal.resources[resource]
    if resource not in world.inherited:
        raise Broken(f"twin: {resource} ({found.title}) is nobody's")
    for key in world.files:
        same = found.source is not None and found.source[:2] == (
            key.folder,
            identity_path(key.path),
        )
        # the settings may name another resource than the one that was there
        if same and key not in held and key.path not in world.pins:
            raise Broken(f"twin: {resource} says it is {key.path}, which has another one")
