"""The portal's list of accepted extensions: read at start and daily, remembered when it is away."""

from __future__ import annotations

from pathlib import Path

import pytest
from launcher import Sandbox
from proxy import Proxy

from publisher_daemon.daemon.office import VOCABULARY_AGE, Vocabulary
from publisher_daemon.ledger import Ledger
from publisher_daemon.portal import Portal

ASKED = "GET /api/1/datasets/extensions/"


class Day:
    """A clock, and a vocabulary that goes by it."""

    def __init__(self, proxy: Proxy, portal: Sandbox, ledger: Ledger) -> None:
        self.now = 1_000_000.0
        self._proxy = proxy
        self._portal = Portal(proxy.url, portal.tokens["prod"])
        self._vocabulary = Vocabulary(self._portal, ledger, lambda: self.now)

    def after(self, seconds: float) -> tuple[frozenset[str], int]:
        """What is known so much later, and how often the portal was asked for it."""
        self.now += seconds
        self._proxy.forget()
        self._vocabulary.refresh()
        return self._vocabulary.extensions(), len(self._proxy.seen(ASKED))


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "state")


def test_the_list_is_read_at_start_and_daily(portal: Sandbox, proxy: Proxy, ledger: Ledger) -> None:
    day = Day(proxy, portal, ledger)

    changed = frozenset({"parquet", "tsv"})
    at_start, asked = day.after(0)
    assert ({"csv", "zip"} <= at_start, "parquet" in at_start, asked) == (True, False, 1)
    # the portal's administrators change it
    proxy.rule(ASKED, status=200, body=b'["parquet", ".TSV"]', content_type="application/json")
    assert day.after(VOCABULARY_AGE - 1) == (at_start, 0)
    assert day.after(1) == (changed, 1)
    assert day.after(60) == (changed, 0)


def test_an_absent_portal_is_asked_each_minute_and_what_it_said_is_kept(
    portal: Sandbox, proxy: Proxy, ledger: Ledger
) -> None:
    told, _ = Day(proxy, portal, ledger).after(0)
    proxy.rule(ASKED, status=502, times=2)
    restarted = Day(proxy, portal, ledger)

    assert restarted.after(0) == (told, 1)
    assert restarted.after(59) == (told, 0)
    assert restarted.after(1) == (told, 1)
    assert restarted.after(60) == (told, 1)
    assert restarted.after(60) == (told, 0)  # it was there: tomorrow again


def test_nothing_is_known_where_the_portal_never_said_it(
    portal: Sandbox, proxy: Proxy, ledger: Ledger
) -> None:
    proxy.rule(ASKED, status=502)

    assert Day(proxy, portal, ledger).after(0) == (frozenset(), 1)
