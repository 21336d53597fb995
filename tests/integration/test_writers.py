"""Real writers, each with its own bad habit: what is not whole is never taken for ready.

The times are those of the measurements behind the design, five times faster: a quiet time of one
second, writers that pause for less than it between two openings, and for more while they hold the
file open.
"""

from __future__ import annotations

import ctypes
import hashlib
import mmap
import os
import shutil
import subprocess
import sys
import threading
import time
import zipfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Self

import pytest
from waiting import wait_until

from publisher_daemon.errors import SourceChanged
from publisher_daemon.folder import Folder
from publisher_daemon.model import DatasetId, Sighting, Watch
from publisher_daemon.settle import Memory, settle
from publisher_daemon.watcher import Watcher

DATASET = DatasetId("5bbb6d6cff66bd4dc17bfd5a")
QUIET = 1.0
#: shorter than the quiet time, between two openings
GAP = 0.5
#: longer than the quiet time, with the file held open
STALL = 1.6
CONTENT = b"".join(b"%06d;mesure\n" % line for line in range(20_000))


class Publisher:
    """What the daemon does with a folder, without a portal: every state that would go out."""

    def __init__(self, root: Path) -> None:
        watch = Watch("air", str(root), DATASET, quiet=QUIET)
        self.watch, self.folder = watch, Folder(watch)
        self.memory = Memory()
        self.published: defaultdict[str, list[str]] = defaultdict(list)
        self.at: dict[str, float] = {}
        self.watcher = Watcher([watch], self._wake, tick=0.2)
        self._hints: set[str] = set()
        self._everything = True
        self._woken = threading.Condition()
        self._stop = False
        self._recheck_at: float | None = None
        self._waiting: set[str] = set()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self.watcher.start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.watcher.stop()
        with self._woken:
            self._stop = True
            self._woken.notify()
        self._thread.join(10)

    def _wake(
        self,
        _dataset: DatasetId,
        _folder: str,
        paths: frozenset[str] | None,
        arrived: frozenset[str],
    ) -> None:
        self.folder.hint_arrived(arrived)
        with self._woken:
            self._everything = self._everything or paths is None
            self._hints |= paths or set()
            self._woken.notify()

    def _run(self) -> None:
        while True:
            with self._woken:
                if not (self._everything or self._hints or self._stop):
                    due = self._recheck_at
                    self._woken.wait(None if due is None else max(0.0, due - time.monotonic()))
                if self._stop:
                    return
                hints = self._hints | self._waiting
                everything, self._everything, self._hints = self._everything, False, set()
            if everything:
                hints |= {seen.key.path for seen in self.folder.scan()}
            self._look(list(self.folder.scan(hints)))

    def _look(self, sightings: list[Sighting]) -> None:
        settled = settle(
            self.memory,
            sightings,
            now=time.monotonic(),
            wall=time.time(),
            watches={"air": self.watch},
        )
        self.memory, self._recheck_at = settled.memory, settled.recheck_at
        self._waiting = {waiting.key.path for waiting in settled.waiting}
        for seen in settled.ready:
            path = seen.key.path
            try:
                sha1 = self.folder.fingerprint(path, seen.stamp).sha1
            except SourceChanged:
                self._waiting.add(path)
                self._recheck_at = time.monotonic() + 0.2
                continue
            if self.published[path][-1:] != [sha1]:
                self.published[path].append(sha1)
                self.at[path] = time.monotonic()


# ---------------------------------------------------------------------------------------- writers


def halves() -> tuple[bytes, bytes]:
    return CONTENT[: len(CONTENT) // 2], CONTENT[len(CONTENT) // 2 :]


def pause(seconds: float) -> None:
    """Let time pass as the writer does: its slowness is what is tested."""
    threading.Event().wait(seconds)


def slow_upload(path: Path) -> None:
    """One opening, with a stall longer than the quiet time (sftp, scp, cp to a slow disk)."""
    with path.open("wb", buffering=0) as file:
        for half in halves():
            file.write(half)
            pause(STALL)


def append_and_close(path: Path) -> None:
    """Scanner, logger: opened anew for each piece."""
    for start in range(0, len(CONTENT), 60_000):
        with path.open("ab") as file:
            file.write(CONTENT[start : start + 60_000])
        pause(GAP)


def preallocate(path: Path) -> None:
    """Its full size from the first moment."""
    with path.open("wb", buffering=0) as file:
        os.posix_fallocate(file.fileno(), 0, len(CONTENT))
        pause(STALL)
        file.write(CONTENT)


def set_size_close_reopen(path: Path) -> None:
    """SMB clients: created at full size and closed, then opened again and filled."""
    with path.open("wb") as file:
        file.truncate(len(CONTENT))
    pause(GAP)
    with path.open("r+b") as file:
        file.write(CONTENT)


def mapped(path: Path) -> None:
    """Written through memory after the descriptor is closed."""
    with path.open("w+b") as file:
        file.truncate(len(CONTENT))
        memory = mmap.mmap(file.fileno(), len(CONTENT))
    first, second = halves()
    memory[: len(first)] = first
    pause(STALL)
    memory[len(first) :] = second
    pause(STALL)
    memory.close()


def temporary_file_linked(path: Path) -> None:
    """O_TMPFILE and linkat: written under no name at all."""
    descriptor = os.open(path.parent, os.O_TMPFILE | os.O_RDWR)
    os.write(descriptor, halves()[0])
    libc = ctypes.CDLL(None, use_errno=True)
    source = f"/proc/self/fd/{descriptor}".encode()
    assert libc.linkat(-100, source, -100, os.fsencode(path), 0x400) == 0, ctypes.get_errno()
    pause(STALL)
    os.write(descriptor, halves()[1])
    os.close(descriptor)


def redirected(path: Path) -> None:
    """``>`` over what was there: empty for an instant, then longer and longer."""
    command = (
        f"import time\nfor line in range(20000): print('%06d;mesure' % line)\ntime.sleep({STALL})"
    )
    subprocess.run(f"{sys.executable} -c \"{command}\" > '{path}'", shell=True, check=True)


def part_then_renamed(path: Path) -> None:
    """Browsers, WinSCP, rsync: a temporary name, then the final one."""
    temporary = path.with_name(f"{path.name}.filepart")
    slow_upload(temporary)
    temporary.rename(path)


def saved_by_office(path: Path) -> None:
    """The old one aside, the new one in its place, the old one removed."""
    path.write_bytes(CONTENT[:100])
    fresh, old = path.with_name("ABCD.tmp"), path.with_name("EFGH.tmp")
    fresh.write_bytes(CONTENT)
    path.rename(old)
    fresh.rename(path)
    old.unlink()


def moved_from_another_disk(path: Path) -> None:
    """Mv across file systems: copied in pieces, dates set at the end."""
    source = Path("/dev/shm") / f"publisher-daemon-{os.getpid()}.csv"
    source.write_bytes(CONTENT)
    os.utime(source, (1, 1))
    subprocess.run(["mv", str(source), str(path)], check=True)


def copied(path: Path) -> None:
    """Cp, plain."""
    source = path.parent.parent / "source.csv"
    source.write_bytes(CONTENT)
    subprocess.run(["cp", str(source), str(path)], check=True)


def edited_in_place(path: Path) -> None:
    """Rsync --inplace: on the final name, torn until it is done."""
    path.write_bytes(bytes(len(CONTENT)))
    with path.open("r+b", buffering=0) as file:
        file.write(halves()[0])
        pause(STALL)
        file.write(halves()[1])


WRITERS: dict[str, Callable[[Path], None]] = {
    writer.__name__: writer
    for writer in (
        slow_upload, append_and_close, preallocate, set_size_close_reopen, mapped,
        temporary_file_linked, redirected, part_then_renamed, saved_by_office,
        moved_from_another_disk, copied, edited_in_place,
    )
}  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "air"
    folder.mkdir()
    return folder


def test_no_writer_gets_an_incomplete_state_out(root: Path) -> None:
    whole = hashlib.sha1(CONTENT).hexdigest()
    with Publisher(root) as publisher:
        threads = [
            threading.Thread(target=write, args=(root / f"{name}.csv",))
            for name, write in WRITERS.items()
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wait_until(lambda: len(publisher.published) == len(WRITERS), 30, "every file goes out")

    wrong = {path: sha1s for path, sha1s in publisher.published.items() if sha1s != [whole]}
    assert wrong == {}


@pytest.mark.parametrize("how", ["renamed", "moved in"])
def test_what_arrives_whole_goes_out_within_half_a_second(root: Path, how: str) -> None:
    temporary = root / "a.csv.part" if how == "renamed" else root.parent / "a.csv"
    with Publisher(root) as publisher:
        temporary.write_bytes(CONTENT)
        before = time.monotonic()
        temporary.rename(root / "a.csv")
        wait_until(lambda: publisher.published.get("a.csv"), 5, "it goes out")

    assert publisher.at["a.csv"] - before < 0.5


def test_a_tree_that_is_unzipped_goes_out_whole(root: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "tree.zip", "w") as archive:
        for number in range(200):
            archive.writestr(f"{number % 20}/{number % 7}/{number}.csv", CONTENT[: 100 + number])
    with Publisher(root) as publisher:
        shutil.unpack_archive(tmp_path / "tree.zip", root)
        wait_until(lambda: len(publisher.published) == 200, 30, "every file goes out")

    for path, sha1s in publisher.published.items():
        assert sha1s == [hashlib.sha1((root / path).read_bytes()).hexdigest()], path


def test_a_burst_of_files_is_forgotten_by_nobody(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("publisher_daemon.watcher.posts.MANY", 100)
    with Publisher(root) as publisher:
        for number in range(3000):
            (root / f"{number}.csv").write_bytes(b"%d" % number)
        wait_until(lambda: len(publisher.published) == 3000, 60, "every file goes out")
