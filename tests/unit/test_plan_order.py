"""The plan does not depend on the order of what it is given."""

from __future__ import annotations

from making import codes, decide, resource, source


def test_names_the_candidates_in_one_order_however_the_portal_lists_them() -> None:
    first, second = resource("r1", served="x.csv"), resource("r2", served="y.csv")

    there = decide(source("z.csv"), resources=(first, second))
    back = decide(source("z.csv"), resources=(second, first))

    assert codes(there) == ["ambiguous"]
    assert there == back
