"""Brings a dataset's page in step with the configuration: read, merge, write only what differs.

No intent is committed before the write: an update names values that were merged with a read
made just before, so doing it twice does no more than once; and after a lost answer the next refresh
looks before it writes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import structlog

from publisher_daemon.catalogue import Change, MetadataPlan, plan_metadata
from publisher_daemon.model import DatasetId, RemoteDataset

log = structlog.get_logger(__name__)


class CataloguePortal(Protocol):
    """The portal, as far as a dataset's page needs it."""

    def dataset(self, dataset: DatasetId) -> RemoteDataset:
        """The dataset as this key sees it."""

    def update_dataset(
        self, dataset: DatasetId, changes: Mapping[str, Any], current: RemoteDataset
    ) -> RemoteDataset:
        """Change only these fields; re-sends what the portal would wipe."""

    def licenses(self) -> frozenset[str]:
        """The licences the portal knows."""


class CatalogueLedger(Protocol):
    """The ledger, as far as a dataset's page needs it."""

    def applied(self, dataset: DatasetId) -> dict[str, Any]:
        """The merge base."""

    def apply(self, dataset: DatasetId, applied: Mapping[str, Any]) -> None:
        """Keep the merge base."""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What one refresh did, or would do."""

    dataset: DatasetId
    title: str
    changes: tuple[Change, ...] = ()
    drifts: tuple[Change, ...] = ()
    clashes: tuple[Change, ...] = ()
    trouble: str | None = None
    #: the answer of the portal, for what else it says (quality, lateness)
    shown: RemoteDataset | None = field(default=None, repr=False)


class Refresher:
    """Refreshes datasets; run in the same lane as publishing, so that no two writers meet."""

    def __init__(
        self,
        portal: CataloguePortal,
        ledger: CatalogueLedger,
        configured: Mapping[DatasetId, Mapping[str, Any]],
        *,
        timezone: str,
        enforce: bool,
        clock: Callable[[], float],
    ) -> None:
        self._portal = portal
        self._ledger = ledger
        self._configured = configured
        self._zone = ZoneInfo(timezone)
        self._enforce = enforce
        self._clock = clock
        self._told: dict[DatasetId, tuple[Change, ...]] = {}

    def look(self, dataset: DatasetId) -> tuple[RemoteDataset, MetadataPlan]:
        """Say what a refresh would write; raises PortalError."""
        current = self._portal.dataset(dataset)
        today = datetime.fromtimestamp(self._clock(), UTC).astimezone(self._zone).date()
        configured = self._configured.get(dataset, {})
        return current, plan_metadata(
            configured,
            self._ledger.applied(dataset),
            current.raw,
            today=today,
            enforce=self._enforce,
        )

    def refresh(self, dataset: DatasetId) -> Refreshed:
        """Write what differs, see that it came out as meant; raises PortalError, LedgerBroken."""
        current, wanted = self.look(dataset)
        done = Refreshed(
            dataset, current.title, wanted.changes, wanted.drifts, wanted.clashes, shown=current
        )
        trouble = self._refuse(current, wanted)
        if trouble is not None:
            log.error("dataset.refused", dataset=dataset, why=trouble)
            return replace(done, changes=(), trouble=trouble)
        if wanted.changes:
            if wanted.publishes:
                log.warning(
                    "dataset.published",
                    dataset=dataset,
                    why="the configuration says `private = false`",
                )
            updated = self._portal.update_dataset(dataset, wanted.document, current)
            left = self._left(dataset, updated, wanted)
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
        self._tell_drifts(dataset, wanted)
        if wanted.clashes:
            names = ", ".join(change.field for change in wanted.clashes)
            trouble = (
                f"Changed both in the configuration and on the portal: {names}. Write the portal's "
                'value in the configuration, or set `on_drift = "enforce"`.'
            )
        return replace(done, trouble=trouble)

    def _refuse(self, current: RemoteDataset, wanted: MetadataPlan) -> str | None:
        """Why nothing may be written: the portal would take it, and lose what is there."""
        if not wanted.changes:
            return None
        if current.deleted or not current.can_edit:
            return f"The dataset “{current.title}” is deleted, or the API key may not edit it."
        license_ = wanted.document.get("license")
        if license_ is not None and license_ not in self._portal.licenses():
            # an unknown licence is answered 200 and clears the one there was (portal-facts §3.1)
            return f"The portal knows no licence “{license_}”; nothing was written."
        return None

    def _left(self, dataset: DatasetId, updated: RemoteDataset, wanted: MetadataPlan) -> list[str]:
        today = datetime.fromtimestamp(self._clock(), UTC).astimezone(self._zone).date()
        again = plan_metadata(
            self._configured.get(dataset, {}), wanted.applied, updated.raw, today=today
        )
        written = {change.field for change in wanted.changes}
        lost = {change.field.partition(".")[0] for change in (*again.changes, *again.drifts)}
        return sorted(written & lost)

    def _tell_drifts(self, dataset: DatasetId, wanted: MetadataPlan) -> None:
        """Say once what a colleague changed and is kept."""
        drifts = (*wanted.drifts, *wanted.clashes)
        if drifts != self._told.get(dataset, ()):
            self._told[dataset] = drifts
            for drift in drifts:
                log.warning(
                    "drift.found",
                    dataset=dataset,
                    field=drift.field,
                    ours=drift.before,
                    theirs=drift.after,
                )
