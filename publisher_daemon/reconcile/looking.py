"""Looks at the folders of one dataset: what is there, what is settled, what is not as published.

Everything that can be answered from the ledger is; a file is read only when its stat differs from
the one it had when it was published.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from zoneinfo import ZoneInfo

import structlog

from publisher_daemon.catalogue import Facts, Span, words_of_file
from publisher_daemon.errors import FileUnreadable, FolderUnreadable, SourceChanged
from publisher_daemon.model import (
    QUEUED,
    Action,
    DatasetId,
    Entry,
    Fingerprint,
    Hint,
    Hold,
    Known,
    Policy,
    Record,
    Replace,
    ResourceKey,
    Sighting,
    SourceFile,
    Stamp,
    State,
    Upload,
    Watch,
    Words,
)
from publisher_daemon.naming import (
    MAX_TITLE,
    default_title,
    fill,
    match,
    portal_name,
    readable,
    rule_for,
    words_for,
)
from publisher_daemon.pacing import LONG
from publisher_daemon.profile import Packed, Profile
from publisher_daemon.reconcile import queueing
from publisher_daemon.reconcile.journey import journey_of
from publisher_daemon.reconcile.longs import LongPlaces
from publisher_daemon.reconcile.ports import Folder, Ledger, OpenFile
from publisher_daemon.reconcile.queueing import IN_ORDER, Crowded, Queue
from publisher_daemon.series import AMONG_NEWER, Predecessors, line_of, set_aside
from publisher_daemon.settle import Memory, settle
from publisher_daemon.shelf import Files

#: Reads a whole open file: what its bytes are, and what they hold.
Inspect = Callable[[OpenFile, str, Watch], tuple[Fingerprint, Profile]]
#: The days in a column of one file, or why there are none.
Days = Callable[[ResourceKey, Stamp, Fingerprint, str], Span | str]
Read = tuple[Fingerprint, Packed | None]

log = structlog.get_logger(__name__)

#: When what waits for its turn is looked at again, in seconds.
TURN_EVERY = 15.0
ITS_TURN = (
    "It takes long to publish, and as many long ones as may are under way; then it goes by itself."
)
#: Files that are read in one look: the others go after them, or fifty thousand would be in memory.
AT_A_TIME = 5000
#: Nothing has been decided yet of the bytes of these.
_UNDECIDED = frozenset({
    "not_settled", "being_written", "never_settles", "empty", "waits_for_marker", "its_turn",
    QUEUED, "portal_unreachable", "credential_refused", "dataset_refused",
})  # fmt: skip
#: More differences than this, and looking at everything is cheaper than at each.
MOST_PATHS = 10_000
#: Paths up to which what is known of them is asked for one by one.
FEW = 1000
#: Files that are asked who writes to them and judged at once: a burst is not held in memory twice.
TOGETHER = 5000
#: Digests remembered for files that are read but not published yet (held, waiting for the portal).
DIGESTS_KEPT = 20_000


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look found."""

    #: settled files that differ from the ledger; all known ones too when everything is audited
    files: Files = field(default_factory=Files)
    #: every path that is there, or that nothing proves gone
    present: frozenset[ResourceKey] = frozenset()
    #: folders of which what is not present is gone
    complete: frozenset[str] = frozenset()
    #: folders of which every file was asked for, and seen
    scanned: frozenset[str] = frozenset()
    #: and of those, the ones of which a part could not be read
    dim: frozenset[str] = frozenset()
    waiting: tuple[Hold, ...] = ()
    #: files that wait in the ledger alone, beside the first of them
    queued: int = 0
    #: the files that differ from the ledger
    changed: frozenset[ResourceKey] = frozenset()
    #: the files this look says something about
    looked: frozenset[ResourceKey] = frozenset()
    #: folders that could not be read, and why
    troubles: Mapping[str, str] = field(default_factory=dict)
    #: what published bytes hold that changed files will be compared with, by their sha1
    profiles: Mapping[str, Packed] = field(default_factory=dict)
    #: when to look again by itself
    recheck_at: float | None = None
    #: something may have to be done on the portal
    needs_portal: bool = False


class Looker:
    """Looks, and remembers between looks what is needed to say that a file is still."""

    def __init__(
        self,
        folders: Mapping[tuple[DatasetId, str], Folder],
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        *,
        ledger: Ledger,
        longs: LongPlaces,
        takes: Callable[[int], float],
        inspect: Inspect | None = None,
        days: Days | None = None,
    ) -> None:
        self._longs = longs
        self._takes = takes
        self._folders = folders
        self._ledger = ledger
        self._inspect = inspect
        self._days = days
        self._clock = clock
        self._monotonic = monotonic
        self._memory: dict[DatasetId, Memory] = {}
        self._digests: OrderedDict[tuple[ResourceKey, Stamp], Read] = OrderedDict()
        #: folders that could not be read at the last look, and why
        self._lost: dict[tuple[DatasetId, str], str] = {}
        self._lock = threading.Lock()

    def look(
        self,
        policy: Policy,
        record: Record,
        hints: Sequence[Hint],
        *,
        audit: bool,
        once: bool,
        all_at_once: bool = False,
        partly: bool = False,
    ) -> Seen:
        """Look at every folder of the dataset, or only where the hints say.

        ``all_at_once``: read all that is new, where a pass would go on with the rest in its next.
        ``partly``: the record is of the hinted paths alone; raises Crowded where more is needed.
        """
        look = _Look(record=record, policy=policy, audit=audit, all_at_once=all_at_once)
        for watch in policy.watches:
            arrived = {path for hint in hints if hint.folder == watch.name for path in hint.arrived}
            if arrived:
                self._folders[watch.dataset, watch.name].hint_arrived(arrived)
            paths = paths_of(hints, watch.name)
            try:
                self._look_at(look, watch, paths)
            except Crowded:
                if partly:
                    raise
                self._look_at(look, watch, None)
            if paths is None or paths:
                self._say_once(watch, look.troubles.get(watch.name))
            if watch.name not in look.troubles:
                _set_aside(look, watch)
        if policy.watches:
            self._settle(look, policy.watches, once=once)
        gone = [
            record.entries[key]
            for key in record.entries
            if key.folder in look.complete and key not in look.present
        ]
        watches = {watch.name: watch for watch in policy.watches}
        needs = (
            bool(look.changed)
            or any(_gone_needs(entry, watches[entry.key.folder]) for entry in gone)
            or any(standing.forced for standing in record.standings.values())
            or any(standing.code == "unverified" for standing in record.standings.values())
        )
        return Seen(
            files=look.files,
            present=frozenset(look.present),
            complete=frozenset(look.complete),
            scanned=frozenset(look.scanned & look.complete),
            dim=frozenset(look.dim),
            waiting=tuple(look.waiting),
            queued=look.queued,
            changed=frozenset(look.changed),
            looked=frozenset(look.looked),
            troubles=look.troubles,
            profiles=self._ledger.profiles(_compared(look)),
            recheck_at=look.recheck_at,
            needs_portal=needs,
        )

    def let_go(self, done: Iterable[Action]) -> None:
        """Forget what was read of files that are published: nobody asks for it again."""
        with self._lock:
            for action in done:
                if isinstance(action, Upload | Replace):
                    self._digests.pop((action.file.key, action.file.stamp), None)

    def narrow(
        self, policy: Policy, hints: Sequence[Hint], known: Callable[[str], Iterator[Known]]
    ) -> tuple[Hint, ...] | None:
        """The same hints, with the paths that differ where all of a folder is to be looked at.

        None when only a look at everything can tell.
        """
        narrowed: list[Hint] = []
        for watch in policy.watches:
            paths = paths_of(hints, watch.name)
            if paths is None:
                paths = self._differing(watch, known(watch.name))
            if paths is None:
                return None
            arrived = {path for hint in hints if hint.folder == watch.name for path in hint.arrived}
            narrowed.append(Hint(watch.name, paths, frozenset(arrived)))
        return tuple(narrowed)

    def _differing(self, watch: Watch, known: Iterator[Known]) -> frozenset[str] | None:
        place = (watch.dataset, watch.name)
        if place in self._lost:
            return None
        withdraws = watch.when_deleted == "withdraw" or any(
            rule.when_left == "withdraw" for rule in watch.rules
        )
        try:
            found = self._folders[place].differences(_none_gone(known) if withdraws else known)
            if found is None:
                return None
            paths = list(islice(found, MOST_PATHS + 1))
        except (FolderUnreadable, _Gone):
            return None
        return frozenset(paths) if len(paths) <= MOST_PATHS else None

    # ---------------------------------------------------------------------------------- looking

    def _look_at(self, look: _Look, watch: Watch, paths: frozenset[str] | None) -> None:
        folder = self._folders[watch.dataset, watch.name]
        # each by itself, to be found again: what is seen is not held twice
        known = {key: key for key in look.record.entries if key.folder == watch.name}
        if paths is not None and not paths:
            look.present.update(known, _held(look.record, watch.name))
            trouble = self._lost.get((watch.dataset, watch.name))
            if trouble is not None:
                look.troubles[watch.name] = trouble
            return
        if paths is not None:
            # a hint about a directory is a hint about the files that we know below it
            paths = paths | {key.path for key in known if _lies_below(key.path, paths)}
        try:
            seen, differ, same = self._scan(look, watch, folder, paths, known)
        except FolderUnreadable as error:
            # of a folder that was lost on the way nothing is believed, not even what was seen
            self._unreadable(look, watch.name, error)
            return
        look.candidates += differ
        look.unchanged += same
        seen |= _await_markers(look, folder)
        look.present |= seen
        if paths is not None:
            look.present |= {key for key in _held(look.record, watch.name) if key.path not in paths}
            asked = {ResourceKey(watch.dataset, watch.name, path) for path in paths}
            absent = (known.keys() & asked) - seen
            look.present |= known.keys() - asked
        else:
            absent = known.keys() - seen
            look.scanned.add(watch.name)
            if not folder.looked_whole():
                look.dim.add(watch.name)
        look.present |= _not_gone(folder, absent)
        look.complete.add(watch.name)
        look.looked |= seen

    def _scan(
        self,
        look: _Look,
        watch: Watch,
        folder: Folder,
        paths: frozenset[str] | None,
        known: Mapping[ResourceKey, ResourceKey],
    ) -> tuple[set[ResourceKey], list[_Candidate], list[ResourceKey]]:
        """What is there, what of it differs from the ledger, and what does not if that is asked.

        Of very many that differ only the first: a pass's own look at everything queues the others,
        and one at some paths raises Crowded.
        """
        whole = paths is None and not look.all_at_once
        queue = Queue(self._ledger, watch, self._clock()) if whole else None
        seen: set[ResourceKey] = set()
        differ: list[_Candidate] = []
        same: list[ResourceKey] = []
        places = 0
        for sighting in folder.scan(paths):
            # the one that is held already, or a hundred thousand are held twice
            key = known.get(sighting.key, sighting.key)
            entry = look.record.entries.get(key)
            changed = entry is None or differs(look.record, entry, sighting)
            if changed:
                standing = look.record.standings.get(key)
                places += queueing.takes_a_place(standing)
                if places > queueing.AT_A_TIME and _may_queue(look, watch, key):
                    if queue is None:
                        raise Crowded
                    queue.add(key, new=entry is None)
                    if entry is not None:
                        seen.add(key)
                    continue
                # very many are asked again rather than all held in memory as they were seen
                enough = paths is None or len(differ) >= TOGETHER
                differ.append((watch, key, None if enough else sighting))
            elif look.audit and entry is not None:
                same.append(key)
            seen.add(key)
            if queue is not None:
                queue.meet(key.path, differs=changed)
        if queue is not None:
            self._end(look, queue, folder)
        return seen, differ, same

    def _end(self, look: _Look, queue: Queue, folder: Folder) -> None:
        """Let the first that is queued stand for all of them."""
        queue.end(folder)
        if queue.first is not None:
            until = self._clock() + TURN_EVERY
            look.waiting.append(Hold(queue.first, QUEUED, IN_ORDER, until, State.PENDING))
            look.queued += queue.length - 1

    def _say_once(self, watch: Watch, trouble: str | None) -> None:
        """Tell of a folder that is lost, or back, once: it is looked at again all the time."""
        place = (watch.dataset, watch.name)
        before = self._lost.pop(place, None)
        if trouble is not None:
            self._lost[place] = trouble
            if trouble != before:
                log.warning("folder.lost", folder=watch.name, path=watch.path, why=trouble)
        elif before is not None:
            log.info("folder.returned", folder=watch.name, path=watch.path)

    @staticmethod
    def _unreadable(look: _Look, folder: str, error: FolderUnreadable) -> None:
        """Conclude nothing about a folder that cannot be read: all stands as it stood."""
        look.troubles[folder] = error.sentence
        look.complete.discard(folder)
        look.present |= {key for key in look.record.entries if key.folder == folder}
        look.waiting.extend(
            Hold(standing.key, standing.code, standing.why, standing.not_before, standing.state)
            for standing in look.record.standings.values()
            if standing.key.folder == folder
        )

    # --------------------------------------------------------------------------------- settling

    def _settle(self, look: _Look, watches: Iterable[Watch], *, once: bool) -> None:
        by_name = {watch.name: watch for watch in watches}
        ready: list[Sighting] = []
        asked, look.candidates = _by_watch(look.candidates), []
        for watch, candidates in asked:
            try:
                for some in self._asked(watch, candidates):
                    ready += self._judge(look, by_name, some, once=once)
            except FolderUnreadable as error:
                self._unreadable(look, watch.name, error)
                ready = [sighting for sighting in ready if sighting.key.folder != watch.name]
        if not asked:
            # what is seen no more is forgotten
            self._judge(look, by_name, [], once=once)
        dataset = look.policy.watches[0].dataset
        self._read_all(look, dataset, ready)
        self._look_where_they_came_from(look)
        self._roll_back_gone(look)
        if look.audit:
            for key in look.unchanged:
                entry = look.record.entries[key]
                if entry.stamp is not None:  # as it was seen: they are the same
                    sighting = Sighting(key, entry.stamp)
                    look.files.put(self._source(look, sighting, entry.fingerprint))

    def _asked(self, watch: Watch, candidates: Iterable[_Candidate]) -> Iterator[list[Sighting]]:
        """What they are now, some at a time, each file having been asked who writes to it.

        A look at a few paths did so already; one at everything only called ``stat``.
        """
        if some := [sighting for _, _, sighting in candidates if sighting is not None]:
            yield some
        paths = [key.path for _, key, sighting in candidates if sighting is None]
        if paths:
            scan = self._folders[watch.dataset, watch.name].scan(paths)
            while some := list(islice(scan, TOGETHER)):
                yield some

    def _judge(
        self,
        look: _Look,
        watches: Mapping[str, Watch],
        sightings: Sequence[Sighting],
        *,
        once: bool,
    ) -> tuple[Sighting, ...]:
        """Those that are settled; the others wait."""
        dataset = look.policy.watches[0].dataset
        # after they were seen: what changed meanwhile did not change later than now
        now, wall = self._monotonic(), self._clock()
        settled = settle(
            self._memory.get(dataset, Memory()),
            sightings,
            now=now,
            wall=wall,
            watches=watches,
            present=look.present,
            once=once,
        )
        self._memory[dataset] = settled.memory
        for waiting in settled.waiting:
            until = None if waiting.until is None else wall + (waiting.until - now)
            log.debug(
                "file.waiting",
                path=readable(waiting.key.path),
                folder=waiting.key.folder,
                journey=journey_of(waiting.key, look.record.entries.get(waiting.key)),
                why=waiting.why,
                retry_at=until,
            )
            state = State.HELD if waiting.code == "empty" else State.PENDING
            look.waiting.append(Hold(waiting.key, waiting.code, waiting.why, until, state))
        if settled.recheck_at is not None:
            look.recheck(wall + max(0.0, settled.recheck_at - now))
        return settled.ready

    def _read_all(self, look: _Look, dataset: DatasetId, ready: Iterable[Sighting]) -> None:
        """Read what is still; what is too much without a place for long work waits for one."""
        work, may, fresh = 0.0, True, 0
        for sighting in ready:
            key, until = sighting.key, self._clock() + TURN_EVERY
            standing = look.record.standings.get(key)
            undecided = standing is None or standing.code in _UNDECIDED
            fresh += undecided
            if undecided and fresh > AT_A_TIME and not look.all_at_once:
                look.waiting.append(Hold(key, "its_turn", IN_ORDER, until, State.PENDING))
                continue
            waits = standing is not None and standing.state is State.HELD and not standing.forced
            work += 0.0 if waits else self._takes(sighting.stamp.size)
            if may and work > LONG:
                may = self._longs.enter(dataset)
            if may or waits:
                self._read(look, sighting)
            else:
                look.waiting.append(Hold(key, "its_turn", ITS_TURN, until, State.PENDING))

    def _look_where_they_came_from(self, look: _Look) -> None:
        """Where a new file has a published file's bytes, see whether that one is gone: a renaming.

        A narrow look takes what it was not told about as present, and the two halves of a renaming
        may come in two hints.
        """
        entries = look.record.entries
        fresh = {look.files[key].fingerprint for key in look.files if key not in entries}
        if not fresh:
            return
        for key in entries:
            elsewhere = key in look.present and key not in look.looked
            if not elsewhere or entries[key].fingerprint not in fresh:
                continue
            folder = self._folders.get((key.dataset, key.folder))
            if key.folder in look.complete and folder and not folder.exists(key.path):
                look.present.discard(key)

    def _read(self, look: _Look, sighting: Sighting) -> None:
        key = sighting.key
        try:
            fingerprint, profile = self._digest(look, sighting)
            approved = profile is not None and self._folders[key.dataset, key.folder].approved(
                key.path, fingerprint
            )
        except SourceChanged as moved:
            why = f"The file changed while it was being read ({moved.message}); waiting."
            look.waiting.append(Hold(key, "not_settled", why, None, State.PENDING))
            look.recheck(self._clock() + 1.0)
            return
        except FileUnreadable as error:
            look.waiting.append(Hold(key, "file_unreadable", error.sentence, self._clock() + 30.0))
            return
        rollback = look.record.rollbacks.get(key)
        if rollback is not None and rollback.instead == fingerprint.sha1:
            file = self._source(look, sighting, rollback.fingerprint)
            look.files.put(replace(file, rolled_back=True))
        else:
            file = self._source(look, sighting, fingerprint)
            beside = self._folders[key.dataset, key.folder].embargo(key.path)
            file = replace(file, publish_after=beside or file.publish_after)
            look.files.put(replace(file, profile=profile, approved=approved))
        look.changed.add(key)

    def _roll_back_gone(self, look: _Look) -> None:
        """Earlier versions that a person wants of files that are gone from the folder."""
        for key, rollback in look.record.rollbacks.items():
            entry = look.record.entries.get(key)
            if key in look.present or key.folder not in look.complete or (
                entry is not None and entry.fingerprint == rollback.fingerprint
            ):  # fmt: skip
                continue
            stamp = Stamp(rollback.fingerprint.size, 0, 0, 0)
            file = self._source(look, Sighting(key, stamp), rollback.fingerprint)
            look.files.put(replace(file, rolled_back=True))
            look.changed.add(key)

    def _digest(self, look: _Look, sighting: Sighting) -> Read:
        """Read the file once for each stamp it has, and look at its content in the same reading."""
        memo = (sighting.key, sighting.stamp)
        with self._lock:
            if memo in self._digests:
                return self._digests[memo]
        folder = self._folders[sighting.key.dataset, sighting.key.folder]
        watch = look.policy.watch(sighting.key.folder)
        profile: Packed | None = None
        if self._inspect is None or watch is None or watch.checks.mode == "off":
            fingerprint = folder.fingerprint(sighting.key.path, sighting.stamp)
        else:
            with folder.open(sighting.key.path, sighting.stamp) as source:
                fingerprint, found = self._inspect(source, sighting.key.path, watch)
                source.check()
                profile = found.packed()
        log.info(
            "file.settled",
            path=readable(sighting.key.path),
            folder=sighting.key.folder,
            journey=journey_of(sighting.key, look.record.entries.get(sighting.key)),
            sha1=fingerprint.sha1,
            size=fingerprint.size,
        )
        with self._lock:
            self._digests[memo] = fingerprint, profile
            while len(self._digests) > DIGESTS_KEPT:
                self._digests.popitem(last=False)
        return fingerprint, profile

    def _source(self, look: _Look, sighting: Sighting, fingerprint: Fingerprint) -> SourceFile:
        path = sighting.key.path
        watch = look.policy.watch(sighting.key.folder)
        words, rule = words_for(watch, path) if watch else (Words(), None)
        entry = look.record.entries.get(sighting.key)
        words, unsaid = words_of_file(
            words,
            entry.applied if entry else Words(),
            partial(self._facts, look.policy.timezone, sighting, fingerprint, entry),
        )
        default = words.title is None
        if default:
            words = replace(words, title=default_title(path))
        elif len(words.title or "") > MAX_TITLE:
            words = replace(words, title=(words.title or "")[:MAX_TITLE])
        return SourceFile(
            key=sighting.key,
            stamp=sighting.stamp,
            fingerprint=fingerprint,
            name=portal_name(path),
            words=words,
            default_title=default,
            unsaid=unsaid,
            pinned=rule.resource if rule else None,
            publish_after=fill(rule.publish_after, match(rule.match, path) or {})
            if rule and rule.publish_after
            else None,
        )

    def _facts(
        self,
        timezone: str,
        sighting: Sighting,
        fingerprint: Fingerprint,
        entry: Entry | None,
        columns: frozenset[str],
    ) -> Facts:
        """What computed values are made of, of one file: the day is that of its publication."""
        published = entry is not None and entry.fingerprint == fingerprint and entry.published_at
        at = datetime.fromtimestamp(published or self._clock(), UTC).astimezone(ZoneInfo(timezone))
        days: dict[str, Span | str] = {}
        if self._days is not None:
            for column in columns:
                days[column] = self._days(sighting.key, sighting.stamp, fingerprint, column)
        return Facts(at.date(), (sighting.key.path,), at.date(), days)


#: A file that differs; its sighting is None where it is still to be asked who writes to it.
_Candidate = tuple[Watch, ResourceKey, Sighting | None]


@dataclass(slots=True)
class _Look:
    """One look in the making."""

    record: Record
    policy: Policy
    audit: bool
    all_at_once: bool = False
    candidates: list[_Candidate] = field(default_factory=list)
    unchanged: list[ResourceKey] = field(default_factory=list)
    files: Files = field(default_factory=Files)
    present: set[ResourceKey] = field(default_factory=set)
    complete: set[str] = field(default_factory=set)
    scanned: set[str] = field(default_factory=set)
    dim: set[str] = field(default_factory=set)
    waiting: list[Hold] = field(default_factory=list)
    queued: int = 0
    changed: set[ResourceKey] = field(default_factory=set)
    looked: set[ResourceKey] = field(default_factory=set)
    troubles: dict[str, str] = field(default_factory=dict)
    recheck_at: float | None = None

    def recheck(self, at: float) -> None:
        self.recheck_at = at if self.recheck_at is None else min(self.recheck_at, at)


def differs(record: Record, entry: Entry, sighting: Sighting) -> bool:
    """Whether a file is not as it was published, or not as a person wants it."""
    return entry.stamp != sighting.stamp or bool(entry.gone_since) or _to_roll_back(record, entry)


def _may_queue(look: _Look, watch: Watch, key: ResourceKey) -> bool:
    """Whether this file can wait without being looked at."""
    return not look.all_at_once and queueing.may_wait(look.record, watch, key)


def _by_watch(candidates: Iterable[_Candidate]) -> list[tuple[Watch, list[_Candidate]]]:
    """The candidates of each folder, in their order."""
    found: dict[str, tuple[Watch, list[_Candidate]]] = {}
    for candidate in candidates:
        watch = candidate[0]
        found.setdefault(watch.name, (watch, []))[1].append(candidate)
    return list(found.values())


def few_places(policy: Policy, hints: Sequence[Hint]) -> Mapping[str, Collection[str]] | None:
    """The few paths of each folder that are to be looked at; None where more must be known.

    In a series one file decides for the others, and a marker has another name than its file.
    """
    places: dict[str, Collection[str]] = {}
    for watch in policy.watches:
        paths = paths_of(hints, watch.name)
        if paths is None or len(paths) > FEW or "" in paths or watch.ready_marker is not None:
            return None
        if any(rule.keep != "each" for rule in watch.rules):
            return None
        places[watch.name] = paths
    return places if policy.watches else None


def paths_of(hints: Sequence[Hint], folder: str) -> frozenset[str] | None:
    """The paths to look at in this folder; None is all of it."""
    if not hints:
        return None
    paths: set[str] = set()
    for hint in hints:
        if hint.folder == folder:
            if hint.paths is None:
                return None
            paths |= hint.paths
    return frozenset(paths)


def _not_gone(folder: Folder, absent: Iterable[ResourceKey]) -> set[ResourceKey]:
    """Those that are excluded, ignored or unreadable rather than gone."""
    blind = folder.unobservable()
    return {
        key
        for key in absent
        if any(key.path.startswith(f"{top}/") for top in blind) or folder.exists(key.path)
    }


def _await_markers(look: _Look, folder: Folder) -> set[ResourceKey]:
    """Files whose producer has not said yet that they are ready; all that are there.

    One that is as it was published does not wait: its marker went, as some producers have it.
    """
    there = set()
    for sighting, why in folder.unmarked():
        there.add(sighting.key)
        entry = look.record.entries.get(sighting.key)
        if entry is None or entry.stamp != sighting.stamp:
            look.waiting.append(Hold(sighting.key, "waits_for_marker", why, None, State.PENDING))
    return there


class _Gone(Exception):
    """A file is known to be gone, and its resource may have to be withdrawn."""


def _none_gone(known: Iterator[Known]) -> Iterator[Known]:
    """The same files; raises _Gone: absence is only believed of a look at everything."""
    for one in known:
        if one[2]:
            raise _Gone
        yield one


def _lies_below(path: str, paths: Collection[str]) -> bool:
    """Whether it lies in a directory that is one of these."""
    at = path.rfind("/")
    while at > 0:
        if path[:at] in paths:
            return True
        at = path.rfind("/", 0, at)
    return False


def _to_roll_back(record: Record, entry: Entry) -> bool:
    """Whether a person wants another version than the one that is published."""
    rollback = record.rollbacks.get(entry.key)
    return rollback is not None and rollback.fingerprint != entry.fingerprint


def _compared(look: _Look) -> set[str]:
    """The published bytes that the changed files take the place of, or come after."""
    entries = look.record.entries
    # the others are as they were published
    changed = [look.files[key] for key in look.files if key in look.changed]
    if not any(file.profile for file in changed):
        return set()
    sha1s = {entries[file.key].fingerprint.sha1 for file in changed if file.key in entries}
    fresh = [file for file in changed if file.key not in entries and file.profile]
    if fresh and entries:
        published = (
            (one.key.folder, one.key.path, one.fingerprint.sha1) for one in entries.values()
        )
        before = Predecessors(look.policy.watches, published)
        for file in fresh:
            watch = look.policy.watch(file.key.folder)
            line = line_of(watch, file.key.path) if watch else None
            if line is not None and line[1] is not None:
                sha1s.update(before.before(file.key.folder, line[0], line[1]))
    return sha1s


def _gone_needs(entry: Entry, watch: Watch) -> bool:
    if entry.gone_since is None or watch.when_deleted == "withdraw":
        return True
    found = rule_for(watch, entry.key.path)
    return found is not None and found[0].when_left == "withdraw"


def _held(record: Record, folder: str) -> Iterator[ResourceKey]:
    """Files known to be there though nothing of them is published: a narrow look leaves them be."""
    for key, standing in record.standings.items():
        if key.folder == folder and standing.state not in {State.WITHDRAWN, State.KEPT}:
            yield key


def _set_aside(look: _Look, watch: Watch) -> None:
    """Leave out, unread, the files that newer ones of their series make superfluous."""
    present = {key.path for key in look.present if key.folder == watch.name}
    asked_for = (look.record.entries, look.record.rollbacks)
    ours = {key.path for keys in asked_for for key in keys if key.folder == watch.name}
    aside = set_aside(watch, present, ours)
    if not aside:
        return
    kept = []
    for candidate in look.candidates:
        key = candidate[1]
        if key.folder == watch.name and key.path in aside:
            look.waiting.append(Hold(key, "superseded", AMONG_NEWER, None, State.IGNORED))
        else:
            kept.append(candidate)
    look.candidates = kept
