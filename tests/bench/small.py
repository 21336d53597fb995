"""Many small files to a real portal: ours beside a loop of curl and beside datagouv-client."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from launcher import Sandbox
from producer import Producer

from bench.table import Effort, Row, at_most
from publisher_daemon import daemon, log
from publisher_daemon.config import load

#: What users would pick in Python. It brings libraries that must not lie beside ours, so it gets an
#: environment of its own.
_CLIENT = "datagouv-client==0.5.1"
_WITH_CLIENT = """
import sys, time
from datagouv import Client
url, key, directory, files, *datasets = sys.argv[1:]
client = Client("demo", api_key=key)
client.base_url = url
began = time.perf_counter()
for number in range(int(files)):
    name = f"client_{number:05}.csv"
    client.create_static_resource(
        f"{directory}/{name}", {"title": name}, datasets[number % len(datasets)]
    )
print(time.perf_counter() - began)
"""

#: parts of a second in which the system counts a process's work
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class _Took:
    """What a run took: by the clock, and of the processors, ours and the portal's."""

    seconds: float
    ours: float
    portal: float
    requests: int = 0


def to_a_portal(effort: Effort) -> Iterator[Row]:
    """New files to one dataset and to many, and into one that holds some already."""
    client = _client(effort.directory / "client") if effort.form == "long" else None
    with Sandbox() as sandbox:
        # more to one would mostly measure the portal, whose writes take longer with each resource
        yield from _beside_others(effort, sandbox, 1, effort.choose(100, 40, long=1000), client)
        # twenty to each, as of a thousand to fifty
        many = effort.choose(10, 5, long=50)
        yield from _beside_others(effort, sandbox, many, 20 * many, client)
        yield from _into_a_full_one(effort, sandbox)


def _client(directory: Path) -> Path:
    """Install datagouv-client there; the Python that has it."""
    subprocess.run([sys.executable, "-m", "venv", directory], check=True)
    python = directory / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", _CLIENT], check=True)
    return python


def _beside_others(
    effort: Effort, sandbox: Sandbox, datasets: int, files: int, client: Path | None
) -> Iterator[Row]:
    where = effort.directory / f"small-{datasets}"
    ids = [sandbox.new_dataset() for _ in range((2 if client is None else 3) * datasets)]
    mine = _publish(_producer(where, sandbox, ids[:datasets]), sandbox, files)
    loop = _curls(sandbox, ids[datasets : 2 * datasets], files, where)
    name = f"{files} new files to {datasets} dataset{'s' if datasets > 1 else ''}"
    # of the first file of each dataset, what the file server gives out is looked at too
    asked = (mine.requests - datasets) / files
    yield Row(
        f"{name}: files a second beside a loop of curl, which only uploads",
        f"{files / mine.seconds:.1f}", f"{files / loop:.1f}", loop / mine.seconds,
    )  # fmt: skip
    if client is not None:
        theirs = _clients(client, sandbox, ids[2 * datasets :], files, where)
        yield Row(
            f"{name}: files a second beside datagouv-client, which uploads and gives the title",
            f"{files / mine.seconds:.1f}", f"{files / theirs:.1f}", theirs / mine.seconds,
        )  # fmt: skip
    yield Row(
        f"{name}: our own work beside the portal's (processor time)",
        f"{1000 * mine.ours / files:.1f} ms", f"{1000 * mine.portal / files:.1f} ms",
        mine.ours / mine.portal, at_most(0.1),
    )  # fmt: skip
    yield Row(
        f"{name}: requests a file, beside what it may take",
        f"{asked:.2f}", "3", asked / 3, at_most(1.0),
    )  # fmt: skip


def _into_a_full_one(effort: Effort, sandbox: Sandbox) -> Iterator[Row]:
    """Our own work for a file, by how many the dataset holds already."""
    batch, first = 5, 0.0
    for held in (1, 100, 1000) if not effort.short else (1, 100):
        dataset = sandbox.call(
            "POST",
            "1/datasets/",
            {
                "title": f"Plein de {held}",
                "description": "-",
                "organization": sandbox.orgs["ville"],
                "resources": [
                    {"title": f"{number}", "url": f"https://example.org/{number}.csv",
                     "filetype": "remote", "type": "main", "format": "csv"}
                    for number in range(held)
                ],
            },
            "prod",
        )["id"]  # fmt: skip
        took = _publish(_producer(effort.directory / f"full-{held}", sandbox, [dataset]), sandbox,
                        batch)  # fmt: skip
        mine = 1000 * took.ours / batch
        first = first or mine
        yield Row(
            f"{batch} new files where {held} are already: our own work for each, beside the first",
            f"{mine:.1f} ms", f"{first:.1f} ms", mine / first, at_most(2.0),
        )  # fmt: skip


def _producer(home: Path, sandbox: Sandbox, datasets: list[str]) -> Producer:
    """A producer with a folder for each dataset, that counts its requests."""
    home.mkdir(parents=True)
    producer = Producer(home, sandbox.url, sandbox.tokens["prod"], datasets[0])
    producer.folder_settings["quiet"] = '"0s"'
    producer.settings["log_level"] = '"warning"'
    for number, dataset in enumerate(datasets[1:]):
        (home / f"more-{number}").mkdir()
        producer.more += (
            f'[[folders]]\npath = "{home}/more-{number}"\ndataset = "{dataset}"\nquiet = "0s"\n'
        )
    producer.more += f'[metrics]\ntextfile = "{home}/numbers.prom"\n'
    return producer


def _publish(producer: Producer, sandbox: Sandbox, files: int) -> _Took:
    """Publish new files, spread over its folders; what a look at nothing takes is left out."""
    idle = _once(producer, sandbox)
    folders = [producer.folder, *sorted(producer.home.glob("more-*"))]
    for number in range(files):
        folder = folders[number % len(folders)]
        (folder / f"mesures_{number:05}.csv").write_bytes(_content(number))
    took = _once(producer, sandbox)
    return _Took(
        took.seconds - idle.seconds,
        took.ours - idle.ours,
        took.portal - idle.portal,
        took.requests - idle.requests,
    )


def _once(producer: Producer, sandbox: Sandbox) -> _Took:
    """Make one pass, in this process: a start would weigh more than a few files."""
    settings = load(producer.configure(), {})
    log.configure(level="error")
    portal, mine, began = _work_of(sandbox), time.process_time(), time.perf_counter()
    code = daemon.once(settings)
    took = time.perf_counter() - began, time.process_time() - mine, _work_of(sandbox) - portal
    if code:
        raise RuntimeError(f"not everything was published ({code})")
    numbers = (producer.home / "numbers.prom").read_text(encoding="utf-8")
    asked = re.findall(r"^publisher_portal_requests_total\{.*\} ([\d.e+]+)$", numbers, re.MULTILINE)
    return _Took(*took, int(sum(map(float, asked))))


def _curls(sandbox: Sandbox, datasets: list[str], files: int, directory: Path) -> float:
    """Seconds that a loop takes which only uploads: a curl for each file, one after the other."""
    path = directory / "small.csv"
    began = time.perf_counter()
    for number in range(files):
        path.write_bytes(_content(number))
        subprocess.run(
            ["curl", "-sSf", "-o", os.devnull, "-H", f"X-API-KEY: {sandbox.tokens['prod']}",
             "-F", f"file=@{path};filename=curl_{number:05}.csv",
             f"{sandbox.url}/api/1/datasets/{datasets[number % len(datasets)]}/upload/"],
            check=True,
        )  # fmt: skip
    return time.perf_counter() - began


def _clients(
    python: Path, sandbox: Sandbox, datasets: list[str], files: int, directory: Path
) -> float:
    """Seconds that the same files take through datagouv-client, its start left out."""
    for number in range(files):
        (directory / f"client_{number:05}.csv").write_bytes(_content(number))
    done = subprocess.run(
        [python, "-c", _WITH_CLIENT, sandbox.url, sandbox.tokens["prod"], str(directory),
         str(files), *datasets],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return float(done.stdout)


def _content(number: int) -> bytes:
    return b"date;valeur\n" + b"2026-11-21;%06d\n" % number * 100


def _work_of(sandbox: Sandbox) -> float:
    """Seconds of processor that the portal's processes have taken so far."""
    total = 0.0
    for process in sandbox.processes:
        fields = (
            Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        )
        total += (int(fields[11]) + int(fields[12])) / _TICKS
    return total
