"""Builds the rooms from one configuration, and makes one pass with them."""

from __future__ import annotations

import json
import random
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING

import structlog

from publisher_daemon.alerts import unusable
from publisher_daemon.catalogue import Facts, late_words, without_values
from publisher_daemon.config import DatasetSettings, Settings
from publisher_daemon.daemon.inspecting import inspecting
from publisher_daemon.daemon.opening import open_ledger, open_versions
from publisher_daemon.errors import (
    ConfigInvalid,
    Exchange,
    OutcomeUnknown,
    PortalError,
)
from publisher_daemon.folder import Folder
from publisher_daemon.health import Pulse
from publisher_daemon.ledger import DatasetFacts, Ledger
from publisher_daemon.log import redact
from publisher_daemon.model import DatasetId, Hint, Policy, Reason, Report, ResourceKey, Watch
from publisher_daemon.naming import looks_like_dataset_id, readable
from publisher_daemon.portal import Portal
from publisher_daemon.reconcile import Gate, Reconciler
from publisher_daemon.reconcile.coming import Asked
from publisher_daemon.reconcile.creating import Creator, NewDataset
from publisher_daemon.reconcile.flowing import Transfers
from publisher_daemon.reconcile.longs import LongPlaces
from publisher_daemon.reconcile.metadata import Refreshed
from publisher_daemon.refresh import FactsOfFiles, Refreshes
from publisher_daemon.schemas import Schemas

if TYPE_CHECKING:
    from publisher_daemon.metrics.numbers import Metrics

log = structlog.get_logger(__name__)

#: How often the portal's list of accepted extensions is read again, in seconds.
VOCABULARY_AGE = 24 * 3600.0


@dataclass(slots=True)
class Office:
    """Every room, built from one configuration."""

    settings: Settings
    portal: Portal
    ledger: Ledger
    watches: tuple[Watch, ...]
    folders: dict[tuple[DatasetId, str], Folder]
    gate: Gate
    reconciler: Reconciler
    policy: Callable[[], Policy]
    vocabulary: Vocabulary
    refreshes: Refreshes
    longs: LongPlaces
    #: the datasets that would be made first; only where nothing is to be changed
    unmade: tuple[NewDataset, ...] = ()

    @property
    def datasets(self) -> tuple[DatasetId, ...]:
        """The datasets that folders feed, each once, in the configuration's order."""
        return tuple(dict.fromkeys(watch.dataset for watch in self.watches))

    @property
    def lanes(self) -> tuple[DatasetId, ...]:
        """Every dataset with something to do: fed by folders, or with metadata to keep."""
        return tuple(dict.fromkeys((*self.datasets, *self.refreshes.lanes)))


class Vocabulary:
    """The extensions the portal accepts: read at start and daily, remembered for days offline."""

    def __init__(self, portal: Portal, ledger: Ledger, clock: Callable[[], float]) -> None:
        self._portal = portal
        self._ledger = ledger
        self._clock = clock
        self._read_at = float("-inf")
        self._ask_at = float("-inf")
        self._extensions: frozenset[str] = frozenset()
        self._lock = threading.Lock()

    def extensions(self) -> frozenset[str]:
        """What was read last; empty when it was never read."""
        return self._extensions

    def refresh(self, *, keep: bool = True) -> None:
        """Read it if it is old; what the portal does not answer comes from the ledger.

        Waits for whoever is reading it, as long as a silent portal takes: a worker may, the
        supervisor, who feeds the watchdog, may not.
        """
        with self._lock:
            self._refresh(keep=keep)

    def _refresh(self, *, keep: bool) -> None:
        now = self._clock()
        if now - self._read_at < VOCABULARY_AGE or now < self._ask_at:
            return
        try:
            self._ask_at = now + 60.0
            self._extensions = self._portal.extensions()
        except PortalError:
            kept = self._ledger.cache_get("extensions")
            self._extensions = frozenset(json.loads(kept[0])) if kept else frozenset()
            return
        self._read_at = now
        if keep:
            self._ledger.cache_put("extensions", json.dumps(sorted(self._extensions)), now)


def metrics_of(settings: Settings) -> Metrics | None:
    """What counts, where numbers are wanted."""
    if not settings.metrics.wanted:
        return None
    from publisher_daemon.metrics.numbers import Metrics  # noqa: PLC0415 - only where it is wanted

    return Metrics(time.time)


def open_portal(
    settings: Settings,
    reason: str = "",
    on_exchange: Callable[[Exchange], None] | None = None,
    on_wait: Callable[[float], None] = lambda _seconds: None,
) -> Portal:
    """The portal of this configuration, with its key; raises ConfigInvalid."""
    portal = settings.portal
    return Portal(
        portal.url,
        settings.api_key(),
        ca_file=str(portal.ca_file) if portal.ca_file else None,
        proxy=portal.proxy,
        reason=reason,
        on_exchange=on_exchange,
        on_wait=on_wait,
        hide=redact,
    )


def resolve_slugs(
    settings: Settings, portal: Portal, ledger: Ledger, *, pin: bool
) -> dict[str, DatasetId]:
    """The id of each dataset named otherwise: asked once, then kept, as slugs move with titles.

    Makes those that say `create = true` and are not there; ``pin`` False leaves them out.
    """
    pinned: dict[str, DatasetId] = {}
    wanted = {each.id: each for each in settings.datasets if each.create}
    creator = Creator(portal, ledger, grace=settings.daemon.grace, clock=time.time)
    for name in settings.datasets_named():
        if looks_like_dataset_id(name):
            continue
        known = ledger.pinned(name)
        if known is None and name in wanted:
            new = new_dataset(wanted[name])
            if pin:
                known = creator.make(new)
            elif (found := creator.find(new)) is not None:
                known = found.id
            else:
                continue
        elif known is None:
            known = portal.resolve(name).id
            if pin:
                ledger.pin(name, known)
            log.info("dataset.pinned", slug=name, dataset=known)
        pinned[name] = known
    return pinned


def new_dataset(said: DatasetSettings) -> NewDataset:
    """The dataset that this section wants to exist; what no file tells yet is left for later."""
    fields = said.said()
    facts = Facts(datetime.fromtimestamp(time.time(), UTC).date())
    title = without_values(str(fields["title"]), facts) or said.id
    return NewDataset(
        name=said.id,
        title=title,
        description=without_values(str(fields["description"]), facts) or title,
        private=said.private is not False,
        organization=said.organization,
    )


def build(
    settings: Settings,
    ledger: Ledger,
    *,
    reason: str,
    yes: bool = False,
    pin: bool = True,
    stopping: Callable[[], bool] = lambda: False,
    cut: Callable[[], bool] = lambda: False,
    on_exchange: Callable[[Exchange], None] | None = None,
    transfers: Transfers | None = None,
    pulse: Pulse | None = None,
    asked: Asked = lambda _dataset: (0, ()),
) -> Office:
    """Put the rooms together; raises ConfigInvalid, PortalError (only to find out slugs).

    ``pin`` False writes nothing in the ledger.
    """
    if not settings.pages:
        settings.require_folders()
    wrong = unusable(settings.alerts.addresses()) if settings.alerts.to else ()
    if wrong:
        raise ConfigInvalid(
            f"[alerts] to[{wrong[0]}] is not an address that messages can be sent to.",
            hint="Its service and form are in the list at https://appriseit.com/services/.",
        )
    pulse = Pulse() if pulse is None else pulse
    portal = open_portal(settings, reason, on_exchange, pulse.beat)
    pinned = resolve_slugs(settings, portal, ledger, pin=pin)
    base = replace(settings.policy(pinned, yes=yes), settings=settings.digest())
    folders = {
        (watch.dataset, watch.name): Folder(watch, answered=partial(pulse.moved, watch.dataset))
        for watch in base.watches
    }
    for watch in base.watches:
        folders[watch.dataset, watch.name].recognise(
            ledger.presence(watch.dataset, watch.name), partial(ledger.read, watch.dataset)
        )
    vocabulary = Vocabulary(portal, ledger, time.time)

    def policy() -> Policy:
        return replace(base, extensions=vocabulary.extensions())

    gate = Gate(time.time, random.random)
    longs = LongPlaces(settings.daemon.workers)
    reconciler = Reconciler(
        portal=portal,
        ledger=ledger,
        folders=folders,
        policy=policy,
        gate=gate,
        jitter=random.random,
        new_id=lambda: uuid.uuid4().hex[:12],
        audit_every=settings.daemon.audit_every,
        stopping=stopping,
        cut=cut,
        inspect=inspecting(
            Schemas(portal, settings.daemon.state_dir / "schemas", time.time, keep=pin)
        ),
        days=partial(FactsOfFiles(ledger, folders, time.time).column, keep=pin),
        versions=open_versions(settings),
        longs=longs,
        transfers=transfers,
        asked=asked,
    )
    refreshes = Refreshes(settings, pinned, portal, ledger, folders, keep=pin)
    return Office(
        settings,
        portal,
        ledger,
        base.watches,
        folders,
        gate,
        reconciler,
        policy,
        vocabulary,
        refreshes,
        longs,
        unmade=tuple(
            new_dataset(each)
            for each in settings.datasets
            if each.create and not looks_like_dataset_id(each.id) and each.id not in pinned
        ),
    )


def remember(office: Office, report: Report) -> None:
    """Keep for ``status`` what the pass learned of its dataset."""
    for watch in office.watches:
        if watch.dataset == report.dataset:
            _keep_presence(office.folders[watch.dataset, watch.name], watch, office.ledger)
    found = office.reconciler.dataset(report.dataset)
    before = office.ledger.facts_of(report.dataset)
    facts = before or DatasetFacts(report.dataset)
    if found is not None:
        # it was read before: what was published since is the update that was missing
        late = None if report.published else late_words(found.raw)
        if late and late != facts.late:
            log.warning("dataset.delayed", dataset=found.id, why=late)
        facts = replace(facts, title=found.title, page=found.page, slug=found.slug, late=late)
    if report.words is not None:
        facts = replace(facts, resource_words=tuple(map(_resource_word, report.words)))
    facts = replace(facts, last_pass=report.started_at)
    if report.trouble_code != "stopping":  # our own end says nothing of the dataset
        since = facts.trouble_since if facts.trouble == report.trouble else report.started_at
        facts = replace(
            facts,
            trouble=report.trouble,
            trouble_since=since if report.trouble else None,
            trouble_code=report.trouble_code,
        )
    if facts != before:
        office.ledger.remember_dataset(facts)


def _resource_word(word: tuple[ResourceKey, str, str, str, str | None]) -> dict[str, object]:
    key, field, ours, theirs, why = word
    return {
        "path": readable(key.path),
        "folder": key.folder,
        "field": field,
        "ours": ours,
        "theirs": theirs,
        "why": why,
    }


def make_pass(
    office: Office, dataset: DatasetId, reason: Reason, hints: Sequence[Hint], *, refresh: bool
) -> tuple[Report, str | None]:
    """Publish, then refresh the page if it is due or asked: the report, and what went wrong.

    One after the other in the dataset's own lane: no two writers ever meet on it. Raises
    LedgerBroken.
    """
    if dataset in office.refreshes.others:
        report = Report(dataset, reason, pass_id="", started_at=time.time(), seconds=0.0)
    else:
        report = office.reconciler.run(dataset, reason, hints)
        remember(office, report)
    kept = dataset in office.refreshes.lanes
    insist = reason in {Reason.START, Reason.ONCE, Reason.RETRY}
    wanted = kept and (refresh or office.refreshes.due(dataset, insist=insist))
    if not wanted or office.gate.enter() is not None:
        return report, None
    try:
        done = office.refreshes.run(dataset)
    except OutcomeUnknown as error:
        # this page's own trouble: the portal answers, and the other datasets need not wait
        office.gate.left()
        return report, str(error)
    except PortalError as error:
        office.gate.failed(error)
        return report, str(error)
    office.gate.answered()
    held = ", ".join(one.field for one in done.held)
    return report, done.trouble or (f"held: {held}" if held else None)


def refresh_now(
    settings: Settings, choose: Callable[[dict[str, DatasetId]], Sequence[DatasetId]]
) -> list[Refreshed]:
    """Refresh the pages chosen among those named; raises LedgerBusy when a service runs."""
    with open_ledger(settings) as ledger:
        office = build(settings, ledger, reason="publisher-daemon refresh")
        return [_refreshed(office, lane) for lane in choose(office.refreshes.names)]


def _refreshed(office: Office, lane: DatasetId) -> Refreshed:
    """One page; a lost answer is its own trouble, a portal that is away is everybody's."""
    try:
        return office.refreshes.run(lane)
    except OutcomeUnknown as error:
        return Refreshed(lane, "", trouble=error.sentence)


def _keep_presence(folder: Folder, watch: Watch, ledger: Ledger) -> None:
    """Remember which directory the folder is, once it was looked at without complaint."""
    found = folder.identity
    if found is not None and found != ledger.presence(watch.dataset, watch.name):
        ledger.remember_presence(watch.dataset, watch.name, found)


@contextmanager
def on_signals(
    stop: Callable[[], object], again: Callable[[], object] | None = None
) -> Iterator[None]:
    """SIGTERM and SIGINT stop; SIGHUP reloads, where that means something, also one that waited."""

    def handler(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP and again is not None:
            again()
        else:
            stop()

    numbers = [signal.SIGTERM, signal.SIGINT] + ([signal.SIGHUP] if again else [])
    before = {number: signal.signal(number, handler) for number in numbers}
    blocked = signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        for number, old in before.items():
            signal.signal(number, old)
