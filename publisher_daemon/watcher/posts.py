"""The watch over one folder: its observer, what it heard, and whether it can be believed."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal, NamedTuple

import structlog
from watchdog.events import FileMovedEvent, FileSystemEvent

from publisher_daemon import mounts
from publisher_daemon.model import DatasetId, Watch
from publisher_daemon.naming import is_ignored
from publisher_daemon.watcher.listening import Errands, Listener
from publisher_daemon.watcher.loud import Ear, Echo, LoudObserver, why_refused

log = structlog.get_logger(__name__)

#: More paths than this at once are told as "look at everything".
MANY = 10_000
#: A sign of life must be heard within this time, in seconds.
SIGN_WITHIN = 10.0
#: A watch that cannot be complete is tried again after this, doubling up to the second.
RETRY_FIRST, RETRY_LAST = 60.0, 900.0

#: An observer is not built more often than this, in seconds.
BUILD_EVERY = 1.0
#: Tending a watch that takes longer than this is told: a huge tree, or a dead file system.
SLOW = 30.0

Mode = Literal["events", "polling", "degraded"]


class WatchHealth(NamedTuple):
    """How one folder is watched now."""

    dataset: DatasetId
    folder: str
    #: events: told by the kernel; polling: looked at every ``poll_every``;
    #: degraded: should be told, is looked at, and ``why``
    mode: Mode
    since: float
    #: how many times events were lost (overflow, a broken watcher, a replaced folder)
    losses: int
    last_event: float | None
    why: str | None
    #: what made it lose sight the last time
    last_loss: str | None = None


class Post:
    """One folder's watch. One errand at a time serves it; events come in from others."""

    def __init__(
        self,
        watch: Watch,
        *,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        jitter: Callable[[], float],
        heard: Callable[[], None],
        errands: Errands,
        listener: Listener,
        sign_every: float = 60.0,
        signs: Path | None = None,
    ) -> None:
        """``signs`` is where private files may be touched; None: where temporary files go."""
        self.watch = watch
        self._root = os.path.abspath(watch.path)  # noqa: PTH100 - must not touch a stalled share
        self._clock = clock
        self._monotonic = monotonic
        self._jitter = jitter
        self._heard_something = heard
        self._sign_every = sign_every
        self._signs_in = signs
        self._errands = errands
        self._listener = listener
        #: it should be tended; somebody is at it
        self._wanted = self._served = False
        self._ending = False
        #: set: it is watched no more, and nothing of it is left behind
        self.gone = threading.Event()
        #: something was mounted: another kind of file system may stand there
        self._unsure = True
        self._mount = mounts.mount_at(self._root)
        #: where it really is, and what was mounted below it while it was watched
        self._real = self._root
        self._covered: frozenset[str] = frozenset()
        self._polls = False
        #: set: the first attempt to watch is over
        self.stands = threading.Event()
        self._at_work_since: float | None = None
        self._lock = threading.Lock()
        self._dirty: set[str] = set()
        self._arrived: set[str] = set()
        self._everything = False
        self._lost: str | None = None
        self._partial: str | None = None
        self._observer: LoudObserver | None = None
        self._generation = 0
        self._identity: tuple[int, int] | None = None
        #: it is watched by events on a share, whose calls may hang
        self._remote = False
        self._echo = Echo()
        self._sign_dir: str | None = None
        self._sign_at = 0.0
        self._sign_sent: float | None = None
        self._signs = 0
        self._mode: Mode = "polling" if self._wants_polling() else "degraded"
        self._why: str | None = None if self._mode == "polling" else _NOT_YET
        self._since = clock()
        self._losses = 0
        self._last_loss: str | None = None
        self._last_event: float | None = None
        self._retry_in = RETRY_FIRST
        self._retry_at = 0.0
        self._built_at = float("-inf")
        self._poll_at = 0.0

    # -------------------------------------------------------------------------------- the outside

    def health(self) -> WatchHealth:
        """How it is now."""
        mode, why, since = self._mode, self._why, self._since
        began = self._at_work_since
        if began is not None and (for_now := self._monotonic() - began) >= SLOW:
            mode, since = "degraded", self._clock() - for_now
            why = f"The file system of {self._root} has not answered for {for_now:.0f} s."
        return WatchHealth(
            self.watch.dataset,
            self.watch.name,
            mode,
            since,
            self._losses,
            self._last_event,
            why,
            self._last_loss,
        )

    def take(self) -> tuple[frozenset[str] | None, frozenset[str]] | None:
        """What was heard since the last time: (paths or None for everything, arrived)."""
        with self._lock:
            if not self._everything and not self._dirty:
                return None
            arrived = frozenset(self._arrived)
            paths = None if self._everything else frozenset(self._dirty)
            self._dirty, self._arrived, self._everything = set(), set(), False
            return paths, arrived

    def is_steady(self, *, thoroughly: bool) -> bool:
        """Whether there is nothing to tend, as far as can be seen without waiting for a share.

        To be believed while nothing is mounted or unmounted. ``thoroughly``: its queue too.
        """
        now = self._monotonic()
        if self._mode == "polling":
            return now < self._poll_at
        return (
            self._mode == "events"
            and not self._remote
            and self._lost is None
            and (self._sign_dir is None or now < self._sign_at)
            and (self._sign_sent is None or self._echo.heard.is_set())
            and self._observer is not None
            and self._identity == _identity(self._root)
            and (not thoroughly or self._observer.is_whole())
        )

    def has_moved(self) -> bool:
        """Whether it lies on another mount than when this was last asked; touches no share."""
        before, self._mount = self._mount, mounts.mount_at(self._root)
        return before != self._mount

    def notice_unmounts(self) -> None:
        """Doubt the watch when what was mounted below is no more; touches no share.

        What it covered shows again and is not watched; the kernel tells of that only where the
        file system ends too, not of a bind mount, nor while somebody has a file of it open.
        """
        before, self._covered = self._covered, mounts.below(self._real)
        if before - self._covered:
            self._note_lost(self._generation, "a file system was unmounted")

    def look_again(self) -> None:
        """Tend it now, and find out what kind of file system stands there."""
        self._unsure = True
        self.hurry()

    def end(self) -> None:
        """Watch no more, and leave nothing behind."""
        self._ending = True
        self.hurry()

    def hurry(self) -> None:
        """Tend it now (the first time: watch); asked while somebody is at it, once more after."""
        with self._lock:
            self._wanted = True
            if self._served:
                return
            self._served = True
        self._errands.run(self._serve)

    def _serve(self) -> None:
        while self._is_wanted():
            if self._ending:
                self._close()
                self.gone.set()
                return
            if self.stands.is_set():
                self._at_work(self._tend)
            else:
                self._at_work(self._start)
                self.stands.set()

    def _is_wanted(self) -> bool:
        with self._lock:
            self._served, self._wanted = self._wanted, False
            return self._served

    def _at_work(self, work: Callable[[], None]) -> None:
        self._at_work_since = self._monotonic()
        work()
        self._at_work_since = None

    def _start(self) -> None:
        self._poll_at = self._next_poll()
        if self._mode != "polling":
            self._build(first=True)

    def _close(self) -> None:
        self._drop()
        if self._sign_dir is not None:
            with suppress(OSError):
                for entry in Path(self._sign_dir).iterdir():
                    entry.unlink()
                Path(self._sign_dir).rmdir()

    def _tend(self) -> None:
        """See that it watches what it should, and make it do so again when it does not."""
        now = self._monotonic()
        if self._mode != "events" and now >= self._poll_at:
            self._poll_at = self._next_poll()
            self.look_at_everything()
        if self._unsure:
            # reads the whole table of mounts: not for every sign of life
            self._unsure = False
            self._polls = self._wants_polling()
        if self._polls:
            if self._mode != "polling":
                # a share was mounted here: its events would tell of this machine's changes only
                self._drop()
                if self._mode == "events":
                    self._lose("a network share stands there now")
                self._turn("polling", None)
                self.look_at_everything()
            return
        trouble = self._trouble(now)
        if trouble is not None:
            self._lose(trouble)
            self._build()
            self.look_at_everything()
        elif self._mode == "polling" or (self._mode == "degraded" and now >= self._retry_at):
            self._build()

    def _lose(self, why: str) -> None:
        self._losses += 1
        self._last_loss = why
        log.warning("watcher.lost", folder=self.watch.name, path=self._root, why=why)

    def look_at_everything(self) -> None:
        """Mark the whole folder dirty: one bit, which cannot fail."""
        with self._lock:
            self._everything = True
            self._dirty.clear()
        self._heard_something()

    # --------------------------------------------------------------------------------- the events

    def _hear(self, event: FileSystemEvent) -> None:
        source = self._relative(os.fsdecode(event.src_path)) if event.src_path else None
        target = self._relative(os.fsdecode(event.dest_path)) if event.dest_path else None
        whole = target is not None and isinstance(event, FileMovedEvent) and (
            source is None or is_ignored(source.rpartition("/")[2])
        )  # fmt: skip
        with self._lock:
            self._last_event = self._clock()
            if self._everything:
                if whole and target is not None and len(self._arrived) < MANY:
                    self._arrived.add(target)
                return
            for path in (source, target):
                # what a temporary file does concerns nobody
                if path is not None and not is_ignored(path.rpartition("/")[2]):
                    self._dirty.add(path)
            if whole and target is not None:
                self._arrived.add(target)
            if len(self._dirty) > MANY:
                self._everything = True
                self._dirty.clear()
            if not self._dirty and not self._everything:
                return
        self._heard_something()

    def _relative(self, path: str) -> str | None:
        if path == self._root:
            return ""
        prefix = self._root.rstrip("/") + "/"
        return path[len(prefix) :] if path.startswith(prefix) else None

    # --------------------------------------------------------------------------------- the doubts

    def _trouble(self, now: float) -> str | None:
        """What makes the present observer unbelievable; None when nothing does."""
        if self._observer is None:
            return None
        if self._lost is not None:
            # under a storm that overflows every queue, build at most once a second
            return self._lost if now - self._built_at >= BUILD_EVERY else None
        if self._identity != _identity(self._root):
            return "the folder was moved, replaced, mounted over or unmounted"
        if not self._observer.is_whole():
            return "a watching thread ended"
        return self._sign_of_life(now)

    def _sign_of_life(self, now: float) -> str | None:
        """Touch a private file now and then: its event proves from outside that events arrive."""
        if self._sign_dir is None:
            return None
        if self._sign_sent is not None:
            if self._echo.heard.is_set():
                self._sign_sent = None
            elif now - self._sign_sent >= SIGN_WITHIN:
                return f"a sign of life was not heard within {SIGN_WITHIN:g} s"
        elif now >= self._sign_at:
            self._sign_at = now + self._sign_every
            self._echo.heard.clear()
            self._signs += 1
            try:
                Path(self._sign_dir, "sign-of-life").write_bytes(b"%d" % self._signs)
            except OSError:
                # no room for a sign is not a sign of death
                return None
            self._sign_sent = now
        return None

    def _note_lost(self, generation: int, why: str) -> None:
        if generation == self._generation and self._lost is None:
            self._lost = why
            self.hurry()

    def _note_partial(self, generation: int, why: str) -> None:
        if generation == self._generation:
            self._partial = why

    # ------------------------------------------------------------------------------- the observer

    def _build(self, *, first: bool = False) -> None:
        """Make a new observer; whatever happened meanwhile is found by looking at everything."""
        self._drop()
        self._generation += 1
        generation = self._generation
        self._lost = self._partial = None
        self._unsure = True
        self._built_at = self._monotonic()
        self._echo, self._sign_sent = Echo(), None
        self._sign_at = self._monotonic()
        self._remote = mounts.kind_of(self._root) == "network"
        self._identity = _identity(self._root)
        if self._identity is None or not os.access(self._root, os.R_OK | os.X_OK):
            what = "is missing" if self._identity is None else "may not be read"
            self._degrade(f"The folder {self._root} {what}.", retry=1.0)
            return
        self._real = os.path.realpath(self._root)
        covered = mounts.below(self._real)
        try:
            self._observe(generation)
            self._covered = covered | mounts.below(self._real)
        except OSError as error:
            self._drop()
            self._degrade(f"The folder cannot be watched: {why_refused(error)}.")
            return
        if self._partial is not None:
            self._degrade(f"Not every directory is watched: {self._partial}.")
        else:
            self._turn("events", None)
            self._retry_in = RETRY_FIRST
            if not first:
                log.info("watcher.rebuilt", folder=self.watch.name, path=self._root)
            self.look_at_everything()

    def _observe(self, generation: int) -> None:
        def lost(why: str) -> None:
            self._note_lost(generation, why)

        observer = LoudObserver(lost, lambda why: self._note_partial(generation, why))
        self._observer = observer
        observer.watch(self._root, Ear(self._hear, lost), recursive=True)
        if self._sign_dir is None:
            with suppress(OSError):
                if self._signs_in is not None:
                    self._signs_in.mkdir(exist_ok=True)
                self._sign_dir = tempfile.mkdtemp(prefix="publisher-daemon-", dir=self._signs_in)
        if self._sign_dir is not None:
            observer.watch(self._sign_dir, self._echo, recursive=False)
        observer.begin(self._listener)

    def _drop(self) -> None:
        observer, self._observer = self._observer, None
        if observer is not None:
            observer.close()

    def _degrade(self, why: str, retry: float | None = None) -> None:
        now = self._monotonic()
        if retry is None:
            retry, self._retry_in = self._retry_in, min(self._retry_in * 2, RETRY_LAST)
        self._retry_at = now + retry
        if (self._mode, self._why) != ("degraded", why):
            log.warning("watcher.degraded", folder=self.watch.name, path=self._root, why=why)
            self._poll_at = self._next_poll()
            self.look_at_everything()
        self._turn("degraded", why)

    def _turn(self, mode: Mode, why: str | None) -> None:
        if (mode, why) != (self._mode, self._why):
            self._since = self._clock()
        self._mode, self._why = mode, why

    def _wants_polling(self) -> bool:
        if self.watch.observe == "auto":
            return mounts.kind_of(self._root) == "network"
        return self.watch.observe == "polling"

    def _next_poll(self) -> float:
        return self._monotonic() + self.watch.poll_every * (0.9 + 0.2 * self._jitter())


_NOT_YET = "The watch is being set up."


def _identity(path: str) -> tuple[int, int] | None:
    """Which directory the path is now; None when it is none."""
    try:
        status = os.stat(path)  # noqa: PTH116 - called every tick
    except OSError:
        return None
    return status.st_dev, status.st_ino
