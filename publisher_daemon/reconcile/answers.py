"""Keeps the error answers of the portal in the history, for the report its support asks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

from publisher_daemon.errors import PortalError
from publisher_daemon.model import DatasetId, ResourceKey
from publisher_daemon.reconcile.ports import Ledger

#: The same answer about one dataset is kept again after so many seconds: an outage fills nothing.
AGAIN = 3600.0


class ErrorAnswers:
    """Those that concern no file: a dataset that cannot be read, a page that cannot be written."""

    def __init__(self, ledger: Ledger, clock: Callable[[], float]) -> None:
        self._ledger = ledger
        self._clock = clock
        self._last: dict[DatasetId, tuple[str, float]] = {}

    def keep(self, dataset: DatasetId, error: PortalError) -> None:
        """Note what was asked and answered; nothing when no request went."""
        now = self._clock()
        why, at = self._last.get(dataset, ("", 0.0))
        if error.exchange is None or (why == error.sentence and abs(now - at) < AGAIN):
            return
        self._last[dataset] = error.sentence, now
        nobody = ResourceKey(dataset, "", "")
        self._ledger.note(nobody, "action.failed", now=now, detail=detail_of(error))


def detail_of(error: Exception) -> dict[str, object]:
    """What the history keeps of an error: enough for the portal's support."""
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
