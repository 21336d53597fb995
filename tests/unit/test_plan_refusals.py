"""What must not be sent, and what stops a whole dataset."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from making import (
    DATASET,
    NOW,
    WITHDRAWING,
    codes,
    decide,
    entry,
    identity,
    key,
    kinds,
    resource,
    source,
    stamp_of,
    standing,
)

from publisher_daemon.model import (
    Abandon,
    Adopt,
    Attempt,
    Describe,
    Forget,
    Hold,
    Identify,
    Keep,
    RemoteDataset,
    Rename,
    Replace,
    ResourceId,
    State,
    Upload,
    Withdraw,
    Words,
)
from publisher_daemon.plan import action_key, dataset_trouble

AIR = RemoteDataset(DATASET, "air", "Air", "https://portal.example/air")


@pytest.mark.parametrize("name", ["{}.csv", "dir-{}/a.csv", "a {} b.csv"])
def test_a_name_that_holds_a_key_of_the_portal_is_not_published(name: str) -> None:
    for secret in ("udata_" + "aB3_-xYz9Q" * 6 + "abcd", f"eyJ{'a1' * 9}.eyJ{'b2' * 9}.{'c3' * 9}"):
        decided = decide(source(name.format(secret)))

        assert (kinds(decided), codes(decided)) == ([], ["key_in_name"])
        assert secret not in decided.holds[0].why


def test_a_long_name_that_only_begins_like_a_key_is_published() -> None:
    name = "udata_statistiques-annuelles-2026-par-commune-et-par-departement.csv"

    assert kinds(decide(source(name))) == ["Upload"]


@pytest.mark.parametrize(
    ("trouble", "code"),
    [
        ({"deleted": True}, "dataset_deleted"),
        ({"can_edit_resources": False}, "no_right"),
        ({"archived": True}, "dataset_archived"),
        ({"harvested": True}, "dataset_harvested"),
    ],
)
def test_a_dataset_that_cannot_be_published_on_holds_its_files(
    trouble: dict[str, Any], code: str
) -> None:
    dataset = replace(AIR, **trouble)
    moving = Hold(key("b.csv"), "not_settled", "It moves.", NOW + 1, State.PENDING)

    result = decide(source(), waiting=(moving,), dataset=dataset)

    assert result.actions == ()
    assert codes(result) == [code, code]
    assert "Air" in result.holds[0].why


def test_a_dataset_in_order_is_no_trouble() -> None:
    assert dataset_trouble(AIR) is None


def test_a_file_that_still_moves_is_left_alone() -> None:
    moving = Hold(key(), "not_settled", "It moves.", NOW + 1, State.PENDING)

    result = decide(entries=(entry(),), resources=(resource(),), waiting=(moving,))

    assert result.holds == (moving,)
    assert result.actions == ()


@pytest.mark.parametrize(("path", "word"), [("a.exe", ".exe"), ("README", "no usable")])
def test_a_kind_of_file_that_the_portal_refuses_is_held(path: str, word: str) -> None:
    result = decide(source(path), extensions=frozenset({"csv"}))

    assert codes(result) == ["extension_refused"]
    assert word in result.holds[0].why


def test_what_failed_waits_its_turn() -> None:
    failed = standing(code="unreachable", failures=2, not_before=NOW + 60, stamp=stamp_of("new"))

    (hold,) = decide(source(), standings=(failed,)).holds

    assert (hold.code, hold.why, hold.until) == ("unreachable", "Because.", NOW + 60)
    assert kinds(decide(source(), standings=(failed,), now=NOW + 61)) == ["Upload"]


def test_what_was_refused_waits_until_the_file_or_the_settings_change() -> None:
    refused = standing(failures=1, stamp=stamp_of("new"), settings="1", state=State.FAILED)

    (hold,) = decide(source(), standings=(refused,), settings="1").holds

    assert (hold.code, hold.state) == ("refused", State.FAILED)
    assert kinds(decide(source("a.csv", "x"), standings=(refused,), settings="1")) == ["Upload"]
    assert kinds(decide(source(), standings=(refused,), settings="2")) == ["Upload"]


@pytest.mark.parametrize("more", [{"forced": True}, {"failures": 0}])
def test_what_a_person_insists_on_or_never_failed_does_not_wait(more: dict[str, Any]) -> None:
    values: dict[str, Any] = {
        "failures": 1,
        "not_before": NOW + 60,
        "stamp": stamp_of("new"),
    } | more

    assert kinds(decide(source(), standings=(standing(**values),))) == ["Upload"]


def test_each_action_is_about_one_file() -> None:
    file, known, r1 = source(), entry(), ResourceId("r1")
    attempt = Attempt(id=1, key=key(), kind="upload", started_at=NOW)

    actions = (
        Upload(file),
        Replace(file, r1, None, None),
        Adopt(known, "why"),
        Rename(key("old.csv"), known),
        Abandon(attempt, "why"),
        Describe(key(), r1, Words(), Words()),
        Identify(key(), r1, identity()),
        Withdraw(key(), r1),
        Forget(key(), r1, "why"),
        Keep(key(), r1),
    )

    assert {action_key(action) for action in actions} == {key()}


def test_what_takes_away_comes_last() -> None:
    result = decide(
        source("new.csv", "fresh"),
        source("same.csv", "same"),
        entries=(
            entry("same.csv", "same", "r2"),
            entry("gone.csv", "gone", "r3", gone_since=NOW - 60),
            entry("x.csv", "x", "r4"),
        ),
        resources=(
            resource("r2", "same", title="same.csv"),
            resource("r3", "gone"),
            resource("r4", "x"),
        ),
        present=frozenset({key("new.csv"), key("same.csv"), key("x.csv")}),
        watches=(WITHDRAWING,),
    )

    assert kinds(result) == ["Upload", "Identify", "Withdraw"]
