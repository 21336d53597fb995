"""Says how far the uploads are that take long: a log line now and then, and one sentence."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from publisher_daemon.naming import readable
from publisher_daemon.reconcile.flowing import Transfer, Transfers

log = structlog.get_logger(__name__)

#: How often the log has a line about each upload that is under way, in seconds.
LINE_EVERY = 30.0
#: How many uploads are named in the sentence.
_NAMED = 3


class ProgressTeller:
    """Tells of the uploads under way; looked at often, it speaks seldom."""

    def __init__(
        self, transfers: Transfers, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._transfers = transfers
        self._monotonic = monotonic
        #: when each was last told of
        self._told: dict[int, float] = {}

    def tell(self) -> None:
        """Write a log line for each that has gone on for as long since the last one."""
        now, told = self._monotonic(), self._told
        self._told = {}
        for transfer in self._transfers.now():
            last = told.get(id(transfer), transfer.began)
            if now - last >= LINE_EVERY:
                last = now
                left = transfer.seconds_left(now)
                log.info(
                    "upload.progressed",
                    dataset=transfer.key.dataset,
                    folder=transfer.key.folder,
                    path=readable(transfer.key.path),
                    size=transfer.size,
                    sent=transfer.sent,
                    bytes_per_second=round(transfer.rate(now)),
                    seconds_left=None if left is None else round(left),
                )
            self._told[id(transfer)] = last

    def sentence(self) -> str | None:
        """What is going out now, in a sentence; None when nothing is that takes long."""
        now = self._monotonic()
        going = [one for one in self._transfers.now() if now - one.began >= 1]
        if not going:
            return None
        named = "; ".join(_told(one, now) for one in going[:_NAMED])
        more = f"; {len(going) - _NAMED} more" if len(going) > _NAMED else ""
        return f"Sending {named}{more}."


def _told(transfer: Transfer, now: float) -> str:
    name = readable(transfer.key.path)
    if transfer.sent >= transfer.size:
        return f"{name}: all sent, waiting for the portal's answer"
    percent = f"{100 * transfer.sent / transfer.size:.0f} %"
    left = transfer.seconds_left(now)
    rate = f"{transfer.rate(now) / 1e6:.1f} MB/s"
    return f"{name}: {percent}, {rate}" + ("" if left is None else f", {_duration(left)} left")


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
