"""What one pass knows while it runs, and how it is stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from publisher_daemon.errors import (
    PortalBusy,
    SourceChanged,
)
from publisher_daemon.model import (
    Action,
    DatasetId,
    Entry,
    Folderful,
    Hold,
    Policy,
    Published,
    Reason,
    Record,
    Remote,
    ResourceKey,
    Standing,
)
from publisher_daemon.reconcile.journey import journey_of
from publisher_daemon.reconcile.looking import Seen
from publisher_daemon.reconcile.ports import Source
from publisher_daemon.shelf import Entries, Resources


class StopPass(Exception):
    """Nothing more can be done in this pass."""

    def __init__(self, why: str, retry_at: float | None, code: str) -> None:
        super().__init__(why)
        self.why, self.retry_at, self.code = why, retry_at, code


class Stoppable:
    """A source that ends the upload when the daemon cannot wait longer; nothing is done then."""

    def __init__(self, source: Source, cut: Callable[[], bool]) -> None:
        self._source, self._cut = source, cut

    @property
    def size(self) -> int:
        """Bytes."""
        return self._source.size

    def blocks(
        self, size: int = 256 * 1024, start: int = 0, stop: int | None = None
    ) -> Iterator[memoryview]:
        """The bytes, until there is no patience left."""
        for block in self._source.blocks(size, start, stop):
            if self._cut():
                raise SourceChanged("the daemon is stopping; it goes up again at the next start")
            yield block

    def read_at(self, offset: int, size: int) -> bytes:
        """The bytes from there, as many as there are up to ``size``."""
        return self._source.read_at(offset, size)

    def check(self) -> None:
        """Raise SourceChanged if the file moved."""
        self._source.check()


@dataclass(slots=True)
class Pass:
    """What one pass knows while it runs."""

    dataset: DatasetId
    reason: Reason
    policy: Policy
    record: Record
    seen: Seen
    #: the record's own entries, kept up to date while actions are applied
    entries: Entries = field(default_factory=Entries)
    resources: Resources = field(default_factory=Resources)
    remote: Remote | None = None
    stale: bool = True
    done: list[Action] = field(default_factory=list)
    published: list[Published] = field(default_factory=list)
    failed: dict[ResourceKey, Standing] = field(default_factory=dict)
    #: files that moved while they were handled: not for this pass
    dropped: dict[ResourceKey, Hold] = field(default_factory=dict)
    #: attempts the portal answered with an error of its own: it is at rest, no grace is needed
    answered: set[int] = field(default_factory=set)
    #: files whose link did not serve them when it was last looked at: only a look ends that, while
    #: the ledger clears a file's standing whenever something is done for it
    unverified: dict[ResourceKey, Standing] = field(default_factory=dict)
    #: files whose resource was not found where it had just been read
    missed: set[ResourceKey] = field(default_factory=set)
    #: the portal takes no files: what it said, and when one of them asks again for all
    read_only: PortalBusy | None = None
    read_only_until: float | None = None
    #: what was published in this pass was found to be given out, to its last byte
    given_out: bool = False
    #: the journeys this pass has met: publishing changes what their names are made of
    journeys: dict[ResourceKey, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.know(self.record)
        self.unverified = {
            key: standing
            for key, standing in self.record.standings.items()
            if standing.code == "unverified"
        }

    def own(self, entry: Entry) -> None:
        """Take over what was just written in the ledger, without reading it all again."""
        self.entries[entry.key] = entry

    def disown(self, key: ResourceKey) -> None:
        """Forget an entry as the ledger just did."""
        self.entries.pop(key, None)

    def know(self, record: Record) -> None:
        """Start from what the ledger says."""
        entries = record.entries
        # what the ledger gave is nobody else's
        self.entries = entries if isinstance(entries, Entries) else Entries(entries.values())
        self.record = replace(record, entries=self.entries)

    def see(self, keys: Iterable[ResourceKey]) -> None:
        """Take these as there too."""
        if more := frozenset(keys) - self.seen.present:
            self.seen = replace(self.seen, present=self.seen.present | more)

    def journey(self, key: ResourceKey) -> str:
        """The name of the file's way to its permalink, for the log."""
        return self.journeys.setdefault(key, journey_of(key, self.entries.get(key)))

    def folderful(self) -> Folderful:
        """What was seen, less what moved while it was handled."""
        waiting = self.seen.waiting + tuple(self.dropped.values())
        return Folderful(
            self.seen.files.without(self.dropped),
            self.seen.present,
            self.seen.complete,
            waiting,
            named=self.seen.complete - self.seen.scanned,
            dim=self.seen.dim,
            profiles=self.seen.profiles,
        )
