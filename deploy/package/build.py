"""Builds the .deb and the .rpm, for one version of the system's Python: ``make packages``.

An environment under /usr/lib and no single-file executable: those unpack themselves under /tmp,
where a hardened server executes nothing. The wheels are the target's, so that any machine builds
for any Python; bytecode is compiled where it is installed. The same sources give the same bytes.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
NAME = "publisher-daemon"
#: glibc 2.28 (RHEL 8) and older: every distribution whose systemd the unit is for
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
COMMAND = """\
#!/usr/lib/publisher-daemon/venv/bin/python -I
from publisher_daemon.__main__ import main

raise SystemExit(main())
"""


@dataclass(frozen=True, slots=True)
class Order:
    """What to build, and from what."""

    python: str
    out: Path
    wheels: Path
    #: a checkout, or a copy of one
    source: Path = ROOT
    #: instead of the sources' own
    version: str | None = None


class BuildFailed(Exception):
    """A tool failed; the message holds what it said."""


def main() -> int:
    """Build what the command line asks for, and name what was made."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default="3.11", help="the target's: 3.11 (Debian 12), 3.13 …")
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    parser.add_argument("--wheels", type=Path, help="a directory kept between builds")
    asked = parser.parse_args()
    wheels = asked.wheels or asked.out / f"wheels-{asked.python}"
    try:
        for made in build(Order(asked.python, asked.out, wheels)):
            print(made)
    except BuildFailed as error:
        print(f"build: {error}", file=sys.stderr)
        return 1
    return 0


def build(order: Order) -> list[Path]:
    """Build both packages and the bill of materials; returns their paths."""
    order.out.mkdir(parents=True, exist_ok=True)
    epoch = source_date(order.source)
    with tempfile.TemporaryDirectory(prefix="publisher-package-") as directory:
        work = Path(directory)
        version = order.version or version_of(order.source)
        bill = bill_of_materials(order.source, version, order.out)
        fetch(order.source, order.python, order.wheels)
        tree = lay_out(order, own_wheel(order.source, work, epoch), bill, work / "tree")
        _same_dates(tree, epoch)
        return [*_packages(order, version, tree, epoch, work), bill]


def source_date(source: Path) -> int:
    """When the sources are from: SOURCE_DATE_EPOCH, else the last commit, else the change log."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(given)
    asked = subprocess.run(
        ["git", "log", "-1", "--format=%ct"],
        cwd=source,
        capture_output=True,
        text=True,
        check=False,
    )
    return int(asked.stdout or (source / "CHANGELOG.md").stat().st_mtime)


def version_of(source: Path) -> str:
    """The version that the sources say."""
    text = (source / "publisher_daemon" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([^"]+)"', text, re.MULTILINE)
    if found is None:
        raise BuildFailed("publisher_daemon/__init__.py says no __version__")
    return found[1]


def fetch(source: Path, python: str, wheels: Path) -> None:
    """Bring the wheels of the lock for that Python, each checked against its hash."""
    mark = wheels / ".complete"
    lock = (source / "requirements.lock").read_text(encoding="utf-8")
    if mark.exists() and mark.read_text(encoding="utf-8") == lock:
        return
    shutil.rmtree(wheels, ignore_errors=True)
    wheels.mkdir(parents=True)
    _pip("download", "--quiet", "--no-deps", "--require-hashes", "--dest", wheels,
         *_target(python), "--requirement", source / "requirements.lock")  # fmt: skip
    mark.write_text(lock, encoding="utf-8")


def own_wheel(source: Path, work: Path, epoch: int) -> Path:
    """The wheel of the sources, built without a network."""
    _pip("wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", work,
         source, epoch=epoch)  # fmt: skip
    return next(work.glob("*.whl"))


def bill_of_materials(source: Path, version: str, out: Path) -> Path:
    """Write the CycloneDX bill of what is shipped; it holds nothing of this machine or moment."""
    path = out / f"{NAME}-{version}.cdx.json"
    _run(sys.executable, "-m", "cyclonedx_py", "requirements", source / "requirements.lock",
         "--pyproject", source / "pyproject.toml", "--mc-type", "application",
         "--output-reproducible", "--of", "JSON", "-o", path)  # fmt: skip
    bill = json.loads(path.read_text(encoding="utf-8"))
    bill["metadata"]["component"]["version"] = version
    path.write_text(json.dumps(bill, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return path


def lay_out(order: Order, wheel: Path, bill: Path, tree: Path) -> Path:
    """Put every file where it will be installed."""
    environment = tree / "usr/lib" / NAME / "venv"
    site = environment / f"lib/python{order.python}/site-packages"
    site.mkdir(parents=True)
    _pip("install", "--quiet", "--no-index", "--no-deps", "--no-compile", "--require-hashes",
         "--find-links", order.wheels, "--target", site, *_target(order.python),
         "--requirement", order.source / "requirements.lock")  # fmt: skip
    _pip("install", "--quiet", "--no-index", "--no-deps", "--no-compile", "--target", site,
         *_target(order.python), wheel)  # fmt: skip
    # what was installed, by whom and from where is the package manager's to know
    shutil.rmtree(site / "bin")
    for left in (*site.glob("*.dist-info/direct_url.json"), *site.glob("*.dist-info/RECORD")):
        left.unlink()
    programs = environment / "bin"
    programs.mkdir()
    (programs / "python").symlink_to(f"/usr/bin/python{order.python}")
    (environment / "pyvenv.cfg").write_text(
        f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {order.python}\n",
        encoding="utf-8",
    )
    (programs / NAME).write_text(COMMAND, encoding="utf-8")
    (programs / NAME).chmod(0o755)
    (tree / "usr/bin").mkdir()
    (tree / "usr/bin" / NAME).symlink_to(f"../lib/{NAME}/venv/bin/{NAME}")
    systemd, share = order.source / "deploy/systemd", f"usr/share/doc/{NAME}"
    for origin, place in (
        (systemd / f"{NAME}.service", f"usr/lib/systemd/system/{NAME}.service"),
        (systemd / f"{NAME}-alert@.service", f"usr/lib/systemd/system/{NAME}-alert@.service"),
        (systemd / f"{NAME}.catalog", f"usr/lib/systemd/catalog/{NAME}.catalog"),
        (systemd / f"{NAME}.sysusers", f"usr/lib/sysusers.d/{NAME}.conf"),
        (systemd / f"{NAME}.tmpfiles", f"usr/lib/tmpfiles.d/{NAME}.conf"),
        (systemd / f"{NAME}.sysctl", f"{share}/sysctl.conf"),
        (order.source / "config.example.toml", f"{share}/config.example.toml"),
        (order.source / "CHANGELOG.md", f"{share}/CHANGELOG.md"),
        (order.source / "LICENSE", f"{share}/copyright"),
        (bill, f"{share}/sbom.cdx.json"),
    ):
        target = tree / place
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(origin, target)
        target.chmod(0o644)
    return tree


def _packages(order: Order, version: str, tree: Path, epoch: int, work: Path) -> list[Path]:
    recipe = work / "nfpm.json"
    following = f"3.{int(order.python.split('.')[1]) + 1}"
    recipe.write_text(
        (HERE / "nfpm.yaml")
        .read_text(encoding="utf-8")
        .replace("@VERSION@", version)
        .replace("@TREE@", str(tree))
        .replace("@HERE@", str(HERE))
        .replace("@PYTHON@", order.python)
        .replace("@NEXT@", following)
        .replace("@DATE@", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch))),
        encoding="utf-8",
    )
    tag = f"{version}-1.py{order.python}"
    names = {"deb": f"{NAME}_{tag}_amd64.deb", "rpm": f"{NAME}-{tag}.x86_64.rpm"}
    for form, name in names.items():
        _run(_beside("nfpm"), "package", "-f", recipe, "-p", form, "-t", order.out / name,
             epoch=epoch)  # fmt: skip
    return [order.out / name for name in names.values()]


def _same_dates(tree: Path, epoch: int) -> None:
    for path in (*tree.rglob("*"), tree):
        os.utime(path, (epoch, epoch), follow_symlinks=False)


def _target(python: str) -> list[str]:
    options = ["--only-binary=:all:", "--implementation=cp", f"--python-version={python}"]
    return [*options, *(f"--platform={platform}" for platform in PLATFORMS)]


def _pip(verb: str, *arguments: str | Path, epoch: int = 0) -> None:
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input")
    _run(*pip, verb, *arguments, epoch=epoch)


def _beside(program: str) -> str:
    """The program of the environment that runs this, whatever PATH says."""
    found = shutil.which(program, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if found is None:
        raise BuildFailed(f"{program} is not there: run this by `make packages`")
    return found


def _run(*command: str | Path, epoch: int = 0) -> None:
    dated = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch)} if epoch else None
    words = [*map(str, command)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=dated)
    if done.returncode != 0:
        raise BuildFailed(f"{' '.join(map(str, command[:4]))}…\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    raise SystemExit(main())
