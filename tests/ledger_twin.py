"""The ledger as plain dictionaries: what the real one must be indistinguishable from."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from publisher_daemon.model import (
    Attempt,
    DatasetId,
    Entry,
    Record,
    ResourceKey,
    Standing,
)


class LedgerTwin:
    """What a pass writes, without a disk."""

    def __init__(self) -> None:
        self.entries: dict[ResourceKey, Entry] = {}
        self.attempts: dict[int, Attempt] = {}
        self.standings: dict[ResourceKey, Standing] = {}
        self.history: list[tuple[ResourceKey, str]] = []

    def read(self, dataset: DatasetId) -> Record:
        return Record(
            {key: entry for key, entry in self.entries.items() if key.dataset == dataset},
            tuple(each for each in self.attempts.values() if each.key.dataset == dataset),
            {key: each for key, each in self.standings.items() if key.dataset == dataset},
        )

    def read_at(self, dataset: DatasetId, places: Mapping[str, Collection[str]]) -> Record:
        def asked(key: ResourceKey) -> bool:
            return any(
                key.path == path or key.path.startswith(f"{path}/")
                for path in places.get(key.folder, ())
            )

        whole = self.read(dataset)
        return Record(
            {key: entry for key, entry in whole.entries.items() if asked(key)},
            whole.attempts,
            {
                key: each
                for key, each in whole.standings.items()
                if asked(key) or each.forced or each.code == "unverified"
            },
        )

    def rewind(self, dataset: DatasetId, seconds: float) -> None:
        def moved(instant: float | None) -> float | None:
            return None if instant is None else instant - seconds

        for number, attempt in self.attempts.items():
            if attempt.key.dataset == dataset:
                self.attempts[number] = replace(
                    attempt,
                    started_at=attempt.started_at - seconds,
                    sent_at=moved(attempt.sent_at),
                )
        for key, standing in self.standings.items():
            if key.dataset == dataset:
                self.standings[key] = replace(
                    standing, since=standing.since - seconds, not_before=moved(standing.not_before)
                )
        for key, entry in self.entries.items():
            if key.dataset == dataset:
                self.entries[key] = replace(entry, gone_since=moved(entry.gone_since))

    def begin(self, attempt: Attempt) -> None:
        self.attempts[attempt.id] = attempt

    def sent(self, attempt: Attempt, *, now: float) -> None:
        if attempt.id in self.attempts:
            self.attempts[attempt.id] = replace(attempt, sent=True, sent_at=now)

    def finish(self, attempt: Attempt | None, entry: Entry, *, action: str) -> None:
        self.touch(entry)
        if attempt is not None:
            self.attempts.pop(attempt.id, None)
        self.standings.pop(entry.key, None)
        self.history.append((entry.key, action))

    def close_attempt(self, attempt: Attempt, *, action: str) -> None:
        self.attempts.pop(attempt.id, None)
        self.history.append((attempt.key, action))

    def rename(self, old: ResourceKey, entry: Entry) -> None:
        self.entries.pop(old, None)
        self.standings.pop(old, None)
        self.touch(entry)
        self.history.append((entry.key, "resource.renamed"))

    def forget(self, key: ResourceKey, *, action: str) -> None:
        self.entries.pop(key, None)
        self.standings.pop(key, None)
        self.history.append((key, action))

    def touch(self, entry: Entry) -> None:
        for key, other in list(self.entries.items()):
            if other.resource == entry.resource and key.dataset == entry.key.dataset:
                del self.entries[key]
        self.entries[entry.key] = entry

    def stand(self, standings: Iterable[Standing], cleared: Iterable[ResourceKey]) -> None:
        for key in cleared:
            self.standings.pop(key, None)
        for standing in standings:
            self.standings[standing.key] = standing

    def force(self, keys: Collection[ResourceKey] | None, *, yes: bool) -> None:
        for key, standing in self.standings.items():
            if keys is None:
                now = replace(standing, not_before=0.0, failures=0)
                self.standings[key] = replace(now, forced=True) if yes else now
            elif key in keys:
                self.standings[key] = replace(standing, not_before=0.0, failures=0, forced=True)
