"""Builds the rooms, runs them, stops them; the only supervisor.

A thread that dies ends the process: the service manager restarts it, and recovery is the ordinary
first pass. A ledger whose disk fails is waited for, and the program started anew in its own place.
What a verb does not use of this is not loaded for it: the portal's client, the watcher and the
schedules take longer to load than ``status`` to answer.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from publisher_daemon.daemon.opening import now, open_ledger, open_versions

if TYPE_CHECKING:
    from publisher_daemon.daemon.office import Office, build, open_portal, refresh_now
    from publisher_daemon.daemon.one_pass import once
    from publisher_daemon.daemon.service import AGAIN, Daemon, run

__all__ = [
    "AGAIN",
    "Daemon",
    "Office",
    "build",
    "now",
    "once",
    "open_ledger",
    "open_portal",
    "open_versions",
    "refresh_now",
    "run",
]

_HOMES = {
    "AGAIN": "service",
    "Daemon": "service",
    "Office": "office",
    "build": "office",
    "once": "one_pass",
    "open_portal": "office",
    "refresh_now": "office",
    "run": "service",
}


def __getattr__(name: str) -> object:
    """Load what is asked for."""
    if name not in _HOMES:
        raise AttributeError(name)
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
