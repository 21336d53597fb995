"""The settings: found, read and checked with pydantic, and had by the rooms as plain values.

pydantic is loaded where something is read, and by nothing else here: the service has it read in
another process (``load_apart``), and does without its 20 MiB.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from publisher_daemon.config._apart import load_apart
from publisher_daemon.config._file import find, place, said_language
from publisher_daemon.config._settings import Settings
from publisher_daemon.config._values import (
    AlertsSettings,
    DatasetSettings,
    FolderSettings,
    PageSettings,
    ReuseSettings,
)

__all__ = [
    "AlertsSettings",
    "DatasetSettings",
    "FolderSettings",
    "PageSettings",
    "ReuseSettings",
    "Settings",
    "find",
    "load",
    "load_apart",
    "place",
    "refusal",
    "said_language",
]


def load(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Read, merge and check everything; raises ConfigInvalid with every problem, one a line."""
    from publisher_daemon.config import _reading  # noqa: PLC0415 - brings pydantic

    return _reading.load(path, environ)


def refusal(section: str, values: Mapping[str, object]) -> str | None:
    """Why that section would not take these values, in our words; None: it takes them."""
    from publisher_daemon.config import _reading  # noqa: PLC0415 - brings pydantic

    return _reading.refusal(section, values)
