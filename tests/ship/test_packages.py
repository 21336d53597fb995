"""The packages as an administrator handles them: installed, upgraded, removed, built again."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from build import ROOT
from launcher import Sandbox
from machine import Machine
from made import Made
from roots import BOOKWORM, TRIXIE, Release, root
from served import UNIT, Served

LEDGER = "/var/lib/publisher-daemon/ledger.sqlite3"


@pytest.fixture(scope="session")
def later(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A next version of the .deb, whose ledger has one more table."""
    source = tmp_path_factory.mktemp("later")
    shutil.copytree(
        ROOT,
        source,
        dirs_exist_ok=True,
        ignore=shutil.ignore_patterns(".venv", ".git", ".*_cache", "__pycache__", "tests"),
    )
    steps = sorted((source / "publisher_daemon/migrations").glob("*.sql"))
    following = f"{int(steps[-1].name[:4]) + 1:04d}_later.sql"
    (steps[-1].parent / following).write_text("CREATE TABLE later (one INTEGER) STRICT;\n")
    return made.all(BOOKWORM.python, source=source, version="99.0", place="later")[0]


def version_of_ledger(server: Machine) -> int:
    asked = f"sqlite3.connect('{LEDGER}').execute('PRAGMA user_version').fetchone()[0]"
    done = server.run("python3", "-c", f"import sqlite3; print({asked})")
    return int(done.stdout)


def test_an_upgrade_takes_the_ledger_along_and_a_purge_leaves_nothing(
    made: Made, later: Path, portal: Sandbox, dataset: str
) -> None:
    now = made.deb(BOOKWORM)
    shown = {now.parent: "/mnt", later.parent: "/media"}
    with Machine(root(BOOKWORM), "upgrade", show=shown) as server:
        before = set(server.run("find", "/usr", "/etc", "/var/lib", "-xdev").stdout.splitlines())
        server.run("dpkg", "-i", f"/mnt/{now.name}")
        served = Served(server, portal, dataset)
        served.set_up()
        served.start()
        first = served.drop("a.csv", b"a;b\n1;2\n")
        served.until_published(first)
        old, pid = version_of_ledger(server), served.pid()

        server.run("dpkg", "-i", f"/media/{later.name}")

        second = served.drop("b.csv", b"b\n")
        served.until_published(first, second)
        assert served.pid() not in (0, pid)
        assert version_of_ledger(server) == old + 1
        assert server.show(UNIT, "ActiveState") == "active"
        server.run("dpkg", "--verify", "publisher-daemon")

        server.run("dpkg", "--purge", "publisher-daemon")

        assert server.show(UNIT, "ActiveState") == "inactive"
        after = set(server.run("find", "/usr", "/etc", "/var/lib", "-xdev").stdout.splitlines())
        left = {path for path in after - before if "publisher" in path}
        assert left == set()


def test_the_rpm_installs_serves_and_goes(made: Made, portal: Sandbox, dataset: str) -> None:
    package = made.rpm(BOOKWORM)
    with Machine(root(BOOKWORM), "rpm", show={package.parent: "/mnt"}) as server:
        # on Debian, rpm knows none of the packages that ours asks for
        server.run("rpm", "--install", "--nodeps", f"/mnt/{package.name}")
        served = Served(server, portal, dataset)
        served.set_up()
        served.start()
        served.until_published(served.drop("a.csv", b"a;b\n1;2\n"))

        server.run("rpm", "--erase", "publisher-daemon")

        assert not server.path("/usr/lib/publisher-daemon").exists()
        assert server.show(UNIT, "ActiveState") == "inactive"
        # the ledger and the key are the administrator's to remove
        assert server.path(LEDGER).exists()


@pytest.mark.parametrize("target", [BOOKWORM, TRIXIE], ids=lambda each: each.codename)
def test_the_same_sources_give_the_same_packages(made: Made, target: Release) -> None:
    first = made.all(target.python)

    second = made.all(target.python, place="again")

    assert [path.name for path in first] == [path.name for path in second]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_the_bill_of_materials_names_what_is_locked(made: Made) -> None:
    bill = json.loads(made.all(BOOKWORM.python)[2].read_text())

    lock = (ROOT / "requirements.lock").read_text()
    locked = set(re.findall(r"^([a-z0-9._-]+)==([^ ;\\]+)", lock, re.MULTILINE))
    assert {(one["name"], one["version"]) for one in bill["components"]} == locked
    assert all(one["hashes"] for part in bill["components"] for one in part["externalReferences"])
    assert bill["metadata"]["component"]["name"] == "publisher-daemon"


def test_installs_without_a_network_from_wheels(made: Made, tmp_path: Path) -> None:
    wheels = made.wheels(f"{sys.version_info.major}.{sys.version_info.minor}")
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    alone = ["unshare", "--net", str(environment / "bin/pip"), "install", "--quiet", "--no-index"]
    alone += ["--find-links", str(wheels), "--only-binary=:all:"]
    subprocess.run([*alone, "--require-hashes", "-r", str(ROOT / "requirements.lock")], check=True)
    own = made.wheel()

    subprocess.run([*alone, "--no-deps", str(own)], check=True)

    done = subprocess.run([environment / "bin/publisher-daemon", "--version"], check=True)
    assert done.returncode == 0
