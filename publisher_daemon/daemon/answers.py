"""Lets each folder answer after a pass, on a thread of its own: a hanging share stops no pass."""

from __future__ import annotations

import threading
import time
from functools import partial
from pathlib import Path

import structlog

from publisher_daemon.answer import Answer, write
from publisher_daemon.daemon.office import Office
from publisher_daemon.errors import LedgerBroken
from publisher_daemon.folder import Folder
from publisher_daemon.model import DatasetId
from publisher_daemon.status import survey
from publisher_daemon.words import Words

log = structlog.get_logger(__name__)

#: Passes come in swarms: one look for all of them, this many seconds after the first.
GATHER = 1.0
#: Each folder answers at least this often, in seconds.
EVERY = 3600.0


class Answers:
    """The answers of one configuration's folders; nothing where none is wanted."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._words = Words(office.settings.daemon.language)
        self._places = {
            (watch.dataset, watch.name): Path(folder.answer_dir)
            for watch, folder in zip(office.watches, office.settings.folders, strict=True)
            if folder.answer_dir is not None
        }
        self._lock = threading.Lock()
        self._dirty: set[DatasetId] = set()
        self._due = threading.Event()
        self._stop = threading.Event()
        self._failed: dict[Path, str] = {}

    def start(self) -> None:
        """Answer until ``stop``; a thread that hangs on a share is left to itself."""
        if self._places:
            threading.Thread(target=self._work, name="answers", daemon=True).start()

    def stop(self) -> None:
        """Answer no more."""
        self._stop.set()
        self._due.set()

    def wake(self, dataset: DatasetId) -> None:
        """Something of the dataset may have changed."""
        with self._lock:
            self._dirty.add(dataset)
        self._due.set()

    def write_all(self) -> None:
        """Answer now, for every folder; raises LedgerBroken."""
        for dataset in {dataset for dataset, _ in self._places}:
            self._write(dataset)

    def _work(self) -> None:
        while not self._stop.is_set():
            woken = self._due.wait(EVERY)
            self._stop.wait(GATHER)
            self._due.clear()
            with self._lock:
                dirty, self._dirty = self._dirty, set()
            try:
                for dataset in dirty if woken else {dataset for dataset, _ in self._places}:
                    if not self._stop.is_set():
                        self._write(dataset)
            except LedgerBroken as error:
                log.error("ledger.broken", why=error.message, hint=error.hint)  # noqa: TRY400 - the sentence says it all
            except Exception as error:
                log.exception("telling.failed", why=str(error))

    def _write(self, dataset: DatasetId) -> None:
        places = {name: where for (found, name), where in self._places.items() if found == dataset}
        if not places:
            return
        watches = [watch for watch in self._office.watches if watch.dataset == dataset]
        # folders of its own: those of the passes remember what a pass must not forget
        folders = {(dataset, watch.name): Folder(watch) for watch in watches}
        ledger = self._office.ledger
        for (_, name), folder in folders.items():
            folder.recognise(ledger.presence(dataset, name), partial(ledger.read, dataset))
        (view,) = survey(watches, ledger, folders)
        for name, where in places.items():
            answer = Answer(
                view,
                name,
                self._words,
                self._office.settings.daemon.timezone,
                self._office.settings.alerts.contact,
            )
            self._put(where, answer)

    def _put(self, where: Path, answer: Answer) -> None:
        try:
            written = write(where, answer, time.time())
        except OSError as error:
            why = f"{where} cannot be written: {error.strerror or error}."
            if self._failed.get(where) != why:
                self._failed[where] = why
                log.warning("answer.failed", folder=answer.folder, why=why)
            return
        self._failed.pop(where, None)
        if written:
            log.debug("answer.written", folder=answer.folder)
