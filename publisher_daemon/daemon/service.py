"""The service: threads over one configuration, until a stop, a reload or a death."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import structlog

from publisher_daemon import __version__
from publisher_daemon.config import Settings
from publisher_daemon.daemon.clock import ClockSteps
from publisher_daemon.daemon.inspecting import get_ready
from publisher_daemon.daemon.office import (
    Office,
    build,
    make_pass,
    metrics_of,
    on_signals,
)
from publisher_daemon.daemon.one_pass import OK, SOMETHING_WRONG
from publisher_daemon.daemon.opening import open_ledger
from publisher_daemon.daemon.progress import ProgressTeller
from publisher_daemon.daemon.pruning import prune
from publisher_daemon.daemon.signs import Signs
from publisher_daemon.daemon.spare import give_back, keep_little
from publisher_daemon.daemon.telling import Teller
from publisher_daemon.errors import (
    ConfigInvalid,
    CredentialRefused,
    LedgerBroken,
    LedgerBusy,
    LedgerUnwell,
    PortalError,
    PortalRefused,
)
from publisher_daemon.health import Notifier, Pulse
from publisher_daemon.ledger import Ledger
from publisher_daemon.log import redact
from publisher_daemon.model import QUEUED, DatasetId, Hint, Reason, Report
from publisher_daemon.reconcile.flowing import Transfers
from publisher_daemon.schedule.running import Schedule
from publisher_daemon.wakeups import Wake, Wakeups
from publisher_daemon.watcher import Watcher

log = structlog.get_logger(__name__)

#: What reading two clocks, and seconds since 1970 in a float, may take off an instant.
ROUNDED = 0.0001
#: How often old history is looked for, in seconds.
PRUNE_EVERY = 24 * 3600.0
#: How often the supervisor looks at its threads and at what the command line asks, in seconds.
TICK = 2.0
#: A worker without work says this often that it is alive, in seconds.
LOOK_UP = 10.0
#: How long an upload may still run after SIGTERM before it is cut (nothing is done by a cut one).
PATIENCE = 10.0
#: How long the workers may take to end before those of a new configuration begin, in seconds.
HANDOVER = 2.0
#: When a configuration that needs an answer of the portal is tried again, in seconds.
RELOAD_AGAIN = 60.0
#: How long a ledger whose disk is full, or fails, is let alone, in seconds.
UNWELL = 10.0
#: What ``run`` returns when its caller shall start the program anew.
AGAIN = -1


class Daemon:
    """The service: watches, publishes, refreshes, until it is told to stop."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        *,
        reload: Callable[[], Settings],
        notifier: Notifier | None = None,
        transfers: Transfers | None = None,
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
        self._pulse = Pulse()
        self._signs = Signs(settings.daemon.state_dir, self._notifier, self._pulse)
        #: where the watches touch a file to hear of it; each in a directory of its own
        self._echoes = settings.daemon.state_dir / "signs"
        self._transfers = Transfers() if transfers is None else transfers
        self._progress = ProgressTeller(self._transfers)
        #: workers of an earlier configuration that still have an upload under way
        self._retired: set[threading.Thread] = set()
        self._lanes = Wakeups(time.monotonic)
        #: when a configuration that needs the portal is tried again
        self._reload_at = float("inf")
        self._metrics = metrics_of(settings)

    def run(self) -> int:
        """Serve until SIGTERM; returns the exit code, or AGAIN."""
        log.info(
            "daemon.started",
            version=__version__,
            portal=self._settings.portal.url,
            folders=len(self._settings.folders),
        )
        # of a service that was killed; there is no other one on this state
        shutil.rmtree(self._echoes, ignore_errors=True)
        try:
            with on_signals(self._told_to_stop, self._again.set):
                self._until_told()
        except LedgerBroken as error:
            self._broken(error)
        if self._fatal and isinstance(self._fatal[0], LedgerUnwell) and not self._stop.is_set():
            return AGAIN
        self._signs.gone()
        if self._fatal:
            log.error("daemon.stopped", why=str(self._fatal[0]), code=SOMETHING_WRONG)
            return SOMETHING_WRONG
        log.info("daemon.stopped", code=OK)
        return OK

    def _until_told(self) -> None:
        """Serve, with the newest configuration, until a signal or a fault; raises LedgerBroken."""
        office = self._office(self._settings)
        while office is not None and not self._stop.is_set():
            self._serve(office)
            if self._fatal:
                break
            if self._again.is_set() and not self._stop.is_set():
                self._again.clear()
                office = self._reloaded(office)

    def _broken(self, error: LedgerBroken) -> None:
        """Without a ledger nothing may be published: say so, and end, or begin anew later."""
        if not any(isinstance(each, LedgerBroken) for each in self._fatal):
            log.error("ledger.broken", why=error.message, hint=error.hint)
        self._fatal.append(error)

    def _office(self, settings: Settings) -> Office | None:
        """Build, waiting for the portal only if a slug has never been resolved."""
        wait = 1.0
        while not self._stop.is_set():
            try:
                return self._built(settings)
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

    def _built(self, settings: Settings) -> Office:
        """Build; raises ConfigInvalid, PortalError."""
        try:
            return build(
                settings,
                self._ledger,
                reason="publisher-daemon run",
                stopping=self._stop_or_reload,
                cut=self._out_of_patience,
                on_exchange=self._metrics.exchanged if self._metrics else None,
                transfers=self._transfers,
                pulse=self._pulse,
                asked=self._lanes.asked,
            )
        except PortalRefused as error:
            raise ConfigInvalid(error.message, hint=error.hint) from error

    def _reloaded(self, before: Office) -> Office:
        self._notifier.reloading(time.monotonic_ns() // 1000)
        try:
            settings = self._reload()
            self._metrics = self._metrics or metrics_of(settings)
            office = self._built(settings)
        except PortalError as error:
            # the last good one goes on serving: it needs no answer to go on
            self._reload_at = time.monotonic() + RELOAD_AGAIN
            log.error(  # noqa: TRY400 - the sentence says it all
                "config.refused",
                why=f"it names a dataset by its address, and {error.message}",
                hint="Nothing: it is tried again each minute. Or write the dataset's id.",
                retry_at=time.time() + RELOAD_AGAIN,
            )
            return before
        except ConfigInvalid as error:
            log.error("config.refused", why=error.message, hint=error.hint)  # noqa: TRY400
            return before
        self._settings = settings
        log.info("config.reloaded", folders=len(settings.folders))
        return office

    def _out_of_patience(self) -> bool:
        self._pulse.beat()
        return self._stopped_at is not None and time.monotonic() - self._stopped_at > PATIENCE

    def _told_to_stop(self) -> None:
        self._stopped_at = time.monotonic()
        self._stop.set()

    def _stop_or_reload(self) -> bool:
        self._pulse.beat()
        return (
            self._stop.is_set()
            or self._again.is_set()
            or bool(self._fatal)
            or threading.current_thread() in self._retired
        )

    def _serve(self, office: Office) -> None:
        """Run the threads over one configuration until a stop, a reload or a death."""
        lanes = self._lanes
        # what a worker of an earlier configuration still sends stays its own: no two ever meet
        lanes.forget()

        def wake(
            dataset: DatasetId, folder: str, paths: frozenset[str] | None, arrived: frozenset[str]
        ) -> None:
            lanes.wake(dataset, Reason.EVENT, hint=Hint(folder, paths, arrived))

        watcher = Watcher(office.watches, wake, signs=self._echoes)
        schedule = Schedule(
            timezone=self._settings.daemon.timezone,
            jitter=0.1,
            wake=lanes.wake,
            clock=time.time,
        )
        for dataset in office.datasets:
            schedule.add_every(dataset, self._settings.daemon.rescan_every, Reason.RESCAN)
        for dataset in office.refreshes.lanes:
            line, every, zone = office.refreshes.schedule_of(dataset)
            if line is not None:
                schedule.add_cron(dataset, line, zone)
            elif every is not None:
                schedule.add_every(dataset, every, Reason.REFRESH)
        teller = Teller(office, self._metrics, watcher.health)
        workers = [
            threading.Thread(
                target=self._work,
                args=(office, lanes, teller),
                name=f"worker-{number}",
                daemon=True,
            )
            for number in range(office.longs.threads)
        ]
        watcher.start()
        try:
            schedule.start()
            # watch first, then look at everything: what changes between the two is seen twice
            for dataset in office.lanes:
                lanes.wake(dataset, Reason.START)
            for worker in workers:
                worker.start()
            teller.start()
            self._signs.begin()
            self._notifier.ready(self._serving(office))
            # what the start read of the ledger was read by this thread
            self._ledger.rest()
            self._supervise(office, lanes, watcher, workers, schedule)
        finally:
            schedule.stop()
            # who waits for work need not wait for the end of its wait
            lanes.close()
            watcher.stop()
            self._retire(workers)
            teller.stop()

    def _retire(self, workers: Sequence[threading.Thread]) -> None:
        """Let the workers end; after a reload, what is under way goes on beside the new ones."""
        self._retired = {worker for worker in self._retired | set(workers) if worker.is_alive()}
        going_on = not self._stop.is_set() and not self._fatal
        until = time.monotonic() + (HANDOVER if going_on else PATIENCE + 20.0)
        for worker in self._retired:
            worker.join(max(0.0, until - time.monotonic()))

    def _supervise(
        self,
        office: Office,
        lanes: Wakeups,
        watcher: Watcher,
        workers: Sequence[threading.Thread],
        schedule: Schedule,
    ) -> None:
        version = -1
        steps = ClockSteps(time.time, time.monotonic)
        while not self._stop_or_reload():
            self._stop.wait(TICK)
            if seconds := steps.seen():
                log.warning("clock.stepped", seconds=seconds, why="the clock was set")
                # every instant that is waited for was counted by the other clock
                schedule.again()
                office.gate.forget()
                for dataset in office.lanes:
                    lanes.wake(dataset, Reason.START)
            if time.monotonic() >= self._reload_at:
                self._reload_at = float("inf")
                self._again.set()
            dead = [worker.name for worker in workers if not worker.is_alive()]
            if not watcher.is_alive():
                dead.append("watcher")
            if dead and not self._fatal and not self._stop_or_reload():
                self._fatal.append(RuntimeError(f"the thread {dead[0]} died"))
            now = self._ledger.changed()
            if now != version:
                version = now
                self._take_requests(office, lanes)
            _look_at_what_shows_again(office, lanes)
            self._prune(office.settings)
            self._progress.tell()
            if not self._stop_or_reload():
                # workers that end because they are told to are not silent
                self._signs.give(workers, watcher.health, lambda: self._serving(office))

    def _prune(self, settings: Settings) -> None:
        """Drop what is too old: once a day, a few rows a tick, so that nobody waits."""
        if time.monotonic() < self._prune_at:
            return
        more = prune(settings, self._ledger)
        self._prune_at = time.monotonic() + (0 if more else PRUNE_EVERY)

    def _take_requests(self, office: Office, lanes: Wakeups) -> None:
        """What the command line asked of the running service."""
        for request in self._ledger.take_requests():
            # a portal that said “in an hour” is asked again when a person says “now”
            office.gate.forget()
            log.info("request.taken", verb=request.verb, dataset=request.dataset, path=request.path)
            todo = [request.dataset] if request.dataset else office.lanes
            if request.detail == "yes":
                for (dataset, _), folder in office.folders.items():
                    if dataset in todo:
                        folder.expect(None)
            reason = Reason.REFRESH if request.verb == "refresh" else Reason.RETRY
            for dataset in todo:
                lanes.wake(dataset, reason)

    def _work(self, office: Office, lanes: Wakeups, teller: Teller) -> None:
        """One lane: take a dataset, make a pass, say when it is due again."""
        rested = False
        try:
            while not self._stop_or_reload():
                with office.longs.turn(LOOK_UP) as mine:
                    over = not mine or self._stop_or_reload()
                    wake = None if over else lanes.take(timeout=LOOK_UP)
                    if wake is not None:
                        rested = False
                        self._serve_one(office, lanes, teller, wake)
                    elif not rested:
                        rested = True
                        self._ledger.rest()
                        give_back()
        except LedgerBroken as error:
            self._broken(error)
        except BaseException as error:
            log.exception("pass.failed", why=str(error))
            self._fatal.append(error)

    def _serve_one(self, office: Office, lanes: Wakeups, teller: Teller, wake: Wake) -> None:
        self._pulse.serve(wake.dataset)
        try:
            self._pass(office, lanes, teller, wake)
        finally:
            lanes.done(wake.dataset)
            if threading.current_thread() in self._retired:
                lanes.wake(wake.dataset, Reason.START)

    def _pass(self, office: Office, lanes: Wakeups, teller: Teller, wake: Wake) -> None:
        wait = office.gate.waits() if Reason.PORTAL in wake.reasons else None
        if wait is not None:
            # nothing new is known of a dataset that only waits: no look at its folders
            lanes.wake(wake.dataset, Reason.PORTAL, at=_monotonic(wait))
            wake = _less_portal(wake)
            if not wake.reasons:
                return
        if office.gate.closed is None:
            office.vocabulary.refresh()
        reason = _strongest(wake.reasons)
        hints = wake.hints
        if wake.everywhere or reason not in _NARROW:
            hints = wake.all_of(
                watch.name for watch in office.watches if watch.dataset == wake.dataset
            )
        asked = Reason.REFRESH in wake.reasons
        report, trouble = make_pass(office, wake.dataset, reason, hints, refresh=asked)
        teller.passed(report)
        self._notifier.status(self._serving(office))
        again = None if trouble is None else office.refreshes.retry_at(wake.dataset)
        if again is not None:
            lanes.wake(wake.dataset, Reason.REFRESH, at=_monotonic(again))
        if report.portal_at is not None:
            lanes.wake(wake.dataset, Reason.PORTAL, at=_monotonic(report.portal_at))
        if report.requeue_at is not None:
            _come_back(lanes, report, report.requeue_at)
            get_ready()

    def _serving(self, office: Office) -> str:
        """What is going on, for ``systemctl status``."""
        closed = office.gate.closed
        if closed is not None:
            return redact(f"Not publishing: {closed.why}")
        return (
            self._progress.sentence()
            or f"Watching {len(office.watches)} folders for {len(office.datasets)} datasets."
        )


def _look_at_what_shows_again(office: Office, lanes: Wakeups) -> None:
    for (dataset, name), folder in office.folders.items():
        if folder.shows_again():
            lanes.wake(dataset, Reason.EVENT, hint=Hint(name))


def _come_back(lanes: Wakeups, report: Report, requeue_at: float) -> None:
    """Have the dataset looked at again when something in it is due by itself."""
    dataset, at = report.dataset, _monotonic(requeue_at)
    narrow = _unsettled(report)
    if narrow is None and report.portal_at is None:
        lanes.wake(dataset, Reason.RESCAN, at=at)
    for hint in narrow or ():
        lanes.wake(dataset, Reason.SETTLE, at=at, hint=hint)
    for standing in report.standings:
        # one stands for all that are queued, which only a look at everything meets
        if standing.code == QUEUED and standing.not_before is not None:
            lanes.wake(dataset, Reason.RESCAN, at=_monotonic(standing.not_before))


def _monotonic(instant: float) -> float:
    """That instant by the monotonic clock; never quite now, whatever the wall clock does.

    Rather late than early: whoever comes a microsecond too soon finds a file not settled yet, and
    comes back only after the least wait.
    """
    wait = instant - time.time() + ROUNDED
    return time.monotonic() + max(0.05, wait)


#: Reasons to look at the paths they name, and at nothing else.
_NARROW = frozenset({Reason.EVENT, Reason.SETTLE})


def _less_portal(wake: Wake) -> Wake:
    """What is to be done of it while the portal cannot be asked."""
    reasons = wake.reasons - {Reason.PORTAL}
    return replace(wake, reasons=reasons, everywhere=wake.everywhere and not reasons <= _NARROW)


_BY_STRENGTH = (
    Reason.START,
    Reason.RETRY,
    Reason.REFRESH,
    Reason.ASKED,
    Reason.ONCE,
    Reason.RESCAN,
    Reason.PORTAL,
    Reason.EVENT,
    Reason.SETTLE,
)


def _strongest(reasons: frozenset[Reason]) -> Reason:
    return next(reason for reason in _BY_STRENGTH if reason in reasons)


#: What only has to be looked at again where it is.
_OF_ITSELF = frozenset({"not_settled", "being_written", "empty", "never_settles", "its_turn"})


def _unsettled(report: Report) -> tuple[Hint, ...] | None:
    """Where to look again when only settling files are due; None when all must be looked at."""
    paths: dict[str, set[str]] = {}
    for standing in report.standings:
        if standing.code == QUEUED:
            continue
        if standing.code in _OF_ITSELF:
            paths.setdefault(standing.key.folder, set()).add(standing.key.path)
        elif standing.not_before is not None and report.portal_at is None:
            return None
    if not paths:
        return None
    return tuple(Hint(folder, frozenset(found)) for folder, found in sorted(paths.items()))


def run(
    settings: Settings,
    *,
    reload: Callable[[], Settings],
    environ: Mapping[str, str],
    transfers: Transfers | None = None,
) -> int:
    """Be the service; raises ConfigInvalid, LedgerBusy, LedgerBroken.

    Returns the exit code; or, once a disk that fails was let alone for a while, AGAIN: a service
    manager that restarts it each time gives up before somebody has made room.
    """
    keep_little()
    notifier = Notifier(environ)
    try:
        with open_ledger(settings) as ledger:
            code = Daemon(
                settings, ledger, reload=reload, notifier=notifier, transfers=transfers
            ).run()
    except LedgerBusy:
        raise  # nothing is broken: another instance has it
    except LedgerBroken as error:
        log.error("ledger.broken", why=error.message, hint=error.hint)  # noqa: TRY400 - the sentence says it all
        if not isinstance(error, LedgerUnwell):
            raise
        code = AGAIN
    if code != AGAIN:
        return code
    notifier.status("Not publishing: the ledger cannot be written.")
    stopped, until = threading.Event(), time.monotonic() + UNWELL
    with on_signals(stopped.set, lambda: None):  # what SIGHUP asks for comes by itself
        while time.monotonic() < until:
            # a watchdog may be more impatient than this
            notifier.alive()
            if stopped.wait(1.0):
                log.info("daemon.stopped", code=OK)
                return OK
    return AGAIN
