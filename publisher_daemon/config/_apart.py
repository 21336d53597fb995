"""Has the settings read by a process of its own, so that this one never loads pydantic.

The other one is a fresh interpreter, at the start and at each reload alike: a fork of a process
with threads may hang. It gets the file's name and this process's environment, and answers through
a pipe that nobody else has: no secret goes where it is not already.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from publisher_daemon import __version__
from publisher_daemon.config._settings import Settings
from publisher_daemon.errors import ConfigInvalid

_PROGRAM = """\
import sys
file, *sys.path = sys.argv[1:]
from publisher_daemon.config._apart import answer
answer(file)
"""
_RESTART = "Restart the service: systemctl restart publisher-daemon"


def load_apart(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Read and check everything as ``load`` does, in another process; raises ConfigInvalid.

    Where no other process can be had, this one reads: better larger than not there.
    """
    command = [
        sys.executable,
        # what is loaded is what we would load, whatever lies in the directory we are in
        "-I" if sys.flags.isolated else "-P",
        *("-c", _PROGRAM, "" if path is None else str(path), *sys.path),
    ]
    try:
        # a group of its own: a Ctrl-C is for us, and we say what becomes of it
        done = subprocess.run(  # noqa: S603 - our own program, by our own interpreter
            command, env=environ, stdout=subprocess.PIPE, check=True, process_group=0
        )
    except (OSError, subprocess.SubprocessError) as error:
        return _here(path, environ, why=_short(error))
    # the version can be read by any other version, what follows perhaps not
    said, _, answered = done.stdout.partition(b"\n")
    version = said.decode()
    if version != __version__:
        raise ConfigInvalid(
            f"version {version} was installed since this service was started as {__version__}: one "
            "cannot read the settings for the other.",
            hint=_RESTART,
        )
    told = pickle.loads(answered)  # noqa: S301 - of our own child, by a pipe
    if isinstance(told, Settings):
        return told
    message, hint = told
    raise ConfigInvalid(message, hint=hint)


def answer(file: str) -> None:
    """Be the other process: the settings, or why they are refused, on standard output."""
    from publisher_daemon.config import _reading  # noqa: PLC0415 - brings pydantic

    told: object
    try:
        told = _reading.load(Path(file) if file else None, os.environ)
    except ConfigInvalid as error:
        told = (error.message, error.hint)
    sys.stdout.buffer.write(__version__.encode() + b"\n" + pickle.dumps(told))


def _short(error: Exception) -> str:
    """Why, without the whole program that was to be run."""
    if isinstance(error, subprocess.CalledProcessError):
        return f"it ended with {error.returncode}"
    return str(error)


def _here(path: Path | None, environ: Mapping[str, str], *, why: str) -> Settings:
    try:
        from publisher_daemon.config import _reading  # noqa: PLC0415 - brings pydantic
    except ImportError as error:
        raise ConfigInvalid(
            f"the program that reads the settings is not there any more: {error}.", hint=_RESTART
        ) from error
    settings = _reading.load(path, environ)
    worry = (
        "the service had to read its settings itself, and keeps 20 MiB more of memory for it: no "
        f"other process could ({why})."
    )
    return replace(settings, worries=(*settings.worries, worry))
