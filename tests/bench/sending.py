"""One large file to a sink and to a real portal, ours beside ``curl -F``."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from launcher import Sandbox

from bench import sink
from bench.table import Effort, Row, at_least, at_most, in_turns, median_of, ratio_of, seconds
from bench.uploading import MIB, PATH, Unsummed, form_sender, made, sender
from publisher_daemon.folder.source import BLOCK
from publisher_daemon.model import DatasetId, Fingerprint
from publisher_daemon.portal import Portal

#: 1 Gbit/s as a file sees it: less what Ethernet, IP and TCP take
_GIGABIT = 119 * MIB


def to_a_sink(effort: Effort) -> Iterator[Row]:
    """Speed; as it is really sent (sha1 of the sent bytes, in the same pass), and without sha1."""
    path, fingerprint = made(effort.directory, effort.choose(1024, 256) * MIB)
    for tls in (False, True):
        with sink.running(effort.directory, tls=tls) as server:
            yield from _beside_curl(path, fingerprint, server, tls=tls)
    path.unlink()


def _beside_curl(
    path: Path, fingerprint: Fingerprint, server: sink.Sink, *, tls: bool
) -> Iterator[Row]:
    curl = _curl(path, server)
    with (
        sender(path, fingerprint, server) as ours,
        form_sender(path, Unsummed, server) as unsummed,
    ):
        figures = in_turns(
            5,
            {
                "ours": lambda: seconds(ours),
                "unsummed": lambda: seconds(unsummed),
                "curl": lambda: seconds(curl),
                "sha1sum": lambda: seconds(lambda: _run("sha1sum", str(path))),
                "hashlib": lambda: seconds(lambda: _hash(path)),
            },
        )
    mine, bare, theirs = figures["ours"], figures["unsummed"], figures["curl"]
    both = [one + other for one, other in zip(figures["sha1sum"], theirs, strict=True)]
    parts = [one + other for one, other in zip(figures["hashlib"], theirs, strict=True)]
    what = f"{fingerprint.size // MIB} MiB, {'TLS' if tls else 'plain'}"
    yield Row(
        f"{what}, no sha1: speed beside `curl -F`",
        median_of(bare, "s"), median_of(theirs, "s"), ratio_of(theirs, bare),
        at_least(0.95 if tls else 1.0),
    )  # fmt: skip
    yield Row(
        f"{what}, with sha1: speed beside `sha1sum f && curl -F`",
        median_of(mine, "s"), median_of(both, "s"), ratio_of(both, mine),
        at_least(1.5 if tls else 1.7),
    )  # fmt: skip
    yield Row(
        f"{what}, with sha1: time beside curl's and hashlib's together",
        median_of(mine, "s"), median_of(parts, "s"), ratio_of(mine, parts), at_most(1.1),
    )  # fmt: skip


def memory(effort: Effort) -> Iterator[Row]:
    """What a process grows by while it sends: the limit is the same whatever the size."""
    limit = 8 * MIB
    sizes = (64, 512) if effort.short else (64, 4096, 20480)
    with sink.running(effort.directory, tls=True) as server:
        for size in sizes:
            grown = int(
                subprocess.run(
                    [sys.executable, "-m", "bench.uploading", server.url, server.ca_file or "",
                     str(size * MIB)],
                    check=True, capture_output=True, text=True,
                ).stdout
            )  # fmt: skip
            yield Row(
                f"memory grown by while {size} MiB go up (TLS, sha1), beside the limit",
                f"{grown / MIB:.1f} MiB", f"{limit // MIB} MiB", grown / limit, at_most(1.0),
            )  # fmt: skip


def on_a_line(effort: Effort) -> Iterator[Row]:
    """A line of 1 Gbit/s stays full, and the processor mostly idle."""
    path, fingerprint = made(effort.directory, effort.choose(1024, 384) * MIB)
    ideal = fingerprint.size / _GIGABIT
    took, busy = [], []
    with (
        sink.running(effort.directory, tls=True, pace=_GIGABIT) as server,
        sender(path, fingerprint, server) as ours,
    ):
        for _ in range(effort.choose(2, 1)):
            before = time.process_time()
            took.append(seconds(ours))
            busy.append((time.process_time() - before) / took[-1])
    path.unlink()
    yield Row(
        "a paced line of 1 Gbit/s, TLS, sha1: time beside the ideal",
        median_of(took, "s"), f"{ideal:.2f} s", ratio_of(took, [ideal] * len(took)), at_most(1.03),
    )  # fmt: skip
    yield Row(
        "the same: share of one core, beside the limit",
        median_of([100 * one for one in busy], "%", 0), "40 %",
        ratio_of(busy, [0.4] * len(busy)), at_most(1.0),
    )  # fmt: skip


def to_a_portal(effort: Effort) -> Iterator[Row]:
    """1 GiB to a real udata, one request each: the portal's own work is nearly all of it."""
    path, fingerprint = made(effort.directory, 1024 * MIB)
    with Sandbox() as sandbox, _apart(sandbox):
        key = sandbox.tokens["prod"]
        portal = Portal(sandbox.url, key)
        dataset = DatasetId(sandbox.new_dataset())
        with sender(path, fingerprint, sink.Sink(sandbox.url, None), key, dataset) as ours:
            curl = _curl(path, sink.Sink(sandbox.url, None), key, dataset)

            def emptied(work: Callable[[], object]) -> float:
                took = seconds(work)
                for found in portal.resources(dataset):
                    portal.withdraw(dataset, found)
                return took

            figures = in_turns(3, {"ours": lambda: emptied(ours), "curl": lambda: emptied(curl)})
        portal.close()
    path.unlink()
    yield Row(
        "1 GiB to a real udata on a core of its own, one request, sha1: time beside `curl -F`",
        median_of(figures["ours"], "s"), median_of(figures["curl"], "s"),
        ratio_of(figures["ours"], figures["curl"]), at_most(1.05),
    )  # fmt: skip


@contextlib.contextmanager
def _apart(sandbox: Sandbox) -> Iterator[None]:
    """Give the portal a core of its own, and whoever sends another one, as on two machines.

    On shared cores our sha1 takes from the portal the time that it needs for the same bytes: that
    made half as much again, and a pause between two blocks made it less. The portal's own work was
    the same for both senders.
    """
    mine = os.sched_getaffinity(0)
    first, *others = sorted(mine)
    if not others:
        yield
        return
    for process in sandbox.processes:
        for thread in os.listdir(f"/proc/{process}/task"):
            os.sched_setaffinity(int(thread), {first})
    os.sched_setaffinity(0, set(others))
    try:
        yield
    finally:
        os.sched_setaffinity(0, mine)


def _curl(
    path: Path, server: sink.Sink, key: str | None = None, dataset: str | None = None
) -> Callable[[], None]:
    trust = ["--cacert", server.ca_file] if server.ca_file else []
    who = ["-H", f"X-API-KEY: {key}"] if key else []
    where = server.url + (f"/api/1/datasets/{dataset}/upload/" if dataset else PATH)
    form = f"file=@{path};filename=curl.bin.zip"
    return lambda: _run("curl", "-sSf", "-o", os.devnull, *trust, *who, "-F", form, where)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _hash(path: Path) -> str:
    digest = hashlib.sha1(usedforsecurity=False)
    buffer = memoryview(bytearray(BLOCK))
    with contextlib.closing(path.open("rb", buffering=0)) as source:
        while got := source.readinto(buffer):
            digest.update(buffer[:got])
    return digest.hexdigest()
