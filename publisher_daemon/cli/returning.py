"""``rollback``: publish an earlier version again, and keep it until the file changes."""

from __future__ import annotations

import argparse
import re
from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from publisher_daemon import daemon, status
from publisher_daemon.cli.asking import here_or_there
from publisher_daemon.cli.opening import key_of, settings_of
from publisher_daemon.cli.service import views_of
from publisher_daemon.errors import FileUnreadable, FolderUnreadable, PublisherError, SourceChanged
from publisher_daemon.folder import Folder
from publisher_daemon.ledger import HistoryRow, Ledger
from publisher_daemon.model import DatasetId, Fingerprint, ResourceKey, Rollback, Watch
from publisher_daemon.series import member
from publisher_daemon.status import instant

#: What put bytes on the portal, as the history calls it.
PUBLISHED = frozenset({"resource.created", "resource.replaced", "attempt.adopted"})


def do_rollback(arguments: argparse.Namespace) -> int:
    """Publish an earlier version again; the next pass does not undo it."""
    settings = settings_of(arguments)
    settings.require_folders()
    versions = daemon.open_versions(settings)
    with_key: list[ResourceKey] = []

    def mark(ledger: Ledger) -> tuple[DatasetId, ...]:
        watches = settings.watches(status.pins(settings, ledger))
        known = {file.key for view in views_of(settings) for file in view.files}
        known |= ledger.remembered()
        key = key_of(arguments.path, watches, known)
        entries = ledger.read(key.dataset).entries
        entry = entries.get(key)
        watch = next(
            each for each in watches if each.dataset == key.dataset and each.name == key.folder
        )
        _require_its_turn(watch, key, entries)
        rows = [
            row
            for row in ledger.history(dataset=key.dataset, limit=100_000)
            if row.action in PUBLISHED
            and row.sha1
            and (row.key == key or (entry is not None and row.resource == entry.resource))
        ]
        zone = ZoneInfo(settings.daemon.timezone)
        now = entry.fingerprint.sha1 if entry else None
        wanted = choose(rows, arguments.to, now, zone)
        if not versions.has(wanted.sha1):
            kept = [row for row in rows if row.sha1 and versions.has(row.sha1)]
            raise PublisherError(
                f"The version {wanted.sha1[:12]} is not kept on this machine any more.",
                hint="Kept: " + (", ".join(_said(row) for row in kept[:5]) or "none")
                + ". `keep_versions` and `versions_quota` say how long and how much is kept.",
            )  # fmt: skip
        ledger.roll_back(key, Rollback(wanted, _in_folder(watch, key)), now=daemon.now())
        ledger.force([key])
        with_key.append(key)
        return (key.dataset,)

    return here_or_there(arguments, settings, mark, with_key)


def _require_its_turn(watch: Watch, key: ResourceKey, entries: Collection[ResourceKey]) -> None:
    """Refuse an older file of a series that shows one file; raises PublisherError."""
    place = member(watch, key.path)
    if key in entries or place is None or watch.rules[place[0].rule].keep != "latest":
        return
    for other in entries:
        shown = member(watch, other.path) if other.folder == key.folder else None
        if shown is not None and shown[0] == place[0]:
            raise PublisherError(
                f"“{key.path}” is of a series that shows one file, which is “{other.path}” now.",
                hint=f"Go back there: `publisher-daemon rollback {other.path} --to previous` (or a "
                "date, or a sha1).",
            )


def choose(rows: Sequence[HistoryRow], when: str, now: str | None, zone: ZoneInfo) -> Fingerprint:
    """The version a person means, of those published (newest first); raises PublisherError."""
    if when == "previous":
        found = [row for row in rows if row.sha1 != now]
    elif re.fullmatch(r"[0-9a-f]{6,40}", when):
        found = [row for row in rows if row.sha1 and row.sha1.startswith(when)]
    else:
        until = _instant(when, zone)
        found = [row for row in rows if row.at <= until]
    same = {row.sha1 for row in found}
    if not found or (len(same) > 1 and re.fullmatch(r"[0-9a-f]{6,40}", when)):
        raise PublisherError(
            f"No version, or more than one, is meant by “{when}”.",
            hint="Say `previous`, a date like 2026-11-20 (what was there at its end), or the first "
            "digits of a sha1. Published: " + (", ".join(map(_said, rows[:8])) or "nothing") + ".",
        )
    return Fingerprint(found[0].sha1 or "", found[0].size or 0)


def _instant(when: str, zone: ZoneInfo) -> float:
    try:
        if len(when) <= 10:
            day = date.fromisoformat(when) + timedelta(days=1)
            return datetime.combine(day, time(), zone).timestamp()
        moment = datetime.fromisoformat(when)
    except ValueError:
        return float("-inf")
    moment = moment if moment.tzinfo else moment.replace(tzinfo=zone)
    # the whole second: that is how the history shows instants
    return moment.astimezone(UTC).timestamp() + 1.0


def _said(row: HistoryRow) -> str:
    return f"{instant(row.at)} {(row.sha1 or '')[:12]}"


def _in_folder(watch: Watch, key: ResourceKey) -> str | None:
    """The sha1 of the file in the folder, for which the version will stand; None: there is none."""
    folder = Folder(watch)
    try:
        for sighting in folder.scan([key.path]):
            if sighting.key == key:
                return folder.fingerprint(key.path, sighting.stamp).sha1
    except (SourceChanged, FileUnreadable, FolderUnreadable) as error:
        raise PublisherError(
            f"“{key.path}” cannot be read now, so it is not known what the version stands for.",
            hint="Wait until the file is still, and ask again.",
        ) from error
    return None
