"""Series: what names say of age, and which file of a series is published."""

from __future__ import annotations

import pytest
from making import DATASET, bytes_of, codes, decide, entry, identity, key, kinds, resource, source
from making import standing as stand

from publisher_daemon.model import (
    Keep,
    Rename,
    ResourceId,
    Rollback,
    Rule,
    SourceFile,
    State,
    Upload,
    Watch,
    Withdraw,
    Words,
)
from publisher_daemon.profile import Profile
from publisher_daemon.series import families, member, newer, ordering, set_aside

LATEST = Rule("mesures_{date}.csv", keep="latest", words=Words(title="Mesures du {date}"))
WINDOW = Rule("mesures_{date}.csv", keep="last", last=2, when_left="withdraw")


def watch(*rules: Rule, **more: object) -> Watch:
    return Watch("air", "/srv/air", DATASET, rules=rules, **more)  # type: ignore[arg-type]


def age(name: str, pattern: str = "{date}.csv", order: tuple[str, ...] = ()) -> object:
    found = member(watch(Rule(pattern, keep="latest", order=order)), f"{name}.csv")
    assert found is not None
    return found[1]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("2026-11-20", (2026, 11, 20)),
        ("20261120", (2026, 11, 20)),
        ("2026_11_20", (2026, 11, 20)),
        ("20-11-2026", (2026, 11, 20)),
        ("20112026", (2026, 11, 20)),
        ("2026-11-20T0630", (2026, 11, 20, 6, 30)),
        ("2026-11", (2026, 11)),
        ("2026-W47", (2026, 11, 16)),
        ("2026", (2026,)),
        ("2026-13-40", None),
        ("2026-11-20 (1)", None),
        ("hier", None),
    ],
)
def test_a_date_is_read_in_the_forms_people_write(name: str, value: object) -> None:
    assert age(name) == value


@pytest.mark.parametrize(
    ("pattern", "name", "value"),
    [
        ("{mois}_{annee}.csv", "mars_2026", (2026, 3)),
        ("{month}_{year}.csv", "03_26", (2026, 3)),
        ("T{trimestre}-{an}.csv", "T3-2026", (2026, 3)),
        ("{number}.csv", "12", (12,)),
        ("{version}.csv", "v1.10", (1, 10)),
        ("{version}.csv", "beta", None),
    ],
)
def test_parts_count_by_what_they_are_called_not_by_where_they_stand(
    pattern: str, name: str, value: object
) -> None:
    assert age(name, pattern) == value


def test_the_order_of_the_parts_may_be_declared() -> None:
    rule = Rule("{a}_{b}.csv", keep="latest", order=("b", "a"))

    assert ordering(rule) == ("b", "a")
    assert age("2_10", "{a}_{b}.csv", ("b", "a")) == (10, 2)


def test_a_month_is_neither_before_nor_after_one_of_its_days() -> None:
    assert not newer((2026, 11), (2026, 11, 20))
    assert not newer((2026, 11, 20), (2026, 11))
    assert newer((2026, 12), (2026, 11, 20))


def test_parts_that_give_no_order_tell_series_apart() -> None:
    stations = watch(Rule("{station}_{date}.csv", keep="latest"))
    names = ["lyon_2026-01-01.csv", "lyon_2026-01-02.csv", "metz_2025-12-31.csv"]

    assert len(families(stations, names)) == 2
    assert set_aside(stations, names, ()) == {"lyon_2026-01-01.csv"}


def test_of_many_files_only_the_newest_is_read() -> None:
    names = [f"mesures_2026-{month:02}-15.csv" for month in range(1, 13)]

    assert set_aside(watch(LATEST), names, ()) == set(names[:-1])
    assert set_aside(watch(WINDOW), names, ()) == set(names[:-2])
    assert set_aside(watch(WINDOW), (), names) == set()


# --------------------------------------------------------------------------------------- "latest"


def day(number: int, text: str | None = None, **more: object) -> SourceFile:
    return source(f"mesures_2026-11-{number:02}.csv", text or f"day {number}", **more)


def named(number: int) -> str:
    return f"mesures_2026-11-{number:02}.csv"


ONE = watch(LATEST)


def test_of_a_first_look_only_the_newest_is_uploaded() -> None:
    result = decide(day(18), day(20), day(19), watches=(ONE,))

    assert [action.file.key.path for action in result.actions if isinstance(action, Upload)] == [
        named(20)
    ]
    assert {hold.key.path: (hold.code, hold.state) for hold in result.holds} == {
        named(18): ("superseded", State.IGNORED),
        named(19): ("superseded", State.IGNORED),
    }


def test_a_newer_file_takes_the_resource_over_then_replaces_it() -> None:
    old = entry(named(19), "day 19")

    result = decide(day(19), day(20), entries=(old,), resources=(resource(text="day 19"),),
                    watches=(ONE,))  # fmt: skip

    (step,) = result.actions
    assert isinstance(step, Rename)
    assert (step.old.path, step.entry.key.path, step.entry.stamp) == (named(19), named(20), None)

    after = decide(day(19), day(20), entries=(step.entry,), resources=(resource(text="day 19"),),
                   watches=(ONE,))  # fmt: skip

    assert kinds(after) == ["Replace"]
    assert codes(after) == ["superseded"]


def test_an_older_file_that_comes_late_never_wins() -> None:
    result = decide(day(20), day(3), entries=(entry(named(20), "day 20"),),
                    resources=(resource(text="day 20", source=identity(named(20), "day 20"),
                                        title=named(20)),),
                    watches=(ONE,))  # fmt: skip

    assert not any(isinstance(step, Rename | Upload) for step in result.actions)
    assert codes(result) == ["superseded"]


def test_when_the_newest_is_deleted_an_older_one_does_not_take_its_place() -> None:
    newest = entry(named(20), "day 20", gone_since=1.0)
    shown = resource(text="day 20", source=identity(named(20), "day 20"))

    result = decide(day(3), entries=(newest,), resources=(shown,), watches=(ONE,))

    assert (kinds(result), codes(result)) == ([], ["superseded"])
    assert named(20) in result.holds[0].why

    asked = stand(named(3), "superseded", forced=True)
    forced = decide(day(3), entries=(newest,), resources=(shown,), standings=(asked,),
                    watches=(ONE,))  # fmt: skip

    assert kinds(forced) == ["Rename"]


def test_the_one_resource_is_not_withdrawn_while_older_files_are_there() -> None:
    strict = watch(LATEST, when_deleted="withdraw")
    newest = entry(named(20), "day 20", gone_since=1.0)
    other = entry("other.csv", "other", "r2")
    shown = (resource(text="day 20"), resource("r2", "other"))
    files = (source("other.csv", "other"),)

    with_older = decide(day(3), *files, entries=(newest, other), resources=shown, watches=(strict,))
    without = decide(*files, entries=(newest, other), resources=shown, watches=(strict,))

    assert "Withdraw" not in kinds(with_older)
    assert "Withdraw" in kinds(without)


def test_a_name_that_was_mended_to_an_older_date_keeps_the_resource() -> None:
    wrong = entry("mesures_2062-11-19.csv", "day 19")

    result = decide(day(19), entries=(wrong,), resources=(resource(text="day 19"),), watches=(ONE,))

    assert kinds(result) == ["Rename"]


def test_two_files_that_may_both_be_the_newest_are_held_and_named() -> None:
    result = decide(day(20), source("copie/" + named(20), "other"), watches=(ONE,))

    assert codes(result) == ["order_tied", "order_tied"]
    assert "copie/" in result.holds[1].why + result.holds[0].why


def test_a_tie_with_what_is_published_leaves_it_as_it_is() -> None:
    mine = entry(named(20), "day 20")
    result = decide(day(20), source("copie/" + named(20), "other"), entries=(mine,),
                    resources=(resource(text="day 20", source=identity(named(20), "day 20")),),
                    watches=(ONE,))  # fmt: skip

    assert codes(result) == ["order_tied"]
    assert "Rename" not in kinds(result)


def test_a_name_without_a_readable_date_is_held_and_told_what_would_be_right() -> None:
    result = decide(source("mesures_hier.csv"), watches=(ONE,))

    assert codes(result) == ["order_unknown"]
    assert "2026-11-20" in result.holds[0].why


def test_the_published_file_may_still_be_mended_while_a_newer_one_waits() -> None:
    old = entry(named(19), "day 19")
    waiting = stand(named(20), "refused", failures=1, stamp=day(20).stamp, state=State.FAILED)

    result = decide(day(19, "mended"), day(20), entries=(old,),
                    resources=(resource(text="day 19"),), standings=(waiting,),
                    watches=(ONE,))  # fmt: skip

    assert (kinds(result), codes(result)) == (["Replace"], ["refused"])


def test_with_the_state_lost_the_series_finds_its_resource_again() -> None:
    shown = resource(text="day 19", title=named(19), source=identity(named(19), "day 19"))

    result = decide(day(19), day(20), resources=(shown,), watches=(ONE,))

    assert kinds(result) == ["Adopt"]
    assert codes(result) == ["superseded"]

    late = decide(day(3), resources=(shown,), watches=(ONE,))

    assert (kinds(late), codes(late)) == ([], ["superseded"])


def test_the_series_of_a_named_resource_gives_it_to_one_file_after_the_other() -> None:
    pinned = watch(Rule("mesures_{date}.csv", keep="latest", resource=ResourceId("r1")))
    files = (day(19, pinned=ResourceId("r1")), day(20, pinned=ResourceId("r1")))
    shown = (resource(text="by hand"),)

    first = decide(*files, resources=shown, watches=(pinned,))
    mine = entry(named(19), "day 19")
    then = decide(*files, entries=(mine,), resources=(resource(text="day 19"),), watches=(pinned,))

    assert (kinds(first), codes(first)) == (["Adopt"], ["superseded"])
    assert kinds(then) == ["Rename"]


# ------------------------------------------------------------------------------------ a window


@pytest.mark.parametrize("sundays", [True, False])
def test_what_was_normal_in_the_files_before_is_known_of_a_series_found_whole(
    sundays: bool,
) -> None:
    full, empty = (Profile(9, "table", rows=rows).packed() for rows in (60, 0))
    days = [f"mesures_2026-11-{day:02}.csv" for day in range(1, 17)]
    rest = {days[3], days[10]} if sundays else set()

    found = decide(
        source(days[15], profile=empty),
        entries=tuple(entry(path, path, path) for path in days[:15]),
        resources=tuple(resource(path, path) for path in days[:15]),
        profiles={bytes_of(path).sha1: empty if path in rest else full for path in days},
        watches=(watch(Rule("mesures_{date}.csv")),),
    )

    assert ("check_held" in codes(found)) is not sundays


def test_a_window_uploads_its_newest_files_and_no_more() -> None:
    result = decide(day(17), day(18), day(19), day(20), watches=(watch(WINDOW),))

    assert kinds(result) == ["Upload", "Upload"]
    assert [hold.key.path for hold in result.holds] == [named(17), named(18)]


def test_what_leaves_the_window_is_withdrawn_within_the_usual_guards() -> None:
    ours = tuple(entry(named(n), f"day {n}", f"r{n}") for n in (18, 19, 20))
    shown = tuple(
        resource(f"r{n}", f"day {n}", title=named(n), source=identity(named(n), f"day {n}"))
        for n in (18, 19, 20)
    )
    files = (day(18), day(19), day(20))

    first = decide(*files, entries=ours, resources=shown, watches=(watch(WINDOW),))
    assert first.actions == (Keep(key(named(18)), ResourceId("r18"), left=True),)

    left = entry(named(18), "day 18", "r18", gone_since=1.0)
    then = decide(*files, entries=(left, *ours[1:]), resources=shown, watches=(watch(WINDOW),))
    assert then.actions == (Withdraw(key(named(18)), ResourceId("r18"), left=True),)

    edited = resource("r18", "a colleague's")
    held = decide(*files, entries=(left, *ours[1:]), resources=(edited, *shown[1:]),
                  watches=(watch(WINDOW),))  # fmt: skip
    assert codes(held) == ["conflict"]


@pytest.mark.parametrize("changed", [False, True])
def test_what_a_person_brought_back_stays_outside_its_window_until_the_file_changes(
    changed: bool,
) -> None:
    days = [f"mesures_2026-11-{day}.csv" for day in (17, 18, 19)]
    old = key(days[0])
    back = source(days[0], "new" if changed else days[0], rolled_back=not changed)

    found = decide(
        back,
        entries=tuple(entry(path, path, path) for path in days[1:]),
        resources=tuple(resource(path, path) for path in days[1:]),
        present=frozenset(map(key, days)),
        rollbacks={old: Rollback(bytes_of(days[0]), bytes_of("other").sha1)},
        watches=(watch(WINDOW),),
    )

    assert (kinds(found), codes(found)) == (([], ["superseded"]) if changed else (["Upload"], []))


def test_what_leaves_a_window_that_keeps_stays_and_is_still_followed() -> None:
    keeping = watch(Rule("mesures_{date}.csv", keep="last", last=2))
    ours = tuple(entry(named(n), f"day {n}", f"r{n}") for n in (18, 19, 20))
    shown = tuple(
        resource(f"r{n}", f"day {n}", title=named(n), source=identity(named(n), f"day {n}"))
        for n in (18, 19, 20)
    )

    still = decide(day(18), day(19), day(20), entries=ours, resources=shown, watches=(keeping,))
    mended = decide(day(18, "mended"), day(19), day(20), entries=ours, resources=shown,
                    watches=(keeping,))  # fmt: skip

    assert (still.actions, still.holds) == ((), ())
    assert kinds(mended) == ["Replace"]


def test_a_resource_whose_file_is_gone_still_counts_in_the_window() -> None:
    ours = tuple(entry(named(n), f"day {n}", f"r{n}", gone_since=1.0) for n in (19, 20))
    shown = tuple(
        resource(f"r{n}", f"day {n}", source=identity(named(n), f"day {n}")) for n in (19, 20)
    )

    late = decide(day(3), entries=ours, resources=shown, watches=(watch(WINDOW),))

    assert (kinds(late), codes(late)) == ([], ["superseded"])
