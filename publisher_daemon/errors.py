"""Every failure, sorted by what the caller does next.

::

    PublisherError
    ├─ ConfigInvalid        a person edits the file; exit 78
    ├─ FolderUnreadable     hold the folder; never read as "empty"
    │  ├─ FolderGone        the folder itself is missing or is another one
    │  └─ FolderStalled     the file system does not answer
    ├─ FileUnreadable       hold this file; the others go on
    ├─ SourceChanged        look again; not a failure
    ├─ LedgerBroken         stop the process
    │  ├─ LedgerUnwell      its disk is full, or fails: the service waits, and starts anew
    │  └─ LedgerBusy        another instance holds it; exit 1
    └─ PortalError
       ├─ PortalUnreachable nothing happened: try later; exit 75
       │  └─ PortalBusy     the same, and the portal said when
       ├─ OutcomeUnknown    maybe it happened: look before acting
       ├─ PortalRefused     hold until the file or the settings change
       │  └─ NotThere       what was addressed does not exist (404, 410)
       └─ CredentialRefused stop all publishing; exit 77

A docstring is the default message; ``hint`` is the remedy, in a sentence a person can act on.
"""

from __future__ import annotations

from dataclasses import dataclass


class PublisherError(Exception):
    """Something went wrong."""

    def __init__(self, message: str | None = None, *, hint: str | None = None) -> None:
        self.message = message or (self.__doc__ or "").strip()
        self.hint = hint
        super().__init__(self.message)

    @property
    def sentence(self) -> str:
        """What went wrong, and the remedy when there is one."""
        if not self.hint:
            return self.message
        stop = "" if self.message.endswith((".", "!", "?", "…")) else "."
        return f"{self.message}{stop} {self.hint}"


class ConfigInvalid(PublisherError):
    """The configuration cannot be used."""


class FolderUnreadable(PublisherError):
    """The folder cannot be read."""


class FolderGone(FolderUnreadable):
    """The folder is missing, or another one stands in its place."""


class FolderStalled(FolderUnreadable):
    """The folder's file system does not answer."""


class FileUnreadable(PublisherError):
    """The file cannot be read."""


class SourceChanged(PublisherError):
    """The file changed while it was being read."""


class LedgerBroken(PublisherError):
    """The ledger cannot be read or written."""


class LedgerUnwell(LedgerBroken):
    """The ledger cannot be read or written."""


class LedgerBusy(LedgerBroken):
    """Another instance already uses this state directory."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer, redacted: what the portal's support asks for.

    Source: the portal's API guide, section "Support". ``sentry_id`` is the answer's ``X-Sentry-ID``
    when there is one; ``trace_id`` is ours (32 hex digits) and always there.
    """

    method: str
    url: str
    at: str
    trace_id: str
    reason: str = ""
    request_headers: tuple[tuple[str, str], ...] = ()
    status: int | None = None
    answer_headers: tuple[tuple[str, str], ...] = ()
    answer_body: str = ""
    sentry_id: str | None = None


class PortalError(PublisherError):
    """The portal did not do what was asked."""

    def __init__(
        self,
        message: str | None = None,
        *,
        hint: str | None = None,
        exchange: Exchange | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.exchange = exchange

    @property
    def status(self) -> int | None:
        """The HTTP status of the answer; None when there was none."""
        return self.exchange.status if self.exchange else None

    @property
    def sentry_id(self) -> str | None:
        """The portal's own number for this error, when it gave one."""
        return self.exchange.sentry_id if self.exchange else None


class PortalUnreachable(PortalError):
    """The portal does not answer; nothing was changed there."""


class PortalBusy(PortalUnreachable):
    """The portal asks to come back later; nothing was changed there."""

    def __init__(
        self,
        message: str | None = None,
        *,
        hint: str | None = None,
        exchange: Exchange | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, hint=hint, exchange=exchange)
        #: seconds the portal asks to wait (``Retry-After``); None when it did not say
        self.retry_after = retry_after


class OutcomeUnknown(PortalError):
    """The portal may have done it: look before acting."""


class PortalRefused(PortalError):
    """The portal refuses this, and will refuse it again."""


class NotThere(PortalRefused):
    """What was addressed does not exist on the portal."""


class CredentialRefused(PortalError):
    """The portal refuses the API key."""
