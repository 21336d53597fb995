"""Packs configuration, versions, status and recent events in one archive, all of it redacted.

A zip, because whoever receives it may sit at any desk. Every text goes through one gate before it
is packed: the secrets this process knows, whatever has a key's shape, passwords inside addresses,
and settings whose name says that they are secret.
"""

from __future__ import annotations

import os
import platform
import re
import sqlite3
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from publisher_daemon import __version__
from publisher_daemon.errors import PublisherError
from publisher_daemon.log import redact

_IN_ADDRESS = re.compile(r"(\w[\w+.-]*://)[^\s/@\"']+@")
_BY_NAME = re.compile(
    r"""^(\s*["']?\w*(?:api_key|password|passwd|secret|token)["']?\s*[=:]\s*)(?!\[?\{?$)\S.*$""",
    re.IGNORECASE | re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Part:
    """One file of the archive, and the sentence that says what it is."""

    name: str
    about: str
    text: str


def clean(text: str) -> str:
    """The text as it may leave this machine."""
    text = _IN_ADDRESS.sub(r"\1[redacted]@", redact(text))
    return _BY_NAME.sub(r'\1"[redacted]"', text)


def write_bundle(path: Path, parts: Iterable[Part]) -> Path:
    """Write the archive, readable by its owner only; raises PublisherError."""
    kept = tuple(parts)
    about = "".join(f"{part.name}: {part.about}\n" for part in kept)
    readme = Part(
        "README.txt",
        "",
        f"Support archive of publisher-daemon {__version__}.\nThe API key and other secrets were "
        f"taken out; file names and paths were not. Look through it before you send it.\n\n{about}",
    )
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with (
            os.fdopen(descriptor, "wb") as out,
            zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive,
        ):
            for part in (readme, *kept):
                archive.writestr(part.name, clean(part.text).encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise PublisherError(
            f"The archive {path} cannot be written: {error.strerror}.",
            hint="Name another place: `publisher-daemon support --bundle FILE`.",
        ) from error
    return path


def versions() -> dict[str, object]:
    """What runs here."""
    needed = metadata.requires("publisher-daemon") or ()
    names = sorted({re.split(r"[^\w.-]", one, maxsplit=1)[0] for one in needed})
    return {
        "publisher-daemon": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "sqlite": sqlite3.sqlite_version,
        "packages": {name: _version(name) for name in names},
    }


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
