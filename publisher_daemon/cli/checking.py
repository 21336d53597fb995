"""``check``: everything that would stop the service, worst first, and what would be right."""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Sequence

from publisher_daemon import check
from publisher_daemon.check import Finding
from publisher_daemon.cli.opening import settings_of
from publisher_daemon.cli.showing import in_words, print_json, say, speaking
from publisher_daemon.errors import ConfigInvalid
from publisher_daemon.log import single_line

_HEADINGS = {"error": "✗", "warning": "!", "ok": "✓"}
#: Where a remark ends and its remedy begins, in either language.
_REMEDY = re.compile(r"(?<=[.?]) (?=[A-ZÀÉÈÊÎÔ])")


def do_check(arguments: argparse.Namespace) -> int:
    """Print every finding; the exit code is that of the first one to mend."""
    try:
        # warnings of the configuration are findings: they need not be logged too
        settings = settings_of(arguments, level="error")
    except ConfigInvalid as error:
        findings = check.of_configuration(error)
    else:
        findings = check.examine(settings, clock=time.time)
    code = check.exit_code(findings)
    if arguments.json:
        print_json(
            {
                "ok": code == 0,
                "exit_code": code,
                "findings": [finding.as_json() for finding in _worst_first(findings)],
            }
        )
    else:
        _show(findings)
    return code


def _worst_first(findings: Sequence[Finding]) -> list[Finding]:
    order = list(_HEADINGS)
    return sorted(findings, key=lambda finding: order.index(finding.level))


def _show(findings: Sequence[Finding]) -> None:
    for level, mark in _HEADINGS.items():
        group = [finding for finding in findings if finding.level == level]
        if not group:
            continue
        say(_heading(len(group), level))
        for finding in group:
            what, right = _said(finding)
            if level == "ok":
                say(f"  {mark} {what}")
                continue
            say(f"  {mark} {in_words(finding.where)}")
            say(f"      {what}")
            if right:
                say(f"      → {right}")
        say()
    say(_verdict(findings))


def _verdict(findings: Sequence[Finding]) -> str:
    errors, warnings = (
        sum(finding.level == level for finding in findings) for level in ("error", "warning")
    )
    words = speaking()
    look = words.count(
        "then look at the {count} warning", "then look at the {count} warnings", warnings
    )
    if errors:
        mend = words.count(
            "Not ready: {count} error to mend", "Not ready: {count} errors to mend", errors
        )
        return f"{mend}, {look}." if warnings else f"{mend}."
    if warnings:
        return words.count(
            "Ready, with {count} warning to look at.",
            "Ready, with {count} warnings to look at.",
            warnings,
        )
    return "Ready: nothing stops the service."


def _heading(count: int, level: str) -> str:
    words = speaking()
    if level == "error":
        return words.count("{count} error:", "{count} errors:", count)
    if level == "warning":
        return words.count("{count} warning:", "{count} warnings:", count)
    return words("Right:")


def _said(finding: Finding) -> tuple[str, str]:
    """What is wrong and what would be right, as this person reads them."""
    what, right = single_line(finding.what), single_line(finding.right)
    if finding.code.startswith("config."):
        # both were one sentence of the configuration, and are said as one
        what, *rest = _REMEDY.split(in_words(f"{what} {right}".strip()), maxsplit=1)
        return what, "".join(rest)
    return in_words(what), in_words(right)
