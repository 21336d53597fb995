"""One pass over one dataset: look, plan, act, plan again until nothing is left, remember."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import structlog

from publisher_daemon.errors import PortalError
from publisher_daemon.merge import BOTH_CHANGED
from publisher_daemon.model import (
    Abandon,
    Action,
    Adopt,
    DatasetId,
    Forget,
    Hint,
    Hold,
    Plan,
    Policy,
    Reason,
    Record,
    Remote,
    RemoteDataset,
    Rename,
    Replace,
    Report,
    ResourceKey,
    Standing,
    State,
    Upload,
)
from publisher_daemon.naming import readable
from publisher_daemon.pacing import limit_at, takes
from publisher_daemon.plan import plan
from publisher_daemon.reconcile.absences import Absences
from publisher_daemon.reconcile.acting import Actor
from publisher_daemon.reconcile.clock import gone_back
from publisher_daemon.reconcile.coming import Asked, Coming
from publisher_daemon.reconcile.failures import Failures
from publisher_daemon.reconcile.flowing import Throttle, Transfers
from publisher_daemon.reconcile.gate import Gate
from publisher_daemon.reconcile.longs import LongPlaces
from publisher_daemon.reconcile.looking import Days, Inspect, Looker, few_places
from publisher_daemon.reconcile.ports import Folder, Ledger, Portal, Versions
from publisher_daemon.reconcile.queueing import Crowded
from publisher_daemon.reconcile.sending import Sender
from publisher_daemon.reconcile.standings import settle_standings
from publisher_daemon.reconcile.turn import Pass, StopPass

log = structlog.get_logger(__name__)

#: Plans a pass makes before it leaves the rest to the next one: adopt, rename, replace, describe,
#: and one more that finds nothing to do.
MAX_TURNS = 6
#: What stops a pass because the portal cannot be asked.
_OF_THE_PORTAL = frozenset({"portal_unreachable", "credential_refused"})
#: Adoptions committed together: more would keep the other datasets' writers waiting.
MOST_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Preview:
    """What a pass would do now."""

    dataset: DatasetId
    title: str
    steps: tuple[Action, ...] = ()
    holds: tuple[Hold, ...] = ()
    drifts: tuple[tuple[ResourceKey, str, str, str], ...] = ()
    clashes: tuple[tuple[ResourceKey, str, str, str], ...] = ()
    unsaid: tuple[tuple[ResourceKey, str, str, str, str], ...] = ()
    trouble: str | None = None


class Reconciler:
    """Runs passes; safe to call from several threads, one at a time per dataset."""

    def __init__(
        self,
        *,
        portal: Portal,
        ledger: Ledger,
        folders: Mapping[tuple[DatasetId, str], Folder],
        policy: Callable[[], Policy],
        gate: Gate,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float],
        new_id: Callable[[], str],
        audit_every: float = 3600.0,
        stopping: Callable[[], bool] = lambda: False,
        cut: Callable[[], bool] = lambda: False,
        inspect: Inspect | None = None,
        days: Days | None = None,
        new_parcel: Callable[[], str] = lambda: str(uuid.uuid4()),
        versions: Versions | None = None,
        longs: LongPlaces | None = None,
        transfers: Transfers | None = None,
        asked: Asked = lambda _dataset: (0, ()),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._portal = portal
        self._ledger = ledger
        self._policy = policy
        self._gate = gate
        self._clock = clock
        self._new_id = new_id
        self._audit_every = audit_every
        self._stopping = stopping
        self._failures = Failures(ledger, gate, clock, jitter)
        throttle = Throttle(lambda: limit_at(clock(), policy()), monotonic, sleep)
        sender = Sender(
            portal,
            ledger,
            clock=clock,
            monotonic=monotonic,
            new_parcel=new_parcel,
            stopping=stopping,
            throttle=throttle,
            transfers=Transfers() if transfers is None else transfers,
        )
        self._longs = LongPlaces(1) if longs is None else longs
        self._actor = Actor(
            portal=portal,
            ledger=ledger,
            folders=folders,
            failures=self._failures,
            sender=sender,
            clock=clock,
            jitter=jitter,
            cut=cut,
            versions=versions,
        )
        self._looker = Looker(
            folders,
            clock,
            monotonic,
            ledger=ledger,
            longs=self._longs,
            takes=lambda size: takes(size, sender.line(), throttle.rate()),
            inspect=inspect,
            days=days,
        )
        self._coming = Coming(asked, folders, ledger, clock, monotonic)
        self._audited: dict[DatasetId, float] = {}
        self._shown: dict[DatasetId, RemoteDataset] = {}
        self._absences = Absences(portal)
        self._told: set[tuple[ResourceKey, str, str, str, str | None]] = set()

    # --------------------------------------------------------------------------------- passes

    def run(self, dataset: DatasetId, reason: Reason, hints: Sequence[Hint] = ()) -> Report:
        """Make one pass; raises LedgerBroken only."""
        try:
            return self._run(dataset, reason, hints)
        finally:
            self._longs.leave(dataset)

    def _run(self, dataset: DatasetId, reason: Reason, hints: Sequence[Hint]) -> Report:
        pass_id, started = self._new_id(), self._clock()
        with structlog.contextvars.bound_contextvars(dataset=dataset, pass_id=pass_id):
            policy = self._policy_for(dataset)
            audit = self._audit_due(dataset, reason, started)
            narrowed = None if audit else self._narrowed(policy, dataset, hints)
            if narrowed is not None:
                hints = narrowed
                if not any(hint.paths for hint in hints) and not self._ledger.waits(dataset):
                    return self._as_it_was(dataset, reason, pass_id, started, policy)
            glance = None if audit else self._glance(dataset, reason, policy, hints)
            if glance is not None:
                run, trouble = glance
                result = None
            else:
                run = self._looked(dataset, reason, policy, hints, audit=audit)
                trouble, result = self._work(run, audit=audit)
            seen = run.seen
            retry_at = trouble.retry_at if trouble else None
            standings, next_at = settle_standings(self._ledger, self._clock(), run, result, trouble)
            report = Report(
                dataset=dataset,
                reason=reason,
                pass_id=pass_id,
                started_at=started,
                seconds=self._clock() - started,
                counts=_counts(run.done, standings, seen.queued),
                done=tuple(run.done),
                standings=standings,
                published=tuple(run.published),
                failed=tuple(run.failed.values()),
                words=_words(result) if audit and result else None,
                scanned=seen.scanned,
                requeue_at=_earliest(next_at, seen.recheck_at, retry_at),
                trouble="; ".join([*seen.troubles.values(), *([trouble.why] if trouble else [])])
                or None,
                trouble_code="folder_unreadable"
                if seen.troubles
                else (trouble.code if trouble else None),
                portal_at=retry_at if trouble and trouble.code in _OF_THE_PORTAL else None,
            )
            told = run.done or run.failed or trouble or reason is Reason.ONCE
            _tell(report, quiet=not (told or _held_now(report)))
            return report

    def _looked(
        self,
        dataset: DatasetId,
        reason: Reason,
        policy: Policy,
        hints: Sequence[Hint],
        *,
        audit: bool,
    ) -> Pass:
        """Read the ledger and look; what both hold is the pass's alone."""
        record = self._read_ledger(dataset, self._clock())
        once = reason is Reason.ONCE
        seen = self._looker.look(policy, record, hints, audit=audit, once=once)
        return Pass(dataset, reason, policy, record, seen)

    def _glance(
        self, dataset: DatasetId, reason: Reason, policy: Policy, hints: Sequence[Hint]
    ) -> tuple[Pass, StopPass | None] | None:
        """Look at a few paths with what the ledger says of those, and decide nothing.

        None when that is not enough: something may have to be done on the portal, for which all
        that is known counts, and the portal may be asked.
        """
        places = few_places(policy, hints)
        if places is None:
            return None
        record = self._ledger.read_at(dataset, places)
        if gone_back(record, self._clock()):
            return None
        try:
            seen = self._looker.look(policy, record, hints, audit=False, once=False, partly=True)
        except Crowded:
            return None
        if seen.troubles:
            return None
        run = Pass(dataset, reason, policy, record, seen)
        if not (seen.needs_portal or record.attempts):
            return run, None
        wait = self._gate.waits()
        barred = None if wait is None else self._barred(wait)
        return None if barred is None else (run, barred)

    def _barred(self, wait: float) -> StopPass | None:
        closed = self._gate.closed
        if closed is None:
            return None
        code = "credential_refused" if closed.credential else "portal_unreachable"
        return StopPass(closed.sentence, wait, code)

    def _narrowed(
        self, policy: Policy, dataset: DatasetId, hints: Sequence[Hint]
    ) -> tuple[Hint, ...] | None:
        """What differs, where all of a folder is to be looked at; None when that is not so."""
        whole = not hints or any(hint.paths is None for hint in hints)
        if not (whole and policy.watches):
            return None
        # only a look at everything meets what is queued
        if any(self._ledger.queue(dataset, watch.name, "", 1) for watch in policy.watches):
            return None
        return self._looker.narrow(policy, hints, partial(self._ledger.known, dataset))

    def _as_it_was(
        self, dataset: DatasetId, reason: Reason, pass_id: str, started: float, policy: Policy
    ) -> Report:
        """Report that nothing differs from the ledger and nothing waits: the ordinary rescan."""
        scanned = frozenset(watch.name for watch in policy.watches)
        seconds = self._clock() - started
        report = Report(dataset, reason, pass_id, started, seconds, scanned=scanned)
        _tell(report, quiet=True)
        return report

    def _read_ledger(self, dataset: DatasetId, now: float) -> Record:
        record = self._ledger.read(dataset, queue=False)
        back = gone_back(record, now)
        if not back:
            return record
        log.warning(
            "clock.stepped",
            seconds=-round(back, 3),
            why="the clock went back since the last pass; what waits does not wait longer for it",
        )
        self._ledger.rewind(dataset, back)
        return self._ledger.read(dataset, queue=False)

    def dataset(self, dataset: DatasetId) -> RemoteDataset | None:
        """The dataset as the last pass that asked the portal saw it."""
        return self._shown.get(dataset)

    def preview(self, dataset: DatasetId) -> Preview:
        """Say what a pass would do, doing nothing; raises PortalError, LedgerBroken."""
        policy = self._policy_for(dataset)
        record = self._ledger.read(dataset)
        seen = self._looker.look(policy, record, (), audit=True, once=True, all_at_once=True)
        self._longs.leave(dataset)
        run = Pass(dataset, Reason.ASKED, policy, record, seen)
        self._read_remote(run)
        remote = run.remote
        assert remote is not None  # noqa: S101 - for the type checker; _read_remote just set it
        steps: list[Action] = []
        result = Plan()
        for _ in range(MAX_TURNS):
            result = plan(run.folderful(), run.record, remote, policy, self._clock())
            steps.extend(result.actions)
            after = _imagine(run.record, result.actions)
            if after is None:
                break
            run.record = after
        return Preview(
            dataset, remote.dataset.title, tuple(steps), result.holds, result.drifts,
            result.clashes, result.unsaid,
            "; ".join(f"{name}: {why}" for name, why in seen.troubles.items()) or None,
        )  # fmt: skip

    def _policy_for(self, dataset: DatasetId) -> Policy:
        policy = self._policy()
        return replace(
            policy, watches=tuple(watch for watch in policy.watches if watch.dataset == dataset)
        )

    def _audit_due(self, dataset: DatasetId, reason: Reason, now: float) -> bool:
        last = self._audited.get(dataset)
        asked = reason in {Reason.START, Reason.ONCE, Reason.REFRESH, Reason.RETRY, Reason.ASKED}
        return asked or last is None or now - last >= self._audit_every

    def _work(self, run: Pass, *, audit: bool) -> tuple[StopPass | None, Plan | None]:
        """Plan and apply until nothing is left: what stopped it, and the last plan."""
        if not (audit or run.seen.needs_portal or run.record.attempts):
            return None, None
        wait = self._gate.enter()
        if wait is not None and (barred := self._barred(wait)) is not None:
            return barred, None
        result: Plan | None = None
        try:
            result = self._turns(run)
            if audit:
                self._audited[run.dataset] = self._clock()
        except StopPass as stop:
            return stop, None
        finally:
            self._gate.left()
        return None, result

    def _turns(self, run: Pass) -> Plan:
        result = Plan()
        see_what_came = self._coming.during(run)
        for _ in range(MAX_TURNS):
            if run.stale:
                self._guard_read(run)
            if run.remote is None:
                break
            run.see(self._queued(run))
            asked = _asked_for(run.record)
            result = plan(
                run.folderful(), _without_grace(run.record, run.answered), run.remote, run.policy,
                self._clock(),
            )  # fmt: skip
            self._tell_drifts(result)
            acted = False
            for action in _together(result.actions):
                if self._stopping():
                    raise StopPass("the daemon is stopping", None, "stopping")
                see_what_came()
                if isinstance(action, tuple):
                    self._actor.adopt(run, action)
                    acted = True
                    continue
                if run.read_only is not None and isinstance(action, Upload | Replace):
                    self._failures.fail(run, action.file, run.read_only)
                    continue
                acted = self._actor.apply(run, action) or acted
            run.know(self._ledger.read(run.dataset, queue=False, over=run.entries))
            if not acted and not run.stale and _asked_for(run.record) <= asked:
                break
        self._actor.verify_again(run)
        self._looker.let_go(run.done)
        return result

    def _tell_drifts(self, result: Plan) -> None:
        """Say once what a colleague changed of a resource's words, and what both sides changed."""
        for word in _words(result):
            if word in self._told:
                continue
            self._told.add(word)
            key, field, ours, theirs, why = word
            told = log.bind(path=readable(key.path), folder=key.folder, field=field)
            if why is None:
                told.warning("drift.found", ours=ours, theirs=theirs)
            else:
                told.warning("field.held", ours=ours, theirs=theirs, why=why)

    def _guard_read(self, run: Pass) -> None:
        try:
            self._read_remote(run)
        except PortalError as error:
            raise self._failures.stop(run.dataset, error) from error
        self._gate.answered()

    def _queued(self, run: Pass) -> Iterator[ResourceKey]:
        """Files that wait in the ledger alone, and that a resource says it is.

        Without them it would seem to say so of a file that is gone, and be given to another one
        with the same bytes. There are some only where the ledger was lost.
        """
        said = (found.source for found in run.resources.values() if found.source is not None)
        keys = (ResourceKey(run.dataset, source.folder, source.path) for source in said)
        wanted = {key for key in keys if key not in run.entries and key not in run.seen.present}
        for folder in {key.folder for key in wanted}:
            last = ""
            while some := self._ledger.queue(run.dataset, folder, last, MOST_AT_ONCE):
                there = (ResourceKey(run.dataset, folder, path) for path in some)
                yield from (key for key in there if key in wanted)
                last = some[-1]

    def _read_remote(self, run: Pass) -> None:
        found = self._portal.dataset(run.dataset)
        run.resources = self._portal.resources(run.dataset)
        self._absences.see(run.dataset, run.entries, run.resources)
        run.remote = Remote(found, run.resources)
        self._shown[run.dataset] = found
        run.stale = False


def _words(result: Plan) -> tuple[tuple[ResourceKey, str, str, str, str | None], ...]:
    """The words that are not as configured; the last is why they are held, None: kept."""
    return (
        *((*drift, None) for drift in result.drifts),
        *((*clash, BOTH_CHANGED) for clash in result.clashes),
        *result.unsaid,
    )


def _together(actions: Iterable[Action]) -> Iterator[Action | tuple[Adopt, ...]]:
    """The actions in their order, and of adoptions that follow each other many at a time."""
    some: list[Adopt] = []
    for action in actions:
        alone = not isinstance(action, Adopt) or action.attempt is not None
        if some and (alone or len(some) == MOST_AT_ONCE):
            yield tuple(some)
            some = []
        if isinstance(action, Adopt) and not alone:
            some.append(action)
        else:
            yield action
    if some:
        yield tuple(some)


def _without_grace(record: Record, answered: set[int]) -> Record:
    """Attempts the portal answered are over: they are looked at now or never."""
    if not answered:
        return record
    attempts = tuple(
        replace(attempt, started_at=float("-inf"), sent_at=None)
        if attempt.id in answered
        else attempt
        for attempt in record.attempts
    )
    return replace(record, attempts=attempts)


def _asked_for(record: Record) -> set[ResourceKey]:
    """The files for which a person asked something (``force`` of the ledger).

    A plan that knew nothing of it is made again: what the end of the pass remembers of each file
    would go over it.
    """
    standings = record.standings.items()
    return {key for key, standing in standings if standing.forced or standing.not_before == 0}


def _imagine(record: Record, actions: Iterable[Action]) -> Record | None:
    """The ledger after the actions that only it would see; None when there was none of them."""
    entries, attempts, moved = dict(record.entries), list(record.attempts), False
    for action in actions:
        match action:
            case Adopt():
                entries[action.entry.key] = action.entry
                attempts = [one for one in attempts if one.id != action.attempt]
            case Rename():
                entries.pop(action.old, None)
                entries[action.entry.key] = action.entry
            case Forget():
                entries.pop(action.key, None)
            case Abandon():
                attempts.remove(action.attempt)
            case _:
                continue
        moved = True
    return replace(record, entries=entries, attempts=tuple(attempts)) if moved else None


def _counts(done: Sequence[Action], standings: Sequence[Standing], queued: int) -> dict[str, int]:
    counts: dict[str, int] = {str(State.PENDING): queued} if queued else {}
    for action in done:
        name = {
            "Upload": "created",
            "Replace": "replaced",
            "Describe": "described",
            "Identify": "identified",
            "Withdraw": "withdrawn",
            "Adopt": "adopted",
            "Rename": "renamed",
        }.get(type(action).__name__)
        if name:
            counts[name] = counts.get(name, 0) + 1
    for standing in standings:
        counts[str(standing.state)] = counts.get(str(standing.state), 0) + 1
    return counts


def _held_now(report: Report) -> bool:
    """Whether this pass held a file that was not held before."""
    return any(
        standing.state is State.HELD and standing.since >= report.started_at
        for standing in report.standings
    )


def _tell(report: Report, *, quiet: bool) -> None:
    """Say the canonical line of a pass; in a whisper when there was nothing to say."""
    say = log.debug if quiet else log.info
    say(
        "dataset.reconciled",
        reason=report.reason,
        seconds=round(report.seconds, 3),
        **report.counts,
        **({"why": report.trouble} if report.trouble else {}),
    )


def _earliest(*instants: float | None) -> float | None:
    return min((instant for instant in instants if instant is not None), default=None)
