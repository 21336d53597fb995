"""Brings a file's bytes to the portal: in one request, or in parts that go on where they stopped.

What makes parts safe, since what is published cannot be taken back:

- A part publishes nothing. Before its last block goes, the ledger knows that it may be there, and
  the sha1 of the file up to its end. Whoever goes on reads the file again and compares: all parts
  are of the same bytes, or they are all sent again.
- Putting them together publishes. It is asked for once all the bytes have passed here, their sha1
  is the planned one and the file still stands as it stood; its outcome is found out as that of a
  whole upload is, by the attempt. Asked again with the same uuid it cannot make a second resource:
  the portal has used up the parts.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import structlog

from publisher_daemon.dividing import (
    JUDGED_AFTER,
    SMALLEST_PART,
    division,
    goes_on,
    is_too_slow,
    mib,
    part_size,
    too_slow,
)
from publisher_daemon.errors import (
    OutcomeUnknown,
    PortalBusy,
    PortalError,
    PortalRefused,
    PortalUnreachable,
    SourceChanged,
)
from publisher_daemon.model import (
    Attempt,
    Line,
    Parcel,
    Policy,
    RemoteResource,
    ResourceId,
    SourceFile,
)
from publisher_daemon.naming import readable
from publisher_daemon.reconcile.flowing import Flow, Throttle, Transfer, Transfers
from publisher_daemon.reconcile.ports import Ledger, Portal, Source
from publisher_daemon.reconcile.turn import Pass, StopPass

log = structlog.get_logger(__name__)

Block = bytes | bytearray | memoryview
#: How much the newest rate counts beside the older ones.
_NEWEST = 0.5


class Divided(Exception):
    """One request cannot do it, and nothing was published by it: the parts come next."""


class Sent(NamedTuple):
    """What the portal has now, and how it came there, for the log and ``history``."""

    resource: RemoteResource
    how: dict[str, object]


class Sender:
    """Sends files; safe for several threads."""

    def __init__(
        self,
        portal: Portal,
        ledger: Ledger,
        *,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        new_parcel: Callable[[], str],
        stopping: Callable[[], bool],
        throttle: Throttle,
        transfers: Transfers,
    ) -> None:
        self._portal = portal
        self._ledger = ledger
        self._clock = clock
        self._monotonic = monotonic
        self._new_parcel = new_parcel
        self._stopping = stopping
        self._throttle = throttle
        self._transfers = transfers
        self._lock = threading.Lock()
        self._line: Line | None = None

    def send(
        self,
        run: Pass,
        attempt: Attempt,
        source: Source,
        file: SourceFile,
        target: ResourceId | None,
    ) -> Sent:
        """Send the bytes to a new resource, or to the one they replace.

        Raises Divided when they must go in parts after all: ask again, with a new attempt.
        """
        try:
            with self._transfers.under_way(file.key, source.size, self._monotonic()) as transfer:
                parcel = self._parcel(run, file)
                if parcel is None:
                    found = self._in_one_request(run, attempt, source, file, target, transfer)
                    return Sent(found, {})
                found = self._in_parts(run, attempt, source, file, target, parcel, transfer)
                return Sent(found, {"parts": parcel.total, "why": parcel.why})
        except OutcomeUnknown as error:
            if error.status == 500:  # udata's own answer: it is at rest
                run.answered.add(attempt.id)
            raise

    # -------------------------------------------------------------------------------- one request

    def _in_one_request(  # noqa: PLR0917 - as send, and who shows it
        self,
        run: Pass,
        attempt: Attempt,
        source: Source,
        file: SourceFile,
        target: ResourceId | None,
        transfer: Transfer,
    ) -> RemoteResource:
        def before_last_byte() -> None:
            self._measured(flow.taken, flow.seconds_of_line(), run.policy)
            self._ledger.sent(attempt, now=self._clock())

        judge = _Judge(source.size, run.policy)
        flow = Flow(source, self._throttle, transfer, self._monotonic, judge)
        sending = (flow, file.fingerprint, file.name, before_last_byte)
        try:
            if target is None:
                return self._portal.upload(run.dataset, *sending)
            return self._portal.replace(run.dataset, target, *sending)
        except _TooSlow as slow:
            self._divide(run, file, too_slow(file.fingerprint.size, slow.rate, run.policy))
            raise Divided(str(slow)) from None
        except PortalRefused as refused:
            if refused.status != 413 or file.fingerprint.size <= SMALLEST_PART:
                raise
            self._refused(file.fingerprint.size)
            why = f"The portal refused it in one request for its size ({refused.message})."
            if not self._divide(run, file, why):
                raise
            raise Divided(refused.message) from refused
        except PortalUnreachable as error:
            if not isinstance(error, PortalBusy) and flow.taken:
                self._divide(
                    run,
                    file,
                    f"The request for it was cut after {mib(flow.taken)} ({error.message}).",
                )
            raise

    # -------------------------------------------------------------------------------------- parts

    def _parcel(self, run: Pass, file: SourceFile) -> Parcel | None:
        """The parts to go on with, or to begin with; None: one request."""
        kept = self._ledger.parcel(file.key)
        if kept is not None and goes_on(kept, file.fingerprint, self._clock()):
            return kept
        found = division(file.fingerprint.size, self.line(), run.policy, self._clock())
        if found is not None:
            return self._begun(file, found.size, found.why)
        if kept is not None:
            self._ledger.drop_parcel(file.key)
        return None

    def _divide(self, run: Pass, file: SourceFile, why: str) -> bool:
        """Let the file go in parts from now on; False when it cannot."""
        size = part_size(run.policy, self.line().refused)
        if size is None or file.fingerprint.size <= size:
            return False
        self._begun(file, size, why)
        return True

    def _begun(self, file: SourceFile, size: int, why: str) -> Parcel:
        parcel = Parcel(file.key, self._new_parcel(), file.fingerprint, size, why, at=self._clock())
        self._ledger.keep_parcel(parcel)
        log.info(
            "upload.divided",
            path=readable(file.key.path),
            size=file.fingerprint.size,
            parts=parcel.total,
            part_size=size,
            why=why,
        )
        return parcel

    def _in_parts(  # noqa: PLR0917 - as send, the parcel, and who shows it
        self,
        run: Pass,
        attempt: Attempt,
        source: Source,
        file: SourceFile,
        target: ResourceId | None,
        parcel: Parcel,
        transfer: Transfer,
    ) -> RemoteResource:
        digest = hashlib.sha1(usedforsecurity=False)
        if parcel.sent:
            if _same_bytes(source, parcel, digest):
                log.info(
                    "upload.resumed",
                    path=readable(file.key.path),
                    part=parcel.sent,
                    parts=parcel.total,
                    why=parcel.why,
                )
            else:
                digest = hashlib.sha1(usedforsecurity=False)
                parcel = self._begun(file, parcel.part_size, parcel.why)
        # the last one whose end was let go may have been lost: it goes again
        transfer.skipped = parcel.stretch(max(parcel.sent - 1, 0))[0]
        flow = Flow(source, self._throttle, transfer, self._monotonic)
        try:
            parcel = self._send_parts(run, flow, file, target, parcel, digest)
        except PortalRefused as refused:
            if refused.status != 413:
                raise
            self._refused(parcel.part_size)
            why = f"The portal refused a part of {mib(parcel.part_size)} for its size."
            if not self._divide(run, file, why):
                self._ledger.drop_parcel(file.key)
                raise
            raise Divided(refused.message) from refused
        source.check()
        self._ledger.sent(attempt, now=self._clock())
        try:
            found = self._portal.assemble(run.dataset, target, parcel, file.name)
        except OutcomeUnknown:
            self._ledger.keep_parcel(replace(parcel, failures=parcel.failures + 1))
            raise
        self._ledger.drop_parcel(file.key)
        return found

    def _send_parts(  # noqa: PLR0917 - as _in_parts, and the sha1 of what is there
        self,
        run: Pass,
        flow: Flow,
        file: SourceFile,
        target: ResourceId | None,
        parcel: Parcel,
        digest: hashlib._Hash,
    ) -> Parcel:
        """Send what is missing; returns the parcel with everything sent. Raises PortalError."""
        first = max(parcel.sent - 1, 0)
        resent = parcel.sent > 0
        #: the parcel as it was at the first of the parts that may not be there
        doubted: Parcel | None = None
        try:
            for index in range(first, parcel.total):
                self._go_on()
                part = _Part(self._ledger, self._clock, parcel, index, digest)
                doubt: OutcomeUnknown | None = None
                # udata says 500 of a part that it has, so one more 500 is taken for that
                for _ in range(1 if resent and index == first else 2):
                    part.begin()
                    doubt = self._portal.put_part(
                        run.dataset, target, parcel, index, flow, file.name, part.see, part.keep
                    )
                    if doubt is None:
                        break
                parcel, digest = part.parcel, part.digest
                if doubt is None:
                    doubted = None
                    start, stop = parcel.stretch(index)
                    self._measured(stop - start, flow.seconds_of_line(), run.policy)
                elif doubted is None:
                    doubted = parcel
                else:
                    raise doubt
        except (PortalError, SourceChanged, StopPass):
            if doubted is not None:
                self._ledger.keep_parcel(doubted)
            raise
        if digest.hexdigest() != file.fingerprint.sha1:
            self._ledger.drop_parcel(file.key)
            raise SourceChanged("its parts are not the bytes that were read before")
        return parcel

    def _go_on(self) -> None:
        """Raise StopPass between two parts, where nothing is lost by it."""
        if self._stopping():
            raise StopPass("the daemon is stopping", None, "stopping")

    # --------------------------------------------------------------------------- what is measured

    def line(self) -> Line:
        """What was learned of the way to the portal, in this life or an earlier one."""
        with self._lock:
            if self._line is None:
                self._line = self._ledger.line()
            return self._line

    def _measured(self, size: int, seconds: float, policy: Policy) -> None:
        """Learn the rate from something large that went well."""
        if size < policy.part_size // 2 or seconds <= 0:
            return
        line, rate = self.line(), size / seconds
        if line.rate is not None:
            rate = _NEWEST * rate + (1 - _NEWEST) * line.rate
        # written when it would matter: a commit for each part is enough
        moved = line.rate is None or not 0.5 < rate / line.rate < 2
        self._learn(line._replace(rate=rate), keep=moved)

    def _refused(self, size: int) -> None:
        line = self.line()
        smallest = size if line.refused is None else min(size, line.refused)
        self._learn(line._replace(refused=smallest, refused_at=self._clock()), keep=True)

    def _learn(self, line: Line, *, keep: bool) -> None:
        with self._lock:
            self._line = line
        if keep:
            self._ledger.keep_line(line, now=self._clock())


class _Part:
    """One part while it is sent: its bytes are noted, and the ledger knows before it is there."""

    def __init__(
        self,
        ledger: Ledger,
        clock: Callable[[], float],
        parcel: Parcel,
        index: int,
        before: hashlib._Hash,
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._index = index
        self._before = before
        self.parcel = parcel
        self.digest = before

    def begin(self) -> None:
        """Start, or start again: none of its bytes have passed."""
        self.digest = self._before.copy()

    def see(self, block: Block) -> None:
        """Take note of bytes that pass."""
        self.digest.update(block)

    def keep(self) -> None:
        """Commit that it may be there from now on."""
        self.parcel = replace(
            self.parcel, sent=self._index + 1, prefix=self.digest.hexdigest(), at=self._clock()
        )
        self._ledger.keep_parcel(self.parcel)


class _TooSlow(Exception):
    """The request that is under way would take longer than it may."""

    def __init__(self, rate: float) -> None:
        super().__init__(f"{mib(int(rate))} a second")
        self.rate = rate


class _Judge:
    """Ends a request that would take too long."""

    def __init__(self, size: int, policy: Policy) -> None:
        self._size = size
        self._policy = policy
        self._judged = size <= policy.part_size

    def __call__(self, taken: int, seconds: float) -> None:
        if self._judged or seconds < JUDGED_AFTER:
            return
        # once: later, what is sent already weighs more than what parts would save
        self._judged = True
        if is_too_slow(self._size, taken, seconds, self._policy):
            raise _TooSlow(taken / seconds)


def _same_bytes(source: Source, parcel: Parcel, digest: hashlib._Hash) -> bool:
    """Read up to the last part that went, whose bytes stay out of the digest: it goes again.

    False when the file does not begin with the bytes that were sent.
    """
    start, stop = parcel.stretch(parcel.sent - 1)
    for block in source.blocks(stop=start):
        digest.update(block)
    seen = digest.copy()
    for block in source.blocks(start=start, stop=stop):
        seen.update(block)
    return seen.hexdigest() == parcel.prefix
