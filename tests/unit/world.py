"""A small world in memory: a folder, a portal with udata's traps, a ledger, people, and faults.

The daemon in it is the real planner and an interpreter of its actions that may die between any two
steps. Everything is drawn from one ``random.Random``: a world is replayed by its seed, and
Hypothesis may draw it itself, and so make a failing world small.

Fake: the folder (files change whole, by rename), the ledger (a dict; each method is one
transaction) and the portal. The real ones have tests of their own; this proves the decisions.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from typing import Literal

from world_laws import Broken, check_converged, check_plan
from world_portal import File, Ledger, Portal, Refused, Unknown, Unreachable, fingerprint_of

from publisher_daemon.model import (
    Abandon,
    Action,
    Adopt,
    Attempt,
    DatasetId,
    Describe,
    Entry,
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
    Rename,
    Replace,
    ResourceId,
    ResourceKey,
    Rule,
    SourceFile,
    Stamp,
    Standing,
    State,
    Upload,
    Watch,
    Withdraw,
    Words,
)
from publisher_daemon.naming import default_title, portal_name
from publisher_daemon.plan import action_key, plan
from publisher_daemon.shelf import Entries, Files, Resources

#: What a pass does, step by step: the process may die wherever it yields.
Steps = Generator[None, None, None]
DATASET = DatasetId("5bbb6d6cff66bd4dc17bfd5a")
GRACE = 30.0
#: Plans in one pass, as in the reconciler.
TURNS = 6
#: Names that the portal tells apart, and names it does not (``x y`` and ``x,y``).
SERIES = ("jour_1.csv", "jour_2.csv", "jour_3.csv", "jour_4.csv")
#: a name of the series that says nothing of its age, and one that is as new as another
ODD = ("jour_x.csv", "sub/jour_3.csv")
NAMES = ("a.csv", "b.csv", "x y.csv", "x,y.csv", "été.csv", "sub/a.csv", "sub/c.csv")
CONTENTS = tuple(f"contents number {number}\n" for number in range(6))


@dataclass
class World:
    """One dataset and all that happens to it."""

    rng: random.Random
    now: float = 1_000_000.0
    faults: bool = True
    enforce: bool = False
    withdraw: bool = False
    verbose: bool = False
    #: how the series of the folder "one" is kept
    keep: Literal["each", "latest", "last"] = "each"
    leaves: Literal["keep", "withdraw"] | None = None

    files: dict[ResourceKey, File] = field(default_factory=dict)
    mounted: bool = True
    portal: Portal = field(default_factory=Portal)
    ledger: Ledger = field(default_factory=Ledger)
    titles: dict[str, str] = field(default_factory=dict)
    pins: dict[str, ResourceId] = field(default_factory=dict)
    settings: int = 0
    refused: set[str] = field(default_factory=set)

    #: every complete state a file ever had
    states: set[str] = field(default_factory=set)
    #: titles that may stand on a resource, because a person or the settings said so
    said: dict[ResourceId, set[str]] = field(default_factory=dict)
    #: a title that a person wrote in a quiet moment, over ours: it must stay
    wanted: dict[ResourceId, str] = field(default_factory=dict)
    #: renamed files, and the resource that each must take along
    moved: dict[ResourceKey, ResourceId] = field(default_factory=dict)
    #: ours no more: the configuration named another one, or a person asked for a new one
    disowned: set[ResourceId] = field(default_factory=set)
    #: ours when the state was lost
    inherited: set[ResourceId] = field(default_factory=set)
    answered: set[int] = field(default_factory=set)
    holds: tuple[Hold, ...] = ()
    in_pass: bool = False
    serial: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    # --------------------------------------------------------------------------- what we see

    def say(self, text: str) -> None:
        if self.verbose:
            print(f"{self.now - 1_000_000:9.1f}  {text}")

    @property
    def rule(self) -> Rule:
        """The rule of the series."""
        last = 2 if self.keep == "last" else 1
        return Rule("jour_{number}.csv", keep=self.keep, last=last, when_left=self.leaves)

    def policy(self) -> Policy:
        watches = tuple(
            Watch(
                name=name,
                path=f"/srv/{name}",
                dataset=DATASET,
                when_deleted="withdraw" if self.withdraw else "keep",
                rules=() if self.keep == "each" else (self.rule,),
            )
            for name in ("one", "two")
        )
        return Policy(
            watches=watches,
            on_drift="enforce" if self.enforce else "keep",
            grace=GRACE,
            settings=str(self.settings),
        )

    def source(self, key: ResourceKey) -> SourceFile:
        title = self.titles.get(key.path)
        return SourceFile(
            key=key,
            stamp=self.files[key].stamp,
            fingerprint=fingerprint_of(self.files[key].content),
            name=portal_name(key.path),
            words=Words(title=title or default_title(key.path)),
            default_title=title is None,
            pinned=self.pins.get(key.path) if key.folder == "one" else None,
        )

    def folderful(self) -> Folderful:
        if not self.mounted:
            return Folderful(present=frozenset(self.ledger.entries))
        settled = [key for key, file in self.files.items() if file.settled_at <= self.now]
        waiting = tuple(
            Hold(key, "not_settled", "It still moves.", file.settled_at, State.PENDING)
            for key, file in self.files.items()
            if file.settled_at > self.now
        )
        return Folderful(
            files={key: self.source(key) for key in settled},
            present=frozenset(self.files),
            complete=frozenset({"one", "two"}),
            waiting=waiting,
        )

    def remote(self) -> Remote:
        self.portal.catch_up(self.now)
        dataset = RemoteDataset(DATASET, "air", "Air", "https://portal.example/datasets/air")
        return Remote(dataset, dict(self.portal.resources))

    def decide(self, remote: Remote) -> Plan:
        """Plan, and see that the order of what is given does not matter."""
        folder, record = self.folderful(), self.ledger.record()
        attempts = tuple(
            # the portal answered 500: it is at rest, no grace is needed
            replace(attempt, started_at=float("-inf"), sent_at=None)
            if attempt.id in self.answered
            else attempt
            for attempt in record.attempts
        )
        record = replace(record, attempts=attempts)
        result = plan(folder, record, remote, self.policy(), self.now)
        again = plan(
            replace(
                folder,
                files=Files(reversed([*folder.files.values()])),
                waiting=folder.waiting[::-1],
            ),
            Record(
                Entries(reversed([*record.entries.values()])),
                record.attempts[::-1],
                dict(reversed(tuple(record.standings.items()))),
            ),
            replace(remote, resources=Resources(reversed([*remote.resources.values()]))),
            self.policy(),
            self.now,
        )
        if result != again:
            raise Broken(f"the order matters: {result} != {again}")
        check_plan(self, result, remote)
        return result

    # --------------------------------------------------------------------------- the daemon

    def one_pass(self) -> Steps:
        """One pass of the daemon; it may die wherever this yields."""
        self.holds = ()
        for _ in range(TURNS):
            remote = self.remote()
            result = self.decide(remote)
            self.holds = result.holds
            yield
            try:
                for action in result.actions:
                    yield from self.apply(action)
            except Unreachable:
                break
            if not result.actions:
                break
        self.remember(self.holds)

    def remember(self, holds: tuple[Hold, ...]) -> None:
        """Holds become standings; those of failures keep their count."""
        for hold in holds:
            before = self.ledger.standings.get(hold.key)
            if before is None or before.code != hold.code:
                self.ledger.standings[hold.key] = Standing(
                    hold.key, hold.state, hold.code, hold.why, self.now, not_before=hold.until
                )
        kept = {hold.key for hold in holds}
        for key, standing in list(self.ledger.standings.items()):
            if key not in kept and standing.failures == 0 and not standing.forced:
                del self.ledger.standings[key]

    def apply(self, action: Action) -> Steps:
        self.say(f"daemon     {_brief(action)}")
        match action:
            case Upload() | Replace():
                yield from self.publish(action)
            case Describe() | Identify():
                yield from self.tell(action)
            case Withdraw():
                yield from self.take_away(action)
            case Adopt():
                self.adopt(action)
            case Rename() | Forget() | Keep() | Abandon():
                self.note(action)
        yield

    def note(self, action: Rename | Forget | Keep | Abandon) -> None:
        """What only the ledger sees."""
        match action:
            case Rename():
                entry = self.ledger.entries.pop(action.old)
                self.ledger.entries[action.entry.key] = action.entry
                if entry.resource != action.entry.resource:
                    raise Broken(f"renamed to another resource: {action}")
            case Forget():
                entry = self.ledger.entries.pop(action.key)
                if entry.resource in self.portal.resources:
                    self.disowned.add(entry.resource)
            case Keep():
                entry = self.ledger.entries[action.key]
                self.ledger.entries[action.key] = replace(entry, gone_since=self.now)
            case Abandon():
                self.ledger.close(action.attempt.id)

    def adopt(self, action: Adopt) -> None:
        entry = action.entry
        found = self.portal.resources.get(entry.resource)
        if found:
            # whatever its title is, nobody asked for another one
            self.said.setdefault(found.id, set()).add(found.title)
            if found.id in self.portal.made_by_us and "identity" in action.why:
                self.said[found.id].discard(portal_name(entry.key.path))
        self.ledger.finish(action.attempt, entry)

    def publish(self, action: Upload | Replace) -> Steps:
        file = action.file
        target = action.resource if isinstance(action, Replace) else None
        title = action.title if isinstance(action, Replace) else file.words.title
        attempt = self.ledger.begin(
            Attempt(
                id=0,
                key=file.key,
                kind="replace" if isinstance(action, Replace) else "upload",
                started_at=self.now,
                fingerprint=file.fingerprint,
                stamp=file.stamp,
                name=file.name,
                resource=target,
                before=action.before if isinstance(action, Replace) else None,
                title=title,
            )
        )
        yield
        # the bytes go up; only the end of the request is held back
        self.advance(self.rng.choice((0.0, 1.0, 100.0)))
        yield
        seen = self.files.get(file.key)
        if seen is None or seen.stamp != file.stamp:
            self.ledger.close(attempt.id)
            return

        created: list[ResourceId] = []

        def do() -> None:
            if target is None:
                created.append(self.portal.create(file.name, file.fingerprint, "us"))
            else:
                self.portal.put(target, file.name, file.fingerprint, "us")

        gone = target is not None and target not in self.portal.resources
        try:
            yield from self.request(do, attempt, refused=gone or file.key.path in self.refused)
        except Refused:
            self.fail(file, parked=not gone)
            return
        except Unknown as unknown:
            if unknown.answered:
                self.answered.add(attempt.id)
            self.fail(file, parked=False)
            return
        resource = target if target is not None else created[0]
        if resource not in self.portal.resources:
            self.ledger.close(attempt.id)
            return
        before = self.ledger.entries.get(file.key)
        self.ledger.finish(
            attempt.id,
            Entry(
                key=file.key,
                resource=resource,
                fingerprint=file.fingerprint,
                stamp=file.stamp,
                permalink=self.portal.resources[resource].permalink,
                applied=before.applied if before else Words(title=file.words.title),
                restore=title,
                reset_to=file.name,
                published_at=self.now,
            ),
        )
        self.counts["published"] += 1

    def tell(self, action: Describe | Identify) -> Steps:
        words = action.words if isinstance(action, Describe) else Words()
        attempt = self.ledger.begin(
            Attempt(
                id=0,
                key=action.key,
                kind="describe" if isinstance(action, Describe) else "identify",
                started_at=self.now,
                resource=action.resource,
                words=words,
            )
        )
        yield
        gone = action.resource not in self.portal.resources
        try:
            yield from self.request(
                lambda: self.portal.edit(action.resource, words, action.identity),
                attempt,
                refused=gone,
            )
        except (Refused, Unknown):
            return
        entry = self.ledger.entries[action.key]
        if isinstance(action, Describe):
            entry = replace(entry, applied=action.applied, restore=None, reset_to=None)
        self.ledger.finish(attempt.id, entry)

    def take_away(self, action: Withdraw) -> Steps:
        attempt = self.ledger.begin(
            Attempt(
                id=0,
                key=action.key,
                kind="withdraw",
                started_at=self.now,
                resource=action.resource,
            )
        )
        yield
        try:
            yield from self.request(
                lambda: self.portal.delete(action.resource, "us"), attempt, refused=False
            )
        except Unknown:
            return
        self.ledger.entries.pop(action.key)
        yield
        self.ledger.close(attempt.id)

    def request(self, do: Callable[[], None], attempt: Attempt, *, refused: bool) -> Steps:
        """Send the end of a request; what comes of it is drawn."""
        kind = "ok"
        if self.faults and self.rng.random() < 0.3:
            kind = self.rng.choice(
                ("unreachable", "lost_done", "lost_late", "lost_never", "500_done", "500_not")
            )
            self.say(f"portal     {kind}")
            self.counts["faults"] += 1
        if kind == "unreachable":
            self.ledger.close(attempt.id)
            raise Unreachable
        self.ledger.sent(attempt, self.now)
        yield
        if refused:
            self.ledger.close(attempt.id)
            raise Refused
        match kind:
            case "ok" | "lost_done" | "500_done":
                do()
            case "lost_late":
                self.portal.late.append((self.now + self.rng.uniform(0, GRACE), do))
            case _:
                pass
        if kind != "ok":
            raise Unknown(answered=kind.startswith("500"))
        yield

    def fail(self, file: SourceFile, *, parked: bool) -> None:
        before = self.ledger.standings.get(file.key)
        self.ledger.standings[file.key] = Standing(
            key=file.key,
            state=State.FAILED if parked else State.HELD,
            code="refused" if parked else "unknown_outcome",
            why="The portal said no." if parked else "The portal did not say.",
            since=self.now,
            failures=(before.failures if before else 0) + 1,
            not_before=None if parked else self.now + 5.0,
            stamp=file.stamp,
            settings=str(self.settings),
        )

    # --------------------------------------------------------------------- what others do

    def advance(self, seconds: float) -> None:
        self.now += seconds
        self.portal.catch_up(self.now)

    def write(self, key: ResourceKey, content: str) -> None:
        self.serial += 1
        self.states.add(fingerprint_of(content).sha1)
        stamp = Stamp(len(content), self.serial, self.serial, self.serial)
        self.files[key] = File(content, stamp, self.now + self.rng.choice((0.0, 5.0)))
        self._expect_no_move(key, content)
        self.say(f"folder     {key.folder}/{key.path} = {content.strip()}")

    def some_key(self) -> ResourceKey:
        folder = self.rng.choice(("one", "one", "two"))
        names = (*SERIES, *SERIES, *ODD, *NAMES) if self.keep != "each" else NAMES
        return ResourceKey(DATASET, folder, self.rng.choice(names))

    def touch_folder(self) -> None:
        """A file is written, deleted or renamed."""
        key = self.some_key()
        match self.rng.choice(("write", "write", "write", "delete", "rename", "rename")):
            case "delete":
                if self.files.pop(key, None):
                    self.moved.pop(key, None)
                    self.say(f"folder     {key.folder}/{key.path} deleted")
            case "rename":
                new = self.some_key()
                if self.files and self.rng.random() < 0.7:
                    key = self.rng.choice(sorted(self.files))
                if self.rng.random() < 0.3:
                    self.serial += 1
                    new = replace(new, path=f"n{self.serial}.csv")  # no file had that name before
                if key in self.files and key != new:
                    self._expect_move(key, new)
                    self.files[new] = self.files.pop(key)
                    self.wanted.clear()  # another name may be another rule's
                    self.say(f"folder     {key.folder}/{key.path} -> {new.folder}/{new.path}")
            case _:
                self.write(key, self.rng.choice(CONTENTS))

    def _expect_move(self, old: ResourceKey, new: ResourceKey) -> None:
        """A renamed file takes its resource along, where nothing else could be meant."""
        content, entry = self.files[old].content, self.ledger.entries.get(old)
        bytes_ = fingerprint_of(content)
        along = self.moved.pop(old, None)
        self._expect_no_move(new, content)
        found = self.portal.resources.get(entry.resource) if entry else None
        if along is None and found and entry and found.fingerprint == entry.fingerprint == bytes_:
            along = found.id
        known = self.ledger.entries
        alone = (
            new not in self.files
            and new not in known
            and all(one.source is None or one.source.path != new.path
                    for one in self.portal.resources.values())
            and all(key == old or one.fingerprint != bytes_ for key, one in known.items())
            and all(key == old or key in known
                    for key, file in self.files.items() if file.content == content)
        )  # fmt: skip
        ruled = {*self.pins, *(() if self.keep == "each" else (*SERIES, *ODD))}
        free = not {old.path, new.path} & ruled and along not in self.pins.values()
        if along and alone and free and not self.portal.late:
            self.moved[new] = along

    def _expect_no_move(self, key: ResourceKey, content: str) -> None:
        """Another file with the same bytes, or at the old place: two things could be meant."""
        entry = self.ledger.entries.get(key)
        self.moved = {
            new: resource
            for new, resource in self.moved.items()
            if new != key
            and self.files[new].content != content
            and (entry is None or entry.resource != resource)
        }

    def touch_portal(self) -> None:
        """A colleague does something on the web."""
        resources = sorted(self.portal.resources)
        kind = self.rng.choice(("title", "title", "replace", "delete", "add"))
        if kind == "add" or not resources:
            content = self.rng.choice(CONTENTS)
            name = portal_name(self.rng.choice((*NAMES, "autre.csv")))
            self.states.add(fingerprint_of(content).sha1)
            ours = {(one.name, one.fingerprint) for one in self.ledger.attempts.values()}
            if (name, fingerprint_of(content)) in ours:
                return  # the same name and bytes as our upload in flight: nobody could tell which
            new = self.portal.create(name, fingerprint_of(content), "person")
            self.said.setdefault(new, set()).add(name)
            self.say(f"colleague  adds {new}, {name} = {content.strip()}")
            self._expect_no_move(ResourceKey(DATASET, "", ""), content)
            return
        target = self.rng.choice(resources)
        self.say(f"colleague  {kind} {target}")
        if kind != "title":
            self.moved = {key: one for key, one in self.moved.items() if one != target}
        match kind:
            case "title":
                self.serial += 1
                title = f"Titre {self.serial}"
                self.portal.edit(target, Words(title=title))
                self.said.setdefault(target, set()).add(title)
                self._expect_title(target, title)
            case "replace":
                content = self.rng.choice(CONTENTS)
                self.states.add(fingerprint_of(content).sha1)
                if all(entry.resource != target for entry in self.ledger.entries.values()):
                    # nobody could tell any more that it was ours
                    self.disowned.add(target)
                self.portal.put(target, "de-la-main.csv", fingerprint_of(content), "person")
                self.said.setdefault(target, set()).add("de-la-main.csv")
                self._expect_title(target, "de-la-main.csv")
            case _:
                self.portal.delete(target, "person")

    def _expect_title(self, target: ResourceId, title: str) -> None:
        self.wanted.pop(target, None)
        entry = next((one for one in self.ledger.entries.values() if one.resource == target), None)
        quiet = not self.in_pass and not self.portal.late and not self.ledger.attempts
        if entry is None or not quiet or entry.restore or entry.key not in self.files:
            return
        configured = self.titles.get(entry.key.path)
        if configured is None or configured == entry.applied.title:
            self.wanted[target] = title

    def touch_settings(self) -> None:
        """The configuration is edited."""
        self.settings += 1
        self.moved.clear()
        path = self.rng.choice(NAMES)
        match self.rng.choice(("title", "untitle", "pin", "unpin")):
            case "title":
                self.serial += 1
                self.titles[path] = f"Réglé {self.serial}"
            case "untitle":
                self.titles.pop(path, None)
            case "pin":
                if self.portal.resources:
                    self.pins[path] = self.rng.choice(sorted(self.portal.resources))
            case _:
                self.pins.pop(path, None)
        self.wanted.clear()
        self.say(f"settings   titles {self.titles} pins {self.pins}")

    def retry(self) -> None:
        """A person says: go on, in spite of what holds these files."""
        for key, standing in self.ledger.standings.items():
            self.ledger.standings[key] = replace(standing, forced=True)
        self.say("person     retry")

    def lose_state(self) -> None:
        """The state directory is gone.

        Not in the seconds when only the ledger knows: a request in flight, a renaming that is not
        written on the portal yet.
        """
        if self.portal.late or self.in_pass or not all(map(self._is_said, self.ledger.entries)):
            return
        self.say("state      lost")
        self.counts["state_lost"] += 1
        self.inherited |= self.portal.made_by_us
        self.moved.clear()
        self.ledger = Ledger(serial=self.ledger.serial)
        self.wanted.clear()
        self.answered.clear()

    def _is_said(self, key: ResourceKey) -> bool:
        entry = self.ledger.entries[key]
        found = self.portal.resources.get(entry.resource)
        said = Identity(key.folder, key.path, entry.fingerprint.sha1)
        return found is None or found.source == said

    def run_pass(self) -> None:
        """A pass, perhaps cut short by a crash, while others go on with their lives."""
        die_at = self.rng.randrange(40) if self.faults and self.rng.random() < 0.4 else None
        steps = self.one_pass()
        self.in_pass = True
        for number, _ in enumerate(steps):
            if number == die_at:
                self.say("daemon     dies")
                self.counts["crashes"] += 1
                break
            if self.faults and self.rng.random() < 0.03:
                self.rng.choice((self.touch_folder, self.touch_portal))()
        steps.close()
        self.in_pass = False
        # what the process knew of its requests dies with the pass
        self.answered.clear()

    def step(self) -> None:
        kind = self.rng.random()
        if kind < 0.45:
            self.run_pass()
        elif kind < 0.70:
            self.touch_folder()
        elif kind < 0.80:
            self.touch_portal()
        elif kind < 0.84:
            self.touch_settings()
        elif kind < 0.87:
            self.retry()
        elif kind < 0.89:
            self.lose_state()
        elif kind < 0.92:
            self.mounted = not self.mounted
            self.say(f"folder     {'mounted' if self.mounted else 'unmounted'}")
        elif kind < 0.94:
            self.refused ^= {self.rng.choice(NAMES)}
        else:
            self.advance(self.rng.choice((1.0, 10.0, 40.0)))
        self.advance(1.0)

    def converge(self) -> Plan:
        """The faults stop; the daemon goes on until it has nothing to do."""
        self.faults, self.mounted = False, True
        self.refused.clear()
        self.say("peace")
        result = Plan()
        for _ in range(20):
            self.advance(GRACE + 15.0)
            self.run_pass()
            result = self.decide(self.remote())
            pending = [hold for hold in result.holds if hold.state is State.PENDING]
            if not result.actions and not pending:
                break
        check_converged(self, result)
        return result


@dataclass(frozen=True)
class Outcome:
    """What became of one world."""

    seed: int
    steps: int
    published: int
    faults: int
    crashes: int
    held: int
    #: the law that does not hold, if any
    broken: str | None = None

    @property
    def lost(self) -> bool:
        return self.broken is not None and not (self.twin or self.torn)

    @property
    def twin(self) -> bool:
        return self.broken is not None and self.broken.startswith("twin")

    @property
    def torn(self) -> bool:
        return self.broken is not None and self.broken.startswith("torn")


def live(world: World, steps: int) -> Plan:
    """Live through that many steps of trouble, then in peace; raises Broken."""
    world.enforce = world.rng.random() < 0.2
    world.withdraw = world.rng.random() < 0.4
    world.keep = world.rng.choice(("each", "latest", "last"))
    world.leaves = world.rng.choice((None, "keep", "withdraw"))
    for _ in range(steps):
        world.step()
    world.converge()
    world.retry()
    return world.converge()


def run_world(seed: int, steps: int = 60, *, verbose: bool = False) -> Outcome:
    """Run the world of that seed."""
    world = World(random.Random(seed), verbose=verbose)
    broken, held = None, 0
    try:
        held = len(live(world, steps).holds)
    except Broken as error:
        broken = str(error)
    counts = world.counts
    return Outcome(
        seed, steps, counts["published"], counts["faults"], counts["crashes"], held, broken
    )


def _brief(action: Action) -> str:
    """The action in a few words."""
    what = f"{type(action).__name__} {action_key(action).folder}/{action_key(action).path}"
    match action:
        case Adopt():
            return f"{what} is {action.entry.resource}: {action.why}"
        case Rename():
            return f"{what}, before {action.old.folder}/{action.old.path}"
        case Abandon():
            return f"{what}, its {action.attempt.kind}: {action.why}"
        case Describe():
            return f"{what} {action.resource} {action.words.said()}"
        case Upload():
            return what
        case _:
            return f"{what} {action.resource}"
