"""``status``, ``history`` and ``explain``: they read, and change nothing."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence

from publisher_daemon import daemon, status
from publisher_daemon.cli.opening import key_of, settings_of
from publisher_daemon.cli.service import pages_of, views_of
from publisher_daemon.cli.showing import (
    in_words,
    print_json,
    say,
    show_datasets,
    show_file,
    show_pages,
    table,
)
from publisher_daemon.config import Settings
from publisher_daemon.dividing import division, mib
from publisher_daemon.errors import PortalError
from publisher_daemon.ledger import HistoryRow, Ledger
from publisher_daemon.model import ResourceId, ResourceKey, State
from publisher_daemon.status import DatasetView, FileView, instant, readable_path
from publisher_daemon.versions import Versions


def do_status(arguments: argparse.Namespace) -> int:
    """Say where every file stands; 1 when something failed or is held."""
    settings = settings_of(arguments, level="warning")
    if not settings.pages:
        settings.require_folders()
    views, pages = views_of(settings), pages_of(settings)
    remote = _remote(settings, views) if arguments.remote else {}
    if arguments.json:
        documents = [view.as_json() for view in views]
        for document, view in zip(documents, views, strict=True):
            if arguments.remote:
                document["remote"] = remote.get(view.dataset)
        print_json({"datasets": documents, "pages": pages, "summary": status.summary(views)})
    else:
        show_datasets(views, ignored=True)
        show_pages(pages)
        for dataset, found in remote.items():
            _show_remote(dataset, found)
    well = all(view.well for view in views)
    return 0 if well and not any(map(status.page_trouble, pages)) else 1


def _remote(settings: Settings, views: Iterable[DatasetView]) -> dict[str, dict[str, object]]:
    """What the portal holds for each dataset, read and downloaded to be sure."""
    portal = daemon.open_portal(settings, "publisher-daemon status --remote")
    found: dict[str, dict[str, object]] = {}
    for view in views:
        dataset = portal.dataset(view.dataset)
        owned = {file.resource: file for file in view.files if file.resource}
        resources: list[dict[str, object]] = []
        for resource in portal.resources(view.dataset).values():
            file = owned.get(resource.id)
            served: str | None = None
            problem: str | None = None
            if file is not None:
                try:
                    served = portal.fetch_sha1(resource)
                except PortalError as error:
                    problem = error.message
            resources.append(
                {
                    "resource_id": resource.id,
                    "title": resource.title,
                    "sha1": resource.sha1,
                    "size": resource.size,
                    "url": resource.permalink,
                    "path": readable_path(file.key.path) if file else None,
                    "served_sha1": served,
                    "same_as_published": None if file is None else served == file.sha1,
                    "problem": problem,
                }
            )
        found[view.dataset] = {
            "title": dataset.title,
            "page": dataset.page,
            "private": dataset.private,
            "can_edit_resources": dataset.can_edit_resources,
            "resources": resources,
        }
    return found


def _show_remote(dataset: str, found: dict[str, object]) -> None:
    say(f"On the portal: {found['title']} ({dataset})")
    resources = found["resources"]
    for resource in resources if isinstance(resources, list) else []:
        verdict = {True: "serves these bytes", False: "serves OTHER bytes", None: "not ours"}
        same = verdict[resource["same_as_published"]]
        say(f"  {resource['resource_id']}  {resource['title']}: {resource['problem'] or same}")


def do_history(arguments: argparse.Namespace) -> int:
    """Print what was done, newest last."""
    settings = settings_of(arguments, level="warning")
    ledger = Ledger(settings.daemon.state_dir, read_only=True)
    try:
        key = None
        if arguments.path:
            watches = settings.watches(status.pins(settings, ledger))
            known = ledger.remembered()
            key = key_of(arguments.path, watches, known)
        rows = list(
            ledger.history(
                dataset=key.dataset if key else None,
                path=key.path if key else None,
                limit=arguments.limit,
            )
        )
    finally:
        ledger.close()
    rows.sort(key=lambda row: (row.at, row.id))
    versions = daemon.open_versions(settings)
    if arguments.json:
        print_json({"history": [_row(row, versions) for row in rows]})
    elif rows:
        table(
            (
                instant(row.at) or "",
                row.action,
                readable_path(row.key.path) or row.key.dataset,
                (row.sha1 or "")[:12],
                "" if row.size is None else f"{row.size} B",
                row.resource or "",
                in_words("kept") if row.sha1 and versions.has(row.sha1) else "",
            )
            for row in rows
        )
    else:
        say("Nothing was published yet.")
    return 0


def _row(row: HistoryRow, versions: Versions) -> dict[str, object]:
    return {
        "at": instant(row.at),
        "dataset": row.key.dataset,
        "folder": row.key.folder,
        "path": readable_path(row.key.path),
        "action": row.action,
        "resource_id": row.resource,
        "sha1": row.sha1,
        "size": row.size,
        "http_status": row.http_status,
        "sentry_id": row.sentry_id,
        "trace_id": row.trace_id,
        "detail": row.detail,
        "kept": bool(row.sha1 and versions.has(row.sha1)),
    }


def do_explain(arguments: argparse.Namespace) -> int:
    """Say why one file is or is not published, and what would change it."""
    settings = settings_of(arguments, level="warning")
    settings.require_folders()
    views = {file.key: (view, file) for view in views_of(settings) for file in view.files}
    ledger = Ledger(settings.daemon.state_dir, read_only=True)
    try:
        watches = settings.watches(status.pins(settings, ledger))
        key = key_of(arguments.path, watches, views)
        rows = list(ledger.history(dataset=key.dataset, path=key.path, limit=5))
        view, file = views[key] if key in views else (None, FileView(key, State.IGNORED))
        words = _explanation(key, file, view) + _manner(settings, ledger, file, rows)
    finally:
        ledger.close()
    if arguments.json:
        versions = daemon.open_versions(settings)
        print_json({**file.as_json(), "dataset": key.dataset, "explanation": words,
                    "history": [_row(row, versions) for row in rows]})  # fmt: skip
    else:
        show_file(file)
        for sentence in words:
            say(f"  {sentence}")
        for row in rows:
            say(f"    {instant(row.at)}  {row.action}")
    return 1 if str(file.state) in {"held", "failed"} else 0


ONCE_OVER = "Once that is over, it goes by itself."


def _explanation(key: ResourceKey, file: FileView, view: DatasetView | None) -> list[str]:
    """What is so, and what would change it."""
    where = f"the dataset “{view.title}” ({key.dataset})" if view and view.title else key.dataset
    said = {
        "published": [
            f"It is a resource of {where}; its bytes on the portal are those of the file.",
            "Change the file and the same resource is replaced; its link stays.",
        ],
        "pending": ["It will be published by itself; nothing needs to be done."],
        "kept": ["Put the file back to go on with the same resource, or delete it on the portal."],
        "withdrawn": ["Put the file back to publish it again, as a new resource."],
        "ignored": ["It is not published. Rename it, or change `include`, `exclude` or the rules."],
        "held": ["When that is done, `publisher-daemon retry PATH` looks at it again at once."],
        "failed": ["It is tried again when the file or the settings change, or with `retry`."],
    }  # fmt: skip
    sentences = said[str(file.state)]
    if str(file.state) == "held" and file.retry_at:
        sentences = [
            "Nothing needs to be done: `publisher-daemon retry PATH` only looks at it sooner."
        ]
    if file.code == "waits_for_marker":
        sentences = ["Write that marker once the file is complete: it is then published at once."]
    if view is not None and view.trouble:
        # what the file itself would wait for says nothing while its dataset waits
        after = [ONCE_OVER] if str(file.state) == "pending" else sentences
        sentences = [f"The whole dataset waits: {view.trouble}", *after]
    return sentences


def _manner(
    settings: Settings, ledger: Ledger, file: FileView, rows: Sequence[HistoryRow]
) -> list[str]:
    """How its bytes go up, or went."""
    parcel = ledger.parcel(file.key)
    if parcel is not None:
        sent, total, size = parcel.sent, parcel.total, mib(parcel.part_size)
        return [f"It goes up in parts of {size}; {sent} of {total} went.", parcel.why]
    last = next((row.detail for row in rows if row.sha1 == file.sha1 and "parts" in row.detail), {})
    if file.state is State.PUBLISHED and last:
        return [f"It went up in {last['parts']} parts.", str(last["why"])]
    if file.code == "waits_for_marker":
        return []
    if file.state is State.PENDING and file.size is not None:
        policy = settings.policy({})
        found = division(file.size, ledger.line(), policy, daemon.now())
        if found is None:
            return ["It will go up in one request."]
        return [f"It will go up in parts of {mib(found.size)}.", found.why]
    return []


def resource_id(text: str) -> ResourceId:
    """A resource's id as a person gives it: the id, or a link that ends with it."""
    return ResourceId(text.rstrip("/").rpartition("/")[2])
