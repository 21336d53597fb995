"""What the proofs of shipping share: packages, booted servers, the service installed there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import environment
import pytest
from build import BuildFailed
from launcher import Sandbox
from machine import Machine, boots, unable
from made import Made
from roots import BASE_PACKAGES, BOOKWORM, PODMAN_PACKAGES, TRIXIE, NoRoot, Offline, Release, root
from served import Served

KEPT = environment.cache() / "packages"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say why nothing is proved where no server can be booted."""
    here = Path(__file__).parent
    why = unable()
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.ship)
            # the first test of a file pays for its server, and perhaps for a root
            item.add_marker(pytest.mark.timeout(900))
            if why is not None:
                item.add_marker(pytest.mark.skip(reason=why))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Fetch what is missing before the first test, and name what stays unproved without it.

    A want of network, or a machine that boots nothing, is told and fails nothing; what can be had
    and does not work fails.
    """
    here = Path(__file__).parent
    concerned = [item for item in session.items if here in item.path.parents]
    proved = [item for item in concerned if item.get_closest_marker("skip") is None]
    if not proved or session.config.option.collectonly:
        return
    try:
        why = _prepare()
    except (NoRoot, BuildFailed) as error:
        raise pytest.UsageError(str(error)) from error
    if why is not None:
        for item in proved:
            item.add_marker(pytest.mark.skip(reason=why))


def _prepare() -> str | None:
    wheels = Made(KEPT, KEPT)
    try:
        wheels.tools()
        for release in (BOOKWORM, TRIXIE):
            wheels.wheels(release.python)
            root(release)
        root(BOOKWORM, BASE_PACKAGES)
        root(TRIXIE, PODMAN_PACKAGES)
    except Offline as error:
        return f"{error}, and nothing kept it from an earlier run"
    return boots(root(BOOKWORM))


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The packages of this checkout."""
    return Made(KEPT, tmp_path_factory.mktemp("made"))


@pytest.fixture(
    scope="module", params=[BOOKWORM, TRIXIE], ids=lambda each: f"systemd-{each.systemd}"
)
def release(request: pytest.FixtureRequest) -> Release:
    """Each distribution in turn."""
    found: Release = request.param
    return found


@pytest.fixture(scope="module")
def server(release: Release, made: Made) -> Iterator[Machine]:
    """A booted server on which our package was just installed."""
    package = made.deb(release)
    with Machine(root(release), release.codename, show={package.parent: "/mnt"}) as booted:
        booted.run("dpkg", "-i", f"/mnt/{package.name}")
        yield booted


@pytest.fixture
def served(server: Machine, portal: Sandbox, dataset: str) -> Iterator[Served]:
    """The service configured for the test's dataset, not started; nothing of it stays."""
    service = Served(server, portal, dataset)
    service.set_up()
    yield service
    service.clear()
