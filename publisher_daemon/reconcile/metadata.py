"""Brings a dataset's page in step with the configuration: read, merge, write only what differs.

No intent is committed before the write: an update names values that were merged with a read
made just before, so doing it twice does no more than once; and after a lost answer the next refresh
looks before it writes. Extras go through the API that merges them: sent with the rest they would
replace what others have written meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import structlog

from publisher_daemon.catalogue import (
    Change,
    Facts,
    Held,
    MetadataPlan,
    analysis_words,
    plan_metadata,
)
from publisher_daemon.errors import OutcomeUnknown
from publisher_daemon.model import DatasetId, RemoteDataset, RemoteResource

log = structlog.get_logger(__name__)


class CataloguePortal(Protocol):
    """The portal, as far as a dataset's page needs it."""

    def dataset(self, dataset: DatasetId) -> RemoteDataset:
        """The dataset as this key sees it."""

    def update_dataset(
        self, dataset: DatasetId, changes: Mapping[str, Any], current: RemoteDataset
    ) -> RemoteDataset:
        """Change only these fields; re-sends what the portal would wipe."""

    def identify_dataset(self, dataset: DatasetId, extras: Mapping[str, Any]) -> None:
        """Merge these extras into the dataset's."""

    def resources(self, dataset: DatasetId) -> tuple[RemoteResource, ...]:
        """All its resources."""

    def licenses(self) -> frozenset[str]:
        """The licences the portal knows."""


class CatalogueLedger(Protocol):
    """The ledger, as far as a dataset's page needs it."""

    def applied(self, dataset: DatasetId) -> dict[str, Any]:
        """The merge base."""

    def apply(self, dataset: DatasetId, applied: Mapping[str, Any]) -> None:
        """Keep the merge base."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the configuration says of one dataset's page."""

    fields: Mapping[str, Any]
    #: the configuration wins over a colleague
    enforce: bool = False


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What one refresh did, or would do."""

    dataset: DatasetId
    title: str
    changes: tuple[Change, ...] = ()
    drifts: tuple[Change, ...] = ()
    held: tuple[Held, ...] = ()
    trouble: str | None = None
    #: the answer of the portal, for what else it says (quality, lateness)
    shown: RemoteDataset | None = field(default=None, repr=False)
    #: (title, permalink, what is wrong and what to do) of the files the portal could not use
    problems: tuple[tuple[str, str, str], ...] = ()
    page: str | None = None


class Refresher:
    """Refreshes datasets; run in the same lane as publishing, so that no two writers meet.

    ``facts`` says what computed values are made of; it may read files, and is asked before the
    dataset is read, so that the write follows the read at once.
    """

    def __init__(
        self,
        portal: CataloguePortal,
        ledger: CatalogueLedger,
        wish: Callable[[DatasetId], Wish],
        *,
        facts: Callable[[DatasetId], Facts],
    ) -> None:
        self._portal = portal
        self._ledger = ledger
        self._wish = wish
        self._facts = facts
        self._told: dict[DatasetId, tuple[Change | Held | str, ...]] = {}

    def look(self, dataset: DatasetId) -> tuple[RemoteDataset, MetadataPlan]:
        """Say what a refresh would write; raises PortalError."""
        facts = self._facts(dataset)
        current = self._portal.dataset(dataset)
        return current, self._plan(dataset, self._ledger.applied(dataset), current, facts)

    def _plan(
        self,
        dataset: DatasetId,
        applied: Mapping[str, Any],
        current: RemoteDataset,
        facts: Facts,
    ) -> MetadataPlan:
        wish = self._wish(dataset)
        return plan_metadata(wish.fields, applied, current.raw, facts=facts, enforce=wish.enforce)

    def refresh(self, dataset: DatasetId) -> Refreshed:
        """Write what differs, see that it came out as meant; raises PortalError, LedgerBroken."""
        facts = self._facts(dataset)
        unknown = self._unknown_license(dataset)
        current = self._portal.dataset(dataset)
        wanted = self._plan(dataset, self._ledger.applied(dataset), current, facts)
        done = Refreshed(
            dataset, current.title, wanted.changes, wanted.drifts, wanted.held, shown=current
        )
        trouble = _no_right(current) or (unknown if "license" in wanted.document else None)
        if trouble is not None:
            log.error("dataset.refused", dataset=dataset, why=trouble)
            return replace(done, changes=(), trouble=trouble)
        if wanted.changes:
            updated = self._write(dataset, current, wanted)
            left = _left(self._plan(dataset, wanted.applied, updated, facts), wanted)
            log.info(
                "dataset.refreshed",
                dataset=dataset,
                before={change.field: change.before for change in wanted.changes},
                after=wanted.document,
            )
            if left:
                trouble = f"The portal did not keep what was written: {', '.join(left)}."
                log.error("dataset.refused", dataset=dataset, why=trouble)
                return replace(done, trouble=trouble, shown=updated)
            done = replace(done, shown=updated)
        self._ledger.apply(dataset, wanted.applied)
        done = replace(done, problems=_problems(self._portal.resources(dataset)))
        self._tell(dataset, done)
        return done

    def _write(
        self, dataset: DatasetId, current: RemoteDataset, wanted: MetadataPlan
    ) -> RemoteDataset:
        """Send the fields, then the extras; the dataset as it is after."""
        fields = {name: value for name, value in wanted.document.items() if name != "extras"}
        why = "the configuration says `private = false`"
        try:
            updated = self._portal.update_dataset(dataset, fields, current) if fields else current
        except OutcomeUnknown:
            if wanted.publishes:
                why += "; the answer was lost, so it may be private still"
                log.warning("dataset.published", dataset=dataset, why=why)
            raise
        if wanted.publishes:
            log.warning("dataset.published", dataset=dataset, why=why)
        extras = next((one for one in wanted.changes if one.field == "extras"), None)
        if extras is not None:
            self._portal.identify_dataset(
                dataset,
                {
                    name: value
                    for name, value in extras.after.items()
                    if extras.before.get(name) != value
                },
            )
            updated = self._portal.dataset(dataset)
        return updated

    def _unknown_license(self, dataset: DatasetId) -> str | None:
        """Why the licence cannot be written: an unknown one is answered 200, and clears the other.

        (portal-facts §3.1)
        """
        said = self._wish(dataset).fields.get("license")
        if said is None or said in self._portal.licenses():
            return None
        return f"The portal knows no licence “{said}”; nothing was written."

    def _tell(self, dataset: DatasetId, done: Refreshed) -> None:
        """Say once what a colleague changed and is kept, what is held, and what is wrong."""
        problems = (words for _, _, words in done.problems)
        news: tuple[Change | Held | str, ...] = (*done.drifts, *done.held, *problems)
        if news == self._told.get(dataset, ()):
            return
        self._told[dataset] = news
        tell(dataset, done)


def tell(dataset: DatasetId, done: Refreshed) -> None:
    """Say what a colleague changed and is kept, what is held, and what is wrong with files."""
    for drift in done.drifts:
        log.warning(
            "drift.found",
            dataset=dataset,
            field=drift.field,
            ours=drift.before,
            theirs=drift.after,
        )
    for held in done.held:
        log.warning(
            "field.held",
            dataset=dataset,
            field=held.field,
            ours=held.ours,
            theirs=held.theirs,
            why=held.why,
        )
    for title, url, words in done.problems:
        log.warning("resource.criticised", dataset=dataset, title=title, url=url, why=words)


def _no_right(current: RemoteDataset) -> str | None:
    if current.deleted:
        return f"The dataset “{current.title}” is deleted on the portal; nothing was written."
    if not current.can_edit:
        return (
            f"The API key may not edit the dataset “{current.title}”; nothing was written. Have "
            "its account made an editor."
        )
    return None


def _left(again: MetadataPlan, wanted: MetadataPlan) -> list[str]:
    """What the portal shows otherwise than it was written."""
    written = {change.field for change in wanted.changes}
    return sorted(
        written & {change.field.partition(".")[0] for change in (*again.changes, *again.drifts)}
    )


def _problems(resources: tuple[RemoteResource, ...]) -> tuple[tuple[str, str, str], ...]:
    return tuple(
        (found.title, found.permalink, words)
        for found in resources
        if (words := analysis_words(found.analysis)) is not None
    )
