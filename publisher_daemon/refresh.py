"""Knows which dataset's page is due, refreshes it, and keeps what came of it.

Due is: never done, the schedule's time has passed since the last time (also while the machine was
off: then once), or the configuration changed since. A failure is not "done": it stays due.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import structlog

from publisher_daemon import cron
from publisher_daemon.catalogue import MetadataPlan
from publisher_daemon.config import DatasetSettings, Settings
from publisher_daemon.errors import PortalError, PortalRefused
from publisher_daemon.ledger import DatasetFacts, Ledger
from publisher_daemon.model import DatasetId, RemoteDataset
from publisher_daemon.portal import Portal
from publisher_daemon.reconcile.metadata import Refreshed, Refresher

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Said:
    """One [[datasets]] section: when, and what."""

    settings: DatasetSettings
    metadata: Mapping[str, Any]


class Refreshes:
    """The datasets whose page the configuration keeps."""

    def __init__(
        self,
        settings: Settings,
        pinned: Mapping[str, DatasetId],
        portal: Portal,
        ledger: Ledger,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._clock = clock
        self._said = {
            pinned.get(each.id, DatasetId(each.id)): _Said(each, each.said())
            for each in settings.datasets
        }
        self._refresher = Refresher(
            portal,
            ledger,
            {dataset: said.metadata for dataset, said in self._said.items()},
            timezone=settings.daemon.timezone,
            enforce=settings.daemon.on_drift == "enforce",
            clock=clock,
        )

    @property
    def datasets(self) -> tuple[DatasetId, ...]:
        """The datasets that have a [[datasets]] section, in the configuration's order."""
        return tuple(self._said)

    def schedule_of(self, dataset: DatasetId) -> tuple[str | None, float | None]:
        """The cron line and the interval in seconds; None is none."""
        said = self._said[dataset].settings
        return said.refresh, said.refresh_every

    def due(self, dataset: DatasetId) -> bool:
        """Whether its page must be looked at now."""
        said = self._said.get(dataset)
        if said is None:
            return False
        facts = self._ledger.datasets().get(dataset) or DatasetFacts(dataset)
        if facts.last_refresh is None or facts.refresh_settings != self._settings.digest():
            return True
        if facts.last_refresh > self._clock():
            return True  # the clock went back: it would not be due again before that instant
        line, every = self.schedule_of(dataset)
        if line is not None:
            zone = self._settings.daemon.timezone
            return cron.next_time(line, facts.last_refresh, zone) <= self._clock()
        return every is not None and facts.last_refresh + every <= self._clock()

    def look(self, dataset: DatasetId) -> tuple[RemoteDataset, MetadataPlan]:
        """What a refresh would write; raises PortalError."""
        return self._refresher.look(dataset)

    def run(self, dataset: DatasetId) -> Refreshed:
        """Refresh now, and remember; raises PortalError when the portal is away."""
        try:
            done = self._refresher.refresh(dataset)
        except PortalRefused as error:
            why = error.sentence
            log.error("dataset.refused", dataset=dataset, why=why, sentry_id=error.sentry_id)  # noqa: TRY400 - the sentence says it all
            done = Refreshed(dataset, "", trouble=why)
        except PortalError as error:
            self._remember(dataset, None, trouble=error.sentence)
            raise
        self._remember(dataset, done, trouble=done.trouble)
        return done

    def _remember(self, dataset: DatasetId, done: Refreshed | None, trouble: str | None) -> None:
        facts = self._ledger.datasets().get(dataset) or DatasetFacts(dataset)
        facts = replace(facts, refresh_trouble=trouble)
        if done is not None:
            facts = replace(
                facts, last_refresh=self._clock(), refresh_settings=self._settings.digest()
            )
            if done.shown is not None:
                facts = replace(
                    facts,
                    title=done.shown.title,
                    page=done.shown.page,
                    private=done.shown.private,
                    missing=missing_points(done.shown),
                )
        self._ledger.remember_dataset(facts)


#: What a producer can do about each quality criterion the portal counts (portal-facts §14.5-6).
_REMEDIES = {
    "license": "say its licence (`license`)",
    "temporal_coverage": "say the period it covers (`temporal_coverage`)",
    "spatial": "say the territory it covers (`spatial`)",
    "update_frequency": "say how often it is updated (`frequency`)",
    "update_fulfilled_in_time": "update it as often as it says",
    "dataset_description_quality": "describe it in more than 100 characters",
    "has_open_format": "publish at least one file in an open format",
    "all_resources_available": "mend the links the portal could not follow",
    "resources_documentation": "describe a resource, or add one of type documentation",
}


def missing_points(shown: RemoteDataset) -> tuple[str, ...]:
    """What would raise the dataset's quality score, in words."""
    quality = shown.raw.get("quality")
    if not isinstance(quality, Mapping):
        return ()
    return tuple(words for name, words in _REMEDIES.items() if quality.get(name) is False)
