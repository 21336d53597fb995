"""Series: one resource that follows the newest file, or a window of the newest ones.

The file that takes a resource over takes its ledger entry (a renaming, seen from the ledger): the
next plan then sees a known resource whose file differs, and replaces it as any other.
"""

from __future__ import annotations

from dataclasses import dataclass

from publisher_daemon.model import Entry, RemoteResource, ResourceKey, SourceFile, State, Watch
from publisher_daemon.plan._desk import Desk
from publisher_daemon.series import AMONG_NEWER, Family, Name, families, member, newer


@dataclass(frozen=True, slots=True)
class Line:
    """One series with its folder, and the entry that holds its one resource, if it has one."""

    watch: Watch
    name: Name
    family: Family
    incumbent: Entry | None = None

    @property
    def one(self) -> bool:
        """Whether the whole series is one resource."""
        return self.family.rule.keep == "latest"


def sort_series(desk: Desk) -> None:
    """Say which files of each series do not count, and which resources leave their window."""
    for watch in desk.policy.watches:
        if all(rule.keep == "each" for rule in watch.rules):
            continue
        keys = {
            key.path: key
            for key in (*desk.folder.present, *desk.record.entries, *desk.order)
            if key.folder == watch.name
        }
        for name, family in families(watch, keys).items():
            _sort(desk, Line(watch, name, family), {path: keys[path] for path in family.orders})


def _sort(desk: Desk, line: Line, keys: dict[str, ResourceKey]) -> None:
    owned = {path: key for path, key in keys.items() if key in desk.record.entries}
    there = {path: key for path, key in keys.items() if not desk.is_gone(key)}
    line = Line(line.watch, line.name, line.family, _incumbent(desk, line, owned))
    desk.series.update(dict.fromkeys(keys.values(), line))
    beaten = line.family.beaten(keys, there if line.one else keys)
    if not line.one:
        beaten -= _brought_back(desk, keys)
    fresh = {path: key for path, key in there.items() if path not in owned}
    _set_aside(desk, line, there, fresh, beaten)
    if (line.family.rule.when_left or line.watch.when_deleted) != "withdraw":
        return
    if not line.one:
        desk.leaving |= {owned[path] for path in beaten & owned.keys()}
    elif line.incumbent is not None:
        others = set(owned.values()) - {line.incumbent.key}
        desk.leaving |= {key for key in others if line.family.orders[key.path] is not None}
        if there and line.incumbent.key.path not in there:
            desk.stays.add(line.incumbent.key)


def _brought_back(desk: Desk, keys: dict[str, ResourceKey]) -> set[str]:
    """Those of which a person wanted an earlier version, until their file changes."""
    changed = {file.key for file in desk.files() if not file.rolled_back}
    back = desk.record.rollbacks.keys() - changed
    return {path for path, key in keys.items() if key in back}


def _set_aside(
    desk: Desk,
    line: Line,
    there: dict[str, ResourceKey],
    fresh: dict[str, ResourceKey],
    beaten: set[str],
) -> None:
    """Hold what is not to be published: older files, ties, names that do not tell."""
    orders = line.family.orders
    mine = line.incumbent.key.path if line.incumbent else None
    first = [path for path in there if path not in beaten and orders[path] is not None]
    for path, key in sorted(fresh.items()):
        if key in desk.done:
            continue
        if orders[path] is None:
            _hold_unordered(desk, key, line)
        elif path in beaten:
            _supersede(desk, key, AMONG_NEWER)
        elif line.one and len(first) > 1:
            others = ", ".join(f"“{other}”" for other in first[:5] if other != path)
            desk.hold(
                key,
                "order_tied",
                f"The file's name does not say whether it is newer than {others}, and the series "
                "has one resource. Keep one of them in the folder, or name them so that their "
                "dates differ.",
            )
        elif line.one and mine is not None and mine not in there:
            _after_a_gone_one(desk, key, line, mine)


def _after_a_gone_one(desk: Desk, key: ResourceKey, line: Line, mine: str) -> None:
    """What is published is gone from the folder: an older file does not take its place."""
    orders, entry = line.family.orders, line.incumbent
    ours, this = orders[mine], orders[key.path]
    file = desk.folder.files.get(key)
    if ours is None or this is None or newer(this, ours) or ours == this or entry is None:
        return
    if file is not None and file.fingerprint == entry.fingerprint:
        return  # the same bytes: its name was mended
    if not desk.forced(key, "superseded"):
        _supersede(
            desk,
            key,
            f"What the series shows on the portal came from a newer file, “{mine}”, which is gone "
            "from the folder; an older one does not take its place by itself. If it should: "
            "`publisher-daemon retry PATH`.",
        )


def _supersede(desk: Desk, key: ResourceKey, why: str) -> None:
    desk.hold(key, "superseded", why, None, State.IGNORED)


def _hold_unordered(desk: Desk, key: ResourceKey, line: Line) -> None:
    desk.hold(
        key,
        "order_unknown",
        f"Its name does not say how new it is: “{line.family.rule.match}” expects a date like "
        "2026-11-20 (or numbers) in the parts that give the order. Rename the file, or change "
        "the rule.",
    )


def _incumbent(desk: Desk, line: Line, owned: dict[str, ResourceKey]) -> Entry | None:
    """The entry that has the one resource of the series; the newest, unless one is pinned."""
    entries = [
        desk.record.entries[key]
        for path, key in owned.items()
        if line.one and line.family.orders[path] is not None
    ]
    return max(
        entries,
        key=lambda entry: (
            entry.resource == line.family.rule.resource,
            line.family.orders[entry.key.path] or (),
            entry.key,
        ),
        default=None,
    )


def same_series(desk: Desk, one: SourceFile, other: SourceFile) -> bool:
    """Whether both are of a series that has one resource."""
    line = desk.series.get(one.key)
    return line is not None and line.one and desk.series.get(other.key) == line


def waits_for_its_series(desk: Desk, file: SourceFile) -> bool:
    """Whether another file of the series may be on its way up; True when this one is decided."""
    line = desk.series.get(file.key)
    if line is None or not line.one:
        return False
    waits = {hold.key: hold for hold in desk.holds}
    kin = [attempt.key for attempt in desk.record.attempts if attempt.kind in {"upload", "replace"}]
    if line.incumbent is not None and line.incumbent.key in desk.done:
        kin.append(line.incumbent.key)
    for key in sorted(kin):
        if key == file.key or desk.series.get(key) != line:
            continue
        if (wait := waits.get(key)) is not None:
            desk.hold(file.key, wait.code, wait.why, wait.until, wait.state)
        else:
            # it is answered in this very plan: the next one knows
            desk.done.add(file.key)
        return True
    return False


def resource_of_series(desk: Desk, file: SourceFile) -> list[RemoteResource]:
    """Unclaimed resources that say they are a file of this one's series, the newest first."""
    line = desk.series.get(file.key)
    if line is None or not line.one:
        return []
    found = []
    for one in desk.unclaimed(desk.resources.values()):
        if one.source is None or one.source.folder != line.watch.name:
            continue
        place = member(line.watch, one.source.path)
        if place is not None and place[0] == line.name and place[1] is not None:
            found.append((place[1], one.created_at, one.id, one))
    return [one for *_, one in sorted(found, key=lambda each: each[:3], reverse=True)]


def is_older_than(desk: Desk, file: SourceFile, found: RemoteResource) -> bool:
    """Whether that resource of the series shows a surely newer file, with other bytes."""
    line = desk.series[file.key]
    place = member(line.watch, found.source.path) if found.source else None
    order = line.family.orders.get(file.key.path)
    return (
        place is not None
        and place[1] is not None
        and order is not None
        and newer(place[1], order)
        and found.fingerprint != file.fingerprint
    )
