"""The numbers themselves: what happened is counted, what is is asked for when somebody looks.

No label is a file's name: a folder of 100,000 files would be as many series, and a name may say
what must not leave the machine.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, write_to_textfile
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from publisher_daemon import __version__
from publisher_daemon.errors import Exchange, LedgerBroken
from publisher_daemon.metrics.values import Now, Place
from publisher_daemon.model import Report, State

log = structlog.get_logger(__name__)

#: From an odd kilobyte on a good day to a gigabyte over an office line, in seconds.
_BUCKETS = (0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
_PLACE = ("dataset", "folder")
_TOLD = (State.PENDING, State.HELD, State.FAILED)


class Metrics:
    """Every number, in a registry of its own; safe for several threads."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        #: how to learn what is; the service says so once it is built
        self.look: Callable[[], Now] = Now
        self.registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"publisher_{name}", text, labels, registry=self.registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"publisher_{name}", text, labels, registry=self.registry)

        gauge("build_info", "The version that runs.", "version").labels(__version__).set(1)
        gauge("start_time_seconds", "When the process started.").set(clock())
        self._publications = counter(
            "publications", "Files published, by what became of the resource.", *_PLACE, "result"
        )
        self._bytes = counter("published_bytes", "Bytes published.", *_PLACE)
        self._seconds = Histogram(
            "publisher_publication_seconds",
            "Seconds from the first byte sent until the portal had the file.",
            _PLACE,
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._failures = counter(
            "failures", "Tries that failed, by the reason's code.", *_PLACE, "code"
        )
        self._retries = counter("retries", "Failed tries that are made again.", *_PLACE)
        self._requests = counter(
            "portal_requests", "Requests to the portal; code none: no answer.", "method", "code"
        )
        self._success = gauge(
            "last_success_timestamp_seconds", "When a file was last published.", *_PLACE
        )
        self._scan = gauge(
            "last_scan_timestamp_seconds", "When the folder was last looked at whole.", *_PLACE
        )
        self._passes = counter("passes", "Passes over a dataset.", "dataset", "result")
        self._messages = counter("messages", "Messages to people, by result.", "result")
        self._heartbeats = counter("heartbeats", "Signs of life sent, by result.", "result")
        for result in ("sent", "failed"):
            # counters that are there from the start: a first failure is an increase
            self._messages.labels(result)
            self._heartbeats.labels(result)
        self.registry.register(_Looking(self))

    def published_before(self, place: Place, at: float) -> None:
        """What the ledger remembers of the time before this process."""
        self._success.labels(*place).set(at)

    def exchanged(self, exchange: Exchange) -> None:
        """One request to the portal, answered or not."""
        code = "none" if exchange.status is None else str(exchange.status)
        self._requests.labels(exchange.method, code).inc()

    def passed(self, report: Report) -> None:
        """What one pass did."""
        now = self._clock()
        self._passes.labels(report.dataset, "trouble" if report.trouble else "done").inc()
        for folder in report.scanned:
            self._scan.labels(report.dataset, folder).set(now)
        for done in report.published:
            place = (done.key.dataset, done.key.folder)
            self._publications.labels(*place, "created" if done.created else "replaced").inc()
            self._bytes.labels(*place).inc(done.size)
            self._seconds.labels(*place).observe(done.seconds)
            self._success.labels(*place).set(now)
        for failed in report.failed:
            place = (failed.key.dataset, failed.key.folder)
            self._failures.labels(*place, failed.code).inc()
            if failed.not_before is not None:
                self._retries.labels(*place).inc()

    def sent(self, *, well: bool) -> None:
        """One message to people went out, or did not."""
        self._messages.labels("sent" if well else "failed").inc()

    def beat(self, *, well: bool) -> None:
        """One sign of life went out, or did not."""
        self._heartbeats.labels("sent" if well else "failed").inc()

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self.registry)

    def write(self, path: Path) -> None:
        """Write the file that node-exporter reads, whole or not at all."""
        try:
            with self._lock:
                write_to_textfile(str(path), self.registry)
        except OSError as error:
            log.warning("metrics.failed", why=f"{path} cannot be written: {error.strerror}")


class _Looking(Collector):
    """The numbers that are asked for."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def describe(self) -> list[Metric]:
        return []  # nothing is asked for only to learn the names

    def collect(self) -> Iterator[Metric]:
        try:
            now = self._metrics.look()
        except LedgerBroken:
            return  # what counts is counted; the ledger's own trouble is told elsewhere
        yield from _files(now, self._metrics._clock())  # noqa: SLF001 - two halves of one thing
        circuit = GaugeMetricFamily(
            "publisher_circuit_open", "1 while nothing is sent, as the portal is away."
        )
        circuit.add_metric([], int(now.circuit_open))
        yield circuit
        yield GaugeMetricFamily(
            "publisher_key_refused", "1 while the portal refuses the key.", int(now.key_refused)
        )
        mode = GaugeMetricFamily(
            "publisher_watcher_mode", "1 for how the folder is watched.", labels=[*_PLACE, "mode"]
        )
        losses = GaugeMetricFamily(
            "publisher_watcher_losses", "Times events were lost since the start.", labels=_PLACE
        )
        for watch in now.watches:
            for one in ("events", "polling", "degraded"):
                mode.add_metric([watch.dataset, watch.folder, one], int(one == watch.mode))
            losses.add_metric([watch.dataset, watch.folder], watch.losses)
        yield from (mode, losses)
        missing = GaugeMetricFamily(
            "publisher_expected_missing", "Expected files that did not come.", labels=_PLACE
        )
        for place, count in now.missing.items():
            missing.add_metric(list(place), count)
        yield missing
        alone = {
            "publisher_key_expiry_timestamp_seconds": ("When the key ends.", now.key_ends),
            "publisher_ledger_bytes": ("Size of the ledger.", now.ledger_bytes),
            "publisher_resident_bytes": ("Memory in use.", _resident()),
        }
        for name, (text, value) in alone.items():
            if value is not None:
                yield GaugeMetricFamily(name, text, value=value)


def _files(now: Now, clock: float) -> Iterator[Metric]:
    files = GaugeMetricFamily(
        "publisher_files", "Files not as they should be.", labels=[*_PLACE, "state"]
    )
    oldest = GaugeMetricFamily(
        "publisher_oldest_seconds",
        "Age of the oldest file in that state; 0 without one.",
        labels=[*_PLACE, "state"],
    )
    for place in now.places:
        for state in _TOLD:
            count, since = now.standings.get((place, state), (0, clock))
            files.add_metric([*place, str(state)], count)
            oldest.add_metric([*place, str(state)], max(0.0, clock - since))
    yield from (files, oldest)


def _resident() -> int | None:
    # prometheus-client's own process metrics need more of /proc than the unit shows us
    with suppress(OSError, ValueError, IndexError):
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    return None
