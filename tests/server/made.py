"""The packages of this checkout, built once a session; their wheels are kept for the next ones."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from build import ROOT, Order, build, fetch, own_wheel, source_date
from roots import Release


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
        """A directory with everything the lock names, for that Python."""
        wheels = self._kept / f"wheels-{python}"
        fetch(ROOT, python, wheels)
        return wheels

    def wheel(self) -> Path:
        """Our own wheel, in a directory of its own."""
        place = self._out / "wheel"
        place.mkdir(parents=True, exist_ok=True)
        return own_wheel(ROOT, place, source_date(ROOT))

    def _build(
        self, python: str, source: Path, version: str | None, place: str
    ) -> tuple[Path, ...]:
        out = self._out / place / python
        return tuple(build(Order(python, out, self._kept / f"wheels-{python}", source, version)))
