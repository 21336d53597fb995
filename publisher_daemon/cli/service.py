"""``run`` and ``once``."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from functools import partial

from publisher_daemon import daemon, status
from publisher_daemon.cli.bars import bars
from publisher_daemon.cli.opening import configure_log, settings_of
from publisher_daemon.cli.showing import print_json, show_datasets
from publisher_daemon.config import Settings, load_apart
from publisher_daemon.folder import Folder
from publisher_daemon.health import Noticeboard
from publisher_daemon.ledger import Ledger, standstill
from publisher_daemon.reconcile.flowing import Transfers
from publisher_daemon.status import DatasetView

#: Seconds a person waits for a share that does not answer.
ANSWERS_WITHIN = 10.0


def do_run(arguments: argparse.Namespace) -> int:
    """Be the service, until SIGTERM."""
    # it would end who has no answer to it yet, for good under systemd: it waits until there is one
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])
    settings = settings_of(arguments, keep=True, apart=True)

    def reload() -> Settings:
        fresh = load_apart(arguments.config, os.environ)
        if not fresh.pages:
            fresh.require_folders()
        fresh.api_key()
        configure_log(fresh, keep=True)
        return fresh

    transfers = Transfers()
    with bars(transfers):
        code = daemon.run(settings, reload=reload, environ=os.environ, transfers=transfers)
    if code == daemon.AGAIN:
        # as after a kill, whose recovery is proved: no thread, no connection, no lock is left
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - ourselves
    return code


def do_once(arguments: argparse.Namespace) -> int:
    """Make one complete pass and say where every file stands."""
    settings = settings_of(arguments, keep=True)
    transfers = Transfers()
    with bars(transfers):
        code = daemon.once(settings, transfers=transfers)
    views = views_of(settings)
    if arguments.json:
        print_json(
            {"datasets": [view.as_json() for view in views], "summary": status.summary(views)}
        )
    else:
        show_datasets(views, ignored=True)
    return code


def pages_of(settings: Settings) -> list[dict[str, object]]:
    """Where the organisations and reuses stand that the configuration keeps."""
    ledger = Ledger(settings.daemon.state_dir, read_only=True)
    try:
        return status.pages(settings, ledger)
    finally:
        ledger.close()


def views_of(settings: Settings) -> tuple[DatasetView, ...]:
    """Where every file stands, by the ledger and the folders as they are now."""
    ledger = Ledger(settings.daemon.state_dir, read_only=True)
    try:
        watches = settings.watches(status.pins(settings, ledger))
        folders = {
            (watch.dataset, watch.name): Folder(
                watch, stalled_after=min(watch.stalled_after, ANSWERS_WITHIN)
            )
            for watch in watches
        }
        for (dataset, name), folder in folders.items():
            folder.recognise(ledger.presence(dataset, name), partial(ledger.read, dataset))
        return status.survey(
            watches,
            ledger,
            folders,
            status.next_refreshes(settings, ledger),
            Noticeboard(settings.daemon.state_dir).read(),
            standstill=standstill(settings.daemon.state_dir),
        )
    finally:
        ledger.close()
