"""The guide, followed to the letter on a bare server: its own commands, a stopwatch, a file."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from build import ROOT
from launcher import Sandbox
from machine import Machine
from made import Made
from pages import commands
from roots import BOOKWORM, TRIXIE, Release, root
from served import FOLDER, UNIT, Served

#: the guide promises ten minutes; a person reads and types too: a quarter is for the machine
SECONDS = 600 / 4
#: stands in for a person with an editor
EDITOR = """\
#!/bin/sh
case "$1" in
*/api-key) printf '%s\\n' '{key}' > "$1" ;;
*/config.toml) printf '%s\\n' '[[folders]]' 'path = "{folder}"' 'dataset = "{dataset}"' >> "$1" ;;
*) exit 1 ;;
esac
"""


def test_both_guides_give_the_same_commands() -> None:
    for french, english in (
        ("Installer", "From a package"),
        ("En conteneur", "Container"),
        ("Avec podman seul", "With podman alone"),
    ):
        assert commands("fr/deploiement.md", french) == commands("deploy.md", english)


@pytest.fixture
def copy(tmp_path: Path) -> Iterator[Path]:
    """A copy of the repository, as somebody downloads it."""
    place = tmp_path / "copy"
    left = shutil.ignore_patterns(".*", "__pycache__", "tests", "dist", "build")
    shutil.copytree(ROOT, place, ignore=left)
    yield place
    shutil.rmtree(place)


def follow(server: Machine, portal: Sandbox, dataset: str, where: str, guide: str) -> float:
    """Do what the guide says, there; returns the seconds from its first command to the file."""
    served = Served(server, portal, dataset)
    server.run("mkdir", "-p", FOLDER)
    person = EDITOR.format(key=portal.tokens["prod"], folder=FOLDER, dataset=dataset)
    server.write("/usr/local/bin/editor", person, 0o755)
    sha1 = served.drop("air.csv", b"a;b\n1;2\n")
    begun = time.monotonic()

    # the one thing that cannot be as written is which portal it is
    literal = guide.replace("https://demo.data.gouv.fr", portal.url)
    assert literal != guide
    server.run("sh", "-ec", f"export PATH=/usr/local/bin:$PATH\ncd {where}\n{literal}", timeout=600)

    served.until_published(sha1, within=120)
    took = time.monotonic() - begun
    assert server.show(UNIT, "ActiveState") == "active"
    assert server.run("systemctl", "is-enabled", UNIT).stdout.strip() == "enabled"
    return took


@pytest.mark.parametrize("target", [BOOKWORM, TRIXIE], ids=lambda each: each.codename)
def test_leads_from_a_bare_server_to_a_published_file(
    target: Release, made: Made, portal: Sandbox, dataset: str
) -> None:
    package = made.deb(target)
    with Machine(root(target), f"guide-{target.codename}", show={package.parent: "/mnt"}) as server:
        took = follow(server, portal, dataset, "/mnt", commands("deploy.md", "From a package"))

    print(f"from the guide's first command to the file: {took:.0f} s")
    assert took < SECONDS


def test_leads_there_from_a_copy_of_the_repository_too(
    made: Made, copy: Path, portal: Sandbox, dataset: str
) -> None:
    shown = {copy: "/mnt", made.wheels(BOOKWORM.python): "/media", made.tools(): "/home"}
    with Machine(root(BOOKWORM), "copy", show=shown) as server:
        server.run("cp", "-r", "/mnt", "/srv/copy")
        # where the guide says "without a network"; pip reads its options from here as well
        offline = "export PIP_NO_INDEX=1 PIP_FIND_LINKS='/media /home'\n"
        before = commands("deploy.md", "From a copy of this repository")
        after = commands("deploy.md", "From a package").partition("\n")[2]
        command = "export PATH=/usr/lib/publisher-daemon/venv/bin:$PATH\n"

        took = follow(server, portal, dataset, "/srv/copy", offline + before + command + after)

    print(f"from a copy, to the file: {took:.0f} s")
