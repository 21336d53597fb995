"""The real portal, and a reader of it that owes nothing to our own client."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PLACES = ("tests", "tests/storm", "tests/server", "deploy/sandbox", "deploy/package")
sys.path[:0] = [str(ROOT / place) for place in PLACES]

import environment  # noqa: E402 - found through the line above
import limits  # noqa: E402
from colleague import Api  # noqa: E402 - found through the line above
from launcher import Sandbox  # noqa: E402
from producer import Producer  # noqa: E402
from proxy import Proxy  # noqa: E402


def pytest_sessionstart() -> None:
    """Start from the machine's own settings."""
    limits.put_back_what_was_left()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out, and say so, what this machine cannot do: CI is root and has strace."""
    lacking: dict[str, str] = {}
    if os.geteuid() != 0:
        why = "needs root: it mounts file systems or changes machine limits"
        lacking |= {"root": why, "alone": why}
    if shutil.which("strace") is None:
        lacking["strace"] = "needs strace (Debian, Ubuntu: apt install strace)"
    if shutil.which("promtool") is None:
        lacking["promtool"] = "needs promtool (Debian, Ubuntu: apt install prometheus)"
    if shutil.which("chromium") is None:
        lacking["chromium"] = "needs a browser (Debian, Ubuntu: apt install chromium)"
    for item in items:
        for marker, why in lacking.items():
            if item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=why))
        for needs in item.iter_markers("needs"):
            if lacks := _lacks(needs.args):
                item.add_marker(pytest.mark.skip(reason=lacks))


def _lacks(programs: Sequence[str]) -> str | None:
    """Why what needs these programs cannot run here; None when it can."""
    missing = [program for program in programs if not _program(program)]
    if missing:
        return f"needs {', '.join(missing)} (Debian, Ubuntu: apt install)"
    if "sshfs" in programs and not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "needs leave to read and write /dev/fuse"
    return None


def _program(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Install the portal before the first test, so that no test's time limit pays for it."""
    wanted = any("running_portal" in getattr(item, "fixturenames", ()) for item in session.items)
    if wanted and not session.config.option.collectonly:
        environment.python(_say)


def _say(line: str) -> None:
    print(line, file=sys.__stderr__, flush=True)


@pytest.fixture(scope="session")
def running_portal() -> Iterator[Sandbox]:
    """Start one real udata portal for the whole session."""
    with Sandbox(say=_say) as sandbox:
        yield sandbox


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show, with a test that failed, what the portal said last."""
    report = yield
    sandbox = getattr(item, "funcargs", {}).get("running_portal")
    if report.failed and sandbox is not None:
        with contextlib.suppress(FileNotFoundError):
            said = (sandbox.data / "portal.log").read_text(errors="replace")
            report.sections.append(("the portal's log", said[-5000:]))
    return report


@pytest.fixture
def portal(running_portal: Sandbox) -> Iterator[Sandbox]:
    """Give the session's portal, and mend what the test does to it: faults, settings, stops."""
    yield running_portal
    running_portal.mend()


@pytest.fixture
def dataset(portal: Sandbox) -> str:
    """Create an empty public dataset of the organisation, for this test alone."""
    return portal.new_dataset()


@pytest.fixture
def api(portal: Sandbox) -> Api:
    """Look at the portal independently of our own client."""
    return Api(portal)


@pytest.fixture
def proxy(portal: Sandbox) -> Iterator[Proxy]:
    """Stand a proxy before the portal that can break connections."""
    with Proxy(portal.url) as standing:
        yield standing


@pytest.fixture
def producer(tmp_path: Path, portal: Sandbox, dataset: str) -> Producer:
    """Set up a producer's server whose folder feeds the test's dataset."""
    return Producer(tmp_path, portal.url, portal.tokens["prod"], dataset)


@pytest.fixture
def distant(tmp_path: Path, portal: Sandbox, dataset: str, proxy: Proxy) -> Producer:
    """Set up a producer whose portal is behind the proxy that fails on demand."""
    return Producer(tmp_path, proxy.url, portal.tokens["prod"], dataset)
