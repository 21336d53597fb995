"""Prepares, once per machine, what the sandbox runs on: udata in an environment of its own.

udata and its database weigh some 600 MB and conflict with nothing as they stand apart; every clone
of the project uses the same copy, in the user's cache. Both the environment and the seeded data are
built under a temporary name and renamed, so that an interrupted installation is never mistaken for
a finished one.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
LOCK = HERE / "requirements.lock"
PORTAL = HERE / "portal"

#: seconds between two lines that say "still installing"
_PATIENCE = 15.0


class PreparationError(Exception):
    """The sandbox's environment cannot be made; the message says what to do."""


def python(say: Callable[[str], None]) -> Path:
    """Return the interpreter that has udata, installing it first if needed."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    name = "sandbox-" + _digest(LOCK.read_bytes(), version.encode())

    def build(where: Path) -> None:
        say("Installing udata for the sandbox, once for this machine (600 MB, some minutes).")
        _make_environment(where)
        _install(where, say)
        say("Installed.")

    return prepared(name, build) / "bin" / "python"


def seeded(interpreter: Path, seed: Callable[[Path], None]) -> Path:
    """Return a directory of seeded data to copy, calling ``seed(directory)`` if there is none."""
    sources = [
        path.read_bytes()
        for path in (PORTAL / name for name in ("application.py", "database.py", "seed.py"))
    ]
    name = f"{interpreter.parents[1].name}-seed-" + _digest(*sources)
    return prepared(name, seed)


def cache() -> Path:
    """Return where prepared things are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "publisher-daemon"


def _digest(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]


def prepared(name: str, build: Callable[[Path], None]) -> Path:
    """Return the directory of that name in the cache, calling ``build(directory)`` if needed."""
    ready = cache() / name
    if ready.is_dir():
        return ready
    cache().mkdir(parents=True, exist_ok=True)
    with _alone(name):
        if ready.is_dir():  # another one built it while we waited
            return ready
        for left in cache().glob(f"{name}.*.building"):  # of one that was killed
            shutil.rmtree(left, ignore_errors=True)
        building = Path(tempfile.mkdtemp(prefix=f"{name}.", suffix=".building", dir=cache()))
        try:
            build(building)
            building.rename(ready)  # the directory's final name is the marker
        except BaseException:
            shutil.rmtree(building, ignore_errors=True)
            raise
    return ready


@contextlib.contextmanager
def _alone(name: str) -> Iterator[None]:
    """Hold the machine-wide lock of ``name``; the kernel frees it if we die."""
    with (cache() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make_environment(where: Path) -> None:
    made = subprocess.run(
        [sys.executable, "-m", "venv", str(where)], capture_output=True, text=True, check=False
    )
    if made.returncode != 0:
        raise PreparationError(
            f"Python's venv module does not work: {(made.stdout + made.stderr).strip()}\n"
            "Install it first (on Debian and Ubuntu: apt install python3-venv)."
        )


def _install(where: Path, say: Callable[[str], None]) -> None:
    command = [str(where / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-input"]
    command += ["--disable-pip-version-check", "--progress-bar=off", "--require-hashes"]
    command += ["-r", str(LOCK)]
    begun = time.monotonic()
    with (where / "pip.log").open("w+", encoding="utf-8") as log:
        with subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT) as pip:
            try:
                while True:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        pip.wait(_PATIENCE)
                        break
                    say(f"… still installing ({time.monotonic() - begun:.0f} s)")
            except BaseException:
                pip.terminate()
                raise
        log.seek(0)
        if pip.returncode != 0:
            raise PreparationError(f"pip cannot install the sandbox's packages:\n{log.read()}")
