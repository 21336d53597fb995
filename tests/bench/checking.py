"""What it costs to look at a large table before it goes out, beside only hashing it."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench import ROOT
from bench.table import Effort, Row, at_most, in_turns, median_of, ratio_of, seconds
from publisher_daemon.daemon.inspecting import TURN
from publisher_daemon.folder import Folder
from publisher_daemon.inspection import inspect
from publisher_daemon.model import DatasetId, Watch
from publisher_daemon.profile import Profile

MIB = 1024 * 1024
NAME = "mesures.csv"

_ALONE = """
import resource, sys
sys.path.insert(0, sys.argv[2])
from bench.checking import looked_at
assert looked_at(__import__("pathlib").Path(sys.argv[1])).rows
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def before_it_goes(effort: Effort) -> Iterator[Row]:
    """Time and memory of the one reading in which a file is hashed and looked at."""
    path = _made(effort.directory / "checked" / NAME, effort.choose(1024, 256) * MIB)
    work: dict[str, list[float]] = {"ours": [], "reading": []}
    figures = in_turns(
        effort.choose(5, 3),
        {
            "ours": lambda: _timed(lambda: looked_at(path), work["ours"]),
            "reading": lambda: _timed(lambda: _read(path), work["reading"]),
        },
    )
    mine, reading = figures["ours"], figures["reading"]
    size = path.stat().st_size // MIB
    what = f"{size} MiB of CSV: looked at and hashed, beside read and hashed"
    yield Row(
        what, median_of(mine, "s"), median_of(reading, "s"), ratio_of(mine, reading), at_most(1.5)
    )
    yield Row(
        f"{what}: work of the processors",
        median_of(work["ours"], "s"), median_of(work["reading"], "s"),
        ratio_of(work["ours"], work["reading"]),
    )  # fmt: skip
    most = int(_run(path)) / 1024
    yield Row(f"{size} MiB of CSV: memory of the whole process", f"{most:.0f} MiB", "100 MiB",
              most / 100, at_most(1.0))  # fmt: skip
    path.unlink()


def _timed(run: Callable[[], object], work: list[float]) -> float:
    """Seconds that it takes; what it takes of the processors goes to ``work``."""
    before = time.process_time()
    took = seconds(run)
    work.append(time.process_time() - before)
    return took


def looked_at(path: Path) -> Profile:
    """Open it as a pass does, and look."""
    sys.setswitchinterval(TURN)
    folder = Folder(Watch("bench", str(path.parent), DatasetId("5bbb6d6cff66bd4dc17bfd5a")))
    (sighting,) = folder.scan([path.name])
    with folder.open(path.name, sighting.stamp) as source:
        _, profile = inspect(source, path.name)
        source.check()
    return profile


def _read(path: Path) -> str:
    digest = hashlib.sha1(usedforsecurity=False)
    folder = Folder(Watch("bench", str(path.parent), DatasetId("5bbb6d6cff66bd4dc17bfd5a")))
    (sighting,) = folder.scan([path.name])
    with folder.open(path.name, sighting.stamp) as source:
        for block in source.blocks():
            digest.update(block)
    return digest.hexdigest()


def _run(path: Path) -> str:
    command = [sys.executable, "-c", _ALONE, str(path), str(ROOT / "tests")]
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout


def _made(path: Path, size: int) -> Path:
    path.parent.mkdir(exist_ok=True)
    block = b"".join(
        f"2026-11-{n % 28 + 1:02};{n % 97:05};station {n % 50};{n % 80},{n % 10};"
        f"{'validée' if n % 3 else ''}\n".encode()
        for n in range(100_000)
    )
    with path.open("wb") as out:
        out.write("date;code;station;no2;état\n".encode())
        while out.tell() < size:
            out.write(block)
    return path
