"""Finds, in what the rooms know, everything that people should hear of.

Level-triggered like the passes: the whole list is made anew each time, and ``alerts`` compares it
with what people were told. A message lost, a crash or a restart cannot matter.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import structlog

from publisher_daemon.alerts import Concern, Kind, Topic
from publisher_daemon.daemon.office import Office
from publisher_daemon.expect import last_times
from publisher_daemon.ledger import DatasetFacts
from publisher_daemon.log import single_line
from publisher_daemon.model import DatasetId, ResourceKey, Standing, State, Watch
from publisher_daemon.naming import readable, rule_for

log = structlog.get_logger(__name__)

#: Failures in a row after which a file is spoken of, however short its waits still are.
TRIES = 3
#: Days before the key's end at which it is spoken of.
KEY_DAYS = (30, 7, 1)
#: A file that comes just in time still has to be seen and to settle, in seconds.
SLACK = 60.0


@dataclass(slots=True)
class Looking:
    """What one look needs, and what it keeps for the next one."""

    office: Office
    #: when people were first looked after: what was due before is nobody's fault
    first: float
    #: expectations that were met, and those that were logged, with the time they were due
    met: dict[tuple[DatasetId, str, str], float] = field(default_factory=dict)
    missed: dict[tuple[DatasetId, str, str], float] = field(default_factory=dict)

    #: what is remembered of the datasets, and of which state of the ledger that is
    _known: dict[DatasetId, DatasetFacts] = field(default_factory=dict)
    _version: int | None = None

    def concerns(self, now: float, key_ends: float | None) -> tuple[Concern, ...]:
        """Everything, now; always asked by the same thread. Raises LedgerBroken."""
        facts = self._facts()
        return (
            *self._portal(facts),
            *of_key(now, key_ends),
            *self._datasets(facts),
            *self._files(facts, now),
            *self._expected(facts, now),
        )

    def _facts(self) -> dict[DatasetId, DatasetFacts]:
        """What is remembered of the datasets: read again once somebody has written.

        Each thread has a number of its own for what others wrote; this one writes no facts.
        """
        version = self.office.ledger.changed()
        if version != self._version:
            self._known, self._version = self.office.ledger.datasets(), version
        return self._known

    def _portal(self, every: dict[DatasetId, DatasetFacts]) -> Iterator[Concern]:
        closed, patience = self.office.gate.closed, self.office.settings.alerts.patience
        if closed is not None:
            # the gate is new in each process; what the datasets suffer from it is remembered
            known = [
                facts.trouble_since
                for facts in every.values()
                if facts.trouble_since and facts.trouble and closed.why in facts.trouble
            ]
            kind = Kind.KEY_REFUSED if closed.credential else Kind.PORTAL
            wait = 0.0 if closed.credential else patience
            yield Concern(Topic(kind), "", closed.why, min([closed.since, *known]), wait)

    def _datasets(self, every: dict[DatasetId, DatasetFacts]) -> Iterator[Concern]:
        patience = self.office.settings.alerts.patience
        closed = self.office.gate.closed
        for dataset in self.office.lanes:
            facts = every.get(dataset)
            if facts is None:
                continue
            title, page = facts.title or "", facts.page or ""
            since = facts.trouble_since or facts.last_pass or 0.0
            # a portal that is away is told once, and not of each dataset
            if facts.trouble and (closed is None or closed.why not in facts.trouble):
                refused = facts.trouble_code == "dataset_refused"
                topic = Topic(Kind.DATASET if refused else Kind.FOLDER, dataset)
                yield Concern(topic, "", facts.trouble, since, patience, title, page)
            if facts.refresh_trouble and closed is None:
                topic = Topic(Kind.METADATA, dataset)
                yield Concern(topic, "", facts.refresh_trouble, since, patience, title, page)
            for item, why in _held(facts):
                topic = Topic(Kind.METADATA, dataset)
                yield Concern(topic, item, why, facts.last_refresh or since, 0.0, title, page)
            if facts.late:
                topic = Topic(Kind.LATE, dataset)
                yield Concern(topic, "", facts.late, since, 0.0, title, page, repeats=False)

    def _files(self, every: dict[DatasetId, DatasetFacts], now: float) -> Iterator[Concern]:
        patience = self.office.settings.alerts.patience
        known = set(self.office.folders)
        for standing in self.office.ledger.standings():
            key = standing.key
            if standing.state not in {State.FAILED, State.HELD} or standing.code in _ELSEWHERE:
                continue
            if (key.dataset, key.folder) not in known:
                continue
            facts = every.get(key.dataset) or DatasetFacts(key.dataset)
            entry = self.office.ledger.entry(key)
            yield Concern(
                Topic(Kind.FILES, key.dataset, key.folder),
                single_line(readable(key.path)),
                standing.why,
                now if _ripe(standing) else standing.since,
                0.0 if _ripe(standing) else patience,
                title=facts.title or "",
                page=facts.page or "",
                link=entry.permalink if entry else "",
                published_at=entry.published_at if entry else None,
            )

    def _expected(self, every: dict[DatasetId, DatasetFacts], now: float) -> Iterator[Concern]:
        zone = self.office.settings.daemon.timezone
        for watch in self.office.watches:
            asked = [("", watch.expect), *((rule.match, rule.expect) for rule in watch.rules)]
            for match, expect in asked:
                if expect is None:
                    continue
                before, due = last_times(expect, now - SLACK, zone)
                place = (watch.dataset, watch.name, match)
                if due <= self.first or self.met.get(place) == due:
                    continue
                newest = self._newest(watch, match)
                if newest is not None and newest > before:
                    self.met[place] = due
                    continue
                why = f"A file is expected {expect} in {single_line(watch.path)}, and none came."
                if self.missed.get(place) != due:
                    self.missed[place] = due
                    log.warning("file.missed", dataset=watch.dataset, folder=watch.name, why=why)
                facts = every.get(watch.dataset) or DatasetFacts(watch.dataset)
                yield Concern(
                    Topic(Kind.EXPECTED, watch.dataset, watch.name),
                    match,
                    why,
                    due,
                    title=facts.title or "",
                    page=facts.page or "",
                    published_at=newest,
                )

    def _newest(self, watch: Watch, match: str) -> float | None:
        """When a file of the folder, or of its rule, last came: published, or only written."""
        record = self.office.ledger.read(watch.dataset)

        def wanted(key: ResourceKey) -> bool:
            if key.folder != watch.name:
                return False
            found = rule_for(watch, key.path) if match else None
            return not match or (found is not None and found[0].match == match)

        times = [
            max(entry.published_at, entry.stamp.mtime_ns / 1e9 if entry.stamp else 0.0)
            for entry in record.entries.values()
            if wanted(entry.key) and not entry.gone_since
        ]
        times += [
            standing.stamp.mtime_ns / 1e9 if standing.stamp else standing.since
            for standing in record.standings.values()
            if wanted(standing.key) and standing.state is not State.WITHDRAWN
        ]
        return max(times, default=None)


#: Told of as the portal's, the dataset's or the folder's trouble, not file by file.
_ELSEWHERE = frozenset(
    {"portal_unreachable", "credential_refused", "dataset_refused", "folder_unreadable"}
)


def _held(facts: DatasetFacts) -> Iterator[tuple[str, str]]:
    """The words of the page and of its resources that wait for a person, and why."""
    for one in facts.held_fields:
        yield str(one["field"]), str(one["why"])
    for one in facts.resource_words:
        if one["why"]:
            yield f"{single_line(readable(str(one['path'])))}, {one['field']}", str(one["why"])


def _ripe(standing: Standing) -> bool:
    """Whether waiting would not mend it, or was tried long enough."""
    return standing.not_before is None or standing.failures >= TRIES


def of_key(now: float, ends: float | None) -> Iterator[Concern]:
    """One concern for each threshold that is passed: each is told of once."""
    for days in KEY_DAYS:
        if ends is not None and ends - now < days * 86400:
            yield Concern(
                Topic(Kind.KEY_ENDS, name=str(days)),
                "",
                "Nothing will be published after that.",
                now,
                repeats=False,
            )
