"""What most verbs begin with: read the settings, set up the log, find the file that is meant."""

from __future__ import annotations

import argparse
import os
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

import structlog

from publisher_daemon import log
from publisher_daemon.cli import showing
from publisher_daemon.config import Settings, load, load_apart, said_language
from publisher_daemon.errors import PublisherError
from publisher_daemon.model import DatasetId, ResourceKey, Watch


class NoSuchFile(PublisherError):
    """The path given names no file of a watched folder."""


def settings_of(
    arguments: argparse.Namespace,
    *,
    level: str | None = None,
    keep: bool = False,
    apart: bool = False,
) -> Settings:
    """Load the configuration and configure the log; raises ConfigInvalid.

    ``level`` quietens the log for verbs whose answer is on standard output; ``keep`` keeps the
    last lines for the support archive; ``apart`` has another process read them.
    """
    settings = read(arguments, apart=apart)
    configure_log(settings, level=level, keep=keep)
    return settings


def read(arguments: argparse.Namespace, *, apart: bool = False) -> Settings:
    """Load the configuration and speak its language from now on; raises ConfigInvalid."""
    # first: what is wrong with the configuration is told in its language too
    language = said_language(arguments.config, os.environ)
    if language is not None:
        showing.speak(language)
    return (load_apart if apart else load)(arguments.config, os.environ)


def configure_log(settings: Settings, *, level: str | None = None, keep: bool = False) -> None:
    """Send log lines where the settings say, with the key redacted."""
    log.configure(
        level=level or settings.daemon.log_level,  # type: ignore[arg-type]
        format=settings.daemon.log_format,
        secrets=settings.secrets(),
        recent=log.Recent(settings.daemon.state_dir) if keep else None,
    )
    for warning in settings.warnings():
        structlog.get_logger(__name__).warning("config.warned", why=warning)


def key_of(
    path: str,
    watches: Sequence[Watch],
    known: Iterable[ResourceKey],
    *,
    cwd: Path | None = None,
) -> ResourceKey:
    """The file a person means: a path on this machine, or relative to a watched folder.

    Raises NoSuchFile, which lists what was close, or what is ambiguous.
    """
    absolute = os.path.normpath(os.path.join(cwd or Path.cwd(), path))  # noqa: PTH118 - bytes stay
    for watch in watches:
        root = os.path.realpath(watch.path)
        for candidate in (absolute, os.path.realpath(absolute)):
            for top in (watch.path.rstrip("/"), root):
                if candidate.startswith(f"{top}/"):
                    relative = candidate[len(top) + 1 :]
                    return _as_known(ResourceKey(watch.dataset, watch.name, relative), known)
    # what the history says of a whole dataset names no file
    every = {key for key in known if key.path}
    wanted = unicodedata.normalize("NFC", path.strip("/"))
    matches = {
        key
        for key in every
        if unicodedata.normalize("NFC", key.path) == wanted
        or unicodedata.normalize("NFC", f"{key.folder}/{key.path}") == wanted
    }
    for watch in watches:
        if os.path.lexists(os.path.join(watch.path, path)):  # noqa: PTH118
            matches.add(ResourceKey(watch.dataset, watch.name, path))
    if len(matches) == 1:
        return matches.pop()
    if matches:
        places = ", ".join(sorted(f"{key.folder}/{key.path}" for key in matches))
        raise NoSuchFile(f"“{path}” could be several files: {places}.", hint="Give the whole path.")
    raise NoSuchFile(
        f"“{path}” is no file of a watched folder, and none is remembered under that name.",
        hint="Give the path of the file, or its path inside the folder; "
        "`publisher-daemon status` lists them.",
    )


def _as_known(key: ResourceKey, known: Iterable[ResourceKey]) -> ResourceKey:
    """The key as it is remembered, when only the composition of its accents differs."""
    # what the history says of a whole dataset names no file
    every = {key for key in known if key.path}
    if key in every or os.path.lexists(key.path):
        return key
    composed = unicodedata.normalize("NFC", key.path)
    same = [
        other
        for other in every
        if (other.dataset, other.folder) == (key.dataset, key.folder)
        and unicodedata.normalize("NFC", other.path) == composed
    ]
    return same[0] if len(same) == 1 else key


def datasets_of(watches: Sequence[Watch]) -> tuple[DatasetId, ...]:
    """The datasets that folders feed, each once."""
    return tuple(dict.fromkeys(watch.dataset for watch in watches))
