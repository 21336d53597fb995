"""The whole configuration, and what the rooms ask of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from publisher_daemon import model
from publisher_daemon.config._key import known_keys, read_api_key
from publisher_daemon.config._texts import description_or_why, schema_or_why
from publisher_daemon.config._values import (
    AlertsSettings,
    DaemonSettings,
    DatasetSettings,
    FolderSettings,
    MetricsSettings,
    OrganizationSettings,
    PageSettings,
    PortalSettings,
    ReuseSettings,
    dumped,
)
from publisher_daemon.errors import ConfigInvalid

_SECTIONS = (
    "portal", "daemon", "metrics", "alerts", "folders", "datasets", "organizations", "reuses",
)  # fmt: skip
_DECISIVE_OF_DAEMON = ("timezone", "on_drift", "grace", "large_file", "large_file_hours")


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole configuration, checked."""

    portal: PortalSettings
    daemon: DaemonSettings
    metrics: MetricsSettings
    alerts: AlertsSettings
    folders: tuple[FolderSettings, ...]
    datasets: tuple[DatasetSettings, ...]
    organizations: tuple[OrganizationSettings, ...]
    reuses: tuple[ReuseSettings, ...]
    #: what ``load`` knows and no file says
    _: KW_ONLY
    #: the file it was read from; None when all comes from the environment
    path: Path | None = None
    credentials: tuple[Path, ...] = ()
    worries: tuple[str, ...] = ()

    def dumped(self) -> dict[str, Any]:
        """What the file says, and every default, in JSON's words; secrets only as such."""
        return {name: dumped(getattr(self, name)) for name in _SECTIONS}

    def warnings(self) -> tuple[str, ...]:
        """What works and should still be changed, in sentences."""
        return self.worries

    def api_key(self) -> str:
        """The key, read now; raises ConfigInvalid without ever showing it."""
        return read_api_key(self.credentials, self.portal.api_key_file, self.portal.api_key)

    def secrets(self) -> tuple[str, ...]:
        """Everything the log must hide, as far as it can be read; never raises."""
        found = known_keys(self.credentials, self.portal.api_key_file, self.portal.api_key)
        if self.portal.proxy is not None:
            password = urlsplit(self.portal.proxy).password
            found += () if password is None else (password, unquote(password))
        return tuple(dict.fromkeys((*found, *self.alerts.secrets())))

    def require_folders(self) -> None:
        """Raise ConfigInvalid when there is nothing to publish."""
        if not self.folders:
            where = self.path or "the configuration"
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
        portal, daemon = dumped(self.portal), dumped(self.daemon)
        decisive: dict[str, Any] = {
            "portal": {"url": portal["url"]},
            "daemon": {name: daemon[name] for name in _DECISIVE_OF_DAEMON},
            "folders": [_decisive(dumped(folder)) for folder in self.folders],
            **{name: dumped(getattr(self, name)) for name in _SECTIONS[-3:]},
        }
        rules = [rule for folder in self.folders for rule in folder.resources]
        files = [each.description_file for each in self.pages]
        files += [rule.description_file for rule in rules]
        decisive["descriptions"] = [description_or_why(file) for file in files if file is not None]
        tables = [rule.table_schema for rule in rules if rule.table_schema is not None]
        decisive["table_schemas"] = [schema_or_why(path) for path in tables]
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def _decisive(folder: dict[str, Any]) -> dict[str, Any]:
    """What of a folder decides something about its files."""
    left = {"expect", "answer_dir"}
    rules = [_without(rule, {"expect"}) for rule in folder["resources"]]
    return {**_without(folder, left), "resources": rules}


def _without(table: dict[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in table.items() if name not in names}
