"""Tells machines and people what the passes did; on a thread of its own, so that no pass waits."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import structlog

from publisher_daemon.alerts import Concern, Heartbeats, Kind
from publisher_daemon.daemon.answers import Answers
from publisher_daemon.daemon.concerns import KEY_DAYS
from publisher_daemon.daemon.office import Office
from publisher_daemon.daemon.people import People
from publisher_daemon.errors import LedgerBroken, PortalError
from publisher_daemon.health import TOO_OLD, Heartbeat
from publisher_daemon.log import redact
from publisher_daemon.metrics import Now, WatchNow
from publisher_daemon.model import Report

if TYPE_CHECKING:
    from publisher_daemon.metrics.numbers import Metrics
    from publisher_daemon.metrics.page import Page
    from publisher_daemon.watcher import WatchHealth

log = structlog.get_logger(__name__)

#: How often there is a round, in seconds.
ROUND = 30.0
#: A round follows a pass after this, in seconds.
GATHER = 1.0
#: After a start, people are told nothing before each dataset was looked at, or so many seconds are
#: over: what is remembered of it may have ended while nobody looked.
FIRST_LOOK = 300.0
#: How often the portal is asked when the key ends, in seconds; when it did not answer, sooner.
KEY_EVERY, KEY_AGAIN = 24 * 3600.0, 600.0


def _apart(telling: Callable[[], None]) -> None:
    """Tell, and let nothing that goes wrong in it reach whoever publishes."""
    try:
        telling()
    except LedgerBroken as error:
        # the next pass meets it too, and ends the service
        log.error("ledger.broken", why=error.message, hint=error.hint)  # noqa: TRY400 - the sentence says it all
    except Exception as error:
        log.exception("telling.failed", why=str(error))


class Teller:
    """What follows a pass, over one configuration."""

    def __init__(
        self,
        office: Office,
        metrics: Metrics | None = None,
        watching: Callable[[], tuple[WatchHealth, ...]] = lambda: (),
    ) -> None:
        self._office = office
        self._metrics = metrics
        self._watching = watching
        self._stop = threading.Event()
        self._due = threading.Event()
        self._thread: threading.Thread | None = None
        self._page: Page | None = None
        alerts = office.settings.alerts
        self._people = People(office, metrics)
        self._heartbeats = Heartbeats(
            alerts.heartbeat.text if alerts.heartbeat else "",
            alerts.heartbeat_every,
            lambda well: metrics.beat(well=well) if metrics else None,
        )
        self._answers = Answers(office)
        self._concerns: tuple[Concern, ...] = ()
        self._unseen = set(office.lanes)
        self._began = time.monotonic()
        kept = office.ledger.cache_get("key")
        #: asked once a day, whatever starts and stops in between
        self._key_ends: float | None = json.loads(kept[0])["ends"] if kept else None
        self._ask_key_at = kept[1] + KEY_EVERY if kept else float("-inf")
        if metrics is not None:
            metrics.look = self._now
            for place, at in office.ledger.last_published().items():
                metrics.published_before(place, at)

    def start(self) -> None:
        """Listen, and make rounds until ``stop``."""
        listen = self._office.settings.metrics.listen
        if self._metrics is not None and listen is not None:
            from publisher_daemon.metrics.page import Page  # noqa: PLC0415 - only where it is wanted

            self._page = Page(listen, self._metrics.text, self._alive, self._ready)
            self._page.start()
        thread = threading.Thread(target=self._rounds, name="teller", daemon=True)
        thread.start()
        self._thread = thread
        self._answers.start()

    def stop(self) -> None:
        """End the rounds; one that talks to somebody slow is not waited for."""
        self._stop.set()
        self._due.set()
        self._answers.stop()
        if self._thread is not None:
            self._thread.join(5.0)
        if self._page is not None:
            self._page.stop()

    def passed(self, report: Report) -> None:
        """A pass is done."""
        self._unseen.discard(report.dataset)
        if self._metrics is not None:
            self._metrics.passed(report)
        self._answers.wake(report.dataset)
        self._due.set()

    def round(self, *, people: bool = True) -> None:
        """Tell what is due now; whatever fails in that is logged, and stops no publishing."""
        _apart(partial(self._round, people=people))

    def _round(self, *, people: bool) -> None:
        self._ask_key()
        if people:
            self._concerns = self._people.round(self._key_ends)
        if self._office.settings.alerts.heartbeat and not (self._alive() or self._ready()):
            self._heartbeats.beat(time.time())
        textfile = self._office.settings.metrics.textfile
        if self._metrics is not None and textfile is not None:
            self._metrics.write(textfile)

    def answer(self) -> None:
        """Let the folders answer now: there will be no later."""
        _apart(self._answers.write_all)

    def _rounds(self) -> None:
        while not self._stop.is_set():
            self.round(people=self._looked())
            self._due.wait(ROUND)
            # passes come in swarms: one round for all of them
            self._stop.wait(GATHER)
            self._due.clear()

    def _looked(self) -> bool:
        return not self._unseen or time.monotonic() - self._began > FIRST_LOOK

    # ------------------------------------------------------------------------------- the key's end

    def _ask_key(self) -> None:
        """Learn once a day when the key ends, and say so when that is near."""
        now = time.time()
        if now < self._ask_key_at or self._office.gate.closed is not None:
            return
        self._ask_key_at = now + KEY_AGAIN
        try:
            found = self._office.portal.key_expiry()
        except PortalError:
            return  # a pass meets it too, and tells
        self._ask_key_at = now + KEY_EVERY
        self._key_ends = found[1] if found else None
        self._office.ledger.cache_put("key", json.dumps({"ends": self._key_ends}), now)
        if self._key_ends is not None and self._key_ends - now < KEY_DAYS[0] * 86400:
            days = max(0, int((self._key_ends - now) / 86400))
            log.warning(
                "key.expiring",
                why=f"The API key ends in {days} days. Make a new one in the portal's account "
                "page, put it in place of this one and restart the service.",
                days=days,
            )

    # ------------------------------------------------------------------------ for whoever looks

    def _alive(self) -> tuple[str, ...]:
        age = Heartbeat(self._office.settings.daemon.state_dir).age()
        if age is None or age <= TOO_OLD:
            return ()  # none yet: it has just started
        return (f"No thread got on for {age:.0f} s.",)

    def _ready(self) -> tuple[str, ...]:
        closed = self._office.gate.closed
        facts = self._office.ledger.datasets()
        troubles = [
            f"{dataset}: {facts[dataset].trouble}"
            for dataset in self._office.datasets
            if dataset in facts and facts[dataset].trouble
        ]
        return tuple(map(redact, (*([closed.why] if closed else []), *troubles)))

    def _now(self) -> Now:
        ledger, closed = self._office.ledger, self._office.gate.closed
        return Now(
            standings={
                ((dataset, folder), state): counted
                for (dataset, folder, state), counted in ledger.standing_counts().items()
            },
            places=tuple(self._office.folders),
            circuit_open=closed is not None,
            key_refused=closed is not None and closed.credential,
            key_ends=self._key_ends,
            watches=tuple(
                WatchNow(watch.dataset, watch.folder, watch.mode, watch.losses)
                for watch in self._watching()
            ),
            missing={
                place: sum(
                    1
                    for one in self._concerns
                    if one.topic.kind is Kind.EXPECTED
                    and (one.topic.dataset, one.topic.name) == place
                )
                for place in self._office.folders
            },
            ledger_bytes=ledger.size(),
        )
