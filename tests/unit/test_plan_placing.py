"""New files: each is given its resource; only what has none is uploaded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from making import (
    NOW,
    WATCH,
    attempt,
    bytes_of,
    codes,
    decide,
    entry,
    identity,
    key,
    kinds,
    resource,
    source,
    standing,
)

from publisher_daemon.model import Adopt, AttemptKind, Rename, ResourceId, Upload, Watch, Words

PIN = ResourceId("r1")


def test_uploads_a_file_that_nothing_on_the_portal_matches() -> None:
    file = source()

    assert decide(file).actions == (Upload(file),)


def test_never_touches_a_resource_that_is_not_ours() -> None:
    other = resource("r9", "other", title="Other", served="other.csv")

    assert kinds(decide(source(), resources=(other,))) == ["Upload"]
    assert decide(resources=(other,)).actions == ()


# ------------------------------------------------------------------------------------- pinned


def test_a_pinned_resource_is_adopted_as_it_is() -> None:
    result = decide(source(pinned=PIN), resources=(resource("r1", "old", title="Theirs"),))

    (adopt,) = result.actions
    assert isinstance(adopt, Adopt)
    assert adopt.entry.fingerprint == bytes_of("old")
    assert adopt.entry.stamp is None


def test_a_pin_to_nothing_is_held() -> None:
    assert codes(decide(source(pinned=PIN))) == ["resource_not_found"]


def test_a_pin_to_a_link_is_held() -> None:
    link = resource("r1", filetype="remote")

    assert codes(decide(source(pinned=PIN), resources=(link,))) == ["remote_resource"]


def test_a_pin_to_another_file_s_resource_is_held() -> None:
    result = decide(
        source("b.csv", "b", pinned=PIN),
        entries=(entry("a.csv"),),
        resources=(resource("r1"),),
        present=frozenset({key("a.csv"), key("b.csv")}),
    )

    assert codes(result) == ["claimed_twice"]


def test_a_pin_follows_its_rule_when_the_file_before_has_gone() -> None:
    result = decide(
        source("2026.csv", "b", pinned=PIN),
        entries=(entry("2025.csv"),),
        resources=(resource("r1"),),
    )

    (rename,) = result.actions
    assert isinstance(rename, Rename)
    assert (rename.old, rename.entry.key) == (key("2025.csv"), key("2026.csv"))
    assert rename.entry.stamp is None


def test_two_files_for_one_pin_are_both_held() -> None:
    result = decide(
        source("a.csv", pinned=PIN), source("b.csv", pinned=PIN), resources=(resource("r1"),)
    )

    assert codes(result) == ["claimed_twice", "claimed_twice"]
    assert "b.csv" in result.holds[0].why


# ----------------------------------------------------------------------------------- identity


def test_adopts_the_resource_that_says_it_is_this_file() -> None:
    result = decide(
        source("a.csv", "newer"),
        resources=(resource("r1", "old", source=identity("a.csv", "old")),),
    )

    (adopt,) = result.actions
    assert isinstance(adopt, Adopt)
    assert adopt.entry.fingerprint == bytes_of("old")


def test_holds_when_the_bytes_under_our_identity_are_somebody_else_s() -> None:
    found = resource("r1", "theirs", source=identity("a.csv", "old"))

    result = decide(source(), resources=(found,))

    assert codes(result) == ["conflict"]


def test_a_person_may_say_that_ours_go_over_theirs() -> None:
    found = resource("r1", "theirs", source=identity("a.csv", "old"))
    asked = standing(code="conflict", forced=True)

    result = decide(source(), resources=(found,), standings=(asked,))

    assert kinds(result) == ["Adopt"]


def test_a_yes_to_something_else_is_not_a_yes_to_a_conflict() -> None:
    found = resource("r1", "theirs", source=identity("a.csv", "old"))
    asked = standing(code="unreachable", forced=True)

    result = decide(source(), resources=(found,), standings=(asked,))

    assert codes(result) == ["conflict"]


def test_an_identity_of_another_folder_is_not_ours_when_there_are_several() -> None:
    found = resource("r1", source=identity("a.csv", folder="elsewhere"), served="other.csv")
    watches = (WATCH, Watch("water", "/srv/water", WATCH.dataset))
    two = decide(source("a.csv", "x"), resources=(found,), watches=watches)
    one = decide(source("a.csv", "x"), resources=(found,))

    assert kinds(two) == ["Upload"]
    assert kinds(one) == ["Adopt"]


@pytest.mark.parametrize("title", ["Été.csv", "ete.csv"])
def test_a_title_that_is_only_the_file_s_name_is_followed_after_the_state_was_lost(
    title: str,
) -> None:
    found = resource("r1", title=title, served="ete.csv", source=identity("Été.csv"))

    (adopt,) = decide(source("Été.csv"), resources=(found,)).actions

    assert isinstance(adopt, Adopt)
    assert adopt.entry.applied == Words(title=title)


def test_a_title_that_a_person_chose_is_left_after_the_state_was_lost() -> None:
    found = resource("r1", title="Chosen", source=identity())

    (adopt,) = decide(source(), resources=(found,)).actions

    assert isinstance(adopt, Adopt)
    assert adopt.entry.applied == Words()


# ------------------------------------------------------------------------------------- renamed


def test_a_resource_that_says_a_later_name_follows_its_file_where_the_ledger_is_an_older_copy() -> (
    None
):
    known, found = entry("b.csv", "old"), resource("r1", "old", source=identity("c.csv", "old"))
    new, same = source("c.csv", "newer"), source("x.csv", "old")

    (rename,) = decide(new, entries=(known,), resources=(found,)).actions
    there = decide(new, source("b.csv", "old"), entries=(known,), resources=(found,))
    renamed = decide(new, same, entries=(known,), resources=(found,))

    assert isinstance(rename, Rename)
    assert (rename.old, rename.entry.key) == (key("b.csv"), key("c.csv"))
    assert "Rename" not in kinds(there), "its file is there"
    assert [one.entry.key for one in renamed.actions if isinstance(one, Rename)] == [same.key]


def test_a_renamed_file_keeps_its_resource() -> None:
    result = decide(source("b.csv"), entries=(entry("a.csv"),), resources=(resource("r1"),))

    (rename,) = result.actions
    assert isinstance(rename, Rename)
    assert (rename.old, rename.entry.key) == (key("a.csv"), key("b.csv"))
    assert rename.entry.stamp == source().stamp


def test_among_several_gone_files_the_one_of_that_name_was_moved() -> None:
    result = decide(
        source("new/b.csv"),
        entries=(entry("a.csv", name="r1"), entry("old/b.csv", name="r2")),
        resources=(resource("r1"), resource("r2")),
    )

    (rename,) = [action for action in result.actions if isinstance(action, Rename)]
    assert rename.old == key("old/b.csv")


def test_a_file_that_is_not_proven_gone_was_not_renamed() -> None:
    copied = decide(
        source("b.csv"),
        entries=(entry("a.csv"),),
        resources=(resource("r1"),),
        present=frozenset({key("a.csv"), key("b.csv")}),
    )

    assert kinds(copied) == ["Upload"]


def test_a_renamed_file_whose_resource_was_removed_is_not_published_again() -> None:
    result = decide(source("b.csv"), entries=(entry("a.csv"),))

    assert kinds(result) == ["Rename"]


def test_a_folder_that_was_given_another_name_keeps_its_resources() -> None:
    moved = source("a.csv", "changed too", folder="renamed")

    result = decide(
        moved,
        entries=(entry("a.csv", "old"), entry("b.csv", "changed too", "r2")),
        resources=(resource("r1", "old"), resource("r2", "changed too")),
        watches=(Watch("renamed", "/srv/renamed", WATCH.dataset),),
    )

    (rename,) = result.actions
    assert isinstance(rename, Rename)
    assert rename.old == key("a.csv")
    assert rename.entry.stamp is None


# ------------------------------------------------------------------------------- by its bytes


def test_adopts_what_already_holds_these_very_bytes() -> None:
    found = resource("r1", title="Anything", served="anything.csv")

    (adopt,) = decide(source(), resources=(found,)).actions

    assert isinstance(adopt, Adopt)
    assert adopt.entry.stamp == source().stamp


def test_prefers_among_equals_the_one_of_the_file_s_name() -> None:
    named, other = resource("r2", title="a.csv"), resource("r1", title="x", served="x.csv")

    (adopt,) = decide(source(), resources=(other, named)).actions

    assert isinstance(adopt, Adopt)
    assert adopt.entry.resource == "r2"


def test_leaves_a_resource_to_the_file_of_its_name() -> None:
    found = resource("r1", title="b.csv", served="b.csv")

    result = decide(source("a.csv"), source("b.csv"), resources=(found,))

    adopted = [action.entry.key for action in result.actions if isinstance(action, Adopt)]
    assert adopted == [key("b.csv")]
    assert kinds(result) == ["Adopt", "Upload"]


def test_holds_a_file_that_could_be_several_resources() -> None:
    twins = (resource("r1", title="x", served="x"), resource("r2", title="y", served="y"))

    result = decide(source(), resources=twins)

    assert codes(result) == ["ambiguous"]
    assert "(r1)" in result.holds[0].why


def test_a_file_renamed_while_the_state_was_lost_is_adopted_by_its_bytes() -> None:
    found = resource("r1", source=identity("old-name.csv"), served="old-name.csv", title="Old")

    assert kinds(decide(source("b.csv"), resources=(found,))) == ["Adopt"]


def test_the_same_bytes_under_another_present_file_s_identity_are_not_taken() -> None:
    found = resource("r1", source=identity("other.csv"), served="other.csv", title="Other")
    there = frozenset({key("b.csv"), key("other.csv")})

    assert kinds(decide(source("b.csv"), resources=(found,), present=there)) == ["Upload"]


def test_the_same_bytes_of_a_folder_watched_elsewhere_are_not_taken() -> None:
    found = resource("r1", source=identity("x.csv", folder="far"), served="x.csv", title="X")

    assert kinds(decide(source("b.csv"), resources=(found,))) == ["Upload"]


@pytest.mark.parametrize(
    ("title", "served"),
    [("a.csv", "zzz.csv"), ("zzz", "a.csv"), ("Chosen", "zzz.csv")],
)
def test_holds_a_file_whose_name_a_colleague_s_resource_has(title: str, served: str) -> None:
    found = resource("r1", "theirs", title=title, served=served)

    result = decide(source(title="Chosen"), resources=(found,))

    assert codes(result) == ["same_name"]
    assert "r1" in result.holds[0].why


def test_the_same_bytes_under_the_identity_of_a_file_that_has_another_resource_are_taken() -> None:
    stale = resource("r1", source=identity("other.csv"), served="other.csv", title="Other")
    other = resource("r2", "other", source=identity("other.csv", "other"), served="other.csv")

    result = decide(
        source("b.csv"),
        entries=(entry("other.csv", "other", "r2"),),
        resources=(stale, other),
        present=frozenset({key("b.csv"), key("other.csv")}),
    )

    assert kinds(result) == ["Adopt"]


def test_a_file_renamed_during_a_lost_upload_waits_for_its_answer() -> None:
    result = decide(source("b.csv"), attempts=(attempt("upload", "a.csv"),))

    assert result.actions == ()
    assert {(hold.key.path, hold.code, hold.until) for hold in result.holds} == {
        ("a.csv", "outcome_unknown", NOW + 29 + 3 / (10 * 1024 * 1024)),
        ("b.csv", "outcome_unknown", NOW + 29 + 3 / (10 * 1024 * 1024)),
    }


@pytest.mark.parametrize("kind", ["describe", "identify", "replace", "withdraw"])
def test_a_file_renamed_while_something_is_not_answered_keeps_its_resource(
    kind: AttemptKind,
) -> None:
    known: dict[str, Any] = {"entries": (entry("a.csv"),), "resources": (resource("r1"),)}
    asked = attempt(kind, "a.csv", "other bytes", resource=ResourceId("r1"), words=Words(title="B"))
    late = replace(asked, started_at=NOW - 60)

    waiting = decide(source("b.csv"), attempts=(asked,), **known)
    answered = decide(source("b.csv"), attempts=(late,), **known)

    assert (kinds(waiting), codes(waiting)) == ([], ["outcome_unknown", "outcome_unknown"])
    assert kinds(answered) == ["Abandon"]
    assert kinds(decide(source("b.csv"), **known)) == ["Rename"]


def test_a_file_renamed_during_a_lost_upload_is_not_uploaded_while_its_answer_is_noted() -> None:
    done = decide(
        source("b.csv"), attempts=(attempt("upload", "a.csv"),), resources=(resource("r1"),)
    )
    never = decide(source("b.csv"), attempts=(attempt("upload", "a.csv", started_at=NOW - 60),))

    assert kinds(done) == ["Adopt"]
    assert kinds(never) == ["Abandon"]
