"""``retry``, ``adopt`` and ``release``: what a person decides about one file."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from publisher_daemon import daemon, status
from publisher_daemon.cli.looking import resource_id
from publisher_daemon.cli.opening import datasets_of, key_of, settings_of
from publisher_daemon.cli.service import views_of
from publisher_daemon.cli.showing import print_json, say, show_file
from publisher_daemon.config import Settings
from publisher_daemon.errors import LedgerBusy, NotThere, PublisherError, SourceChanged
from publisher_daemon.folder import Folder
from publisher_daemon.ledger import Ledger
from publisher_daemon.model import (
    DatasetId,
    Entry,
    Fingerprint,
    ResourceKey,
    Stamp,
    Standing,
    State,
    Watch,
)


def do_retry(arguments: argparse.Namespace) -> int:
    """Try again now, here or in the running service."""
    settings = settings_of(arguments)
    settings.require_folders()
    with_key: list[ResourceKey] = []

    def mark(ledger: Ledger) -> tuple[DatasetId, ...]:
        watches = settings.watches(status.pins(settings, ledger))
        if arguments.yes:
            for watch in watches:
                ledger.forget_presence(watch.dataset, watch.name)
        if not arguments.path:
            ledger.force(None, yes=arguments.yes)
            return datasets_of(watches)
        known = {file.key for view in views_of(settings) for file in view.files}
        key = key_of(arguments.path, watches, known)
        ledger.force([key], yes=arguments.yes)
        with_key.append(key)
        return (key.dataset,)

    return here_or_there(arguments, settings, mark, with_key, yes=arguments.yes)


def do_release(arguments: argparse.Namespace) -> int:
    """Let these very bytes through, in spite of the check that holds them."""
    settings = settings_of(arguments)
    settings.require_folders()
    with_key: list[ResourceKey] = []

    def mark(ledger: Ledger) -> tuple[DatasetId, ...]:
        watches = settings.watches(status.pins(settings, ledger))
        known = {file.key for view in views_of(settings) for file in view.files}
        key = key_of(arguments.path, watches, known)
        standing = ledger.read(key.dataset).standings.get(key)
        watch = next(
            each for each in watches if each.dataset == key.dataset and each.name == key.folder
        )
        if standing is not None and standing.code in CHECKS:
            _release(ledger, watch, standing)
        ledger.force([key])
        with_key.append(key)
        return (key.dataset,)

    return here_or_there(arguments, settings, mark, with_key)


#: What a person may let through once they have looked.
CHECKS = frozenset(
    {"check_held", "first_publication", "embargo", "quiet_hours", "large_file_hours"}
)


def _release(ledger: Ledger, watch: Watch, standing: Standing) -> None:
    """Let through the bytes that were held, and no others."""
    stamp = standing.stamp or Stamp(-1, 0, 0, 0)
    try:
        fingerprint = Folder(watch).fingerprint(standing.key.path, stamp)
    except SourceChanged as changed:
        raise PublisherError(
            f"“{standing.key.path}” is not the file that was held any more.",
            hint="It is looked at again by itself; see `publisher-daemon explain PATH`.",
        ) from changed
    ledger.release(standing.key, fingerprint, now=daemon.now())


def do_adopt(arguments: argparse.Namespace) -> int:
    """Remember that this file is that resource."""
    settings = settings_of(arguments)
    settings.require_folders()
    with_key: list[ResourceKey] = []

    def mark(ledger: Ledger) -> tuple[DatasetId, ...]:
        watches = settings.watches(status.pins(settings, ledger))
        known = {file.key for view in views_of(settings) for file in view.files}
        key = key_of(arguments.path, watches, known)
        _adopt(settings, ledger, key, arguments.resource, known)
        with_key.append(key)
        return (key.dataset,)

    return here_or_there(arguments, settings, mark, with_key)


def _adopt(
    settings: Settings, ledger: Ledger, key: ResourceKey, resource: str, present: set[ResourceKey]
) -> None:
    wanted = resource_id(resource)
    portal = daemon.open_portal(settings, "publisher-daemon adopt")
    try:
        found = portal.resource(key.dataset, wanted)
    except NotThere as error:
        raise NotThere(
            f"The dataset {key.dataset} has no resource {wanted}.",
            hint="Its page on the portal, or `publisher-daemon status --remote`, lists them.",
            exchange=error.exchange,
        ) from error
    if found.filetype != "file":
        raise PublisherError(
            f"The resource “{found.title}” is a link to another site, not a file of the portal.",
            hint="Adopt a file resource, or let the file be published as a new one.",
        )
    now = daemon.now()
    owner = ledger.entry_of(key.dataset, wanted)
    if owner is not None and owner != key:
        gone = {State.KEPT, State.WITHDRAWN}
        standing = next(
            (file.state for view in views_of(settings) for file in view.files if file.key == owner),
            State.KEPT,
        )
        if owner in present and standing not in gone:
            raise PublisherError(
                f"The resource “{found.title}” already belongs to “{owner.path}”, which is still "
                "in its folder.",
                hint="Remove or exclude that file first.",
            )
        ledger.forget(owner, now=now, action="resource.forgotten")
    entry = Entry(
        key=key,
        resource=found.id,
        fingerprint=Fingerprint(found.sha1 or "", found.size or 0),
        stamp=None,
        permalink=found.permalink,
        published_at=now,
    )
    ledger.finish(
        None, entry, now=now, action="resource.adopted", detail={"why": "a person said so"}
    )


def here_or_there(
    arguments: argparse.Namespace,
    settings: Settings,
    mark: Callable[[Ledger], tuple[DatasetId, ...]],
    keys: list[ResourceKey],
    *,
    yes: bool = False,
) -> int:
    """Mark the ledger, then make a pass, or let the running service make it."""
    ledger = Ledger(settings.daemon.state_dir)
    try:
        todo = mark(ledger)
        try:
            with ledger.lock():
                pass
        except LedgerBusy:
            for dataset in todo:
                ledger.ask("retry", dataset, None, "yes" if yes else None)
            return _answer(arguments, settings, keys, asked=True, code=0)
    finally:
        ledger.close()
    code = daemon.once(settings, datasets=todo, yes=yes)
    return _answer(arguments, settings, keys, asked=False, code=code)


def _answer(
    arguments: argparse.Namespace,
    settings: Settings,
    keys: list[ResourceKey],
    *,
    asked: bool,
    code: int,
) -> int:
    views = views_of(settings)
    if arguments.json:
        print_json({"asked": asked, "datasets": [view.as_json() for view in views]})
        return code
    if asked:
        say("Asked of the running service; `publisher-daemon status` tells how it went.")
    else:
        for view in views:
            for file in view.files:
                if not keys or file.key in keys:
                    show_file(file)
    return code
