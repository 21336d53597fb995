"""Turns file system events into wakes and forgets them; loses time, never files."""

from publisher_daemon.watcher.posts import WatchHealth
from publisher_daemon.watcher.rounds import Wake, Watcher

__all__ = ["Wake", "WatchHealth", "Watcher"]
