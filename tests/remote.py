"""Another machine, as far as a file system can tell: an SSH server on loopback, and sshfs."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import Self

from waiting import wait_until


class Remote:
    """An SSH server of our own, that scp, sftp and sshfs reach with ``options``."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._mounts: dict[Path, subprocess.Popen[bytes]] = {}
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        for name in ("host", "user"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(home / name)], check=True
            )
        shutil.copy(home / "user.pub", home / "authorized")
        (home / "sshd.conf").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {home / 'host'}\n"
            f"AuthorizedKeysFile {home / 'authorized'}\nPidFile none\nStrictModes no\n"
            "UsePAM no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n"
            "Subsystem sftp internal-sftp\n"
        )
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # where it separates its privileges
        self._server = subprocess.Popen(
            [shutil.which("sshd") or "/usr/sbin/sshd", "-D", "-e", "-f", str(home / "sshd.conf")],
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        wait_until(self._answers, 10, "the SSH server answers")
        return self

    def __exit__(self, *_: object) -> None:
        self.resume()
        for mount in list(self._mounts):
            self.umount(mount)
        os.killpg(self._server.pid, signal.SIGKILL)
        self._server.wait(10)

    def _answers(self) -> bool:
        with socket.socket() as asking:
            return asking.connect_ex(("127.0.0.1", self.port)) == 0

    @property
    def options(self) -> list[str]:
        """Options that every program of the family takes."""
        return [
            "-o", f"Port={self.port}", "-o", f"IdentityFile={self.home / 'user'}",
            "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
            "-o", "LogLevel=ERROR", "-o", "BatchMode=yes",
        ]  # fmt: skip

    @property
    def host(self) -> str:
        """Who and where."""
        return f"{getpass.getuser()}@127.0.0.1"

    def mount(self, there: Path, here: Path) -> None:
        """Show a directory of that machine on this one."""
        self._mounts[here] = subprocess.Popen(
            ["sshfs", "-f", f"{self.host}:{there}", str(here), *self.options,
             "-o", "dcache_timeout=1"],
            start_new_session=True,
        )  # fmt: skip
        wait_until(lambda: os.path.ismount(here), 10, "the share is mounted")

    def umount(self, here: Path) -> None:
        """Take it away."""
        subprocess.run(["umount", "-l", str(here)], check=False, stderr=subprocess.DEVNULL)
        self.kill_mount(here)

    def kill_mount(self, here: Path) -> None:
        """Let the program behind the mount die; the mount stays."""
        program = self._mounts.pop(here)
        os.killpg(program.pid, signal.SIGKILL)
        program.wait(10)

    def stall(self) -> None:
        """Let the server answer nothing any more, and close nothing either."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it answer again."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        for process in self._family():
            os.kill(process, number)

    def _family(self) -> list[int]:
        """The server and everything it has started, in sessions of their own."""
        parents: dict[int, int] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    fields = (entry / "stat").read_text().rpartition(")")[2].split()
                except (FileNotFoundError, ProcessLookupError):
                    continue
                parents[int(entry.name)] = int(fields[1])
        family = [self._server.pid]
        for process in family:
            family.extend(child for child, parent in parents.items() if parent == process)
        return family
