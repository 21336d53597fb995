"""A limit of this machine, lowered for one test: put back after it, or by the next session.

These settings belong to the whole machine and outlive a test that is killed: one that stayed at
8 watches made every later run wait for events that could not come.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

INOTIFY = Path("/proc/sys/fs/inotify")
_LOWERED = Path("/run/publisher-daemon-tests.json")


@contextmanager
def limited(name: str, value: int) -> Iterator[Path]:
    """Lower one of inotify's limits, whose file is given to lift it sooner."""
    limit = INOTIFY / name
    before = limit.read_text()
    _LOWERED.write_text(json.dumps({"by": os.getpid(), "name": name, "before": before}))
    limit.write_text(str(value))
    try:
        yield limit
    finally:
        _put_back(limit, before)


def put_back_what_was_left() -> None:
    """Give back what a test that was killed had lowered; leave alone what one has lowered now."""
    try:
        left = json.loads(_LOWERED.read_text())
    except FileNotFoundError:
        return
    if not Path(f"/proc/{left['by']}").exists():
        _put_back(INOTIFY / left["name"], left["before"])


def _put_back(limit: Path, before: str) -> None:
    limit.write_text(before)
    _LOWERED.unlink(missing_ok=True)
