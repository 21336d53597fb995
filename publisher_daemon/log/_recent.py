"""Keeps the last log lines in the state directory, for the support archive.

The journal may be gone, on another machine, or closed to the person who asks for help. Two files
that take turns: what is kept is never more than twice the limit, and never less than half of it.
"""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

NAME = "recent.jsonl"
LIMIT = 512 * 1024


class Recent:
    """The lines of this process, and of those before it."""

    def __init__(self, directory: Path, limit: int = LIMIT) -> None:
        self._path = directory / NAME
        self._older = directory / f"{NAME}.1"
        self._limit = limit
        self._lock = threading.Lock()

    def add(self, line: str) -> None:
        """Keep one line; a disk that does not take it is the ledger's to complain about."""
        with self._lock, contextlib.suppress(OSError):
            with contextlib.suppress(FileNotFoundError):
                if self._path.stat().st_size >= self._limit:
                    self._path.replace(self._older)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            out = os.open(self._path, flags, 0o600)
            try:
                os.write(out, line.encode() + b"\n")
            finally:
                os.close(out)

    def text(self) -> str:
        """What is kept, oldest first."""
        kept = ""
        for path in (self._older, self._path):
            with contextlib.suppress(OSError):
                kept += path.read_text(encoding="utf-8", errors="replace")
        return kept
