"""Known files: what changed is replaced, the ledger is repaired, the words are seen to."""

from __future__ import annotations

import pytest
from making import (
    NOW,
    bytes_of,
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
    Adopt,
    Describe,
    Forget,
    Identify,
    Plan,
    Replace,
    ResourceId,
    Words,
)

R1 = ResourceId("r1")


# ------------------------------------------------------------------------------------ the bytes


def test_replaces_the_resource_when_the_file_changed() -> None:
    file = source("a.csv", "newer")

    result = decide(file, entries=(entry(),), resources=(resource(title="Chosen"),))

    assert result.actions == (Replace(file, R1, bytes_of("new"), "Chosen"),)


def test_does_nothing_when_nothing_differs() -> None:
    result = decide(source(), entries=(entry(),), resources=(resource(source=identity()),))

    assert result == Plan()


def test_dates_decide_nothing_that_the_portal_writes_in_two_precisions() -> None:
    dates = ("2026-11-21T08:00:00.123456+00:00", "2026-11-21T08:00:00.123+00:00", "2031-01-01", "")
    for date in dates:
        shown = resource(source=identity(), created_at=date, last_modified=date)
        assert decide(source(), entries=(entry(),), resources=(shown,)) == Plan()


def test_sends_nothing_when_only_the_stat_changed() -> None:
    known = entry(stamp=stamp_of("touched"))

    (adopt,) = decide(source(), entries=(known,), resources=(resource(source=identity()),)).actions

    assert isinstance(adopt, Adopt)
    assert adopt.entry.stamp == source().stamp


def test_a_file_that_came_back_is_not_gone_any_more() -> None:
    known = entry(gone_since=NOW - 60)

    (adopt,) = decide(source(), entries=(known,), resources=(resource(source=identity()),)).actions

    assert isinstance(adopt, Adopt)
    assert adopt.entry.gone_since is None


def test_takes_note_when_a_colleague_put_the_file_s_own_bytes_there() -> None:
    result = decide(
        source("a.csv", "newer"),
        entries=(entry("a.csv", "new"),),
        resources=(resource("r1", "newer", source=identity("a.csv", "newer")),),
    )

    (adopt,) = result.actions
    assert isinstance(adopt, Adopt)
    assert adopt.entry.fingerprint == bytes_of("newer")


def test_never_goes_over_what_a_colleague_put_there() -> None:
    result = decide(
        source("a.csv", "newer"), entries=(entry(),), resources=(resource("r1", "theirs"),)
    )

    assert codes(result) == ["conflict"]
    assert "retry" in result.holds[0].why


def test_what_we_put_there_ourselves_with_another_ledger_is_told_as_that() -> None:
    ours = resource("r1", "later", source=identity("a.csv", "later"))

    result = decide(source("a.csv", "newer"), entries=(entry(),), resources=(ours,))

    assert codes(result) == ["conflict"]
    assert "older copy" in result.holds[0].why


def test_goes_over_a_colleague_s_bytes_when_a_person_says_so() -> None:
    asked = standing(code="conflict", forced=True)

    result = decide(
        source("a.csv", "newer"),
        entries=(entry(),),
        resources=(resource("r1", "theirs"),),
        standings=(asked,),
    )

    assert kinds(result) == ["Replace"]


def test_replaces_bytes_that_the_portal_has_no_checksum_of() -> None:
    result = decide(source(), entries=(entry(),), resources=(resource("r1", None),))

    assert kinds(result) == ["Replace"]


def test_puts_back_the_title_of_before_two_replacements_in_a_row() -> None:
    known = entry(restore="Chosen", reset_to="a.csv")

    (action,) = decide(
        source("a.csv", "newer"), entries=(known,), resources=(resource(title="a.csv"),)
    ).actions

    assert isinstance(action, Replace)
    assert action.title == "Chosen"


def test_a_resource_that_became_a_link_is_held() -> None:
    link = resource(filetype="remote")

    assert codes(decide(source(), entries=(entry(),), resources=(link,))) == ["remote_resource"]


def test_what_a_colleague_removed_is_not_published_again() -> None:
    result = decide(source(), entries=(entry(),))

    assert codes(result) == ["removed_on_portal"]


def test_what_a_colleague_removed_is_published_again_when_a_person_says_so() -> None:
    asked = standing(code="removed_on_portal", forced=True)

    result = decide(source(), entries=(entry(),), standings=(asked,))

    assert kinds(result) == ["Forget"]


# ------------------------------------------------------------------------------------- its pin


def test_a_file_that_is_given_another_resource_leaves_its_own() -> None:
    result = decide(
        source(pinned=ResourceId("r2")),
        entries=(entry(),),
        resources=(resource("r1"), resource("r2", "other")),
    )

    (action,) = result.actions
    assert isinstance(action, Forget)
    assert action.resource == R1


def test_a_person_may_pin_another_resource_in_place_of_one_that_was_removed() -> None:
    result = decide(
        source(pinned=ResourceId("r2")), entries=(entry(),), resources=(resource("r2", "other"),)
    )

    assert kinds(result) == ["Forget"]


@pytest.mark.parametrize(
    ("other", "code"),
    [
        (None, "resource_not_found"),
        (resource("r2", filetype="remote"), "remote_resource"),
    ],
)
def test_a_file_keeps_its_resource_when_the_pinned_one_cannot_be_taken(
    other: object, code: str
) -> None:
    resources = (resource("r1"),) if other is None else (resource("r1"), other)

    result = decide(
        source(pinned=ResourceId("r2")),
        entries=(entry(),),
        resources=resources,  # type: ignore[arg-type] # one of the two above
    )

    assert codes(result) == [code]
    assert result.actions == ()


def test_a_file_keeps_its_resource_when_the_pinned_one_is_another_file_s() -> None:
    result = decide(
        source(pinned=ResourceId("r2")),
        entries=(entry(), entry("b.csv", "b", "r2")),
        resources=(resource("r1"), resource("r2", "b")),
        present=frozenset({key("a.csv"), key("b.csv")}),
    )

    assert codes(result) == ["claimed_twice"]


# ------------------------------------------------------------------------------------ the words


def test_puts_the_title_back_and_says_who_it_is_in_one_request() -> None:
    known = entry(restore="Chosen", reset_to="a.csv", applied=Words(title="a.csv"))

    (action,) = decide(source(), entries=(known,), resources=(resource(),)).actions

    assert isinstance(action, Describe)
    assert action.words == Words(title="Chosen")
    assert action.identity == identity()


def test_a_title_that_a_person_wrote_after_the_reset_stays() -> None:
    known = entry(restore="Before", reset_to="a.csv")

    result = decide(
        source(), entries=(known,), resources=(resource(title="After", source=identity()),)
    )

    (adopt,) = result.actions
    assert isinstance(adopt, Adopt)
    assert adopt.entry.restore is None


def test_says_who_it_is_when_only_that_is_missing() -> None:
    result = decide(source(), entries=(entry(),), resources=(resource(),))

    assert result.actions == (Identify(key(), R1, identity()),)


def test_notes_the_ledger_s_lag_and_the_identity_together() -> None:
    known = entry(stamp=None)

    assert kinds(decide(source(), entries=(known,), resources=(resource(),))) == [
        "Adopt",
        "Identify",
    ]


def test_notes_the_ledger_s_lag_and_the_words_together() -> None:
    known = entry(stamp=None, applied=Words())

    result = decide(
        source(title="New title"), entries=(known,), resources=(resource(source=identity()),)
    )

    assert kinds(result) == ["Adopt", "Describe"]


def test_applies_what_the_configuration_newly_says() -> None:
    words = Words(title="Title", description="Text", type="documentation", schema="s")

    (action,) = decide(
        source(title="Title", words=words),
        entries=(entry(),),
        resources=(resource(source=identity()),),
    ).actions

    assert isinstance(action, Describe)
    assert action.words == words
    assert action.applied == words
    assert action.identity is None


def test_keeps_and_reports_what_a_colleague_wrote_over_the_configuration() -> None:
    known = entry(applied=Words(title="Ours"))
    shown = resource(title="Theirs", source=identity())

    kept = decide(source(title="Ours"), entries=(known,), resources=(shown,))
    enforced = decide(
        source(title="Ours"), entries=(known,), resources=(shown,), on_drift="enforce"
    )

    assert kept == Plan(drifts=((key(), "title", "Ours", "Theirs"),))
    assert kinds(enforced) == ["Describe"]


def test_holds_and_reports_what_both_changed() -> None:
    known = entry(applied=Words(title="Before"))
    shown = resource(title="Theirs", source=identity())

    held = decide(source(title="Ours"), entries=(known,), resources=(shown,))

    assert held == Plan(clashes=((key(), "title", "Ours", "Theirs"),))


def test_a_better_title_than_the_file_s_name_is_no_drift() -> None:
    shown = resource(title="Better", source=identity())

    assert decide(source(), entries=(entry(),), resources=(shown,)) == Plan()


def test_a_title_that_is_the_file_s_name_follows_a_renaming() -> None:
    known = entry("b.csv", applied=Words(title="a.csv"))

    (action,) = decide(
        source("b.csv"),
        entries=(known,),
        resources=(resource(title="a.csv", source=identity("b.csv")),),
    ).actions

    assert isinstance(action, Describe)
    assert action.words == Words(title="b.csv")


def test_an_adopted_resource_keeps_its_title_when_nobody_configured_one() -> None:
    known = entry(applied=Words())
    shown = resource(title="By hand", source=identity())

    assert decide(source(), entries=(known,), resources=(shown,)) == Plan()


def test_what_is_not_configured_any_more_stays_as_it_is() -> None:
    known = entry(applied=Words(title="a.csv", description="D"))
    shown = resource(description="D", source=identity())

    (adopt,) = decide(source(), entries=(known,), resources=(shown,)).actions

    assert isinstance(adopt, Adopt)
    assert adopt.entry.applied == Words(title="a.csv")
