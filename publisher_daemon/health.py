"""Answers “are you well?”: to the service manager (sd_notify), and to ``status`` through files.

A few lines of standard library: the protocol is one datagram (systemd's sd_notify(3)), and the
usual binding needs a compiler on the producer's server.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import structlog

log = structlog.get_logger(__name__)

#: How often the running service says that it gets on, in seconds.
BEAT_EVERY = 10.0
#: A heartbeat older than this is no sign of life: systemd's two minutes (WatchdogSec= of the unit).
TOO_OLD = 120.0
#: How often the noticeboard is written anew, in seconds.
POST_EVERY = 5.0


class Heartbeat:
    """A file in the state directory whose time says when all the threads last got on.

    A file and no port: nothing listens, and a check in a container is one command.
    """

    def __init__(self, state_dir: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = state_dir / "heartbeat"
        self._clock = clock
        self._next = float("-inf")

    def beat(self) -> None:
        """Say so, at most every ten seconds; a full disk is the ledger's to complain about."""
        now = self._clock()
        # a clock set back must not silence us until it has caught up
        if self._next - BEAT_EVERY <= now < self._next:
            return
        self._next = now + BEAT_EVERY
        with contextlib.suppress(OSError):
            self._path.touch(mode=0o640)
            os.utime(self._path, (now, now))

    def age(self) -> float | None:
        """Seconds since the last one; None when there is none."""
        try:
            return self._clock() - self._path.stat().st_mtime
        except OSError:
            return None

    def gone(self) -> None:
        """The service stops: nobody is to be told that it still gets on."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)


class Pulse:
    """Which workers get on: each shows a sign of life whenever something moved.

    Bytes that went out or were read, a request that was begun: no work is so long that none of
    these comes for minutes, except an answer, of which it is known how long it may take.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        #: thread → when it last moved, and how long what it waits for may take
        self._seen: dict[int, tuple[float, float]] = {}
        self._serving: dict[str, int] = {}

    def beat(self, silence: float = 0.0) -> None:
        """The calling thread does something, and its next sign may take that much longer."""
        self._seen[threading.get_ident()] = self._monotonic(), silence

    def serve(self, dataset: str) -> None:
        """The calling thread works for this dataset from now on."""
        self._serving[dataset] = threading.get_ident()
        self.beat()

    def moved(self, dataset: str) -> None:
        """Something was read for this dataset, on whichever thread."""
        ident = self._serving.get(dataset)
        if ident is not None:
            self._seen[ident] = self._monotonic(), 0.0

    def silent_for(self, thread: threading.Thread) -> float:
        """Seconds without a sign of life, beyond what it waits for; endless when it is dead."""
        if not thread.is_alive():
            return float("inf")
        at, silence = self._seen.get(thread.ident or 0, (float("-inf"), 0.0))
        return self._monotonic() - at - silence


class Notice(Protocol):
    """What is posted: a named tuple, which is cheap to compare with the one before."""

    def _asdict(self) -> dict[str, object]: ...


class Noticeboard:
    """A file in the state directory that says how the running service watches each folder."""

    def __init__(self, state_dir: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = state_dir / "watches.json"
        self._heartbeat = Heartbeat(state_dir, clock)
        self._posted: Sequence[Notice] | None = None
        self._clock = clock
        self._next = float("-inf")

    def post(self, look: Callable[[], Sequence[Notice]]) -> None:
        """Look, now and then, and write what changed; a full disk costs the news, nothing else."""
        now = self._clock()
        if self._next - POST_EVERY <= now < self._next:
            return
        self._next = now + POST_EVERY
        notices = look()
        if notices == self._posted:
            return
        fresh = self._path.with_suffix(".new")
        told = json.dumps([notice._asdict() for notice in notices])
        with contextlib.suppress(OSError):
            fresh.write_text(told, encoding="utf-8")
            fresh.replace(self._path)
            self._posted = notices

    def read(self) -> list[Mapping[str, object]]:
        """What the running service last wrote; nothing when none runs."""
        age = self._heartbeat.age()
        if age is None or age > TOO_OLD:
            return []
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return []
        return found if isinstance(found, list) else []


class Notifier:
    """Talks to ``$NOTIFY_SOCKET``; says nothing where there is none."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        self._said = ""
        #: seconds between two signs of life that the service manager expects; None: none expected
        usec = environ.get("WATCHDOG_USEC", "")
        self.watchdog: float | None = int(usec) / 2_000_000 if usec.isdigit() else None

    def ready(self, status: str) -> None:
        """Start-up is over."""
        self._send(f"READY=1\nSTATUS={status}")

    def alive(self) -> None:
        """Feed the watchdog; only ever called from the loop that does the work."""
        self._send("WATCHDOG=1")

    def status(self, sentence: str) -> None:
        """Tell ``systemctl status`` what is going on; the same sentence is said once."""
        if sentence != self._said:
            self._said = sentence
            self._send(f"STATUS={sentence}")

    def reloading(self, monotonic_usec: int) -> None:
        """A reload begins; ``ready`` ends it."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={monotonic_usec}")

    def stopping(self) -> None:
        """The end is near, on purpose."""
        self._send("STOPPING=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
                out.sendto(message.encode(), address)
        except OSError as error:
            log.debug("notify.failed", why=str(error))
