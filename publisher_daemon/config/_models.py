"""The settings themselves: one class a section, one field a setting; frozen, unknown keys refused.

Every default, bound and choice that a person can meet is here and in
docs/reference/configuration.md; a test compares the two.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr, StrictBool
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from publisher_daemon import model
from publisher_daemon.config._forms import (
    Computing,
    Contact,
    Cron,
    Dataset,
    Day,
    Duration,
    DurationOrZero,
    Expect,
    Extras,
    Frequency,
    Heartbeat,
    Hours,
    Keep,
    Listen,
    Marker,
    Match,
    MetricsApi,
    NotBlank,
    ObjectId,
    Outline,
    PartSize,
    PathText,
    PortalUrl,
    PromFile,
    Proxy,
    Rate,
    Resource,
    Share,
    Size,
    Tag,
    TimeZone,
    Web,
)
from publisher_daemon.config._key import known_keys, read_api_key
from publisher_daemon.errors import ConfigInvalid
from publisher_daemon.naming import extra
from publisher_daemon.tableschema import TableSchema, parsed

_Text = Annotated[str, Field(min_length=1), NotBlank]
_Title = Annotated[str, Field(min_length=1, max_length=350), NotBlank]
_Acronym = Annotated[str, Field(min_length=1, max_length=128), NotBlank]
_Description = Annotated[str, Field(min_length=1, max_length=100_000), NotBlank]


#: the portals whose visits are counted by a service of their own
_METRICS_SERVICES = {"https://www.data.gouv.fr": "https://metric-api.data.gouv.fr/api"}
#: what of a folder decides nothing about its files
_UNDECISIVE: Any = {"expect": True, "answer_dir": True, "resources": {"__all__": {"expect"}}}
#: a part of an address as long as this may be a token
_TOKEN_LENGTH = 12


class _Section(BaseModel):
    """Frozen, and strict about names: a misspelt key is an error, never ignored."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        # a ValidationError would otherwise quote its input, and the input may be the API key
        hide_input_in_errors=True,
    )


class PortalSettings(_Section):
    """[portal]: where to publish, and with which key."""

    url: PortalUrl
    api_key_file: PathText | None = None
    api_key: SecretStr | None = None
    ca_file: PathText | None = None
    proxy: Proxy | None = None
    part_size: PartSize = 4 * 2**20
    longest_request: Duration = 900.0
    metrics_api: MetricsApi = "auto"

    @property
    def metrics_url(self) -> str | None:
        """Where visits are counted by month; None where nothing counts them."""
        if self.metrics_api != "auto":
            return None if self.metrics_api == "off" else self.metrics_api
        return _METRICS_SERVICES.get(self.url)


class DaemonSettings(_Section):
    """[daemon]: how the service itself runs."""

    state_dir: PathText = Path("/var/lib/publisher-daemon")
    workers: Annotated[int, Field(ge=1, le=64)] = 4
    rescan_every: Duration = 300.0
    audit_every: Duration = 3600.0
    timezone: TimeZone = "Europe/Paris"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "json", "console", "journal"] = "auto"
    language: Literal["en", "fr"] = "en"
    on_drift: Literal["keep", "enforce"] = "keep"
    grace: Duration = 30.0
    keep_history: Duration = 730 * 86400.0
    keep_versions: DurationOrZero = 90 * 86400.0
    versions_quota: Size = 2_000_000_000
    max_upload: Rate | None = None
    max_upload_hours: tuple[Hours, ...] = ()
    large_file: Size = 1_000_000_000
    large_file_hours: tuple[Hours, ...] = ()


class MetricsSettings(_Section):
    """[metrics]: numbers for Prometheus; off unless one of these is set."""

    listen: Listen | None = None
    textfile: PromFile | None = None

    @property
    def wanted(self) -> bool:
        """Whether anything is to be counted."""
        return self.listen is not None or self.textfile is not None


class AlertsSettings(_Section):
    """[alerts]: who is told, outside of the log, what needs them."""

    to: tuple[Contact, ...] = ()
    contact: _Text | None = None
    patience: DurationOrZero = 900.0
    digest_every: Duration = 86400.0
    heartbeat: Heartbeat | None = None
    heartbeat_every: Duration = 300.0

    def addresses(self) -> tuple[str, ...]:
        """Where messages go, passwords included: for sending, and for nothing else."""
        return tuple(one.get_secret_value() for one in self.to)

    def secrets(self) -> tuple[str, ...]:
        """What the log must hide of them."""
        every = (*self.to, *([self.heartbeat] if self.heartbeat else []))
        found: list[str] = []
        for address in (one.get_secret_value() for one in every):
            parts = urlsplit(address)
            found += [address, unquote(address)]
            # the user's name is none: mail addresses stand in headers
            found += [part for part in (parts.password, unquote(parts.password or "")) if part]
            found += [part for part in parts.path.split("/") if len(part) >= _TOKEN_LENGTH]
        return tuple(found)


class RuleSettings(_Section):
    """[[folders.resources]]: what to say of the files that match."""

    match: Match
    resource: Resource | None = None
    title: _Title | None = None
    description: _Description | None = None
    description_file: PathText | None = None
    type: Literal["main", "documentation", "update", "api", "code", "other"] | None = None
    schema_name: _Text | None = Field(default=None, alias="schema")
    extras: Extras | None = None
    table_schema: PathText | None = None
    keep: Keep = "each"
    order: tuple[_Text, ...] = ()
    when_left: Literal["keep", "withdraw"] | None = None
    publish_after: _Text | None = None
    expect: Expect | None = None

    def text(self) -> str | None:
        """The description, from the configuration or from its file; raises ConfigInvalid."""
        if self.description_file is not None:
            return read_description(self.description_file)
        return self.description

    def said_extras(self) -> tuple[tuple[str, str], ...]:
        """The extras, as the core has them."""
        said = self.model_dump(mode="json", include={"extras"})["extras"] or {}
        return tuple(sorted((name, extra(value)) for name, value in said.items()))

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


class ChecksSettings(_Section):
    """[folders.checks]: what is looked at before a file goes out."""

    mode: Literal["hold", "warn", "off"] = "hold"
    fewer_rows: Share = 0.5
    columns: Literal["hold", "warn", "off"] = "hold"
    secrets: Literal["hold", "warn", "off"] = "hold"
    schema_rule: Literal["hold", "warn", "off"] = Field(default="hold", alias="schema")
    approvals: PathText | None = None
    first_publication: Literal["publish", "ask"] = "publish"

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


class FolderSettings(_Section):
    """[[folders]]: one directory and the dataset it feeds."""

    path: PathText
    dataset: Dataset
    name: _Text | None = None
    include: tuple[_Text, ...] = ()
    exclude: tuple[_Text, ...] = ()
    observe: Literal["auto", "events", "polling"] = "auto"
    poll_every: Duration = 30.0
    stalled_after: Duration = 30.0
    quiet: DurationOrZero = 5.0
    ready_marker: Marker | None = None
    empty_files: Literal["refuse", "publish"] = "refuse"
    when_deleted: Literal["keep", "withdraw"] = "keep"
    withdraw_after: DurationOrZero = 10.0
    max_withdraw: Share = 0.3
    answer_dir: PathText | None = None
    expect: Expect | None = None
    resources: tuple[RuleSettings, ...] = ()
    checks: ChecksSettings = ChecksSettings()
    quiet_hours: tuple[Hours, ...] = ()

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


class CoverageSettings(_Section):
    """temporal_coverage: the period the data is about."""

    start: Day
    end: Day | None = None


class SpatialSettings(_Section):
    """spatial: the territory the data is about."""

    zones: tuple[_Text, ...] | None = None
    granularity: _Text | None = None
    geom: Outline | None = None


class AudienceSettings(_Section):
    """access_audiences: who may have data that are not open to all, and on which condition."""

    role: Literal["local_authority_and_administration", "company_and_association", "private"]
    condition: Literal["yes", "no", "under_condition"]


class PageSettings(_Section):
    """What every section has that is kept in step with a page of the portal."""

    refresh: Cron | None = None
    refresh_every: Duration | None = None
    timezone: TimeZone | None = None
    on_drift: Literal["keep", "enforce"] | None = None
    description: Annotated[_Description, Computing] | None = None
    description_file: PathText | None = None

    @property
    def name(self) -> str:
        """What it is called in the configuration."""
        raise NotImplementedError

    def said_inline(self) -> dict[str, object]:
        """The metadata that stands in the configuration itself."""
        return self.model_dump(mode="json", exclude_none=True, exclude=_NOT_METADATA)

    def said(self) -> dict[str, object]:
        """The metadata that is named, in the portal's words; computed values as written."""
        said = self.said_inline()
        if self.description_file is not None:
            said["description"] = read_description(self.description_file)
        return said


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


class DatasetSettings(PageSettings):
    """[[datasets]]: metadata kept in step; what is not named is never touched."""

    id: Dataset
    create: bool = False
    organization: ObjectId | None = None
    title: Annotated[_Title, Computing] | None = None
    acronym: _Acronym | None = None
    description_short: (
        Annotated[str, Field(min_length=1, max_length=200), NotBlank, Computing] | None
    ) = None
    tags: tuple[Tag, ...] | None = None
    license: _Text | None = None
    frequency: Frequency | None = None
    frequency_date: Day | None = None
    temporal_coverage: CoverageSettings | None = None
    spatial: SpatialSettings | None = None
    contact_points: tuple[ObjectId, ...] | None = None
    # strict: the portal reads null, "" and "false" as "make it public" (portal facts, §3)
    private: StrictBool | None = None
    access_type: Literal["open", "open_with_account", "restricted"] | None = None
    access_type_reason_category: _Text | None = None
    access_type_reason: Annotated[_Text, Computing] | None = None
    authorization_request_url: Web | None = None
    access_audiences: tuple[AudienceSettings, ...] | None = None
    extras: Extras | None = None

    @property
    def name(self) -> str:
        """What it is called in the configuration."""
        return self.id


class OrganizationSettings(PageSettings):
    """[[organizations]]: an organisation's page."""

    id: ObjectId
    acronym: _Acronym | None = None
    url: Web | None = None

    @property
    def name(self) -> str:
        """What it is called in the configuration."""
        return self.id


class ReuseSettings(PageSettings):
    """[[reuses]]: a reuse, declared once and kept in step; its address is what it is known by."""

    url: Web
    organization: ObjectId | None = None
    datasets: tuple[Dataset, ...] = ()
    title: Annotated[_Title, Computing] | None = None
    type: _Text | None = None
    topic: _Text | None = None
    tags: tuple[Tag, ...] | None = None

    @property
    def name(self) -> str:
        """What it is called in the configuration."""
        return self.url


class Settings(BaseSettings):
    """The whole configuration, checked."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    portal: PortalSettings
    daemon: DaemonSettings = DaemonSettings()
    metrics: MetricsSettings = MetricsSettings()
    alerts: AlertsSettings = AlertsSettings()
    folders: tuple[FolderSettings, ...] = ()
    datasets: tuple[DatasetSettings, ...] = ()
    organizations: tuple[OrganizationSettings, ...] = ()
    reuses: tuple[ReuseSettings, ...] = ()

    _path: Path | None = PrivateAttr(default=None)
    _credentials: tuple[Path, ...] = PrivateAttr(default=())
    _warnings: tuple[str, ...] = PrivateAttr(default=())

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic-settings'
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is given: ``load`` merges the file and the environment."""
        return (init_settings,)

    @property
    def path(self) -> Path | None:
        """The file it was read from; None when all comes from the environment."""
        return self._path

    def warnings(self) -> tuple[str, ...]:
        """What works and should still be changed, in sentences."""
        return self._warnings

    def api_key(self) -> str:
        """The key, read now; raises ConfigInvalid without ever showing it."""
        return read_api_key(self._credentials, self.portal.api_key_file, self.portal.api_key)

    def secrets(self) -> tuple[str, ...]:
        """Everything the log must hide, as far as it can be read; never raises."""
        found = known_keys(self._credentials, self.portal.api_key_file, self.portal.api_key)
        if self.portal.proxy is not None:
            password = urlsplit(self.portal.proxy).password
            found += () if password is None else (password, unquote(password))
        return tuple(dict.fromkeys((*found, *self.alerts.secrets())))

    def require_folders(self) -> None:
        """Raise ConfigInvalid when there is nothing to publish."""
        if not self.folders:
            where = self._path or "the configuration"
            raise ConfigInvalid(
                f"{where}: there is no [[folders]] section, so nothing to publish.",
                hint="Add one, or let `publisher-daemon init` write a first configuration.",
            )

    @property
    def pages(self) -> tuple[PageSettings, ...]:
        """Every section that is kept in step with a page of the portal, datasets first."""
        return (*self.datasets, *self.organizations, *self.reuses)

    def datasets_named(self) -> tuple[str, ...]:
        """Every dataset the configuration names (ids and slugs), once, in the order of the file."""
        names = [folder.dataset for folder in self.folders] + [each.id for each in self.datasets]
        return tuple(dict.fromkeys(names))

    def watches(self, pinned: Mapping[str, model.DatasetId]) -> tuple[model.Watch, ...]:
        """The folders as values; ``pinned`` gives the id of each slug (ids need no entry)."""
        self._insist_on_one_section(pinned)
        watches = tuple(
            folder.watch(pinned.get(folder.dataset, model.DatasetId(folder.dataset)))
            for folder in self.folders
        )
        seen: dict[tuple[str, str], model.Watch] = {}
        for watch in watches:
            # a slug and an id may turn out to be one dataset only now
            other = seen.setdefault((watch.dataset, watch.name), watch)
            if other is not watch:
                raise ConfigInvalid(
                    f'two folders of dataset {watch.dataset} are called "{watch.name}": '
                    f"{other.path} and {watch.path}.",
                    hint='Give one of them another `name = "…"`.',
                )
        return watches

    def _insist_on_one_section(self, pinned: Mapping[str, model.DatasetId]) -> None:
        seen: dict[str, str] = {}
        for each in self.datasets:
            dataset = pinned.get(each.id, each.id)
            other = seen.setdefault(dataset, each.id)
            if other != each.id:
                raise ConfigInvalid(
                    f"two [[datasets]] sections, “{other}” and “{each.id}”, are about one dataset "
                    f"({dataset}).",
                    hint="Put their keys together, under its id.",
                )

    def policy(
        self,
        pinned: Mapping[str, model.DatasetId],
        *,
        extensions: frozenset[str] = frozenset(),
        yes: bool = False,
    ) -> model.Policy:
        """How the planner decides."""
        return model.Policy(
            watches=self.watches(pinned),
            on_drift=self.daemon.on_drift,
            extensions=extensions,
            grace=self.daemon.grace,
            part_size=self.portal.part_size,
            longest_request=self.portal.longest_request,
            max_upload=self.daemon.max_upload,
            max_upload_hours=self.daemon.max_upload_hours,
            large_file=self.daemon.large_file,
            large_file_hours=self.daemon.large_file_hours,
            timezone=self.daemon.timezone,
            yes=yes,
        )

    def digest(self) -> str:
        """Changes when a decision could: same digest, same plan for the same world."""
        decisive = self.model_dump(
            mode="json",
            include={
                "portal": {"url"},
                "daemon": {"timezone", "on_drift", "grace", "large_file", "large_file_hours"},
                "folders": True,
                "datasets": True,
                "organizations": True,
                "reuses": True,
            },
            exclude={"folders": {"__all__": _UNDECISIVE}},
        )
        rules = [rule for folder in self.folders for rule in folder.resources]
        files = [each.description_file for each in self.pages]
        files += [rule.description_file for rule in rules]
        decisive["descriptions"] = [_description_or_why(file) for file in files if file is not None]
        tables = [rule.table_schema for rule in rules if rule.table_schema is not None]
        decisive["table_schemas"] = [_schema_or_why(path) for path in tables]
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def _description_or_why(path: Path) -> str:
    """The text, or why there is none: a service that runs must not end with the file."""
    try:
        return read_description(path)
    except ConfigInvalid as error:
        return error.message


def read_table_schema(path: Path) -> TableSchema:
    """The Table Schema in a file; raises ConfigInvalid."""
    try:
        return parsed(path.name, path.read_bytes())
    except OSError as error:
        raise ConfigInvalid(
            f"table_schema {path} cannot be read: {error.strerror}.",
            hint="Write the path of a JSON file the service may read.",
        ) from error
    except ValueError as error:
        raise ConfigInvalid(
            f"table_schema {path} cannot be used: {error}.",
            hint="Write the path of a Table Schema (https://specs.frictionlessdata.io/table-schema).",
        ) from error


def _schema_or_why(path: Path) -> str:
    try:
        return path.read_bytes().hex()
    except OSError as error:
        return str(error)


def read_description(path: Path) -> str:
    """The text of a description file, bounded by what the portal takes; raises ConfigInvalid."""
    try:
        text = path.read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigInvalid(
            f"description_file {path} cannot be read: {why}.",
            hint="Write the path of a UTF-8 text file the service may read.",
        ) from error
    if not 1 <= len(text) <= 100_000:
        raise ConfigInvalid(
            f"description_file {path} has {len(text)} characters.",
            hint="The portal takes 1 to 100,000.",
        )
    return text
