"""Short ways to make the values that tests of the pure core start from."""

from __future__ import annotations

import hashlib
from typing import Any

from publisher_daemon.model import (
    Attempt,
    AttemptKind,
    DatasetId,
    Entry,
    Fingerprint,
    Folderful,
    Hold,
    Identity,
    Plan,
    Policy,
    Record,
    Remote,
    RemoteDataset,
    RemoteResource,
    ResourceId,
    ResourceKey,
    SourceFile,
    Stamp,
    Standing,
    State,
    Watch,
    Words,
)
from publisher_daemon.naming import default_title, portal_name
from publisher_daemon.plan import plan

DATASET = DatasetId("5bbb6d6cff66bd4dc17bfd5a")
NOW = 1_000_000.0
WATCH = Watch("air", "/srv/air", DATASET)
WITHDRAWING = Watch("air", "/srv/air", DATASET, when_deleted="withdraw", withdraw_after=10.0)


def key(path: str = "a.csv", folder: str = "air") -> ResourceKey:
    return ResourceKey(DATASET, folder, path)


def bytes_of(text: str) -> Fingerprint:
    data = text.encode()
    return Fingerprint(hashlib.sha1(data).hexdigest(), len(data))


def stamp_of(text: str) -> Stamp:
    return Stamp(len(text), hash(text) & 0xFFFF, 1, 1)


def source(path: str = "a.csv", text: str = "new", **more: Any) -> SourceFile:
    folder = more.pop("folder", "air")
    title = more.pop("title", None)
    words = more.pop("words", Words(title=title or default_title(path)))
    return SourceFile(
        key=key(path, folder),
        stamp=stamp_of(text),
        fingerprint=bytes_of(text),
        name=portal_name(path),
        words=words,
        default_title=title is None,
        **more,
    )


def identity(path: str = "a.csv", text: str = "new", folder: str = "air") -> Identity:
    return Identity(folder, path, bytes_of(text).sha1)


def resource(name: str = "r1", text: str | None = "new", **more: Any) -> RemoteResource:
    served = more.pop("served", "a.csv")
    data = bytes_of(text) if text is not None else None
    values: dict[str, Any] = {
        "title": "a.csv",
        "url": f"https://static.example/{name}/{served}",
        "permalink": f"https://portal.example/r/{name}",
        "sha1": data.sha1 if data else None,
        "size": data.size if data else None,
    }
    return RemoteResource(id=ResourceId(name), **(values | more))


def entry(path: str = "a.csv", text: str = "new", name: str = "r1", **more: Any) -> Entry:
    values: dict[str, Any] = {
        "stamp": stamp_of(text),
        "permalink": f"https://portal.example/r/{name}",
        "applied": Words(title=default_title(path)),
    }
    return Entry(
        key=key(path, more.pop("folder", "air")),
        resource=ResourceId(name),
        fingerprint=bytes_of(text),
        **(values | more),
    )


def attempt(kind: AttemptKind, path: str = "a.csv", text: str = "new", **more: Any) -> Attempt:
    values: dict[str, Any] = {
        "id": 1,
        "started_at": NOW - 1,
        "sent": True,
        "fingerprint": bytes_of(text),
        "stamp": stamp_of(text),
        "name": portal_name(path),
        "title": default_title(path),
    }
    return Attempt(key=key(path), kind=kind, **(values | more))


def standing(path: str = "a.csv", code: str = "refused", **more: Any) -> Standing:
    values: dict[str, Any] = {"state": State.HELD, "why": "Because.", "since": NOW - 60}
    return Standing(key=key(path), code=code, **(values | more))


def decide(
    *files: SourceFile,
    entries: tuple[Entry, ...] = (),
    resources: tuple[RemoteResource, ...] = (),
    attempts: tuple[Attempt, ...] = (),
    standings: tuple[Standing, ...] = (),
    present: frozenset[ResourceKey] | None = None,
    complete: bool = True,
    waiting: tuple[Hold, ...] = (),
    now: float = NOW,
    **more: Any,
) -> Plan:
    """Plan over these few values; every file given is there, the folder was read whole."""
    watches = more.pop("watches", (WATCH,))
    released = more.pop("released", {})
    dataset = more.pop("dataset", None)
    there = {file.key for file in files} | {hold.key for hold in waiting}
    folder = Folderful(
        files={file.key: file for file in files},
        present=frozenset(there) if present is None else present,
        complete=frozenset(watch.name for watch in watches) if complete else frozenset(),
        waiting=waiting,
        named=more.pop("named", frozenset()),
        profiles=more.pop("profiles", {}),
        dim=more.pop("dim", frozenset()),
    )
    record = Record(
        {one.key: one for one in entries},
        attempts,
        {one.key: one for one in standings},
        released,
        rollbacks=more.pop("rollbacks", {}),
    )
    shown = dataset or RemoteDataset(DATASET, "air", "Air", "https://portal.example/air")
    return plan(
        folder,
        record,
        Remote(shown, {one.id: one for one in resources}),
        Policy(watches=watches, **more),
        now,
    )


def codes(result: Plan) -> list[str]:
    return [hold.code for hold in result.holds]


def kinds(result: Plan) -> list[str]:
    return [type(action).__name__ for action in result.actions]
