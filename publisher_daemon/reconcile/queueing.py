"""Files that came with very many others wait in the ledger alone, in the order of their names.

A folder into which fifty thousand files are dropped publishes for hours. To hold for each of them
what is needed to settle and to decide would take a hundred MiB, so only the first thousands are;
of the others the ledger says that they wait, and the next look at everything takes more of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from publisher_daemon.model import QUEUED, Record, ResourceKey, Standing, Watch
from publisher_daemon.reconcile.ports import Folder, Ledger

#: Files that are settled and decided at a time, the others of their folder being queued: more than
#: are read in one pass, so that the next ones have been still for long when their turn comes.
AT_A_TIME = 7500
IN_ORDER = (
    "Very many files came at once: they go in the order of their names, and this one goes by itself"
    " when its turn comes."
)
#: Nothing was decided of these, and only time or the portal keeps them waiting: those that wait for
#: their writer or for a person must not keep the others in the queue.
_TAKES_A_PLACE = frozenset({
    QUEUED, "not_settled", "its_turn", "portal_unreachable", "credential_refused",
    "dataset_refused",
})  # fmt: skip
#: Rows read and written at once.
SOME = 1000


class Crowded(Exception):
    """So many files differ where only some paths were looked at that all must be looked at."""


def takes_a_place(standing: Standing | None) -> bool:
    """Whether a file that stands so is one of those that are settled at a time."""
    return standing is None or standing.code in _TAKES_A_PLACE


def has_queue(watch: Watch) -> bool:
    """Whether files of this folder may wait unseen: each of them is published for itself."""
    return watch.ready_marker is None and all(rule.keep == "each" for rule in watch.rules)


def may_wait(record: Record, watch: Watch, key: ResourceKey) -> bool:
    """Whether a file that differs can wait unseen; in a series the newest decides for the others.

    One that something is remembered of must be decided with what is.
    """
    standing = record.standings.get(key)
    return (
        has_queue(watch)
        and (standing is None or (standing.code == QUEUED and not standing.forced))
        and key not in record.rollbacks
        and all(attempt.key != key for attempt in record.attempts)
    )


class Queue:
    """The queue of one folder, walked along a look at everything, in byte order of the paths."""

    def __init__(self, ledger: Ledger, watch: Watch, now: float, why: str = IN_ORDER) -> None:
        self._ledger = ledger
        self._watch = watch
        self._now = now
        self._why = why
        self._rows = self._known()
        self._next = next(self._rows, None)
        self._new: list[str] = []
        self._left: list[str] = []
        #: how many wait in it, and the first of them (of which nothing is published, if any)
        self.length = 0
        self.first: ResourceKey | None = None
        self._first_is_new = False

    def meet(self, path: str, *, differs: bool) -> None:
        """A file is there that is not queued (any more)."""
        if self._next is not None and self._is_known(path) and not differs:
            self._left.append(path)

    def add(self, key: ResourceKey, *, new: bool) -> None:
        """Queue a file; ``new``: nothing is published of it."""
        self.length += 1
        if self.first is None or (new and not self._first_is_new):
            self.first, self._first_is_new = key, new
        if self._next is None or not self._is_known(key.path):
            self._new.append(key.path)
            if len(self._new) == SOME:
                self._write()

    def end(self, folder: Folder) -> None:
        """Write what is left to write, and let go those that are not there any more."""
        self._write()
        if self._next is not None:
            self._left += [self._next, *self._rows]
            self._next = None
        blind = tuple(f"{top}/" for top in folder.unobservable())
        gone = [path for path in self._left if not path.startswith(blind)]
        if gone:
            self._ledger.unqueue(self._watch.dataset, self._watch.name, gone)

    def _is_known(self, path: str) -> bool:
        """Whether the ledger has it queued; those before it were not met."""
        there = os.fsencode(path)
        while self._next is not None and os.fsencode(self._next) < there:
            self._left.append(self._next)
            self._next = next(self._rows, None)
        if self._next != path:
            return False
        self._next = next(self._rows, None)
        return True

    def _known(self) -> Iterator[str]:
        last = ""
        while some := self._ledger.queue(self._watch.dataset, self._watch.name, last, SOME):
            yield from some
            last = some[-1]

    def _write(self) -> None:
        if self._new:
            self._ledger.enqueue(
                self._watch.dataset, self._watch.name, self._new, why=self._why, now=self._now
            )
            self._new.clear()
