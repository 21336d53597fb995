"""The service when nothing happens: what a hundred folders cost that stand still."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import stand_in
from bench.table import Effort, Row, at_most
from publisher_daemon.folder import Folder
from publisher_daemon.ledger import Ledger
from publisher_daemon.model import DatasetId, Entry, Fingerprint, ResourceId, Watch, Words

#: What a minute of rest may take of the processor, in ms, and the whole process of memory, in MiB.
_MOMENT, _ROOM = 50, 50


def at_rest(effort: Effort) -> Iterator[Row]:
    """A hundred folders in a hundred datasets, with a hundred thousand files."""
    folders, each = 100, effort.choose(1000, 100)
    home = effort.directory / "resting"
    names = [f"mesures_{number:05}.csv" for number in range(each)]
    with stand_in.running(folders, names) as url:
        datasets = [stand_in.dataset_named(number) for number in range(folders)]
        for dataset in datasets:
            _plant(home / dataset / stand_in.FOLDER, names)
        _publish(home, datasets, url)
        with serving(configured(home, url, datasets)) as process:
            settled(process)
            moment = resting(process, effort.choose(60, 20))
            room = memory(process)
    what = f"{folders} folders, {folders * each:,} known files"
    yield Row(f"{what}: processor time of a minute of rest, beside what it may take",
              f"{moment:.0f} ms", f"{_MOMENT} ms", moment / _MOMENT, at_most(1.0))  # fmt: skip
    yield Row(f"{what}: memory of the whole process, beside what it may take",
              f"{room:.0f} MiB", f"{_ROOM} MiB", room / _ROOM, at_most(1.0))  # fmt: skip


def configured(home: Path, url: str, datasets: list[str], more: str = "") -> Path:
    """Write a configuration with a folder for each dataset."""
    config = home / "config.toml"
    config.write_text(
        f'[portal]\nurl = "{url}"\napi_key = "key"\n'
        f'[daemon]\nstate_dir = "{home}/state"\nrescan_every = "12h"\naudit_every = "12h"\n{more}'
        + "".join(
            f'[[folders]]\npath = "{home}/{dataset}/{stand_in.FOLDER}"\ndataset = "{dataset}"\n'
            for dataset in datasets
        )
    )
    return config


@contextmanager
def serving(config: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the service as a process."""
    log = config.with_name("log.jsonl")
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "publisher_daemon", "--config", str(config), "run"], stderr=out
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


def settled(process: subprocess.Popen[bytes], within: float = 300) -> None:
    """Wait until it does next to nothing."""
    until, calm = time.monotonic() + within, 0
    while calm < 3:
        if time.monotonic() > until or process.poll() is not None:
            raise RuntimeError("the service never came to rest")
        before = worked(process)
        time.sleep(1)
        # while another process reads its settings, it does nothing either
        alone = not Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text("ascii")
        calm = calm + 1 if alone and before > 0.3 and worked(process) - before < 0.01 else 0


def resting(process: subprocess.Popen[bytes], seconds: float) -> float:
    """Milliseconds of processor in a minute."""
    before = worked(process)
    time.sleep(seconds)
    return (worked(process) - before) * 1000 * 60 / seconds


def worked(process: subprocess.Popen[bytes]) -> float:
    """Seconds of processor so far, of threads that have ended too; finer than the 10 ms of a tick.

    The clock of another process, numbered as clock_getcpuclockid(3) does.
    """
    return time.clock_gettime(~process.pid << 3 | 2)


def memory(process: subprocess.Popen[bytes]) -> float:
    """MiB that the process holds."""
    status = Path(f"/proc/{process.pid}/status").read_text("ascii")
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else 0.0


def _plant(folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).touch()


def _publish(home: Path, datasets: list[str], url: str) -> None:
    """Let the ledger know every file as the portal has it."""
    ledger = Ledger(home / "state")
    for dataset in map(DatasetId, datasets):
        watch = Watch(stand_in.FOLDER, str(home / dataset / stand_in.FOLDER), dataset)
        ledger.touch(
            *(
                Entry(
                    key=seen.key,
                    resource=(resource := ResourceId(stand_in.resource_of(dataset, seen.key.path))),
                    fingerprint=Fingerprint(stand_in.sha1_of(b""), 0),
                    stamp=seen.stamp,
                    permalink=f"{url}/api/1/datasets/r/{resource}",
                    applied=Words(seen.key.path),
                    published_at=1.0,
                )
                for seen in Folder(watch).scan()
            )
        )
    ledger.close()
