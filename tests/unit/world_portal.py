"""The doubles of a small world: a portal with udata's traps, and a ledger.

Not tested against the real ones: they stand for what is written down of them (portal-facts §5, §6
and §15), where the decisions could go wrong.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from publisher_daemon.model import (
    Attempt,
    Entry,
    Fingerprint,
    Identity,
    Record,
    RemoteResource,
    ResourceId,
    ResourceKey,
    Stamp,
    Standing,
    Words,
)


class Unreachable(Exception):
    """Nothing happened on the portal."""


class Refused(Exception):
    """The portal refused, and will again."""


class Unknown(Exception):
    """No answer, or a 500: maybe it happened."""

    def __init__(self, *, answered: bool) -> None:
        super().__init__()
        self.answered = answered


def fingerprint_of(content: str) -> Fingerprint:
    data = content.encode()
    return Fingerprint(hashlib.sha1(data).hexdigest(), len(data))


@dataclass(frozen=True)
class File:
    """A file in the folder; it may be used once it is settled."""

    content: str
    stamp: Stamp
    settled_at: float


@dataclass
class Portal:
    """What udata does, as far as it can hurt: see portal-facts §5, §6 and §15."""

    resources: dict[ResourceId, RemoteResource] = field(default_factory=dict)
    #: what was asked and will be done later: (when, what)
    late: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    made_by_us: set[ResourceId] = field(default_factory=set)
    #: who put the bytes there last
    last_writer: dict[ResourceId, str] = field(default_factory=dict)
    #: the last bytes we put there; from a person they are no news
    ours: dict[ResourceId, str] = field(default_factory=dict)
    writes: Counter[str] = field(default_factory=Counter)
    serial: int = 0

    def catch_up(self, now: float) -> None:
        """Do what is due by now."""
        due = sorted((item for item in self.late if item[0] <= now), key=lambda item: item[0])
        self.late = [item for item in self.late if item[0] > now]
        for _, thunk in due:
            thunk()

    def create(self, name: str, data: Fingerprint, who: str) -> ResourceId:
        """Upload is a POST that creates, every time; the title is the name."""
        self.serial += 1
        new = ResourceId(f"r{self.serial:03}")
        self.resources[new] = RemoteResource(
            id=new,
            title=name,
            url=f"https://static.example/{self.serial}/{name}",
            permalink=f"https://portal.example/r/{new}",
            sha1=data.sha1,
            size=data.size,
            type="main",
            created_at=f"2026-01-01T00:00:{self.serial:05}",
        )
        self.last_writer[new] = who
        if who == "us":
            self.made_by_us.add(new)
            self.ours[new] = data.sha1
        self.writes[f"{who} upload"] += 1
        return new

    def put(self, target: ResourceId, name: str, data: Fingerprint, who: str) -> None:
        """Give other bytes: the title falls back to the name; identity and words stay."""
        if target not in self.resources:
            return
        self.serial += 1
        self.resources[target] = replace(
            self.resources[target],
            title=name,
            url=f"https://static.example/{self.serial}/{name}",
            sha1=data.sha1,
            size=data.size,
        )
        self.last_writer[target] = "us" if self.ours.get(target) == data.sha1 else who
        if who == "us":
            self.ours[target] = data.sha1
        self.writes[f"{who} replace"] += 1

    def edit(self, target: ResourceId, words: Words, identity: Identity | None = None) -> None:
        if target in self.resources:
            said = words.said()
            found = self.resources[target]
            self.resources[target] = replace(
                found,
                title=said.get("title", found.title),
                description=said.get("description", found.description),
                source=identity or found.source,
            )

    def delete(self, target: ResourceId, who: str) -> None:
        if self.resources.pop(target, None) is not None:
            self.writes[f"{who} delete"] += 1


@dataclass
class Ledger:
    """Each method is one transaction."""

    entries: dict[ResourceKey, Entry] = field(default_factory=dict)
    attempts: dict[int, Attempt] = field(default_factory=dict)
    standings: dict[ResourceKey, Standing] = field(default_factory=dict)
    serial: int = 0

    def begin(self, attempt: Attempt) -> Attempt:
        self.serial += 1
        attempt = replace(attempt, id=self.serial)
        self.attempts[attempt.id] = attempt
        return attempt

    def sent(self, attempt: Attempt, now: float) -> None:
        self.attempts[attempt.id] = replace(attempt, sent=True, sent_at=now)

    def finish(self, attempt: int | None, entry: Entry) -> None:
        if attempt is not None:
            self.attempts.pop(attempt, None)
        self.entries[entry.key] = entry
        self.standings.pop(entry.key, None)

    def close(self, attempt: int) -> None:
        self.attempts.pop(attempt, None)

    def record(self) -> Record:
        return Record(dict(self.entries), tuple(self.attempts.values()), dict(self.standings))
