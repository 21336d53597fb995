"""The plan does not depend on the order of what it is given, and grows no faster than it."""

from __future__ import annotations

import pytest
from making import codes, decide, entry, resource, source


def test_names_the_candidates_in_one_order_however_the_portal_lists_them() -> None:
    first, second = resource("r1", served="x.csv"), resource("r2", served="y.csv")

    there = decide(source("z.csv"), resources=(first, second))
    back = decide(source("z.csv"), resources=(second, first))

    assert codes(there) == ["ambiguous"]
    assert there == back


@pytest.mark.timeout(20)  # it takes a tenth of a second, and took minutes when it was quadratic
def test_thousands_of_new_files_are_placed_among_thousands_of_resources() -> None:
    many = range(3000)

    result = decide(
        *(source(f"{n}.csv", f"new {n}") for n in many),
        entries=tuple(entry(f"gone-{n}.csv", f"gone {n}", f"g{n}") for n in many),
        resources=tuple(
            resource(f"r{n}", f"by hand {n}", title=f"By hand {n}", served=f"by-hand-{n}.csv")
            for n in many
        ),
    )

    assert len(result.actions) == 2 * len(many)
