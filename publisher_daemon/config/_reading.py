"""Reads and checks the settings with pydantic: a TOML file, with the environment on top.

Every problem is told at once, each with its line, because a person who mends one mistake and meets
the next at each restart loses a morning. The API key is never part of a message.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from pydantic import BaseModel, ValidationError

from publisher_daemon.config._cross import cross_check
from publisher_daemon.config._environment import merge, read_environment
from publisher_daemon.config._file import PLACES, find, read
from publisher_daemon.config._key import known_keys, misplaced, without_keys
from publisher_daemon.config._locate import Where, locate
from publisher_daemon.config._models import (
    DatasetModel,
    RuleModel,
    SettingsModel,
    value_of,
)
from publisher_daemon.config._problems import Origin, Problem, from_validation
from publisher_daemon.config._settings import Settings
from publisher_daemon.config._values import Secret
from publisher_daemon.errors import ConfigInvalid

SECRETS = Path("/run/secrets/api-key")
#: the sections of which single values are tried
_SECTIONS: Mapping[str, type[BaseModel]] = {"datasets": DatasetModel, "resources": RuleModel}


def load(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Read, merge and check everything; raises ConfigInvalid with every problem, one a line."""
    file = find(path, environ)
    text, written = ("", {}) if file is None else read(file)
    values, variables, problems, warnings = read_environment(environ, SettingsModel.model_fields)
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
        settings = value_of(SettingsModel(**merged))
    except ValidationError as error:
        problems += from_validation(error, SettingsModel)
    if settings is not None:
        problems += cross_check(settings)
    problems = _without_keys(problems, misplaced(merged, _keys(merged, environ)))
    if problems or settings is None:
        name = "the environment" if file is None else str(file)
        _refuse(Origin(name, locate(text), variables, merged), problems)
    worries = (*warnings, *_worries(file, inline=inline))
    return replace(settings, path=file, credentials=_credentials(environ), worries=worries)


def refusal(name: str, values: Mapping[str, object]) -> str | None:
    """Why a section would not take these values, in our words; None: it takes them."""
    section = _SECTIONS[name]
    try:
        section.model_validate(dict(values))
    except ValidationError as error:
        return "; ".join(
            f"{'.'.join(map(str, problem.where))}: {problem.text}"
            for problem in from_validation(error, section)
        )
    return None


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
        Secret(inline) if isinstance(inline, str) else None,
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
