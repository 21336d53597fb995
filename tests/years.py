"""A year of healthy files of many kinds must go, and the same files come to harm must not.

``make storm`` runs all of it: every series day by day, as they would be published, and every damage
to each of them. The unit tests run the shortest of it.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import math
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from publications import COMMUNES, compressed, look, workbook_of, zipped

from publisher_daemon.model import Checks
from publisher_daemon.profile import Profile
from publisher_daemon.verdict import Verdict, judge, remembering

START = date(2025, 11, 21)
HOLIDAYS = {date(2025, 12, 25), date(2026, 1, 1), date(2026, 5, 1), date(2026, 7, 14)}
Files = Iterator[bytes]
Rows = list[tuple[object, ...]]


def days() -> list[date]:
    return [START + timedelta(number) for number in range(365)]


def table(header: tuple[str, ...], rows: Rows, delimiter: str = ";", end: str = "\n") -> str:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator=end)
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue()


def comma(number: float, digits: int = 1) -> str:
    return f"{number:.{digits}f}".replace(".", ",")


def season(day: date) -> float:
    """1 on average; least in January, greatest in July."""
    return 1 - math.cos((day.timetuple().tm_yday - 15) / 365 * 2 * math.pi) * 0.5


def is_quiet(day: date) -> bool:
    return day.weekday() == 6 or day in HOLIDAYS


# --------------------------------------------------------------------------------------- series


def transport(rng: random.Random) -> Files:
    """Validations by stop and quarter of an hour; strikes, and lines that stop on Sundays."""
    for day in days():
        lines = 4 if is_quiet(day) else 12
        if rng.random() < 0.01:
            lines = 5
        rows: Rows = [
            (day, f"T{line:02}", f"arrêt {stop}", f"{hour:02}:00", rng.randrange(400))
            for line in range(lines)
            for stop in range(6)
            for hour in range(5, 24)
        ]
        yield table(("jour", "ligne", "arret", "heure", "validations"), rows).encode()


def rivers(rng: random.Random) -> Files:
    """Levels of rivers; a sensor is out for hours or for weeks, a column is then half empty."""
    out: dict[int, date] = {}
    for day in days():
        for station in range(8):
            if rng.random() < 0.01:
                out[station] = day + timedelta(rng.randrange(1, 30))
        rows: Rows = []
        for hour in range(24):
            for station in range(8):
                away = out.get(station, START) > day
                level = "" if away else comma(1.2 + season(day) + rng.random() / 5, 2)
                warm = "" if away or station % 3 == 0 else comma(4 + 14 * season(day))
                rows.append((f"{day}T{hour:02}:00:00Z", f"V{station:07}", level, warm, "brute"))
        yield table(("horodate", "code_station", "hauteur_m", "température", "qualité"),
                    rows).encode()  # fmt: skip


def register(rng: random.Random) -> Files:
    """Decisions of a day: many on weekdays, a few on Saturdays, none on Sundays."""
    number = 0
    for day in days():
        count = 0 if is_quiet(day) else max(1, int(rng.gauss(60, 15)))
        if day.weekday() == 5:
            count = rng.randrange(0, 5)
        rows: Rows = []
        for _ in range(count):
            number += 1
            place = rng.choice(COMMUNES)
            rows.append((f"D{number:06}", day, place[0], place[1], "permis, modifié"))
        yield table(("numéro", "date", "insee", "commune", "objet"), rows, ",").encode()


def budget(rng: random.Random) -> Files:
    """One file a year, of twelve years, in Windows-1252 with amounts in comma and wide labels."""
    for year in range(2014, 2026):
        rows: Rows = [
            (year, f"{chapter:03}", f"Dépenses « {chapter} »", comma(rng.lognormvariate(11, 1), 2),
             comma(rng.lognormvariate(11, 1), 2))
            for chapter in range(1, 260 + 6 * (year - 2014))
        ]  # fmt: skip
        header = ("Exercice", "Chapitre", "Libellé", "Montant voté", "Montant réalisé")
        yield table(header, rows, end="\r\n").encode("cp1252")


def log(rng: random.Random) -> Files:
    """A file that grows every day, and is cut anew on the first of each month."""
    rows: Rows = []
    for day in days():
        if day.day == 1:
            rows = rows[-40:]
        rows += [
            (f"{day} {rng.randrange(24):02}:{rng.randrange(60):02}:00", rng.choice("ABC"),
             rng.randrange(90)) for _ in range(20)
        ]  # fmt: skip
        yield table(("quand", "porte", "entrées"), rows).encode()


def places(rng: random.Random) -> Files:
    """Stops on a map: some come and go, a few move."""
    stops = [(round(4.7 + rng.random() / 4, 6), round(45.6 + rng.random() / 4, 6))
             for _ in range(150)]  # fmt: skip
    for number, _ in enumerate(days()):
        if number % 9 == 4:
            stops.append((round(4.7 + rng.random() / 3, 6), round(45.6 + rng.random() / 3, 6)))
        if number % 31 == 7:
            stops.pop(rng.randrange(len(stops)))
        made = [
            {"type": "Feature", "geometry": {"type": "Point", "coordinates": list(place)},
             "properties": {"nom": f"Arrêt {at}", "pmr": at % 3 == 0}
             | ({"travaux": "oui"} if rng.random() < 0.02 else {})}
            for at, place in enumerate(stops)
        ]  # fmt: skip
        yield json.dumps({"type": "FeatureCollection", "features": made}).encode()


def sheets(rng: random.Random) -> Files:
    """A workbook every week: agents, with a column more after half a year."""
    for week in range(52):
        header = ["matricule", "service", "présence"] + (["télétravail"] if week > 26 else [])
        rows = [(f"{n:05}", "Voirie", rng.randrange(5), 1)[: len(header)]
                for n in range(300 + week + rng.randrange(20))]  # fmt: skip
        yield workbook_of(header, rows)


def service(rng: random.Random) -> Files:
    """An API's answer in JSON: bicycles free now, some stations away, optional keys."""
    for _ in days():
        stations: list[dict[str, object]] = [
            {"id": n, "nom": f"Vélo {n}", "libres": rng.randrange(20), "position": {"lat": 45.7}}
            | ({"message": "fermée"} if rng.random() < 0.03 else {})
            for n in range(200) if rng.random() > 0.04
        ]  # fmt: skip
        yield json.dumps({"maj": "2026", "stations": stations}, ensure_ascii=False).encode()


def events(rng: random.Random) -> Files:
    """An agenda in lines of JSON: twice as much in summer, much in the future."""
    for day in days():
        rows = [
            json.dumps({"titre": "Fête", "jour": str(day + timedelta(rng.randrange(90)))})
            for _ in range(int(60 * season(day)) + 20 + rng.randrange(15))
        ]
        yield ("\n".join(rows) + "\n").encode()


def seasonal(rng: random.Random) -> Files:
    """Beaches: from May to September only some ten times as many samples as in winter."""
    for day in days():
        count = int(8 + 90 * max(0.0, season(day) - 0.9)) + rng.randrange(6)
        rows: Rows = [
            (day, f"P{rng.randrange(40):02}", rng.choice(["bonne", "moyenne", "< 15"]),
             "< 15" if rng.random() < 0.2 else rng.randrange(15, 900), comma(rng.random() * 9))
            for _ in range(count)
        ]  # fmt: skip
        yield table(("date", "plage", "qualité", "e_coli", "turbidité"), rows).encode("utf-8-sig")


def snow(rng: random.Random) -> Files:
    """Heights of snow: nothing at all from June to October, where the column stays empty."""
    for day in days():
        rows: Rows = []
        for station in range(30):
            open_now = day.month in {11, 12, 1, 2, 3, 4} or (day.month == 5 and station % 3 == 0)
            height = rng.randrange(250) if open_now else ""
            fresh = rng.choice([0, 0, 0, 12]) if open_now else ""
            rows.append((day, f"{station:03}", "ouverte" if open_now else "fermée", height, fresh))
        yield table(("jour", "station", "état", "neige_cm", "fraîche_cm"), rows).encode()


def prices(rng: random.Random) -> Files:
    """Fuel prices, by station and fuel: blanks, quotes, points in numbers, zeros in codes."""
    stations = [(f"{rng.randrange(1000, 99999):05}", f'Relais "{n}"; A{n}') for n in range(120)]
    for number, day in enumerate(days()):
        rows: Rows = [
            (code, name, fuel, f"{1.6 + number / 2000 + rng.random() / 5:.3f}",
             "" if rng.random() < 0.8 else "rupture", f"{day}T{rng.randrange(24):02}:12:00+01:00")
            for code, name in stations for fuel in ("SP95", "Gazole", "E85")
            if rng.random() > 0.15
        ]  # fmt: skip
        yield table(("cp", "enseigne", "carburant", "prix", "rupture", "maj"), rows).encode()


def indicator(_: random.Random) -> Files:
    """A line a day, and nothing else in the file."""
    for number, day in enumerate(days()):
        yield f"jour;indice\n{day};{number % 7}\n".encode()


def grows_columns(rng: random.Random) -> Files:
    """A day of counters in columns: a new column with every counter that is set up."""
    for number, day in enumerate(days()):
        names = [f"compteur_{n}" for n in range(6 + number // 45)]
        rows: Rows = [(f"{day} {hour:02}:00", *(rng.randrange(300) for _ in names))
                      for hour in range(24)]  # fmt: skip
        yield table(("heure", *names), rows, ",").encode()


def packed(rng: random.Random) -> Files:
    """A table in gzip, a month each, of ten years, in which winters have three times as many."""
    for month in range(120):
        day = date(2016 + month // 12, month % 12 + 1, 1)
        count = int(400 * (2.2 - season(day)))
        rows: Rows = [(day + timedelta(rng.randrange(28)), rng.choice(COMMUNES)[1],
                       rng.randrange(9000)) for _ in range(count)]  # fmt: skip
        yield compressed(table(("date", "commune", "conso_kwh"), sorted(rows)))


def timetable(rng: random.Random) -> Files:
    """A GTFS archive every week; in summer it is half as large."""
    for week in range(52):
        day = START + timedelta(7 * week)
        trips = 4000 if day.month not in {7, 8} else 1800
        stops = "".join(f"{n},{rng.randrange(86400)},{n % 90}\n" for n in range(trips))
        yield zipped({"stop_times.txt": f"trip,time,stop\n{stops}".encode(),
                      "agency.txt": b"id,name\n1,TCL\n"})  # fmt: skip


def french(rng: random.Random) -> Files:
    """Dates as people write them, UTF-16 as Excel saves it, thousands with a space."""
    for day in days():
        count = int(rng.gauss(90, 12))
        rows: Rows = [
            (day.strftime("%d/%m/%Y"), rng.choice(COMMUNES)[1],
             f"{rng.randrange(1000, 99000):,}".replace(",", " "), comma(rng.random() * 40, 2))
            for _ in range(count)
        ]  # fmt: skip
        yield table(("Jour", "Commune", "Visiteurs", "Part (%)"), rows, "\t").encode("utf-16")


def outage(rng: random.Random) -> Files:
    """A station of weather: its rain gauge is out of order now and then, for a day or a week."""
    until = START
    for number, day in enumerate(days()):
        if number and number % 33 == 0:
            until = day + timedelta(rng.randrange(1, 8))
        rows: Rows = [
            (f"{day}T{hour:02}:00", comma(rng.gauss(9, 4)),
             "" if day < until else comma(max(0.0, rng.gauss(0, 1))), rng.randrange(360))
            for hour in range(24)
        ]  # fmt: skip
        yield table(("heure", "température", "pluie_mm", "vent"), rows).encode()


def air_quality(rng: random.Random) -> Files:
    """The hours of one day, with missing hours, missing sensors, and the two changes of clocks."""
    for day in days():
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
        yield ("\n".join(rows) + "\n").encode()


def counters(rng: random.Random) -> Files:
    """Passages of bicycles: seasons, Sundays, snow, and a counter more every month."""
    for number, day in enumerate(days()):
        season = 1 + 0.6 * math.sin((day.month - 4) / 12 * 2 * math.pi)
        quiet = 0.45 if day.weekday() > 4 or day in HOLIDAYS else 1.0
        count = int((300 + number) * season * quiet * rng.uniform(0.75, 1.25))
        rows = ["jour,compteur,passages,lat,lon"]
        rows.extend(
            f"{day},C{rng.randrange(40 + number // 30):03},{rng.randrange(900)},45.7,4.8"
            for _ in range(count)
        )
        yield ("\n".join(rows) + "\n").encode()


def works(rng: random.Random) -> Files:
    """Announced road works: few rows, dates in the future that come and go, text with commas."""
    for day in days():
        rows = ['"voie","debut","fin","motif"']
        for _ in range(max(3, int(rng.gauss(14, 5)))):
            begin = day + timedelta(rng.randrange(-20, 20))
            end = begin + timedelta(rng.randrange(1, 120))
            rows.append(f'"rue de l\'Été, {rng.randrange(90)}",{begin},{end},"réseau, eau"')
        yield ("\r\n".join(rows) + "\r\n").encode()


def since_january(rng: random.Random) -> Files:
    """Everything since the first of January, which begins again every year."""
    rows: list[str] = []
    for day in days():
        if (day.month, day.day) == (1, 1):
            rows = []
        rows.extend(f"{day};{place[0]};{rng.random():.3f}" for place in COMMUNES)
        yield ("date;code;indice\n" + "\n".join(rows) + "\n").encode()


def inventory(rng: random.Random) -> Files:
    """A whole register each day: it grows, is corrected, loses a few; remarks are rare."""
    rows = [
        f"{number:05};{rng.choice(COMMUNES)[1]};2019-0{1 + number % 9}-11;" for number in range(800)
    ]
    for number, day in enumerate(days()):
        rows.extend(f"{10000 + number};Lyon;{day};" for number in range(rng.randrange(6)))
        for _ in range(rng.randrange(4)):
            rows.pop(rng.randrange(len(rows)))
        if number % 40 == 7:
            rows[rng.randrange(len(rows))] = f"{number:05};Annecy;{day};fermé"
        yield ("id;commune;ouverture;remarque\n" + "\n".join(rows) + "\n").encode()


def deaths(rng: random.Random) -> Files:
    """Those of the month so far, as INSEE writes them: dates without signs, days of birth too."""
    rows: Rows = []
    for day in days():
        rows = rows if day.day > 1 else []
        rows.extend(
            (f"DUPONT*JEAN {rng.randrange(99)}/", rng.randrange(1, 3),
             f"19{rng.randrange(20, 99)}0101", rng.choice(COMMUNES)[0], f"{day:%Y%m%d}")
            for _ in range(rng.randrange(15, 40))
        )  # fmt: skip
        yield table(("nomprenom", "sexe", "datenaiss", "lieu", "datedeces"), rows).encode()


def counted(rng: random.Random) -> Files:
    """Bicycles by the hour of one day, in local time: 23 hours in March, 25 in October."""
    zone = ZoneInfo("Europe/Paris")
    for day in days():
        at, end = (
            datetime.combine(one, time(), zone).astimezone(UTC) for one in (day, day + timedelta(1))
        )
        rows: Rows = []
        while at < end:
            rows.extend(
                (f"10000{n}", int(rng.gammavariate(2, 20) * season(day)),
                 at.astimezone(zone).isoformat())
                for n in range(6)
            )  # fmt: skip
            at += timedelta(hours=1)
        yield table(("compteur", "passages", "date"), rows).encode("utf-8-sig")


def roadworks(rng: random.Random) -> Files:
    """The map of what goes on now: on some days nothing."""
    for day in days():
        found = [
            {"type": "Feature", "properties": {"fin": f"{day + timedelta(9)}"},
             "geometry": {"type": "LineString",
                          "coordinates": [[4.8 + rng.random() / 9, 45.7], [4.81, 45.71]]}}
            for _ in range(max(0, int(rng.gauss(8, 5))))
        ]  # fmt: skip
        yield json.dumps({"type": "FeatureCollection", "features": found}).encode()


@dataclass(frozen=True)
class Series:
    """A kind of healthy files, and how often it may ask a person in a year."""

    make: Callable[[random.Random], Files]
    name: str = "mesures.csv"
    asks: int = 0


SERIES = {
    one.make.__name__: one
    for one in (
        Series(transport), Series(rivers), Series(register), Series(budget), Series(log),
        Series(places, "arrets.geojson"), Series(sheets, "agents.xlsx"),
        Series(service, "velos.json"), Series(events, "agenda.jsonl"), Series(seasonal),
        Series(snow), Series(prices), Series(indicator), Series(grows_columns),
        Series(packed, "conso.csv.gz"), Series(timetable, "gtfs.zip"), Series(french, "f.tsv"),
        Series(outage), Series(air_quality), Series(counters), Series(inventory),
        Series(works), Series(since_january), Series(deaths), Series(counted),
        Series(roadworks, "chantiers.geojson", asks=2),
    )
}  # fmt: skip


@dataclass
class Year:
    """What became of a series: each file's verdict; what was held was let through by a person."""

    held: dict[int, Verdict]
    files: int
    #: a file and what was published before it
    last: bytes
    published: Profile | None


def lived(series: Series, seed: int, most: int | None = None) -> Year:
    """Publish one file after the other, as a pass does."""
    published: Profile | None = None
    before: Profile | None = None
    held: dict[int, Verdict] = {}
    content, number = b"", -1
    for number, content in enumerate(series.make(random.Random(seed))):
        profile = look.__wrapped__(content, series.name)
        verdict = judge(profile, published, None, Checks(), str(START + timedelta(number)))
        if verdict.holds:
            held[number] = verdict
        before, published = published, remembering(profile, published)
        if most is not None and number + 1 >= most:
            break
    return Year(held, number + 1, content, before)


# -------------------------------------------------------------------------------------- damages

PAGE = b"<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head><body></body></html>\n"
BEGIN = "-----BEGIN RSA " + "PRIVATE KEY-----"


@dataclass(frozen=True)
class Sheet:
    """A table taken apart."""

    header: list[str]
    rows: list[list[str]]
    delimiter: str
    encoding: str

    @classmethod
    def of(cls, content: bytes, series: str) -> Sheet:
        encoding = {
            "budget": "cp1252",
            "french": "utf-16",
            "seasonal": "utf-8-sig",
            "counted": "utf-8-sig",
        }.get(series, "utf-8")
        text = content.decode(encoding)
        delimiter = max(";,\t", key=text.partition("\n")[0].count)
        header, *rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        return cls(header, rows, delimiter, encoding)

    def made(
        self,
        header: list[str] | None = None,
        rows: list[list[str]] | None = None,
        *,
        delimiter: str | None = None,
        encoding: str | None = None,
    ) -> bytes:
        text = table(
            tuple(self.header if header is None else header),
            [tuple(row) for row in (self.rows if rows is None else rows)],
            delimiter or self.delimiter,
        )
        return text.encode(encoding or self.encoding, "replace")

    def column(self, place: int, change: Callable[[str], str]) -> bytes:
        rows = [[change(c) if at == place else c for at, c in enumerate(row)] for row in self.rows]
        return self.made(rows=rows)

    def fullest(self, wanted: Callable[[str], bool]) -> int | None:
        """The first column of which nearly all values are so."""
        for place in range(len(self.header)):
            cells = [row[place] for row in self.rows]
            if len(cells) > 19 and sum(map(wanted, cells)) > 0.95 * len(cells):
                return place
        return None


def _is_day(cell: str) -> bool:
    return cell[:4].isdigit() and cell[4:5] == "-"


def _other_day(cell: str) -> str:
    return f"{cell[8:10]}/{cell[5:7]}/{cell[:4]}{cell[10:]}"


def _last_year(cell: str) -> str:
    return f"{int(cell[:4]) - 1}{cell[4:]}"


def any_file(content: bytes) -> Iterator[tuple[str, bytes]]:
    """What can happen to any file."""
    yield "nothing in it", b""
    yield "a web page", PAGE
    yield "the message of a database", b"ORA-01555: snapshot too old: rollback segment\n" * 2
    yield "a JSON error", b'{"error": {"code": 500, "message": "timeout"}}'
    yield "a pointer of Git LFS", b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n"
    yield "zero bytes at its end", content[: len(content) // 2] + bytes(len(content) // 2)
    at = content.rfind(b"\n", 0, len(content) // 2)
    yield "cut off in a row", content[: at + 4 if at > 0 else len(content) // 2]


def any_table(sheet: Sheet, content: bytes) -> Iterator[tuple[str, bytes]]:
    """What can happen to a table of some rows."""
    count, width = len(sheet.rows), len(sheet.header)
    yield "only its header", sheet.made(rows=[])
    if count < 20:
        return
    yield "three in a hundred of its rows", sheet.made(rows=sheet.rows[: max(1, count * 3 // 100)])
    yield "a column lost", sheet.made(sheet.header[:-1], [row[:-1] for row in sheet.rows])
    yield "a column renamed", sheet.made([*sheet.header[:-1], "valeur_v2"])
    yield "another delimiter", sheet.made(delimiter="," if sheet.delimiter != "," else ";")
    yield "twice in one file", sheet.made(rows=[*sheet.rows, sheet.header, *sheet.rows])
    yield "all rows twice", sheet.made(rows=[*sheet.rows, *sheet.rows])
    yield (
        "rows of other widths",
        sheet.made(rows=[row + [""] * (at % 9 == 0) for at, row in enumerate(sheet.rows)]),
    )
    yield "no header", sheet.made(sheet.rows[0], sheet.rows[1:])
    yield "a private key", sheet.made(rows=[*sheet.rows, [BEGIN] + [""] * (width - 1)])
    yield "errors of formulas", sheet.column(width - 1, lambda _: "#REF!")
    text = sheet.made(encoding="utf-8").decode()
    if not text.isascii() and sheet.encoding.startswith("utf-8"):
        yield "in another encoding", text.encode("cp1252", "replace")
        yield "accents read wrongly", text.encode().decode("cp1252", "replace").encode()
        yield "accents became question marks", text.encode("ascii", "replace")
    if (place := sheet.fullest(_is_day)) is not None:
        yield "last year's", sheet.column(place, _last_year)
        yield "dates written another way", sheet.column(place, _other_day)
    if (place := sheet.fullest(lambda c: c[:1] == "0" and c.isdigit())) is not None:
        yield "codes without their zeros", sheet.column(place, lambda c: c.lstrip("0"))
    if (place := sheet.fullest(lambda c: bool(c) and c.replace(",", "").isdigit())) is not None:
        yield "words for numbers", sheet.column(place, lambda _: "N/A")
        yield "a column of null", sheet.column(place, lambda _: "null")
    if (place := sheet.fullest(lambda c: "," in c and c.replace(",", "").isdigit())) is not None:
        yield "decimals without their mark", sheet.column(place, lambda c: c.replace(",", ""))
        yield "points for commas", sheet.column(place, lambda c: c.replace(",", "."))
    if (place := sheet.fullest(bool)) is not None and place < width - 1:
        yield "a column emptied", sheet.column(place, lambda _: "")
    body = content.replace(b"\r\n", b"\n").split(b"\n")
    if sheet.encoding != "utf-16":
        yield (
            "a message between its rows",
            b"\n".join(
                [
                    *body[:9],
                    b"PHP Warning: mysqli_query(): Lost connection in /srv/e.php",
                    *body[9:],
                ]
            ),
        )
        yield "an unfinished merge", b"\n".join([*body[:9], b"<<<<<<< HEAD", *body[9:]])


def damages(name: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    """All that can happen to a file of this series."""
    yield from any_file(content)
    if SERIES[name].name.endswith((".csv", ".tsv")):
        yield from any_table(Sheet.of(content, name), content)


#: What is an accident elsewhere and an ordinary day here.
NORMAL = {
    ("register", "only its header"),
    ("register", "three in a hundred of its rows"),
    ("works", "three in a hundred of its rows"),
}


def main() -> int:
    """Live every series, damage every one; say what was held and what was not."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seeds", type=int, default=3)
    arguments.add_argument("--series", default="")
    wanted = arguments.parse_args()
    wrong = files = harmed = 0
    for name, series in SERIES.items():
        if wanted.series not in name:
            continue
        for seed in range(wanted.seeds):
            year = lived(series, seed)
            files += year.files
            if len(year.held) > series.asks:
                wrong += 1
                print(f"{name} {seed}: held {len(year.held)} of {year.files} healthy files")
                for number, verdict in list(year.held.items())[:4]:
                    print(f"   {number}: {' '.join(one.why for one in verdict.holds)}")
            for what, content in damages(name, year.last):
                if (name, what) in NORMAL:
                    continue
                harmed += 1
                found = judge(look.__wrapped__(content, series.name), year.published, None,
                              Checks())  # fmt: skip
                if not found.holds:
                    wrong += 1
                    said = " ".join(one.why for one in found.warnings) or "nothing"
                    print(f"{name} {seed}: {what}: not held; said: {said}")
    print(f"{files:,} healthy files, {harmed:,} damaged ones: {wrong} judged wrongly")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
