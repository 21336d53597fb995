"""Real writers, each with its own bad habit: what is not whole is never taken for ready."""

from __future__ import annotations

import hashlib
import shutil
import threading
import time
import zipfile
from collections import defaultdict
from pathlib import Path
from typing import Self

import pytest
from waiting import wait_until
from writers import BY_HAND, QUIET, content

from publisher_daemon.errors import SourceChanged
from publisher_daemon.folder import Folder
from publisher_daemon.model import DatasetId, Sighting, Watch
from publisher_daemon.settle import Memory, settle
from publisher_daemon.watcher import Watcher

DATASET = DatasetId("5bbb6d6cff66bd4dc17bfd5a")
CONTENT = content("air")


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


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "air"
    folder.mkdir()
    return folder


def test_no_writer_gets_an_incomplete_state_out(root: Path) -> None:
    whole = {f"{write.__name__}/a.csv": content(write.__name__) for write in BY_HAND}
    with Publisher(root) as publisher:
        threads = []
        for write in BY_HAND:
            path = root / write.__name__ / "a.csv"
            path.parent.mkdir()
            threads.append(
                threading.Thread(target=write, args=(path, whole[f"{write.__name__}/a.csv"]))
            )
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wait_until(lambda: whole.keys() <= publisher.published.keys(), 30, "every file goes out")

    wrong = {
        path: sha1s
        for path, sha1s in publisher.published.items()
        if sha1s != [hashlib.sha1(whole[path]).hexdigest()]
    }
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
