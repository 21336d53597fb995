"""The image: built without a network, run with nothing to write to, asked whether it is well."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha1
from pathlib import Path

import pytest
from build import ROOT
from launcher import Sandbox
from made import Made
from podman import Podman, unable
from roots import BASE_PACKAGES, BOOKWORM, PODMAN_PACKAGES, TRIXIE, root
from waiting import wait_until

pytestmark = pytest.mark.skipif(unable() is not None, reason=str(unable()))

BASE = "localhost/base:latest"
IMAGE = "localhost/publisher-daemon:latest"
SMALL = b"a;b\n1;2\n"
#: what compose.yaml, the Quadlet and the Kubernetes manifest ask for
NARROW = [
    "--read-only",
    "--tmpfs=/tmp:mode=1777,noexec,nosuid,nodev",
    "--cap-drop=all",
    "--security-opt=no-new-privileges",
    "--memory=512m",
    "--pids-limit=64",
    "--network=host",
]


@pytest.fixture(scope="module")
def podman(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Podman]:
    """A podman that has the image, built from a base that this machine made."""
    wheels, tools = made.wheels(BOOKWORM.python), made.tools()
    base = root(BOOKWORM, BASE_PACKAGES)
    with Podman(tmp_path_factory.mktemp("podman")) as running:
        tar = tmp_path_factory.mktemp("base") / "base.tar"
        subprocess.run(["tar", "-C", base, "-cf", tar, "."], check=True)
        tried = running("import", str(tar), BASE, check=False)
        tar.unlink()
        if tried.returncode == 0:
            tried = running("run", "--rm", *NARROW, BASE, "/bin/true", check=False)
        if tried.returncode != 0:
            pytest.skip(f"no container runs here, not even an empty one: {tried.stderr[-500:]}")
        offline = ["PIP_NO_INDEX=1", "PIP_FIND_LINKS=/wheels /tools", f"BASE={BASE}"]
        running(
            "build",
            "--format=docker",
            "--pull=never",
            "--network=none",
            *(f"--build-arg={each}" for each in offline),
            f"--volume={wheels}:/wheels:ro",
            f"--volume={tools}:/tools:ro",
            f"--file={ROOT}/deploy/container/Containerfile",
            f"--tag={IMAGE}",
            str(ROOT),
            timeout=600,
        )
        yield running


@dataclass
class Contained:
    """A container that serves one folder."""

    podman: Podman
    portal: Sandbox
    dataset: str
    home: Path
    name: str

    @property
    def folder(self) -> Path:
        return self.home / "opendata"

    @property
    def heartbeat(self) -> Path:
        return self.home / "state" / "heartbeat"

    def start(self) -> None:
        self.folder.mkdir()
        (self.home / "state").mkdir()
        os.chown(self.home / "state", 65532, 65532)
        key, config = self.home / "api-key", self.home / "config.toml"
        key.write_text(self.portal.tokens["prod"])
        os.chown(key, 65532, 65532)
        key.chmod(0o400)
        config.write_text(
            f'[portal]\nurl = "{self.portal.url}"\n[daemon]\ngrace = "1500ms"\n'
            f'[[folders]]\npath = "/srv/opendata"\ndataset = "{self.dataset}"\nquiet = "300ms"\n'
        )
        shown = (
            f"{key}:/run/secrets/api-key:ro",
            f"{config}:/etc/publisher-daemon/config.toml:ro",
            f"{self.folder}:/srv/opendata:ro,rslave",
            f"{self.home}/state:/var/lib/publisher-daemon",
        )
        volumes = [f"--volume={each}" for each in shown]
        self.podman("run", "--detach", f"--name={self.name}", *NARROW, *volumes, IMAGE)
        self.until(self.heartbeat.exists, "the first heartbeat")

    def publish(self, name: str, content: bytes) -> None:
        """Drop a file and wait until the portal has it."""
        (self.folder / name).write_bytes(content)
        wanted = sha1(content).hexdigest()

        def there() -> bool:
            page = self.portal.call("GET", f"2/datasets/{self.dataset}/resources/")
            return wanted in [each["checksum"]["value"] for each in page["data"]]

        self.until(there, f"{name} on the portal")

    def until(self, there: Callable[[], bool], what: str) -> None:
        """Wait for something, or say what the container said instead."""
        try:
            wait_until(there, 45, what)
        except AssertionError as error:
            logs = self.podman("logs", self.name, check=False)
            raise AssertionError(f"{error}\n{logs.stdout}{logs.stderr}") from None

    def well(self) -> bool:
        return self.podman("healthcheck", "run", self.name, check=False).returncode == 0

    def health(self) -> str:
        state = self.podman.inspect(self.name)["State"]
        return str((state.get("Health") or state.get("Healthcheck"))["Status"])


@pytest.fixture
def contained(podman: Podman, portal: Sandbox, dataset: str, tmp_path: Path) -> Iterator[Contained]:
    """A container, running; gone after the test."""
    one = Contained(podman, portal, dataset, tmp_path, f"test-{dataset}")
    one.start()
    yield one
    podman("rm", "--force", "--time=2", one.name, check=False)


def test_publishes_with_nothing_to_write_to_and_stops_when_told(contained: Contained) -> None:
    contained.publish("a.csv", SMALL)
    before = contained.podman.inspect(contained.name)

    contained.podman("stop", "--time=60", contained.name)

    after = contained.podman.inspect(contained.name)
    assert before["Config"]["User"] == "65532:65532"
    assert before["EffectiveCaps"] in (None, [])
    assert before["HostConfig"]["ReadonlyRootfs"]
    assert after["State"]["ExitCode"] == 0
    logs = contained.podman("logs", contained.name)
    assert '"daemon.stopped"' in logs.stdout + logs.stderr
    assert contained.portal.tokens["prod"] not in logs.stdout + logs.stderr


def test_its_health_turns_red_when_it_hangs(contained: Contained) -> None:
    assert contained.well()

    process = contained.podman.inspect(contained.name)["State"]["Pid"]
    os.kill(process, 19)
    # two minutes later, without waiting for them
    old = contained.heartbeat.stat().st_mtime - 121
    os.utime(contained.heartbeat, (old, old))

    try:
        # three failures in a row, once the minute that a start may take is over
        wait_until(lambda: not contained.well() and contained.health() == "unhealthy", 120, "red")
    finally:
        os.kill(process, 18)


def test_a_killed_container_publishes_nothing_twice(contained: Contained) -> None:
    contained.publish("a.csv", SMALL)

    contained.podman("kill", "--signal=KILL", contained.name)
    contained.podman("start", contained.name)
    contained.publish("b.csv", b"b\n")

    page = contained.portal.call("GET", f"2/datasets/{contained.dataset}/resources/")
    assert len(page["data"]) == 2


def test_podmans_generator_reads_the_quadlet_and_would_find_a_slip(tmp_path: Path) -> None:
    shipped = (ROOT / "deploy/container/publisher-daemon.container").read_text()
    spoilt = shipped.replace("ReadOnly=", "ReadOnli=")
    assert spoilt != shipped
    generator = "/usr/lib/systemd/system-generators/podman-system-generator"
    shown = f'mount --bind "$1" "$2/mnt" && exec chroot "$2" {generator} -dryrun'

    def generated(text: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "publisher-daemon.container").write_text(text)
        return subprocess.run(
            ["unshare", "-m", "sh", "-c", shown, "sh", tmp_path, root(TRIXIE, PODMAN_PACKAGES)],
            env={"PATH": os.environ["PATH"], "QUADLET_UNIT_DIRS": "/mnt"},
            capture_output=True,
            text=True,
            check=False,
        )

    good = generated(shipped)
    complaints = [line for line in good.stderr.splitlines() if "Loading source" not in line]
    assert (good.returncode, complaints) == (0, [])
    for option in ("--read-only", "--cap-drop", "no-new-privileges", "--health-on-failure kill"):
        assert option in good.stdout, good.stdout
    assert generated(spoilt).returncode != 0
