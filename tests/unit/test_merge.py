"""The whole table of the three-way merge."""

from __future__ import annotations

import pytest

from publisher_daemon.merge import Merged, Verdict, merge, merge_words
from publisher_daemon.model import Words


@pytest.mark.parametrize(
    ("applied", "configured", "found", "verdict"),
    [
        (None, None, "Y", Verdict.UNMANAGED),
        ("A", None, "Y", Verdict.UNMANAGED),
        (None, "X", "X", Verdict.SAME),
        ("A", "X", "X", Verdict.SAME),
        (None, "X", "Y", Verdict.APPLY),
        (None, "X", None, Verdict.APPLY),
        ("A", "X", "A", Verdict.APPLY),
        ("A", "A", "Y", Verdict.DRIFT),
        ("A", "X", "Y", Verdict.CLASH),
    ],
)
def test_decides_one_field(
    applied: str | None, configured: str | None, found: str | None, verdict: Verdict
) -> None:
    assert merge(applied, configured, found) is verdict


@pytest.mark.parametrize(("applied", "configured"), [("A", "A"), ("A", "X")])
def test_the_configuration_wins_when_it_is_to_win(applied: str, configured: str) -> None:
    assert merge(applied, configured, "Y", enforce=True) is Verdict.APPLY


def test_enforcing_changes_nothing_that_is_not_said_or_is_the_same() -> None:
    assert merge("A", None, "Y", enforce=True) is Verdict.UNMANAGED
    assert merge("A", "X", "X", enforce=True) is Verdict.SAME


def test_writes_what_is_newly_said_and_remembers_it_as_the_base() -> None:
    merged = merge_words(Words(), Words(title="X"), Words(title="Y"), enforce=False)

    assert merged == Merged(Words(title="X"), Words(title="X"))


def test_leaves_and_reports_what_a_colleague_wrote() -> None:
    merged = merge_words(
        Words(title="A", description="D"),
        Words(title="A", description="E"),
        Words(title="Y", description="Z"),
        enforce=False,
    )

    assert merged.write == Words()
    assert merged.kept == (
        ("title", "A", "Y", Verdict.DRIFT),
        ("description", "E", "Z", Verdict.CLASH),
    )


def test_what_is_found_as_configured_becomes_the_base() -> None:
    merged = merge_words(Words(), Words(title="X"), Words(title="X"), enforce=False)

    assert merged == Merged(Words(), Words(title="X"))


def test_what_is_not_said_any_more_is_not_in_the_base_any_more() -> None:
    merged = merge_words(
        Words(title="A", type="main"), Words(type="main"), Words("A", None, "main"), enforce=False
    )

    assert merged == Merged(Words(), Words(type="main"))


def test_reports_a_field_that_a_colleague_emptied() -> None:
    merged = merge_words(Words(description="D"), Words(description="D"), Words(), enforce=False)

    assert merged.kept == (("description", "D", "", Verdict.DRIFT),)


def test_line_ends_and_outer_blanks_make_no_difference() -> None:
    merged = merge_words(
        Words(), Words(description="one\r\ntwo\n"), Words(description="one\ntwo"), enforce=False
    )

    assert merged.write == Words()
