"""Which dataset's page is due, its refresh, and what is kept of it.

Due is: never done, the schedule's time has passed since the last time (also while the machine was
off: then once), or the configuration changed since. What did not go through is due again by itself,
later each time, and whenever a person or a start asks.
"""

from __future__ import annotations

import hashlib
import json
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from publisher_daemon.catalogue import (
    Facts,
    MetadataPlan,
    columns_of,
    late_words,
    missing_points,
)
from publisher_daemon.config import DatasetSettings, PageSettings, ReuseSettings, Settings
from publisher_daemon.errors import ConfigInvalid, PortalError, PortalRefused
from publisher_daemon.folder import Folder
from publisher_daemon.ledger import DatasetFacts, Ledger
from publisher_daemon.model import DatasetId, RemoteDataset, RemotePage
from publisher_daemon.reconcile import metadata, pages
from publisher_daemon.reconcile.answers import ErrorAnswers
from publisher_daemon.reconcile.creating import NewDataset
from publisher_daemon.reconcile.failures import kind_of
from publisher_daemon.reconcile.metadata import Refreshed, Refresher, Wish
from publisher_daemon.reconcile.pages import (
    PageRefresher,
    PageWish,
    lane_of_organization,
    lane_of_reuse,
)
from publisher_daemon.refresh._audience import Audience
from publisher_daemon.refresh._files import FactsOfFiles
from publisher_daemon.retry import Kind, next_try
from publisher_daemon.schedule import next_refresh

if TYPE_CHECKING:
    from publisher_daemon.portal import Portal

log = structlog.get_logger(__name__)

#: no wait is longer; one that seems so was counted before the clock was set back
LONGEST = 86400.0


def lanes_of(settings: Settings, pinned: Mapping[str, DatasetId]) -> dict[DatasetId, PageSettings]:
    """The lane of each page that the configuration keeps: a dataset's is the dataset itself."""
    return {
        **{pinned.get(each.id, DatasetId(each.id)): each for each in settings.datasets},
        **{lane_of_organization(each.id): each for each in settings.organizations},
        **{lane_of_reuse(each.url): each for each in settings.reuses},
    }


class Refreshes:
    """The pages the configuration keeps; ``keep`` False only looks."""

    def __init__(
        self,
        settings: Settings,
        pinned: Mapping[str, DatasetId],
        portal: Portal,
        ledger: Ledger,
        folders: Mapping[tuple[DatasetId, str], Folder],
        *,
        keep: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._clock = clock
        self._keep = keep
        self._answers = ErrorAnswers(ledger, clock)
        self._audience = Audience(portal, settings.portal.metrics_url, clock)
        self._files = FactsOfFiles(ledger, folders, clock)
        self._pinned = pinned
        self._said = lanes_of(settings, pinned)
        self._refresher = Refresher(portal, ledger, self._wish, facts=self._facts)
        self._pages = PageRefresher(
            portal,
            ledger,
            self._page_wish,
            lambda: self._files.of(DatasetId(""), settings.daemon.timezone, frozenset()),
        )

    def _wish(self, dataset: DatasetId) -> Wish:
        """What is configured now: a description may be a file; raises ConfigInvalid."""
        said = self._said[dataset]
        on_drift = said.on_drift or self._settings.daemon.on_drift
        return Wish(said.said(), enforce=on_drift == "enforce")

    def _page_wish(self, lane: DatasetId) -> PageWish:
        said, wish = self._said[lane], self._wish(lane)
        if isinstance(said, ReuseSettings):
            datasets = tuple(self._pinned.get(name, DatasetId(name)) for name in said.datasets)
            return PageWish(wish.fields, wish.enforce, said.organization, said.url, datasets)
        return PageWish(wish.fields, wish.enforce, said.name)

    def _facts(self, dataset: DatasetId) -> Facts:
        columns = columns_of(self._wish(dataset).fields)
        return self._files.of(dataset, self._zone(dataset), columns, keep=self._keep)

    def _digest(self, lane: DatasetId) -> str:
        """Changes when what this page shall say does."""
        said, daemon = self._said[lane], self._settings.daemon
        try:
            text = said.said().get("description")
        except ConfigInvalid as error:
            text = error.message  # its file is gone: `run` will say so
        on_drift = said.on_drift or daemon.on_drift
        url = self._settings.portal.url
        written = [url, said.digested(), text, self._zone(lane), on_drift]
        return hashlib.sha256(json.dumps(written).encode()).hexdigest()

    def _zone(self, dataset: DatasetId) -> str:
        return self._said[dataset].timezone or self._settings.daemon.timezone

    @property
    def datasets(self) -> tuple[DatasetId, ...]:
        """The datasets that have a [[datasets]] section, in the configuration's order."""
        said = self._said.items()
        return tuple(lane for lane, each in said if isinstance(each, DatasetSettings))

    @property
    def others(self) -> tuple[DatasetId, ...]:
        """The lanes of organisations and reuses."""
        said = self._said.items()
        return tuple(lane for lane, each in said if not isinstance(each, DatasetSettings))

    @property
    def lanes(self) -> tuple[DatasetId, ...]:
        """The lanes of all of them."""
        return tuple(self._said)

    @property
    def names(self) -> dict[str, DatasetId]:
        """The lane of each page, by the name it has in the configuration."""
        return {each.name: lane for lane, each in self._said.items()}

    def schedule_of(self, dataset: DatasetId) -> tuple[str | None, float | None, str]:
        """The cron line, the interval in seconds (None is none), and the timezone."""
        said = self._said[dataset]
        return said.refresh, said.refresh_every, self._zone(dataset)

    def due(self, dataset: DatasetId, *, insist: bool = False) -> bool:
        """Whether its page must be looked at now; ``insist`` does not wait with what went wrong."""
        said = self._said.get(dataset)
        if said is None:
            return False
        facts = self._ledger.facts_of(dataset) or DatasetFacts(dataset)
        now = self._clock()
        if facts.refresh_settings != self._digest(dataset):
            return True
        if facts.refresh_trouble is not None:
            at = facts.refresh_retry_at
            return insist or at is None or not now < at <= now + LONGEST
        # a last time that is to come: the clock went back, and it would not be due before it
        if facts.last_refresh is None or facts.last_refresh > now:
            return True
        line, every, zone = self.schedule_of(dataset)
        if line is not None:
            return next_refresh(dataset, line, facts.last_refresh, zone) <= now
        return every is not None and facts.last_refresh + every <= now

    def retry_at(self, dataset: DatasetId) -> float | None:
        """When what did not go through is tried again by itself."""
        facts = self._ledger.facts_of(dataset)
        return None if facts is None or facts.refresh_trouble is None else facts.refresh_retry_at

    def look(self, lane: DatasetId) -> tuple[RemoteDataset | RemotePage, MetadataPlan]:
        """What a refresh would write; raises PortalError, PortalRefused when it may not."""
        found: RemoteDataset | RemotePage
        if lane in self.others:
            found, wanted = self._pages.look(lane)
            why = pages.refusal(found) if wanted.changes else None
        else:
            found, wanted = self._refresher.look(lane)
            why = metadata.refusal(found)
        if why is not None:
            raise PortalRefused(why)
        return found, wanted

    def look_new(self, new: NewDataset) -> MetadataPlan:
        """What there would be to write on a dataset that is not made yet."""
        return self._refresher.look_new(DatasetId(new.name), private=new.private)

    def run(self, dataset: DatasetId) -> Refreshed:
        """Refresh now, and remember; raises PortalError when the portal is away."""
        try:
            refresher = self._pages if dataset in self.others else self._refresher
            done = refresher.refresh(dataset)
        except PortalRefused as error:
            self._answers.keep(dataset, error)
            why = error.sentence
            log.error("dataset.refused", dataset=dataset, why=why, sentry_id=error.sentry_id)  # noqa: TRY400 - the sentence says it all
            done = Refreshed(dataset, "", trouble=why)
        except ConfigInvalid as error:
            # its description's file is gone, or grew too long, since the service started
            log.error("dataset.refused", dataset=dataset, why=error.sentence)  # noqa: TRY400
            done = Refreshed(dataset, "", trouble=error.sentence)
        except PortalError as error:
            self._answers.keep(dataset, error)
            self._remember(dataset, None, trouble=error.sentence, kind=kind_of(error))
            raise
        self._remember(dataset, done, trouble=done.trouble, kind=Kind.PAGE_REFUSED)
        return done

    def _remember(
        self, dataset: DatasetId, done: Refreshed | None, *, trouble: str | None, kind: Kind
    ) -> None:
        facts, now = self._ledger.facts_of(dataset) or DatasetFacts(dataset), self._clock()
        failures = facts.refresh_failures + 1 if trouble else 0
        facts = replace(
            facts,
            refresh_trouble=trouble,
            refresh_settings=self._digest(dataset),
            refresh_failures=failures,
            refresh_retry_at=next_try(failures, kind, now, random.random()) if failures else None,  # noqa: S311 - spreading load, not a secret
        )
        if done is not None:
            facts = replace(
                facts,
                last_refresh=now,
                drifts=tuple(
                    {"field": one.field, "ours": one.before, "theirs": one.after}
                    for one in done.drifts
                ),
                held_fields=tuple(
                    {"field": one.field, "ours": one.ours, "theirs": one.theirs, "why": one.why}
                    for one in done.held
                ),
                problems=tuple(
                    {"title": title, "url": url, "why": why} for title, url, why in done.problems
                ),
            )
            if done.page is not None:
                facts = replace(facts, title=done.title, page=done.page)
            if done.shown is not None:
                facts = self._read(facts, done.shown)
        self._ledger.remember_dataset(facts)

    def _read(self, before: DatasetFacts, shown: RemoteDataset) -> DatasetFacts:
        """What the portal says of the dataset now; what is new and worth knowing is told."""
        raw = shown.raw
        quality, metrics = raw.get("quality"), raw.get("metrics")
        score = quality.get("score") if isinstance(quality, Mapping) else None
        counts = metrics if isinstance(metrics, Mapping) else {}
        # a private dataset is nobody else's business
        months = None if shown.private else self._audience.of(shown.id)
        facts = replace(
            before,
            title=shown.title,
            page=shown.page,
            slug=shown.slug,
            organization=shown.organization,
            private=shown.private,
            quality=float(score) if isinstance(score, int | float) else None,
            missing=missing_points(raw),
            late=late_words(raw),
            # zero is also what a portal without its metrics service says
            owner=_owner(raw),
            reuses=_count(counts.get("reuses")),
            views=_count(counts.get("views")),
            downloads=_count(counts.get("resources_downloads")),
            months=before.months if months is None else months,
        )
        if (facts.quality, facts.missing) != (before.quality, before.missing):
            log.info(
                "quality.read", dataset=shown.id, score=facts.quality, missing=list(facts.missing)
            )
        if facts.late and facts.late != before.late:
            log.warning("dataset.delayed", dataset=shown.id, why=facts.late)
        if before.private is not None and facts.private is not before.private:
            log.warning(
                "visibility.changed", dataset=shown.id,
                why=f"The dataset was {_seen(before.private)}, and is {_seen(shown.private)} now.",
            )  # fmt: skip
        return facts


def _owner(raw: Mapping[str, object]) -> str | None:
    organization = raw.get("organization")
    name = organization.get("name") if isinstance(organization, Mapping) else None
    return str(name) if name else None


def _count(found: object) -> int | None:
    return found if isinstance(found, int) and found > 0 else None


def _seen(private: bool) -> str:
    return "private" if private else "public"
