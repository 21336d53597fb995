"""One thing that was found: where, what, and what would be right."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Level = Literal["error", "warning", "ok"]

#: code → exit code, for the errors that have one of their own (contract.md); others exit 1
_CONFIG, _KEY, _PORTAL, _OTHER = 78, 77, 75, 1


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is right, doubtful or wrong, in words for the person who mends it."""

    level: Level
    #: file and line, folder, dataset…
    where: str
    what: str
    #: what would be right, or what to do; empty when nothing is to be done
    right: str
    #: stable: ``config.*``, ``folder.*``, ``state.*``, ``key.*``, ``portal.*``, ``dataset.*``
    code: str

    def as_json(self) -> dict[str, str]:
        """The same, for ``--json``."""
        return {
            "level": self.level,
            "where": self.where,
            "what": self.what,
            "right": self.right,
            "code": self.code,
        }


def error(where: str, what: str, right: str, code: str) -> Finding:
    """Something that stops the service, or a part of it."""
    return Finding("error", where, what, right, code)


def warning(where: str, what: str, right: str, code: str) -> Finding:
    """Something that works, and should still be looked at."""
    return Finding("warning", where, what, right, code)


def fine(where: str, what: str, code: str) -> Finding:
    """Something that is right, and worth saying."""
    return Finding("ok", where, what, "", code)


def exit_code(findings: Iterable[Finding]) -> int:
    """0 when no error is among them, else the exit code of the one to mend first."""
    codes = {finding.code for finding in findings if finding.level == "error"}
    if any(code.startswith("config.") for code in codes):
        return _CONFIG
    if "key.refused" in codes:
        return _KEY
    if "portal.unreachable" in codes:
        return _PORTAL
    return _OTHER if codes else 0
