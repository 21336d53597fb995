"""The settings as the service has them: frozen values without pydantic, which stays where it reads.

pydantic and pydantic-settings take 20 MiB, and are wanted for a second in a month. What they found
right is carried over into these values, field by field, by the same names; every default and bound
is theirs (``_models``). Secrets are shown by no ``repr``.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from publisher_daemon import model
from publisher_daemon.config._texts import read_description
from publisher_daemon.naming import extra

#: the portals whose visits are counted by a service of their own
_METRICS_SERVICES = {"https://www.data.gouv.fr": "https://metric-api.data.gouv.fr/api"}
#: a part of an address as long as this may be a token
_TOKEN_LENGTH = 12
#: what of a page's section are no metadata
_NOT_METADATA = {
    "id",
    "create",
    "organization",
    "datasets",
    "refresh",
    "refresh_every",
    "timezone",
    "on_drift",
    "description_file",
}


@dataclass(frozen=True, slots=True)
class Secret:
    """A text that nobody gets to see by accident."""

    text: str = field(repr=False)


def dumped(value: Any) -> Any:
    """The same in JSON's words; a secret only as one."""
    if dataclasses.is_dataclass(value):
        if isinstance(value, Secret):
            return "*" * 10 if value.text else ""
        return {each.name: dumped(getattr(value, each.name)) for each in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [dumped(each) for each in value]
    return str(value) if isinstance(value, Path) else value


def _said(value: Any) -> Any:
    """The same without what is not said."""
    if isinstance(value, dict):
        return {name: _said(each) for name, each in value.items() if each is not None}
    return [_said(each) for each in value] if isinstance(value, list) else value


@dataclass(frozen=True, slots=True)
class PortalSettings:
    """[portal]: where to publish, and with which key."""

    url: str
    api_key_file: Path | None
    api_key: Secret | None
    ca_file: Path | None
    proxy: str | None
    part_size: int
    longest_request: float
    metrics_api: str

    @property
    def metrics_url(self) -> str | None:
        """Where visits are counted by month; None where nothing counts them."""
        if self.metrics_api != "auto":
            return None if self.metrics_api == "off" else self.metrics_api
        return _METRICS_SERVICES.get(self.url)


@dataclass(frozen=True, slots=True)
class DaemonSettings:
    """[daemon]: how the service itself runs."""

    state_dir: Path
    workers: int
    rescan_every: float
    audit_every: float
    timezone: str
    log_level: Literal["debug", "info", "warning", "error"]
    log_format: Literal["auto", "json", "console", "journal"]
    language: Literal["en", "fr"]
    on_drift: Literal["keep", "enforce"]
    grace: float
    keep_history: float
    keep_versions: float
    versions_quota: int
    max_upload: float | None
    max_upload_hours: tuple[str, ...]
    large_file: int
    large_file_hours: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """[metrics]: numbers for Prometheus; off unless one of these is set."""

    listen: str | None
    textfile: Path | None

    @property
    def wanted(self) -> bool:
        """Whether anything is to be counted."""
        return self.listen is not None or self.textfile is not None


@dataclass(frozen=True, slots=True)
class AlertsSettings:
    """[alerts]: who is told, outside of the log, what needs them."""

    to: tuple[Secret, ...]
    contact: str | None
    patience: float
    digest_every: float
    heartbeat: Secret | None
    heartbeat_every: float

    def addresses(self) -> tuple[str, ...]:
        """Where messages go, passwords included: for sending, and for nothing else."""
        return tuple(one.text for one in self.to)

    def secrets(self) -> tuple[str, ...]:
        """What the log must hide of them."""
        every = (*self.to, *([self.heartbeat] if self.heartbeat else []))
        found: list[str] = []
        for address in (one.text for one in every):
            parts = urlsplit(address)
            found += [address, unquote(address)]
            # the user's name is none: mail addresses stand in headers
            found += [part for part in (parts.password, unquote(parts.password or "")) if part]
            found += [part for part in parts.path.split("/") if len(part) >= _TOKEN_LENGTH]
        return tuple(found)


@dataclass(frozen=True, slots=True)
class RuleSettings:
    """[[folders.resources]]: what to say of the files that match."""

    match: str
    resource: str | None
    title: str | None
    description: str | None
    description_file: Path | None
    type: Literal["main", "documentation", "update", "api", "code", "other"] | None
    schema_name: str | None
    extras: Mapping[str, Any] | None
    table_schema: Path | None
    keep: str
    order: tuple[str, ...]
    when_left: Literal["keep", "withdraw"] | None
    publish_after: str | None
    expect: str | None

    def text(self) -> str | None:
        """The description, from the configuration or from its file; raises ConfigInvalid."""
        if self.description_file is not None:
            return read_description(self.description_file)
        return self.description

    def said_extras(self) -> tuple[tuple[str, str], ...]:
        """The extras, as the core has them."""
        return tuple(sorted((name, extra(value)) for name, value in (self.extras or {}).items()))

    def rule(self) -> model.Rule:
        """The same, as the core's value."""
        keep: Literal["each", "latest", "last"] = "last"
        if self.keep in {"each", "latest"}:
            keep = "each" if self.keep == "each" else "latest"
        return model.Rule(
            match=self.match,
            resource=None if self.resource is None else model.ResourceId(self.resource),
            words=model.Words(
                self.title, self.text(), self.type, self.schema_name, self.said_extras()
            ),
            table_schema=None if self.table_schema is None else str(self.table_schema),
            keep=keep,
            last=int(self.keep.partition(":")[2] or 1),
            order=self.order,
            when_left=self.when_left,
            publish_after=self.publish_after,
            expect=self.expect,
        )


@dataclass(frozen=True, slots=True)
class ChecksSettings:
    """[folders.checks]: what is looked at before a file goes out."""

    mode: Literal["hold", "warn", "off"]
    fewer_rows: float
    columns: Literal["hold", "warn", "off"]
    secrets: Literal["hold", "warn", "off"]
    schema_rule: Literal["hold", "warn", "off"]
    approvals: Path | None
    first_publication: Literal["publish", "ask"]

    def checks(self) -> model.Checks:
        """The same, as the core's value."""
        return model.Checks(
            mode=self.mode,
            fewer_rows=self.fewer_rows,
            columns=self.columns,
            secrets=self.secrets,
            schema=self.schema_rule,
            approvals=None if self.approvals is None else str(self.approvals),
            first_publication=self.first_publication,
        )


@dataclass(frozen=True, slots=True)
class FolderSettings:
    """[[folders]]: one directory and the dataset it feeds."""

    path: Path
    dataset: str
    name: str | None
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    observe: Literal["auto", "events", "polling"]
    poll_every: float
    stalled_after: float
    quiet: float
    ready_marker: str | None
    empty_files: Literal["refuse", "publish"]
    when_deleted: Literal["keep", "withdraw"]
    withdraw_after: float
    max_withdraw: float
    answer_dir: Path | None
    expect: str | None
    resources: tuple[RuleSettings, ...]
    checks: ChecksSettings
    quiet_hours: tuple[str, ...]

    @property
    def label(self) -> str:
        """Its name: the one configured, or the directory's own."""
        return self.name or self.path.name or "root"

    def watch(self, dataset: model.DatasetId) -> model.Watch:
        """The same, as the core's value."""
        return model.Watch(
            name=self.label,
            path=str(self.path),
            dataset=dataset,
            include=self.include,
            exclude=self.exclude,
            observe=self.observe,
            poll_every=self.poll_every,
            stalled_after=self.stalled_after,
            quiet=self.quiet,
            ready_marker=self.ready_marker,
            empty_files=self.empty_files,
            when_deleted=self.when_deleted,
            withdraw_after=self.withdraw_after,
            max_withdraw=self.max_withdraw,
            rules=tuple(rule.rule() for rule in self.resources),
            expect=self.expect,
            checks=self.checks.checks(),
            quiet_hours=self.quiet_hours,
        )


@dataclass(frozen=True, slots=True)
class CoverageSettings:
    """temporal_coverage: the period the data is about."""

    start: str
    end: str | None


@dataclass(frozen=True, slots=True)
class SpatialSettings:
    """spatial: the territory the data is about."""

    zones: tuple[str, ...] | None
    granularity: str | None
    geom: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class AudienceSettings:
    """access_audiences: who may have data that are not open to all, and on which condition."""

    role: Literal["local_authority_and_administration", "company_and_association", "private"]
    condition: Literal["yes", "no", "under_condition"]


@dataclass(frozen=True, slots=True)
class PageSettings:
    """What every section has that is kept in step with a page of the portal."""

    refresh: str | None
    refresh_every: float | None
    timezone: str | None
    on_drift: Literal["keep", "enforce"] | None
    description: str | None
    description_file: Path | None

    @property
    def name(self) -> str:
        """What it is called in the configuration."""
        raise NotImplementedError

    def said_inline(self) -> dict[str, object]:
        """The metadata that stands in the configuration itself."""
        said: dict[str, object] = _said(dumped(self))
        return {name: value for name, value in said.items() if name not in _NOT_METADATA}

    def digested(self) -> str:
        """All that is configured of it, as one text that changes when it does."""
        return json.dumps(dumped(self), separators=(",", ":"), ensure_ascii=False)

    def said(self) -> dict[str, object]:
        """The metadata that is named, in the portal's words; computed values as written."""
        said = self.said_inline()
        if self.description_file is not None:
            said["description"] = read_description(self.description_file)
        return said


@dataclass(frozen=True, slots=True)
class DatasetSettings(PageSettings):
    """[[datasets]]: metadata kept in step; what is not named is never touched."""

    id: str
    create: bool
    organization: str | None
    title: str | None
    acronym: str | None
    description_short: str | None
    tags: tuple[str, ...] | None
    license: str | None
    frequency: str | None
    frequency_date: str | None
    temporal_coverage: CoverageSettings | None
    spatial: SpatialSettings | None
    contact_points: tuple[str, ...] | None
    private: bool | None
    access_type: Literal["open", "open_with_account", "restricted"] | None
    access_type_reason_category: str | None
    access_type_reason: str | None
    authorization_request_url: str | None
    access_audiences: tuple[AudienceSettings, ...] | None
    extras: Mapping[str, Any] | None

    @property
    def name(self) -> str:
        """What it is called in the configuration."""
        return self.id


@dataclass(frozen=True, slots=True)
class OrganizationSettings(PageSettings):
    """[[organizations]]: an organisation's page."""

    id: str
    acronym: str | None
    url: str | None

    @property
    def name(self) -> str:
        """What it is called in the configuration."""
        return self.id


@dataclass(frozen=True, slots=True)
class ReuseSettings(PageSettings):
    """[[reuses]]: a reuse, declared once and kept in step; its address is what it is known by."""

    url: str
    organization: str | None
    datasets: tuple[str, ...]
    title: str | None
    type: str | None
    topic: str | None
    tags: tuple[str, ...] | None

    @property
    def name(self) -> str:
        """What it is called in the configuration."""
        return self.url
