"""What the proofs of shipping share: packages, booted servers, the service installed there."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator
from functools import partial
from pathlib import Path

import environment
import pytest
from build import BuildFailed
from launcher import Sandbox
from machine import Machine
from made import Made
from roots import BASE_PACKAGES, BOOKWORM, PODMAN_PACKAGES, TRIXIE, Lacking, NoRoot, Release, root
from served import Served

KEPT = environment.cache() / "packages"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is proved here."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.ship)
            # the first test of a file pays for its server, and perhaps for a root
            item.add_marker(pytest.mark.timeout(900))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Fetch what is missing before the first test, so that no test's time limit pays for it.

    What cannot be had is named by each test that needs it, which is then skipped; what can be had
    and does not work fails.
    """
    here = Path(__file__).parent
    concerned = [item for item in session.items if here in item.path.parents]
    if not concerned or session.config.option.collectonly:
        return
    wheels = Made(KEPT, KEPT)
    wanted: list[Callable[[], object]] = [
        wheels.tools,
        *(partial(wheels.wheels, release.python) for release in (BOOKWORM, TRIXIE)),
        *(partial(root, release) for release in (BOOKWORM, TRIXIE)),
        partial(root, BOOKWORM, BASE_PACKAGES),
        partial(root, TRIXIE, PODMAN_PACKAGES),
    ]
    for fetch in wanted:
        try:
            with contextlib.suppress(Lacking):
                fetch()
        except (NoRoot, BuildFailed) as error:
            raise pytest.UsageError(str(error)) from error


@contextlib.contextmanager
def _skipped_where_lacking() -> Iterator[None]:
    try:
        yield
    except Lacking as why:
        pytest.skip(str(why))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None, object, object]:
    """Skip, with the reason, a test whose server, package or image cannot be made here."""
    with _skipped_where_lacking():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    """Skip, with the reason, a test that finds this out by itself."""
    with _skipped_where_lacking():
        return (yield)


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
