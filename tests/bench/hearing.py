"""How soon the service decides about a file, and what tens of thousands at once do to it."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from statistics import median, quantiles

from bench import stand_in
from bench.resting import configured, memory, resting, serving, settled, worked
from bench.table import Effort, Row, at_most, in_turns, median_of, ratio_of
from publisher_daemon.ledger import Ledger
from publisher_daemon.model import DatasetId, Watch
from publisher_daemon.watcher import Watcher

#: Seconds beyond the quiet time until a file is known as settled: of the median, and of 99 in 100.
_MEDIAN, _MOST = 0.005, 0.05
#: MiB that a burst may take above what the service takes without.
_ROOM = 64
#: Seconds until every file of a burst must be known.
_WITHIN = 240.0
_QUIET = 1.0
#: So many of a burst are waited for until they are published.
_FIRST = 1000


def decisions(effort: Effort) -> Iterator[Row]:
    """From the close of a file to the line that says it is settled, its quiet time taken off."""
    folders, rounds = 25, effort.choose(4, 1)
    home = effort.directory / "hearing"
    with _served(home, folders, f'quiet = "{_QUIET:g}s"\n') as (process, datasets):
        settled(process)
        closed: dict[str, float] = {}
        for number in range(folders * rounds):
            name = f"mesures_{number}.csv"
            path = home / datasets[number % folders] / stand_in.FOLDER / name
            path.write_text(f"a;b\n{number};2\n")
            closed[name] = time.time()
            time.sleep(0.25)
        took = _settled_after(home / "log.jsonl", closed)
    middle, most = median(took), quantiles(took, n=100)[98]
    what = "from a file's close to the decision that it is settled, beyond the quiet time"
    yield Row(f"{what}: the median of {len(took)}, beside what it may be",
              f"{middle * 1000:.1f} ms", f"{_MEDIAN * 1000:.0f} ms", middle / _MEDIAN,
              at_most(1.0))  # fmt: skip
    yield Row(f"{what}: 99 of 100, beside what it may be",
              f"{most * 1000:.1f} ms", f"{_MOST * 1000:.0f} ms", most / _MOST,
              at_most(1.0))  # fmt: skip


def burst(effort: Effort) -> Iterator[Row]:
    """Files moved in all at once: each one known, none forgotten, and the memory flat."""
    files, home = effort.choose(50_000, 2_000), effort.directory / "burst"
    aside = home / "aside"
    aside.mkdir(parents=True)
    for number in range(files):
        (aside / f"{number:06}.csv").write_text(f"a;b\n{number};2\n")
    with _served(home, 1, "") as (process, (dataset,)):
        settled(process)
        before = memory(process)
        began = time.monotonic()
        os.rename(aside, home / dataset / stand_in.FOLDER / "burst")
        known, most = 0, before
        while known < files and time.monotonic() - began < _WITHIN and process.poll() is None:
            time.sleep(3)
            most, known = max(most, memory(process)), _known(home, dataset)
        took = time.monotonic() - began
        while len(sent := _sent(home / "log.jsonl")) < _FIRST and process.poll() is None:
            time.sleep(3)
            most = max(most, memory(process))
    yield Row(f"{files:,} files at once: known as published or pending, beside all, "
              f"after {took:.0f} s", f"{known:,}", f"{files:,}", files / max(known, 1),
              at_most(1.0))  # fmt: skip
    in_order = sum(a == b for a, b in zip(sent, sorted(sent), strict=True))
    yield Row(f"{files:,} files at once: of the first that were published, in the order of their "
              "names, beside all", f"{in_order:,}", f"{len(sent):,}", len(sent) / max(in_order, 1),
              at_most(1.0))  # fmt: skip
    yield Row(f"{files:,} files at once: memory above rest until then, beside what it may take",
              f"{most - before:.0f} MiB", f"{_ROOM} MiB", (most - before) / _ROOM,
              at_most(1.0))  # fmt: skip


@contextmanager
def _served(
    home: Path, folders: int, more: str
) -> Iterator[tuple[subprocess.Popen[bytes], list[str]]]:
    """The service over so many empty folders."""
    with stand_in.running(folders) as url:
        datasets = [stand_in.dataset_named(number) for number in range(folders)]
        for dataset in datasets:
            (home / dataset / stand_in.FOLDER).mkdir(parents=True)
        config = configured(home, url, datasets)
        config.write_text(config.read_text().replace("dataset =", f"{more}dataset ="))
        with serving(config) as process:
            yield process, datasets


def _settled_after(log: Path, closed: dict[str, float]) -> list[float]:
    """Seconds for each file, as soon as the log has a line about every one."""
    until = time.monotonic() + 60
    while True:
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        at = {
            line["path"]: datetime.fromisoformat(line["timestamp"]).timestamp()
            for line in lines
            if line["event"] == "file.settled"
        }
        if at.keys() >= closed.keys():
            return [at[name] - then - _QUIET for name, then in closed.items()]
        if time.monotonic() > until:
            raise RuntimeError(f"not settled: {sorted(closed.keys() - at.keys())[:5]}")
        time.sleep(0.5)


def _sent(log: Path) -> list[str]:
    """The files that were published, as they were."""
    lines = map(json.loads, log.read_text().splitlines())
    return [line["path"] for line in lines if line["event"] == "resource.created"]


def _known(home: Path, dataset: str) -> int:
    """How many files the service remembers: as published, or as waiting."""
    with closing(Ledger(home / "state", read_only=True)) as ledger:
        record = ledger.read(DatasetId(dataset))
    return len(record.entries.keys() | record.standings.keys())


def directories(effort: Effort) -> Iterator[Row]:
    """A folder with very many directories: until all are watched, and what that costs at rest."""
    many, home = effort.choose(100_000, 10_000), effort.directory / "directories"
    dataset = stand_in.dataset_named(0)
    root = home / dataset / stand_in.FOLDER
    for number in range(many // 100):
        for each in range(100):
            (root / f"{number:04}" / f"{each:02}").mkdir(parents=True)
    figures = in_turns(3, {"ours": partial(_watched, root), "theirs": partial(_inotifywait, root)})
    what = f"{many:,} directories"
    yield Row(f"{what}: processor time until they are watched, beside inotifywait -r",
              median_of(figures["ours"], "s"), median_of(figures["theirs"], "s"),
              ratio_of(figures["ours"], figures["theirs"]), at_most(4.0))  # fmt: skip
    with stand_in.running(1) as url, serving(configured(home, url, [dataset])) as process:
        settled(process)
        began, moment = worked(process), resting(process, effort.choose(60, 20))
    theirs = median(figures["theirs"])
    yield Row(f"{what}: processor time of the whole service until it rests, with its own start and "
              "its first look, beside inotifywait -r", f"{began:.2f} s", f"{theirs:.2f} s",
              began / theirs, None if effort.short else at_most(4.0))  # fmt: skip
    yield Row(f"{what}: processor time of a minute of rest of the whole service, beside what "
              "it may take", f"{moment:.0f} ms", "50 ms", moment / 50, at_most(1.0))  # fmt: skip


def _watched(root: Path) -> float:
    """Processor time until all of it is watched."""
    watch = Watch(stand_in.FOLDER, str(root), DatasetId(stand_in.dataset_named(0)))
    watcher, before = Watcher([watch], lambda *_: None), time.process_time()
    watcher.start()
    took, mode = time.process_time() - before, watcher.health()[0].mode
    watcher.stop()
    if mode != "events":
        raise RuntimeError("not all are watched: is fs.inotify.max_user_watches too low?")
    return took


def _inotifywait(root: Path) -> float:
    """The same by the usual program, or by the least that Python can do where that is not."""
    if shutil.which("inotifywait") is None:
        return _least(root)
    with subprocess.Popen(
        ["inotifywait", "-r", "-m", str(root)],
        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        for line in process.stderr or ():
            if b"established" in line:
                break
        took = worked(process)
        process.kill()
    return took


def _least(root: Path) -> float:
    libc, before = ctypes.CDLL(None), time.process_time()
    queue = libc.inotify_init1(os.O_CLOEXEC)
    for directory, _, _ in os.walk(root):
        libc.inotify_add_watch(queue, os.fsencode(directory), 0x3C8)
    took = time.process_time() - before
    os.close(queue)
    return took
