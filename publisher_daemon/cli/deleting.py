"""``delete``: a dataset or a resource, for good, by a person who types its title back.

Nothing else in this program deletes a dataset, and only ``when_deleted = "withdraw"`` a resource.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import nullcontext
from dataclasses import dataclass
from uuid import UUID

import structlog

from publisher_daemon import daemon, status
from publisher_daemon.cli.looking import resource_id
from publisher_daemon.cli.opening import settings_of
from publisher_daemon.cli.showing import print_json, say
from publisher_daemon.config import Settings
from publisher_daemon.errors import LedgerBusy, NotThere, OutcomeUnknown, PublisherError
from publisher_daemon.ledger import Ledger
from publisher_daemon.model import DatasetId, RemoteDataset, ResourceId, ResourceKey
from publisher_daemon.portal import Portal

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Target:
    """What is to go."""

    dataset: RemoteDataset
    title: str
    resource: ResourceId | None = None


def do_delete(arguments: argparse.Namespace) -> int:
    """Delete what the id names, once its title is typed back."""
    settings = settings_of(arguments)
    portal = daemon.open_portal(settings, "publisher-daemon delete")
    target = _target(portal, arguments.id)
    rights = target.dataset.raw.get("permissions")
    right = "edit_resources" if target.resource else "delete"
    if isinstance(rights, dict) and rights.get(right) is False:
        raise PublisherError(
            f"The API key may not delete “{target.title}”.",
            hint="Ask an administrator of its organization.",
        )
    _insist(target, arguments.title)
    ledger = Ledger(settings.daemon.state_dir)
    try:
        _delete(settings, portal, ledger, target)
    finally:
        ledger.close()
    gone = {"dataset": target.dataset.id, "resource_id": target.resource, "title": target.title}
    if arguments.json:
        print_json({"deleted": gone})
    elif target.resource:
        say(f"“{target.title}” is deleted. A file still in its folder is held; `status` says it.")
    else:
        say(f"“{target.title}” is deleted: nobody sees it any more, and the portal purges it soon.")
    return 0


def _target(portal: Portal, text: str) -> _Target:
    wanted = resource_id(text)
    try:
        UUID(wanted)
    except ValueError:
        found = portal.resolve(wanted)
        if found.deleted:
            raise NotThere(f"The dataset “{found.title}” is deleted already.") from None
        return _Target(found, found.title)
    dataset, resource = portal.find_resource(wanted)
    return _Target(portal.dataset(dataset), resource.title, resource.id)


def _insist(target: _Target, typed: str | None) -> None:
    """Raise unless the title was typed, exactly."""
    if typed is None and sys.stdin.isatty():
        what = "resource" if target.resource else "dataset and all its resources"
        say(f"This deletes the {what} “{target.title}”, on {target.dataset.page}.")
        say("It cannot be taken back. Type its title to go on:")
        typed = sys.stdin.readline().strip()
    if typed is None or typed.strip() != target.title.strip():
        raise PublisherError(
            "Nothing was deleted: the title was not typed as it is.",
            hint=f"It is “{target.title}”. Type it when asked, or give it with --title.",
        )


def _delete(settings: Settings, portal: Portal, ledger: Ledger, target: _Target) -> None:
    dataset = target.dataset.id
    pins = status.pins(settings, ledger)
    ours = {pins.get(name, DatasetId(name)) for name in settings.datasets_named()}
    try:
        # one writer a dataset: a running service has the lock
        with ledger.lock() if dataset in ours else nullcontext():
            _request(portal, target)
    except LedgerBusy as error:
        raise LedgerBusy(
            "The running service writes to this dataset, so nothing was deleted.",
            hint="Stop the service, or take the dataset out of its configuration; then delete.",
        ) from error
    event = "resource.deleted" if target.resource else "dataset.deleted"
    detail = {"title": target.title, "resource": target.resource, "why": "a person said so"}
    ledger.note(ResourceKey(dataset, "", ""), event, now=daemon.now(), detail=detail)
    if target.resource:
        log.warning("resource.deleted", dataset=dataset, resource_id=target.resource)
    else:
        log.warning("dataset.deleted", dataset=dataset, title=target.title)


def _request(portal: Portal, target: _Target) -> None:
    try:
        if target.resource is None:
            portal.delete_dataset(target.dataset.id)
        else:
            portal.withdraw(target.dataset.id, target.resource)
    except OutcomeUnknown as error:
        raise OutcomeUnknown(
            f"Whether “{target.title}” was deleted is not known: {error.message}",
            hint="Run the command again: it looks before it asks.",
            exchange=error.exchange,
        ) from error
