"""The packages of this checkout, built once a session; their wheels are kept for the next ones."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from build import ROOT, Order, build
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

    def _build(
        self, python: str, source: Path, version: str | None, place: str
    ) -> tuple[Path, ...]:
        out = self._out / place / python
        return tuple(build(Order(python, out, self._kept / f"wheels-{python}", source, version)))
