"""Random lives of a folder under the running service: files, directories, mounts, kills.

``python tests/storm/churn.py --seed N`` replays one, told step by step with ``-v``. In the end the
portal holds what the folder holds, and the portal has never taken in anything but whole versions.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from hashlib import sha1
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "deploy" / "sandbox")]

from colleague import Api  # noqa: E402 - found through the line above
from launcher import Sandbox  # noqa: E402
from producer import Producer, Service  # noqa: E402
from waiting import wait_until  # noqa: E402

#: how often the folder is a disk of its own, and how often the service ends while it is away
_ON_A_DISK, _KILLED_MEANWHILE = 0.5, 0.3
#: three events each, and the kernel keeps 16,384
_OVERFLOW = 6000


class Churn:
    """One folder, one service, one seed."""

    def __init__(
        self, seed: int, sandbox: Sandbox, producer: Producer, say: Callable[[str], None]
    ) -> None:
        self._random = random.Random(seed)
        self._sandbox = sandbox
        self._producer = producer
        self._folder = producer.folder
        self._say = say
        self._api = Api(sandbox)
        self._number = 0
        self._service: Service | None = None
        self._writing: list[tuple[IO[bytes], bytes]] = []
        self._mounts: list[Path] = []
        self._outside: list[Path] = []
        self._taken_before = len(sandbox.stored)
        #: a person's yes was asked for, and said
        self.said_yes = False
        #: where the folder's content really is, when the folder is a disk of its own
        self._disk: Path | None = None
        self.whole: set[str] = set()

    def run(self, steps: int) -> None:
        """Live so many steps, then let all come to rest, then compare."""
        acts = [
            *[self._drop] * 5, *[self._begin] * 3, *[self._end] * 3, self._rename, self._rename,
            self._delete, self._move_out, self._move_in, self._archive, self._poison, self._kill,
            self._overflow, self._lose, self._replace,
        ]  # fmt: skip
        if os.geteuid() == 0:
            acts += [self._mount, self._unmount, self._mount_over]
            if self._random.random() < _ON_A_DISK:
                self._disk = self._producer.home / "disk"
                self._disk.mkdir()
                self._attach()
        self._service = self._start()
        try:
            for _ in range(steps):
                act = self._random.choice(acts)
                self._say(act.__name__)
                with contextlib.suppress(OSError):  # gone already, or on another disk
                    act()
                time.sleep(self._random.choice([0.0, 0.0, 0.05, 0.3, 1.2]))
            self._come_to_rest()
        finally:
            self._service.__exit__()
            for mount in reversed(self._mounts):
                subprocess.run(["umount", "-l", str(mount)], check=False)
            if self._disk is not None:
                subprocess.run(["umount", "-l", str(self._folder)], check=False)

    # ----------------------------------------------------------------------------------- the acts

    def _version(self) -> bytes:
        self._number += 1
        # ever a little longer: the checks before publishing hold a file that shrank by much
        lines = range(500 + self._number)
        return b"ligne;version\n" + b"".join(b"%d;%d\n" % (line, self._number) for line in lines)

    def _whole(self, version: bytes) -> bytes:
        self.whole.add(sha1(version).hexdigest())
        return version

    def _directories(self) -> list[Path]:
        below = [path for path in self._folder.rglob("*") if path.is_dir()]
        return [self._folder, *sorted(below)]

    def _files(self) -> list[Path]:
        written = {file.name for file, _ in self._writing}
        found = (path for path in self._folder.rglob("*.csv") if path.is_file())
        return sorted(path for path in found if str(path) not in written)

    def _target(self) -> Path:
        files = self._files()
        if files and self._random.random() < 0.4:
            return self._random.choice(files)
        directory = self._random.choice(self._directories())
        if self._random.random() < 0.3:
            directory = directory / f"d{self._random.randint(0, 5)}"
            directory.mkdir(exist_ok=True)
        return directory / f"f{self._random.randint(0, 40)}.csv"

    def _drop(self) -> None:
        target, version = self._target(), self._version()
        temporary = target.with_name(f"{target.name}.part")
        temporary.write_bytes(self._whole(version))
        temporary.rename(target)

    def _begin(self) -> None:
        """Open a file and write half of it, whatever was there."""
        target, version = self._target(), self._version()
        if any(file.name == str(target) for file, _ in self._writing):
            return
        file = open(target, "wb", buffering=0)  # noqa: SIM115 - held open over many steps
        file.write(version[: len(version) // 2])
        self._writing.append((file, version))

    def _end(self) -> None:
        if self._writing:
            at = self._random.randrange(len(self._writing))
            file, version = self._writing.pop(at)
            # whole from its last byte on, which is before it is closed
            self._whole(version)
            file.write(version[len(version) // 2 :])
            file.close()

    def _rename(self) -> None:
        files = self._files()
        if files:
            self._random.choice(files).rename(self._target())

    def _delete(self) -> None:
        files = self._files()
        if files:
            self._random.choice(files).unlink()

    def _some_directory(self) -> Path | None:
        free = [
            path
            for path in self._directories()[1:]
            if not any(str(mount).startswith(str(path)) for mount in self._mounts)
            and not any(file.name.startswith(f"{path}/") for file, _ in self._writing)
        ]
        return self._random.choice(free) if free else None

    def _move_out(self) -> None:
        directory = self._some_directory()
        if directory is not None:
            away = self._producer.home / f"away-{self._number}-{len(self._outside)}"
            with contextlib.suppress(OSError):  # another disk: not moved at once
                directory.rename(away)
                self._outside.append(away)

    def _move_in(self) -> None:
        if self._outside:
            away = self._outside.pop()
            with contextlib.suppress(OSError):
                away.rename(self._folder / f"back-{self._number}-{len(self._outside)}")

    def _archive(self) -> None:
        directory = self._some_directory()
        if directory is not None:
            shutil.rmtree(directory)

    def _poison(self) -> None:
        """What ends watchdog's thread while it says that it is alive."""
        if self._disk is not None:
            return  # nothing is moved out of a disk at once
        inside, outside = self._folder / "poison", self._producer.home / "poison"
        inside.mkdir()
        inside.rename(outside)
        inside.mkdir()
        shutil.rmtree(inside)
        shutil.rmtree(outside)

    def _kill(self) -> None:
        assert self._service is not None
        self._service.process.send_signal(signal.SIGKILL)
        self._service.process.wait(30)
        self._service = self._start()

    def _mount(self) -> None:
        """Put a disk on a directory: what was there is hidden, what is on it is not ours."""
        directory = self._some_directory()
        if directory is not None and directory not in self._mounts:
            subprocess.run(["mount", "-t", "tmpfs", "none", str(directory)], check=True)
            self._mounts.append(directory)
            (directory / "hidden.csv").write_bytes(b"of another disk")

    def _unmount(self) -> None:
        if self._mounts:
            subprocess.run(["umount", "-l", str(self._mounts.pop())], check=True)

    def _mount_over(self) -> None:
        """An empty disk over the whole folder, for a moment."""
        subprocess.run(["mount", "-t", "tmpfs", "none", str(self._folder)], check=True)
        time.sleep(self._random.choice([0.1, 3.0]))
        subprocess.run(["umount", "-l", str(self._folder)], check=True)

    def _lose(self) -> None:
        """The folder is renamed away, or its disk unmounted; and comes back as it was."""
        if self._disk is not None:
            subprocess.run(["umount", "-l", str(self._folder)], check=True)
            self._mounts.clear()  # they went with it
        else:
            self._folder.rename(self._producer.home / "lost")
        if self._random.random() < _KILLED_MEANWHILE:
            self._kill()
        time.sleep(self._random.choice([0.1, 1.0, 4.0]))
        if self._disk is not None:
            self._attach()
        else:
            (self._producer.home / "lost").rename(self._folder)

    def _attach(self) -> None:
        subprocess.run(["mount", "--bind", str(self._disk), str(self._folder)], check=True)
        # what is mounted later shall not show in the disk too
        subprocess.run(["mount", "--make-private", str(self._folder)], check=True)

    def _replace(self) -> None:
        """Another directory takes the folder's place; then everything is moved into it."""
        if self._disk is not None or self._mounts:
            return
        old = self._producer.home / "replaced"
        self._folder.rename(old)
        self._folder.mkdir()
        time.sleep(self._random.choice([0.0, 0.5, 3.0]))
        for each in sorted(old.iterdir()):
            each.rename(self._folder / each.name)
        old.rmdir()

    def _overflow(self) -> None:
        """More happens than the kernel keeps for who does not listen."""
        assert self._service is not None
        self._service.process.send_signal(signal.SIGSTOP)
        temporary = self._folder / "noise.tmp"
        for _ in range(_OVERFLOW):
            temporary.write_bytes(b"")
            temporary.unlink()
        self._drop()
        self._service.process.send_signal(signal.SIGCONT)

    def _start(self) -> Service:
        service = self._producer.start()
        service.__enter__()
        return service

    # ------------------------------------------------------------------------------------ the end

    def _come_to_rest(self) -> None:
        while self._writing:
            self._end()
        while self._mounts:
            self._unmount()
        wait_until(self._is_at_rest, 90, "the portal holds what the folder holds")
        taken = {one["sha1"] for one in self._sandbox.stored[self._taken_before :]}
        assert taken <= self.whole, f"never whole: {taken - self.whole}"

    def _is_at_rest(self) -> bool:
        if not self._differences():
            return True
        self._say_yes_to_the_first_folder()
        return False

    def _say_yes_to_the_first_folder(self) -> None:
        """The only thing that is asked of a person here: which of two folders it is.

        A service that started for the first time while an empty disk lay over the folder has taken
        it for the folder. Once a file of the folder is published, this must never be asked.
        """
        (dataset,) = self._producer.ask("status")["datasets"]
        asked = "instead of tmpfs" in str(dataset["trouble"])
        if asked and not self.said_yes and not self._api.resources(self._producer.dataset):
            self.said_yes = True
            self._producer.call("retry", "--yes")

    def _differences(self) -> set[str]:
        """Tell which files are not on the portal as they are, each as a resource of its own."""
        there = {
            str(path.relative_to(self._folder)): sha1(path.read_bytes()).hexdigest()
            for path in self._files()
        }
        served = self._api.sha1s(self._producer.dataset)
        told = {
            path: file for path, file in self._producer.status().items() if file["state"] != "kept"
        }
        resources = [file["resource_id"] for file in told.values() if file["resource_id"]]
        wrong = {
            path
            for path in there.keys() | told.keys()
            if there.get(path) != served.get(str(told.get(path, {}).get("resource_id")))
        }
        return wrong | {name for name in resources if resources.count(name) > 1}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="the first life's seed")
    parser.add_argument("--lives", type=int, default=10)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("-v", "--verbose", action="store_true", help="tell every step")
    asked = parser.parse_args(arguments)
    failed = 0
    with Sandbox(say=print) as sandbox:
        for seed in range(asked.seed, asked.seed + asked.lives):
            home = Path(tempfile.mkdtemp(prefix=f"churn-{seed}-"))
            producer = Producer(home, sandbox.url, sandbox.tokens["prod"], sandbox.new_dataset())
            churn = Churn(seed, sandbox, producer, print if asked.verbose else lambda _line: None)
            try:
                churn.run(asked.steps)
            except AssertionError as wrong:
                failed += 1
                print(f"seed {seed}: {wrong}; its logs and ledger: {home}", flush=True)
            else:
                yes = ", once it was told which folder it is" if churn.said_yes else ""
                versions = len(churn.whole)
                print(f"seed {seed}: {versions} versions, nothing lost, nothing torn{yes}")
                shutil.rmtree(home)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
