"""The file that holds the settings: which one it is, what it says, and on which line."""

from __future__ import annotations

import contextlib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from publisher_daemon.config._key import without_keys
from publisher_daemon.config._locate import Where, locate
from publisher_daemon.errors import ConfigInvalid

if TYPE_CHECKING:
    from publisher_daemon.config._settings import Settings

PLACES = (Path("config.toml"), Path("/etc/publisher-daemon/config.toml"))

_POSITION = re.compile(r" \(at line (\d+), column (\d+)\)")


def find(path: Path | None, environ: Mapping[str, str]) -> Path | None:
    """The file to read: the one given, $PUBLISHER_CONFIG, ./config.toml, then /etc."""
    if path is not None:
        return path
    if environ.get("PUBLISHER_CONFIG"):
        return Path(environ["PUBLISHER_CONFIG"])
    return next((each for each in PLACES if each.is_file()), None)


def said_language(path: Path | None, environ: Mapping[str, str]) -> Literal["en", "fr"] | None:
    """The `[daemon] language` that is written, be the rest right or wrong; None: none is."""
    said: object = environ.get("PUBLISHER_DAEMON__LANGUAGE")
    file = find(path, environ)
    if said is None and file is not None:
        with contextlib.suppress(ConfigInvalid):
            daemon = read(file)[1].get("daemon")
            said = daemon.get("language") if isinstance(daemon, dict) else None
    return "fr" if said == "fr" else "en" if said == "en" else None


def place(settings: Settings, where: Where) -> str:
    """The file and line of a setting, or of the nearest section around it, for people."""
    if settings.path is None:
        return "the environment"
    lines = locate(read(settings.path)[0])
    found = next(
        (lines[where[:length]] for length in range(len(where), 0, -1) if where[:length] in lines),
        None,
    )
    return str(settings.path) if found is None else f"{settings.path}:{found}"


def read(file: Path) -> tuple[str, dict[str, Any]]:
    """Its text, and what it says; raises ConfigInvalid."""
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
