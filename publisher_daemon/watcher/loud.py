"""An inotify observer that says when it is blind.

watchdog 7.1 loses events on overflow, on unmount and on bugs of its own while it says that it is
alive (watching.md §0). This file is the only one that knows its private parts, hence the pin
``watchdog>=7.1,<7.2``.
"""

from __future__ import annotations

import errno
import select
import time
import warnings
from collections.abc import Callable
from threading import Event
from typing import cast

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.api import EventQueue, ObservedWatch
from watchdog.observers.inotify import InotifyFullEmitter
from watchdog.observers.inotify_c import (
    CallbackId,
    InotifyConstants,
    InotifyEvent,
    InotifyFD,
    Mask,
    WatchCallback,
    WatchDescriptor,
)
from watchdog.observers.inotify_move_event_grouper import InotifyMoveEventGrouper

from publisher_daemon.watcher.listening import Listener

#: Without "opened" and "closed unwritten": walking a tree to watch it raises those by the thousand,
#: overflows the queue and makes watchdog walk again, for ever (watching.md §0.2). Without
#: "modified" too: a copy of 50 MB raises 133 of them, and they tell nothing that a look at a file
#: that waits does not. A writer that never closes is not published anyway (no lease), and what has
#: no event, or only that one (``truncate`` by path, stores through a mapping), is left to the
#: rescan, which compares every date.
EVENTS: list[type[FileSystemEvent]] = [
    FileClosedEvent,
    FileCreatedEvent,
    FileMovedEvent,
    FileDeletedEvent,
    DirCreatedEvent,
    DirMovedEvent,
    DirDeletedEvent,
]
#: A file moved out holds back all events behind it for this long; watchdog's own is 0.5 s.
MOVE_DELAY = 0.02

#: What each of the kernel's refusals means, and the setting that lifts it (inotify(7)).
_LIMITS = {
    errno.ENOSPC: "the system's limit of watched directories is reached"
    " (sysctl fs.inotify.max_user_watches)",
    errno.ENOMEM: "the system has no memory left for one more watched directory",
    errno.EMFILE: "the system's limit of watching programs is reached"
    " (sysctl fs.inotify.max_user_instances)",
}


def why_refused(error: OSError) -> str:
    """What the kernel's refusal to watch means, with the setting to change when there is one."""
    return _LIMITS.get(error.errno or 0) or error.strerror or str(error)


class _LoudFD(InotifyFD):
    """Reads the kernel's queue, in the thread that asks, and tells when events were lost."""

    def __init__(self, on_lost: Callable[[str], None], on_partial: Callable[[str], None]) -> None:
        super().__init__()
        # watchdog takes its own thread for one that reads already, and would leave it to close this
        self._is_reading = False
        self._on_lost = on_lost
        self._on_partial = on_partial

    @property
    def queue(self) -> int:
        """The kernel's queue, as a file descriptor."""
        return self._inotify_fd

    def handle_event(self, event: InotifyEvent) -> None:
        if event.mask & InotifyConstants.IN_Q_OVERFLOW:
            # watchdog would walk the tree here and now; whoever hears this builds a new observer
            self._on_lost("too many changes at once: the kernel dropped some of them")
            return
        if event.mask & InotifyConstants.IN_UNMOUNT:
            self._on_lost("a file system was unmounted")
        try:
            super().handle_event(event)
        except Exception as bug:  # noqa: BLE001 - a bug of watchdog's, which must not go unheard
            self._on_lost(f"the watch library failed ({bug!r})")

    def add_callback(
        self, path: bytes, mask: Mask, callback: WatchCallback, id_: CallbackId
    ) -> WatchDescriptor:
        try:
            return super().add_callback(path, mask, callback, id_)
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.ENOMEM}:
                # watchdog swallows this one for every directory but the first
                self._on_partial(why_refused(error))
            raise


class LoudObserver:
    """One inotify instance, and callbacks for what it does not see.

    watchdog would give it four threads; here a ``Listener`` has it heard, and each event goes from
    the kernel's queue to its handler in one thread.
    """

    def __init__(self, on_lost: Callable[[str], None], on_partial: Callable[[str], None]) -> None:
        InotifyMoveEventGrouper.delay = MOVE_DELAY
        warnings.filterwarnings("ignore", category=RuntimeWarning, module="watchdog")
        self._on_lost = on_lost
        self._fd = _LoudFD(on_lost, on_partial)
        self._emitters: list[InotifyFullEmitter] = []
        self._listener: Listener | None = None

    def watch(self, path: str, handler: FileSystemEventHandler, *, recursive: bool) -> None:
        """Watch a directory; raises OSError. The same events everywhere: a narrower filter on one
        directory would narrow what the kernel tells of it to all (watching.md §1).
        """  # noqa: D205 - the second sentence is the reason
        emitter = InotifyFullEmitter(
            cast("EventQueue", _Straight(handler)),
            ObservedWatch(path, recursive=recursive, event_filter=EVENTS),
            event_filter=EVENTS,
            inotify_fd=self._fd,
        )
        emitter.on_thread_start()
        self._emitters.append(emitter)

    def begin(self, listener: Listener) -> None:
        """Be heard, once all is watched: until then, what happens waits in the kernel's queue."""
        self._listener = listener
        listener.add(self._fd.queue, self._hear)

    def is_whole(self) -> bool:
        """Whether it is still told of anything; what it is told is not proved by that."""
        return self._fd.should_keep_running() and all(
            emitter.should_keep_running() for emitter in self._emitters
        )

    def close(self) -> None:
        """Let the kernel's queue and all watches go, whatever state they are in."""
        if self._listener is not None:
            self._listener.drop(self._fd.queue)
        for step in (*(emitter.stop for emitter in self._emitters), self._fd.stop):
            try:
                step()
            except Exception:  # noqa: BLE001, S112 - a broken one is being thrown away
                continue

    def _hear(self) -> None:
        """Take what is in the kernel's queue and hand it on, until nothing is left or held back."""
        queue, wait = select.poll(), 0.0
        queue.register(self._fd.queue, select.POLLIN)
        try:
            while self._fd.should_keep_running():
                there = bool(queue.poll(wait * 1000))
                for event in self._fd.read_events() if there else ():
                    self._fd.handle_event(event)
                    # one by one: watchdog looks for the other half of each renaming in all that is
                    # not handed on, and a burst of renamings would take the square of its number
                    self._hand_on()
                held = self._hand_on()
                if not there and held is None:
                    return
                wait = 0.0 if held is None else held
        except Exception as bug:  # noqa: BLE001 - whatever it is, somebody builds a new one
            self._on_lost(f"the watch library failed ({bug!r})")

    def _hand_on(self) -> float | None:
        """Hand on what is due; seconds until the next is, of a file that was moved out."""
        waits = []
        for emitter in self._emitters:
            if emitter._inotify is None:  # noqa: SLF001 - see the module's docstring
                continue
            grouped = emitter._inotify._move_event_grouper._queue  # noqa: SLF001
            held = grouped._queue  # noqa: SLF001
            while held:
                event, since, delayed = held[0]
                left = since + grouped.delay - time.monotonic() if delayed else 0.0
                if left > 0:
                    waits.append(left)
                    break
                held.popleft()
                emitter.build_and_queue_event(event)
        return min(waits, default=None)


class _Straight:
    """What an emitter takes for its queue: the event goes to its handler at once."""

    def __init__(self, handler: FileSystemEventHandler) -> None:
        self._handler = handler

    def put(self, item: tuple[FileSystemEvent, ObservedWatch]) -> None:
        self._handler.dispatch(item[0])


class Ear(FileSystemEventHandler):
    """Hears the events below one directory; whatever happens in it stays in it."""

    def __init__(
        self, heard: Callable[[FileSystemEvent], None], on_lost: Callable[[str], None]
    ) -> None:
        self._heard = heard
        self._on_lost = on_lost

    def dispatch(self, event: FileSystemEvent) -> None:
        """Hand the event on; an error in here is no fault of watchdog's."""
        try:
            self._heard(event)
        except Exception as bug:  # noqa: BLE001 - see above
            self._on_lost(f"an event could not be noted ({bug!r})")


class Echo(FileSystemEventHandler):
    """Hears the sign of life we make ourselves."""

    def __init__(self) -> None:
        self.heard = Event()

    def dispatch(self, event: FileSystemEvent) -> None:
        """Any event in the private directory proves that events arrive."""
        del event
        self.heard.set()
