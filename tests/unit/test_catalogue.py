"""A page's fields: what is written, what is left, what is held; and computed values."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from publisher_daemon.catalogue import (
    Facts,
    MetadataPlan,
    analysis_words,
    columns_of,
    computed_names,
    day,
    late_words,
    missing_points,
    plan_metadata,
    settled,
    words_of_file,
)
from publisher_daemon.model import Words

TODAY = date(2026, 11, 21)
FOUND: dict[str, Any] = {
    "title": "Air",
    "description": "D",
    "tags": ["air"],
    "temporal_coverage": {"start": "2020-01-01", "end": "2020-12-31"},
    "spatial": {"zones": [], "granularity": "other", "geom": None},
    "extras": {"theirs": 1},
    "license": "notspecified",
    "private": True,
}


def decide(
    said: dict[str, Any], applied: dict[str, Any] | None = None, **changes: Any
) -> MetadataPlan:
    facts = changes.pop("facts", Facts(TODAY))
    enforce = changes.pop("enforce", False)
    return plan_metadata(said, applied or {}, FOUND | changes, facts=facts, enforce=enforce)


def names(*paths: str, published: date | None = None, **columns: Any) -> Facts:
    return Facts(TODAY, paths, published, columns)


# ---------------------------------------------------------------------------------- three ways


def test_the_inner_keys_of_a_field_are_merged_one_by_one() -> None:
    said = {"temporal_coverage": {"start": "2019-01-01", "end": "today"}}
    base = decide(said).applied
    theirs = {"start": "2018-01-01", "end": "2026-11-21"}

    plan = decide(said, dict(base), temporal_coverage=theirs, facts=Facts(date(2026, 11, 22)))

    assert plan.document == {"temporal_coverage": {"start": "2018-01-01", "end": "2026-11-22"}}
    assert [(one.field, one.after) for one in plan.drifts] == [
        ("temporal_coverage.start", "2018-01-01")
    ]


def test_a_computed_value_that_moves_does_not_make_a_colleagues_edit_a_clash() -> None:
    said = {"description": "Au {today}."}
    base = decide(said).applied

    plan = decide(said, dict(base), description="La leur.", facts=Facts(date(2026, 12, 1)))

    assert (plan.changes, plan.held) == ((), ())
    assert [one.after for one in plan.drifts] == ["La leur."]


def test_what_was_written_without_an_answer_is_ours_when_another_value_is_wanted_by_then() -> None:
    said = {"description": "Au {today}.", "temporal_coverage": {"end": "today"}}
    first = dict(decide(said).applied)
    shown = {"description": "Au 2026-11-21.", "temporal_coverage": {"end": "2026-11-21"}}
    second = decide(said, first, **shown, facts=Facts(date(2026, 11, 22)))
    intent = dict(second.intent)
    done = {"description": "Au 2026-11-22.", "temporal_coverage": {"end": "2026-11-22"}}
    later = Facts(date(2026, 11, 23))

    after = decide(said, intent, **done, facts=later)
    undone = decide(said, intent, **shown, facts=later)
    theirs = decide(said, intent, **(done | {"description": "La leur."}), facts=later)

    assert after.document == undone.document
    assert after.document == {
        "description": "Au 2026-11-23.",
        "temporal_coverage": {"end": "2026-11-23"},
    }
    assert (after.drifts, after.held) == ((), ())
    assert "meant" not in after.applied
    assert [one.after for one in theirs.drifts] == ["La leur."]


def test_a_computed_value_written_otherwise_is_a_change_of_the_configuration() -> None:
    base = decide({"description": "Au {today}."}).applied

    plan = decide({"description": "Le {today}."}, dict(base), description="La leur.")

    assert [(one.field, one.ours, one.theirs) for one in plan.held] == [
        ("description", "Le 2026-11-21.", "La leur.")
    ]


def test_a_base_of_an_earlier_version_still_protects_a_colleague() -> None:
    said = {"temporal_coverage": {"start": "2020-01-01", "end": "2021-01-01"}}
    applied = {"temporal_coverage": {"start": "2020-01-01", "end": "2021-01-01"}}

    assert [one.field for one in decide(said, applied).drifts] == ["temporal_coverage.end"]


def test_the_extras_of_others_stay() -> None:
    assert decide({"extras": {"ours": "x"}}).document == {"extras": {"theirs": 1, "ours": "x"}}


def test_a_period_that_would_end_before_it_starts_is_held_not_swapped() -> None:
    plan = decide(
        {"temporal_coverage": {"start": "2025-06-01", "end": "{latest}"}},
        facts=names("2024.csv"),
    )

    assert plan.changes == ()
    assert "before it starts" in plan.held[0].why


def test_a_text_too_long_once_its_values_are_in_it_is_held() -> None:
    plan = decide({"description_short": "x" * 195 + "{today}"})

    assert plan.changes == ()
    assert "205 characters" in plan.held[0].why


def test_no_contact_points_any_more_is_said_as_the_portal_understands_it() -> None:
    plan = decide({"contact_points": []}, contact_points=[{"id": "65f0"}])

    assert plan.document == {"contact_points": None}


def test_no_zones_any_more_is_said_as_the_portal_understands_it() -> None:
    plan = decide({"spatial": {"zones": []}}, spatial={"zones": ["country:fr"], "geom": None})

    assert plan.document == {"spatial": {"zones": None}}


def test_what_the_portal_does_not_keep_is_held_until_it_or_the_configuration_changes() -> None:
    said = {"extras": {"ours": "x", "kept": 1}, "title": "Eau"}
    shown = {"extras": {"ours": "y", "kept": 1}, "title": "Eau"}
    base, left = settled(decide(said), {}, shown)
    # as the ledger gives it back
    base = json.loads(json.dumps(base))

    again = decide(said, base, **shown)
    changed = decide({**said, "extras": {"ours": "z", "kept": 1}}, base, **shown)
    moved = decide(said, base, **{**shown, "extras": {"ours": "w", "kept": 1}})
    mended = decide(said, base, **{**shown, "extras": said["extras"]})

    assert left == ("extras",)
    assert (again.changes, [one.field for one in again.held]) == ((), ["extras.ours"])
    assert decide(said, dict(again.applied), **shown) == again
    assert [one.field for one in (*changed.changes, *moved.changes)] == ["extras", "extras"]
    assert mended.applied == {"extras.ours": "x", "extras.kept": 1, "title": "Eau"}


# ------------------------------------------------------------------------------ computed values


@pytest.mark.parametrize(
    ("files", "first", "last"),
    [
        (["mesures_2019.csv", "mesures_2024.csv"], "2019-01-01", "2024-12-31"),
        (["air/2024-03.csv", "air/2024-02.csv"], "2024-02-01", "2024-03-31"),
        (["no2_20240105.csv", "no2_20231231.csv"], "2023-12-31", "2024-01-05"),
        (["releve 05-01-2024.csv", "202402.csv"], "2024-01-05", "2024-02-29"),
        (["budget 2023-2024.csv"], "2023-01-01", "2024-12-31"),
        (["2010/a_2021.csv"], "2021-01-01", "2021-12-31"),
        (["id123202401.csv", "v2024.1_2022.csv"], "2022-01-01", "2024-12-31"),
        (["mesures_2025.csv", "mesures_2026.csv"], "2025-01-01", "2026-11-21"),
        (["prevision_2027.csv", "2026.csv"], "2026-01-01", "2027-12-31"),
    ],
)
def test_dates_in_file_names(files: list[str], first: str, last: str) -> None:
    plan = decide(
        {"temporal_coverage": {"start": "{earliest}", "end": "{latest}"}}, facts=names(*files)
    )

    assert plan.document["temporal_coverage"] == {"start": first, "end": last}


def test_every_computed_value_stands_in_a_text() -> None:
    facts = Facts(
        TODAY, ("2020.csv", "2021.csv"), date(2026, 11, 1), {"jour": (date(2020, 2, 1), TODAY)}
    )
    text = (
        "{files} fichiers, {earliest} à {latest}; {earliest:jour} {latest:jour}; "
        "{last_publication} {last_publication+30d} {today} {autre}"
    )

    assert decide({"description": text}, facts=facts).document["description"] == (
        "2 fichiers, 2020-01-01 à 2021-12-31; 2020-02-01 2026-11-21; "
        "2026-11-01 2026-12-01 2026-11-21 {autre}"
    )
    assert columns_of({"a": [text]}) == {"jour"}
    assert len(computed_names(text)) == 8


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("{latest}", "tells no date"),
        ("{latest:jour}", "column “jour”"),
        ("{last_publication}", "published yet"),
        ("{today+9999d}{today}", "no date"),
    ],
)
def test_a_value_that_is_not_there_is_held_and_the_rest_is_written(said: str, why: str) -> None:
    facts = Facts(date(9999, 1, 1), ("a.csv",))
    plan = decide({"acronym": said, "license": "lov2"}, facts=facts)

    assert plan.document == {"license": "lov2"}
    assert why in plan.held[0].why


@pytest.mark.parametrize(
    ("cell", "first"),
    [
        ("2024-03-01", "2024-03-01"),
        ("2024-03-01T12:00:00Z", "2024-03-01"),
        ("2024/3/1 12:00", "2024-03-01"),
        ("01/03/2024", "2024-03-01"),
        ("1.3.2024 08:15", "2024-03-01"),
        ("20240301", "2024-03-01"),
        ("2024-03", "2024-03-01"),
        ("2024", "2024-01-01"),
        ("31/02/2024", None),
        ("12", None),
        ("", None),
    ],
)
def test_a_day_in_a_cell_is_iso_or_day_first(cell: str, first: str | None) -> None:
    span = day(cell)

    assert (span[0].isoformat() if span else None) == first


# ---------------------------------------------------------------------------- what a portal says


def test_each_missing_quality_point_says_how_to_earn_it() -> None:
    said = missing_points({"quality": {"license": False, "spatial": True, "score": 0.1}})

    assert said == ("say its licence (`license`)",)
    assert missing_points({}) == ()


def test_a_late_dataset_says_since_when() -> None:
    quality = {"update_fulfilled_in_time": False}
    said = late_words({"quality": quality, "frequency": "daily", "last_update": "2026-01-02T03"})

    assert said is not None
    assert "“daily”" in said
    assert "2026-01-02" in said
    assert late_words({"quality": {"update_fulfilled_in_time": True}}) is None


@pytest.mark.parametrize(
    ("extras", "words"),
    [
        ({"analysis:parsing:error": "csv_detection: no header"}, "no preview (csv_detection"),
        ({"analysis:error": "File too large to download"}, "no preview; split it"),
        ({"analysis:error": "boom"}, "Publish it again"),
        ({"check:available": False}, "could not download it"),
        ({"check:available": True, "analysis:mime-type": "text/csv"}, None),
    ],
)
def test_what_the_portals_analysis_found_is_said_with_a_remedy(
    extras: dict[str, Any], words: str | None
) -> None:
    said = analysis_words(extras)

    assert (said is None) if words is None else (said is not None and words in said)


def test_the_words_of_a_file_have_its_values_and_keep_what_they_had_without() -> None:
    words = Words("Au {latest:jour}", "{last_publication}: {x}", extras=(("a", '"{earliest}"'),))
    asked: list[frozenset[str]] = []

    def facts(columns: frozenset[str]) -> Facts:
        asked.append(columns)
        return Facts(TODAY, ("a.csv",), TODAY, {"jour": "No such column."})

    said, unsaid = words_of_file(words, Words("Avant"), facts)

    assert said == Words("Avant", f"{TODAY}: {{x}}")
    assert [(name, why) for name, _, why in unsaid] == [
        ("title", "No such column."),
        ("extras.a", "The name “a.csv” tells no date."),
    ]
    assert asked == [{"jour"}]
    assert words_of_file(Words("Mesures"), Words(), facts) == (Words("Mesures"), ())
    assert len(asked) == 1
