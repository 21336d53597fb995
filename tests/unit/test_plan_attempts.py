"""What was asked and never answered is looked for before anything is decided."""

from __future__ import annotations

from dataclasses import replace

from making import (
    NOW,
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
)

from publisher_daemon.model import (
    Abandon,
    Adopt,
    Describe,
    Forget,
    Policy,
    ResourceId,
    State,
    Words,
)
from publisher_daemon.plan import deadline


def test_an_upload_that_is_there_is_adopted_with_its_title_to_put_back() -> None:
    asked = attempt("upload", "l'été.csv", title="L'été", name="lete.csv")
    found = resource("r1", title="lete.csv", served="lete.csv")

    result = decide(source("l'été.csv"), attempts=(asked,), resources=(found,))

    (adopt,) = result.actions
    assert isinstance(adopt, Adopt)
    assert adopt.attempt == asked.id
    assert adopt.entry.resource == "r1"
    assert (adopt.entry.restore, adopt.entry.reset_to) == ("L'été", "lete.csv")
    assert adopt.entry.applied == Words(title="L'été")


def test_an_upload_is_adopted_even_if_its_file_has_gone_or_changed_since() -> None:
    gone = decide(attempts=(attempt("upload"),), resources=(resource("r1"),))
    changed = decide(
        source("a.csv", "newer"), attempts=(attempt("upload"),), resources=(resource("r1"),)
    )

    assert kinds(gone) == ["Adopt"]
    assert kinds(changed) == ["Adopt"]


def test_an_upload_without_an_answer_is_waited_for_before_it_is_sent_again() -> None:
    result = decide(source(), attempts=(attempt("upload"),))

    assert result.actions == ()
    (hold,) = result.holds
    assert (hold.code, hold.state) == ("outcome_unknown", State.PENDING)
    assert hold.until == deadline(attempt("upload"), Policy())


def test_an_upload_is_abandoned_once_the_portal_cannot_do_it_any_more() -> None:
    result = decide(source(), attempts=(attempt("upload", started_at=NOW - 31),))

    assert kinds(result) == ["Abandon"]


def test_an_upload_whose_end_was_never_sent_is_abandoned_at_once() -> None:
    result = decide(source(), attempts=(attempt("upload", sent=False),))

    assert kinds(result) == ["Abandon"]


def test_the_grace_counts_from_the_last_byte_however_long_the_others_took() -> None:
    slow = attempt("upload", started_at=NOW - 600, sent_at=NOW - 1)

    result = decide(source(), attempts=(slow,))

    assert codes(result) == ["outcome_unknown"]
    assert deadline(slow, Policy(grace=30)) > NOW + 28


def test_a_replacement_that_is_there_is_adopted_with_its_title_to_put_back() -> None:
    asked = attempt("replace", resource=ResourceId("r1"), before=bytes_of("old"), title="Chosen")
    known = entry("a.csv", "old")

    result = decide(source(), entries=(known,), attempts=(asked,), resources=(resource("r1"),))

    (adopt,) = result.actions
    assert isinstance(adopt, Adopt)
    assert adopt.entry.fingerprint == bytes_of("new")
    assert (adopt.entry.restore, adopt.entry.reset_to) == ("Chosen", "a.csv")


def test_a_replacement_that_is_not_there_is_waited_for_and_then_abandoned() -> None:
    asked = attempt("replace", resource=ResourceId("r1"), before=bytes_of("old"))
    known, found = entry("a.csv", "old"), resource("r1", "old")

    soon = decide(source(), entries=(known,), attempts=(asked,), resources=(found,))
    late = decide(source(), entries=(known,), attempts=(asked,), resources=(found,), now=NOW + 60)

    assert codes(soon) == ["outcome_unknown"]
    assert kinds(late) == ["Abandon"]


def test_a_replacement_may_still_come_after_a_colleague_put_other_bytes() -> None:
    asked = attempt("replace", resource=ResourceId("r1"), before=bytes_of("old"))
    known, found = entry("a.csv", "old"), resource("r1", "a colleague's")

    result = decide(source(), entries=(known,), attempts=(asked,), resources=(found,))

    assert codes(result) == ["outcome_unknown"]


def test_a_replacement_of_a_resource_that_is_gone_is_abandoned() -> None:
    asked = attempt("replace", resource=ResourceId("r1"), before=bytes_of("old"))

    result = decide(source(), entries=(entry("a.csv", "old"),), attempts=(asked,))

    assert kinds(result) == ["Abandon"]


def test_two_lost_uploads_of_the_same_bytes_each_get_their_own_resource() -> None:
    first = attempt("upload", "a.csv", id=1)
    second = attempt("upload", "b.csv", id=2)
    only = resource("r1", title="b.csv", served="b.csv")

    result = decide(source("a.csv"), source("b.csv"), attempts=(first, second), resources=(only,))

    (adopt,) = result.actions
    assert isinstance(adopt, Adopt)
    assert adopt.entry.key == key("b.csv")
    assert [hold.key for hold in result.holds] == [key("a.csv")]


def test_an_upload_does_not_take_a_colleague_s_resource_with_the_same_bytes() -> None:
    found = resource("r1", title="a.csv", served="a-colleague-s.csv")

    result = decide(attempts=(attempt("upload", started_at=NOW - 60),), resources=(found,))

    assert kinds(result) == ["Abandon"]


def test_an_upload_never_takes_a_resource_that_says_it_is_another_file() -> None:
    found = resource("r1", source=identity("other.csv"))

    result = decide(
        source(), attempts=(attempt("upload", started_at=NOW - 60),), resources=(found,)
    )

    assert kinds(result) == ["Abandon"]


def test_a_withdrawal_that_was_done_is_forgotten_and_closed() -> None:
    asked = attempt("withdraw", resource=ResourceId("r1"))

    result = decide(entries=(entry(),), attempts=(asked,))

    assert {type(action) for action in result.actions} == {Forget, Abandon}


def test_a_withdrawal_that_was_not_done_is_waited_for() -> None:
    asked = attempt("withdraw", resource=ResourceId("r1"))

    result = decide(entries=(entry(),), attempts=(asked,), resources=(resource("r1"),))

    assert codes(result) == ["outcome_unknown"]


def test_a_withdrawal_that_was_done_does_not_forget_the_file_s_next_resource() -> None:
    asked = attempt("withdraw", resource=ResourceId("r1"))

    result = decide(
        source(),
        entries=(entry(name="r2"),),
        attempts=(asked,),
        resources=(resource("r2"),),
    )

    assert kinds(result) == ["Abandon"]


def test_words_that_are_there_close_their_attempt() -> None:
    asked = attempt("describe", resource=ResourceId("r1"), words=Words(title="A"))

    result = decide(attempts=(asked,), resources=(resource("r1", title="A"),))

    assert kinds(result) == ["Abandon"]


def test_words_that_are_there_are_ours_even_if_their_file_has_another_name_by_now() -> None:
    asked = attempt("describe", "b.csv", resource=ResourceId("r1"), words=Words(title="b.csv"))
    known, found = entry("b.csv", applied=Words(title="a.csv")), resource("r1", title="b.csv")

    first = decide(source("c.csv"), entries=(known,), attempts=(asked,), resources=(found,))
    (adopted,) = (action for action in first.actions if isinstance(action, Adopt))
    renamed = replace(adopted.entry, key=key("c.csv"))
    second = decide(source("c.csv"), entries=(renamed,), resources=(found,))

    assert kinds(first) == ["Adopt", "Abandon"], "known before it is closed"
    (told,) = (action for action in second.actions if isinstance(action, Describe))
    assert told.words == Words(title="c.csv")
    assert second.drifts == second.clashes == ()


def test_a_title_that_was_put_back_is_not_ours_for_that() -> None:
    asked = attempt("describe", resource=ResourceId("r1"), words=Words(title="Theirs"))
    known = entry(restore="Theirs", reset_to="a.csv")

    result = decide(
        source(), entries=(known,), attempts=(asked,), resources=(resource("r1", title="Theirs"),)
    )

    assert kinds(result) == ["Abandon"]


def test_words_that_are_not_there_yet_are_waited_for() -> None:
    asked = attempt("describe", resource=ResourceId("r1"), words=Words(title="A"))

    result = decide(attempts=(asked,), resources=(resource("r1", title="B"),))

    assert codes(result) == ["outcome_unknown"]


def test_an_identity_that_may_still_come_is_waited_for_unless_its_resource_is_gone() -> None:
    asked = attempt("identify", resource=ResourceId("r1"))

    there = decide(attempts=(asked,), resources=(resource("r1"),))
    gone = decide(attempts=(asked,))

    assert codes(there) == ["outcome_unknown"]
    assert kinds(gone) == ["Abandon"]
