"""Asks the metrics service how often a dataset was visited and its files downloaded, by month.

The portal tells totals only. The service is another site, which only data.gouv.fr has: it never
gets the key, is not asked about private datasets, and may be away: what was known then stays, and
it is left alone for an hour, so that two hundred datasets do not wait for it in turn.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import structlog

from publisher_daemon.errors import PortalError
from publisher_daemon.model import DatasetId

log = structlog.get_logger(__name__)

#: months that are kept
MONTHS = 12
#: seconds a silent service is waited for, and seconds after which one that failed is asked again
SILENCE = 10.0
PATIENCE = 3600.0


class Reader(Protocol):
    """What reads public documents."""

    def document(self, url: str, *, silence: float | None = None) -> bytes:
        """What is at a public address."""


class Audience:
    """Reads the visits of datasets; safe for several threads."""

    def __init__(self, reader: Reader, service: str | None, clock: Callable[[], float]) -> None:
        self._reader = reader
        self._service = service
        self._clock = clock
        self._lock = threading.Lock()
        self._ask_at = float("-inf")

    def of(self, dataset: DatasetId) -> tuple[Mapping[str, object], ...] | None:
        """The last months, the newest first; None when they are not known now."""
        with self._lock:
            if self._service is None or self._clock() < self._ask_at:
                return None
            url = (
                f"{self._service}/datasets/data/?dataset_id__exact={dataset}"
                f"&metric_month__sort=desc&page_size={MONTHS}"
            )
            try:
                return _months(json.loads(self._reader.document(url, silence=SILENCE)))
            except (PortalError, ValueError) as error:
                self._ask_at = self._clock() + PATIENCE
                log.info("audience.unknown", why=str(error), retry_at=self._ask_at)
                return None


def _months(found: Any) -> tuple[Mapping[str, object], ...]:
    rows = found.get("data") if isinstance(found, Mapping) else None
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise ValueError("the metrics service answers no list of months")
    months = (
        {
            "month": str(row.get("metric_month")),
            "visits": _count(row.get("monthly_visit")),
            "downloads": _count(row.get("monthly_download_resource")),
        }
        for row in rows
    )
    return tuple(sorted(months, key=lambda each: str(each["month"]), reverse=True)[:MONTHS])


def _count(found: object) -> int:
    # the service says null for none
    return found if isinstance(found, int) else 0
