"""Builds the rooms, runs them, stops them; the only supervisor.

A thread that dies ends the process: the service manager restarts it, and recovery is the ordinary
first pass.
"""

from __future__ import annotations

import json
import random
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import FrameType

import structlog

from publisher_daemon import __version__
from publisher_daemon.config import Settings, looks_like_dataset_id
from publisher_daemon.errors import (
    ConfigInvalid,
    CredentialRefused,
    FolderUnreadable,
    PortalError,
    PortalRefused,
)
from publisher_daemon.folder import Folder
from publisher_daemon.health import Heartbeat, Notifier
from publisher_daemon.ledger import DatasetFacts, Ledger
from publisher_daemon.model import DatasetId, Hint, Policy, Reason, Report, State, Watch
from publisher_daemon.portal import Portal
from publisher_daemon.reconcile import Gate, Reconciler
from publisher_daemon.reconcile.metadata import Refreshed
from publisher_daemon.refresh import Refreshes
from publisher_daemon.schedule import Schedule
from publisher_daemon.wakeups import Wake, Wakeups
from publisher_daemon.watcher import Watcher

log = structlog.get_logger(__name__)

#: How often the portal's list of accepted extensions is read again, in seconds.
VOCABULARY_AGE = 24 * 3600.0
#: How often old history is looked for, in seconds, and how many rows go at once (milliseconds).
PRUNE_EVERY, PRUNE_ROWS = 24 * 3600.0, 1000
#: How often the supervisor looks at its threads and at what the command line asks, in seconds.
TICK = 0.5
#: How long an upload may still run after SIGTERM before it is cut (nothing is done by a cut one).
PATIENCE = 10.0
#: A worker that neither looked for work nor sent a block for this long hangs, in seconds: hashing a
#: huge file on a slow share, and the portal's longest silence, stay below.
STUCK = 3600.0
#: When a metadata refresh that did not go through is tried again, in seconds.
REFRESH_AGAIN = 60.0

OK, SOMETHING_WRONG, UNREACHABLE, NO_CREDENTIAL, BAD_CONFIG = 0, 1, 75, 77, 78


@dataclass(slots=True)
class Office:
    """Every room, built from one configuration."""

    settings: Settings
    portal: Portal
    ledger: Ledger
    watches: tuple[Watch, ...]
    folders: dict[tuple[DatasetId, str], Folder]
    gate: Gate
    reconciler: Reconciler
    policy: Callable[[], Policy]
    vocabulary: Vocabulary
    refreshes: Refreshes

    @property
    def datasets(self) -> tuple[DatasetId, ...]:
        """The datasets that folders feed, each once, in the configuration's order."""
        return tuple(dict.fromkeys(watch.dataset for watch in self.watches))

    @property
    def lanes(self) -> tuple[DatasetId, ...]:
        """Every dataset with something to do: fed by folders, or with metadata to keep."""
        return tuple(dict.fromkeys((*self.datasets, *self.refreshes.datasets)))


class Vocabulary:
    """The extensions the portal accepts: read at start and daily, remembered for days offline."""

    def __init__(self, portal: Portal, ledger: Ledger, clock: Callable[[], float]) -> None:
        self._portal = portal
        self._ledger = ledger
        self._clock = clock
        self._read_at = float("-inf")
        self._ask_at = float("-inf")
        self._extensions: frozenset[str] = frozenset()

    def extensions(self) -> frozenset[str]:
        """What was read last; empty when it was never read."""
        return self._extensions

    def refresh(self, *, keep: bool = True) -> None:
        """Read it if it is old; what the portal does not answer comes from the ledger."""
        now = self._clock()
        if now - self._read_at < VOCABULARY_AGE or now < self._ask_at:
            return
        try:
            self._ask_at = now + 60.0
            self._extensions = self._portal.extensions()
        except PortalError:
            kept = self._ledger.cache_get("extensions")
            self._extensions = frozenset(json.loads(kept[0])) if kept else frozenset()
            return
        self._read_at = now
        if keep:
            self._ledger.cache_put("extensions", json.dumps(sorted(self._extensions)), now)


def now() -> float:
    """The wall clock, in UTC seconds."""
    return time.time()


def open_portal(settings: Settings, reason: str = "") -> Portal:
    """The portal of this configuration, with its key; raises ConfigInvalid."""
    portal = settings.portal
    return Portal(
        portal.url,
        settings.api_key(),
        ca_file=str(portal.ca_file) if portal.ca_file else None,
        proxy=portal.proxy,
        reason=reason,
    )


def resolve_slugs(
    settings: Settings, portal: Portal, ledger: Ledger, *, pin: bool
) -> dict[str, DatasetId]:
    """The id of each dataset named by a slug: asked once, then kept, as slugs move with titles."""
    pinned: dict[str, DatasetId] = {}
    for name in settings.datasets_named():
        if looks_like_dataset_id(name):
            continue
        known = ledger.pinned(name)
        if known is None:
            known = portal.resolve(name).id
            if pin:
                ledger.pin(name, known)
            log.info("dataset.pinned", slug=name, dataset=known)
        pinned[name] = known
    return pinned


def build(
    settings: Settings,
    ledger: Ledger,
    *,
    reason: str,
    yes: bool = False,
    pin: bool = True,
    stopping: Callable[[], bool] = lambda: False,
    cut: Callable[[], bool] = lambda: False,
) -> Office:
    """Put the rooms together; raises ConfigInvalid, PortalError (only to find out slugs).

    ``pin`` False writes nothing in the ledger.
    """
    if not settings.datasets:
        settings.require_folders()
    portal = open_portal(settings, reason)
    pinned = resolve_slugs(settings, portal, ledger, pin=pin)
    base = replace(settings.policy(pinned, yes=yes), settings=settings.digest())
    folders = {(watch.dataset, watch.name): Folder(watch) for watch in base.watches}
    for watch in base.watches:
        _recognise(folders[watch.dataset, watch.name], watch, ledger)
    vocabulary = Vocabulary(portal, ledger, time.time)

    def policy() -> Policy:
        return replace(base, extensions=vocabulary.extensions())

    gate = Gate(time.time, random.random)
    reconciler = Reconciler(
        portal=portal,
        ledger=ledger,
        folders=folders,
        policy=policy,
        gate=gate,
        jitter=random.random,
        new_id=lambda: uuid.uuid4().hex[:12],
        audit_every=settings.daemon.audit_every,
        stopping=stopping,
        cut=cut,
    )
    refreshes = Refreshes(settings, pinned, portal, ledger)
    return Office(
        settings,
        portal,
        ledger,
        base.watches,
        folders,
        gate,
        reconciler,
        policy,
        vocabulary,
        refreshes,
    )


def _recognise(folder: Folder, watch: Watch, ledger: Ledger) -> None:
    """Expect the folder that was there last time, so that an unmounted share is not taken for it.

    Another file system, or mount, that holds a file as we published it is the same folder moved
    (a new disk, a container): then it is taken as it is.
    """
    kept = ledger.presence(watch.dataset, watch.name)
    if kept is None:
        return
    try:
        found = folder.presence()
    except FolderUnreadable:
        found = kept
    if found != kept:
        entries = ledger.read(watch.dataset).entries.values()
        known = {entry.key.path: entry.stamp for entry in entries if entry.key.folder == watch.name}
        try:
            same = any(
                (before := known.get(sighting.key.path)) is not None
                and (before.size, before.mtime_ns) == (sighting.stamp.size, sighting.stamp.mtime_ns)
                for sighting in folder.scan()
            )
        except FolderUnreadable:
            same = False
        if same or not known:
            return
    folder.expect(kept)


def remember(office: Office, report: Report) -> None:
    """Keep for ``status`` what the pass learned of its dataset."""
    for watch in office.watches:
        if watch.dataset == report.dataset:
            _keep_presence(office.folders[watch.dataset, watch.name], watch, office.ledger)
    found = office.reconciler.dataset(report.dataset)
    before = office.ledger.datasets().get(report.dataset)
    facts = before or DatasetFacts(report.dataset)
    if found is not None:
        facts = replace(facts, title=found.title, page=found.page, slug=found.slug)
    since = facts.trouble_since if facts.trouble == report.trouble else report.started_at
    facts = replace(
        facts,
        last_pass=report.started_at,
        trouble=report.trouble,
        trouble_since=since if report.trouble else None,
    )
    if facts != before:
        office.ledger.remember_dataset(facts)


def make_pass(
    office: Office, dataset: DatasetId, reason: Reason, hints: Sequence[Hint], *, refresh: bool
) -> tuple[Report, str | None]:
    """Publish, then refresh the page if it is due or asked: the report, and what went wrong.

    One after the other in the dataset's own lane: no two writers ever meet on it. Raises
    LedgerBroken.
    """
    report = office.reconciler.run(dataset, reason, hints)
    remember(office, report)
    wanted = dataset in office.refreshes.datasets and (refresh or office.refreshes.due(dataset))
    if not wanted or office.gate.enter() is not None:
        return report, None
    try:
        done = office.refreshes.run(dataset)
    except PortalError as error:
        office.gate.failed(error)
        return report, str(error)
    office.gate.answered()
    return report, done.trouble


def refresh_now(
    settings: Settings, choose: Callable[[dict[str, DatasetId]], Sequence[DatasetId]]
) -> list[Refreshed]:
    """Refresh the datasets chosen among those named; raises LedgerBusy when a service runs."""
    with open_ledger(settings) as ledger:
        office = build(settings, ledger, reason="publisher-daemon refresh")
        ids = dict(
            zip((each.id for each in settings.datasets), office.refreshes.datasets, strict=True)
        )
        return [office.refreshes.run(dataset) for dataset in choose(ids)]


def _keep_presence(folder: Folder, watch: Watch, ledger: Ledger) -> None:
    """Remember which directory the folder is, once it was looked at without complaint."""
    found = folder.identity
    if found is not None and found != ledger.presence(watch.dataset, watch.name):
        ledger.remember_presence(watch.dataset, watch.name, found)


# ------------------------------------------------------------------------------------------- once


def once(
    settings: Settings,
    *,
    datasets: Sequence[DatasetId] = (),
    reason: Reason = Reason.ONCE,
    yes: bool = False,
) -> int:
    """One complete pass over every dataset, files given time to settle; returns the exit code."""
    stop = threading.Event()
    with open_ledger(settings) as ledger, _on_signals(stop.set):
        office = build(
            settings,
            ledger,
            reason="publisher-daemon once",
            yes=yes,
            stopping=stop.is_set,
            cut=stop.is_set,
        )
        office.vocabulary.refresh()
        todo = list(datasets or office.lanes)
        troubles: list[str] = []
        reports = _settle_all(office, todo, reason, stop, troubles)
        return _verdict(office, reports, stopped=stop.is_set() or bool(troubles))


def _settle_all(  # noqa: C901 - one loop with its threads reads best in one place
    office: Office,
    todo: Sequence[DatasetId],
    reason: Reason,
    stop: threading.Event,
    troubles: list[str],
) -> list[Report]:
    """Pass over each dataset until only time, a person or the portal could change something."""
    lanes = Wakeups(time.monotonic)
    for dataset in todo:
        lanes.wake(dataset, reason)
    reports: dict[DatasetId, Report] = {}
    left = set(todo)
    lock = threading.Lock()
    broken: list[Exception] = []

    def work() -> None:
        while left and not stop.is_set() and not broken:
            wake = lanes.take(timeout=0.2)
            if wake is None:
                continue
            try:
                report, trouble = make_pass(office, wake.dataset, reason, (), refresh=False)
            except Exception as error:  # noqa: BLE001 - a thread's outermost frame: told, raised below
                log.error("pass.failed", dataset=wake.dataset, why=str(error))  # noqa: TRY400
                broken.append(error)
                return
            again = _patience(report)
            with lock:
                reports[wake.dataset] = report
                troubles.extend([trouble] if trouble else [])
                if again is None:
                    left.discard(wake.dataset)
                else:
                    lanes.wake(wake.dataset, reason, at=time.monotonic() + again)
            lanes.done(wake.dataset)

    threads = [
        threading.Thread(target=work, name=f"lane-{number}", daemon=True)
        for number in range(min(office.settings.daemon.workers, len(todo)))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(0.2)
    if broken:
        raise broken[0]
    return [reports[dataset] for dataset in todo if dataset in reports]


#: What ``once`` waits for, and how many failures in a row: these end by themselves, and soon. A 500
#: is tried a second time: udata answers it to two uploads of one name within one second.
_SOON = {
    "not_settled": 3,
    "being_written": 3,
    "outcome_unknown": 3,
    "unknown_outcome": 2,
    "server_error": 1,
    "unverified": 3,
    "withdraw_wait": 3,
}
#: ``once`` does not wait longer than this for one thing, in seconds.
_AT_MOST = 120.0


def _patience(report: Report) -> float | None:
    """Seconds until another pass is worth waiting for; None when this was the last one."""
    if report.trouble is not None:
        return None
    soon = [
        standing.not_before
        for standing in report.standings
        if standing.failures <= _SOON.get(standing.code, -1)
    ]
    if not soon:
        return None
    at = min((when for when in soon if when is not None), default=report.requeue_at)
    if report.requeue_at is not None and at is not None:
        at = min(at, report.requeue_at)
    wait = 0.5 if at is None else max(0.05, at - time.time())
    return wait if wait <= _AT_MOST else None


def _verdict(office: Office, reports: Sequence[Report], *, stopped: bool) -> int:
    closed = office.gate.closed
    if closed is not None:
        return NO_CREDENTIAL if closed.credential else UNREACHABLE
    bad = {State.HELD, State.FAILED, State.PENDING}
    wrong = any(
        report.trouble or any(standing.state in bad for standing in report.standings)
        for report in reports
    )
    return SOMETHING_WRONG if wrong or stopped else OK


# -------------------------------------------------------------------------------------------- run


class Daemon:
    """The service: watches, publishes, refreshes, until it is told to stop."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        *,
        reload: Callable[[], Settings],
        notifier: Notifier | None = None,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._reload = reload
        self._notifier = notifier or Notifier()
        self._stop = threading.Event()
        self._again = threading.Event()
        self._stopped_at: float | None = None
        self._fatal: list[BaseException] = []
        self._prune_at = time.monotonic()
        self._heartbeat = Heartbeat(settings.daemon.state_dir)
        self._seen: dict[int, float] = {}

    def run(self) -> int:
        """Serve until SIGTERM; returns the exit code."""
        log.info(
            "daemon.started",
            version=__version__,
            portal=self._settings.portal.url,
            folders=len(self._settings.folders),
        )
        with _on_signals(self._told_to_stop, self._again.set):
            office = self._office(self._settings)
            while office is not None and not self._stop.is_set():
                self._serve(office)
                if self._fatal:
                    break
                if self._again.is_set() and not self._stop.is_set():
                    self._again.clear()
                    office = self._reloaded(office)
        self._notifier.stopping()
        self._heartbeat.gone()
        if self._fatal:
            log.error("daemon.stopped", why=str(self._fatal[0]), code=SOMETHING_WRONG)
            return SOMETHING_WRONG
        log.info("daemon.stopped", code=OK)
        return OK

    def _office(self, settings: Settings) -> Office | None:
        """Build, waiting for the portal only if a slug has never been resolved."""
        wait = 1.0
        while not self._stop.is_set():
            try:
                return build(
                    settings,
                    self._ledger,
                    reason="publisher-daemon run",
                    stopping=self._stop_or_reload,
                    cut=self._out_of_patience,
                )
            except PortalRefused as error:
                raise ConfigInvalid(error.message, hint=error.hint) from error
            except PortalError as error:
                event = (
                    "credential.refused"
                    if isinstance(error, CredentialRefused)
                    else "portal.unreachable"
                )
                log.warning(event, why=str(error), hint=error.hint, retry_at=time.time() + wait)
                self._stop.wait(wait)
                wait = min(wait * 2, 60.0)
        return None

    def _reloaded(self, before: Office) -> Office | None:
        self._notifier.reloading(time.monotonic_ns() // 1000)
        try:
            settings = self._reload()
            office = self._office(settings)
        except ConfigInvalid as error:
            log.error("config.refused", why=error.message, hint=error.hint)  # noqa: TRY400
            return before
        self._settings = settings
        log.info("config.reloaded", folders=len(settings.folders))
        return office

    def _out_of_patience(self) -> bool:
        self._gets_on()
        return self._stopped_at is not None and time.monotonic() - self._stopped_at > PATIENCE

    def _told_to_stop(self) -> None:
        self._stopped_at = time.monotonic()
        self._stop.set()

    def _gets_on(self) -> None:
        """The calling thread does something: asked at every turn and for every block sent."""
        self._seen[threading.get_ident()] = time.monotonic()

    def _all_get_on(self, workers: Sequence[threading.Thread]) -> bool:
        oldest = time.monotonic() - STUCK
        return all(
            worker.is_alive() and self._seen.get(worker.ident or 0, 0.0) >= oldest
            for worker in workers
        )

    def _stop_or_reload(self) -> bool:
        self._gets_on()
        return self._stop.is_set() or self._again.is_set() or bool(self._fatal)

    def _serve(self, office: Office) -> None:
        """Run the threads over one configuration until a stop, a reload or a death."""
        lanes = Wakeups(time.monotonic)

        def wake(
            dataset: DatasetId, folder: str, paths: frozenset[str] | None, arrived: frozenset[str]
        ) -> None:
            lanes.wake(dataset, Reason.EVENT, hint=Hint(folder, paths, arrived))

        watcher = Watcher(office.watches, wake)
        schedule = Schedule(
            timezone=self._settings.daemon.timezone,
            jitter=0.1,
            wake=lanes.wake,
            clock=time.time,
        )
        for dataset in office.datasets:
            schedule.add_every(dataset, self._settings.daemon.rescan_every, Reason.RESCAN)
        for dataset in office.refreshes.datasets:
            line, every = office.refreshes.schedule_of(dataset)
            if line is not None:
                schedule.add_cron(dataset, line)
            elif every is not None:
                schedule.add_every(dataset, every, Reason.REFRESH)
        workers = [
            threading.Thread(
                target=self._work, args=(office, lanes), name=f"worker-{number}", daemon=True
            )
            for number in range(self._settings.daemon.workers)
        ]
        watcher.start()
        try:
            schedule.start()
            # watch first, then look at everything: what changes between the two is seen twice
            office.vocabulary.refresh()
            for dataset in office.lanes:
                lanes.wake(dataset, Reason.START)
            for worker in workers:
                worker.start()
            self._notifier.ready(_serving(office))
            self._supervise(office, lanes, watcher, workers)
        finally:
            lanes.close()
            schedule.stop()
            watcher.stop()
            for worker in workers:
                worker.join(PATIENCE + 20.0)

    def _supervise(
        self, office: Office, lanes: Wakeups, watcher: Watcher, workers: Sequence[threading.Thread]
    ) -> None:
        version, fed = -1, time.monotonic()
        while not self._stop_or_reload():
            self._stop.wait(TICK)
            office.vocabulary.refresh() if office.gate.closed is None else None
            dead = [worker.name for worker in workers if not worker.is_alive()]
            if not watcher.is_alive():
                dead.append("watcher")
            if dead and not self._fatal and not self._stop_or_reload():
                self._fatal.append(RuntimeError(f"the thread {dead[0]} died"))
            now = self._ledger.changed()
            if now != version:
                version = now
                self._take_requests(office, lanes)
            self._prune(office.settings.daemon.keep_history)
            if not self._all_get_on(workers):
                continue  # no sign of life: the service manager restarts what hangs
            self._heartbeat.beat()
            watchdog = self._notifier.watchdog
            if watchdog is not None and time.monotonic() - fed >= watchdog:
                fed = time.monotonic()
                self._notifier.alive()

    def _prune(self, keep: float) -> None:
        """Drop history older than that: once a day, a few rows a tick, so that nobody waits."""
        if time.monotonic() >= self._prune_at:
            dropped = self._ledger.prune(time.time() - keep, PRUNE_ROWS)
            self._prune_at = time.monotonic() + (0 if dropped == PRUNE_ROWS else PRUNE_EVERY)

    def _take_requests(self, office: Office, lanes: Wakeups) -> None:
        """What the command line asked of the running service."""
        for request in self._ledger.take_requests():
            log.info("request.taken", verb=request.verb, dataset=request.dataset, path=request.path)
            todo = [request.dataset] if request.dataset else office.lanes
            if request.detail == "yes":
                for (dataset, _), folder in office.folders.items():
                    if dataset in todo:
                        folder.expect(None)
            reason = Reason.REFRESH if request.verb == "refresh" else Reason.RETRY
            for dataset in todo:
                lanes.wake(dataset, reason)

    def _work(self, office: Office, lanes: Wakeups) -> None:
        """One lane: take a dataset, make a pass, say when it is due again."""
        try:
            while not self._stop_or_reload():
                wake = lanes.take(timeout=1.0)
                if wake is None:
                    continue
                try:
                    self._pass(office, lanes, wake)
                finally:
                    lanes.done(wake.dataset)
        except BaseException as error:
            log.exception("pass.failed", why=str(error))
            self._fatal.append(error)

    def _pass(self, office: Office, lanes: Wakeups, wake: Wake) -> None:
        reason = _strongest(wake.reasons)
        hints = wake.hints
        if wake.everywhere or reason not in {Reason.EVENT, Reason.SETTLE}:
            hints = wake.all_of(
                watch.name for watch in office.watches if watch.dataset == wake.dataset
            )
        asked = Reason.REFRESH in wake.reasons
        report, trouble = make_pass(office, wake.dataset, reason, hints, refresh=asked)
        self._notifier.status(_serving(office))
        if trouble is not None and office.refreshes.due(wake.dataset):
            lanes.wake(wake.dataset, Reason.REFRESH, at=time.monotonic() + REFRESH_AGAIN)
        if report.requeue_at is None:
            return
        at = time.monotonic() + max(0.05, report.requeue_at - time.time())
        narrow = _unsettled(report)
        if narrow is None:
            lanes.wake(wake.dataset, Reason.RESCAN, at=at)
        for hint in narrow or ():
            lanes.wake(wake.dataset, Reason.SETTLE, at=at, hint=hint)


_BY_STRENGTH = (
    Reason.START,
    Reason.RETRY,
    Reason.REFRESH,
    Reason.ASKED,
    Reason.ONCE,
    Reason.RESCAN,
    Reason.EVENT,
    Reason.SETTLE,
)


def _strongest(reasons: frozenset[Reason]) -> Reason:
    return next(reason for reason in _BY_STRENGTH if reason in reasons)


def _unsettled(report: Report) -> tuple[Hint, ...] | None:
    """Where to look again when only settling files are due; None when all must be looked at."""
    paths: dict[str, set[str]] = {}
    for standing in report.standings:
        if standing.code in {"not_settled", "being_written", "empty", "never_settles"}:
            paths.setdefault(standing.key.folder, set()).add(standing.key.path)
        elif standing.not_before is not None:
            return None
    if not paths:
        return None
    return tuple(Hint(folder, frozenset(found)) for folder, found in sorted(paths.items()))


def _serving(office: Office) -> str:
    closed = office.gate.closed
    if closed is None:
        return f"Watching {len(office.watches)} folders for {len(office.datasets)} datasets."
    return f"Not publishing: {closed.why}"


@contextmanager
def open_ledger(settings: Settings) -> Iterator[Ledger]:
    """The ledger, with the one-instance lock held; raises LedgerBusy, LedgerBroken."""
    ledger = Ledger(settings.daemon.state_dir)
    try:
        with ledger.lock():
            yield ledger
    finally:
        ledger.close()


@contextmanager
def _on_signals(
    stop: Callable[[], object], again: Callable[[], object] | None = None
) -> Iterator[None]:
    """SIGTERM and SIGINT stop; SIGHUP reloads, where that means something."""

    def handler(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP and again is not None:
            again()
        else:
            stop()

    numbers = [signal.SIGTERM, signal.SIGINT] + ([signal.SIGHUP] if again else [])
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def run(settings: Settings, *, reload: Callable[[], Settings], environ: Mapping[str, str]) -> int:
    """Be the service; raises ConfigInvalid, LedgerBusy, LedgerBroken."""
    with open_ledger(settings) as ledger:
        return Daemon(settings, ledger, reload=reload, notifier=Notifier(environ)).run()
