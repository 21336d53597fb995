from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from publisher_daemon.model import Line, Policy
from publisher_daemon.pacing import LONG, block_size, limit_at, pay, takes

PARIS = "Europe/Paris"
MIB = 2**20
GIB = 1024 * MIB


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(PARIS)).timestamp()


@given(
    rate=st.floats(8e3, 1e9),
    blocks=st.lists(st.tuples(st.floats(0, 10), st.integers(1, 256 * 1024)), max_size=50),
)
def test_whoever_asks_when_no_more_goes_than_the_rate_allows(
    rate: float, blocks: list[tuple[float, int]]
) -> None:
    now, paid_until, sent, first = 1000.0, float("-inf"), 0, None
    for pause, size in blocks:
        now += pause
        paid_until, wait = pay(paid_until, now, size, rate)
        gone = now + wait
        first = gone if first is None else first
        # all before this block was paid for when it went
        assert sent <= (gone - first) * rate * (1 + 1e-9) + 1
        sent += size


def test_uploads_that_ask_together_take_turns() -> None:
    paid_until = 0.0
    waits: dict[str, list[float]] = {"large": [], "small": []}
    for name in ("large", "small", "large", "small"):
        paid_until, wait = pay(paid_until, 0.0, 1000, 1000.0)
        waits[name].append(wait)

    assert waits == {"large": [0.0, 2.0], "small": [1.0, 3.0]}


def test_a_pause_makes_no_burst() -> None:
    paid_until, _ = pay(0.0, 0.0, 1000, 1000.0)

    paid_until, first = pay(paid_until, 3600.0, 1000, 1000.0)
    _, second = pay(paid_until, 3600.0, 1000, 1000.0)

    assert (first, second) == (0.0, 1.0)


@pytest.mark.parametrize(("rate", "size"), [(1e9, 256 * 1024), (1.25e6, 125_000), (10_000.0, 4096)])
def test_blocks_are_small_where_the_limit_is(rate: float, size: int) -> None:
    assert block_size(256 * 1024, rate) == size


@pytest.mark.parametrize(
    ("now", "limit"),
    [("2026-11-21 07:59", None), ("2026-11-21 08:00", 1.25e6), ("2026-11-21 18:00", None)],
)
def test_the_limit_holds_in_its_hours(now: str, limit: float | None) -> None:
    policy = Policy(max_upload=1.25e6, max_upload_hours=("08:00-18:00",), timezone=PARIS)

    assert limit_at(at(now), policy) == limit


def test_a_limit_without_hours_always_holds() -> None:
    assert limit_at(0.0, Policy(max_upload=1.25e6)) == 1.25e6
    assert limit_at(0.0, Policy()) is None


def test_what_takes_long_depends_on_the_line_and_on_the_limit() -> None:
    assert takes(2048, Line(), None) < 1
    assert takes(20 * GIB, Line(rate=100 * MIB), None) > LONG
    assert takes(GIB, Line(rate=100 * MIB), None) < LONG
    assert takes(GIB, Line(rate=100 * MIB), 1.25e6) > LONG
