"""Counts what the service does, for Prometheus: a page on loopback, or a file for node-exporter."""

from publisher_daemon.metrics.numbers import Metrics, Now, WatchNow
from publisher_daemon.metrics.page import Page, address

__all__ = ["Metrics", "Now", "Page", "WatchNow", "address"]
