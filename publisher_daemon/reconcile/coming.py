"""What comes to a dataset while a pass of it is under way is told as waiting before its turn.

A pass publishes up to five thousand files, for minutes; whoever drops more meanwhile must see them
in ``status``. They are written into the queue, which the next look at everything goes through.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from publisher_daemon.errors import FolderUnreadable
from publisher_daemon.model import DatasetId, Hint, Sighting, Watch
from publisher_daemon.reconcile.looking import differs, paths_of
from publisher_daemon.reconcile.ports import Folder, Ledger
from publisher_daemon.reconcile.queueing import SOME, Queue, has_queue, may_wait
from publisher_daemon.reconcile.turn import Pass

#: What was asked for a dataset since its pass began: how many times, and where to look.
Asked = Callable[[DatasetId], tuple[int, Sequence[Hint]]]
MEANWHILE = (
    "It came while other files of its dataset are published, and goes by itself when its turn "
    "comes."
)
#: Seconds between two looks, and how much longer than the last look itself: no more than a
#: twentieth of the time is taken from those that are published.
_EVERY, _SHARE = 5.0, 20.0


class Coming:
    """Looks, between two actions of a pass, at what came; of one pass at a time per dataset."""

    def __init__(
        self,
        asked: Asked,
        folders: Mapping[tuple[DatasetId, str], Folder],
        ledger: Ledger,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self._asked = asked
        self._folders = folders
        self._ledger = ledger
        self._clock = clock
        self._monotonic = monotonic

    def during(self, run: Pass) -> Callable[[], None]:
        """What to call between the actions of this pass; it mostly does nothing."""
        looked_at, due = 0, self._monotonic() + _EVERY

        def look() -> None:
            nonlocal looked_at, due
            began = self._monotonic()
            if began < due:
                return
            times, hints = self._asked(run.dataset)
            if times != looked_at:
                self._note(run, hints)
            looked_at, now = times, self._monotonic()
            due = now + max(_EVERY, _SHARE * (now - began))

        return look

    def _note(self, run: Pass, hints: Sequence[Hint]) -> None:
        for watch in filter(has_queue, run.policy.watches):
            paths = paths_of(hints, watch.name) if hints else frozenset()
            if paths is not None and not paths:
                continue
            # of a folder that is lost the next pass tells
            with suppress(FolderUnreadable):
                if paths is None:
                    self._queue_all(run, watch)
                else:
                    self._queue_some(run, watch, paths)

    def _queue_all(self, run: Pass, watch: Watch) -> None:
        """Bring the queue up to date as a look at everything does."""
        folder = self._folders[watch.dataset, watch.name]
        queue = Queue(self._ledger, watch, self._clock(), why=MEANWHILE)
        for sighting in folder.scan(None):
            key = sighting.key
            if _is_news(run, watch, sighting):
                queue.add(key, new=key not in run.entries)
            else:
                queue.meet(key.path, differs=_changed(run, sighting))
        queue.end(folder)

    def _queue_some(self, run: Pass, watch: Watch, paths: frozenset[str]) -> None:
        new = [
            sighting.key.path
            for sighting in self._folders[watch.dataset, watch.name].scan(paths)
            if _is_news(run, watch, sighting)
        ]
        for start in range(0, len(new), SOME):
            some = new[start : start + SOME]
            self._ledger.enqueue(watch.dataset, watch.name, some, why=MEANWHILE, now=self._clock())


def _changed(run: Pass, sighting: Sighting) -> bool:
    entry = run.entries.get(sighting.key)
    return entry is None or differs(run.record, entry, sighting)


def _is_news(run: Pass, watch: Watch, sighting: Sighting) -> bool:
    """Whether nobody knows yet that this file waits."""
    key = sighting.key
    return (
        _changed(run, sighting) and key not in run.seen.looked and may_wait(run.record, watch, key)
    )
