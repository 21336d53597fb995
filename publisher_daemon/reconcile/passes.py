"""One pass over one dataset, and the only place where a failure becomes a standing or a retry."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

import structlog

from publisher_daemon.errors import (
    CredentialRefused,
    FileUnreadable,
    FolderUnreadable,
    OutcomeUnknown,
    PortalBusy,
    PortalError,
    PortalRefused,
    PortalUnreachable,
    SourceChanged,
)
from publisher_daemon.model import (
    Abandon,
    Action,
    Adopt,
    AttemptKind,
    DatasetId,
    Describe,
    Entry,
    Folderful,
    Forget,
    Hint,
    Hold,
    Identify,
    Keep,
    Plan,
    Policy,
    Reason,
    Record,
    Remote,
    RemoteDataset,
    RemoteResource,
    Rename,
    Replace,
    Report,
    ResourceId,
    ResourceKey,
    SourceFile,
    Standing,
    State,
    Upload,
    Withdraw,
    Words,
)
from publisher_daemon.naming import readable
from publisher_daemon.plan import action_key, plan
from publisher_daemon.reconcile.gate import Gate
from publisher_daemon.reconcile.looking import Looker, Seen
from publisher_daemon.reconcile.ports import Folder, Ledger, Portal, Source
from publisher_daemon.retry import Kind, next_try

log = structlog.get_logger(__name__)

#: Plans a pass makes before it leaves the rest to the next one: adopt, rename, replace, describe,
#: and one more that finds nothing to do.
MAX_TURNS = 6
#: Times a published link may fail to serve its bytes before the file is sent again.
UNVERIFIED_LIMIT = 3


@dataclass(frozen=True, slots=True)
class Preview:
    """What a pass would do now."""

    dataset: DatasetId
    title: str
    steps: tuple[Action, ...] = ()
    holds: tuple[Hold, ...] = ()
    drifts: tuple[tuple[ResourceKey, str, str, str], ...] = ()
    trouble: str | None = None


class _StopPass(Exception):
    """Nothing more can be done in this pass."""

    def __init__(self, why: str, retry_at: float | None, code: str) -> None:
        super().__init__(why)
        self.why, self.retry_at, self.code = why, retry_at, code


class _Stoppable:
    """A source that ends the upload when the daemon cannot wait longer; nothing is done then."""

    def __init__(self, source: Source, cut: Callable[[], bool]) -> None:
        self._source, self._cut = source, cut

    @property
    def size(self) -> int:
        return self._source.size

    def blocks(self, size: int = 256 * 1024) -> Iterator[memoryview]:
        for block in self._source.blocks(size):
            if self._cut():
                raise SourceChanged("the daemon is stopping; it goes up again at the next start")
            yield block

    def check(self) -> None:
        self._source.check()


@dataclass(slots=True)
class _Pass:
    """What one pass knows while it runs."""

    dataset: DatasetId
    reason: Reason
    policy: Policy
    record: Record
    seen: Seen
    #: the record's own entries, kept up to date while actions are applied
    entries: dict[ResourceKey, Entry] = field(default_factory=dict)
    resources: dict[ResourceId, RemoteResource] = field(default_factory=dict)
    remote: Remote | None = None
    stale: bool = True
    done: list[Action] = field(default_factory=list)
    failed: dict[ResourceKey, Standing] = field(default_factory=dict)
    #: files that moved while they were handled: not for this pass
    dropped: dict[ResourceKey, Hold] = field(default_factory=dict)
    #: attempts the portal answered with an error of its own: it is at rest, no grace is needed
    answered: set[int] = field(default_factory=set)
    read_only: PortalBusy | None = None
    drifts: tuple[tuple[ResourceKey, str, str, str], ...] = ()

    def __post_init__(self) -> None:
        self.know(self.record)

    def own(self, entry: Entry) -> None:
        """Take over what was just written in the ledger, without reading it all again."""
        self.entries[entry.key] = entry

    def disown(self, key: ResourceKey) -> None:
        """Forget an entry as the ledger just did."""
        self.entries.pop(key, None)

    def know(self, record: Record) -> None:
        """Start from what the ledger says."""
        self.entries = dict(record.entries)
        self.record = replace(record, entries=self.entries)

    def folderful(self) -> Folderful:
        waiting = self.seen.waiting + tuple(self.dropped.values())
        files = tuple(file for file in self.seen.files if file.key not in self.dropped)
        return Folderful(files, self.seen.present, self.seen.complete, waiting)


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
    ) -> None:
        self._portal = portal
        self._ledger = ledger
        self._policy = policy
        self._gate = gate
        self._clock = clock
        self._jitter = jitter
        self._new_id = new_id
        self._audit_every = audit_every
        self._stopping = stopping
        self._cut = cut
        self._looker = Looker(folders, clock, monotonic)
        self._folders = folders
        self._audited: dict[DatasetId, float] = {}
        self._shown: dict[DatasetId, RemoteDataset] = {}

    # --------------------------------------------------------------------------------- passes

    def run(self, dataset: DatasetId, reason: Reason, hints: Sequence[Hint] = ()) -> Report:
        """Make one pass; raises LedgerBroken only."""
        pass_id, started = self._new_id(), self._clock()
        with structlog.contextvars.bound_contextvars(dataset=dataset, pass_id=pass_id):
            policy = self._policy_for(dataset)
            record = self._ledger.read(dataset)
            audit = self._audit_due(dataset, reason, started)
            seen = self._looker.look(policy, record, hints, audit=audit, once=reason is Reason.ONCE)
            run = _Pass(dataset, reason, policy, record, seen)
            trouble, retry_at, result = self._work(run, audit=audit)
            standings, next_at = self._settle_standings(run, result, trouble, retry_at)
            report = Report(
                dataset=dataset,
                reason=reason,
                pass_id=pass_id,
                started_at=started,
                seconds=self._clock() - started,
                counts=_counts(run.done, standings),
                done=tuple(run.done),
                standings=standings,
                requeue_at=_earliest(next_at, seen.recheck_at, retry_at),
                trouble="; ".join([*seen.troubles.values(), *([trouble.why] if trouble else [])])
                or None,
            )
            quiet = not run.done and not trouble and reason is not Reason.ONCE
            (log.debug if quiet else log.info)(
                "dataset.reconciled",
                reason=reason,
                seconds=round(report.seconds, 3),
                **report.counts,
                **({"why": report.trouble} if report.trouble else {}),
            )
            return report

    def dataset(self, dataset: DatasetId) -> RemoteDataset | None:
        """The dataset as the last pass that asked the portal saw it."""
        return self._shown.get(dataset)

    def preview(self, dataset: DatasetId) -> Preview:
        """Say what a pass would do, doing nothing; raises PortalError, LedgerBroken."""
        policy = self._policy_for(dataset)
        record = self._ledger.read(dataset)
        seen = self._looker.look(policy, record, (), audit=True, once=True)
        run = _Pass(dataset, Reason.ASKED, policy, record, seen)
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

    def _work(
        self, run: _Pass, *, audit: bool
    ) -> tuple[_StopPass | None, float | None, Plan | None]:
        """Plan and apply until nothing is left: what stopped it, when to retry, the last plan."""
        if not (audit or run.seen.needs_portal or run.record.attempts):
            return None, None, None
        wait = self._gate.enter()
        closed = self._gate.closed
        if wait is not None and closed is not None:
            code = "credential_refused" if closed.credential else "portal_unreachable"
            return _StopPass(closed.why, wait, code), wait, None
        result: Plan | None = None
        try:
            result = self._turns(run)
            if audit:
                self._audited[run.dataset] = self._clock()
        except _StopPass as stop:
            return stop, stop.retry_at, None
        finally:
            self._gate.left()
        return None, None, result

    def _turns(self, run: _Pass) -> Plan:
        result = Plan()
        for _ in range(MAX_TURNS):
            if run.stale:
                self._guard_read(run)
            remote = (
                Remote(run.remote.dataset, tuple(run.resources.values())) if run.remote else None
            )
            if remote is None:
                break
            record = _without_grace(run.record, run.answered)
            result = plan(run.folderful(), record, remote, run.policy, self._clock())
            run.drifts = result.drifts
            acted = False
            for action in result.actions:
                if self._stopping():
                    raise _StopPass("the daemon is stopping", None, "stopping")
                if run.read_only is not None and isinstance(action, Upload | Replace):
                    self._fail(run, action.file, run.read_only)
                    continue
                acted = self._apply(run, action) or acted
            run.know(self._ledger.read(run.dataset))
            if not acted and not run.stale:
                break
        self._verify_again(run)
        return result

    def _guard_read(self, run: _Pass) -> None:
        try:
            self._read_remote(run)
        except PortalError as error:
            raise self._stop(error) from error
        self._gate.answered()

    def _stop(self, error: PortalError) -> _StopPass:
        if isinstance(error, PortalRefused):
            return _StopPass(_sentence(error), None, "dataset_refused")
        closed = self._gate.failed(error)
        code = "credential_refused" if closed.credential else "portal_unreachable"
        return _StopPass(closed.why, closed.until, code)

    def _read_remote(self, run: _Pass) -> None:
        found = self._portal.dataset(run.dataset)
        resources = self._portal.resources(run.dataset)
        run.resources = {resource.id: resource for resource in resources}
        run.remote = Remote(found, resources)
        self._shown[run.dataset] = found
        run.stale = False

    # ---------------------------------------------------------------------------------- actions

    def _apply(self, run: _Pass, action: Action) -> bool:
        """Do one action: True when something changed. Raises _StopPass when nothing else can."""
        try:
            match action:
                case Upload() | Replace():
                    self._publish(run, action)
                case Describe() | Identify():
                    self._tell(run, action)
                case Withdraw():
                    self._withdraw(run, action)
                case Adopt() | Rename() | Abandon() | Forget() | Keep():
                    self._note(run, action)
        except SourceChanged as moved:
            run.dropped[action_key(action)] = Hold(
                action_key(action),
                "not_settled",
                f"The file changed while it was being read ({moved.message}); waiting until it is "
                "still.",
                self._clock() + 1.0,
                State.PENDING,
            )
            return False
        except FileUnreadable as unreadable:
            key = action_key(action)
            run.dropped[key] = self._unreadable(run, key, unreadable)
            return False
        except FolderUnreadable as gone:
            raise _StopPass(_sentence(gone), self._clock() + 5.0, "folder_unreadable") from gone
        except PortalError as error:
            return self._failed(run, action, error)
        run.done.append(action)
        return True

    def _publish(self, run: _Pass, action: Upload | Replace) -> None:
        """Send the bytes, then the words, then see that they are served."""
        file, dataset = action.file, run.dataset
        folder = self._folders[dataset, file.key.folder]
        started = self._clock()
        target = action.resource if isinstance(action, Replace) else None
        title = action.title if isinstance(action, Replace) else file.words.title
        with folder.open(file.key.path, file.stamp) as opened:
            source = _Stoppable(opened, self._cut)
            attempt = self._ledger.begin(
                file.key,
                "upload" if target is None else "replace",
                now=started,
                fingerprint=file.fingerprint,
                stamp=file.stamp,
                name=file.name,
                resource=target,
                before=action.before if isinstance(action, Replace) else None,
                title=title,
            )
            try:
                if target is None:
                    found = self._portal.upload(
                        dataset,
                        source,
                        file.fingerprint,
                        file.name,
                        lambda: self._ledger.sent(attempt, now=self._clock()),
                    )
                else:
                    found = self._portal.replace(
                        dataset,
                        target,
                        source,
                        file.fingerprint,
                        file.name,
                        lambda: self._ledger.sent(attempt, now=self._clock()),
                    )
            except OutcomeUnknown as error:
                if error.status == 500:  # udata's own answer: it is at rest
                    run.answered.add(attempt.id)
                raise
            except Exception as error:
                self._ledger.close_attempt(
                    attempt, now=self._clock(), action="action.failed", detail=_detail(error)
                )
                raise
        run.resources[found.id] = found
        before = run.record.entries.get(file.key)
        entry = Entry(
            key=file.key,
            resource=found.id,
            fingerprint=found.fingerprint or file.fingerprint,
            stamp=file.stamp,
            permalink=found.permalink,
            applied=before.applied if before else Words(title=file.words.title),
            restore=title,
            reset_to=file.name,
            published_at=self._clock(),
        )
        event = "resource.created" if target is None else "resource.replaced"
        seconds = round(self._clock() - started, 3)
        self._ledger.finish(
            attempt, entry, now=self._clock(), action=event,
            detail={"seconds": seconds, "url": found.permalink},
        )  # fmt: skip
        log.info(
            event,
            path=readable(file.key.path),
            folder=file.key.folder,
            resource_id=found.id,
            sha1=entry.fingerprint.sha1,
            size=entry.fingerprint.size,
            seconds=seconds,
            url=found.permalink,
        )
        run.failed.pop(file.key, None)
        self._words_now(run, file, entry, found)
        self._verify(run, entry, run.resources[found.id])

    def _words_now(self, run: _Pass, file: SourceFile, entry: Entry, found: RemoteResource) -> None:
        """Give the words right after the bytes: the next plan would come after all the files."""
        if run.remote is None:
            return
        small = plan(
            Folderful((file,), frozenset({file.key})),
            Record({file.key: entry}),
            Remote(run.remote.dataset, (found,)),
            run.policy,
            self._clock(),
        )
        run.own(entry)
        for action in small.actions:
            self._apply(run, action)

    def _tell(self, run: _Pass, action: Describe | Identify) -> None:
        entry = run.record.entries.get(action.key)
        if entry is None:
            return
        words = action.words if isinstance(action, Describe) else Words()
        kind: AttemptKind = "describe" if isinstance(action, Describe) else "identify"
        attempt = self._ledger.begin(
            action.key, kind, now=self._clock(), resource=action.resource, words=words
        )
        try:
            self._ledger.sent(attempt, now=self._clock())
            if isinstance(action, Describe):
                found = self._portal.describe(run.dataset, action.resource, words, action.identity)
                entry = replace(entry, applied=action.applied, restore=None, reset_to=None)
            else:
                self._portal.identify(run.dataset, action.resource, action.identity)
                found = replace(run.resources[action.resource], source=action.identity)
        except OutcomeUnknown:
            raise
        except Exception as error:
            self._ledger.close_attempt(
                attempt, now=self._clock(), action="action.failed", detail=_detail(error)
            )
            raise
        run.resources[found.id] = found
        run.own(entry)
        event = "resource.described" if isinstance(action, Describe) else "resource.identified"
        self._ledger.finish(attempt, entry, now=self._clock(), action=event, detail=words.said())
        log.info(
            event,
            path=readable(action.key.path),
            folder=action.key.folder,
            resource_id=found.id,
            **words.said(),
        )

    def _withdraw(self, run: _Pass, action: Withdraw) -> None:
        if self._folders[run.dataset, action.key.folder].exists(action.key.path):
            raise SourceChanged("it is back")
        attempt = self._ledger.begin(
            action.key, "withdraw", now=self._clock(), resource=action.resource
        )
        try:
            self._ledger.sent(attempt, now=self._clock())
            self._portal.withdraw(run.dataset, action.resource)
        except OutcomeUnknown:
            raise
        except Exception as error:
            self._ledger.close_attempt(
                attempt, now=self._clock(), action="action.failed", detail=_detail(error)
            )
            raise
        run.resources.pop(action.resource, None)
        self._ledger.forget(action.key, now=self._clock(), action="resource.withdrawn")
        run.disown(action.key)
        self._ledger.close_attempt(attempt, now=self._clock(), action="resource.withdrawn")
        self._ledger.stand([_withdrawn(action.key, self._clock())])
        log.warning(
            "resource.withdrawn",
            path=readable(action.key.path),
            folder=action.key.folder,
            resource_id=action.resource,
        )

    def _note(self, run: _Pass, action: Adopt | Rename | Abandon | Forget | Keep) -> None:
        """Do what only the ledger sees."""
        now, path = self._clock(), readable(action_key(action).path)
        match action:
            case Adopt():
                event = "attempt.adopted" if action.attempt is not None else "resource.adopted"
                self._ledger.finish(
                    action.attempt, action.entry, now=now, action=event, detail={"why": action.why}
                )
                run.own(action.entry)
                log.info(event, path=path, resource_id=action.entry.resource, why=action.why)
            case Rename():
                self._ledger.rename(action.old, action.entry, now=now)
                run.disown(action.old)
                run.own(action.entry)
                log.info(
                    "resource.renamed",
                    path=path,
                    old_path=readable(action.old.path),
                    resource_id=action.entry.resource,
                )
            case Abandon():
                self._ledger.close_attempt(
                    action.attempt, now=now, action="attempt.abandoned", detail={"why": action.why}
                )
                log.info("attempt.abandoned", path=path, why=action.why, kind=action.attempt.kind)
            case Forget():
                event = "resource.withdrawn" if action.why == "withdrawn" else "resource.forgotten"
                self._ledger.forget(action.key, now=now, action=event)
                run.disown(action.key)
                if action.why == "withdrawn":
                    self._ledger.stand([_withdrawn(action.key, now)])
                log.info(event, path=path, resource_id=action.resource, why=action.why)
            case Keep():
                entry = run.record.entries.get(action.key)
                if entry is not None:
                    kept = replace(entry, gone_since=now)
                    self._ledger.touch(kept)
                    run.own(kept)
                log.info(
                    "resource.kept",
                    path=path,
                    resource_id=action.resource,
                    why="the file is gone from the folder; its resource stays on the portal",
                )

    # --------------------------------------------------------------------------------- failures

    def _failed(self, run: _Pass, action: Action, error: PortalError) -> bool:
        """Turn a refusal or a silence into a standing; True when the portal must be read again."""
        log.warning(
            "portal.refused" if isinstance(error, PortalRefused) else "action.failed",
            path=readable(action_key(action).path),
            why=error.message,
            hint=error.hint,
            http_status=error.status,
            sentry_id=error.sentry_id,
            trace_id=error.exchange.trace_id if error.exchange else None,
        )
        if isinstance(error, OutcomeUnknown):
            run.stale = True
            self._ledger.note(action_key(action), "action.failed", now=self._clock(),
                              detail=_detail(error))  # fmt: skip
            self._fail_key(run, action, error)
            return True
        if isinstance(error, CredentialRefused):
            raise self._stop(error) from error
        if isinstance(error, PortalBusy) and error.status == 423:
            run.read_only = error
            self._fail_key(run, action, error)
            return False
        if isinstance(error, PortalUnreachable):
            raise self._stop(error) from error
        run.stale = True
        self._fail_key(run, action, error)
        return True

    def _fail(self, run: _Pass, file: SourceFile, error: PortalError) -> None:
        self._remember_failure(run, file.key, file.stamp, error)

    def _fail_key(self, run: _Pass, action: Action, error: PortalError) -> None:
        key = action_key(action)
        stamp = next((file.stamp for file in run.seen.files if file.key == key), None)
        self._remember_failure(run, key, stamp, error)

    def _remember_failure(
        self, run: _Pass, key: ResourceKey, stamp: object, error: PortalError
    ) -> None:
        now, before = self._clock(), run.record.standings.get(key)
        failures = (before.failures if before and before.stamp == stamp else 0) + 1
        kind = _kind(error)
        retry_after = error.retry_after if isinstance(error, PortalBusy) else None
        not_before = next_try(failures, kind, now, self._jitter(), retry_after=retry_after)
        refused = isinstance(error, PortalRefused)
        why = _sentence(error)
        standing = Standing(
            key=key,
            state=State.FAILED if refused else State.HELD,
            code=str(kind),
            why=why,
            since=before.since if before and before.code == str(kind) else now,
            failures=failures,
            not_before=not_before,
            stamp=stamp,  # type: ignore[arg-type]
            sentry_id=error.sentry_id,
            http_status=error.status,
            settings=run.policy.settings,
        )
        self._ledger.stand([standing])
        run.failed[key] = standing
        standings = {**run.record.standings, key: standing}
        run.record = replace(run.record, standings=standings)
        log.log(
            40 if refused else 30,
            "action.failed" if refused else "action.held",
            path=readable(key.path),
            why=why,
            attempt=failures,
            retry_at=not_before,
            http_status=error.status,
            sentry_id=error.sentry_id,
        )

    def _unreadable(self, run: _Pass, key: ResourceKey, error: FileUnreadable) -> Hold:
        before = run.record.standings.get(key)
        failures = (before.failures if before else 0) + 1
        until = next_try(failures, Kind.FILE_UNREADABLE, self._clock(), self._jitter())
        return Hold(key, "file_unreadable", _sentence(error), until)

    # ----------------------------------------------------------------------------- verification

    def _verify(self, run: _Pass, entry: Entry, found: RemoteResource) -> None:
        """See that the permalink gives these bytes' length; if not, hold and look again."""
        try:
            problem = self._portal.serves(found)
        except PortalError as error:
            problem = error.message
        if problem is None:
            log.debug("resource.verified", path=readable(entry.key.path), resource_id=found.id)
            return
        before = run.record.standings.get(entry.key)
        failures = (before.failures if before and before.code == "unverified" else 0) + 1
        now = self._clock()
        standing = Standing(
            key=entry.key,
            state=State.HELD,
            code="unverified",
            why=f"Published, but its link does not give the file yet: {problem}",
            since=now,
            failures=failures,
            not_before=next_try(failures, Kind.UNKNOWN_OUTCOME, now, self._jitter()),
            stamp=entry.stamp,
            settings=run.policy.settings,
        )
        self._ledger.stand([standing])
        run.failed[entry.key] = standing
        log.warning(
            "resource.unverified",
            path=readable(entry.key.path),
            resource_id=found.id,
            why=problem,
            attempt=failures,
        )

    def _verify_again(self, run: _Pass) -> None:
        """Look again at links that did not serve; after some times, send the file again."""
        now = self._clock()
        for key, standing in sorted(run.record.standings.items()):
            entry = run.record.entries.get(key)
            if standing.code != "unverified" or entry is None or key in run.failed:
                continue
            if standing.not_before is not None and now < standing.not_before:
                run.failed[key] = standing
                continue
            found = run.resources.get(entry.resource)
            file = next((one for one in run.seen.files if one.key == key), None)
            if found is None:
                continue
            if standing.failures >= UNVERIFIED_LIMIT and file is not None:
                self._apply(run, Replace(file, found.id, found.fingerprint, found.title))
            else:
                self._verify(run, entry, found)

    # -------------------------------------------------------------------------------- standings

    def _settle_standings(
        self, run: _Pass, result: Plan | None, trouble: _StopPass | None, retry_at: float | None
    ) -> tuple[tuple[Standing, ...], float | None]:
        """Remember who waits and why; forget it for those that do not any more."""
        now = self._clock()
        held: dict[ResourceKey, Hold] = {wait.key: wait for wait in run.folderful().waiting}
        if result is not None:
            held.update({hold.key: hold for hold in result.holds})
        if trouble is not None and trouble.code != "stopping":
            for file in run.seen.files:
                if file.key in run.seen.changed and file.key not in held:
                    state = State.HELD if retry_at is None else State.PENDING
                    held[file.key] = Hold(file.key, trouble.code, trouble.why, retry_at, state)
        fresh: list[Standing] = []
        current: dict[ResourceKey, Standing] = {}
        for key, hold in held.items():
            before = run.record.standings.get(key)
            if key in run.failed:
                current[key] = run.failed[key]
                continue
            standing = _standing(hold, before, run, now)
            current[key] = standing
            if standing != before:
                fresh.append(standing)
                changed = before is None or (before.code, before.why) != (hold.code, hold.why)
                if changed and hold.state is not State.PENDING:
                    log.warning(
                        "action.held",
                        path=readable(key.path),
                        why=hold.why,
                        code=hold.code,
                        retry_at=hold.until,
                    )
        current.update(run.failed)
        decided = result is not None
        cleared = [
            key
            for key, standing in run.record.standings.items()
            if key not in current
            and (standing.state is not State.WITHDRAWN or key in run.seen.present)
            and (
                (decided and (key in run.seen.looked or key not in run.seen.present))
                or (key not in run.seen.present and key.folder in run.seen.complete)
            )
        ]
        if fresh or cleared:
            self._ledger.stand(fresh, cleared)
        due = [standing.not_before for standing in current.values() if standing.not_before]
        untils = [hold.until for hold in held.values() if hold.until is not None]
        return tuple(current.values()), min([*due, *untils], default=None)


def _standing(hold: Hold, before: Standing | None, run: _Pass, now: float) -> Standing:
    """The hold as the ledger remembers it; failures and their stamp stay if it is the same one."""
    same = before is not None and before.code == hold.code
    stamp = next((file.stamp for file in run.seen.files if file.key == hold.key), None)
    return Standing(
        key=hold.key,
        state=hold.state,
        code=hold.code,
        why=hold.why,
        since=before.since if same and before else now,
        failures=before.failures if same and before else 0,
        not_before=hold.until,
        stamp=before.stamp if same and before and before.failures else stamp,
        sentry_id=before.sentry_id if same and before else None,
        http_status=before.http_status if same and before else None,
        settings=before.settings if same and before else run.policy.settings,
    )


def _withdrawn(key: ResourceKey, now: float) -> Standing:
    why = "The file was deleted from the folder, and its resource was withdrawn from the portal."
    return Standing(key, State.WITHDRAWN, "withdrawn", why, now)


def _kind(error: PortalError) -> Kind:
    if isinstance(error, PortalBusy):
        return Kind.READ_ONLY if error.status == 423 else Kind.BUSY
    if isinstance(error, OutcomeUnknown):
        return Kind.SERVER_ERROR if error.status == 500 else Kind.UNKNOWN_OUTCOME
    if isinstance(error, PortalRefused):
        return Kind.REFUSED
    return Kind.UNREACHABLE


def _sentence(error: FolderUnreadable | FileUnreadable | PortalError) -> str:
    return f"{error.message} {error.hint}" if error.hint else error.message


def _detail(error: Exception) -> dict[str, object]:
    detail: dict[str, object] = {"why": str(error)}
    if isinstance(error, PortalError) and error.exchange:
        detail |= {
            "http_status": error.status,
            "sentry_id": error.sentry_id,
            "trace_id": error.exchange.trace_id,
            # what the portal's support asks for; redacted and bounded where it was made
            "exchange": asdict(error.exchange),
        }
    return detail


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


def _counts(done: Sequence[Action], standings: Sequence[Standing]) -> dict[str, int]:
    counts: dict[str, int] = {}
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


def _earliest(*instants: float | None) -> float | None:
    return min((instant for instant in instants if instant is not None), default=None)
