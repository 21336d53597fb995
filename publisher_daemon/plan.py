"""Says what to do to make the portal match the folder; does nothing.

Open attempts are answered first (they may have been done), then this table is read, file by file:

| folder | ledger | portal | action |
|---|---|---|---|
| file | none | pinned by the configuration | `Adopt` as it is, then the lines below |
| file | none | our identity, and our bytes or these | `Adopt`; the next plan replaces if bytes differ |
| file | none | our identity, somebody else's bytes | `Hold` conflict |
| file | none, but an entry's file is gone that had these bytes | any | `Rename` |
| file | none | one unclaimed resource with these bytes | `Adopt` |
| file | none | unclaimed resource of the same name, other bytes | `Hold` same_name |
| file | none | none | `Upload` |
| file | entry | same bytes | `Adopt` if the ledger is behind, then words |
| file | entry | other bytes, as the ledger remembers | `Replace` |
| file | entry | other bytes, not as remembered | `Hold` conflict (`Replace` when a person says so) |
| file | entry | gone | `Hold` removed (`Upload` when a person says so) |
| gone | entry | there | `Keep`; later `Withdraw` within its caps, if the folder says so |
| gone | entry | gone | `Forget` |
| any | none | there, not ours | never touched |

Why a resource adopted by its pin is adopted with the *portal's* bytes: the next plan then sees a
known resource whose file differs, and the one line that replaces stays the only one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import assert_never

from publisher_daemon.merge import Verdict, merge_words
from publisher_daemon.model import (
    Abandon,
    Action,
    Adopt,
    Attempt,
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
    RemoteDataset,
    RemoteResource,
    Rename,
    Replace,
    ResourceId,
    ResourceKey,
    SourceFile,
    Standing,
    State,
    Upload,
    Withdraw,
    Words,
)
from publisher_daemon.naming import accepts, base_name, extension, identity_path, portal_name

#: Bytes a second below which no portal commits: an answerless upload of ``size`` bytes is given
#: up after ``grace + size / SLOWEST_COMMIT`` (measured: 2-3 s per GiB, uploading.md §4).
SLOWEST_COMMIT = 10 * 1024 * 1024
#: However large ``max_withdraw``, more than this share, or number, at once needs a person's yes.
ALARM_SHARE, ALARM_COUNT = 0.2, 10


def plan(folder: Folderful, record: Record, remote: Remote, policy: Policy, now: float) -> Plan:
    """Decide. Total, and the same whatever the order of what it is given."""
    stop = dataset_trouble(remote.dataset)
    if stop is not None:
        code, why = stop
        files = {file.key for file in folder.files} | {wait.key for wait in folder.waiting}
        return Plan(holds=tuple(Hold(key, code, why) for key in sorted(files)))
    desk = _Desk(folder, record, remote, policy, now)
    desk.answer_attempts()
    desk.refuse()
    desk.place_new_files()
    desk.follow_known_files()
    desk.follow_gone_files()
    return desk.result()


def dataset_trouble(dataset: RemoteDataset) -> tuple[str, str] | None:
    """Why nothing may be published on this dataset (code, sentence), or None."""
    if dataset.deleted:
        return (
            "dataset_deleted",
            f"The dataset “{dataset.title}” has been deleted on the portal. Restore it there, or "
            "take this folder out of the configuration.",
        )
    if not dataset.can_edit_resources:
        return (
            "no_right",
            f"The API key may not edit the dataset “{dataset.title}”. Ask an administrator of its "
            "organization to make the key's account an editor, or to assign the dataset to it.",
        )
    if dataset.archived:
        return (
            "dataset_archived",
            f"The dataset “{dataset.title}” is archived on the portal, so nobody would see the "
            "file. Unarchive it there, or take this folder out of the configuration.",
        )
    if dataset.harvested:
        return (
            "dataset_harvested",
            f"The dataset “{dataset.title}” is filled by a harvester, which would undo what is "
            "published here. Publish at its source, or on another dataset.",
        )
    return None


def deadline(attempt: Attempt, policy: Policy) -> float:
    """The instant after which an answerless attempt cannot be done by the portal any more."""
    size = attempt.fingerprint.size if attempt.fingerprint else 0
    return attempt.started_at + policy.grace + size / SLOWEST_COMMIT


def identity_of(file: SourceFile) -> Identity:
    """What the resource's extras should say of this file."""
    return Identity(file.key.folder, identity_path(file.key.path), file.fingerprint.sha1)


def allowed_withdrawals(owned: int, share: float, *, yes: bool) -> int:
    """How many of ``owned`` resources one pass may withdraw; never the last one.

    One at a time is always allowed: a share of a small folder would never come to one.
    """
    cap = int(owned * share)
    if not yes:
        cap = min(cap, int(owned * ALARM_SHARE), ALARM_COUNT)
    return min(max(cap, 1), owned - 1)


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
class _Desk:
    """One plan in the making: what is claimed and what is decided so far."""

    folder: Folderful
    record: Record
    remote: Remote
    policy: Policy
    now: float
    actions: list[Action] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    drifts: list[tuple[ResourceKey, str, str, str]] = field(default_factory=list)
    #: files that are decided
    done: set[ResourceKey] = field(default_factory=set)
    #: resources that belong to somebody
    claimed: dict[ResourceId, ResourceKey] = field(default_factory=dict)
    resources: Mapping[ResourceId, RemoteResource] = field(default_factory=dict)
    files: tuple[SourceFile, ...] = ()

    def __post_init__(self) -> None:
        self.resources = {found.id: found for found in self.remote.resources}
        self.claimed = {entry.resource: entry.key for entry in self.record.entries.values()}
        self.files = tuple(sorted(self.folder.files, key=lambda file: file.key))

    def result(self) -> Plan:
        return Plan(
            tuple(sorted(self.actions, key=lambda action: (_rank(action), action_key(action)))),
            tuple(sorted(self.holds, key=lambda hold: hold.key)),
            tuple(sorted(self.drifts)),
        )

    def act(self, action: Action) -> None:
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
        self.holds.append(Hold(key, code, why, until, state))
        self.done.add(key)

    def undecided(self) -> Iterator[SourceFile]:
        return (file for file in self.files if file.key not in self.done)

    def unclaimed(self) -> Iterator[RemoteResource]:
        return (found for found in self.remote.resources if found.id not in self.claimed)

    def forced(self, key: ResourceKey) -> bool:
        standing = self.record.standings.get(key)
        return standing is not None and standing.forced

    # ------------------------------------------------------------------------- open attempts

    def answer_attempts(self) -> None:
        """Law 2: what may have been done is answered before anything else is decided."""
        for attempt in sorted(self.record.attempts, key=lambda attempt: attempt.id):
            match attempt.kind:
                case "upload":
                    self._answer_upload(attempt)
                case "replace":
                    self._answer_replace(attempt)
                case "withdraw":
                    self._answer_withdraw(attempt)
                case "describe" | "identify":
                    self._answer_words(attempt)
                case _:
                    assert_never(attempt.kind)

    def _answer_upload(self, attempt: Attempt) -> None:
        candidates = [
            found
            for found in self.unclaimed()
            if attempt.sent
            and found.fingerprint == attempt.fingerprint
            and found.filetype == "file"
            and (found.source is None or found.source[1] == identity_path(attempt.key.path))
        ]
        # several resources with these bytes: ours still has the name that we sent as its title
        candidates.sort(
            key=lambda found: (found.source is None, found.title != attempt.name, found.id)
        )
        if candidates and attempt.fingerprint:
            found = candidates[0]
            self.claimed[found.id] = attempt.key
            entry = Entry(
                key=attempt.key,
                resource=found.id,
                fingerprint=attempt.fingerprint,
                stamp=attempt.stamp,
                permalink=found.permalink,
                applied=Words(title=attempt.title),
                restore=attempt.title,
                reset_to=attempt.name,
                published_at=self.now,
            )
            self.act(Adopt(entry, "an upload whose answer was lost had been done", attempt.id))
        else:
            self._wait_or_abandon(attempt)

    def _answer_replace(self, attempt: Attempt) -> None:
        found = self.resources.get(attempt.resource) if attempt.resource else None
        entry = self.record.entries.get(attempt.key)
        if (
            found is not None
            and entry is not None
            and attempt.sent
            and attempt.fingerprint is not None
            and found.fingerprint == attempt.fingerprint
        ):
            after = replace(
                entry,
                fingerprint=attempt.fingerprint,
                stamp=attempt.stamp,
                permalink=found.permalink,
                restore=attempt.title,
                reset_to=attempt.name,
                gone_since=None,
                published_at=self.now,
            )
            self.act(Adopt(after, "a replacement whose answer was lost had been done", attempt.id))
        elif found is not None and found.fingerprint == attempt.before:
            self._wait_or_abandon(attempt)
        else:
            self.act(Abandon(attempt, "the resource holds other bytes, or is gone"))

    def _answer_withdraw(self, attempt: Attempt) -> None:
        if attempt.resource is None or attempt.resource not in self.resources:
            if attempt.key in self.record.entries and attempt.resource is not None:
                self.act(Forget(attempt.key, attempt.resource, "withdrawn"))
            self.act(Abandon(attempt, "the withdrawal had been done"))
        else:
            self._wait_or_abandon(attempt)

    def _answer_words(self, attempt: Attempt) -> None:
        found = self.resources.get(attempt.resource) if attempt.resource else None
        written = found is not None and all(
            found.words().said().get(name) == value for name, value in attempt.words.said().items()
        )
        if found is None or (written and attempt.kind == "describe"):
            self.act(Abandon(attempt, "the words are there, or the resource is gone"))
        else:
            self._wait_or_abandon(attempt)

    def _wait_or_abandon(self, attempt: Attempt) -> None:
        """Adopt at once, abandon late (law 3); an attempt whose end was never sent did nothing."""
        until = deadline(attempt, self.policy)
        if attempt.sent and self.now < until:
            self.hold(
                attempt.key,
                "outcome_unknown",
                "The portal did not answer; it may still be doing what was asked. Looking again "
                "before sending anything, so that nothing is published twice.",
                until,
                State.PENDING,
            )
        else:
            self.act(Abandon(attempt, "the portal has not done it"))

    # ------------------------------------------------------------------------- what cannot go

    def refuse(self) -> None:
        """Hold what must not be sent: names the portal refuses, doubles, what failed and waits."""
        for wait in self.folder.waiting:
            if wait.key not in self.done:
                self.holds.append(wait)
                self.done.add(wait.key)
        pins: dict[ResourceId, list[SourceFile]] = defaultdict(list)
        for file in self.files:
            if file.pinned:
                pins[file.pinned].append(file)
        for file in self.undecided():
            standing = self.record.standings.get(file.key)
            rivals = pins.get(file.pinned, []) if file.pinned else []
            if len(rivals) > 1:
                others = ", ".join(f"“{other.key.path}”" for other in rivals if other != file)
                self.hold(
                    file.key,
                    "claimed_twice",
                    f"The configuration gives the resource {file.pinned} to this file and also to "
                    f"{others}. Make the rules match one file only.",
                )
            elif not accepts(self.policy.extensions, file.key.path):
                self.hold(file.key, "extension_refused", _extension_words(file.key.path))
            elif standing is not None and _parked(standing, file, self.policy, self.now):
                self.hold(
                    file.key, standing.code, standing.why, standing.not_before, standing.state
                )

    # ------------------------------------------------------------------------------ new files

    def place_new_files(self) -> None:
        """Find each new file its resource; only what has none is uploaded."""
        fresh = [file for file in self.undecided() if file.key not in self.record.entries]
        # a step for all files before the next step: the strongest claim wins, not the first name
        for step in (self._by_pin, self._by_identity, self._by_rename, self._by_bytes):
            for file in fresh:
                if file.key not in self.done:
                    step(file)
        for file in fresh:
            if file.key not in self.done:
                self._by_name_or_upload(file)

    def _by_pin(self, file: SourceFile) -> None:
        if not file.pinned:
            return
        found = self.resources.get(file.pinned)
        owner = self.claimed.get(file.pinned)
        if found is None:
            self.hold(
                file.key,
                "resource_not_found",
                f"The configuration gives this file the resource {file.pinned}, which the dataset "
                "does not have. Correct `resource`, or take the line away to create a new one.",
            )
        elif found.filetype != "file":
            self.hold(file.key, "remote_resource", _remote_words(found))
        elif owner is not None and self._is_gone(owner):
            self._rename(self.record.entries[owner], file)
        elif owner is not None:
            self.hold(
                file.key,
                "claimed_twice",
                f"The resource “{found.title}” already belongs to “{owner.path}”.",
            )
        else:
            self._adopt(file, found, "the configuration names this resource")

    def _by_identity(self, file: SourceFile) -> None:
        wanted = identity_of(file)
        same = [
            found for found in self.unclaimed() if found.source and found.source[1] == wanted[1]
        ]
        same = [found for found in same if found.source and found.source[0] == wanted[0]] or (
            same if len(self.policy.watches) == 1 else []
        )
        if not same:
            return
        same.sort(key=lambda found: (found.sha1 != wanted.sha1, found.created_at, found.id))
        found = same[0]
        ours = found.source is not None and found.source.sha1 == found.sha1
        if found.sha1 == wanted.sha1 or ours or self.forced(file.key):
            self._adopt(file, found, "the resource carries this file's identity")
        else:
            self.hold(file.key, "conflict", _conflict_words(found))

    def _by_rename(self, file: SourceFile) -> None:
        gone = [
            entry
            for key, entry in self.record.entries.items()
            if entry.fingerprint == file.fingerprint
            and key not in self.done
            and entry.resource in self.resources
            and self._is_gone(key)
        ]
        if gone:
            name, folder = base_name(file.key.path), file.key.path.rpartition("/")[0]
            gone.sort(
                key=lambda entry: (
                    base_name(entry.key.path) != name,
                    entry.key.path.rpartition("/")[0] != folder,
                    entry.key,
                )
            )
            self._rename(gone[0], file)

    def _by_bytes(self, file: SourceFile) -> None:
        same = [
            found
            for found in self.unclaimed()
            if found.fingerprint == file.fingerprint
            and found.filetype == "file"
            and found.source is None
        ]
        named = [found for found in same if _same_name(found, file)]
        rivals = [
            other
            for other in self.undecided()
            if other.fingerprint == file.fingerprint and other.key != file.key
        ]
        if len(named) == 1:
            self._adopt(file, named[0], "the portal already holds these very bytes")
        elif len(same) == 1 and not any(_same_name(same[0], other) for other in rivals):
            self._adopt(file, same[0], "the portal already holds these very bytes")
        elif len(same) > 1:
            self.hold(
                file.key,
                "ambiguous",
                "The dataset has several resources with these very bytes: "
                + ", ".join(f"“{found.title}” ({found.id})" for found in same[:5])
                + ". Say which one this file is: `publisher-daemon adopt PATH RESOURCE`, or "
                "delete the others on the portal.",
            )

    def _by_name_or_upload(self, file: SourceFile) -> None:
        named = [
            found
            for found in self.unclaimed()
            if found.source is None and found.filetype == "file" and _same_name(found, file)
        ]
        if named:
            found = min(named, key=lambda one: one.id)
            self.hold(
                file.key,
                "same_name",
                f"The dataset already has a resource of that name, “{found.title}” ({found.id}), "
                "with other content, put there by somebody. If it is this file: "
                f'`publisher-daemon adopt PATH {found.id}`, or `resource = "{found.id}"` in the '
                "configuration. If not: give the file another name.",
            )
        else:
            self.act(Upload(file))

    def _adopt(self, file: SourceFile, found: RemoteResource, why: str) -> None:
        self.claimed[found.id] = file.key
        same = found.fingerprint == file.fingerprint
        entry = Entry(
            key=file.key,
            resource=found.id,
            fingerprint=Fingerprint(found.sha1 or "", found.size or 0),
            stamp=file.stamp if same else None,
            permalink=found.permalink,
            published_at=self.now,
        )
        self.act(Adopt(entry, why))

    def _rename(self, entry: Entry, file: SourceFile) -> None:
        self.done.add(entry.key)
        same = entry.fingerprint == file.fingerprint
        self.act(
            Rename(
                entry.key,
                replace(entry, key=file.key, stamp=file.stamp if same else None, gone_since=None),
            )
        )

    # ---------------------------------------------------------------------------- known files

    def follow_known_files(self) -> None:
        """Replace what changed, repair the ledger, then see to the words."""
        for file in self.undecided():
            entry = self.record.entries.get(file.key)
            if entry is not None:
                self._follow(file, entry)

    def _follow(self, file: SourceFile, entry: Entry) -> None:
        found = self.resources.get(entry.resource)
        if found is None:
            if self.forced(file.key):
                self.act(Forget(file.key, entry.resource, "a person asked to publish it again"))
            else:
                self.hold(
                    file.key,
                    "removed_on_portal",
                    "Somebody deleted this file's resource on the portal. To publish it again: "
                    "`publisher-daemon retry PATH`; if not, remove the file from the folder.",
                )
        elif file.pinned and file.pinned != entry.resource:
            self.act(Forget(file.key, entry.resource, "the configuration names another resource"))
        elif found.filetype != "file":
            self.hold(file.key, "remote_resource", _remote_words(found))
        elif found.fingerprint == file.fingerprint:
            if (
                entry.fingerprint != file.fingerprint
                or entry.stamp != file.stamp
                or entry.gone_since is not None
            ):
                entry = replace(
                    entry, fingerprint=file.fingerprint, stamp=file.stamp, gone_since=None
                )
                self._words(file, entry, found, behind=True)
            else:
                self._words(file, entry, found, behind=False)
        elif (
            found.fingerprint is None
            or found.fingerprint == entry.fingerprint
            or self.forced(file.key)
        ):
            reset = entry.restore is not None and found.title == entry.reset_to
            title = entry.restore if reset else found.title
            self.act(Replace(file, entry.resource, found.fingerprint, title))
        else:
            self.hold(file.key, "conflict", _conflict_words(found))

    def _words(
        self, file: SourceFile, entry: Entry, found: RemoteResource, *, behind: bool
    ) -> None:
        """Merge the words, put the title back, and write the identity, in one request if need be."""
        reset = entry.restore is not None and found.title == entry.reset_to
        shown = replace(found.words(), title=entry.restore) if reset else found.words()
        configured = file.words
        if file.default_title and entry.applied.title is None:
            # nobody said a title, and the one there was not ours: it stays
            configured = replace(configured, title=None)
        merged = merge_words(
            entry.applied, configured, shown, enforce=self.policy.on_drift == "enforce"
        )
        write = merged.write
        if write.title is None and shown.title != found.title:
            write = replace(write, title=shown.title)
        if not file.default_title or merged.write.title:
            kept = merged.kept
        else:
            # the default title is a proposal: a better one from a person is no drift
            kept = tuple(one for one in merged.kept if one[0] != "title")
        self.drifts.extend((file.key, name, ours, theirs) for name, ours, theirs, _ in kept)
        applied = _base_after(merged.applied, entry.applied, kept)
        identity = identity_of(file)
        if write.said():
            self.act(
                Describe(
                    file.key,
                    entry.resource,
                    write,
                    applied,
                    identity if found.source != identity else None,
                )
            )
            if behind:
                self.actions.append(Adopt(entry, "the portal already holds these very bytes"))
        elif found.source != identity:
            if behind:
                self.actions.append(Adopt(entry, "the portal already holds these very bytes"))
            self.act(Identify(file.key, entry.resource, identity))
        elif behind or entry.restore is not None or applied != entry.applied:
            after = replace(entry, restore=None, reset_to=None, applied=applied)
            self.act(Adopt(after, "the ledger was behind the portal"))

    # ----------------------------------------------------------------------------- gone files

    def _is_gone(self, key: ResourceKey) -> bool:
        return key not in self.folder.present and key.folder in self.folder.complete

    def follow_gone_files(self) -> None:
        """Keep what is gone; withdraw, if the folder says so, after the grace and within the caps."""
        due: dict[str, list[Entry]] = defaultdict(list)
        for key, entry in sorted(self.record.entries.items()):
            watch = self.policy.watch(key.folder)
            if key in self.done or watch is None or not self._is_gone(key):
                continue
            if entry.resource not in self.resources:
                self.act(Forget(key, entry.resource, "neither the file nor its resource is left"))
            elif entry.gone_since is None:
                self.act(Keep(key, entry.resource))
            elif watch.when_deleted == "withdraw":
                if self.now < entry.gone_since + watch.withdraw_after:
                    self.hold(
                        key,
                        "withdraw_wait",
                        "The file is gone; its resource will be withdrawn if it stays so.",
                        entry.gone_since + watch.withdraw_after,
                        State.PENDING,
                    )
                elif (standing := self.record.standings.get(key)) and _waits(standing, self.now):
                    self.hold(key, standing.code, standing.why, standing.not_before, standing.state)
                else:
                    due[key.folder].append(entry)
        for folder, entries in sorted(due.items()):
            self._withdraw(folder, entries)

    def _withdraw(self, folder: str, due: list[Entry]) -> None:
        watch = self.policy.watch(folder)
        if watch is None:
            return
        owned = sum(
            1
            for entry in self.record.entries.values()
            if entry.key.folder == folder and entry.resource in self.resources
        )
        asked = self.policy.yes or any(self.forced(entry.key) for entry in due)
        allowed = allowed_withdrawals(owned, watch.max_withdraw, yes=asked)
        if len(due) <= allowed:
            for entry in due:
                self.act(Withdraw(entry.key, entry.resource))
            return
        last = len(due) >= owned
        for entry in due:
            self.hold(
                entry.key,
                "too_many_withdrawals",
                f"{len(due)} of the folder's {owned} published files are gone"
                + (
                    "; the last resource of a folder is never withdrawn automatically. Delete it "
                    "on the portal if that is what you want."
                    if last
                    else f", more than the {allowed} that may be withdrawn at once. If that is "
                    "right: `publisher-daemon retry --yes`; if not, put the files back."
                ),
            )


def _base_after(
    applied: Words, before: Words, kept: Iterable[tuple[str, str, str, Verdict]]
) -> Words:
    """The merge base, where what was left to a colleague keeps its old base."""
    said = applied.said()
    for name, _, _, _ in kept:
        old = before.said().get(name)
        if old is not None:
            said[name] = old
    return Words(**said)


def _parked(standing: Standing, file: SourceFile, policy: Policy, now: float) -> bool:
    """Whether a failure still speaks for this file as it is now."""
    if standing.failures == 0 or standing.forced or standing.stamp != file.stamp:
        return False
    if standing.not_before is None:
        return standing.settings == policy.settings
    return now < standing.not_before


def _waits(standing: Standing, now: float) -> bool:
    if standing.failures == 0 or standing.forced:
        return False
    return standing.not_before is None or now < standing.not_before


def _same_name(found: RemoteResource, file: SourceFile) -> bool:
    """Whether a person would take this resource for that file, by its link's name or its title."""
    served = found.url.rpartition("/")[2]
    names = {file.name, portal_name(file.key.path)}
    return (
        served in names
        or found.title in names
        or found.title == base_name(file.key.path)
        or (file.words.title is not None and found.title == file.words.title)
    )


def _extension_words(path: str) -> str:
    ext = extension(path)
    if ext is None:
        return (
            "The file's name has no usable extension, so the portal would refuse it. Name it "
            "after its format (.csv, .json, .xlsx…), or add it to `exclude`."
        )
    return (
        f"The portal does not accept .{ext} files. Publish it in an accepted format (csv, json, "
        "geojson, xlsx, ods, zip…), or add it to `exclude`."
    )


def _remote_words(found: RemoteResource) -> str:
    return (
        f"The resource “{found.title}” is a link to another site, not a file kept by the portal; "
        "sending a file there would leave it half changed. Create a file resource instead, or "
        "choose another one."
    )


def _conflict_words(found: RemoteResource) -> str:
    return (
        f"Somebody put other content in the resource “{found.title}” on the portal. To publish "
        "the folder's file over it: `publisher-daemon retry PATH`. To keep theirs: put their file "
        f"in the folder ({found.permalink})."
    )
