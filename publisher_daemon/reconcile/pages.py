"""Keeps the pages of organisations and reuses in step, and declares a reuse once.

A reuse is known by its address, which the portal takes once only: a lost answer is answered by
looking among its owner's reuses, and a second declaration is refused by the portal itself. Datasets
are attached to a reuse and never taken off: others may have attached theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import structlog

from publisher_daemon.catalogue import Change, Facts, MetadataPlan, plan_metadata, settled
from publisher_daemon.errors import PortalRefused
from publisher_daemon.model import DatasetId, RemotePage
from publisher_daemon.reconcile.metadata import CatalogueLedger, Refreshed, tell

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PageWish:
    """What the configuration says of an organisation's page, or of a reuse."""

    fields: Mapping[str, Any]
    enforce: bool = False
    #: the organisation itself, or the one on whose behalf the reuse is declared
    organization: str | None = None
    #: a reuse's address; None: it is an organisation
    reuse: str | None = None
    datasets: tuple[DatasetId, ...] = ()


class PagesPortal(Protocol):
    """The portal, as far as these pages need it."""

    def organization(self, organization: str) -> RemotePage:
        """The organisation, and whether this key administers it."""

    def update_organization(self, organization: str, changes: Mapping[str, Any]) -> RemotePage:
        """Change only these fields."""

    def reuse(self, reuse: str) -> RemotePage:
        """The reuse of that id."""

    def reuses_of(self, owner: str) -> Iterator[RemotePage]:
        """The reuses of an organisation, or of the key's owner (``me``)."""

    def create_reuse(self, fields: Mapping[str, Any]) -> RemotePage:
        """Declare a reuse."""

    def update_reuse(self, reuse: str, changes: Mapping[str, Any]) -> RemotePage:
        """Change only these fields."""

    def attach(self, reuse: str, dataset: DatasetId) -> RemotePage:
        """Say that the reuse uses this dataset."""


class PagesLedger(CatalogueLedger, Protocol):
    """The ledger, as far as these pages need it."""

    def pinned(self, name: str) -> DatasetId | None:
        """The id that this name has."""

    def pin(self, name: str, dataset: DatasetId) -> None:
        """Remember it."""


class PageRefresher:
    """Refreshes organisations and reuses, each in a lane of its own."""

    def __init__(
        self,
        portal: PagesPortal,
        ledger: PagesLedger,
        wish: Callable[[DatasetId], PageWish],
        facts: Callable[[], Facts],
    ) -> None:
        self._portal = portal
        self._ledger = ledger
        self._wish = wish
        self._facts = facts
        self._told: dict[DatasetId, object] = {}

    def look(self, lane: DatasetId) -> tuple[RemotePage, MetadataPlan]:
        """Say what a refresh would write; raises PortalError."""
        wish = self._wish(lane)
        found = self._find(wish)
        current = found or RemotePage("", str(wish.fields.get("title", wish.reuse)), "")
        plan = plan_metadata(
            wish.fields,
            self._ledger.applied(lane) if found else {},
            current.raw,
            facts=self._facts(),
            enforce=wish.enforce,
        )
        missing = self._missing(wish, current)
        if missing:
            had = current.raw.get("datasets") or []
            change = Change("datasets", had, [*_texts(had), *missing])
            plan = replace(plan, changes=(*plan.changes, change))
        return current, plan

    def refresh(self, lane: DatasetId) -> Refreshed:
        """Write what differs, declare what is not there; raises PortalError, LedgerBroken."""
        wish = self._wish(lane)
        applied = self._ledger.applied(lane)
        current, wanted = self.look(lane)
        done = Refreshed(lane, current.title, wanted.changes, wanted.drifts, wanted.held)
        fields = {name: said for name, said in wanted.document.items() if name != "datasets"}
        trouble = refusal(current) if wanted.changes else None
        if trouble is not None:
            log.error("dataset.refused", dataset=lane, why=trouble)
            return replace(done, changes=(), trouble=trouble)
        if fields:
            self._ledger.apply(lane, wanted.intent)
        if wish.reuse is None:
            if fields:
                current = self._portal.update_organization(current.id, fields)
        else:
            current = self._reuse(lane, wish, current, fields)
        if wanted.changes:
            before = {change.field: change.before for change in wanted.changes}
            log.info("dataset.refreshed", dataset=lane, before=before, after=wanted.document)
        base, left = settled(wanted, applied, current.raw)
        if base != applied:
            self._ledger.apply(lane, base)
        if left:
            trouble = f"The portal did not keep what was written: {', '.join(left)}."
            log.error("dataset.refused", dataset=lane, why=trouble)
            done = replace(done, trouble=trouble)
        news = (*done.drifts, *done.held)
        if news != self._told.get(lane, ()):
            self._told[lane] = news
            tell(lane, done)
        return replace(done, title=current.title, page=current.page)

    def _reuse(
        self, lane: DatasetId, wish: PageWish, current: RemotePage, fields: Mapping[str, Any]
    ) -> RemotePage:
        """Declare it, or write its fields; then attach its datasets."""
        if not current.id:
            lacking = [name for name in ("title", "description", "type", "topic")
                       if name not in fields]  # fmt: skip
            if lacking:
                raise PortalRefused(
                    f"The reuse {wish.reuse} is not on the portal, and cannot be declared without "
                    f"{', '.join(lacking)}.",
                    hint="Add them to its [[reuses]] section.",
                )
            owner = {"organization": wish.organization} if wish.organization else {}
            current = self._portal.create_reuse({**fields, **owner})
            log.info("reuse.declared", dataset=lane, title=current.title, url=current.page)
        elif fields:
            current = self._portal.update_reuse(current.id, fields)
        self._ledger.pin(lane, DatasetId(current.id))
        for dataset in self._missing(wish, current):
            current = self._portal.attach(current.id, dataset)
            log.info("reuse.attached", dataset=dataset, title=current.title, url=current.page)
        return current

    def _find(self, wish: PageWish) -> RemotePage | None:
        if wish.reuse is None:
            return self._portal.organization(wish.organization or "")
        known = self._ledger.pinned(lane_of_reuse(wish.reuse))
        if known is not None:
            return self._portal.reuse(known)
        owner = wish.organization or "me"
        every = self._portal.reuses_of(owner)
        return next(
            (one for one in every if one.raw.get("url") == wish.reuse and not one.deleted), None
        )

    def _missing(self, wish: PageWish, current: RemotePage) -> tuple[DatasetId, ...]:
        attached = _texts(current.raw.get("datasets"))
        return tuple(dataset for dataset in wish.datasets if dataset not in attached)


def refusal(current: RemotePage) -> str | None:
    """Why nothing may be written on this page; None when it may."""
    if current.can_edit:
        return None
    return (
        f"The API key may not change “{current.title}”; nothing was written. Have its "
        "account made an administrator of the organization, or an editor of the reuse."
    )


def lane_of_organization(organization: str) -> DatasetId:
    """The lane in which an organisation's page is written."""
    return DatasetId(f"organization:{organization}")


def lane_of_reuse(url: str) -> DatasetId:
    """The lane in which a reuse is written."""
    return DatasetId(f"reuse:{url}")


def _texts(found: object) -> list[str]:
    return [str(one) for one in found] if isinstance(found, list) else []
