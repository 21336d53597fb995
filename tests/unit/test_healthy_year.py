"""A year of healthy daily files goes out without one of them being held."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from datetime import date, timedelta

import pytest
from publications import COMMUNES, look

from publisher_daemon.model import Checks
from publisher_daemon.profile import Finding, Profile
from publisher_daemon.verdict import judge, remembering

START = date(2025, 11, 21)
HOLIDAYS = {date(2025, 12, 25), date(2026, 1, 1), date(2026, 5, 1), date(2026, 7, 14)}
Year = Iterator[str]


def held_in(year: Year, name: str = "mesures.csv") -> dict[int, tuple[Finding, ...]]:
    """Publish one after the other; what is held, by its day."""
    published: Profile | None = None
    held: dict[int, tuple[Finding, ...]] = {}
    for number, content in enumerate(year):
        profile = look.__wrapped__(content.encode(), name)
        verdict = judge(profile, published, None, Checks())
        if verdict.holds:
            held[number] = verdict.holds
        published = remembering(profile, published)
    return held


def days() -> Iterator[tuple[int, date]]:
    return ((number, START + timedelta(number)) for number in range(365))


def air_quality() -> Year:
    """The hours of one day, with missing hours, missing sensors, and the two changes of clocks."""
    rng = random.Random(1)
    for _, day in days():
        hours = {date(2026, 3, 29): 23, date(2026, 10, 25): 25}.get(day, 24)
        rows = ["date;code_insee;commune;no2;o3;validation"]
        out_of_order = rng.choice([None, *COMMUNES]) if rng.random() < 0.1 else None
        for hour in range(hours):
            for place in COMMUNES:
                if place == out_of_order or rng.random() < 0.03:
                    continue
                no2 = "" if rng.random() < 0.05 else f"{rng.gammavariate(4, 8):.1f}"
                o3 = "" if rng.random() < 0.4 else f"{rng.gammavariate(9, 6):.0f}"
                rows.append(f"{day}T{hour % 24:02}:00;{place[0]};{place[1]};{no2};{o3};oui")
        yield "\n".join(rows) + "\n"


def counters() -> Year:
    """Passages of bicycles: seasons, Sundays, snow, and a counter more every month."""
    rng = random.Random(2)
    for number, day in days():
        season = 1 + 0.6 * math.sin((day.month - 4) / 12 * 2 * math.pi)
        quiet = 0.45 if day.weekday() > 4 or day in HOLIDAYS else 1.0
        count = int((300 + number) * season * quiet * rng.uniform(0.75, 1.25))
        rows = ["jour,compteur,passages,lat,lon"]
        rows.extend(
            f"{day},C{rng.randrange(40 + number // 30):03},{rng.randrange(900)},45.7,4.8"
            for _ in range(count)
        )
        yield "\n".join(rows) + "\n"


def register() -> Year:
    """A whole register each day: it grows, is corrected, loses a few; remarks are rare."""
    rng = random.Random(3)
    rows = [
        f"{number:05};{rng.choice(COMMUNES)[1]};2019-0{1 + number % 9}-11;" for number in range(800)
    ]
    for number, day in days():
        rows.extend(f"{10000 + number};Lyon;{day};" for number in range(rng.randrange(6)))
        for _ in range(rng.randrange(4)):
            rows.pop(rng.randrange(len(rows)))
        if number % 40 == 7:
            rows[rng.randrange(len(rows))] = f"{number:05};Annecy;{day};fermé"
        yield "id;commune;ouverture;remarque\n" + "\n".join(rows) + "\n"


def works() -> Year:
    """Announced road works: few rows, dates in the future that come and go, text with commas."""
    rng = random.Random(4)
    for _, day in days():
        rows = ['"voie","debut","fin","motif"']
        for _ in range(max(3, int(rng.gauss(14, 5)))):
            begin = day + timedelta(rng.randrange(-20, 20))
            end = begin + timedelta(rng.randrange(1, 120))
            rows.append(f'"rue de l\'Été, {rng.randrange(90)}",{begin},{end},"réseau, eau"')
        yield "\r\n".join(rows) + "\r\n"


def since_january() -> Year:
    """Everything since the first of January, which begins again every year."""
    rng = random.Random(5)
    rows: list[str] = []
    for _, day in days():
        if (day.month, day.day) == (1, 1):
            rows = []
        rows.extend(f"{day};{place[0]};{rng.random():.3f}" for place in COMMUNES)
        yield "date;code;indice\n" + "\n".join(rows) + "\n"


@pytest.mark.parametrize("year", [air_quality, counters, register, works])
def test_a_year_of_healthy_daily_files_passes(year: Callable[[], Year]) -> None:
    assert held_in(year()) == {}


def test_a_file_that_begins_again_in_january_asks_once_at_most() -> None:
    held = held_in(since_january())

    assert len(held) <= 1
