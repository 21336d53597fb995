"""Few threads for many folders: one waits for every kernel queue, others come when there is work.

A thread of its own for each folder, and the four of watchdog's, were a third of what the service
holds at rest. Any of this work may stand still for ever on a dead share: so whatever comes finds a
thread that is free, or gets a new one.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial

#: A thread without work waits so long for some before it ends, in seconds.
IDLE = 20.0


class Errands:
    """Runs whatever comes, at once: as many threads as there is work, and those that are stuck."""

    def __init__(self, name: str, on_death: Callable[[], None]) -> None:
        self._name = name
        self._on_death = on_death
        self._changed = threading.Condition()
        self._todo: deque[Callable[[], object]] = deque()
        self._free = 0
        self._closed = False
        self._threads: set[threading.Thread] = set()

    def run(self, work: Callable[[], object]) -> None:
        """Have it done by another thread, now."""
        with self._changed:
            self._todo.append(work)
            if self._free >= len(self._todo):
                self._changed.notify()
                return
            thread = threading.Thread(target=self._serve, name=self._name, daemon=True)
            self._threads.add(thread)
        thread.start()

    def close(self, deadline: float) -> None:
        """Let the threads end, until then (monotonic); what is stuck is left behind."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            threads = list(self._threads)
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _serve(self) -> None:
        try:
            while (work := self._next()) is not None:
                work()
        except BaseException:
            self._on_death()
            raise
        finally:
            with self._changed:
                self._threads.discard(threading.current_thread())

    def _next(self) -> Callable[[], object] | None:
        with self._changed:
            self._free += 1
            self._changed.wait_for(lambda: self._todo or self._closed, IDLE)
            self._free -= 1
            return self._todo.popleft() if self._todo else None


class _Hearing:
    """How one queue is heard; another one that gets its number has its own."""

    __slots__ = ("hear", "under_way")

    def __init__(self, hear: Callable[[], None]) -> None:
        self.hear = hear
        self.under_way = False


class Listener:
    """Waits for all the kernel's queues; a queue with something in it is heard by an errand.

    It is asked for again only when that errand is over: one queue is never heard by two. What epoll
    tells is only the number of a queue, which may have been closed since and be another's now: so
    whether somebody hears is noted here. A queue that is heard in vain costs nothing, and one that
    is not heard because somebody is at it is told of again when it is asked for again.
    """

    def __init__(self, errands: Errands) -> None:
        self._errands = errands
        self._queues = select.epoll()
        self._end = os.eventfd(0, os.EFD_CLOEXEC)
        self._queues.register(self._end, select.EPOLLIN)
        self._lock = threading.Lock()
        self._hearings: dict[int, _Hearing] = {}

    def add(self, queue: int, hear: Callable[[], None]) -> None:
        """Call ``hear`` whenever there is something in this queue (a file descriptor)."""
        with self._lock:
            self._hearings[queue] = _Hearing(hear)
            self._queues.register(queue, select.EPOLLIN | select.EPOLLONESHOT)

    def drop(self, queue: int) -> None:
        """Forget it, before it is closed."""
        with self._lock, suppress(OSError):
            if self._hearings.pop(queue, None) is not None:
                self._queues.unregister(queue)

    def listen(self) -> None:
        """Wait and have heard, until ``close``."""
        while True:
            for queue, _ in self._queues.poll():
                if queue == self._end:
                    return
                self._told(queue)

    def close(self) -> None:
        """End ``listen``."""
        os.eventfd_write(self._end, 1)

    def forget(self) -> None:
        """Give back what it holds, once ``listen`` has ended."""
        with self._lock:
            self._hearings.clear()
            self._queues.close()
            os.close(self._end)

    def _told(self, queue: int) -> None:
        with self._lock:
            hearing = self._hearings.get(queue)
            if hearing is None or hearing.under_way:
                return
            hearing.under_way = True
        self._errands.run(partial(self._hear, queue, hearing))

    def _hear(self, queue: int, hearing: _Hearing) -> None:
        hearing.hear()
        # a queue that was closed meanwhile is no longer among those waited for
        with self._lock, suppress(OSError):
            hearing.under_way = False
            if self._hearings.get(queue) is hearing:
                self._queues.modify(queue, select.EPOLLIN | select.EPOLLONESHOT)
