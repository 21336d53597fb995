"""One circuit breaker for the whole portal: when it is down, one polite request finds out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from publisher_daemon.errors import CredentialRefused, PortalBusy, PortalError
from publisher_daemon.retry import Kind, next_try

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Closed:
    """Why nothing goes to the portal now, and until when."""

    until: float
    why: str
    #: what to do about it; None: nothing but wait
    hint: str | None
    credential: bool
    failures: int
    #: since when without a break
    since: float

    @property
    def sentence(self) -> str:
        """Why, and what to do."""
        return f"{self.why}. {self.hint}" if self.hint else self.why


class Gate:
    """Opens while the portal answers; after a failure lets one probe through at a time.

    Not durable on purpose: a restart probes at once, which is what a person who restarts wants.
    """

    def __init__(self, clock: Callable[[], float], jitter: Callable[[], float]) -> None:
        self._clock = clock
        self._jitter = jitter
        self._lock = threading.Lock()
        self._closed: Closed | None = None
        self._probing = False

    @property
    def closed(self) -> Closed | None:
        """Why the gate is closed; None when it is open."""
        return self._closed

    def enter(self) -> float | None:
        """Ask to talk to the portal: None is yes, else the instant to ask again."""
        with self._lock:
            wait = self._wait()
            if wait is None and self._closed is not None:
                self._probing = True
            return wait

    def waits(self) -> float | None:
        """The instant to ask again, without asking; None when somebody may ask now."""
        with self._lock:
            return self._wait()

    def _wait(self) -> float | None:
        if self._closed is None:
            return None
        now = self._clock()
        if now >= self._closed.until and not self._probing:
            return None
        return max(self._closed.until, now + 0.5)

    def answered(self) -> None:
        """The portal answered as it should: open."""
        with self._lock:
            was, self._closed, self._probing = self._closed, None, False
        if was is not None:
            log.info("portal.returned", why=was.why)

    def forget(self) -> None:
        """Ask again at once: the instant until which it is closed means nothing any more."""
        with self._lock:
            if self._closed is not None:
                self._closed = replace(self._closed, until=self._clock())

    def left(self) -> None:
        """Whoever entered is gone without having learned anything."""
        with self._lock:
            self._probing = False

    def failed(self, error: PortalError) -> Closed:
        """The portal does not answer, or refuses the key: close, longer each time."""
        credential = isinstance(error, CredentialRefused)
        retry_after = error.retry_after if isinstance(error, PortalBusy) else None
        kind = Kind.CREDENTIAL if credential else Kind.UNREACHABLE
        if isinstance(error, PortalBusy):
            kind = Kind.BUSY
        with self._lock:
            failures = (self._closed.failures if self._closed else 0) + 1
            now = self._clock()
            until = next_try(failures, kind, now, self._jitter(), retry_after=retry_after)
            since = self._closed.since if self._closed else now
            self._closed = Closed(
                until or now + 60.0, str(error), error.hint, credential, failures, since
            )
            self._probing = False
            closed = self._closed
        event = "credential.refused" if credential else "portal.unreachable"
        if retry_after is not None or error.status == 429:
            event = "portal.throttled"  # it answers, and says when it wants to be asked again
        log.warning(
            event,
            why=closed.why,
            hint=closed.hint,
            attempt=failures,
            retry_at=closed.until,
            http_status=error.status,
            sentry_id=error.sentry_id,
        )
        return closed
