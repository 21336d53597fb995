"""What the service itself will see: root, who runs `check`, may read everything, and it may not."""

from __future__ import annotations

import grp
import os
import pwd
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from publisher_daemon.check._finding import Finding, error
from publisher_daemon.check._folders import Seen, let_in, some_of

UNIT = "publisher-daemon.service"
#: so long may looking through one folder take; a larger one is judged by what was seen
_WITHIN = 60.0


@dataclass(frozen=True, slots=True)
class Account:
    """Whom the service runs as."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]


def as_the_service_sees(seen: Seen, pid: int | None) -> Iterator[Finding]:
    """What stands between the service and a folder that can be read here; nothing unless root."""
    if os.geteuid() != 0 or not seen.usable or seen.network:
        return
    if pid is not None:
        yield from _shown(seen, pid)
    account = _running(pid) if pid is not None else _installed()
    if account is not None and account.uid != 0:
        yield from _readable(seen, account)


def _shown(seen: Seen, pid: int) -> Iterator[Finding]:
    """A sandbox is made when the service starts, and shows the folders of that moment."""
    path = seen.watch.path
    try:
        here, there = os.stat(path), os.stat(f"/proc/{pid}/root{os.path.abspath(path)}")  # noqa: PTH100, PTH116 - resolves no link
    except FileNotFoundError:
        yield error(
            seen.where,
            f"The running service is not shown the folder {path}: it was started without it.",
            "Write the drop-in again (`publisher-daemon systemd-dropin`), then: systemctl "
            "daemon-reload && systemctl restart publisher-daemon",
            "folder.hidden",
        )
    except OSError:
        return
    else:
        if (here.st_dev, here.st_ino) != (there.st_dev, there.st_ino):
            yield error(
                seen.where,
                f"The running service is shown another directory than {path} is now: it was moved, "
                "made anew or mounted since the start.",
                "Run: systemctl restart publisher-daemon",
                "folder.hidden",
            )


def _readable(seen: Seen, account: Account) -> Iterator[Finding]:
    path = os.path.abspath(seen.watch.path)  # noqa: PTH100 - resolves no link
    closed = ["(", "-type", "d", "!", "-executable", ")", "-o", "!", "-readable"]
    try:
        asked = subprocess.run(  # noqa: S603 - an absolute path, which is no option
            ["/usr/bin/find", path, "(", *closed, ")", "-print0", "-prune"],
            user=account.uid,
            group=account.gid,
            extra_groups=account.groups,
            cwd="/",
            capture_output=True,
            timeout=_WITHIN,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return
    found = [os.fsdecode(each) for each in asked.stdout.split(b"\0") if each]
    files = {f"{path}/{each}" for each in seen.paths}
    if path in found or (not found and asked.returncode != 0):
        yield error(
            seen.where,
            f"The service's account “{account.name}” may not read the folder {path}.",
            let_in(path, account.name),
            "folder.unreadable",
        )
        return
    concerned = [
        each
        for each in found
        if each in files or any(file.startswith(f"{each}/") for file in files)
    ]
    if concerned:
        yield error(
            seen.where,
            f"The service's account “{account.name}” may not read {some_of(concerned)}: what is in "
            "there is not published.",
            f"{let_in(concerned[0], account.name)} Or leave it out with `exclude`.",
            "folder.part_unreadable",
        )


def _running(pid: int) -> Account | None:
    try:
        told = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    lines = dict(line.split(":", 1) for line in told.splitlines() if ":" in line)
    uid, gid = int(lines["Uid"].split()[1]), int(lines["Gid"].split()[1])
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = str(uid)
    return Account(name, uid, gid, tuple(map(int, lines["Groups"].split())))


def _installed() -> Account | None:
    """The account that the installed unit names, with the groups that it adds."""
    try:
        asked = subprocess.run(  # noqa: S603 - our own unit
            ["/usr/bin/systemctl", "show", UNIT, "-p", "User", "-p", "SupplementaryGroups"],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    unit = dict(line.split("=", 1) for line in asked.stdout.splitlines() if "=" in line)
    try:
        found = pwd.getpwnam(unit.get("User", ""))
    except KeyError:
        return None
    groups = set(os.getgrouplist(found.pw_name, found.pw_gid))
    for name in unit.get("SupplementaryGroups", "").split():
        try:
            groups.add(grp.getgrnam(name).gr_gid)
        except KeyError:
            continue
    return Account(found.pw_name, found.pw_uid, found.pw_gid, tuple(sorted(groups)))
