"""Files that are gone: their resource is kept, or withdrawn within its caps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from making import (
    NOW,
    WITHDRAWING,
    codes,
    decide,
    entry,
    key,
    kinds,
    resource,
    source,
    standing,
)

from publisher_daemon.model import (
    Entry,
    Hold,
    Identify,
    Identity,
    Keep,
    Plan,
    RemoteResource,
    ResourceId,
    State,
    Withdraw,
)
from publisher_daemon.plan import allowed_withdrawals

LONG_AGO = NOW - 3600


def gone(number: int, **more: object) -> Entry:
    return entry(f"gone-{number}.csv", f"bytes {number}", f"g{number}", gone_since=LONG_AGO, **more)


def its_resource(number: int) -> RemoteResource:
    return resource(f"g{number}", f"bytes {number}", served=f"gone-{number}.csv")


def withdraw(count: int, staying: int = 10, **more: object) -> Plan:
    """Plan for a folder that lost ``count`` files and still has ``staying``."""
    stays = [entry(f"{n}.csv", f"stays {n}", f"s{n}") for n in range(staying)]
    shown = [resource(f"s{n}", f"stays {n}", served=f"{n}.csv") for n in range(staying)]
    values = {
        "entries": (*(gone(n) for n in range(count)), *stays),
        "resources": (*(its_resource(n) for n in range(count)), *shown),
        "present": frozenset(one.key for one in stays),
        "watches": (WITHDRAWING,),
    }
    return decide(**(values | more))  # type: ignore[arg-type] # a test's own shorthand


def test_the_resource_of_a_file_that_is_gone_is_kept() -> None:
    result = decide(entries=(entry(),), resources=(resource(),))

    assert result.actions == (Keep(key(), ResourceId("r1")),)


def test_what_is_kept_stays_as_it_is() -> None:
    assert decide(entries=(gone(1),), resources=(known(its_resource(1)),)) == Plan()


def known(found: RemoteResource, path: str = "gone-1.csv") -> RemoteResource:
    """The resource with its file's identity."""
    return replace(found, source=Identity("air", path, found.sha1 or ""))


@pytest.mark.parametrize("said", [None, Identity("air", "its-name-before.csv", "a" * 40)])
def test_what_is_kept_is_told_whose_it_is(said: Identity | None) -> None:
    found = replace(its_resource(1), source=said)

    result = decide(entries=(gone(1),), resources=(found,))

    identity = Identity("air", "gone-1.csv", found.sha1 or "")
    assert result.actions == (Identify(key("gone-1.csv"), found.id, identity),)


def test_what_is_kept_is_not_told_whose_it_is_when_others_changed_it() -> None:
    found = resource("g1", "somebody else's", served="gone-1.csv")

    assert decide(entries=(gone(1),), resources=(found,)) == Plan()


def test_forgets_what_is_neither_in_the_folder_nor_on_the_portal() -> None:
    assert kinds(decide(entries=(entry(),))) == ["Forget"]


def test_a_file_that_nothing_proves_gone_is_left_alone() -> None:
    assert decide(entries=(entry(),), resources=(resource(),), complete=False) == Plan()


def test_a_folder_that_is_not_watched_any_more_is_left_alone() -> None:
    assert decide(entries=(entry(folder="before"),), resources=(resource(),)) == Plan()


def test_withdraws_only_after_the_file_has_been_gone_for_a_while() -> None:
    just = entry(gone_since=NOW - 1)

    result = decide(entries=(just,), resources=(resource(),), watches=(WITHDRAWING,))

    (hold,) = result.holds
    assert (hold.code, hold.until, hold.state) == ("withdraw_wait", NOW + 9, State.PENDING)


def test_withdraws_one_of_several() -> None:
    result = withdraw(1)

    assert result.actions == (Withdraw(key("gone-0.csv"), ResourceId("g0")),)


def test_never_withdraws_more_than_its_share_at_once() -> None:
    result = withdraw(4, 10)

    assert result.actions == ()
    assert codes(result) == ["too_many_withdrawals"] * 4
    assert "retry --yes" in result.holds[0].why


def test_a_person_may_say_yes_to_more_than_the_alarm_but_not_to_more_than_the_share() -> None:
    assert codes(withdraw(3, 8)) == ["too_many_withdrawals"] * 3
    assert kinds(withdraw(3, 8, yes=True)) == ["Withdraw"] * 3
    assert codes(withdraw(5, 8, yes=True)) == ["too_many_withdrawals"] * 5


def test_a_person_may_say_yes_to_the_files_themselves() -> None:
    told = standing("gone-0.csv", "too_many_withdrawals", forced=True)

    assert kinds(withdraw(3, 8, standings=(told,))) == ["Withdraw"] * 3


def test_files_that_vanish_one_after_the_other_vanish_together() -> None:
    later = tuple(
        entry(f"later-{n}.csv", f"later {n}", f"l{n}", gone_since=NOW - 1) for n in range(9)
    )
    shown = (its_resource(0), *(resource(f"l{n}", f"later {n}") for n in range(9)))
    stays = tuple(entry(f"{n}.csv", f"stays {n}", f"s{n}") for n in range(10))

    result = decide(
        entries=(gone(0), *later, *stays),
        resources=(*shown, *(resource(f"s{n}", f"stays {n}") for n in range(10))),
        present=frozenset(one.key for one in stays),
        watches=(WITHDRAWING,),
    )

    assert result.actions == ()
    assert sorted(codes(result)) == ["too_many_withdrawals"] + ["withdraw_wait"] * 9
    assert "10 of the folder's 20" in result.holds[0].why


@pytest.mark.parametrize("how", ["named", "dim"])
def test_withdraws_only_after_a_look_at_everything_that_met_no_error(how: str) -> None:
    partly: dict[str, Any] = {how: frozenset({"air"})}
    result = withdraw(1, **partly)

    (hold,) = result.holds
    assert (hold.code, hold.state) == ("withdraw_wait", State.PENDING)
    assert hold.until == NOW + (1 if how == "named" else 60)


def test_never_withdraws_the_last_resource_of_a_folder() -> None:
    result = withdraw(1, 0, yes=True)

    assert codes(result) == ["too_many_withdrawals"]
    assert "last" in result.holds[0].why


def test_a_withdrawal_that_failed_waits_its_turn() -> None:
    failed = standing("gone-0.csv", "unreachable", failures=1, not_before=NOW + 60)

    assert codes(withdraw(1, standings=(failed,))) == ["unreachable"]
    assert kinds(withdraw(1, standings=(failed,), now=NOW + 61)) == ["Withdraw"]


@pytest.mark.parametrize("more", [{"forced": True}, {"failures": 0, "not_before": None}])
def test_a_withdrawal_does_not_wait_when_nothing_failed_or_a_person_insists(
    more: dict[str, object],
) -> None:
    values = {"failures": 1, "not_before": NOW + 60} | more
    told = standing("gone-0.csv", "unreachable", **values)

    assert kinds(withdraw(1, standings=(told,))) == ["Withdraw"]


@pytest.mark.parametrize(
    ("owned", "share", "yes", "allowed"),
    [
        (0, 0.3, False, -1),
        (1, 1.0, True, 0),
        (2, 0.3, False, 1),
        (10, 0.3, False, 2),
        (10, 0.3, True, 3),
        (1000, 0.3, False, 10),
        (1000, 1.0, True, 999),
    ],
)
def test_how_many_may_be_withdrawn_at_once(
    *, owned: int, share: float, yes: bool, allowed: int
) -> None:
    assert allowed_withdrawals(owned, share, yes=yes) == allowed


def test_never_withdraws_what_a_colleague_put_there() -> None:
    theirs = resource("g0", "a colleague's bytes")
    others = tuple(resource(f"s{n}", f"stays {n}") for n in range(10))

    result = withdraw(1, resources=(theirs, *others))

    assert codes(result) == ["conflict"]


def test_nothing_is_withdrawn_while_a_new_file_that_may_be_the_same_still_moves() -> None:
    moving = Hold(key("new.csv"), "not_settled", "It still moves.", NOW + 5, State.PENDING)

    result = withdraw(1, waiting=(moving,))

    assert codes(result) == ["withdraw_wait", "not_settled"]


def test_a_new_file_that_waits_for_its_producer_keeps_no_other_waiting() -> None:
    unmarked = Hold(key("new.csv"), "waits_for_marker", "It waits.", None, State.PENDING)

    result = withdraw(1, waiting=(unmarked,))

    assert kinds(result) == ["Withdraw"]


def test_a_renamed_file_is_not_withdrawn() -> None:
    result = decide(
        source("moved.csv", "bytes 0"),
        entries=(gone(0), entry("stays.csv", "stays", "s0")),
        resources=(its_resource(0), resource("s0", "stays")),
        present=frozenset({key("moved.csv"), key("stays.csv")}),
        watches=(WITHDRAWING,),
    )

    assert kinds(result) == ["Rename"]
