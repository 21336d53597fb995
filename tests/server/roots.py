"""Debian roots to boot and to install in, made once for this machine from its own package archive.

They stand in the user's cache, outside the checkout, and are never written to: a machine that boots
from one lays a file system in memory over it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import environment

#: what a server has before our package comes; rpm, to try the other package
PACKAGES = "systemd,systemd-sysv,dbus,python3,python3-venv,ca-certificates,procps,acl,rpm"
#: what the public base image of the container brings
BASE_PACKAGES = "python3,python3-venv,ca-certificates"
#: a server whose podman knows Quadlet, as that of Debian 12 does not
PODMAN_PACKAGES = "systemd,systemd-sysv,dbus,procps,podman,catatonit"


@dataclass(frozen=True, slots=True)
class Release:
    """A distribution that people have, and what of it concerns us."""

    codename: str
    systemd: int
    python: str


BOOKWORM = Release("bookworm", 252, "3.11")
TRIXIE = Release("trixie", 257, "3.13")


class NoRoot(Exception):
    """The root cannot be made; the message says what was missing."""


class Lacking(Exception):
    """What a proof needs cannot be had here, which is no fault of what is tested."""


class Offline(Lacking):
    """It would be fetched, and nothing kept it from an earlier run."""


def root(release: Release, packages: str = PACKAGES) -> Path:
    """The directory of the release's root, built when it is not there."""
    recipe = hashlib.sha256(packages.encode()).hexdigest()[:8]
    name = f"root-{release.codename}-{recipe}"
    return environment.prepared(name, partial(_build, release, packages)) / "root"


def archive() -> str:
    """Where this machine takes Debian from, as its own apt says."""
    asked = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(ORIGIN) $(CODENAME) $(SITE)"],
        capture_output=True,
        text=True,
        check=False,
    )
    for line in asked.stdout.splitlines():
        origin, codename, site = line.split(" ", 2)
        if origin == "Debian" and "-" not in codename:
            return site
    raise Offline("this machine's apt knows no archive of Debian; on Debian: apt-get update")


def _build(release: Release, packages: str, where: Path) -> None:
    if shutil.which("mmdebstrap") is None:
        raise Lacking("to make a server's root, this is missing: apt-get install mmdebstrap")
    print(f"Making a root of Debian {release.codename}, once for this machine.", flush=True)
    target = where / "root"
    command = ["mmdebstrap", "--quiet", "--variant=apt", f"--include={packages}"]
    made = subprocess.run(
        [*command, release.codename, str(target), archive()],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode != 0 and not _reachable(release, where):
        raise Offline(f"the archive of Debian {release.codename} cannot be reached")
    if made.returncode != 0:
        raise NoRoot(f"mmdebstrap cannot make {release.codename}:\n{made.stderr[-3000:]}")
    target.chmod(0o755)
    (target / "etc/machine-id").write_text(os.urandom(16).hex() + "\n")
    (target / "etc/hosts").write_text("127.0.0.1 localhost\n")


def _reachable(release: Release, where: Path) -> bool:
    """Whether apt, with this machine's own settings, gets the archive's first page."""
    page = f"{archive()}/dists/{release.codename}/InRelease"
    asked = subprocess.run(
        ["/usr/lib/apt/apt-helper", "download-file", page, where / "page"],
        capture_output=True,
        check=False,
    )
    return asked.returncode == 0
