"""A folder in which nothing changed, looked at whole: ours beside ``find -printf``, by CPU time."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from bench.table import Effort, Row, at_most, in_turns, median_of, ratio_of
from publisher_daemon.folder import Folder
from publisher_daemon.ledger import Ledger
from publisher_daemon.model import (
    DatasetId,
    Entry,
    Fingerprint,
    Policy,
    Reason,
    ResourceId,
    Watch,
    Words,
)
from publisher_daemon.reconcile import Gate, Reconciler

_DATASET = DatasetId("5bbb6d6cff66bd4dc17bfd5a")
#: files in one directory
_TOGETHER = 500
#: MiB above idle that a rescan may take, however many files there are
_ROOM = 64


def unchanged(effort: Effort) -> Iterator[Row]:
    """A hundred thousand files (ten thousand in short), all as the ledger has them."""
    yield from _of(effort, effort.choose(100_000, 10_000))


def unchanged_million(effort: Effort) -> Iterator[Row]:
    """A million files."""
    yield from _of(effort, 1_000_000)


def _of(effort: Effort, files: int) -> Iterator[Row]:
    root, state = effort.directory / f"tree-{files}", effort.directory / f"state-{files}"
    _plant(root, files)
    watch = Watch("air", str(root), _DATASET)
    folder, ledger = Folder(watch), Ledger(state)
    _publish(folder, ledger)
    unused: Any = None  # a rescan that finds nothing asks the portal nothing
    reconciler = Reconciler(
        portal=unused,
        ledger=ledger,
        folders={(_DATASET, "air"): folder},
        policy=lambda: Policy((watch,)),
        gate=Gate(time.time, lambda: 0.5),
        jitter=lambda: 0.5,
        new_id=lambda: "bench",
    )
    reconciler._audited[_DATASET] = time.time()
    grown: list[float] = []

    def ours() -> float:
        before, idle = _cpu(resource.RUSAGE_SELF), _memory("VmRSS")
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins anew
        assert not reconciler.run(_DATASET, Reason.RESCAN).standings
        grown.append(_memory("VmHWM") - idle)
        return _cpu(resource.RUSAGE_SELF) - before

    def theirs() -> float:
        before = _cpu(resource.RUSAGE_CHILDREN)
        subprocess.run(
            ["find", str(root), "-printf", "%p %s %T@ %C@ %i\n"],
            stdout=subprocess.DEVNULL,
            check=True,
        )
        return _cpu(resource.RUSAGE_CHILDREN) - before

    figures = in_turns(3, {"ours": ours, "theirs": theirs})
    ledger.close()
    yield Row(
        f"{files:,} files, CPU time beside find -printf",
        median_of(figures["ours"], "s"),
        median_of(figures["theirs"], "s"),
        ratio_of(figures["ours"], figures["theirs"]),
        at_most(2.5),
    )
    yield Row(
        f"{files:,} files, memory above idle beside what it may take",
        f"{max(grown):.1f} MiB",
        f"{_ROOM} MiB",
        max(grown) / _ROOM,
        at_most(1.0),
    )


def _plant(root: Path, files: int) -> None:
    for number in range(files):
        directory = root / f"{number // _TOGETHER // 50:03}" / f"{number // _TOGETHER:05}"
        if number % _TOGETHER == 0:
            directory.mkdir(parents=True)
        os.close(os.open(directory / f"mesures_{number:07}.csv", os.O_CREAT | os.O_WRONLY))


def _publish(folder: Folder, ledger: Ledger) -> None:
    """Let the ledger know every file as published."""
    entries = (
        Entry(
            key=seen.key,
            resource=ResourceId(f"{number:08x}-0000-4000-8000-{number:012x}"),
            fingerprint=Fingerprint(f"{number:040x}", seen.stamp.size),
            stamp=seen.stamp,
            applied=Words("title"),
            published_at=1.0,
        )
        for number, seen in enumerate(folder.scan())
    )
    while some := list(islice(entries, 10_000)):
        ledger.touch(*some)


def _cpu(whose: int) -> float:
    used = resource.getrusage(whose)
    return used.ru_utime + used.ru_stime


def _memory(which: str) -> float:
    found = re.search(rf"{which}:\s+(\d+) kB", Path("/proc/self/status").read_text("utf-8"))
    return int(found[1]) / 1024 if found else 0.0
