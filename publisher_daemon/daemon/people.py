"""Keeps people told: finds what concerns them, decides, writes, sends, and remembers."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

from publisher_daemon.alerts import (
    Bounds,
    Concern,
    Decision,
    Letter,
    Memory,
    Post,
    Writer,
    decide,
)
from publisher_daemon.daemon.concerns import Looking
from publisher_daemon.daemon.office import Office
from publisher_daemon.log import redact
from publisher_daemon.words import Words

if TYPE_CHECKING:
    from publisher_daemon.metrics.numbers import Metrics

#: The name under which the ledger keeps what people were told.
KEPT = "alerts"


class People:
    """Who is told of one configuration's troubles."""

    def __init__(self, office: Office, metrics: Metrics | None) -> None:
        settings = office.settings
        kept = office.ledger.cache_get(KEPT)
        self._ledger = office.ledger
        self._memory = Memory.from_json(kept[0]) if kept else Memory(time.time())
        self._kept = kept[0] if kept else ""
        self._looking = Looking(office, self._memory.first)
        patience = settings.alerts.patience
        self._bounds = Bounds(settings.alerts.digest_every, calm=patience, gap=patience)
        self._post = Post(
            settings.alerts.addresses(),
            lambda well: metrics.sent(well=well) if metrics else None,
        )
        self._writer = Writer(
            Words(settings.daemon.language),
            host=socket.gethostname(),
            contact=settings.alerts.contact,
            timezone=settings.daemon.timezone,
        )

    def round(self, key_ends: float | None) -> tuple[Concern, ...]:
        """Tell what is due; what concerns people now. Raises LedgerBroken."""
        now = time.time()
        concerns = self._looking.concerns(now, key_ends)
        if self._post.addresses:
            self._write(decide(self._memory, concerns, now, self._bounds), now)
            self._keep(now)  # a crash while sending sends once more, never not at all
            if self._post.deliver(self._memory, now):
                self._keep(now)
        elif not self._kept:
            self._keep(now)
        return concerns

    def _write(self, decision: Decision, now: float) -> None:
        written = [
            *([self._writer.begun(decision.begun)] if decision.begun else []),
            *([self._writer.digest(decision.digest)] if decision.digest else []),
            *([self._writer.over(decision.over)] if decision.over else []),
        ]
        self._memory.letters += [
            Letter(now, redact(subject), redact(body), self._post.addresses)
            for subject, body in written
        ]

    def _keep(self, now: float) -> None:
        text = self._memory.as_json()
        if text != self._kept:
            self._ledger.cache_put(KEPT, text, now)
            self._kept = text
