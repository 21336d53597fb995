from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from publisher_daemon.retry import JITTER, LONGEST_ASKED, STUBBORN, STUBBORN_WAIT, Kind, next_try

FOR_EVER = {Kind.REFUSED, Kind.NOT_THERE}
#: The table of the module, in seconds: first wait and ceiling.
TABLE = {
    Kind.UNREACHABLE: (2, 60),
    Kind.BUSY: (5, 300),
    Kind.READ_ONLY: (45, 600),
    Kind.UNKNOWN_OUTCOME: (5, 60),
    Kind.SERVER_ERROR: (3, STUBBORN_WAIT),
    Kind.CREDENTIAL: (300, 300),
    Kind.SOURCE_CHANGED: (1, 60),
    Kind.FILE_UNREADABLE: (5, 60),
    Kind.PAGE_REFUSED: (3600, 86400),
}

failures = st.integers(min_value=-5, max_value=10**9)
jitters = st.floats(min_value=0.0, max_value=1.0, exclude_max=True)
nows = st.floats(min_value=0.0, max_value=4e9)
asked = st.none() | st.floats(min_value=0.0, allow_nan=False, allow_infinity=True)
waiting = st.sampled_from(sorted(TABLE))


def wait(count: int, kind: Kind, jitter: float = 0.0, retry_after: float | None = None) -> float:
    at = next_try(count, kind, 0.0, jitter, retry_after=retry_after)
    assert at is not None
    return at


def test_every_kind_is_in_the_table() -> None:
    assert set(TABLE) | FOR_EVER == set(Kind)


@pytest.mark.parametrize("kind", sorted(TABLE))
def test_waits_as_the_table_says(kind: Kind) -> None:
    first, ceiling = TABLE[kind]

    assert wait(1, kind) == first
    assert wait(1_000, kind) == ceiling


@pytest.mark.parametrize("kind", sorted(FOR_EVER))
@given(failures=failures, now=nows, jitter=jitters, asked=asked)
def test_what_is_refused_is_never_tried_again_by_itself(
    kind: Kind, failures: int, now: float, jitter: float, asked: float | None
) -> None:
    assert next_try(failures, kind, now, jitter, retry_after=asked) is None


@given(failures=failures, kind=waiting, now=nows, jitter=jitters, asked=asked)
def test_the_next_try_is_later_and_not_in_another_life(
    failures: int, kind: Kind, now: float, jitter: float, asked: float | None
) -> None:
    at = next_try(failures, kind, now, jitter, retry_after=asked)

    assert at is not None
    assert math.isfinite(at)
    assert now < at <= now + max(TABLE[kind][1], LONGEST_ASKED) + 1e-6


@given(failures=st.integers(min_value=1, max_value=10**6), kind=waiting, jitter=jitters)
def test_another_failure_never_makes_the_wait_shorter(
    failures: int, kind: Kind, jitter: float
) -> None:
    assert wait(failures + 1, kind, jitter) >= wait(failures, kind, jitter)


@given(failures=failures, kind=waiting, one=jitters, other=jitters)
def test_jitter_takes_a_quarter_at_most(
    failures: int, kind: Kind, one: float, other: float
) -> None:
    whole, less = wait(failures, kind), wait(failures, kind, max(one, other))

    assert whole * (1 - JITTER) <= less <= whole
    assert less <= wait(failures, kind, min(one, other))


def test_the_wait_doubles() -> None:
    assert [wait(count, Kind.UNREACHABLE) for count in range(1, 8)] == [2, 4, 8, 16, 32, 60, 60]


def test_a_portal_that_takes_no_files_is_asked_as_seldom_as_it_has_been_so_for_long() -> None:
    since, longest = 0.0, []
    for count in range(1, 60):
        longest.append((since, wait(count, Kind.READ_ONLY)))
        since += longest[-1][1]
    assert all(each <= 60 for since, each in longest if since <= 300)
    assert all(each <= 60 + since / 20 for since, each in longest)


def test_a_portal_that_answers_500_ten_times_is_left_alone_for_hours() -> None:
    assert wait(STUBBORN, Kind.SERVER_ERROR) == 600
    assert wait(STUBBORN + 1, Kind.SERVER_ERROR) == STUBBORN_WAIT


@given(asked=st.floats(min_value=300.0, max_value=LONGEST_ASKED), jitter=jitters)
def test_what_the_portal_asks_is_honoured(asked: float, jitter: float) -> None:
    assert wait(1, Kind.BUSY, jitter, asked) == asked


def test_a_portal_that_asks_for_31_years_is_not_obeyed() -> None:
    assert wait(1, Kind.BUSY, 0.0, 978_307_200.0) == LONGEST_ASKED
    assert wait(1, Kind.BUSY, 0.0, math.inf) == LONGEST_ASKED


def test_a_portal_that_asks_for_less_does_not_hurry_us() -> None:
    assert wait(4, Kind.BUSY, 0.0, 1.0) == 40
