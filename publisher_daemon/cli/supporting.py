"""``support``: the report the portal's support asks for, and an archive of everything else."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path

from publisher_daemon import daemon, status, support
from publisher_daemon.cli.opening import settings_of
from publisher_daemon.cli.service import views_of
from publisher_daemon.cli.showing import language, print_json, print_text, say
from publisher_daemon.config import Settings
from publisher_daemon.errors import PublisherError
from publisher_daemon.ledger import HistoryRow, Ledger
from publisher_daemon.log import Recent
from publisher_daemon.status import instant

#: How many rows of the history, and reports on errors, go into the archive.
ROWS, REPORTS = 500, 10


def do_support(arguments: argparse.Namespace) -> int:
    """Print the report about the newest error, or about the one that is named; or pack them all."""
    settings = settings_of(arguments, level="warning")
    ledger = Ledger(settings.daemon.state_dir, read_only=True)
    try:
        rows = ledger.history(limit=100_000)
    finally:
        ledger.close()
    if arguments.bundle is not None:
        return _pack(arguments, settings, rows)
    row = support.find(rows, arguments.id)
    if row is None:
        what = f"No error is remembered under “{arguments.id}”." if arguments.id else None
        raise PublisherError(
            what or "No error of the portal is remembered: there is nothing to report.",
            hint="`publisher-daemon history` lists what was done, and what failed.",
        )
    text = support.report(row, at=instant(row.at) or "", language=language())
    if arguments.json:
        print_json({"id": row.id, "sentry_id": row.sentry_id, "trace_id": row.trace_id,
                    "report": text, "exchange": row.detail.get("exchange")})  # fmt: skip
    else:
        print_text(text)
    return 0


def _pack(arguments: argparse.Namespace, settings: Settings, rows: list[HistoryRow]) -> int:
    """Write the archive and say where it is."""
    stamp = datetime.fromtimestamp(daemon.now(), UTC).strftime("%Y%m%d-%H%M%S")
    given: Path = arguments.bundle
    default = Path(f"publisher-daemon-support-{stamp}.zip")
    path = given / default if given == Path() or given.is_dir() else given
    written = support.write_bundle(path, _parts(settings, rows)).absolute()
    if arguments.json:
        print_json({"bundle": str(written)})
    else:
        say(f"Written: {written}")
        say("Keys and passwords were taken out; look through it before you send it.")
    return 0


def _parts(settings: Settings, rows: list[HistoryRow]) -> list[support.Part]:
    def document(name: str, about: str, value: object) -> support.Part:
        return support.Part(
            name, about, json.dumps(value, ensure_ascii=False, indent=1, default=str)
        )

    views = views_of(settings)
    written = settings.path.read_text(encoding="utf-8-sig") if settings.path else "(environment)"
    failed = [row for row in rows if "exchange" in row.detail][:REPORTS]
    return [
        support.Part("configuration.toml", "the configuration as it is written", written),
        document("settings.json", "with every default", settings.dumped()),
        document("versions.json", "what runs here", support.versions()),
        document(
            "status.json",
            "where every file stands",
            {"datasets": [view.as_json() for view in views], "summary": status.summary(views)},
        ),
        document(
            "history.json",
            f"the last {ROWS} things that were done",
            [
                {
                    "at": instant(row.at),
                    "dataset": row.key.dataset,
                    "folder": row.key.folder,
                    "path": status.readable_path(row.key.path),
                    "action": row.action,
                    "resource_id": row.resource,
                    "sha1": row.sha1,
                    "size": row.size,
                    "detail": row.detail,
                }
                for row in rows[:ROWS]
            ],
        ),
        support.Part(
            "events.jsonl", "the last log lines", Recent(settings.daemon.state_dir).text()
        ),
        *(
            support.Part(
                f"reports/{row.id}.txt",
                "a report for the portal's support",
                support.report(row, at=instant(row.at) or "", language=language()),
            )
            for row in failed
        ),
    ]
