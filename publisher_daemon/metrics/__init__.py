"""Counts what the service does, for Prometheus: a page on loopback, or a file for node-exporter.

``numbers`` and ``page`` load Prometheus' client: only where numbers are wanted.
"""

from publisher_daemon.metrics.values import Now, WatchNow

__all__ = ["Now", "WatchNow"]
