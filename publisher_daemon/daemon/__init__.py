"""Builds the rooms, runs them, stops them; the only supervisor.

A thread that dies ends the process: the service manager restarts it, and recovery is the ordinary
first pass.
"""

from publisher_daemon.daemon.office import (
    Office,
    build,
    now,
    open_ledger,
    open_portal,
    open_versions,
    refresh_now,
)
from publisher_daemon.daemon.once import once
from publisher_daemon.daemon.service import Daemon, run

__all__ = [
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
