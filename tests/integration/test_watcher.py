"""The watcher against the real kernel: what it hears, and how it finds out that it is deaf."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Literal

import pytest
from limits import limited
from waiting import wait_until
from watchdog.observers.inotify_c import InotifyEvent, InotifyFD

from publisher_daemon.model import DatasetId, Watch
from publisher_daemon.watcher import Watcher
from publisher_daemon.watcher.loud import Ear, LoudObserver

DATASET = DatasetId("5bbb6d6cff66bd4dc17bfd5a")


class Heard:
    """Every wake, in the order it came."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.wakes: list[tuple[frozenset[str] | None, frozenset[str]]] = []

    def wake(
        self,
        _dataset: DatasetId,
        _folder: str,
        paths: frozenset[str] | None,
        arrived: frozenset[str],
    ) -> None:
        with self.lock:
            self.wakes.append((paths, arrived))

    def clear(self) -> None:
        with self.lock:
            self.wakes.clear()

    def named(self, path: str) -> bool:
        return any(paths is not None and path in paths for paths, _ in self.wakes)

    def whole(self, path: str) -> bool:
        return any(path in arrived for _, arrived in self.wakes)

    def everything(self) -> bool:
        return any(paths is None for paths, _ in self.wakes)


@contextmanager
def watching(
    root: Path, observe: Literal["auto", "events", "polling"] = "auto", poll_every: float = 30.0
) -> Iterator[tuple[Watcher, Heard]]:
    heard = Heard()
    watch = Watch("air", str(root), DATASET, observe=observe, poll_every=poll_every)
    watcher = Watcher([watch], heard.wake, tick=0.1)
    watcher.start()
    try:
        wait_until(heard.everything, 5, "the first wake, for everything")
        heard.clear()
        yield watcher, heard
    finally:
        watcher.stop()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "air"
    folder.mkdir()
    return folder


def hears_again(heard: Heard, directory: Path, name: str = "after.csv") -> None:
    """Fail unless a file that is written there is heard by that name."""
    heard.clear()

    def touch() -> bool:
        (directory / Path(name).name).write_bytes(os.urandom(8))
        return heard.named(name)

    wait_until(touch, 10, f"{name} is heard")


def losses(watcher: Watcher) -> int:
    return watcher.health()[0].losses


def mode(watcher: Watcher) -> str:
    return watcher.health()[0].mode


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def _told(heard: Heard, names: list[str]) -> bool:
    return heard.everything() or any(map(heard.named, names))


def _lost_more(watcher: Watcher, least: int) -> bool:
    return losses(watcher) > least


def test_names_the_file_that_was_written(root: Path) -> None:
    with watching(root) as (watcher, heard):
        (root / "a.csv").write_text("1")

        wait_until(lambda: heard.named("a.csv"), 5, "a.csv is heard")
        assert mode(watcher) == "events"
        assert not heard.whole("a.csv")


def test_says_that_a_file_renamed_from_a_temporary_name_arrived_whole(root: Path) -> None:
    with watching(root) as (_, heard):
        (root / "a.csv.part").write_text("1")
        (root / "a.csv.part").rename(root / "a.csv")

        wait_until(lambda: heard.whole("a.csv"), 5, "a.csv arrived")
        assert not heard.named("a.csv.part")


def test_says_that_a_file_moved_in_arrived_whole(root: Path, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1")
    with watching(root) as (_, heard):
        (tmp_path / "a.csv").rename(root / "a.csv")

        wait_until(lambda: heard.whole("a.csv"), 5, "a.csv arrived")


def test_does_not_call_whole_what_was_renamed_from_another_published_name(root: Path) -> None:
    (root / "a.csv").write_text("1")
    with watching(root) as (_, heard):
        (root / "a.csv").rename(root / "b.csv")

        wait_until(lambda: heard.named("a.csv") and heard.named("b.csv"), 5, "both names")
        assert not heard.whole("b.csv")


def test_hears_what_is_written_in_directories_made_a_moment_before(root: Path) -> None:
    with watching(root) as (_, heard):
        for number in range(50):
            below = root / str(number) / "b" / "c"
            below.mkdir(parents=True)
            (below / "a.csv").write_text("1")

        for number in range(50):
            path = f"{number}/b/c/a.csv"
            above = [path, f"{number}/b/c", f"{number}/b", f"{number}"]
            wait_until(partial(_told, heard, above), 5, path)


def test_recovers_from_the_churn_that_blinds_watchdog(root: Path) -> None:
    with watching(root) as (watcher, heard):
        folder, out = root / "d", root.parent / "out"
        # archive a folder, make a new one: each directory is really watched before the next step
        folder.mkdir()
        hears_again(heard, folder, "d/1.csv")
        folder.rename(out)
        folder.mkdir()
        hears_again(heard, folder, "d/2.csv")
        heard.clear()
        shutil.rmtree(folder)
        shutil.rmtree(out)

        wait_until(lambda: losses(watcher) > 0, 10, "the loss is noticed")
        wait_until(heard.everything, 10, "everything is looked at")
        hears_again(heard, root)
        assert mode(watcher) == "events"


@pytest.mark.alone
def test_looks_at_everything_after_the_kernels_queue_ran_over(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = InotifyFD.read_events
    gate = threading.Event()

    def held(self: InotifyFD, **options: int) -> list[object]:
        gate.wait(10)
        return list(slow(self, **options))

    monkeypatch.setattr(InotifyFD, "read_events", held)
    with limited("max_queued_events", 16), watching(root) as (watcher, heard):
        for number in range(200):
            (root / f"{number}.csv").write_text("1")
        gate.set()

        wait_until(lambda: losses(watcher) > 0, 10, "the overflow is noticed")
        wait_until(heard.everything, 10, "everything is looked at")
        hears_again(heard, root)


def test_notices_a_reader_that_died(root: Path) -> None:
    with watching(root) as (watcher, heard):
        observer = watcher._posts[0]._observer
        assert observer is not None
        observer._fd.stop()

        wait_until(lambda: losses(watcher) > 0, 10, "the death is noticed")
        hears_again(heard, root)


def test_notices_from_outside_that_events_stopped_coming(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("publisher_daemon.watcher.rounds.SIGN_EVERY", 0.2)
    monkeypatch.setattr("publisher_daemon.watcher.posts.SIGN_WITHIN", 0.5)
    with watching(root) as (watcher, heard):
        observer = watcher._posts[0]._observer
        assert observer is not None
        # every thread is alive, and deaf
        observer._fd.handle_event = lambda event: None  # type: ignore[method-assign]  # noqa: ARG005

        wait_until(lambda: losses(watcher) > 0, 10, "the silence is noticed")
        wait_until(heard.everything, 10, "everything is looked at")
        hears_again(heard, root)


@pytest.mark.parametrize("how", ["renamed away", "removed and made again"])
def test_follows_a_root_that_is_another_directory_now(root: Path, how: str) -> None:
    with watching(root) as (watcher, heard):
        if how == "renamed away":
            root.rename(root.parent / "old")
        else:
            root.rmdir()
        root.mkdir()

        wait_until(lambda: losses(watcher) > 0, 10, "the change is noticed")
        hears_again(heard, root)


def test_says_that_the_root_is_missing_and_watches_again_when_it_is_back(root: Path) -> None:
    with watching(root) as (watcher, heard):
        root.rmdir()

        wait_until(lambda: mode(watcher) == "degraded", 10, "the loss is told")
        assert "missing" in str(watcher.health()[0].why)
        root.mkdir()
        wait_until(lambda: mode(watcher) == "events", 10, "the return is noticed")
        hears_again(heard, root)


@pytest.mark.root
def test_notices_a_mount_an_unmount_and_a_lazy_unmount(root: Path) -> None:
    with watching(root) as (watcher, heard):
        for lazily in ((), ("-l",)):
            seen = losses(watcher)
            mount("-t", "tmpfs", "none", str(root))
            wait_until(partial(_lost_more, watcher, seen), 10, "the mount is noticed")
            hears_again(heard, root)
            wait_until(lambda: mode(watcher) == "events", 5, "it watches the mount")
            seen = losses(watcher)
            subprocess.run(["umount", *lazily, str(root)], check=True)
            wait_until(partial(_lost_more, watcher, seen), 10, "the unmount is noticed")
            hears_again(heard, root)


@pytest.mark.root
def test_what_a_bind_mount_covered_is_watched_once_it_is_gone(root: Path, tmp_path: Path) -> None:
    (root / "d").mkdir()
    (tmp_path / "other").mkdir()
    mount("--bind", str(tmp_path / "other"), str(root / "d"))
    try:
        with watching(root) as (watcher, heard):
            subprocess.run(["umount", str(root / "d")], check=True)
            wait_until(partial(_lost_more, watcher, 0), 10, "the unmount is noticed")
            hears_again(heard, root / "d", "d/after.csv")
            assert losses(watcher) == 1
    finally:
        subprocess.run(["umount", str(root / "d")], check=False, capture_output=True)


def test_polls_where_it_is_told_to(root: Path) -> None:
    with watching_polls(root) as (watcher, heard):
        wait_until(lambda: len(heard.wakes) >= 3, 5, "three polls")
        assert heard.everything()
        assert mode(watcher) == "polling"


@contextmanager
def watching_polls(root: Path) -> Iterator[tuple[Watcher, Heard]]:
    with watching(root, "polling", 0.1) as pair:
        yield pair


@pytest.mark.alone
def test_polls_and_says_so_when_no_instance_is_left(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("publisher_daemon.watcher.posts.RETRY_FIRST", 0.2)
    with ExitStack() as lowered:
        lowered.enter_context(limited("max_user_instances", 0))
        with watching(root, "auto", 0.2) as (watcher, heard):
            assert mode(watcher) == "degraded"
            assert "max_user_instances" in str(watcher.health()[0].why)
            wait_until(lambda: len(heard.wakes) >= 2, 5, "it polls instead")
            lowered.close()
            wait_until(lambda: mode(watcher) == "events", 10, "it tries again")
            hears_again(heard, root)


@pytest.mark.alone
def test_polls_and_says_so_when_sub_directories_cannot_be_watched(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(50):
        (root / str(number)).mkdir()
    monkeypatch.setattr("publisher_daemon.watcher.posts.RETRY_FIRST", 0.2)
    with ExitStack() as lowered:
        lowered.enter_context(limited("max_user_watches", 20))
        with watching(root, "auto", 0.2) as (watcher, heard):
            assert mode(watcher) == "degraded"
            assert "max_user_watches" in str(watcher.health()[0].why)
            wait_until(heard.everything, 5, "it polls too")
            lowered.close()
            wait_until(lambda: mode(watcher) == "events", 10, "it tries again")


@pytest.mark.root
def test_a_disk_mounted_elsewhere_is_no_reason_to_tend_a_folder(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with watching(root) as (watcher, _):
        (post,) = watcher._posts
        rounds: list[bool] = []
        ask = post.has_moved

        def asked() -> bool:
            rounds.append(ask())
            return rounds[-1]

        monkeypatch.setattr(post, "has_moved", asked)
        mount("-t", "tmpfs", "none", str(elsewhere))
        try:
            wait_until(lambda: rounds, 5, "the round that sees it")
        finally:
            subprocess.run(["umount", str(elsewhere)], check=True)

        assert not any(rounds)


def test_wakes_every_folder_before_its_start_returns(root: Path) -> None:
    heard = Heard()
    watcher = Watcher([Watch("air", str(root), DATASET)], heard.wake)
    watcher.start()
    try:
        assert heard.wakes == [(None, frozenset())]
    finally:
        watcher.stop()


def test_survives_a_wake_for_names_of_any_bytes(root: Path) -> None:
    raw = b"caf\xe9 \n'.csv"
    with watching(root) as (_, heard):
        Path(os.fsdecode(os.fsencode(root) + b"/" + raw)).write_text("1")

        wait_until(lambda: heard.named(os.fsdecode(raw)), 5, "the name as it is on disk")


def test_tells_more_than_ten_thousand_paths_as_everything(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("publisher_daemon.watcher.posts.MANY", 20)
    # so many in one go, however slowly they are written here
    monkeypatch.setattr("publisher_daemon.watcher.rounds.GATHER", 0.5)
    with watching(root) as (watcher, heard):
        for number in range(500):
            (root / f"{number}.csv").write_text("1")

        wait_until(heard.everything, 5, "everything")
        assert losses(watcher) == 0


def test_leaves_nothing_behind(root: Path) -> None:
    def mine() -> list[str]:
        return [thread.name for thread in threading.enumerate() if "watcher" in thread.name]

    with watching(root) as (watcher, _):
        signs = watcher._posts[0]._sign_dir
        assert mine()
    watcher.stop()

    assert not mine()
    assert signs is not None
    assert not Path(signs).exists()


def test_a_burst_of_renamed_files_takes_no_longer_for_each_than_one(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, heard, files = Counter[str](), list[str](), 300
    moved_from = vars(InotifyEvent)["is_moved_from"].fget

    def counted(event: InotifyEvent) -> object:
        asked["times"] += 1
        return moved_from(event)

    monkeypatch.setattr(InotifyEvent, "is_moved_from", property(counted))
    observer = LoudObserver(heard.append, heard.append)
    ear = Ear(lambda event: heard.append(os.fsdecode(event.dest_path)), heard.append)
    observer.watch(str(root), ear, recursive=True)
    for number in range(files):
        (tmp_path / "aside").write_bytes(b"")
        (tmp_path / "aside").rename(root / f"{number:03}.csv")

    observer._hear()
    observer.close()

    assert heard == [str(root / f"{number:03}.csv") for number in range(files)]
    assert asked["times"] <= 10 * files
