"""The only place where a failure becomes a standing, a retry, or the end of a pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import structlog

from publisher_daemon.errors import (
    CredentialRefused,
    FileUnreadable,
    NotThere,
    OutcomeUnknown,
    PortalBusy,
    PortalError,
    PortalRefused,
    PortalUnreachable,
)
from publisher_daemon.model import (
    Action,
    DatasetId,
    Hold,
    ResourceKey,
    SourceFile,
    Standing,
    State,
    Upload,
)
from publisher_daemon.naming import readable
from publisher_daemon.plan import action_key
from publisher_daemon.reconcile.answers import ErrorAnswers, detail_of
from publisher_daemon.reconcile.gate import Gate
from publisher_daemon.reconcile.ports import Ledger
from publisher_daemon.reconcile.turn import Pass, StopPass
from publisher_daemon.retry import Kind, next_try

log = structlog.get_logger(__name__)

#: files that a portal does not take are tried again at multiples of this, in seconds
_STEP = 15.0

_NO_OTHER_HINT = (
    "Correct what it says in brackets; if that is not clear, `publisher-daemon support` writes the "
    "report to send to the portal's support."
)


class Failures:
    """Remembers what went wrong, and decides when it may be tried again."""

    def __init__(
        self,
        ledger: Ledger,
        gate: Gate,
        clock: Callable[[], float],
        jitter: Callable[[], float],
    ) -> None:
        self._ledger = ledger
        self._gate = gate
        self._clock = clock
        self._jitter = jitter
        self._answers = ErrorAnswers(ledger, clock)

    def stop(self, dataset: DatasetId, error: PortalError) -> StopPass:
        """Why the pass ends: a dataset that cannot be read, or a portal that is away."""
        self._answers.keep(dataset, error)
        if isinstance(error, PortalRefused):
            return StopPass(error.sentence, None, "dataset_refused")
        closed = self._gate.failed(error)
        code = "credential_refused" if closed.credential else "portal_unreachable"
        return StopPass(closed.sentence, closed.until, code)

    def handle(self, run: Pass, action: Action, error: PortalError) -> bool:
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
                              detail=detail_of(error))  # fmt: skip
            self._fail_key(run, action, error)
            return True
        if isinstance(error, CredentialRefused):
            raise self.stop(run.dataset, error) from error
        if isinstance(error, PortalBusy) and error.status == 423:
            run.read_only = error
            self._fail_key(run, action, error)
            return False
        if isinstance(error, PortalUnreachable):
            raise self.stop(run.dataset, error) from error
        run.stale = True
        key = action_key(action)
        if isinstance(error, NotThere) and not isinstance(action, Upload) and key not in run.missed:
            # somebody took the resource away since it was read: the plan has the words for that,
            # and if it is there after all, once more may do
            run.missed.add(key)
            return True
        self._fail_key(run, action, error)
        return True

    def fail(self, run: Pass, file: SourceFile, error: PortalError) -> None:
        """Hold this file for an error that another one met."""
        self._remember_failure(run, file.key, file.stamp, error)

    def _fail_key(self, run: Pass, action: Action, error: PortalError) -> None:
        key = action_key(action)
        file = run.seen.files.get(key)
        self._remember_failure(run, key, file.stamp if file else None, error)

    def _remember_failure(
        self, run: Pass, key: ResourceKey, stamp: object, error: PortalError
    ) -> None:
        now, before = self._clock(), run.record.standings.get(key)
        failures = (before.failures if before and before.stamp == stamp else 0) + 1
        kind = kind_of(error)
        retry_after = error.retry_after if isinstance(error, PortalBusy) else None
        not_before = next_try(failures, kind, now, self._jitter(), retry_after=retry_after)
        if kind is Kind.READ_ONLY:
            # all that wait for that ask by one request; those that came later meet them on the way
            not_before = run.read_only_until or _whole(not_before)
            run.read_only_until = not_before
        refused = isinstance(error, PortalRefused)
        why = error.sentence
        if refused and not error.hint:
            why = f"{why.rstrip('.')}. {_NO_OTHER_HINT}"
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

    def unreadable(self, run: Pass, key: ResourceKey, error: FileUnreadable) -> Hold:
        """Hold a file that cannot be read, longer each time."""
        before = run.record.standings.get(key)
        failures = (before.failures if before else 0) + 1
        until = next_try(failures, Kind.FILE_UNREADABLE, self._clock(), self._jitter())
        return Hold(key, "file_unreadable", error.sentence, until)


def _whole(at: float | None) -> float | None:
    return None if at is None else at - at % _STEP


def kind_of(error: PortalError) -> Kind:
    """What went wrong, by how long to wait."""
    if isinstance(error, PortalBusy):
        return Kind.READ_ONLY if error.status == 423 else Kind.BUSY
    if isinstance(error, OutcomeUnknown):
        return Kind.SERVER_ERROR if error.status == 500 else Kind.UNKNOWN_OUTCOME
    if isinstance(error, PortalRefused):
        return Kind.REFUSED
    return Kind.UNREACHABLE
