"""What may concern people, and what they were told of it; kept as JSON between two processes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple


class Kind(StrEnum):
    """What sort of thing it is, which decides the words."""

    FILES = "files"
    FOLDER = "folder"
    DATASET = "dataset"
    METADATA = "metadata"
    PORTAL = "portal"
    KEY_REFUSED = "key_refused"
    KEY_ENDS = "key_ends"
    LATE = "late"
    EXPECTED = "expected"


class Topic(NamedTuple):
    """What is told, told again and told to be over as one: a folder's files, a key, a dataset."""

    kind: Kind
    #: the dataset's id, or nothing
    dataset: str = ""
    #: a folder's name, a number of days, the words of an expectation
    name: str = ""


@dataclass(frozen=True, slots=True)
class Concern:
    """One thing that is not as it should be, now."""

    topic: Topic
    #: which one, within its topic: a file's path
    item: str
    #: the reason as it was made, in English
    why: str
    #: since when; and how long it may last before somebody is told
    since: float
    patience: float = 0.0
    #: how the dataset is called, and its page
    title: str = ""
    page: str = ""
    #: what is on the portal now: the link of what stays there, and since when
    link: str = ""
    published_at: float | None = None
    #: whether it belongs in the daily digest while it lasts
    repeats: bool = True


@dataclass(slots=True)
class Told:
    """What people know of one topic."""

    #: when it was first seen; when people were told, if they were
    since: float
    told: float | None = None
    #: since when it is over
    over: float | None = None
    #: when it was last told at once, and told to be over
    opened: float | None = None
    closed: float | None = None
    title: str = ""
    page: str = ""


@dataclass(frozen=True, slots=True)
class Letter:
    """One message, on its way to those who have not got it."""

    at: float
    subject: str
    body: str
    #: the addresses (their digests) that have not taken it, and when to try again
    left: tuple[str, ...]
    again: float = 0.0
    failures: int = 0


@dataclass(slots=True)
class Memory:
    """All that must survive a restart, so that nobody is told twice."""

    #: since when this machine looks: what was due before is nobody's fault
    first: float
    topics: dict[Topic, Told] = field(default_factory=dict)
    digest_at: float | None = None
    #: when something was told at once, lately
    sent: list[float] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)

    def as_json(self) -> str:
        """The memory as the ledger keeps it."""
        document = asdict(self)
        document["topics"] = [[list(topic), asdict(told)] for topic, told in self.topics.items()]
        return json.dumps(document)

    @classmethod
    def from_json(cls, text: str) -> Memory:
        """The memory as it was kept."""
        kept: Mapping[str, Any] = json.loads(text)
        return cls(
            first=kept["first"],
            topics={
                Topic(Kind(kind), dataset, name): Told(**told)
                for (kind, dataset, name), told in kept["topics"]
            },
            digest_at=kept["digest_at"],
            sent=kept["sent"],
            ended=kept["ended"],
            letters=[Letter(**{**one, "left": tuple(one["left"])}) for one in kept["letters"]],
        )
