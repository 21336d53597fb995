"""The image: built without a network, run with nothing to write to, asked whether it is well."""

from __future__ import annotations

import base64
import itertools
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha1
from pathlib import Path
from typing import Any

import pytest
import yaml
from build import ROOT
from launcher import Sandbox
from machine import Machine
from made import Made
from pages import commands
from podman import Podman, unable
from roots import BASE_PACKAGES, BOOKWORM, PODMAN_PACKAGES, TRIXIE, root
from waiting import wait_until

pytestmark = pytest.mark.skipif(unable() is not None, reason=str(unable()))

SHIPPED = ROOT / "deploy/container"
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

    podman: Podman | Inside
    portal: Sandbox
    dataset: str
    home: Path
    name: str
    #: where its state lies on this machine, once that is known
    state: Path = Path("/nowhere")

    @property
    def folder(self) -> Path:
        return self.home / "opendata"

    @property
    def heartbeat(self) -> Path:
        return self.state / "heartbeat"

    @property
    def config(self) -> str:
        return (
            f'[portal]\nurl = "{self.portal.url}"\n[daemon]\ngrace = "1500ms"\n'
            f'[[folders]]\npath = "/srv/opendata"\ndataset = "{self.dataset}"\nquiet = "300ms"\n'
        )

    def prepare(self) -> None:
        """The folder, the key and the configuration, as the guide says."""
        self.folder.mkdir()
        key, config = self.home / "api-key", self.home / "config.toml"
        key.write_text(self.portal.tokens["prod"])
        os.chown(key, 65532, 65532)
        key.chmod(0o400)
        config.write_text(self.config)

    def start(self) -> None:
        """As the guide says, word for word but for the names and places of this test."""
        self.prepare()
        *_, run, _ = commands("deploy.md", "With podman alone").replace("\\\n", "").splitlines()
        here = {
            "publisher-daemon": self.name,
            "/etc/publisher-daemon/config.toml:": f"{self.home}/config.toml:",
            "/srv/opendata:": f"{self.folder}:",
            "publisher-daemon-state:": f"{self.name}-state:",
            "publisher-daemon-api-key,": f"{self.name}-key,",
        }
        words = shlex.split(run)[1:]
        for each, (mine, other) in itertools.product(range(len(words)), here.items()):
            if words[each] == mine or (mine[-1] in ":," and words[each].startswith(mine)):
                words[each] = other + words[each].removeprefix(mine)
        self.podman("secret", "create", f"{self.name}-key", str(self.home / "api-key"))
        # the portal is on this machine's loopback
        self.podman(words[0], "--network=host", *words[1:])
        self.state = self.podman.volume(f"{self.name}-state")
        self.until(self.heartbeat.exists, "the first heartbeat")

    def publish(self, name: str, content: bytes, folder: Path | None = None) -> None:
        """Drop a file and wait until the portal has it."""
        ((folder or self.folder) / name).write_bytes(content)
        wanted = sha1(content).hexdigest()

        def there() -> bool:
            page = self.portal.call("GET", f"2/datasets/{self.dataset}/resources/")
            return wanted in [each["checksum"]["value"] for each in page["data"]]

        self.until(there, f"{name} on the portal")

    def until(self, there: Callable[[], bool], what: str) -> None:
        """Wait for something, or say what the container said instead."""
        try:
            wait_until(there, 90, what)
        except AssertionError as error:
            logs = self.podman("logs", self.name, check=False)
            raise AssertionError(f"{error}\n{logs.stdout}{logs.stderr}") from None

    def well(self) -> bool:
        return self.podman("healthcheck", "run", self.name, check=False).returncode == 0

    def health(self) -> str:
        state = self.podman.inspect(self.name)["State"]
        return str((state.get("Health") or state.get("Healthcheck"))["Status"])

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Stopped in its tracks, for longer than the health check allows."""
        self.podman("kill", "--signal=STOP", self.name)
        # two minutes later, without waiting for them
        old = self.heartbeat.stat().st_mtime - 121
        os.utime(self.heartbeat, (old, old))
        try:
            yield
        finally:
            self.podman("kill", "--signal=CONT", self.name)

    def is_narrow(self) -> None:
        """As what is shipped asks for: no privilege, and nothing to write to but its state."""
        python = ("/opt/venv/bin/python", "-c", PROBE)
        found = json.loads(self.podman("exec", self.name, *python).stdout)
        assert set(found["Uid"].split()) == {"65532"}
        assert {int(found[name], 16) for name in ("CapEff", "CapPrm", "CapBnd")} == {0}
        assert (found["NoNewPrivs"].strip(), found["Seccomp"].strip()) == ("1", "2")
        assert found["written"] == ["/var/lib/publisher-daemon"]


PROBE = """
import json, os
found = dict(line.split(":", 1) for line in open("/proc/1/status"))
places = ["/", "/etc", "/opt/venv", "/srv/opendata", "/var/lib/publisher-daemon"]
found["written"] = [place for place in places if os.access(place, os.W_OK)]
print(json.dumps(found))
"""


class Inside:
    """Podman on a booted server."""

    def __init__(self, server: Machine) -> None:
        self.server = server

    def __call__(
        self, *arguments: str, check: bool = True, timeout: float = 300
    ) -> subprocess.CompletedProcess[str]:
        return self.server.run("podman", *arguments, check=check, timeout=timeout)

    def inspect(self, container: str) -> Any:
        return json.loads(self("inspect", container).stdout)[0]

    def volume(self, name: str) -> Path:
        place = self("volume", "inspect", name, "--format={{.Mountpoint}}").stdout
        return self.server.path(place.strip())


@pytest.fixture
def contained(podman: Podman, portal: Sandbox, dataset: str, tmp_path: Path) -> Iterator[Contained]:
    """A container, running; gone after the test."""
    one = Contained(podman, portal, dataset, tmp_path, f"test-{dataset}")
    one.start()
    yield one
    podman("rm", "--force", "--time=2", one.name, check=False)
    podman("volume", "rm", f"{one.name}-state", check=False)
    podman("secret", "rm", f"{one.name}-key", check=False)


@pytest.fixture
def written(podman: Podman, portal: Sandbox, dataset: str, tmp_path: Path) -> Contained:
    """What a container needs, for one of the files we ship to start it."""
    one = Contained(podman, portal, dataset, tmp_path, "publisher-daemon")
    one.prepare()
    return one


def test_publishes_with_nothing_to_write_to_and_stops_when_told(contained: Contained) -> None:
    contained.publish("a.csv", SMALL)
    contained.is_narrow()
    checked = contained.podman("exec", contained.name, "/opt/venv/bin/publisher-daemon", "check")
    assert "Ready" in checked.stdout

    contained.podman("stop", "--time=60", contained.name)

    after = contained.podman.inspect(contained.name)
    assert after["State"]["ExitCode"] == 0
    logs = contained.podman("logs", contained.name)
    assert '"daemon.stopped"' in logs.stdout + logs.stderr
    assert contained.portal.tokens["prod"] not in logs.stdout + logs.stderr


def test_its_health_turns_red_when_it_hangs(contained: Contained) -> None:
    assert contained.well()

    with contained.hanging():
        # three failures in a row, once the minute that a start may take is over
        wait_until(lambda: not contained.well() and contained.health() == "unhealthy", 120, "red")


def test_a_killed_container_publishes_nothing_twice(contained: Contained) -> None:
    contained.publish("a.csv", SMALL)

    contained.podman("kill", "--signal=KILL", contained.name)
    contained.podman("start", contained.name)
    contained.publish("b.csv", b"b\n")

    page = contained.portal.call("GET", f"2/datasets/{contained.dataset}/resources/")
    assert len(page["data"]) == 2


def test_the_compose_file_runs_it_as_narrowly(
    podman: Podman, written: Contained, tmp_path: Path
) -> None:
    text = (SHIPPED / "compose.yaml").read_text()
    folder = text.replace("source: /srv/opendata", f"source: {written.folder}")
    assert folder != text
    (tmp_path / "compose.yaml").write_text(folder)
    # the portal is on this machine's loopback
    here = "services: {publisher-daemon: {network_mode: host}}\n"
    (tmp_path / "here.yaml").write_text(here)
    with podman.as_a_program(tmp_path / "bin") as path:
        compose: list[str | Path] = [Path(sys.executable).parent / "podman-compose"]
        compose += ["-p", "composed"]
        compose += ["-f", tmp_path / "compose.yaml", "-f", tmp_path / "here.yaml"]

        def composed(*arguments: str) -> None:
            done = subprocess.run(
                [*compose, *arguments],
                env={"PATH": path, "HOME": str(tmp_path)},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr

        composed("up", "--detach", "--no-build")
        try:
            written.name = "composed_publisher-daemon_1"
            volume = written.podman(
                "volume", "inspect", "composed_state", "--format={{.Mountpoint}}"
            )
            written.state = Path(volume.stdout.strip())
            written.publish("a.csv", SMALL)
            written.is_narrow()
            assert written.well()
            with written.hanging():
                assert not written.well()

            composed("stop")

            assert written.podman.inspect(written.name)["State"]["ExitCode"] == 0
        finally:
            composed("down", "--volumes")


#: what a container in a container needs, of the server and of its podman
NESTED = ["--capability=all", "--system-call-filter=@keyring @mount bpf pivot_root"]
NESTED += ["--tmpfs=/var/lib/containers"]
SETTINGS = """[containers]
default_ulimits = ["nofile=1024:4096", "nproc=4096:4096"]
pids_limit = 0
default_sysctls = []
"""


@pytest.fixture(scope="module")
def nested(podman: Podman, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inside]:
    """A server with a podman of today and a systemd, which has the image."""
    place = tmp_path_factory.mktemp("nested")
    podman("save", "--output", str(place / "image.tar"), IMAGE)
    shown = {place: "/mnt", SHIPPED: "/media"}
    with Machine(root(TRIXIE, PODMAN_PACKAGES), "nested", show=shown, options=NESTED) as server:
        server.write("/etc/containers/containers.conf", SETTINGS)
        server.run("mkdir", "-p", "/srv/opendata")
        inside = Inside(server)
        inside("load", "--input", "/mnt/image.tar")
        yield inside


def test_the_kubernetes_manifest_runs_it_as_narrowly(
    nested: Inside, portal: Sandbox, dataset: str, tmp_path: Path
) -> None:
    one = Contained(nested, portal, dataset, tmp_path, "publisher-daemon-pod-publisher-daemon")
    parts = list(yaml.safe_load_all((SHIPPED / "kubernetes/publisher-daemon.yaml").read_text()))
    kinds = {part["kind"]: part for part in parts}
    kinds["ConfigMap"]["data"]["config.toml"] = one.config
    pod = kinds["Deployment"]["spec"]["template"]["spec"]
    pod["containers"][0]["image"] = IMAGE
    # this server has no groups to limit memory with
    del pod["containers"][0]["resources"]
    for volume in pod["volumes"]:
        if "secret" in volume:
            # podman knows no fsGroup, which gives the key to the service's group
            volume["secret"]["defaultMode"] = 0o444
    key = base64.b64encode(portal.tokens["prod"].encode()).decode()
    secret = {"apiVersion": "v1", "kind": "Secret", "data": {"api-key": key}}
    secret["metadata"] = {"name": "publisher-daemon-api-key"}
    nested.server.write("/srv/all.yaml", yaml.safe_dump_all([secret, *parts]))
    nested("volume", "create", "opendata")
    folder = nested.volume("opendata")
    folder.chmod(0o755)

    nested("kube", "play", "--network=host", "/srv/all.yaml")
    try:
        one.state = nested.volume("publisher-daemon-state")
        one.publish("a.csv", SMALL, folder)
        one.is_narrow()
        wait_until(one.well, 60, "well")
        with one.hanging():
            assert not one.well()

        nested("stop", one.name)

        assert nested.inspect(one.name)["State"]["ExitCode"] == 0
    finally:
        nested("kube", "down", "--force", "/srv/all.yaml")


def test_the_quadlet_is_run_by_systemd_which_kills_what_hangs(
    nested: Inside, portal: Sandbox, dataset: str, tmp_path: Path
) -> None:
    one = Contained(nested, portal, dataset, tmp_path, "systemd-publisher-daemon")
    server, unit = nested.server, "publisher-daemon.service"
    server.write("/etc/publisher-daemon/api-key", portal.tokens["prod"], 0o600)
    server.write("/etc/publisher-daemon/config.toml", one.config)
    # the portal is on this machine's loopback, and so is the server
    here = "/etc/containers/systemd/publisher-daemon.container.d/here.conf"
    server.write(here, "[Container]\nNetwork=host\nHealthInterval=2s\n")
    for command in (
        "podman secret create --replace publisher-daemon-api-key /etc/publisher-daemon/api-key",
        "install -m 0644 /media/publisher-daemon.container /etc/containers/systemd/",
        "systemctl daemon-reload",
        "systemctl start publisher-daemon",
    ):
        server.run("sh", "-c", command)
    one.state = nested.volume("publisher-daemon-state")
    folder = server.path("/srv/opendata")
    one.publish("a.csv", SMALL, folder)
    one.is_narrow()
    before = nested.inspect(one.name)["Id"]
    nested("kill", "--signal=STOP", one.name)
    old = one.heartbeat.stat().st_mtime - 121
    os.utime(one.heartbeat, (old, old))

    def another() -> bool:
        asked = nested("inspect", "--format={{.Id}}", one.name, check=False).stdout.strip()
        return asked not in {"", before}

    wait_until(another, 120, "what hung was killed, and started again")
    one.publish("b.csv", b"b\n1\n", folder)
    page = portal.call("GET", f"2/datasets/{dataset}/resources/")
    assert len(page["data"]) == 2

    server.run("systemctl", "stop", unit)

    assert server.show(unit, "Result") == "success"


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
