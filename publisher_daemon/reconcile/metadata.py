"""Brings a dataset's page in step with the configuration: read, merge, write only what differs.

No intent is committed before the write: an update names values that were merged with a read
made just before, so doing it twice does no more than once; and after a lost answer the next refresh
looks before it writes. Extras go through the API that merges them: sent with the rest they would
replace what others have written meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import structlog

from publisher_daemon.catalogue import (
    Change,
    Facts,
    Held,
    MetadataPlan,
    analysis_words,
    holding,
    plan_metadata,
    settled,
)
from publisher_daemon.errors import OutcomeUnknown
from publisher_daemon.model import DatasetId, RemoteDataset, RemoteResource, ResourceId

log = structlog.get_logger(__name__)

#: a page that somebody saves each time we look is written after so many looks
_LOOKS = 3


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

    def resources(self, dataset: DatasetId) -> Mapping[ResourceId, RemoteResource]:
        """All its resources."""

    def licenses(self) -> frozenset[str]:
        """The licences the portal knows."""

    def frequencies(self) -> frozenset[str]:
        """The frequencies the portal knows."""

    def granularities(self) -> frozenset[str]:
        """The spatial granularities the portal knows."""

    def access_reasons(self) -> frozenset[str]:
        """The categories of reasons for which data are not open."""

    def has_zone(self, zone: str) -> bool:
        """Whether the portal knows this spatial zone."""


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

    def look_new(self, name: DatasetId, *, private: bool) -> MetadataPlan:
        """Say what there would be to write on a dataset that is not made yet."""
        fields = self._wish(name).fields
        return plan_metadata(fields, {}, {"private": private}, facts=self._facts(name))

    def _plan(
        self,
        dataset: DatasetId,
        applied: Mapping[str, Any],
        current: RemoteDataset,
        facts: Facts,
    ) -> MetadataPlan:
        wish = self._wish(dataset)
        plan = plan_metadata(wish.fields, applied, current.raw, facts=facts, enforce=wish.enforce)
        unknown = self._unknown(plan.document, current)
        return holding(plan, unknown, applied) if unknown else plan

    def refresh(self, dataset: DatasetId) -> Refreshed:
        """Write what differs, see that it came out as meant; raises PortalError, LedgerBroken."""
        applied = self._ledger.applied(dataset)
        current, wanted = self._look_closely(dataset, applied)
        done = Refreshed(
            dataset, current.title, wanted.changes, wanted.drifts, wanted.held, shown=current
        )
        trouble = refusal(current)
        if trouble is not None:
            log.error("dataset.refused", dataset=dataset, why=trouble)
            return replace(done, changes=(), trouble=trouble)
        if wanted.changes:
            self._ledger.apply(dataset, wanted.intent)
            updated = self._write(dataset, current, wanted)
            base, left = settled(wanted, applied, updated.raw)
            self._ledger.apply(dataset, base)
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
        elif wanted.applied != applied:
            self._ledger.apply(dataset, wanted.applied)
        done = replace(done, problems=_problems(self._portal.resources(dataset).values()))
        self._tell(dataset, done)
        return done

    def _look_closely(
        self, dataset: DatasetId, applied: Mapping[str, Any]
    ) -> tuple[RemoteDataset, MetadataPlan]:
        """The same as ``look``, of the page as it is just before the write.

        Asking which words the portal knows takes time, in which a colleague may have saved; and
        what the portal wipes is sent again as it was read.
        """
        facts = self._facts(dataset)
        current = self._portal.dataset(dataset)
        wanted = self._plan(dataset, applied, current, facts)
        for _ in range(_LOOKS):
            if not wanted.changes:
                break
            before, current = current, self._portal.dataset(dataset)
            if current.raw.get("last_modified") == before.raw.get("last_modified"):
                break
            wanted = self._plan(dataset, applied, current, facts)
        return current, wanted

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

    def _unknown(self, document: Mapping[str, Any], current: RemoteDataset) -> dict[str, str]:
        """Why fields cannot be written: words that this portal does not know.

        An unknown licence is answered 200 and clears the other one; any other unknown word has the
        whole request refused, with the fields that are right (portal-facts §3.1).
        """
        found: dict[str, str] = {}
        spatial = document.get("spatial") or {}
        said = document.get("license")
        if said is not None and said not in self._portal.licenses():
            found["license"] = (
                f"The portal knows no license “{said}”: it would not refuse it, but clear the "
                "license of the dataset."
            )
        access = document.get("access_type", current.raw.get("access_type"))
        if said is not None and access not in {None, "open"}:
            found["license"] = (
                f"The portal takes the license off a dataset that is not open, and its access_type "
                f"is “{access}”."
            )
        said = document.get("access_type_reason_category")
        if said is not None and said not in self._portal.access_reasons():
            found["access_type_reason_category"] = (
                f"The portal knows no access_type_reason_category “{said}”."
            )
        said = document.get("frequency")
        if said is not None and said not in self._portal.frequencies():
            found["frequency"] = f"The portal knows no frequency “{said}”."
        said = spatial.get("granularity")
        if said is not None and said not in self._portal.granularities():
            found["spatial"] = f"The portal knows no spatial granularity “{said}”."
        for zone in spatial.get("zones") or ():
            if not self._portal.has_zone(zone):
                found["spatial"] = f"The portal knows no spatial zone “{zone}”."
        return found

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


def refusal(current: RemoteDataset) -> str | None:
    """Why nothing may be written on this page; None when it may."""
    if current.deleted:
        return f"The dataset “{current.title}” is deleted on the portal; nothing was written."
    if not current.can_edit:
        return (
            f"The API key may not edit the dataset “{current.title}”; nothing was written. Have "
            "its account made an editor."
        )
    if current.harvested:
        return (
            f"The dataset “{current.title}” is fed by a harvester, which would undo what is "
            "written; nothing was written. Correct it at its source."
        )
    return None


def _problems(resources: Iterable[RemoteResource]) -> tuple[tuple[str, str, str], ...]:
    return tuple(
        (found.title, found.permalink, words)
        for found in resources
        if (words := analysis_words(found.analysis)) is not None
    )
