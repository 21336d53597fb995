"""The Table Schemas that files are to follow: from a file, or the portal's catalogue, kept on disk.

Only what the configuration names is asked for, once a day; what was read once is there when the
portal or the schema's own site is away.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from publisher_daemon.errors import PortalError
from publisher_daemon.model import Rule
from publisher_daemon.tableschema import TableSchema, parsed

#: Seconds after which a schema is read again, and after which one that failed is tried again.
AGE = 86400.0
PATIENCE = 600.0


class Catalogue(Protocol):
    """Where schemas are published."""

    def table_schemas(self) -> Mapping[str, str]:
        """The address of each Table Schema of the portal's catalogue, by name."""

    def document(self, url: str) -> bytes:
        """What is at a public address."""


class Schemas:
    """Gives the schema of a rule; safe for several threads."""

    def __init__(
        self, portal: Catalogue, directory: Path, clock: Callable[[], float], *, keep: bool
    ) -> None:
        self._portal = portal
        self._directory = directory
        self._clock = clock
        self._keep = keep
        self._lock = threading.Lock()
        #: what was found for a name, and until when that counts
        self._found: dict[str, tuple[float, TableSchema | str | None]] = {}

    def of(self, rule: Rule) -> TableSchema | str | None:
        """The schema that its files are to follow; why it cannot be had; None when there is none.

        Waits for the portal, as long as a silent one takes.
        """
        if rule.table_schema is not None:
            return _local(Path(rule.table_schema))
        name = rule.words.schema
        if name is None:
            return None
        with self._lock:
            until, found = self._found.get(name, (0.0, None))
            if self._clock() < until:
                return found
            found, until = self._read(name)
            self._found[name] = until, found
            return found

    def _read(self, name: str) -> tuple[TableSchema | str | None, float]:
        now = self._clock()
        path = self._directory / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.json"
        kept, kept_at = _kept(path)
        if kept is not None and now - AGE < kept_at <= now:
            return _schema(name, kept), kept_at + AGE
        try:
            fresh = self._ask(name)
        except PortalError as error:
            if kept is None:
                return error.message, now + PATIENCE
            return _schema(name, kept), now + PATIENCE
        if self._keep:
            # the state directory says itself when it is full or read-only
            with suppress(OSError):
                self._directory.mkdir(exist_ok=True)
                part = path.with_suffix(".part")
                part.write_bytes(json.dumps({"name": name, "schema": fresh}).encode())
                part.replace(path)
        return _schema(name, fresh), now + AGE

    def _ask(self, name: str) -> str | None:
        """The schema's text; None when it is of another kind, which is not for tables."""
        url = name if "://" in name else self._portal.table_schemas().get(name)
        if url is None:
            return None
        return self._portal.document(url).decode("utf-8", "replace")


def _schema(name: str, text: str | None) -> TableSchema | str | None:
    if text is None:
        return None
    try:
        return parsed(name, text)
    except ValueError as error:
        # an address may lead to a schema of any kind; one of the catalogue is said to be for tables
        return None if "://" in name else str(error)


def _local(path: Path) -> TableSchema | str:
    try:
        return parsed(path.name, path.read_bytes())
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    except ValueError as error:
        return f"{path}: {error}"


def _kept(path: Path) -> tuple[str | None, float]:
    """What was kept of it, and when; never raises."""
    try:
        document = json.loads(path.read_bytes())
        return document["schema"] or None, path.stat().st_mtime
    except (OSError, ValueError, KeyError, TypeError):
        return None, 0.0
