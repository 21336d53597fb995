"""What the ledger gives back beside the model's values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from publisher_daemon.model import DatasetId, ResourceId, ResourceKey


@dataclass(frozen=True, slots=True)
class DatasetFacts:
    """What ``status`` says of a dataset without asking the portal."""

    dataset: DatasetId
    title: str | None = None
    page: str | None = None
    slug: str | None = None
    organization: str | None = None
    private: bool | None = None
    last_pass: float | None = None
    last_refresh: float | None = None
    trouble: str | None = None
    trouble_since: float | None = None
    trouble_code: str | None = None
    #: why the last refresh of its metadata did not go through
    refresh_trouble: str | None = None
    #: how often in a row, and when it is tried again by itself
    refresh_failures: int = 0
    refresh_retry_at: float | None = None
    #: the settings it was refreshed under, or tried
    refresh_settings: str = ""
    #: what would raise its quality score on the portal, in words
    missing: tuple[str, ...] = ()
    #: the score itself, from 0 to 1, and why the portal shows it as late
    quality: float | None = None
    late: str | None = None
    #: the organisation's name
    owner: str | None = None
    #: as the portal counts them; None where it does not
    reuses: int | None = None
    views: int | None = None
    downloads: int | None = None
    #: the last months, newest first: {"month", "visits", "downloads"}; empty where nobody counts
    months: tuple[Mapping[str, object], ...] = ()
    #: fields a colleague changed and that stay so: {"field", "ours", "theirs"}
    drifts: tuple[Mapping[str, object], ...] = ()
    #: fields that wait for a person: the same, and "why"
    held_fields: tuple[Mapping[str, object], ...] = ()
    #: the same of the words of resources, with "path" and "folder"; "why" is None
    #: where a colleague's is kept, and only held ones wait for a person
    resource_words: tuple[Mapping[str, object], ...] = ()
    #: files that the portal could not use: {"title", "url", "why"}
    problems: tuple[Mapping[str, object], ...] = ()


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One thing that was done, or that failed."""

    id: int
    at: float
    key: ResourceKey
    action: str
    resource: ResourceId | None
    sha1: str | None
    size: int | None
    detail: Mapping[str, object] = field(default_factory=dict)

    @property
    def http_status(self) -> int | None:
        """The status of the portal's answer, when there was one that mattered."""
        found = self.detail.get("http_status")
        return found if isinstance(found, int) else None

    @property
    def sentry_id(self) -> str | None:
        """The portal's own number for the error."""
        return _text(self.detail.get("sentry_id"))

    @property
    def trace_id(self) -> str | None:
        """Our number for the request."""
        return _text(self.detail.get("trace_id"))


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line asks of the running service."""

    verb: str
    dataset: DatasetId | None
    path: str | None
    detail: str | None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
