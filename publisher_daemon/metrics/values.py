"""What the numbers are made of that are looked up when somebody asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from publisher_daemon.model import DatasetId, State

#: (dataset, the folder's name)
Place = tuple[DatasetId, str]


@dataclass(frozen=True, slots=True)
class WatchNow:
    """How one folder is watched now."""

    dataset: DatasetId
    folder: str
    mode: str
    losses: int


@dataclass(frozen=True, slots=True)
class Now:
    """What is asked for at each look."""

    #: how many files stand where, by folder and state, and since when the oldest of them does
    standings: Mapping[tuple[Place, State], tuple[int, float]] = field(default_factory=dict)
    places: tuple[Place, ...] = ()
    circuit_open: bool = False
    key_refused: bool = False
    #: when the key ends; None: never, or not known
    key_ends: float | None = None
    watches: tuple[WatchNow, ...] = ()
    #: the expected files that did not come, by folder
    missing: Mapping[Place, int] = field(default_factory=dict)
    ledger_bytes: int | None = None
