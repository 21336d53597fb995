"""Podman in a mount namespace and a store of its own, so that it also works where it would refuse.

crun takes a mixed tree of control groups for an error; there, the second version is hidden from it.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from waiting import wait_until


def unable() -> str | None:
    """Why no container can be run here; None when it can."""
    if os.geteuid() != 0:
        return "containers are run by root only in these tests"
    wanted = {"podman": "podman", "crun": "crun", "mmdebstrap": "mmdebstrap"}
    missing = [package for program, package in wanted.items() if shutil.which(program) is None]
    return (
        f"to run containers, this is missing: apt-get install {' '.join(missing)}"
        if missing
        else None
    )


class Podman:
    """Runs podman; ``with Podman(directory) as podman``."""

    def __init__(self, where: Path) -> None:
        self._where = where
        self._settings = where / "containers.conf"
        self._space: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        limits = f'"nofile=1024:{min(hard, 20000)}", "nproc=4096:4096"'
        self._settings.write_text(
            f"[containers]\ndefault_ulimits = [{limits}]\n"
            '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
        )
        hide = "umount /sys/fs/cgroup/unified 2>/dev/null; exec sleep infinity"
        self._space = subprocess.Popen(
            ["unshare", "-m", "--propagation", "slave", "sh", "-c", hide]
        )
        program = Path(f"/proc/{self._space.pid}/comm")
        wait_until(lambda: program.read_text() == "sleep\n", 20, "a mount namespace")
        return self

    def __exit__(self, *_: object) -> None:
        assert self._space is not None
        self("rm", "--all", "--force", "--time", "2", check=False)
        self("rmi", "--all", "--force", check=False)
        self._space.kill()
        self._space.wait()
        shutil.rmtree(self._where, ignore_errors=True)

    def __call__(
        self, *arguments: str, check: bool = True, timeout: float = 300
    ) -> subprocess.CompletedProcess[str]:
        """Run one podman command."""
        assert self._space is not None
        command = ["nsenter", "-t", str(self._space.pid), "-m", "--", "podman"]
        command += ["--root", str(self._where / "store"), "--runroot", str(self._where / "run")]
        done = subprocess.run(
            [*command, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
            env={
                "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                "HOME": str(self._where),
                "CONTAINERS_CONF": str(self._settings),
            },
        )
        if check and done.returncode != 0:
            raise AssertionError(
                f"podman {arguments[:3]} gave {done.returncode}:\n{done.stdout}{done.stderr}"
            )
        return done

    @contextmanager
    def as_a_program(self, directory: Path) -> Iterator[str]:
        """The search path on which others find it as ``podman``."""
        assert self._space is not None
        directory.mkdir()
        program = directory / "podman"
        program.write_text(
            f"#!/bin/sh\nexport CONTAINERS_CONF={self._settings}\n"
            f"exec nsenter -t {self._space.pid} -m -- /usr/bin/podman"
            f' --root {self._where}/store --runroot {self._where}/run "$@"\n'
        )
        program.chmod(0o755)
        yield f"{directory}:/usr/sbin:/usr/bin:/sbin:/bin"
        program.unlink()

    def volume(self, name: str) -> Path:
        """Where a volume's files lie on this machine."""
        return Path(self("volume", "inspect", name, "--format={{.Mountpoint}}").stdout.strip())

    def inspect(self, container: str) -> Any:
        """What podman knows of a container."""
        return json.loads(self("inspect", container).stdout)[0]
