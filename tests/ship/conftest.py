"""What the proofs of shipping share: packages, booted servers, the service installed there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import environment
import pytest
from launcher import Sandbox
from machine import Machine, unable
from made import Made
from roots import BOOKWORM, TRIXIE, Release, root
from served import Served


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


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The packages of this checkout."""
    return Made(environment.cache() / "packages", tmp_path_factory.mktemp("made"))


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
