"""``refresh``: the scheduled metadata refresh, now; here, or in the running service."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

from publisher_daemon import daemon, status
from publisher_daemon.catalogue import Change, Held
from publisher_daemon.cli.opening import settings_of
from publisher_daemon.cli.showing import print_json, say, written
from publisher_daemon.config import Settings
from publisher_daemon.errors import LedgerBusy, PublisherError
from publisher_daemon.ledger import Ledger
from publisher_daemon.model import DatasetId
from publisher_daemon.reconcile.metadata import Refreshed
from publisher_daemon.refresh import lanes_of


def do_refresh(arguments: argparse.Namespace) -> int:
    """Refresh one dataset, or all that have a [[datasets]] section."""
    settings = settings_of(arguments)
    if not settings.pages:
        raise PublisherError(
            "The configuration has no [[datasets]] section, so no metadata to keep in step.",
            hint="`publisher-daemon import DATASET` prints one that matches a dataset as it is.",
        )
    try:
        done = daemon.refresh_now(settings, lambda known: _chosen(arguments.dataset, known))
    except LedgerBusy:
        return _ask(arguments, settings)
    if arguments.json:
        print_json({"datasets": [_document(one) for one in done]})
    else:
        for one in done:
            _show(one)
    return 1 if any(one.trouble or one.held for one in done) else 0


def _chosen(wanted: str | None, known: dict[str, DatasetId]) -> tuple[DatasetId, ...]:
    if wanted is None:
        return tuple(dict.fromkeys(known.values()))
    found = known.get(wanted)
    if found is None:
        raise PublisherError(
            f"“{wanted}” is in no [[datasets]] section.",
            hint=f"The configuration has: {', '.join(known)}.",
        )
    return (found,)


def _ask(arguments: argparse.Namespace, settings: Settings) -> int:
    ledger = Ledger(settings.daemon.state_dir)
    try:
        pins = status.pins(settings, ledger)
        known = {each.name: lane for lane, each in lanes_of(settings, pins).items()}
        for dataset in _chosen(arguments.dataset, known):
            ledger.ask("refresh", dataset, None, None)
    finally:
        ledger.close()
    if arguments.json:
        print_json({"asked": True})
    else:
        say("Asked of the running service; `publisher-daemon status` tells how it went.")
    return 0


def _document(one: Refreshed) -> dict[str, object]:
    return {
        "dataset": one.dataset,
        "title": one.title,
        "changed": {
            change.field: {"before": change.before, "after": change.after} for change in one.changes
        },
        "drifts": [
            {"field": drift.field, "ours": drift.before, "theirs": drift.after}
            for drift in one.drifts
        ],
        "held": [
            {"field": held.field, "ours": held.ours, "theirs": held.theirs, "why": held.why}
            for held in one.held
        ],
        "file_problems": [
            {"title": title, "url": url, "why": why} for title, url, why in one.problems
        ],
        "trouble": one.trouble,
    }


def _show(one: Refreshed) -> None:
    say(f"{one.title or 'Dataset'} ({one.dataset})")
    for change in one.changes:
        say(f"  {change.field}: {written(change.before)} → {written(change.after)}")
    for line in sentences(one.drifts, one.held):
        say(line)
    for title, _, why in one.problems:
        say(f"  ! {title}: {why}")
    if one.trouble:
        say(f"  ! {one.trouble}")
    if not (one.changes or one.drifts or one.held or one.trouble):
        say("  nothing to do: the page is as configured")


def sentences(drifts: Sequence[Change], held: Sequence[Held]) -> Iterator[str]:
    """What a colleague wrote and is kept, and what waits for a person."""
    for drift in drifts:
        yield (
            f"  {drift.field}: a colleague wrote {written(drift.after)} on the portal; kept. The "
            f"configuration says {written(drift.before)}."
        )
    for one in held:
        yield (
            f"  ! {one.field} is held: {one.why} Configured: {written(one.ours)}; on the portal: "
            f"{written(one.theirs)}."
        )
