"""``support``: the report the portal's support asks for, redacted, ready to send."""

from __future__ import annotations

import argparse

from publisher_daemon import support
from publisher_daemon.cli.opening import settings_of
from publisher_daemon.cli.showing import print_json, say
from publisher_daemon.errors import PublisherError
from publisher_daemon.ledger import Ledger
from publisher_daemon.status import instant


def do_support(arguments: argparse.Namespace) -> int:
    """Print the report about the newest error, or about the one that is named."""
    settings = settings_of(arguments, level="warning")
    if arguments.bundle is not None:
        raise PublisherError(
            "This version makes no archive yet.",
            hint="`publisher-daemon support` prints the report; `status --json` and "
            "`history --json` give the rest.",
        )
    ledger = Ledger(settings.daemon.state_dir, read_only=True)
    try:
        row = support.find(ledger.history(limit=100_000), arguments.id)
    finally:
        ledger.close()
    if row is None:
        what = f"No error is remembered under “{arguments.id}”." if arguments.id else None
        raise PublisherError(
            what or "No error of the portal is remembered: there is nothing to report.",
            hint="`publisher-daemon history` lists what was done, and what failed.",
        )
    text = support.report(row, at=instant(row.at) or "", language=settings.daemon.language)
    if arguments.json:
        print_json({"id": row.id, "sentry_id": row.sentry_id, "trace_id": row.trace_id,
                    "report": text, "exchange": row.detail.get("exchange")})  # fmt: skip
    else:
        say(text)
    return 0
