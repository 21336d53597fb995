"""The packages of this checkout, built once a session; their wheels are kept for the next ones."""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from build import ROOT, BuildFailed, Order, build, fetch, own_wheel, source_date
from roots import Offline, Release

#: what builds our own wheel where there is no network
_BUILDER = "hatchling>=1.27"


class Made:
    """Builds what is asked for, and remembers it."""

    def __init__(self, kept: Path, out: Path) -> None:
        self._kept = kept
        self._out = out
        self._built = cache(self._build)

    def deb(self, release: Release) -> Path:
        return self.all(release.python)[0]

    def rpm(self, release: Release) -> Path:
        return self.all(release.python)[1]

    def all(
        self, python: str, *, source: Path = ROOT, version: str | None = None, place: str = "now"
    ) -> tuple[Path, ...]:
        """The .deb, the .rpm and the bill of materials, for one version of Python."""
        return self._built(python, source, version, place)

    def wheels(self, python: str) -> Path:
        """A directory with everything the lock names, for that Python; raises Offline."""
        wheels = self._kept / f"wheels-{python}"
        try:
            fetch(ROOT, python, wheels)
        except BuildFailed as error:
            # other bytes than the lock names are no matter of the network
            if "HASHES" in str(error):
                raise
            raise Offline(f"the wheels for Python {python} cannot be fetched") from error
        return wheels

    def tools(self) -> Path:
        """A directory with what builds our own wheel; raises Offline."""
        tools, pip = self._kept / "tools", [sys.executable, "-m", "pip", "download", "--quiet"]
        if not tools.is_dir():
            fetching = tools.with_suffix(".fetching")
            shutil.rmtree(fetching, ignore_errors=True)
            told = subprocess.run(
                [*pip, "--only-binary=:all:", "--dest", fetching, _BUILDER], check=False
            )
            if told.returncode != 0:
                raise Offline(f"{_BUILDER} cannot be fetched")
            fetching.rename(tools)
        return tools

    def wheel(self) -> Path:
        """Our own wheel, in a directory of its own."""
        place = self._out / "wheel"
        place.mkdir(parents=True, exist_ok=True)
        return own_wheel(ROOT, place, source_date(ROOT))

    def _build(
        self, python: str, source: Path, version: str | None, place: str
    ) -> tuple[Path, ...]:
        out = self._out / place / python
        self.wheels(python)
        return tuple(build(Order(python, out, self._kept / f"wheels-{python}", source, version)))
