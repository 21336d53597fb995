from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from publisher_daemon.dividing import (
    ASSEMBLIES,
    KEPT,
    MIB,
    REFUSAL_AGE,
    SMALLEST_PART,
    division,
    goes_on,
    is_too_slow,
    part_size,
)
from publisher_daemon.model import DatasetId, Fingerprint, Line, Parcel, Policy, ResourceKey

NOW = 1_800_000_000.0
GIB = 1024 * MIB
BYTES = Fingerprint("0" * 40, 10 * MIB + 1)
PARCEL = Parcel(
    ResourceKey(DatasetId("d"), "f", "a.csv"), "u", BYTES, 4 * MIB, "because", at=NOW - 10
)


def test_one_request_is_the_rule() -> None:
    assert division(20 * GIB, Line(), Policy(), NOW) is None
    assert division(20 * GIB, Line(rate=1000 * MIB), Policy(), NOW) is None


def test_what_is_no_larger_than_a_part_goes_in_one_request() -> None:
    line = Line(rate=1.0, refused=3 * MIB, refused_at=NOW)

    assert division(4 * MIB, Line(rate=1.0), Policy(), NOW) is None
    assert division(SMALLEST_PART, line, Policy(), NOW) is None


def test_a_size_that_the_front_refused_goes_in_parts_and_a_smaller_one_does_not() -> None:
    line = Line(refused=100 * MIB, refused_at=NOW - 10)

    found = division(100 * MIB, line, Policy(), NOW)

    assert found is not None
    assert found.size == 4 * MIB
    assert "refused" in found.why
    assert division(99 * MIB, line, Policy(), NOW) is None


def test_an_old_refusal_is_tried_again() -> None:
    line = Line(refused=100 * MIB, refused_at=NOW - REFUSAL_AGE)

    assert division(GIB, line, Policy(), NOW) is None


@pytest.mark.parametrize(
    ("refused", "size"),
    [(None, 4 * MIB), (4 * MIB + 1, 4 * MIB), (4 * MIB, 2 * MIB), (2 * MIB, None)],
)
def test_parts_are_smaller_than_what_was_refused(refused: int | None, size: int | None) -> None:
    assert part_size(Policy(), refused) == size


def test_a_front_that_refuses_the_smallest_part_gets_one_request_that_says_so() -> None:
    line = Line(refused=SMALLEST_PART, refused_at=NOW)

    assert division(GIB, line, Policy(), NOW) is None


def test_a_line_that_is_too_slow_for_the_file_gets_parts() -> None:
    slow = Line(rate=1 * MIB)

    assert division(900 * MIB, slow, Policy(longest_request=900), NOW) is None
    found = division(901 * MIB, slow, Policy(longest_request=900), NOW)
    assert found is not None
    assert found.why == ("At 1 MiB/s one request would take 15 minutes, longer than 15.")


def test_a_limit_that_is_too_low_for_the_file_gets_parts_from_the_start() -> None:
    limited = Policy(longest_request=900, max_upload=1.25e6)

    assert division(1000 * MIB, Line(rate=100 * MIB), limited, NOW) is None
    assert division(1100 * MIB, Line(rate=100 * MIB), limited, NOW) is not None
    assert division(1100 * MIB, Line(), limited, NOW) is not None


def test_a_request_is_judged_by_its_own_rate() -> None:
    policy = Policy(longest_request=900)

    assert is_too_slow(GIB, sent=30 * MIB, seconds=30, policy=policy)
    assert not is_too_slow(GIB, sent=60 * MIB, seconds=30, policy=policy)
    assert is_too_slow(GIB, sent=0, seconds=30, policy=policy)


def test_young_parts_of_the_same_bytes_go_on() -> None:
    assert goes_on(PARCEL, BYTES, NOW)
    assert not goes_on(PARCEL, Fingerprint("1" * 40, BYTES.size), NOW)
    assert not goes_on(PARCEL, BYTES, PARCEL.at + KEPT)
    assert not goes_on(PARCEL, BYTES, PARCEL.at - 1), "the clock was set back: nobody knows"
    assert not goes_on(replace(PARCEL, failures=ASSEMBLIES), BYTES, NOW)


@pytest.mark.parametrize(("size", "total"), [(1, 1), (4 * MIB, 1), (4 * MIB + 1, 2), (GIB, 256)])
def test_the_parts_cover_the_file_exactly(size: int, total: int) -> None:
    parcel = replace(PARCEL, fingerprint=Fingerprint("0" * 40, size))

    stretches = [parcel.stretch(index) for index in range(parcel.total)]

    assert parcel.total == total
    assert stretches[0][0] == 0
    assert stretches[-1][1] == size
    assert all(one[1] == other[0] for one, other in pairwise(stretches))
