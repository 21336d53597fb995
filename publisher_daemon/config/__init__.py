"""Reads and checks the settings: a TOML file, with the environment on top.

Every problem is told at once, each with its line, because a person who mends one mistake and meets
the next at each restart loses a morning. The API key is never part of a message.
"""

from __future__ import annotations

import contextlib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NoReturn

from pydantic import BaseModel, SecretStr, ValidationError

from publisher_daemon.config._cross import cross_check
from publisher_daemon.config._environment import merge, read_environment
from publisher_daemon.config._forms import looks_like_dataset_id
from publisher_daemon.config._key import known_keys, misplaced, without_keys
from publisher_daemon.config._locate import Where, locate
from publisher_daemon.config._models import (
    AlertsSettings,
    ChecksSettings,
    CoverageSettings,
    DaemonSettings,
    DatasetSettings,
    FolderSettings,
    MetricsSettings,
    OrganizationSettings,
    PageSettings,
    PortalSettings,
    ReuseSettings,
    RuleSettings,
    Settings,
    SpatialSettings,
)
from publisher_daemon.config._problems import Origin, Problem, from_validation
from publisher_daemon.errors import ConfigInvalid

__all__ = [
    "AlertsSettings",
    "ChecksSettings",
    "CoverageSettings",
    "DaemonSettings",
    "DatasetSettings",
    "FolderSettings",
    "MetricsSettings",
    "OrganizationSettings",
    "PageSettings",
    "PortalSettings",
    "ReuseSettings",
    "RuleSettings",
    "Settings",
    "SpatialSettings",
    "find",
    "load",
    "looks_like_dataset_id",
    "place",
    "refusal",
    "said_language",
]

PLACES = (Path("config.toml"), Path("/etc/publisher-daemon/config.toml"))
SECRETS = Path("/run/secrets/api-key")

_POSITION = re.compile(r" \(at line (\d+), column (\d+)\)")


def find(path: Path | None, environ: Mapping[str, str]) -> Path | None:
    """The file to read: the one given, $PUBLISHER_CONFIG, ./config.toml, then /etc."""
    if path is not None:
        return path
    if environ.get("PUBLISHER_CONFIG"):
        return Path(environ["PUBLISHER_CONFIG"])
    return next((each for each in PLACES if each.is_file()), None)


def load(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Read, merge and check everything; raises ConfigInvalid with every problem, one a line."""
    file = find(path, environ)
    text, written = ("", {}) if file is None else _read(file)
    values, variables, problems, warnings = read_environment(environ, Settings.model_fields)
    if file is None and not values:
        places = ", ".join(map(str, PLACES))
        raise ConfigInvalid(
            f"no configuration was found: neither {places}, nor PUBLISHER_ variables.",
            hint="Name one with --config, or let `publisher-daemon init` write a first one.",
        )
    inline = "api_key" in written.get("portal", {}) if _is_table(written.get("portal")) else False
    merged = merge(written, values, problems)
    _default_state_dir(merged, environ)
    _resolve_paths(merged, Path.cwd() if file is None else file.absolute().parent)
    for key in [key for key in merged if key.startswith("_")]:
        # pydantic-settings would take these as options of its own
        problems.append(Problem((key,), "unknown key", show=False))
        del merged[key]
    settings: Settings | None = None
    try:
        settings = Settings(**merged)
    except ValidationError as error:
        problems += from_validation(error, Settings)
    if settings is not None:
        problems += cross_check(settings)
    problems = _without_keys(problems, misplaced(merged, _keys(merged, environ)))
    if problems or settings is None:
        name = "the environment" if file is None else str(file)
        _refuse(Origin(name, locate(text), variables, merged), problems)
    settings._path = file  # noqa: SLF001 - private to the package: what load knows and no file says
    settings._credentials = _credentials(environ)  # noqa: SLF001
    settings._warnings = (*warnings, *_worries(file, inline=inline))  # noqa: SLF001
    return settings


def said_language(path: Path | None, environ: Mapping[str, str]) -> Literal["en", "fr"] | None:
    """The `[daemon] language` that is written, be the rest right or wrong; None: none is."""
    said: object = environ.get("PUBLISHER_DAEMON__LANGUAGE")
    file = find(path, environ)
    if said is None and file is not None:
        with contextlib.suppress(ConfigInvalid):
            daemon = _read(file)[1].get("daemon")
            said = daemon.get("language") if isinstance(daemon, dict) else None
    return "fr" if said == "fr" else "en" if said == "en" else None


def refusal(section: type[BaseModel], values: Mapping[str, object]) -> str | None:
    """Why a section would not take these values, in our words; None: it takes them."""
    try:
        section.model_validate(dict(values))
    except ValidationError as error:
        return "; ".join(
            f"{'.'.join(map(str, problem.where))}: {problem.text}"
            for problem in from_validation(error, section)
        )
    return None


def place(settings: Settings, where: Where) -> str:
    """The file and line of a setting, or of the nearest section around it, for people."""
    if settings.path is None:
        return "the environment"
    lines = locate(_read(settings.path)[0])
    found = next(
        (lines[where[:length]] for length in range(len(where), 0, -1) if where[:length] in lines),
        None,
    )
    return str(settings.path) if found is None else f"{settings.path}:{found}"


def _read(file: Path) -> tuple[str, dict[str, Any]]:
    try:
        text = file.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
        return text, tomllib.loads(text)
    except OSError as error:
        raise ConfigInvalid(
            f"{file} cannot be read: {error.strerror}.",
            hint="Name a file the service may read with --config or $PUBLISHER_CONFIG.",
        ) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigInvalid(f"{file}:{line}: this line is not UTF-8. Save it as UTF-8.") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigInvalid(without_keys(_syntax(file, str(error)))) from None


def _syntax(file: Path, said: str) -> str:
    found = _POSITION.search(said)
    at = f"{file}:{found[1]}:{found[2]}" if found else f"{file}:end"
    what = _POSITION.sub("", said).removesuffix(" (at end of document)")
    # what tomllib says may quote keys; a value only as one unexpected character
    return (
        f"{at}: this is not TOML: {what}. "
        'Text goes between quotes, as key = "value"; sections between brackets, as [portal].'
    )


def _refuse(origin: Origin, problems: list[Problem]) -> NoReturn:
    lines = [origin.sentence(problem) for problem in sorted(problems, key=origin.order)]
    raise ConfigInvalid(without_keys("\n".join(lines)))


def _keys(merged: dict[str, Any], environ: Mapping[str, str]) -> tuple[str, ...]:
    """The keys that are given, be the settings right or wrong."""
    portal = merged.get("portal")
    given = portal if isinstance(portal, dict) else {}
    file, inline = given.get("api_key_file"), given.get("api_key")
    return known_keys(
        _credentials(environ),
        Path(file) if isinstance(file, str) else None,
        SecretStr(inline) if isinstance(inline, str) else None,
    )


def _without_keys(problems: list[Problem], places: Iterable[Where]) -> list[Problem]:
    """The problems, and one for each key that stands where others would read it."""
    wrong = {
        where: Problem(
            where,
            "holds an API key, which others would read. Take it out, and write the key in a "
            "file of its own, named in `[portal] api_key_file`",
            show=False,
        )
        for where in places
    }
    return [*(problem for problem in problems if problem.where not in wrong), *wrong.values()]


def _is_table(value: object) -> bool:
    return isinstance(value, dict)


def _default_state_dir(merged: dict[str, Any], environ: Mapping[str, str]) -> None:
    """Let systemd's StateDirectory= decide when no person did."""
    given = environ.get("STATE_DIRECTORY", "").split(":")[0]
    daemon = merged.setdefault("daemon", {})
    if given and isinstance(daemon, dict):
        daemon.setdefault("state_dir", given)


def _resolve_paths(merged: dict[str, Any], base: Path) -> None:
    """A relative path is relative to the configuration file, wherever the service is started."""
    for section, keys in _PATHS.items():
        for table in _tables(merged, *section.split(".")):
            for key in keys:
                if isinstance(table.get(key), str) and table[key]:
                    path = Path(table[key])
                    with contextlib.suppress(RuntimeError):  # a home nobody has stays as written
                        path = path.expanduser()
                    table[key] = str(base / path)


def _tables(table: dict[str, Any], name: str, *inner: str) -> Iterator[dict[str, Any]]:
    """The tables of that name, one or a list, as far as what is written has them."""
    found = table.get(name)
    for each in found if isinstance(found, list) else [found]:
        if isinstance(each, dict):
            if inner:
                yield from _tables(each, *inner)
            else:
                yield each


_PATHS: Mapping[str, tuple[str, ...]] = {
    "portal": ("api_key_file", "ca_file"),
    "daemon": ("state_dir",),
    "metrics": ("textfile",),
    "folders": ("path", "answer_dir"),
    "folders.resources": ("description_file",),
    "folders.checks": ("approvals",),
    "datasets": ("description_file",),
    "organizations": ("description_file",),
    "reuses": ("description_file",),
}


def _credentials(environ: Mapping[str, str]) -> tuple[Path, ...]:
    directory = environ.get("CREDENTIALS_DIRECTORY")
    return (*([Path(directory) / "api-key"] if directory else []), SECRETS)


def _worries(file: Path | None, *, inline: bool) -> list[str]:
    worries = []
    if inline:
        worries.append(
            f"{file} holds the API key itself. Put it in a file of its own, readable by the "
            "service only, and name that in `api_key_file`."
        )
    if file is not None and file.stat().st_mode & 0o022:
        worries.append(f"{file} can be changed by other accounts. Run: chmod go-w {file}")
    return worries
