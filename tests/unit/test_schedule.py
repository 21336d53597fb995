from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from waiting import wait_until

from publisher_daemon import cron
from publisher_daemon.errors import ConfigInvalid
from publisher_daemon.model import DatasetId, Reason
from publisher_daemon.schedule import next_cron, next_refresh
from publisher_daemon.schedule.running import Schedule

PARIS = "Europe/Paris"
DATASET = DatasetId("5bbb6d6cff66bd4dc17bfd5a")


def at(text: str, fold: int = 0) -> float:
    """An instant in Paris."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(PARIS), fold=fold).timestamp()


def runs(line: str, start: str, count: int) -> list[str]:
    """The next times of a line, as clocks in Paris show them."""
    instant, found = at(start), []
    for _ in range(count):
        instant = next_cron(line, instant, PARIS)
        shown = datetime.fromtimestamp(instant, ZoneInfo(PARIS))
        found.append(shown.strftime("%m-%d %H:%M %Z"))
    return found


def schedule(now: Callable[[], float], **changes: float) -> tuple[Schedule, list[DatasetId]]:
    woken: list[DatasetId] = []
    made = Schedule(
        timezone=PARIS,
        jitter=changes.get("jitter", 0.1),
        spread=changes.get("spread", 60.0),
        wake=lambda dataset, _reason: woken.append(dataset),
        clock=now,
    )
    return made, woken


# ------------------------------------------------------------------------------------ cron lines


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("0 6 * * *", ["01-03 06:00 CET", "01-04 06:00 CET"]),
        ("0 6 * * 7", ["01-04 06:00 CET", "01-11 06:00 CET"]),
        ("0 6 * * 0", ["01-04 06:00 CET", "01-11 06:00 CET"]),
        ("0 6 * * SUN", ["01-04 06:00 CET", "01-11 06:00 CET"]),
        ("0 6 13 * FRI", ["01-09 06:00 CET", "01-13 06:00 CET"]),
        ("*/20 * * * *", ["01-02 12:20 CET", "01-02 12:40 CET"]),
        ("0 0 L * *", ["01-31 00:00 CET", "02-28 00:00 CET"]),
        ("@hourly", ["01-02 13:00 CET", "01-02 14:00 CET"]),
        ("@daily", ["01-03 00:00 CET", "01-04 00:00 CET"]),
        ("@midnight", ["01-03 00:00 CET", "01-04 00:00 CET"]),
        ("@weekly", ["01-04 00:00 CET", "01-11 00:00 CET"]),
        ("@monthly", ["02-01 00:00 CET", "03-01 00:00 CET"]),
        (" @Yearly ", ["01-01 00:00 CET", "01-01 00:00 CET"]),
        ("@annually", ["01-01 00:00 CET", "01-01 00:00 CET"]),
    ],
)
def test_a_line_means_what_cron_means(line: str, expected: list[str]) -> None:
    assert runs(line, "2026-01-02T12:00", 2) == expected  # a Friday


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("0 6 * * * *", ["6 fields", "five"]),
        ("0 6 * *", ["4 fields", "five"]),
        ("", ["0 fields", "five"]),
        ("60 6 * * *", ["minute", "“60”", "0 to 59"]),
        ("0 24 * * *", ["hour", "“24”", "0 to 23"]),
        ("0 6 0 * *", ["day-of-month", "“0”", "1 to 31"]),
        ("0 6 31 2 *", ["day-of-month", "“31”", "months"]),
        ("0 6 * 13 *", ["month", "“13”", "JAN"]),
        ("0 6 * * 8", ["day-of-week", "“8”", "Sunday is 0 or 7"]),
        ("0 6 * * lundi", ["day-of-week", "“lundi”", "SUN"]),
        ("*/0 6 * * *", ["minute", "“*/0”"]),
        ("@reboot", ["@hourly", "@daily"]),
        ("@", ["@hourly"]),
    ],
)
def test_a_wrong_line_names_the_field_and_what_would_be_right(line: str, words: list[str]) -> None:
    with pytest.raises(cron.CronError) as told:
        cron.check(line)
    for word in words:
        assert word in str(told.value)

    with pytest.raises(ConfigInvalid, match="“"):
        next_cron(line, 0.0, PARIS)


def test_a_run_in_the_hour_that_is_skipped_in_spring_comes_once() -> None:
    assert runs("30 2 * * *", "2026-03-28T12:00", 2) == ["03-29 03:00 CEST", "03-30 02:30 CEST"]


def test_a_run_in_the_hour_that_comes_twice_in_autumn_comes_once() -> None:
    assert runs("30 2 * * *", "2026-10-24T12:00", 2) == ["10-25 02:30 CEST", "10-26 02:30 CET"]


def test_six_in_the_morning_is_six_all_year() -> None:
    assert runs("0 6 * * *", "2026-03-28T12:00", 2) == ["03-29 06:00 CEST", "03-30 06:00 CEST"]
    assert runs("0 6 * * *", "2026-10-24T12:00", 2) == ["10-25 06:00 CET", "10-26 06:00 CET"]


def test_every_hour_means_every_hour_when_the_clocks_change() -> None:
    spring = runs("@hourly", "2026-03-29T00:30", 3)
    autumn = runs("@hourly", "2026-10-25T01:30", 3)

    assert spring == ["03-29 01:00 CET", "03-29 03:00 CEST", "03-29 04:00 CEST"]
    assert autumn == ["10-25 02:00 CEST", "10-25 02:00 CET", "10-25 03:00 CET"]


# -------------------------------------------------------------------------------------- schedule


def test_two_hundred_datasets_of_one_line_do_not_come_in_the_same_second() -> None:
    now = datetime.now(ZoneInfo(PARIS)).timestamp()  # noqa: TID251 - APScheduler has its own clock
    made, _ = schedule(lambda: now)
    datasets = [DatasetId(f"{number:024x}") for number in range(200)]
    for dataset in datasets:
        made.add_cron(dataset, "0 6 * * *")
    made.start()
    named = next_cron("0 6 * * *", now - 60, PARIS)
    try:
        came = [made.next(dataset) for dataset in datasets]
    finally:
        made.stop()

    later = [instant - named for instant in came if instant is not None]
    assert len(later) == 200
    assert all(0 <= seconds % 86400 < 60 for seconds in later)
    seconds = [int(each) for each in later]
    assert max(seconds.count(each) for each in seconds) < 15


def test_a_dataset_comes_at_the_same_moment_after_a_restart() -> None:
    def moment() -> float | None:
        made, _ = schedule(lambda: 0.0)
        made.add_cron(DATASET, "0 6 * * *")
        made.start()
        try:
            return made.next(DATASET)
        finally:
            made.stop()

    assert moment() == moment() != None  # noqa: E711 - both, and something


def test_what_status_says_is_when_the_scheduler_wakes_in_the_datasets_own_zone() -> None:
    now = time.time()
    made, _ = schedule(lambda: now)
    made.add_cron(DATASET, "0 6 * * *", "America/Cayenne")
    made.start()
    try:
        woken = made.next(DATASET)
    finally:
        made.stop()

    said = next_refresh(DATASET, "0 6 * * *", now, "America/Cayenne")
    assert woken == pytest.approx(said, abs=0.001)
    assert datetime.fromtimestamp(said, ZoneInfo("America/Cayenne")).hour == 6


def test_a_refresh_is_due_once_when_its_time_came_while_the_machine_was_off() -> None:
    made, _ = schedule(lambda: at("2026-01-05T12:00"))
    made.add_cron(DATASET, "0 6 * * *")
    noon = at("2026-01-05T12:00")

    assert made.missed({DATASET: at("2026-01-05T06:01")}, noon) == []
    assert made.missed({DATASET: at("2026-01-04T06:01")}, noon) == [DATASET]
    assert made.missed({DATASET: at("2025-01-04T06:01")}, noon) == [DATASET]
    assert made.missed({}, noon) == [DATASET]


def test_a_start_within_the_named_minute_refreshes_once() -> None:
    made, _ = schedule(lambda: 0.0)
    made.add_cron(DATASET, "0 6 * * *")
    yesterday, six = at("2026-01-04T06:01"), at("2026-01-05T06:00")

    # not due before its own moment of the minute, when the schedule itself will wake it
    assert made.missed({DATASET: yesterday}, six) == []
    assert made.missed({DATASET: yesterday}, six + 60) == [DATASET]


def test_an_interval_is_due_after_its_seconds() -> None:
    made, _ = schedule(lambda: 0.0)
    made.add_every(DATASET, 3600.0, Reason.REFRESH)

    assert made.missed({DATASET: 100.0}, 3699.0) == []
    assert made.missed({DATASET: 100.0}, 3700.0) == [DATASET]


def test_intervals_wake_their_dataset() -> None:
    now = datetime.now(ZoneInfo(PARIS)).timestamp()  # noqa: TID251 - APScheduler has its own clock
    made, woken = schedule(lambda: now)
    made.add_every(DATASET, 0.05, Reason.RESCAN)
    made.start()
    try:
        wait_until(lambda: len(woken) > 2, 10.0, "three wakes")
    finally:
        made.stop()


def test_a_clock_set_back_a_day_does_not_silence_an_interval() -> None:
    now = datetime.now(ZoneInfo(PARIS)).timestamp()  # noqa: TID251 - APScheduler has its own clock
    clock = [now + 86_400.0]
    made, woken = schedule(lambda: clock[0])
    made.add_every(DATASET, 0.05, Reason.RESCAN)
    made.add_cron(DATASET, "0 6 * * *")
    made.start()
    try:
        clock[0] = now
        made.again()
        wait_until(lambda: len(woken) > 2, 10.0, "three wakes")
    finally:
        made.stop()


def test_a_dataset_without_a_schedule_has_no_next_refresh() -> None:
    made, _ = schedule(lambda: 0.0)

    assert made.next(DATASET) is None
    made.stop()
