"""“daily by 08:00”: what it means, and what it cannot mean."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from publisher_daemon.expect import ExpectError, cron_line, last_times

PARIS = ZoneInfo("Europe/Paris")


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=PARIS).timestamp()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("daily by 08:00", "0 8 * * *"),
        ("Weekdays by 7:30", "30 7 * * 1-5"),
        ("weekly by monday 08:00", "0 8 * * 1"),
        ("monthly by 5 18:05", "5 18 5 * *"),
        ("monthly by last 18:00", "0 18 L * *"),
    ],
)
def test_it_means_a_time(text: str, line: str) -> None:
    assert cron_line(text) == line


@pytest.mark.parametrize(
    "text",
    ["", "daily", "daily by 25:00", "daily by monday 08:00", "weekly by 08:00", "weekly by 3 08:00",
     "monthly by 31 08:00", "monthly by 0 08:00", "0 8 * * *"],
)  # fmt: skip
def test_what_means_no_time_says_what_would(text: str) -> None:
    with pytest.raises(ExpectError, match="daily by 08:00"):
        cron_line(text)


@pytest.mark.parametrize(
    ("text", "now", "before", "due"),
    [
        ("daily by 08:00", "2026-11-21T07:59", "2026-11-19T08:00", "2026-11-20T08:00"),
        ("daily by 08:00", "2026-11-21T08:00", "2026-11-20T08:00", "2026-11-21T08:00"),
        # Monday: since Friday
        ("weekdays by 08:00", "2026-11-23T09:00", "2026-11-20T08:00", "2026-11-23T08:00"),
        ("weekly by monday 08:00", "2026-11-24T00:00", "2026-11-16T08:00", "2026-11-23T08:00"),
        ("monthly by last 18:00", "2026-12-01T00:00", "2026-10-31T18:00", "2026-11-30T18:00"),
        # the night the clocks change
        ("daily by 02:30", "2026-03-29T12:00", "2026-03-28T02:30", "2026-03-29T03:00"),
    ],
)
def test_the_two_last_times(text: str, now: str, before: str, due: str) -> None:
    found = last_times(text, at(now), "Europe/Paris")

    assert [datetime.fromtimestamp(one, PARIS) for one in found] == [
        datetime.fromtimestamp(at(one), PARIS) for one in (before, due)
    ]
