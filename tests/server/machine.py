"""A server in a namespace: a Debian root with a really booted systemd, its changes in memory.

systemd-nspawn without machined: it also works where PID 1 is not systemd, if the container gets a
control group of its own. It shares the network of this machine, so that the portal on loopback is
reached.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

from roots import Lacking
from waiting import wait_until

_GROUPS = Path("/sys/fs/cgroup")
#: of a busy machine with two cores; it takes one second on an idle one
_BOOTS_WITHIN = 90.0


def unable() -> str | None:
    """Why no server can be booted here; None when it can."""
    if os.geteuid() != 0:
        return "a systemd is booted by root only"
    wanted = {"systemd-nspawn": "systemd-container", "nsenter": "util-linux"}
    missing = [package for program, package in wanted.items() if shutil.which(program) is None]
    if missing:
        return f"to boot a systemd, this is missing: apt-get install {' '.join(missing)}"
    mounting = ["unshare", "-m", "-p", "-f", "mount", "-t", "tmpfs", "none", "/mnt"]
    tried = subprocess.run(mounting, capture_output=True, check=False)
    return (
        None if tried.returncode == 0 else "nothing can be mounted here, in a namespace of its own"
    )


class Machine:
    """A booted server; ``with Machine(root, name) as server``. Raises Lacking where none boots.

    A machine that does not boot after another one did is a failure.
    """

    #: why no bare root boots here; None until that is known
    _hopeless: ClassVar[str | None] = None
    _one_booted: ClassVar[bool] = False

    def __init__(
        self,
        root: Path,
        name: str,
        *,
        show: dict[Path, str] | None = None,
        options: Sequence[str] = (),
    ) -> None:
        self._root = root
        self._name = f"publisher-{os.getpid()}-{name}"
        self._show = show or {}
        #: of systemd-nspawn, besides those that every machine gets
        self._options = options
        self._log = Path(tempfile.mkdtemp(prefix="publisher-machine-")) / "console"
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._leader = 0

    def __enter__(self) -> Self:
        if Machine._hopeless is None and not Machine._one_booted:
            Machine._hopeless = unable()
        if Machine._hopeless is not None:
            raise Lacking(Machine._hopeless)
        try:
            self._boot()
        except BaseException as error:
            self.off()
            if isinstance(error, AssertionError) and not Machine._one_booted:
                Machine._hopeless = f"a bare Debian does not boot here: {error}"
                raise Lacking(Machine._hopeless) from None
            raise
        Machine._one_booted = True
        return self

    def __exit__(self, *_: object) -> None:
        self.off()

    def _boot(self) -> None:
        groups = self._own_groups()
        command = ["systemd-nspawn", "-D", str(self._root), f"--machine={self._name}"]
        command += ["--register=no", "--boot", "--console=read-only", "--volatile=overlay"]
        command += ["--kill-signal=SIGRTMIN+3", "--resolv-conf=off"]
        # files and directories of an overlay are not of one device: folders lie elsewhere
        command += ["--tmpfs=/srv"]
        command += [f"--bind-ro={here}:{there}" for here, there in self._show.items()]
        command += self._options
        if groups:
            command.append("--keep-unit")
        joining = 'for group in $GROUPS_TO_JOIN; do echo $$ >"$group/cgroup.procs"; done; exec "$@"'
        with self._log.open("wb") as console:
            self._nspawn = subprocess.Popen(
                ["sh", "-c", joining, "sh", *command],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                process_group=0,
                env={
                    "PATH": os.environ["PATH"],
                    "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
                    "GROUPS_TO_JOIN": " ".join(map(str, groups)),
                },
            )
        with self._unless_dead():
            wait_until(self._is_up, _BOOTS_WITHIN, "the server's systemd is up")

    @contextlib.contextmanager
    def _unless_dead(self) -> Iterator[None]:
        try:
            yield
        except AssertionError as error:
            raise AssertionError(
                f"{error}\n{self._log.read_text(errors='replace')[-3000:]}"
            ) from None

    def _own_groups(self) -> list[Path]:
        """Where PID 1 is not systemd, a group in each hierarchy that systemd would have."""
        if Path("/run/systemd/system").is_dir():
            return []
        trees = [tree for tree in (_GROUPS / "systemd", _GROUPS / "unified") if tree.is_dir()]
        groups = [tree / self._name for tree in trees or [_GROUPS]]
        for group in groups:
            group.mkdir(exist_ok=True)
        return groups

    def _is_up(self) -> bool:
        assert self._nspawn is not None
        assert self._nspawn.poll() is None, "systemd-nspawn ended"
        tasks = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children")
        children = tasks.read_text().split()
        if not children:
            return False
        self._leader = int(children[0])  # others come first and go: looked for every time
        state = self.run("systemctl", "is-system-running", check=False).stdout.strip()
        return state in {"running", "degraded"}

    def run(
        self, *command: str, check: bool = True, text: str | None = None, timeout: float = 90
    ) -> subprocess.CompletedProcess[str]:
        """Run a command there, as root."""
        done = subprocess.run(
            [
                "nsenter",
                "-t",
                str(self._leader),
                "-m",
                "-u",
                "-i",
                "-n",
                "-p",
                "--",
                *command,
            ],
            input=text,
            stdin=subprocess.DEVNULL if text is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"},
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{command} gave {done.returncode}:\n{done.stdout}{done.stderr}")
        return done

    def path(self, inside: str) -> Path:
        """A path of the server, as this machine reaches it."""
        return Path(f"/proc/{self._leader}/root{inside}")

    def write(self, inside: str, text: str, mode: int = 0o644) -> None:
        """Write a file there, with its directories."""
        target = self.path(inside)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(mode)

    def show(self, unit: str, name: str) -> str:
        """A property of a unit."""
        return self.run("systemctl", "show", "--value", "-p", name, unit).stdout.strip()

    def journal(self, *matches: str, since: int = 0) -> list[dict[str, Any]]:
        """The entries of the journal that match, from that microsecond on.

        Not --after-cursor: journalctl 252 passes over the first entry that matches.
        """
        asked = ["journalctl", "--no-pager", "-o", "json", "--all", *matches]
        lines = self.run(*asked, check=False).stdout.splitlines()
        entries = [json.loads(line) for line in lines if line.startswith("{")]
        return [entry for entry in entries if int(entry["__REALTIME_TIMESTAMP"]) >= since]

    def off(self) -> None:
        """Power it off and leave nothing behind."""
        process = self._nspawn
        if process is not None and process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            if process.poll() is None:
                process.kill()
                process.wait()
        for tree in ("systemd", "unified", "."):
            for group in sorted((_GROUPS / tree).glob(f"{self._name}/**/"), reverse=True):
                _remove(group)
        shutil.rmtree(self._log.parent, ignore_errors=True)


def _remove(group: Path) -> None:
    deadline = time.monotonic() + 5
    while group.is_dir() and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            group.rmdir()
