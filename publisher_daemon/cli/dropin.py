"""``systemd-dropin`` and ``health``: what the unit and the container ask of the program."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterable

from publisher_daemon.cli.opening import read, settings_of
from publisher_daemon.cli.showing import in_words, print_json, print_text, say
from publisher_daemon.errors import ConfigInvalid
from publisher_daemon.health import TOO_OLD, Heartbeat

#: Where shares and data usually are: emptied, so that only the folders named are seen there.
_EMPTIED = ("/srv", "/mnt", "/media")
#: What ProtectHome=yes hides; with tmpfs instead, a folder below can be shown.
_HOMES = ("/home", "/root", "/run/user")
#: What the lists of systemd would take for a separator or an escape, quoted or not.
_UNFIT = re.compile(r'[\x00-\x1f\x7f"\\:]')


def do_systemd_dropin(arguments: argparse.Namespace) -> int:
    """Print the drop-in for the configured folders."""
    settings = settings_of(arguments, level="error")
    settings.require_folders()
    text = dropin([os.path.abspath(folder.path) for folder in settings.folders])  # noqa: PTH100 - resolves no link
    if arguments.json:
        print_json({"dropin": text})
    else:
        lines = (in_words(each) if each[:1] == "#" else each for each in text.splitlines())
        print_text("\n".join(lines))
    return 0


def dropin(paths: Iterable[str]) -> str:
    """The drop-in; raises ConfigInvalid for a path systemd has no way to write."""
    folders = list(dict.fromkeys(paths))
    for path in folders:
        if _UNFIT.search(path) or not path.isprintable():
            raise ConfigInvalid(
                f"{path!r} cannot be named in a systemd unit.",
                hint="Give the folder a path without quotes, backslashes, colons and control "
                "characters, or mount it at one (mount --bind).",
            )
    lines = [
        "# /etc/systemd/system/publisher-daemon.service.d/folders.conf",
        "# Written by `publisher-daemon systemd-dropin`; write it again when folders change:",
        "# `systemctl daemon-reload && systemctl restart publisher-daemon`.",
        "[Unit]",
        "# a share is mounted first: mounted later, it would be writable and give no events",
        *(f"RequiresMountsFor={_quoted(path)}" for path in folders),
        "",
        "[Service]",
        "# of these places, only the folders below are seen",
        f"TemporaryFileSystem={' '.join(f'{place}:ro' for place in _EMPTIED)}",
    ]
    if any(_below(path, _HOMES) for path in folders):
        lines.append("ProtectHome=tmpfs")
    # "-": a folder that is missing is reported by the service and does not stop the others
    lines += [f"BindReadOnlyPaths={_quoted('-' + path)}" for path in folders]
    return "\n".join(lines) + "\n"


def _below(path: str, places: Iterable[str]) -> bool:
    return any(path == place or path.startswith(f"{place}/") for place in places)


def _quoted(path: str) -> str:
    escaped = path.replace("%", "%%")
    return f'"{escaped}"' if re.search(r"[\s']", path) else escaped


def do_health(arguments: argparse.Namespace) -> int:
    """Whether the running service got on lately; never calls the portal."""
    settings = read(arguments)
    age = Heartbeat(settings.daemon.state_dir).age()
    well = age is not None and age <= TOO_OLD
    if arguments.json:
        print_json({"healthy": well, "heartbeat_age": age})
    elif age is None:
        say(f"not running: {settings.daemon.state_dir} holds no heartbeat")
    elif well:
        say(f"well: the last heartbeat is {max(age, 0.0):.0f} s old")
    else:
        say(f"hanging or killed: the last heartbeat is {age:.0f} s old, {TOO_OLD:.0f} is too old")
    return 0 if well else 1
