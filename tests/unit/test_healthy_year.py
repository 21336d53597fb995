"""Healthy files of many kinds go out one after the other; come to harm, they are held."""

from __future__ import annotations

import pytest
from publications import look
from years import NORMAL, SERIES, damages, lived

from publisher_daemon.model import Checks
from publisher_daemon.verdict import judge


@pytest.mark.parametrize("name", SERIES)
def test_two_months_of_healthy_files_go_and_the_last_of_them_come_to_harm_are_held(
    name: str,
) -> None:
    series = SERIES[name]
    year = lived(series, 0, 60)

    assert len(year.held) <= series.asks, year.held
    for what, content in damages(name, year.last):
        found = judge(look.__wrapped__(content, series.name), year.published, None, Checks())
        assert found.holds or (name, what) in NORMAL, (what, found)
