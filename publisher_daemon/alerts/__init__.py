"""Tells people, outside of the log, what needs them: once, once a day, and when it is over."""

from publisher_daemon.alerts.deciding import Bounds, Decision, decide
from publisher_daemon.alerts.sending import Heartbeats, Post, unusable
from publisher_daemon.alerts.values import Concern, Kind, Letter, Memory, Topic
from publisher_daemon.alerts.writing import Writer

__all__ = [
    "Bounds",
    "Concern",
    "Decision",
    "Heartbeats",
    "Kind",
    "Letter",
    "Memory",
    "Post",
    "Topic",
    "Writer",
    "decide",
    "unusable",
]
