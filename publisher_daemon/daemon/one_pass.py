"""One complete pass over every dataset, for cron, for CI, and for a person who asks."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import structlog

from publisher_daemon.config import Settings
from publisher_daemon.daemon.office import Office, build, make_pass, metrics_of, on_signals
from publisher_daemon.daemon.opening import open_ledger
from publisher_daemon.daemon.progress import ProgressTeller
from publisher_daemon.daemon.pruning import prune
from publisher_daemon.daemon.telling import Teller
from publisher_daemon.errors import LedgerBroken
from publisher_daemon.model import QUEUED, DatasetId, Reason, Report, State
from publisher_daemon.reconcile.flowing import Transfers
from publisher_daemon.wakeups import Wake, Wakeups

log = structlog.get_logger(__name__)

OK, SOMETHING_WRONG, UNREACHABLE, NO_CREDENTIAL, BAD_CONFIG = 0, 1, 75, 77, 78


def once(
    settings: Settings,
    *,
    datasets: Sequence[DatasetId] = (),
    reason: Reason = Reason.ONCE,
    yes: bool = False,
    transfers: Transfers | None = None,
) -> int:
    """One complete pass over every dataset, files given time to settle; returns the exit code."""
    stop = threading.Event()
    transfers = Transfers() if transfers is None else transfers
    metrics = metrics_of(settings)
    with open_ledger(settings) as ledger, on_signals(stop.set):
        office = build(
            settings,
            ledger,
            reason="publisher-daemon once",
            yes=yes,
            stopping=stop.is_set,
            cut=stop.is_set,
            on_exchange=metrics.exchanged if metrics else None,
            transfers=transfers,
        )
        teller = Teller(office, metrics)
        office.vocabulary.refresh()
        todo = list(datasets or office.lanes)
        troubles: list[str] = []
        progress = ProgressTeller(transfers)
        reports = _settle_all(
            office, todo, reason, stop, troubles, teller=teller, progress=progress
        )
        teller.round()
        teller.answer()
        if not stop.is_set():
            prune(settings, ledger)
        return _verdict(office, reports, stopped=stop.is_set() or bool(troubles))


def _settle_all(  # noqa: C901 - one loop with its threads reads best in one place
    office: Office,
    todo: Sequence[DatasetId],
    reason: Reason,
    stop: threading.Event,
    troubles: list[str],
    *,
    teller: Teller,
    progress: ProgressTeller,
) -> list[Report]:
    """Pass over each dataset until only time, a person or the portal could change something."""
    lanes = Wakeups(time.monotonic)
    for dataset in todo:
        lanes.wake(dataset, reason)
    reports: dict[DatasetId, Report] = {}
    left = set(todo)
    lock = threading.Lock()
    broken: list[Exception] = []

    def serve(wake: Wake) -> None:
        report, trouble = make_pass(office, wake.dataset, reason, (), refresh=False)
        teller.passed(report)
        again = _patience(report)
        with lock:
            reports[wake.dataset] = report
            troubles.extend([trouble] if trouble else [])
            if again is None:
                left.discard(wake.dataset)
            else:
                lanes.wake(wake.dataset, reason, at=time.monotonic() + again)
        lanes.done(wake.dataset)

    def work() -> None:
        while left and not stop.is_set() and not broken:
            wake: Wake | None = None
            try:
                with office.longs.turn(0.2) as mine:
                    wake = lanes.take(timeout=0.2) if mine else None
                    if wake is not None:
                        serve(wake)
            except LedgerBroken as error:
                log.error("ledger.broken", why=error.message, hint=error.hint)  # noqa: TRY400 - the sentence says it all
                broken.append(error)
            except Exception as error:  # noqa: BLE001 - a thread's outermost frame: told, raised below
                log.error("pass.failed", dataset=wake and wake.dataset, why=str(error))  # noqa: TRY400
                broken.append(error)

    threads = [
        threading.Thread(target=work, name=f"lane-{number}", daemon=True)
        for number in range(min(office.longs.threads, len(todo)))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(0.2)
            progress.tell()
    if broken:
        raise broken[0]
    return [reports[dataset] for dataset in todo if dataset in reports]


#: What ``once`` waits for, and how many failures in a row: these end by themselves, and soon. A 500
#: is tried a second time: udata answers it to two uploads of one name within one second.
_SOON = {
    "not_settled": 3,
    "its_turn": 3,
    QUEUED: 3,
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
        report.trouble
        # a word of a resource that is held counts like a file
        or any(why is not None for *_, why in report.words or ())
        or any(
            # a producer who has not finished yet is nobody's failure
            standing.state in bad and standing.code != "waits_for_marker"
            for standing in report.standings
        )
        for report in reports
    )
    facts = office.ledger.datasets()
    pages = (facts[lane] for lane in office.refreshes.lanes if lane in facts)
    wrong = wrong or any(page.refresh_trouble or page.held_fields for page in pages)
    return SOMETHING_WRONG if wrong or stopped else OK
