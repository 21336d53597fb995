"""One plan in the making: what every part of the planner reads and writes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar, assert_never

from publisher_daemon.model import (
    Abandon,
    Action,
    Adopt,
    Describe,
    Entry,
    Fingerprint,
    Folderful,
    Forget,
    Hold,
    Identify,
    Identity,
    Keep,
    Plan,
    Policy,
    Record,
    Remote,
    RemoteResource,
    Rename,
    Replace,
    ResourceId,
    ResourceKey,
    SourceFile,
    State,
    Upload,
    Withdraw,
)
from publisher_daemon.naming import base_name, identity_path
from publisher_daemon.series import Predecessors

if TYPE_CHECKING:
    from publisher_daemon.plan._series import Line

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


def action_key(action: Action) -> ResourceKey:
    """The file an action is about."""
    match action:
        case Upload() | Replace():
            return action.file.key
        case Adopt() | Rename():
            return action.entry.key
        case Abandon():
            return action.attempt.key
        case Describe() | Identify() | Withdraw() | Forget() | Keep():
            return action.key
        case _:
            assert_never(action)


def _rank(action: Action) -> int:
    """What only the ledger sees comes first, what takes away comes last."""
    match action:
        case Adopt() | Abandon() | Rename() | Forget() | Keep():
            return 0
        case Upload() | Replace():
            return 1
        case Describe() | Identify():
            return 2
        case Withdraw():
            return 3
        case _:
            assert_never(action)


@dataclass(slots=True)
class Desk:
    """What is given, and what is claimed and decided so far."""

    folder: Folderful
    record: Record
    remote: Remote
    policy: Policy
    now: float
    actions: list[Action] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    drifts: list[tuple[ResourceKey, str, str, str]] = field(default_factory=list)
    clashes: list[tuple[ResourceKey, str, str, str]] = field(default_factory=list)
    unsaid: list[tuple[ResourceKey, str, str, str, str]] = field(default_factory=list)
    #: files that are decided
    done: set[ResourceKey] = field(default_factory=set)
    #: resources that belong to somebody, of those that may be asked for
    claimed: dict[ResourceId, ResourceKey] = field(default_factory=dict)
    #: who was given one in this plan
    owners: set[ResourceKey] = field(default_factory=set)
    #: the series of each file that is of one
    series: dict[ResourceKey, Line] = field(default_factory=dict)
    #: whose resources leave the window of their series, to be withdrawn
    leaving: set[ResourceKey] = field(default_factory=set)
    #: whose file is gone while others of the series are there: its one resource stays
    stays: set[ResourceKey] = field(default_factory=set)
    predecessors: Predecessors = field(default_factory=lambda: Predecessors((), ()))
    #: all the files, in order
    order: list[ResourceKey] = field(default_factory=list)
    #: what new files and open attempts may have to do with, to be found at once: of the many
    #: others nothing is held here
    by_bytes: Mapping[Fingerprint | None, list[RemoteResource]] = field(default_factory=dict)
    by_path: Mapping[str | None, list[RemoteResource]] = field(default_factory=dict)
    by_name: Mapping[str, list[RemoteResource]] = field(default_factory=dict)
    entries_by_bytes: Mapping[Fingerprint, list[Entry]] = field(default_factory=dict)
    entries_by_path: Mapping[str, list[Entry]] = field(default_factory=dict)
    files_by_bytes: Mapping[Fingerprint, list[SourceFile]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.order = sorted(self.folder.files)
        fresh: list[SourceFile] = []
        pins: set[ResourceId] = set()
        for key, file in self._files():
            if file.pinned:
                pins.add(file.pinned)
            if key not in self.record.entries:
                fresh.append(file)
        shown = self._candidates(fresh)
        self.by_bytes = _grouped((found.fingerprint, found) for found in shown)
        self.by_path = _grouped((found.source and found.source.path, found) for found in shown)
        self.by_name = _grouped(
            (name, found) for found in shown for name in {found.title, served_name(found)}
        )
        entries = self.record.entries
        if self.folder.profiles:
            self.predecessors = Predecessors(
                self.policy.watches,
                ((one.key.folder, one.key.path, one.fingerprint.sha1) for one in entries.values()),
            )
        self._claim_known({found.id for found in shown} | pins)
        wanted = {file.fingerprint for file in fresh}
        paths = {file.key.path for file in fresh}
        alike = [
            entry
            for entry in (entries.values() if fresh else ())
            if entry.fingerprint in wanted or entry.key.path in paths
        ]
        alike.sort(key=lambda entry: entry.key)
        self.entries_by_bytes = _grouped((entry.fingerprint, entry) for entry in alike)
        self.entries_by_path = _grouped((entry.key.path, entry) for entry in alike)
        self.files_by_bytes = _grouped(
            (file.fingerprint, file) for _, file in self._files() if file.fingerprint in wanted
        )

    @property
    def resources(self) -> Mapping[ResourceId, RemoteResource]:
        """What the portal has."""
        return self.remote.resources

    def files(self) -> Iterator[SourceFile]:
        """Walk the files in order."""
        return (file for _, file in self._files())

    def _files(self) -> Iterator[tuple[ResourceKey, SourceFile]]:
        return ((key, self.folder.files[key]) for key in self.order)

    def _candidates(self, fresh: Iterable[SourceFile]) -> list[RemoteResource]:
        """What may be one of these files, or what an open attempt made; in order."""
        attempted = (attempt.fingerprint for attempt in self.record.attempts)
        wanted: set[object] = {one for one in attempted if one is not None}
        paths: set[str] = set()
        names: set[str] = set()
        for file in fresh:
            wanted.add(file.fingerprint)
            paths.add(identity_path(file.key.path))
            names |= names_of(file)
        if not (wanted or paths):
            return []
        found = [
            one
            for one in self.resources.values()
            if one.fingerprint in wanted
            or (one.source and one.source.path in paths)
            or one.title in names
            or served_name(one) in names
        ]
        return sorted(found, key=lambda one: one.id)

    def _claim_known(self, asked: set[ResourceId]) -> None:
        """Give those that somebody may ask for to the files that have them."""
        if any(rule.keep != "each" for watch in self.policy.watches for rule in watch.rules):
            # the files of a series ask for them all
            asked |= self.resources.keys()
        if not asked:
            return
        owned = (
            (entry.key, entry.resource)
            for entry in self.record.entries.values()
            if entry.resource in asked
        )
        self.claimed = {resource: key for key, resource in sorted(owned)}

    def result(self) -> Plan:
        """Give the plan, in one order whatever the order of the decisions."""
        return Plan(
            tuple(sorted(self.actions, key=lambda action: (_rank(action), action_key(action)))),
            tuple(sorted(self.holds, key=lambda hold: hold.key)),
            tuple(sorted(self.drifts)),
            tuple(sorted(self.clashes)),
            tuple(sorted(self.unsaid)),
        )

    def act(self, action: Action) -> None:
        """Decide an action; its file is decided."""
        self.actions.append(action)
        self.done.add(action_key(action))

    def hold(
        self,
        key: ResourceKey,
        code: str,
        why: str,
        until: float | None = None,
        state: State = State.HELD,
    ) -> None:
        """Decide to do nothing for this file, and say why."""
        self.holds.append(Hold(key, code, why, until, state))
        self.done.add(key)

    def undecided(self) -> Iterator[SourceFile]:
        """Walk the files nothing is decided of, in order."""
        return (self.folder.files[key] for key in self.order if key not in self.done)

    def fresh(self) -> list[SourceFile]:
        """Those of them of which the ledger knows nothing."""
        known = self.record.entries
        return [
            self.folder.files[key]
            for key in self.order
            if key not in self.done and key not in known
        ]

    def unclaimed(self, found: Iterable[RemoteResource]) -> list[RemoteResource]:
        """Those of them that are nobody's yet."""
        return [one for one in found if one.id not in self.claimed]

    def claim(self, found: RemoteResource, key: ResourceKey) -> None:
        """Give that resource to this file, for the rest of the plan."""
        self.claimed[found.id] = key
        self.owners.add(key)

    def owns(self, key: ResourceKey) -> bool:
        """Whether the file has a resource."""
        return key in self.owners or key in self.record.entries

    def is_gone(self, key: ResourceKey) -> bool:
        """Whether a complete scan proves that the file is not there, or nobody watches it."""
        proven = key.folder in self.folder.complete or self.policy.watch(key.folder) is None
        return proven and key not in self.folder.present

    def forced(self, key: ResourceKey, code: str) -> bool:
        """Whether a person who was told this of the file asked to go on in spite of it."""
        standing = self.record.standings.get(key)
        return standing is not None and standing.forced and standing.code == code


def served_name(found: RemoteResource) -> str:
    """The name under which the portal serves its file: the one that was sent."""
    return found.url.rpartition("/")[2]


def names_of(file: SourceFile) -> set[str]:
    """What a person might call the resource of that file."""
    return {file.name, base_name(file.key.path), file.words.title or file.name}


def _grouped(pairs: Iterable[tuple[_Key, _Value]]) -> dict[_Key, list[_Value]]:
    groups: dict[_Key, list[_Value]] = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return groups


def identity_of(file: SourceFile) -> Identity:
    """What the resource's extras should say of this file."""
    return Identity(file.key.folder, identity_path(file.key.path), file.fingerprint.sha1)
