"""What may be written: one class a section, one field a setting; frozen, unknown keys refused.

Every default, bound and choice that a person can meet is here and in
docs/reference/configuration.md; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StrictBool
from pydantic_core import to_jsonable_python
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from publisher_daemon.config import _values as values
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
from publisher_daemon.config._settings import Settings

_Text = Annotated[str, Field(min_length=1), NotBlank]
_Title = Annotated[str, Field(min_length=1, max_length=350), NotBlank]
_Acronym = Annotated[str, Field(min_length=1, max_length=128), NotBlank]
_Description = Annotated[str, Field(min_length=1, max_length=100_000), NotBlank]


class _Section(BaseModel):
    """Frozen, and strict about names: a misspelt key is an error, never ignored."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        # a ValidationError would otherwise quote its input, and the input may be the API key
        hide_input_in_errors=True,
    )


class PortalModel(_Section):
    """[portal]: where to publish, and with which key."""

    url: PortalUrl
    api_key_file: PathText | None = None
    api_key: SecretStr | None = None
    ca_file: PathText | None = None
    proxy: Proxy | None = None
    part_size: PartSize = 4 * 2**20
    longest_request: Duration = 900.0
    metrics_api: MetricsApi = "auto"


class DaemonModel(_Section):
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


class MetricsModel(_Section):
    """[metrics]: numbers for Prometheus; off unless one of these is set."""

    listen: Listen | None = None
    textfile: PromFile | None = None


class AlertsModel(_Section):
    """[alerts]: who is told, outside of the log, what needs them."""

    to: tuple[Contact, ...] = ()
    contact: _Text | None = None
    patience: DurationOrZero = 900.0
    digest_every: Duration = 86400.0
    heartbeat: Heartbeat | None = None
    heartbeat_every: Duration = 300.0


class RuleModel(_Section):
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


class ChecksModel(_Section):
    """[folders.checks]: what is looked at before a file goes out."""

    mode: Literal["hold", "warn", "off"] = "hold"
    fewer_rows: Share = 0.5
    columns: Literal["hold", "warn", "off"] = "hold"
    secrets: Literal["hold", "warn", "off"] = "hold"
    schema_rule: Literal["hold", "warn", "off"] = Field(default="hold", alias="schema")
    approvals: PathText | None = None
    first_publication: Literal["publish", "ask"] = "publish"


class FolderModel(_Section):
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
    resources: tuple[RuleModel, ...] = ()
    checks: ChecksModel = ChecksModel()
    quiet_hours: tuple[Hours, ...] = ()


class CoverageModel(_Section):
    """temporal_coverage: the period the data is about."""

    start: Day
    end: Day | None = None


class SpatialModel(_Section):
    """spatial: the territory the data is about."""

    zones: tuple[_Text, ...] | None = None
    granularity: _Text | None = None
    geom: Outline | None = None


class AudienceModel(_Section):
    """access_audiences: who may have data that are not open to all, and on which condition."""

    role: Literal["local_authority_and_administration", "company_and_association", "private"]
    condition: Literal["yes", "no", "under_condition"]


class PageModel(_Section):
    """What every section has that is kept in step with a page of the portal."""

    refresh: Cron | None = None
    refresh_every: Duration | None = None
    timezone: TimeZone | None = None
    on_drift: Literal["keep", "enforce"] | None = None
    description: Annotated[_Description, Computing] | None = None
    description_file: PathText | None = None


class DatasetModel(PageModel):
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
    temporal_coverage: CoverageModel | None = None
    spatial: SpatialModel | None = None
    contact_points: tuple[ObjectId, ...] | None = None
    # strict: the portal reads null, "" and "false" as "make it public" (portal facts, §3)
    private: StrictBool | None = None
    access_type: Literal["open", "open_with_account", "restricted"] | None = None
    access_type_reason_category: _Text | None = None
    access_type_reason: Annotated[_Text, Computing] | None = None
    authorization_request_url: Web | None = None
    access_audiences: tuple[AudienceModel, ...] | None = None
    extras: Extras | None = None


class OrganizationModel(PageModel):
    """[[organizations]]: an organisation's page."""

    id: ObjectId
    acronym: _Acronym | None = None
    url: Web | None = None


class ReuseModel(PageModel):
    """[[reuses]]: a reuse, declared once and kept in step; its address is what it is known by."""

    url: Web
    organization: ObjectId | None = None
    datasets: tuple[Dataset, ...] = ()
    title: Annotated[_Title, Computing] | None = None
    type: _Text | None = None
    topic: _Text | None = None
    tags: tuple[Tag, ...] | None = None


class SettingsModel(BaseSettings):
    """The whole configuration, checked."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    portal: PortalModel
    daemon: DaemonModel = DaemonModel()
    metrics: MetricsModel = MetricsModel()
    alerts: AlertsModel = AlertsModel()
    folders: tuple[FolderModel, ...] = ()
    datasets: tuple[DatasetModel, ...] = ()
    organizations: tuple[OrganizationModel, ...] = ()
    reuses: tuple[ReuseModel, ...] = ()

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


#: what each section becomes
VALUES: Mapping[type[BaseModel], type] = {
    PortalModel: values.PortalSettings,
    DaemonModel: values.DaemonSettings,
    MetricsModel: values.MetricsSettings,
    AlertsModel: values.AlertsSettings,
    RuleModel: values.RuleSettings,
    ChecksModel: values.ChecksSettings,
    FolderModel: values.FolderSettings,
    CoverageModel: values.CoverageSettings,
    SpatialModel: values.SpatialSettings,
    AudienceModel: values.AudienceSettings,
    DatasetModel: values.DatasetSettings,
    OrganizationModel: values.OrganizationSettings,
    ReuseModel: values.ReuseSettings,
    SettingsModel: Settings,
}


def value_of(checked: Any) -> Any:
    """The same without pydantic."""
    if isinstance(checked, BaseModel):
        named = {name: value_of(getattr(checked, name)) for name in type(checked).model_fields}
        return VALUES[type(checked)](**named)
    if isinstance(checked, tuple):
        return tuple(map(value_of, checked))
    if isinstance(checked, SecretStr):
        return values.Secret(checked.get_secret_value())
    # TOML has dates, and JSON has none
    return to_jsonable_python(checked) if isinstance(checked, dict) else checked
