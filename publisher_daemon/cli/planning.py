"""``plan``: what a pass would do, in words; nothing is done."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import assert_never

from publisher_daemon import daemon
from publisher_daemon.catalogue import MetadataPlan
from publisher_daemon.cli.opening import settings_of
from publisher_daemon.cli.refreshing import sentences
from publisher_daemon.cli.showing import in_words, print_json, say, written
from publisher_daemon.errors import PortalRefused
from publisher_daemon.ledger import Ledger
from publisher_daemon.model import (
    Abandon,
    Action,
    Adopt,
    DatasetId,
    Describe,
    Forget,
    Identify,
    Keep,
    RemoteDataset,
    RemotePage,
    Rename,
    Replace,
    State,
    Upload,
    Withdraw,
)
from publisher_daemon.plan import action_key
from publisher_daemon.profile import Finding
from publisher_daemon.reconcile import Preview
from publisher_daemon.reconcile.creating import NewDataset
from publisher_daemon.status import readable_path


def do_plan(arguments: argparse.Namespace) -> int:
    """Print every change a pass would make, and why; 1 when something is held."""
    settings = settings_of(arguments, level="warning")
    ledger = Ledger(settings.daemon.state_dir, read_only=True)
    try:
        office = daemon.build(settings, ledger, reason="publisher-daemon plan", pin=False)
        office.vocabulary.refresh(keep=False)
        previews, pages = _looked(office)
    finally:
        ledger.close()
    if arguments.json:
        print_json(
            {
                "datasets": [_document(preview) for preview in previews],
                "create": [_new(new) for new in office.unmade],
                "metadata": [_page(current, wanted) for current, wanted in pages],
            }
        )
    else:
        for new in office.unmade:
            _show_new(new)
        for preview in previews:
            _show(preview)
        for current, wanted in pages:
            _show_page(current, wanted)
    held = any(
        preview.trouble or any(hold.state is not State.IGNORED for hold in preview.holds)
        for preview in previews
    )
    held = held or any(wanted.held for _, wanted in pages)
    held = held or any(preview.clashes or preview.unsaid for preview in previews)
    return 1 if held else 0


def _looked(
    office: daemon.Office,
) -> tuple[list[Preview], list[tuple[RemoteDataset | RemotePage, MetadataPlan]]]:
    """What is to be done of each; one that the portal refuses does not hide the others."""
    unmade = {new.name for new in office.unmade}
    refused: dict[DatasetId, str] = {}
    previews: list[Preview] = []
    pages: list[tuple[RemoteDataset | RemotePage, MetadataPlan]] = [
        (RemotePage(new.name, new.title, ""), office.refreshes.look_new(new))
        for new in office.unmade
    ]
    for dataset in office.datasets:
        if dataset not in unmade:
            with _refusal(refused, dataset):
                previews.append(office.reconciler.preview(dataset))
    for lane in office.refreshes.lanes:
        if lane not in unmade and lane not in refused:
            with _refusal(refused, lane):
                pages.append(office.refreshes.look(lane))
    previews += [Preview(lane, "", trouble=why) for lane, why in refused.items()]
    return previews, pages


@contextmanager
def _refusal(refused: dict[DatasetId, str], lane: DatasetId) -> Iterator[None]:
    try:
        yield
    except PortalRefused as error:
        refused[lane] = error.sentence


def _new(new: NewDataset) -> dict[str, object]:
    return {
        "name": new.name,
        "title": new.title,
        "organization": new.organization,
        "private": new.private,
        "calls": [_CREATE],
    }


_CREATE = "POST /api/1/datasets/"


def _show_new(new: NewDataset) -> None:
    owner = f"the organization {new.organization}" if new.organization else "the key's own account"
    seen = "private" if new.private else "PUBLIC"
    say(f"{new.title} ({new.name})")
    say(f"  create    a {seen} dataset, on behalf of {owner}; its files and its words come after")
    say(f"      {_CREATE}")


def _page(current: RemoteDataset | RemotePage, wanted: MetadataPlan) -> dict[str, object]:
    return {
        "dataset": current.id,
        "changes": {
            change.field: {"before": change.before, "after": change.after}
            for change in wanted.changes
        },
        "drifts": [drift.field for drift in wanted.drifts],
        "held": [{"field": held.field, "why": held.why} for held in wanted.held],
        "publishes": wanted.publishes,
    }


def _show_page(current: RemoteDataset | RemotePage, wanted: MetadataPlan) -> None:
    say(f"Metadata of {current.title} ({current.id})")
    if wanted.publishes:
        say("  ! this makes a PRIVATE dataset PUBLIC, as `private = false` says")
    for change in wanted.changes:
        say(f"  {change.field}: {written(change.before)} → {written(change.after)}")
    for line in sentences(wanted.drifts, wanted.held):
        say(line)
    if wanted.idle:
        say("  nothing to do: the page is as configured")


def _document(preview: Preview) -> dict[str, object]:
    return {
        "dataset": preview.dataset,
        "title": preview.title,
        "trouble": preview.trouble,
        "actions": [
            {
                "action": type(step).__name__.lower(),
                "path": readable_path(action_key(step).path),
                "folder": action_key(step).folder,
                "calls": calls(step),
                "why": why(step),
                "noticed": [finding.why for finding in noticed(step)],
            }
            for step in preview.steps
        ],
        "holds": [
            {"path": readable_path(hold.key.path), "code": hold.code, "why": hold.why}
            for hold in preview.holds
        ],
        "drifts": [
            {"path": readable_path(key.path), "field": field, "ours": ours, "theirs": theirs}
            for key, field, ours, theirs in preview.drifts
        ],
        "held_words": [
            {"path": readable_path(key.path), "field": field, "ours": ours, "theirs": theirs}
            for key, field, ours, theirs in preview.clashes
        ],
        "unsaid_words": [
            {"path": readable_path(key.path), "field": field, "ours": ours, "why": lacking}
            for key, field, ours, _, lacking in preview.unsaid
        ],
    }


def _show(preview: Preview) -> None:
    say(f"{preview.title or 'Dataset'} ({preview.dataset})")
    if preview.trouble:
        say(f"  ! {preview.trouble}")
    for step in preview.steps:
        say(f"  {in_words(type(step).__name__.lower()):<9} {readable_path(action_key(step).path)}")
        say(f"      {why(step)}")
        for finding in noticed(step):
            say(f"      ! {finding.why}")
        for call in calls(step):
            say(f"      {call}")
    for hold in preview.holds:
        mark = "ignored" if hold.state is State.IGNORED else "held"
        say(f"  {in_words(mark):<9} {readable_path(hold.key.path)}")
        say(f"      {hold.why}")
    for key, field, ours, theirs in preview.drifts:
        say(f"  drift     {readable_path(key.path)}: {field} is “{theirs}” on the portal, "
            f"“{ours}” here; theirs is kept")  # fmt: skip
    for key, field, ours, theirs in preview.clashes:
        say(f"  held      {readable_path(key.path)}: {field} is “{theirs}” on the portal, "
            f"“{ours}” here; both changed")  # fmt: skip
    for key, field, ours, _, lacking in preview.unsaid:
        say(f"  held      {readable_path(key.path)}: {field} is “{ours}” here: {lacking}")
    found = (preview.steps, preview.holds, preview.drifts, preview.clashes, preview.unsaid)
    if not (preview.trouble or any(found)):
        say("  nothing to do: the portal is as the folder")


def noticed(step: Action) -> tuple[Finding, ...]:
    """What a check noticed in what goes out all the same."""
    return step.noticed if isinstance(step, Upload | Replace) else ()


def calls(step: Action) -> tuple[str, ...]:
    """The requests that would change the portal."""
    dataset = action_key(step).dataset
    match step:
        case Upload():
            return (
                f"POST /api/1/datasets/{dataset}/upload/ ({step.file.fingerprint.size} bytes)",
                f"PUT /api/1/datasets/{dataset}/resources/<new>/ (title “{step.file.words.title}”)",
            )
        case Replace():
            where = f"/api/1/datasets/{dataset}/resources/{step.resource}/"
            return (
                f"POST {where}upload/ ({step.file.fingerprint.size} bytes)",
                f"PUT {where} (title “{step.title}”)",
            )
        case Describe():
            where = f"datasets/{dataset}/resources/{step.resource}/"
            words = replace(step.words, extras=()).said()
            said = ", ".join(f"{name} “{value}”" for name, value in words.items())
            extras = ", ".join(f"{name}: {value}" for name, value in step.words.extras)
            return (
                *([f"PUT /api/1/{where} ({said})"] if said or step.identity else []),
                *([f"PUT /api/2/{where}extras/ ({extras})"] if extras else []),
            )
        case Identify():
            return (f"PUT /api/2/datasets/{dataset}/resources/{step.resource}/extras/",)
        case Withdraw():
            return (f"DELETE /api/1/datasets/{dataset}/resources/{step.resource}/",)
        case Adopt() | Rename() | Abandon() | Forget() | Keep():
            return ()
        case _:
            assert_never(step)


def why(step: Action) -> str:  # noqa: C901 - one case an action
    """The reason of a step, in a sentence."""
    match step:
        case Upload():
            return "The file is new: a resource is created."
        case Replace():
            return f"The file changed: the resource {step.resource} gets its bytes, keeps its link."
        case Describe():
            return "The words are brought in step."
        case Identify():
            return "The resource is marked as this file's, so that losing the state loses nothing."
        case Withdraw():
            if step.left:
                return "Newer files of the series took its place, and its resource goes."
            return "The file is gone, and the folder says that its resource goes too."
        case Adopt():
            return f"Nothing is sent: {step.why} ({step.entry.resource})."
        case Rename():
            return f"Nothing is sent: it was “{readable_path(step.old.path)}”, the same resource."
        case Abandon() | Forget():
            return f"Nothing is sent: {step.why}."
        case Keep():
            if step.left:
                return "Newer files of the series took its place; its resource goes if it stays so."
            return "The file is gone; its resource stays on the portal."
        case _:
            assert_never(step)
