"""``check``: everything that would stop the service, worst first, and what would be right."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

from publisher_daemon import check
from publisher_daemon.check import Finding
from publisher_daemon.cli.opening import settings_of
from publisher_daemon.cli.showing import print_json, say
from publisher_daemon.errors import ConfigInvalid
from publisher_daemon.log import single_line

_HEADINGS = {"error": ("error", "✗"), "warning": ("warning", "!"), "ok": ("right", "✓")}


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
    for level, (name, mark) in _HEADINGS.items():
        group = [finding for finding in findings if finding.level == level]
        if not group:
            continue
        say(f"{_counted(len(group), name)}:" if level != "ok" else "Right:")
        for finding in group:
            if level == "ok":
                say(f"  {mark} {single_line(finding.what)}")
                continue
            say(f"  {mark} {finding.where}")
            say(f"      {single_line(finding.what)}")
            if finding.right:
                say(f"      → {single_line(finding.right)}")
        say()
    say(_verdict(findings))


def _verdict(findings: Sequence[Finding]) -> str:
    errors, warnings = (
        sum(finding.level == level for finding in findings) for level in ("error", "warning")
    )
    after = f" Then look at the {_counted(warnings, 'warning')}." if warnings else ""
    if errors:
        return f"Not ready: {_counted(errors, 'error')} to mend.{after}"
    if warnings:
        return f"Ready, with {_counted(warnings, 'warning')} to look at."
    return "Ready: nothing stops the service."


def _counted(number: int, one: str) -> str:
    return f"{number} {one}{'' if number == 1 else 's'}"
