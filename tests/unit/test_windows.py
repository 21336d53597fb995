"""Embargoes and quiet hours: when a file may go out, in the timezone of people."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from making import DATASET, codes, decide, entry, kinds, resource, source

from publisher_daemon.model import Checks, Plan, ResourceKey, Watch
from publisher_daemon.profile import Finding, Profile
from publisher_daemon.windows import are_hours, begins_at, instant, opens_at

PARIS = "Europe/Paris"
WATCH = Watch("air", "/srv/air", DATASET, quiet_hours=("08:00-18:00",))


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(PARIS)).timestamp()


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-12-01", "2026-12-01"),
        ("2026-12-01 08:00", "2026-12-01 08:00"),
        ("2026-12-01T08:30", "2026-12-01 08:30"),
        ("20261201", "2026-12-01"),
        ("2026-12-01 8h30", "2026-12-01 08:30"),
        ("2026-12-01T08:30:00Z", "2026-12-01 09:30"),
        ("2026-12-01T08:30:00+03:00", "2026-12-01 06:30"),
        ("20261201_083000", "2026-12-01 08:30"),
        ("20261201-0830", None),
        ("demain", None),
        ("2026-13-01", None),
    ],
)
def test_a_day_begins_at_midnight_where_people_are(text: str, meant: str | None) -> None:
    assert instant(text, PARIS) == (None if meant is None else at(meant))


def test_who_may_let_a_waiting_file_out_is_told_what_a_check_would_hold() -> None:
    torn = Profile(9, "zip", findings=(Finding("damaged", "It is cut off."),)).packed()
    asks = replace(WATCH, quiet_hours=(), checks=Checks(first_publication="ask"))
    for watch, file in (
        (WATCH, source(profile=torn, publish_after="2026-12-01")),
        (WATCH, source(profile=torn)),
        (asks, source(profile=torn)),
    ):
        (hold,) = decide(
            file, watches=(watch,), timezone=PARIS, now=at("2026-11-20 09:00")
        ).holds  # fmt: skip

        assert hold.code in {"embargo", "quiet_hours", "first_publication"}
        assert "But a check would hold it: It is cut off." in hold.why


@pytest.mark.parametrize(
    ("hours", "now", "opens"),
    [
        (("08:00-18:00",), "2026-11-20 07:59", "2026-11-20 07:59"),
        (("08:00-18:00",), "2026-11-20 08:00", "2026-11-20 18:00"),
        (("08:00-18:00",), "2026-11-20 18:00", "2026-11-20 18:00"),
        (("22:00-06:00",), "2026-11-20 23:00", "2026-11-21 06:00"),
        (("22:00-06:00",), "2026-11-21 05:00", "2026-11-21 06:00"),
        (("08:00-12:00", "12:00-18:00"), "2026-11-20 09:00", "2026-11-20 18:00"),
        (("18:00-24:00", "00:00-06:00"), "2026-11-20 19:00", "2026-11-21 06:00"),
    ],
)
def test_quiet_hours_end_when_the_clock_on_the_wall_says_so(
    hours: tuple[str, ...], now: str, opens: str
) -> None:
    assert opens_at(at(now), hours, PARIS) == at(opens)


@pytest.mark.parametrize(
    ("hours", "now", "begins"),
    [
        (("20:00-06:00",), "2026-11-20 12:00", "2026-11-20 20:00"),
        (("20:00-06:00",), "2026-11-20 20:00", "2026-11-20 20:00"),
        (("20:00-06:00",), "2026-11-21 05:59", "2026-11-21 05:59"),
        (("02:00-06:00",), "2026-11-20 12:00", "2026-11-21 02:00"),
        (("02:00-06:00", "12:00-14:00"), "2026-11-20 11:00", "2026-11-20 12:00"),
        ((), "2026-11-20 11:00", "2026-11-20 11:00"),
    ],
)
def test_hours_begin_when_the_clock_on_the_wall_says_so(
    hours: tuple[str, ...], now: str, begins: str
) -> None:
    assert begins_at(at(now), hours, PARIS) == at(begins)


def test_large_files_wait_for_their_hours_and_others_do_not() -> None:
    def publishing(text: str, now: str) -> Plan:
        return decide(
            source(text=text), large_file=5, large_file_hours=("20:00-06:00",), now=at(now),
            timezone=PARIS,
        )  # fmt: skip

    day = publishing("large", "2026-11-20 10:00")

    assert (codes(day), kinds(day)) == (["large_file_hours"], [])
    assert day.holds[0].until == at("2026-11-20 20:00")
    assert kinds(publishing("tiny", "2026-11-20 10:00")) == ["Upload"]
    assert kinds(publishing("large", "2026-11-20 21:00")) == ["Upload"]


def test_the_change_of_clocks_moves_the_end_of_quiet_hours_with_it() -> None:
    night = opens_at(at("2026-10-24 23:00"), ("22:00-06:00",), PARIS)

    assert night == at("2026-10-25 06:00")
    assert night - at("2026-10-24 23:00") == 8 * 3600


def test_hours_are_told_from_what_is_none() -> None:
    assert all(map(are_hours, ("08:00-18:00", "22:00-06:00", "18:00-24:00")))
    assert not any(map(are_hours, ("8-18", "08:00", "25:00-26:00", "08:00-24:30")))


def test_a_file_waits_for_its_day_and_says_until_when() -> None:
    early = decide(
        source(publish_after="2026-12-01 08:00"), now=at("2026-11-20 10:00"), timezone=PARIS
    )
    late = decide(
        source(publish_after="2026-12-01 08:00"), now=at("2026-12-01 08:00"), timezone=PARIS
    )

    assert (codes(early), early.holds[0].until) == (["embargo"], at("2026-12-01 08:00"))
    assert kinds(late) == ["Upload"]


def test_a_day_that_cannot_be_read_never_publishes_too_early() -> None:
    assert codes(decide(source(publish_after="bientôt"))) == ["embargo_unclear"]


def test_a_replacement_waits_for_the_end_of_quiet_hours() -> None:
    def replacing(now: str) -> Plan:
        return decide(
            source(), entries=(entry(text="old"),), resources=(resource(text="old"),),
            watches=(WATCH,), now=at(now), timezone=PARIS,
        )  # fmt: skip

    day, night = replacing("2026-11-20 10:00"), replacing("2026-11-20 20:00")

    assert (codes(day), kinds(day)) == (["quiet_hours"], [])
    assert day.holds[0].until == at("2026-11-20 18:00")
    assert kinds(night) == ["Replace"]


def test_a_person_may_let_these_bytes_out_before() -> None:
    file = source(publish_after="2099-01-01")
    released = {ResourceKey(DATASET, "air", "a.csv"): file.fingerprint.sha1}

    assert kinds(decide(file, released=released)) == ["Upload"]
