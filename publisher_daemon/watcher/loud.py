"""An inotify observer that says when it is blind.

watchdog 7.1 loses events on overflow, on unmount and on bugs of its own while it says that it is
alive (watching.md §0). This file is the only one that knows its private parts, hence the pin
``watchdog>=7.1,<7.2``.
"""

from __future__ import annotations

import errno
import warnings
from collections.abc import Callable
from threading import Event

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
from watchdog.observers.api import BaseObserver
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
#: How long a thread may take to end.
JOIN = 2.0

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
    """Reads the kernel's queue and tells when events were lost."""

    def __init__(self, on_lost: Callable[[str], None], on_partial: Callable[[str], None]) -> None:
        super().__init__()
        self._on_lost = on_lost
        self._on_partial = on_partial

    def handle_event(self, event: InotifyEvent) -> None:
        if event.mask & InotifyConstants.IN_Q_OVERFLOW:
            # watchdog would walk the tree here and now; whoever hears this builds a new observer
            self._on_lost("too many changes at once: the kernel dropped some of them")
            return
        if event.mask & InotifyConstants.IN_UNMOUNT:
            self._on_lost("a file system was unmounted")
        try:
            super().handle_event(event)
        except Exception as bug:  # noqa: BLE001 - a bug of watchdog's, which must not end its thread unheard
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


class LoudObserver(BaseObserver):
    """One inotify instance, its threads, and callbacks for what it does not see."""

    def __init__(self, on_lost: Callable[[str], None], on_partial: Callable[[str], None]) -> None:
        InotifyMoveEventGrouper.delay = MOVE_DELAY
        warnings.filterwarnings("ignore", category=RuntimeWarning, module="watchdog")
        self._fd = _LoudFD(on_lost, on_partial)
        self._fd.start()
        super().__init__(InotifyFullEmitter, inotify_fd=self._fd)

    def watch(self, path: str, handler: FileSystemEventHandler, *, recursive: bool) -> None:
        """Watch a directory; raises OSError. The same events everywhere: a narrower filter on one
        directory would narrow what the kernel tells of it to all (watching.md §1).
        """  # noqa: D205 - the second sentence is the reason
        self.schedule(handler, path, recursive=recursive, event_filter=EVENTS)

    def is_whole(self) -> bool:
        """Whether every one of its threads runs; what they see is not proved by that."""
        return (
            self.is_alive()
            and self._fd.is_alive()
            and all(emitter.is_alive() for emitter in self.emitters)
        )

    def close(self) -> None:
        """Stop every thread, whatever state they are in."""
        steps: list[Callable[[], object]] = [
            self.stop,
            *(emitter.stop for emitter in self.emitters),
            self._fd.stop,
        ]
        for step in steps:
            try:
                step()
            except Exception:  # noqa: BLE001, S112 - a broken one is being thrown away
                continue
        for thread in (self, self._fd):
            if thread.is_alive():
                thread.join(JOIN)


class Ear(FileSystemEventHandler):
    """Hears the events below one directory; whatever happens in it stays in it."""

    def __init__(
        self, heard: Callable[[FileSystemEvent], None], on_lost: Callable[[str], None]
    ) -> None:
        self._heard = heard
        self._on_lost = on_lost

    def dispatch(self, event: FileSystemEvent) -> None:
        """Hand the event on; an error in here would end watchdog's thread."""
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
