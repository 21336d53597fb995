"""The forms a setting may have: durations, shares, dates, names; each says what would be right."""

from __future__ import annotations

import contextlib
import math
import re
from datetime import date, datetime
from difflib import get_close_matches
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from publisher_daemon import cron, expect, windows
from publisher_daemon.catalogue import computed_names, tag_slug
from publisher_daemon.naming import looks_like_dataset_id

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")
_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*([kMG])(bit|B)/s")
_SLUG = re.compile(r"[a-z0-9]+(?:[-_][a-z0-9]+)*")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_PART = re.compile(r"\{[A-Za-z_][A-Za-z0-9_]*\}")
_BRACES = re.compile(r"\{([A-Za-z_]{4,20})(?:[:+][^{}]*)?\}")
COMPUTED = ("today", "files", "last_publication", "earliest", "latest")
#: bytes a second
_SLOWEST = 8000.0
_API_PATH = re.compile(r"(?:/api/[12])?/*")

#: the ids of `/datasets/frequencies/` (udata 17.18)
FREQUENCIES = (
    "continuous", "oneMinute", "fiveMinutes", "tenMinutes", "fifteenMinutes", "thirtyMinutes",
    "hourly", "bihourly", "trihourly", "twelveHours", "severalTimesADay", "threeTimesADay",
    "semidaily", "daily", "fiveTimesAWeek", "threeTimesAWeek", "semiweekly", "weekly", "biweekly",
    "threeTimesAMonth", "semimonthly", "monthly", "bimonthly", "quarterly", "threeTimesAYear",
    "semiannual", "annual", "biennial", "triennial", "quadrennial", "quinquennial", "decennial",
    "bidecennial", "tridecennial", "punctual", "irregular", "never", "notPlanned", "other",
    "unknown",
)  # fmt: skip
#: names of former versions of udata, which it still takes but never shows
_FORMER_FREQUENCIES = {
    "realtime": "continuous",
    "fourTimesADay": "severalTimesADay",
    "fourTimesAWeek": "other",
    "fortnighly": "biweekly",
    "biannual": "semiannual",
}


def _seconds(value: object) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        found = _DURATION.fullmatch(value.strip())
        if found:
            return float(found[1]) * _UNITS[found[2]]
        if re.fullmatch(r"\d+(\.\d+)?", value.strip()):
            return float(value)
    raise ValueError(
        'is not a duration. Write a number and a unit, like "500ms", "5s", "5m", "1h" or "1d", '
        "or a number of seconds"
    )


def _positive(value: float) -> float:
    if not 0 < value < float("inf"):
        raise ValueError('must be longer than nothing. Write for example "5s"')
    return value


def _not_negative(value: float) -> float:
    if not 0 <= value < float("inf"):
        raise ValueError('cannot be negative or endless. Write "0s" or more, for example "5s"')
    return value


def _size(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and (
        found := re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kMGT]?)B?", value.strip())
    ):
        return int(float(found[1]) * 1000 ** " kMGT".index(found[2] or " "))
    raise ValueError(
        'is not a size. Write a number and a unit, like "500MB", "2GB", or a number of bytes'
    )


def _rate(value: object) -> float:
    found = _RATE.fullmatch(value.strip()) if isinstance(value, str) else None
    bits = {"bit": 1.0, "B": 8.0}
    rate = float(found[1]) * 1000.0 ** " kMG".index(found[2]) * bits[found[3]] / 8 if found else 0.0
    # below, a single block would take longer than the portal waits for it
    if rate < _SLOWEST:
        raise ValueError(
            'is not a rate of at least 64 kbit/s. Write for example "10 Mbit/s", or "2.5 MB/s"'
        )
    return rate


def _share(value: object) -> float:
    number = -1.0
    if isinstance(value, str) and (found := re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", value.strip())):
        number = float(found[1]) / 100
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        with contextlib.suppress(ValueError):
            number = float(value)
    if not 0 <= number <= 1:
        raise ValueError(
            'is not a share. Write a percentage from "0%" to "100%", or a number from 0 to 1'
        )
    return number


def _part_size(value: object) -> int:
    found = re.fullmatch(r"(\d+)\s*MiB", value.strip()) if isinstance(value, str) else None
    size = int(found[1]) * 2**20 if found else value
    # below, requests are what costs; above 8 MiB udata takes minutes to put parts together
    if isinstance(size, bool) or not isinstance(size, int) or not 2 * 2**20 <= size <= 8 * 2**20:
        raise ValueError('is not a size from "2 MiB" to "8 MiB". Write for example "4 MiB"')
    return size


def _path(value: object) -> object:
    # an empty text would silently mean the current directory
    if isinstance(value, str) and (not value or "\0" in value):
        raise ValueError('is not a path. Write for example "/srv/opendata/air"')
    return value


def _dataset(value: str) -> str:
    if "/" in value:
        raise ValueError(
            "is an address. Write only the dataset's id (24 hexadecimal digits) or the last part "
            "of its address"
        )
    if not looks_like_dataset_id(value) and not (_SLUG.fullmatch(value) and len(value) <= 255):
        raise ValueError(
            "is neither a dataset id (24 hexadecimal digits) nor a slug (lower-case letters, "
            "digits and hyphens). Copy it from the dataset's page"
        )
    return value


def _object_id(value: str) -> str:
    if not looks_like_dataset_id(value):
        raise ValueError(
            "is not an id of the portal (24 hexadecimal digits). `publisher-daemon init` and "
            "`publisher-daemon import` tell the ids"
        )
    return value


def _resource(value: str) -> str:
    if not _UUID.fullmatch(value.lower()):
        raise ValueError(
            "is not a resource id. Write its UUID, like 0a1b2c3d-0000-4000-8000-0123456789ab; it "
            "ends the resource's permanent link"
        )
    return value.lower()


def _frequency(value: str) -> str:
    if value not in FREQUENCIES:
        by_case = {known.lower(): known for known in FREQUENCIES}
        # a near word must not stand for one whose meaning is known: "biannual" is not "annual"
        by_case |= {former.lower(): new for former, new in _FORMER_FREQUENCIES.items()}
        near = get_close_matches(value.lower(), by_case, n=1)
        meant = f'Did you mean "{by_case[near[0]]}"? ' if near else ""
        raise ValueError(
            f"is not a frequency of the portal. {meant}Known ones: {', '.join(FREQUENCIES)}"
        )
    return value


def _cron(value: str) -> str:
    cron.check(value)
    return value


def _day(value: object) -> str:
    if isinstance(value, datetime):
        return value.date().isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str):
        if value == "today" or (computed_names(value) == (value,) and value != "{files}"):
            return value
        try:
            return date.fromisoformat(value).isoformat()
        except ValueError:
            pass
    raise ValueError(
        'is not a date. Write "2026-11-21", "today", or a computed day like "{latest}", '
        '"{earliest:name of a column}" or "{last_publication+30d}"'
    )


def _computing(value: str) -> str:
    """Refuse a computed value that is misspelt; other braces are the text's own."""
    for found in _BRACES.finditer(value):
        near = get_close_matches(found[1], COMPUTED, n=1, cutoff=0.75)
        if near and not computed_names(found[0]):
            raise ValueError(
                f"has {found[0]}, which is no computed value. Write {{{near[0]}}}, with "
                "“:column” after earliest and latest only, and “+30d” after a day"
            )
    return value


def _timezone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(
            'is not a time zone this machine knows. Write a name like "Europe/Paris" or "UTC"'
        ) from error
    return value


def _split(value: str, schemes: tuple[str, ...]) -> SplitResult:
    try:
        address = urlsplit(value)
        _ = address.port
    except ValueError as error:
        raise ValueError(
            'is not an address. Write for example "https://demo.data.gouv.fr"'
        ) from error
    if address.scheme not in schemes or not address.hostname or re.search(r"\s", value):
        raise ValueError(
            f"is not an address that starts with {' or '.join(s + '://' for s in schemes)}. "
            'Write for example "https://demo.data.gouv.fr"'
        )
    return address


def is_loopback(host: str) -> bool:
    """Whether this host is this machine, where nobody else can listen."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _portal_url(value: str) -> str:
    address = _split(value, ("https", "http"))
    if address.username is not None or address.password is not None:
        raise ValueError(
            "carries a user name or a password. Remove them: the portal only takes an API key"
        )
    if address.scheme == "http" and not is_loopback(address.hostname or ""):
        raise ValueError(
            "would send the API key in clear text. Write https:// (http:// is only for this host)"
        )
    if address.query or address.fragment or not _API_PATH.fullmatch(address.path):
        raise ValueError(
            "has more than the portal's own address. Write only the beginning, for example "
            f'"{address.scheme}://{address.netloc}"'
        )
    return f"{address.scheme}://{address.netloc.lower()}"


def _proxy(value: str) -> str:
    _split(value, ("http", "https"))
    return value


def _expect(value: str) -> str:
    expect.cron_line(value)
    return value.strip().lower()


def _contactable(value: SecretStr) -> SecretStr:
    # never shown: such an address holds passwords
    if not re.match(r"[a-z][a-z0-9+.-]*://\S+$", value.get_secret_value(), re.IGNORECASE):
        raise ValueError(
            'is not an address that messages go to. Write for example "mailtos://user:password@'
            'smtp.example.org?to=opendata@example.org", or "mmosts://host/token"'
        )
    return value


def _beats(value: SecretStr) -> SecretStr:
    if urlsplit(value.get_secret_value()).scheme not in {"http", "https"}:
        raise ValueError('is not an address. Write for example "https://hc-ping.com/<uuid>"')
    return value


def _listen(value: str) -> str:
    try:
        address = urlsplit(f"//{value}")
        usable = is_loopback(address.hostname or "") and (address.port or 0) > 0
    except ValueError:
        usable = False
    if not usable or address.netloc != value:
        raise ValueError(
            "is not an address of this machine. Write for example "
            '"127.0.0.1:9464"; other machines reach it through the agent that collects here, or '
            "through `textfile`"
        )
    return value


def _prom(value: Path) -> Path:
    if value.suffix != ".prom":
        raise ValueError(
            "does not end with .prom, so node-exporter would not read it. Write for example "
            '"/var/lib/prometheus/node-exporter/publisher-daemon.prom"'
        )
    return value


def _web(value: str) -> str:
    _split(value, ("https", "http"))
    return value


def _metrics_api(value: str) -> str:
    if value not in {"auto", "off"}:
        try:
            _split(value, ("https", "http"))
        except ValueError:
            raise ValueError(
                'is neither "auto" nor "off" nor an address. Write for example '
                '"https://metric-api.data.gouv.fr/api"'
            ) from None
    return value.rstrip("/")


def _match(value: str) -> str:
    left = _PART.sub("", value)
    if "{" in left or "}" in left:
        raise ValueError(
            "has braces around what is not a name. Write parts as {year}, with letters, digits and "
            "_; for alternatives write one rule each"
        )
    return value


def _hours(value: str) -> str:
    if not windows.are_hours(value):
        raise ValueError('is no stretch of the day. Write for example "08:00-18:00"')
    return value


def _keep(value: str) -> str:
    if value not in {"each", "latest"} and not re.fullmatch(r"last:[1-9]\d{0,4}", value):
        raise ValueError(
            'is none of "each" (a resource for each file), "latest" (one resource, always the '
            'newest file), "last:12" (a resource for each of the 12 newest)'
        )
    return value


def _tag(value: str) -> str:
    if not 3 <= len(value) <= 96 or "," in value:
        raise ValueError("is not a tag the portal takes. Write 3 to 96 characters, without a comma")
    kept = tag_slug(value)
    if not 3 <= len(kept) <= 96:
        # it would refuse the dataset, or drop the tag: and with the last one all that were there
        raise ValueError(
            f"leaves “{kept}” once the portal has taken away what is neither letter nor digit. "
            "Write a tag that leaves 3 to 96 characters"
        )
    return value


def _extras(value: dict[str, Any]) -> dict[str, Any]:
    if not _is_json(value):
        raise ValueError(
            "holds what the portal cannot keep. Leave out inf, nan, whole numbers of 20 digits or "
            "more, and names that begin with $"
        )
    return value


def _outline(value: dict[str, Any]) -> dict[str, Any]:
    if value.get("type") != "MultiPolygon" or not isinstance(value.get("coordinates"), list):
        raise ValueError(
            "is not an outline the portal takes. Write GeoJSON of the type MultiPolygon, as "
            '{ type = "MultiPolygon", coordinates = [[[[4.8, 45.7], …]]] }'
        )
    return value


def _is_json(value: object) -> bool:
    if isinstance(value, dict):
        named = not any(str(name).startswith("$") for name in value)
        return named and all(map(_is_json, value.values()))
    if isinstance(value, int):
        # it has 8 bytes for a number, and answers 500 to a longer one (portal-facts §9.8)
        return -(2**63) <= value < 2**63
    if isinstance(value, list):
        return all(map(_is_json, value))
    return not isinstance(value, float) or math.isfinite(value)


def _not_blank(value: str) -> str:
    if not value.strip():
        # the portal takes blanks off, and would be told the same again at each refresh
        raise ValueError("is blank. Write a text, or take the line out")
    return value


def _marker(value: str) -> str:
    if "/" in value or not value:
        raise ValueError('is not a file name ending. Write for example ".done"')
    return value


Size = Annotated[int, BeforeValidator(_size)]
Rate = Annotated[float, BeforeValidator(_rate)]
Duration = Annotated[float, BeforeValidator(_seconds), AfterValidator(_positive)]
DurationOrZero = Annotated[float, BeforeValidator(_seconds), AfterValidator(_not_negative)]
Share = Annotated[float, BeforeValidator(_share)]
PartSize = Annotated[int, BeforeValidator(_part_size)]
PathText = Annotated[Path, BeforeValidator(_path)]
Dataset = Annotated[str, AfterValidator(_dataset)]
Resource = Annotated[str, AfterValidator(_resource)]
ObjectId = Annotated[str, AfterValidator(_object_id)]
Frequency = Annotated[str, AfterValidator(_frequency)]
Cron = Annotated[str, AfterValidator(_cron)]
NotBlank = AfterValidator(_not_blank)
Computing = AfterValidator(_computing)
Day = Annotated[str, BeforeValidator(_day)]
TimeZone = Annotated[str, AfterValidator(_timezone)]
PortalUrl = Annotated[str, AfterValidator(_portal_url)]
Web = Annotated[str, AfterValidator(_web)]
Proxy = Annotated[str, AfterValidator(_proxy)]
Expect = Annotated[str, AfterValidator(_expect)]
Contact = Annotated[SecretStr, AfterValidator(_contactable)]
Heartbeat = Annotated[SecretStr, AfterValidator(_beats)]
Listen = Annotated[str, AfterValidator(_listen)]
PromFile = Annotated[Path, BeforeValidator(_path), AfterValidator(_prom)]
MetricsApi = Annotated[str, AfterValidator(_metrics_api)]
Match = Annotated[str, Field(min_length=1), AfterValidator(_match)]
Hours = Annotated[str, AfterValidator(_hours)]
Keep = Annotated[str, AfterValidator(_keep)]
Tag = Annotated[str, AfterValidator(_tag)]
Extras = Annotated[dict[str, Any], AfterValidator(_extras)]
Outline = Annotated[dict[str, Any], AfterValidator(_outline)]
Marker = Annotated[str, AfterValidator(_marker)]
