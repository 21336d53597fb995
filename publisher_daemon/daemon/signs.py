"""Shows the service manager, and whoever asks, that the service gets on; or stays silent."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

from publisher_daemon.health import Heartbeat, Noticeboard, Notifier, Pulse
from publisher_daemon.watcher import WatchHealth

log = structlog.get_logger(__name__)

#: A worker of which nothing moved for this long hangs, in seconds: a share that stalls is given up
#: before, and what an answer may take comes on top.
STUCK = 300.0
#: How often the service manager is told what is going on, in seconds.
STATUS_EVERY = 5.0


class Signs:
    """Signs of life, given only while every worker gets on."""

    def __init__(self, state_dir: Path, notifier: Notifier, pulse: Pulse) -> None:
        self._heartbeat = Heartbeat(state_dir)
        self._board = Noticeboard(state_dir)
        self._notifier = notifier
        self._pulse = pulse
        self._fed = self._said = time.monotonic()
        #: the worker that was told of as silent
        self._silent = ""

    def begin(self) -> None:
        """Give the first one: a container is asked for it as soon as it runs."""
        self._heartbeat.beat()

    def give(
        self,
        workers: Sequence[threading.Thread],
        watching: Callable[[], tuple[WatchHealth, ...]],
        status: Callable[[], str],
    ) -> None:
        """Give what is due of them; nothing when a worker hangs: who waits for them restarts us."""
        now = time.monotonic()
        if now - self._said >= STATUS_EVERY:
            self._said = now
            self._notifier.status(status())
        if not self.all_get_on(workers):
            return
        self._heartbeat.beat()
        self._board.post(watching)
        watchdog = self._notifier.watchdog
        if watchdog is not None and now - self._fed >= watchdog:
            self._fed = now
            self._notifier.alive()

    def all_get_on(self, workers: Sequence[threading.Thread]) -> bool:
        """Whether something moved in each of them of late; says once of which not."""
        silent = next((one for one in workers if self._pulse.silent_for(one) > STUCK), None)
        name = "" if silent is None else silent.name
        if name and name != self._silent:
            log.error(
                "worker.silenced",
                worker=name,
                why=f"nothing moved in it for {STUCK:.0f} s, where something should have",
                hint="systemd restarts the service within two minutes, and nothing is lost by it. "
                "If it comes again: `publisher-daemon support --bundle`.",
            )
        self._silent = name
        return silent is None

    def gone(self) -> None:
        """The service stops, on purpose."""
        self._notifier.stopping()
        self._heartbeat.gone()
