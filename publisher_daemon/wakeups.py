"""A queue that holds each dataset at most once, now or later.

Thousands of events about one dataset are one turn of it; a dataset that is being worked on is not
handed out again before it is given back.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal

from publisher_daemon.model import DatasetId, Hint, Reason

#: More paths than this, and looking at everything is cheaper than at each of them.
MOST_PATHS = 10_000


#: A look at a few paths that is due soon must not take with it one at everything that is due later.
_When = Literal["now", "later", "later, all of it"]
_WHENS: tuple[_When, ...] = ("now", "later", "later, all of it")


@dataclass(frozen=True, slots=True)
class Wake:
    """One turn: a dataset, why, and where to look."""

    dataset: DatasetId
    reasons: frozenset[Reason]
    hints: tuple[Hint, ...] = ()
    #: somebody asked without saying where: all of it
    everywhere: bool = False

    def all_of(self, folders: Iterable[str]) -> tuple[Hint, ...]:
        """Look at these folders whole, still knowing which files arrived whole."""
        arrived = {hint.folder: hint.arrived for hint in self.hints}
        return tuple(Hint(folder, None, arrived.get(folder, frozenset())) for folder in folders)


@dataclass(slots=True)
class _Turn:
    """What was asked for one dataset so far."""

    at: float
    order: int
    reasons: set[Reason] = field(default_factory=set)
    #: folder → paths (None: all of it)
    paths: dict[str, set[str] | None] = field(default_factory=dict)
    arrived: dict[str, set[str]] = field(default_factory=dict)
    everywhere: bool = False
    #: how many times it was asked for
    times: int = 0

    def add(self, reason: Reason, hint: Hint | None) -> None:
        self.times += 1
        self.reasons.add(reason)
        if hint is None:
            self.everywhere = True
            return
        known = self.paths.setdefault(hint.folder, set())
        if hint.paths is None or known is None:
            self.paths[hint.folder] = None
        else:
            known |= hint.paths
            if len(known) > MOST_PATHS:
                self.paths[hint.folder] = None
        arrived = self.arrived.setdefault(hint.folder, set())
        # of more it is not known that they came whole: they wait for their quiet time
        arrived.update(islice(hint.arrived, max(0, MOST_PATHS - len(arrived))))

    def hints(self) -> tuple[Hint, ...]:
        """Where to look, and what arrived whole there."""
        return tuple(
            Hint(
                folder,
                None if paths is None else frozenset(paths),
                frozenset(self.arrived.get(folder, ())),
            )
            for folder, paths in sorted(self.paths.items())
        )


class Wakeups:
    """Thread-safe; fair: the dataset that waits longest goes first."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._condition = threading.Condition()
        self._turns: dict[tuple[DatasetId, _When], _Turn] = {}
        self._busy: set[DatasetId] = set()
        self._order = 0
        self._closed = False

    def wake(
        self,
        dataset: DatasetId,
        reason: Reason,
        at: float | None = None,
        hint: Hint | None = None,
    ) -> None:
        """Ask for a turn now, or at that instant (monotonic); asking again joins what was asked.

        A later turn never delays an earlier one: what is asked for now stays now.
        """
        with self._condition:
            now = self._monotonic()
            later = at is not None and at > now
            when = at if at is not None and later else now
            name: _When = "now"
            if later:
                name = "later, all of it" if hint is None or hint.paths is None else "later"
            turn = self._turns.get((dataset, name))
            if turn is None:
                self._order += 1
                turn = self._turns[dataset, name] = _Turn(when, self._order)
            turn.at = min(turn.at, when)
            turn.add(reason, hint)
            self._condition.notify_all()

    def asked(self, dataset: DatasetId) -> tuple[int, tuple[Hint, ...]]:
        """What waits for the dataset's next turn: how many times it was asked, and where to look.

        It counts anew from each turn that is handed out.
        """
        with self._condition:
            turn = self._turns.get((dataset, "now"))
            return (0, ()) if turn is None else (turn.times, turn.hints())

    def take(self, timeout: float) -> Wake | None:
        """The next turn that is due; None when none comes within ``timeout`` seconds."""
        deadline = self._monotonic() + timeout
        with self._condition:
            while not self._closed:
                now = self._monotonic()
                due = [
                    (turn.at, turn.order, key)
                    for key, turn in self._turns.items()
                    if turn.at <= now and key[0] not in self._busy
                ]
                if due:
                    _, _, (dataset, _) = min(due)
                    return self._hand_out(dataset, now)
                later = [turn.at for key, turn in self._turns.items() if key[0] not in self._busy]
                wait = min([deadline, *later]) - now
                if now >= deadline:
                    return None
                self._condition.wait(max(wait, 0.001))
        return None

    def _hand_out(self, dataset: DatasetId, now: float) -> Wake:
        """Join what is due for this dataset into one turn."""
        joined: _Turn | None = None
        for name in _WHENS:
            turn = self._turns.get((dataset, name))
            if turn is None or turn.at > now:
                continue
            del self._turns[dataset, name]
            if joined is None:
                joined = turn
                continue
            joined.reasons |= turn.reasons
            joined.everywhere = joined.everywhere or turn.everywhere
            for hint in turn.hints():
                joined.add(next(iter(turn.reasons)), hint)
        assert joined is not None  # noqa: S101 - for the type checker: one of the two was due
        self._busy.add(dataset)
        return Wake(dataset, frozenset(joined.reasons), joined.hints(), joined.everywhere)

    def done(self, dataset: DatasetId) -> None:
        """Give a dataset back: it may be handed out again."""
        with self._condition:
            self._busy.discard(dataset)
            self._condition.notify_all()

    def forget(self) -> None:
        """Begin anew: drop every turn that was asked for, and hand out again if that was over.

        What was handed out is still to be given back.
        """
        with self._condition:
            self._turns.clear()
            self._closed = False

    def close(self) -> None:
        """Hand out nothing more, and let whoever waits go."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()
