"""Makes a dataset once, whatever is lost on the way: intent, look, request, pin.

The dataset carries from its first instant, in its extras, the name the configuration gives it. So a
lost answer, a crash or a lost ledger is answered by looking for that name among the owner's
datasets; nothing is made while a request that was sent may still be working (ADR 0002).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from publisher_daemon.errors import NotThere, OutcomeUnknown, PortalError, PortalRefused
from publisher_daemon.model import (
    Attempt,
    AttemptKind,
    DatasetId,
    Record,
    RemoteDataset,
    ResourceKey,
)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class NewDataset:
    """A dataset that the configuration wants to exist, under a name of its own."""

    name: str
    title: str
    description: str
    private: bool = True
    #: its id; None: the key's own account
    organization: str | None = None


class Member(Protocol):
    """An organisation of the key's account."""

    @property
    def id(self) -> str:
        """Its id on the portal."""

    @property
    def name(self) -> str:
        """Its name."""


class Account(Protocol):
    """Whose key it is."""

    @property
    def organizations(self) -> tuple[Member, ...]:
        """The organisations it is a member of."""


class CreatingPortal(Protocol):
    """The portal, as far as making a dataset needs it."""

    def whoami(self) -> Account:
        """Whose key it is."""

    def datasets_of(self, owner: str) -> Iterator[RemoteDataset]:
        """The datasets of an organisation, or of the key's owner (``me``)."""

    def resolve(self, id_or_slug: str) -> RemoteDataset:
        """The dataset of that id or slug; raises NotThere."""

    def create_dataset(
        self,
        title: str,
        description: str,
        *,
        private: bool,
        organization: str | None = None,
        name: str | None = None,
    ) -> RemoteDataset:
        """Create a dataset that carries that name. Not idempotent."""


class CreatingLedger(Protocol):
    """The ledger, as far as making a dataset needs it."""

    def read(self, dataset: DatasetId) -> Record:
        """All that is known of one dataset."""

    def begin(self, key: ResourceKey, kind: AttemptKind, *, now: float) -> Attempt:
        """Commit an intent before its request."""

    def sent(self, attempt: Attempt, *, now: float) -> None:
        """Commit that the request is about to go."""

    def close_attempt(
        self,
        attempt: Attempt,
        *,
        now: float,
        action: str,
        detail: Mapping[str, object] | None = None,
    ) -> None:
        """Close an attempt, with a history row."""

    def pin(self, name: str, dataset: DatasetId) -> None:
        """Remember which dataset a name means."""


class Creator:
    """Finds the dataset of a name, or makes it."""

    def __init__(
        self,
        portal: CreatingPortal,
        ledger: CreatingLedger,
        *,
        grace: float,
        clock: Callable[[], float],
    ) -> None:
        self._portal = portal
        self._ledger = ledger
        self._grace = grace
        self._clock = clock

    def find(self, wanted: NewDataset) -> RemoteDataset | None:
        """The dataset that was made for this name; raises PortalRefused when it cannot be used."""
        self._insist_on_membership(wanted)
        owner = wanted.organization or "me"
        found = [one for one in self._portal.datasets_of(owner) if one.name == wanted.name]
        alive = [one for one in found if not one.deleted]
        if len(alive) > 1:
            ids = ", ".join(one.id for one in alive)
            raise PortalRefused(
                f"Several datasets carry the name “{wanted.name}”: {ids}.",
                hint="Write the id of the right one in the configuration.",
            )
        if found and not alive:
            raise PortalRefused(
                f"The dataset made for “{wanted.name}” ({found[0].id}) was deleted on the portal.",
                hint="Restore it there, or take its section out of the configuration; for a new "
                "one, choose another name.",
            )
        return alive[0] if alive else None

    def make(self, wanted: NewDataset) -> DatasetId:
        """Its id, once it exists. Idempotent; raises PortalError when it is not known yet."""
        open_ = self._ledger.read(DatasetId(wanted.name)).attempts
        found = self.find(wanted)
        if found is not None:
            self._keep(wanted, found, open_)
            return found.id
        left = max((self._left(attempt) for attempt in open_), default=0.0)
        if left > 0:
            raise OutcomeUnknown(
                f"Whether the dataset “{wanted.title}” was made is not known yet.",
                hint=f"It is looked for again in {left:.0f} s, before anything else is sent.",
            )
        for attempt in open_:
            self._close(attempt, "attempt.abandoned")
        self._insist_on_a_free_name(wanted)
        return self._create(wanted)

    def _create(self, wanted: NewDataset) -> DatasetId:
        attempt = self._ledger.begin(
            ResourceKey(DatasetId(wanted.name), "", ""), "create", now=self._clock()
        )
        self._ledger.sent(attempt, now=self._clock())
        try:
            made = self._portal.create_dataset(
                wanted.title,
                wanted.description,
                private=wanted.private,
                organization=wanted.organization,
                name=wanted.name,
            )
        except OutcomeUnknown:
            raise
        except PortalError:
            self._close(attempt, "action.failed")
            raise
        log.warning(
            "dataset.created",
            dataset=made.id,
            name=wanted.name,
            title=made.title,
            private=made.private,
            url=made.page,
            why=f'Write id = "{made.id}" in place of “{wanted.name}” in the configuration.',
        )
        self._keep(wanted, made, (attempt,))
        return made.id

    def _keep(self, wanted: NewDataset, found: RemoteDataset, open_: tuple[Attempt, ...]) -> None:
        self._ledger.pin(wanted.name, found.id)
        for attempt in open_:
            self._close(attempt, "dataset.created", {"dataset": found.id})
        log.info("dataset.pinned", slug=wanted.name, dataset=found.id)

    def _close(
        self, attempt: Attempt, action: str, detail: Mapping[str, Any] | None = None
    ) -> None:
        self._ledger.close_attempt(attempt, now=self._clock(), action=action, detail=detail)

    def _left(self, attempt: Attempt) -> float:
        """Seconds in which its request may still be working."""
        return 0.0 if attempt.sent_at is None else attempt.sent_at + self._grace - self._clock()

    def _insist_on_membership(self, wanted: NewDataset) -> None:
        if wanted.organization is None:
            return
        member = self._portal.whoami().organizations
        if all(each.id != wanted.organization for each in member):
            known = ", ".join(f"“{each.name}” ({each.id})" for each in member) or "none"
            raise PortalRefused(
                f"The key's account is no member of the organization {wanted.organization}, so "
                f"the dataset “{wanted.title}” cannot be made there.",
                hint=f"It is a member of: {known}.",
            )

    def _insist_on_a_free_name(self, wanted: NewDataset) -> None:
        """Refuse a name that is the address of a dataset the key may edit: it may be meant."""
        try:
            other = self._portal.resolve(wanted.name)
        except NotThere:
            return
        if other.can_edit and not other.deleted:
            raise PortalRefused(
                f"A dataset at the address “{wanted.name}” exists already: “{other.title}” "
                f"({other.id}).",
                hint=f'If it is this one, write id = "{other.id}"; if not, choose another name.',
            )
