"""Says where every file stands: the ledger's memory laid over what the folders hold now.

Used by ``status``, ``once`` and ``explain`` alike, so that they can never tell different stories.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from publisher_daemon.config import DatasetSettings, PageSettings, Settings
from publisher_daemon.errors import FolderUnreadable
from publisher_daemon.folder import Folder
from publisher_daemon.ledger import DatasetFacts, Ledger
from publisher_daemon.model import (
    DatasetId,
    Entry,
    ResourceKey,
    Sighting,
    Standing,
    State,
    Watch,
)
from publisher_daemon.naming import readable
from publisher_daemon.refresh import lanes_of
from publisher_daemon.schedule import next_refresh


@dataclass(frozen=True, slots=True)
class FileView:
    """One file, for people and for ``--json`` (contract.md)."""

    key: ResourceKey
    state: State
    resource: str | None = None
    url: str | None = None
    sha1: str | None = None
    size: int | None = None
    why: str | None = None
    code: str | None = None
    sentry_id: str | None = None
    since: float | None = None
    retry_at: float | None = None

    def as_json(self) -> dict[str, object]:
        """The file as the contract writes it."""
        return {
            "path": readable_path(self.key.path),
            "folder": self.key.folder,
            "state": str(self.state),
            "resource_id": self.resource,
            "url": self.url,
            "sha1": self.sha1,
            "size": self.size,
            "why": self.why,
            "code": self.code,
            "sentry_id": self.sentry_id,
            "since": instant(self.since),
            "retry_at": instant(self.retry_at),
        }


@dataclass(frozen=True, slots=True)
class DatasetView:
    """One dataset and its files."""

    dataset: DatasetId
    title: str | None = None
    page: str | None = None
    files: tuple[FileView, ...] = ()
    folders: tuple[Mapping[str, object], ...] = ()
    trouble: str | None = None
    last_refresh: float | None = None
    next_refresh: float | None = None
    #: why its metadata is not as configured
    refresh_trouble: str | None = None
    #: when that is tried again by itself
    refresh_retry_at: float | None = None
    #: what the last refresh learned of it
    facts: DatasetFacts | None = None

    def as_json(self) -> dict[str, object]:
        """The dataset as the contract writes it."""
        return {
            "dataset": self.dataset,
            "title": self.title,
            "url": self.page,
            "trouble": self.trouble,
            "last_refresh": instant(self.last_refresh),
            "next_refresh": instant(self.next_refresh),
            "refresh_trouble": self.refresh_trouble,
            "refresh_retry_at": instant(self.refresh_retry_at),
            **_learned(self.facts or DatasetFacts(self.dataset)),
            "folders": list(self.folders),
            "files": [file.as_json() for file in self.files],
        }

    @property
    def well(self) -> bool:
        """Nothing failed, nothing is held, nothing stops the dataset."""
        bad = {State.HELD, State.FAILED}
        if self.trouble is not None or self.refresh_trouble is not None:
            return False
        words = () if self.facts is None else self.facts.resource_words
        if (self.facts is not None and self.facts.held_fields) or any(w["why"] for w in words):
            return False
        return not any(file.state in bad for file in self.files)


def pins(settings: Settings, ledger: Ledger) -> dict[str, DatasetId]:
    """The ids of the datasets that the configuration names by slug, as far as they are known."""
    known = {name: ledger.pinned(name) for name in settings.datasets_named()}
    return {name: found for name, found in known.items() if found is not None}


def next_refreshes(settings: Settings, ledger: Ledger) -> dict[DatasetId, float | None]:
    """When each dataset's page is refreshed next; None: when its settings change."""
    facts, now = ledger.datasets(), time.time()
    lanes = lanes_of(settings, pins(settings, ledger))
    return {
        lane: _next(lane, each, settings, facts.get(lane), now)
        for lane, each in lanes.items()
        if isinstance(each, DatasetSettings)
    }


def _next(
    lane: DatasetId, said: PageSettings, settings: Settings, facts: DatasetFacts | None, now: float
) -> float | None:
    if said.refresh is not None:
        return next_refresh(lane, said.refresh, now, said.timezone or settings.daemon.timezone)
    if said.refresh_every is not None:
        last = facts.last_refresh if facts else None
        return max(now, (last or 0.0) + said.refresh_every)
    return None


def pages(settings: Settings, ledger: Ledger) -> list[dict[str, object]]:
    """Where the organisations and reuses stand that the configuration keeps."""
    known, now = ledger.datasets(), time.time()
    found: list[dict[str, object]] = []
    for lane, said in lanes_of(settings, {}).items():
        if isinstance(said, DatasetSettings):
            continue
        facts = known.get(lane) or DatasetFacts(lane)
        found.append(
            {
                "page": str(lane).partition(":")[0],
                "name": said.name,
                "title": facts.title,
                "url": facts.page,
                "last_refresh": instant(facts.last_refresh),
                "next_refresh": instant(_next(lane, said, settings, facts, now)),
                "refresh_trouble": facts.refresh_trouble,
                "refresh_retry_at": instant(facts.refresh_retry_at),
                "drifts": list(facts.drifts),
                "held_fields": list(facts.held_fields),
            }
        )
    return found


def page_trouble(page: Mapping[str, object]) -> bool:
    """Whether something of this organisation or reuse failed, or is held."""
    return bool(page["refresh_trouble"] or page["held_fields"])


def _learned(facts: DatasetFacts) -> dict[str, object]:
    """What the portal says of a dataset's page, as of the last refresh."""
    return {
        "private": facts.private,
        "organization": facts.organization,
        "organization_name": facts.owner,
        "reuses": facts.reuses,
        "quality_score": facts.quality,
        "quality_missing": list(facts.missing),
        "late": facts.late,
        "views": facts.views,
        "downloads": facts.downloads,
        "months": list(facts.months),
        "drifts": list(facts.drifts),
        "held_fields": list(facts.held_fields),
        "resource_words": list(facts.resource_words),
        "file_problems": list(facts.problems),
    }


def instant(at: float | None) -> str | None:
    """A UTC instant as ISO 8601, to the second."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def readable_path(path: str) -> str:
    """The path itself when it is valid Unicode, else with its strange bytes written out."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return readable(path)
    return path


@dataclass(slots=True)
class _Shelf:
    """What one dataset's folders hold now."""

    #: why nothing can be published at all
    standstill: str | None = None
    sightings: dict[ResourceKey, Sighting] = field(default_factory=dict)
    ignored: dict[ResourceKey, str] = field(default_factory=dict)
    #: those that wait for their ready marker, and why
    unmarked: dict[ResourceKey, str] = field(default_factory=dict)
    troubles: dict[str, str] = field(default_factory=dict)


def survey(
    watches: Sequence[Watch],
    ledger: Ledger,
    folders: Mapping[tuple[DatasetId, str], Folder],
    next_refresh: Mapping[DatasetId, float | None] | None = None,
    notices: Iterable[Mapping[str, object]] = (),
    *,
    standstill: str | None = None,
) -> tuple[DatasetView, ...]:
    """Every configured dataset, in the configuration's order.

    ``notices`` is what the running service says of its watches; ``standstill`` is why nothing at
    all can be published now.
    """
    facts = ledger.datasets()
    told = {(notice.get("dataset"), notice.get("folder")): notice for notice in notices}
    order = dict.fromkeys([*(watch.dataset for watch in watches), *(next_refresh or {})])
    return tuple(
        _dataset(
            dataset,
            [watch for watch in watches if watch.dataset == dataset],
            ledger,
            folders,
            facts.get(dataset),
            (next_refresh or {}).get(dataset),
            told,
            standstill,
        )
        for dataset in order
    )


def _dataset(  # noqa: PLR0917 - what one view is made of
    dataset: DatasetId,
    watches: Sequence[Watch],
    ledger: Ledger,
    folders: Mapping[tuple[DatasetId, str], Folder],
    facts: DatasetFacts | None,
    next_refresh: float | None,
    told: Mapping[tuple[object, object], Mapping[str, object]],
    standstill: str | None,
) -> DatasetView:
    shelf, found = _Shelf(standstill), dict[Sighting, str]()
    for watch in watches:
        folder = folders[dataset, watch.name]
        try:
            shelf.sightings.update({sighting.key: sighting for sighting in folder.scan()})
            found.update(folder.unmarked())
            shelf.ignored.update(
                {ResourceKey(dataset, watch.name, path): why for path, why in folder.ignored()}
            )
        except FolderUnreadable as error:
            shelf.troubles[watch.name] = error.sentence
    record = ledger.read(dataset)
    for sighting, why in found.items():
        entry = record.entries.get(sighting.key)
        if entry is not None and entry.stamp == sighting.stamp:
            shelf.sightings[sighting.key] = sighting
        else:
            shelf.unmarked[sighting.key] = why
    names = {watch.name for watch in watches}
    keys = {*shelf.sightings, *shelf.unmarked, *shelf.ignored, *record.entries, *record.standings}
    files = tuple(
        _file(
            key,
            shelf,
            record.entries.get(key),
            record.standings.get(key),
            rolled_back=key in record.rollbacks,
        )
        for key in sorted(key for key in keys if key.folder in names)
    )
    return DatasetView(
        dataset=dataset,
        title=facts.title if facts else None,
        page=facts.page if facts else None,
        files=files,
        folders=tuple(
            {
                "name": watch.name,
                "path": watch.path,
                "trouble": shelf.troubles.get(watch.name),
                "watch": _notice(told.get((dataset, watch.name))),
            }
            for watch in watches
        ),
        trouble=standstill
        or "; ".join(shelf.troubles.values())
        or (facts.trouble if facts else None),
        refresh_trouble=facts.refresh_trouble if facts else None,
        refresh_retry_at=facts.refresh_retry_at if facts else None,
        facts=facts,
        last_refresh=facts.last_refresh if facts else None,
        next_refresh=next_refresh,
    )


def _notice(told: Mapping[str, object] | None) -> dict[str, object] | None:
    """How the running service watches a folder; None when none runs."""
    if told is None:
        return None
    since, last = told.get("since"), told.get("last_event")
    return {
        "mode": told.get("mode"),
        "since": instant(since) if isinstance(since, int | float) else None,
        "losses": told.get("losses"),
        "last_loss": told.get("last_loss"),
        "last_event": instant(last) if isinstance(last, int | float) else None,
        "why": told.get("why"),
    }


ROLLED_BACK = (
    "An earlier version is published, as a person asked; the file in the folder counts again once "
    "it changes."
)


def _file(
    key: ResourceKey,
    shelf: _Shelf,
    entry: Entry | None,
    standing: Standing | None,
    *,
    rolled_back: bool = False,
) -> FileView:
    sighting = shelf.sightings.get(key)
    known = _known(key, entry)
    if key in shelf.unmarked:
        return _unmarked(known, shelf.unmarked[key], standing)
    if standing is not None:
        return _with(
            known,
            state=standing.state,
            why=standing.why,
            code=standing.code,
            sentry_id=standing.sentry_id,
            since=standing.since,
            retry_at=standing.not_before,
        )
    if entry is None:
        if sighting is not None:
            why = shelf.standstill or "Seen; its turn has not come yet."
            return _with(known, state=State.PENDING, why=why)
        return _with(known, state=State.IGNORED, why=shelf.ignored.get(key))
    if sighting is not None:
        if entry.stamp != sighting.stamp:
            changed = "It changed since it was published; its turn has not come yet."
            why = shelf.standstill or changed
            return _with(known, state=State.PENDING, why=why)
        if rolled_back:
            return _with(known, why=ROLLED_BACK)
        return known
    if key.folder in shelf.troubles:
        return known
    why = "The file is gone from the folder; its resource stays on the portal."
    if key in shelf.ignored:
        why = f"The file is not published any more ({shelf.ignored[key]}); its resource stays."
    return _with(known, state=State.KEPT, why=why, since=entry.gone_since or known.since)


def _known(key: ResourceKey, entry: Entry | None) -> FileView:
    if entry is None:
        return FileView(key, State.PUBLISHED)
    return FileView(
        key,
        State.PUBLISHED,
        resource=entry.resource,
        url=entry.permalink or None,
        sha1=entry.fingerprint.sha1 or None,
        size=entry.fingerprint.size,
        since=entry.published_at or None,
    )


def _unmarked(known: FileView, why: str, standing: Standing | None) -> FileView:
    code = "waits_for_marker"
    since = standing.since if standing is not None and standing.code == code else None
    return _with(known, state=State.PENDING, why=why, code=code, since=since)


def _with(view: FileView, **changes: object) -> FileView:
    values = {name: getattr(view, name) for name in FileView.__dataclass_fields__}
    return FileView(**{**values, **changes})


def summary(views: Iterable[DatasetView]) -> dict[str, int]:
    """How many files stand where."""
    counts: dict[str, int] = {}
    for view in views:
        for file in view.files:
            counts[str(file.state)] = counts.get(str(file.state), 0) + 1
    return counts
