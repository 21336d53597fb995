"""The folder, on real file systems: what it shows, and what it never takes for "nothing there"."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from rights import let_others_in
from waiting import wait_until

from publisher_daemon.errors import (
    FileUnreadable,
    FolderGone,
    FolderStalled,
    FolderUnreadable,
    SourceChanged,
)
from publisher_daemon.folder import Folder, OpenFile
from publisher_daemon.folder._names import Patterns
from publisher_daemon.folder._patience import Patience
from publisher_daemon.model import (
    Checks,
    DatasetId,
    Entry,
    Fingerprint,
    Known,
    Record,
    ResourceId,
    ResourceKey,
    Sighting,
    Stamp,
    Watch,
)
from publisher_daemon.naming import is_ignored

DATASET = DatasetId("5bbb6d6cff66bd4dc17bfd5a")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "air"
    folder.mkdir()
    return folder


@pytest.fixture
def mounted(root: Path) -> Iterator[Path]:
    """The folder, on a file system of its own."""
    subprocess.run(["mount", "-t", "tmpfs", "none", str(root)], check=True)
    yield root
    while os.path.ismount(root):
        subprocess.run(["umount", "-l", str(root)], check=True)


def watch(root: Path, **settings: object) -> Watch:
    return replace(Watch("air", str(root), DATASET), **settings)  # type: ignore[arg-type]


def put(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)


def paths(folder: Folder, *asked: str) -> list[str]:
    return [seen.key.path for seen in folder.scan(asked or None)]


def see(folder: Folder, path: str) -> Sighting:
    (seen,) = folder.scan([path])
    return seen


# ----------------------------------------------------------------------------------------- looking


def test_shows_every_file_in_byte_order_of_its_path(root: Path) -> None:
    put(root, "b.csv", "a/z.csv", "a.csv", "a/b/c.csv", "é.csv", "a-b.csv")
    found = paths(Folder(watch(root)))

    assert found == sorted(found, key=os.fsencode)
    assert set(found) == {"b.csv", "a/z.csv", "a.csv", "a/b/c.csv", "é.csv", "a-b.csv"}


def test_shows_only_what_is_asked_and_what_lies_below(root: Path) -> None:
    put(root, "a/1.csv", "a/b/2.csv", "c.csv", "d.csv")

    assert paths(Folder(watch(root)), "c.csv", "gone.csv", "a", "a/1.csv") == [
        "a/1.csv",
        "a/b/2.csv",
        "c.csv",
    ]


@pytest.mark.parametrize("path", ["../air.csv", "/etc/passwd", "a//b.csv", "a/./b.csv", "a/../b"])
def test_shows_nothing_outside_of_itself(root: Path, path: str) -> None:
    put(root, "a/b.csv", "b")
    put(root.parent, "air.csv")

    assert paths(Folder(watch(root)), path) == []


def test_survives_any_name_the_disk_can_hold(root: Path) -> None:
    names = [b"caf\xe9.csv", b"a\nb.csv", "cafe\u0301.csv".encode(), "café.csv".encode(), b"\xff"]
    for name in names:
        Path(os.fsdecode(os.fsencode(root) + b"/" + name)).write_bytes(name)
    folder = Folder(watch(root))

    assert [os.fsencode(path) for path in paths(folder)] == sorted(names)
    for name in names:
        path = os.fsdecode(name)
        sha1 = hashlib.sha1(name).hexdigest()
        assert folder.fingerprint(path, see(folder, path).stamp).sha1 == sha1


@pytest.mark.parametrize(
    "name",
    [
        ".hidden.csv", "~$a.xlsx", ".~lock.a.ods#", "a.csv~", "a.csv.part", "a.csv.PART",
        "a.csv.filepart", "a.csv.crdownload", "lu12ab.tmp", "a.csv.swp", ".a.csv.rhf7b6",
        "Thumbs.db", "desktop.ini", ".git/a.csv", "@eaDir/a.csv", "$RECYCLE.BIN/a.csv",
        "lost+found/a.csv", "__MACOSX/a.csv", "System Volume Information/a.csv", ".nfs000000012",
    ],
)  # fmt: skip
def test_takes_no_temporary_hidden_or_system_file(root: Path, name: str) -> None:
    put(root, name, "a.csv")
    folder = Folder(watch(root))

    assert paths(folder) == ["a.csv"]
    assert paths(folder, name) == []
    assert folder.exists(name)


def test_takes_nothing_but_plain_files_with_one_name(root: Path) -> None:
    put(root, "a.csv", "linked.csv")
    put(root.parent, "elsewhere.csv", "other/b.csv")
    (root / "symlink.csv").symlink_to(root.parent / "elsewhere.csv")
    (root / "directory").symlink_to(root.parent / "other")
    os.link(root / "linked.csv", root.parent / "twin.csv")
    os.mkfifo(root / "fifo.csv")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(root / "socket.csv"))
    folder = Folder(watch(root), clock=lambda: 4e9)

    assert paths(folder) == ["a.csv"]
    assert paths(folder, "directory/b.csv", "symlink.csv", "fifo.csv", "linked.csv") == []
    told = dict(folder.ignored())
    assert "symbolic link" in told["symlink.csv"]
    assert "hard links" in told["linked.csv"]
    assert "regular" in told["fifo.csv"]


def test_waits_for_a_second_name_that_is_there_for_a_moment(root: Path) -> None:
    put(root, "new.tmp")
    os.link(root / "new.tmp", root / "a.csv")
    folder = Folder(watch(root))

    assert see(folder, "a.csv").writing
    (root / "new.tmp").unlink()
    assert not see(folder, "a.csv").writing


def test_include_and_exclude_choose(root: Path) -> None:
    put(root, "a.csv", "a.txt", "deep/b.csv", "deep/old/c.csv", "archive/d.csv")
    chosen = watch(root, include=("*.csv",), exclude=("archive/", "**/old/**"))
    folder = Folder(chosen)

    assert paths(folder) == ["a.csv", "deep/b.csv"]
    assert paths(folder, "archive/d.csv", "deep/old/c.csv", "a.txt") == []
    assert "include" in dict(folder.ignored())["a.txt"]


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("*.csv", "a.csv", True),
        ("*.csv", "x/y/a.csv", True),
        ("*.csv", "a.csv.gz", False),
        ("**/*.csv", "a.csv", True),
        ("**/*.csv", "x/y/a.csv", True),
        ("/a.csv", "a.csv", True),
        ("/a.csv", "x/a.csv", False),
        ("x/*.csv", "x/a.csv", True),
        ("x/*.csv", "x/y/a.csv", False),
        ("x/**", "x/y/a.csv", True),
        ("old/", "x/old/a.csv", True),
        ("a?.csv", "ab.csv", True),
        ("[!a].csv", "b.csv", True),
        ("[!a].csv", "a.csv", False),
        ("a+b.csv", "a+b.csv", True),
    ],
)
def test_patterns_read_as_in_gitignore(pattern: str, path: str, matches: bool) -> None:
    assert Patterns([pattern]).match(path) is matches


@given(some.text(max_size=12), some.text(max_size=12))
def test_no_pattern_and_no_name_breaks_the_matching(pattern: str, path: str) -> None:
    Patterns([pattern]).match(path)
    is_ignored(path)


def test_with_a_ready_marker_a_file_is_there_once_the_marker_says_so(root: Path) -> None:
    folder = Folder(watch(root, ready_marker=".done"))
    put(root, "a.csv")
    assert paths(folder) == []
    ((waits, why),) = folder.unmarked()
    assert waits.key.path == "a.csv"
    assert why == "It waits for a.csv.done, which is not there yet."
    assert dict(folder.ignored()) == {}
    put(root, "a.csv.done")
    assert paths(folder) == ["a.csv"]

    (seen,) = folder.scan(["a.csv.done"])
    assert seen.key.path == "a.csv"
    assert seen.arrived
    assert folder.unmarked() == ()
    os.utime(root / "a.csv.done", (1, 1))
    assert paths(folder) == []
    assert "written again" in folder.unmarked()[0][1]
    assert paths(folder, "a.csv.done") == []
    assert "written again" in folder.unmarked()[0][1]


def test_tells_who_writes_where_it_is_asked_by_name(root: Path) -> None:
    put(root, "a.csv")
    folder = Folder(watch(root))
    with (root / "a.csv").open("a"):
        assert see(folder, "a.csv").writing

    assert not see(folder, "a.csv").writing
    assert see(folder, "a.csv").lease


def test_a_writer_that_comes_at_the_moment_of_the_look_kills_nobody(root: Path) -> None:
    put(root, "a.csv")
    folder = Folder(watch(root))
    writer = subprocess.Popen(
        ["sh", "-c", "i=0; while [ $i -lt 3000 ]; do : >> a.csv; i=$((i+1)); done"], cwd=root
    )
    looks = 0
    while writer.poll() is None:
        see(folder, "a.csv")
        looks += 1

    assert looks > 10


def test_remembers_that_a_file_arrived_until_it_changes(root: Path) -> None:
    put(root, "a.csv")
    folder = Folder(watch(root))
    folder.hint_arrived(["a.csv"])

    assert see(folder, "a.csv").arrived
    assert see(folder, "a.csv").arrived
    (root / "a.csv").write_text("other")
    assert not see(folder, "a.csv").arrived


# -------------------------------------------------------------------------------------- comparing


def known_of(folder: Folder) -> list[Known]:
    """What the ledger would know, had everything that is there been published."""
    return [
        (
            os.fsencode(seen.key.path),
            (seen.stamp.size, seen.stamp.mtime_ns, seen.stamp.ctime_ns, seen.stamp.inode),
            False,
        )
        for seen in folder.scan()
    ]


def differing(folder: Folder, known: list[Known]) -> list[str]:
    found = folder.differences(iter(known))
    assert found is not None
    return list(found)


def test_tells_what_is_new_other_and_gone_and_nothing_else(root: Path) -> None:
    put(root, "a.csv", "a/b.csv", "a-b.csv", "gone.csv", "gone/b.csv", "same/é.csv")
    folder = Folder(watch(root))
    known = known_of(folder)
    assert differing(folder, known) == []

    (root / "a/b.csv").write_text("other")
    shutil.rmtree(root / "gone")
    (root / "gone.csv").unlink()
    put(root, "new/é.csv", "b.tmp", "z.csv")

    assert differing(folder, known) == ["a/b.csv", "gone.csv", "gone/b.csv", "new/é.csv", "z.csv"]


def test_what_is_known_to_be_gone_differs_once_it_is_back(root: Path) -> None:
    put(root, "back.csv")
    folder = Folder(watch(root))
    ((_, stamp, _),) = known_of(folder)

    assert differing(folder, [(b"back.csv", stamp, True), (b"gone.csv", stamp, True)]) == [
        "back.csv"
    ]
    assert differing(folder, [(b"back.csv", None, False)]) == ["back.csv"]


_NAMES = some.sampled_from([
    b"a", b"a.csv", b"a-b.csv", b"a0", "é.csv".encode(), b"\xff.csv", b"\xed\xa0\x80", b"z.tmp",
    "\U0001f600.csv".encode(), "\uffff".encode(), b"A",
])  # fmt: skip
_PATHS = some.sets(some.lists(_NAMES, min_size=1, max_size=3).map(b"/".join), max_size=12)


@settings(deadline=None, max_examples=60)
@given(before=_PATHS, after=_PATHS)
def test_a_comparison_in_byte_order_finds_what_one_of_sets_would(
    before: set[bytes], after: set[bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("air")
    folder = Folder(watch(root))
    _lay_out(root, before)
    known = known_of(folder)
    for path in sorted((path for path, _, _ in known), reverse=True):
        if hash(path) % 3:
            os.unlink(os.path.join(os.fsencode(root), path))
    _lay_out(root, after)

    now = {path: stamp for path, stamp, _ in known_of(folder)}
    then = {path: stamp for path, stamp, _ in known}
    wanted = {path for path in now.keys() | then.keys() if now.get(path) != then.get(path)}
    assert sorted(now) == list(now)
    assert [os.fsencode(path) for path in differing(folder, known)] == sorted(wanted)


def _lay_out(root: Path, paths: set[bytes]) -> None:
    """Write what can be written: of a file and a directory of one name, the first."""
    for path in sorted(paths):
        target = os.path.join(os.fsencode(root), path)
        with contextlib.suppress(FileExistsError, NotADirectoryError, IsADirectoryError):
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(target, "wb") as file:
                file.write(path)


def test_with_a_marker_only_a_look_at_everything_tells(root: Path) -> None:
    assert Folder(watch(root, ready_marker=".done")).differences(iter(())) is None


# ----------------------------------------------------------------------------------------- reading


def test_reads_the_bytes(root: Path) -> None:
    content = os.urandom(1_000_003)
    (root / "a.csv").write_bytes(content)
    folder = Folder(watch(root))
    seen = see(folder, "a.csv")

    assert folder.fingerprint("a.csv", seen.stamp).sha1 == hashlib.sha1(content).hexdigest()
    with folder.open("a.csv", seen.stamp) as source:
        assert b"".join(bytes(block) for block in source.blocks(4096)) == content
        # who looks at one, while the next is read, sees it as it was
        blocks = source.blocks(4096)
        last = next(blocks)
        looked_at = []
        for block in blocks:
            looked_at.append(bytes(last))
            last = block
        assert b"".join([*looked_at, bytes(last)]) == content
        assert source.size == len(content)
        source.check()


def test_opens_nothing_that_changed_since_it_was_seen(root: Path) -> None:
    put(root, "a.csv", "b.csv", "c.csv")
    folder = Folder(watch(root))
    stamps = {seen.key.path: seen.stamp for seen in folder.scan()}
    (root / "a.csv").write_text("other")
    (root / "b.csv").unlink()
    (root / "c.csv").unlink()
    (root / "c.csv").symlink_to(root.parent)

    for path, stamp in stamps.items():
        with pytest.raises(SourceChanged), folder.open(path, stamp):
            pass


@pytest.mark.parametrize("fault", ["rewritten", "truncated", "replaced", "removed", "held open"])
def test_says_that_a_file_moved_under_the_reader(root: Path, fault: str) -> None:
    path = root / "a.csv"
    path.write_bytes(bytes(10_000))
    folder = Folder(watch(root))
    seen = see(folder, "a.csv")
    writer = None

    with folder.open("a.csv", seen.stamp) as source:
        blocks = source.blocks(1000)
        next(blocks)
        match fault:
            case "rewritten":
                path.write_bytes(b"1" * 10_000)
                os.utime(path, ns=(seen.stamp.mtime_ns, seen.stamp.mtime_ns))
            case "truncated":
                os.truncate(path, 10)
            case "replaced":
                (root / "new.tmp").write_bytes(bytes(10_000))
                (root / "new.tmp").rename(path)
            case "removed":
                path.unlink()
            case _:
                writer = path.open("ab")
        with pytest.raises(SourceChanged):
            _read_on(blocks, source)
    if writer is not None:
        writer.close()


def _read_on(blocks: Iterator[memoryview], source: OpenFile) -> None:
    for _ in blocks:
        pass
    source.check()


def test_opens_nothing_through_a_directory_that_became_a_link(root: Path) -> None:
    put(root, "a/b.csv")
    folder = Folder(watch(root))
    stamp = see(folder, "a/b.csv").stamp
    (root / "a").rename(root.parent / "a")
    (root / "a").symlink_to(root.parent / "a")

    with pytest.raises(SourceChanged), folder.open("a/b.csv", stamp):
        pass


# ---------------------------------------------------------------------------------------- presence


def test_a_missing_folder_is_not_an_empty_one(root: Path) -> None:
    root.rmdir()
    with pytest.raises(FolderGone):
        paths(Folder(watch(root)))
    root.write_text("not a directory")
    with pytest.raises(FolderGone):
        paths(Folder(watch(root)))


@pytest.mark.root
def test_an_unreadable_directory_hides_what_is_below_and_nothing_else(root: Path) -> None:
    put(root, "a/b.csv", "c.csv")
    script = (
        "import os, sys\n"
        "from publisher_daemon.folder import Folder\n"
        "from publisher_daemon.model import Watch\n"
        "os.setuid(65534)\n"
        "folder = Folder(Watch('air', sys.argv[1], 'x'))\n"
        "seen = [s.key.path for s in folder.scan()]\n"
        "print(seen, folder.unobservable(), folder.exists('a/b.csv'))\n"
    )
    let_others_in(root)
    (root / "a").chmod(0o700)
    done = subprocess.run(
        [sys.executable, "-c", script, str(root)], capture_output=True, text=True, check=False
    )

    assert done.stdout.strip() == "['c.csv'] ('a',) True", done.stderr


@pytest.mark.root
def test_an_unmounted_folder_is_not_an_empty_one(mounted: Path) -> None:
    put(mounted, "a.csv")
    folder = Folder(watch(mounted))
    assert paths(folder) == ["a.csv"]
    subprocess.run(["umount", str(mounted)], check=True)

    for _ in range(2):
        with pytest.raises(FolderGone, match="file system"):
            paths(folder)
        with pytest.raises(FolderGone):
            paths(folder, "a.csv")
    assert folder.exists("a.csv")
    subprocess.run(["mount", "-t", "tmpfs", "none", str(mounted)], check=True)
    put(mounted, "b.csv")
    assert paths(folder) == ["b.csv"]


@pytest.mark.root
def test_a_mount_over_a_folder_that_had_files_hides_them_and_is_not_believed(root: Path) -> None:
    put(root, "a.csv")
    folder = Folder(watch(root))
    assert paths(folder) == ["a.csv"]
    subprocess.run(["mount", "-t", "tmpfs", "none", str(root)], check=True)
    try:
        with pytest.raises(FolderGone):
            paths(folder)
    finally:
        subprocess.run(["umount", str(root)], check=True)
    assert paths(folder) == ["a.csv"]


@pytest.mark.root
def test_a_share_that_comes_after_the_service_started_is_taken(root: Path) -> None:
    folder = Folder(watch(root))
    assert paths(folder) == []
    subprocess.run(["mount", "-t", "tmpfs", "none", str(root)], check=True)
    try:
        put(root, "a.csv")
        assert paths(folder) == ["a.csv"]
    finally:
        subprocess.run(["umount", str(root)], check=True)


@pytest.mark.root
def test_a_share_that_comes_late_over_a_mount_is_taken_unless_that_had_files(root: Path) -> None:
    # as in the sandbox of a service, where each folder is a mount of its own
    subprocess.run(["mount", "--bind", str(root), str(root)], check=True)
    folder = Folder(watch(root))
    assert paths(folder) == []
    try:
        subprocess.run(["mount", "-t", "tmpfs", "share", str(root)], check=True)
        put(root, "a.csv")
        assert paths(folder) == ["a.csv"]
        put(root.parent, "other/b.csv")
        subprocess.run(["mount", "--bind", str(root.parent / "other"), str(root)], check=True)
        with pytest.raises(FolderGone):
            paths(folder)
        subprocess.run(["umount", str(root)], check=True)
        assert paths(folder) == ["a.csv"]
        subprocess.run(["umount", str(root)], check=True)
        with pytest.raises(FolderGone):
            paths(folder)
        after = Folder(watch(root))
        after.expect(folder.identity)
        with pytest.raises(FolderGone):
            paths(after)
    finally:
        # a directory mounted over itself is no mount for os.path.ismount
        while (
            subprocess.run(["umount", "-l", str(root)], capture_output=True, check=False).returncode
            == 0
        ):
            pass


@pytest.mark.root
def test_what_is_mounted_over_a_folder_hides_also_files_that_were_met_by_name_only(
    root: Path,
) -> None:
    folder = Folder(watch(root))
    assert paths(folder) == []
    put(root, "a.csv")
    assert paths(folder, "a.csv") == ["a.csv"]
    subprocess.run(["mount", "-t", "tmpfs", "none", str(root)], check=True)
    try:
        with pytest.raises(FolderGone, match="Another file system"):
            paths(folder)
    finally:
        subprocess.run(["umount", str(root)], check=True)
    assert paths(folder) == ["a.csv"]


@pytest.mark.root
@pytest.mark.parametrize("other", [(), ("b.csv",)])
def test_what_is_mounted_over_a_folder_at_a_restart_is_not_that_folder(
    root: Path, other: tuple[str, ...]
) -> None:
    put(root, "a.csv")
    before = Folder(watch(root))
    (seen,) = before.scan()
    entry = Entry(seen.key, ResourceId("r"), Fingerprint("0" * 40, 5), seen.stamp)
    subprocess.run(["mount", "-t", "tmpfs", "none", str(root)], check=True)
    try:
        put(root, *other)
        after = Folder(watch(root))
        after.recognise(before.identity, lambda: Record(entries={entry.key: entry}))

        for asked in ((), ("a.csv",), ("b.csv",)):
            with pytest.raises(FolderGone, match="Another file system"):
                paths(after, *asked)
    finally:
        subprocess.run(["umount", str(root)], check=True)
    assert paths(after) == ["a.csv"]


@pytest.mark.root
def test_a_disk_that_came_over_an_empty_folder_and_showed_nothing_may_go_again(root: Path) -> None:
    folder = Folder(watch(root))
    assert paths(folder) == []
    before = folder.identity
    subprocess.run(["mount", "-t", "tmpfs", "none", str(root)], check=True)
    try:
        assert paths(folder) == []
        assert folder.identity == before
    finally:
        subprocess.run(["umount", str(root)], check=True)
    put(root, "a.csv")

    assert paths(folder) == ["a.csv"]
    assert folder.identity == before


@pytest.mark.root
def test_a_folder_moved_behind_the_mount_that_shows_it_is_lost_and_not_emptied(root: Path) -> None:
    # as in a sandbox or a container: the mount follows the directory, not its name
    there, shown = root / "there", root / "shown"
    put(there, "a.csv")
    shown.mkdir()
    subprocess.run(["mount", "--bind", str(there), str(shown)], check=True)
    try:
        folder = Folder(watch(shown))
        assert paths(folder) == ["a.csv"]

        there.rename(root / "old")
        put(there, "b.csv")
        with pytest.raises(FolderGone, match="made anew"):
            paths(folder, "a.csv")
        shutil.rmtree(root / "old")

        with pytest.raises(FolderGone, match="made anew"):
            paths(folder)
    finally:
        subprocess.run(["umount", "-l", str(shown)], check=True)


@pytest.mark.root
def test_a_folder_is_the_same_with_and_without_a_mount_of_its_own(root: Path) -> None:
    put(root, "a.csv")
    outside = Folder(watch(root)).presence()
    # the one file has changed since: nothing but the place says that it is the same folder
    before = Stamp(1, 1, 1, 1)
    entry = Entry(
        ResourceKey(DATASET, "air", "a.csv"), ResourceId("r"), Fingerprint("0" * 40, 1), before
    )
    record = Record(entries={entry.key: entry})
    subprocess.run(["mount", "--bind", str(root), str(root)], check=True)
    try:
        folder = Folder(watch(root))
        inside = folder.presence()
        assert inside != outside
        folder.recognise(outside, lambda: record)

        assert paths(folder) == ["a.csv"]
    finally:
        subprocess.run(["umount", "-l", str(root)], check=True)
    again = Folder(watch(root))
    again.recognise(inside, lambda: record)
    assert paths(again) == ["a.csv"]


@pytest.mark.root
def test_the_identity_that_was_kept_is_asked_for_after_a_restart(mounted: Path) -> None:
    kept = Folder(watch(mounted)).presence()
    subprocess.run(["umount", str(mounted)], check=True)
    after = Folder(watch(mounted))
    after.expect(kept)

    with pytest.raises(FolderGone):
        paths(after)


@pytest.mark.root
def test_another_mount_below_is_not_entered_and_hides_what_was_there(root: Path) -> None:
    put(root, "a/b.csv", "c.csv", "d/e.csv")
    put(root.parent, "other/f.csv")
    folder = Folder(watch(root))
    paths(folder)
    subprocess.run(["mount", "--bind", str(root.parent / "other"), str(root / "a")], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "none", str(root / "d")], check=True)
    try:
        put(root, "d/g.csv")
        assert paths(folder) == ["c.csv"]
        assert folder.unobservable() == ("a", "d")
        assert paths(folder, "a/f.csv", "a", "d/g.csv") == []
    finally:
        subprocess.run(["umount", str(root / "a"), str(root / "d")], check=True)


@pytest.mark.root
def test_what_a_mount_hid_from_a_look_is_told_once_when_it_shows_again(root: Path) -> None:
    put(root, "a/b.csv", "c.csv", "d/e.csv")
    put(root.parent, "other/f.csv")
    folder = Folder(watch(root))
    paths(folder)
    bind = ["mount", "--bind", str(root.parent / "other"), str(root / "a")]
    subprocess.run(bind, check=True)
    subprocess.run(["mount", "-t", "tmpfs", "none", str(root / "d")], check=True)
    try:
        # a look at one file, after which nothing reads the table until the mount is gone
        assert paths(folder, "d/e.csv") == []
        assert not folder.shows_again()
        subprocess.run(["umount", str(root / "d")], check=True)
        assert folder.shows_again()
        assert not folder.shows_again()
        assert paths(folder) == ["c.csv", "d/e.csv"]

        # while it is looked at, and gone before the look is over
        scan = folder.scan(["a/b.csv", "c.csv"])
        assert next(scan).key.path == "c.csv"
    finally:
        subprocess.run(["umount", str(root / "a")], check=True)
    assert folder.shows_again()
    assert paths(folder) == ["a/b.csv", "c.csv", "d/e.csv"]
    assert not folder.shows_again()


@pytest.fixture
def layered(root: Path) -> Iterator[Path]:
    """The folder on an overlay whose layers are of two devices, as in the root of a container."""
    lower, upper = root.parent / "lower", root.parent / "upper"
    for place in (lower, upper):
        place.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "none", str(place)], check=True)
    put(lower, "old.csv", "a/old.csv")
    put(upper, "files/new.csv")
    (upper / "work").mkdir()
    layers = f"lowerdir={lower},upperdir={upper}/files,workdir={upper}/work,xino=off"
    subprocess.run(["mount", "-t", "overlay", "-o", layers, "none", str(root)], check=True)
    yield root
    for place in (root, upper, lower):
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.root
def test_files_of_an_overlay_are_of_its_folder_whatever_layer_they_lie_on(layered: Path) -> None:
    assert len({path.stat().st_dev for path in (layered, *layered.glob("*.csv"))}) == 3
    folder = Folder(watch(layered))

    assert paths(folder) == ["a/old.csv", "new.csv", "old.csv"]

    for path in ("a/old.csv", "new.csv"):
        seen = see(folder, path)
        assert (seen.writing, seen.lease) == (False, True)
        content = (layered / path).read_bytes()
        assert folder.fingerprint(path, seen.stamp).sha1 == hashlib.sha1(content).hexdigest()
    with (layered / "old.csv").open("a"):
        assert see(folder, "old.csv").writing
    assert not see(folder, "old.csv").writing


@pytest.mark.root
def test_a_file_mounted_over_one_of_an_overlay_is_not_published(layered: Path) -> None:
    put(layered.parent, "secret.csv")
    folder = Folder(watch(layered))
    seen = {path: see(folder, path) for path in ("new.csv", "old.csv")}
    paths(folder)
    # as late as can be: after the look at everything, which reads the table of mounts
    subprocess.run(["mount", "-t", "tmpfs", "none", str(layered / "a")], check=True)
    outside = str(layered.parent / "secret.csv")
    subprocess.run(["mount", "--bind", outside, str(layered / "old.csv")], check=True)
    put(layered, "a/late.csv")
    try:
        assert paths(folder, "a/late.csv", "old.csv") == []
        with pytest.raises(SourceChanged):
            folder.fingerprint("old.csv", seen["old.csv"].stamp)
        assert paths(folder) == ["new.csv"]
    finally:
        subprocess.run(["umount", str(layered / "a"), str(layered / "old.csv")], check=True)


@pytest.mark.root
def test_a_file_of_the_same_device_that_is_mounted_late_is_not_published(root: Path) -> None:
    put(root, "a.csv")
    put(root.parent, "b.csv")
    folder = Folder(watch(root))
    assert paths(folder) == ["a.csv"]
    subprocess.run(["mount", "--bind", str(root.parent / "b.csv"), str(root / "a.csv")], check=True)
    try:
        # the mount is not known yet, and its device is the folder's
        seen = see(folder, "a.csv")
        with pytest.raises(SourceChanged, match="mounted"):
            folder.fingerprint("a.csv", seen.stamp)
        assert paths(folder) == []
    finally:
        subprocess.run(["umount", str(root / "a.csv")], check=True)


def test_a_folder_replaced_by_an_empty_one_is_not_an_emptied_one(root: Path) -> None:
    put(root, "a.csv")
    folder = Folder(watch(root))
    assert paths(folder) == ["a.csv"]
    root.rename(root.parent / "old")
    root.mkdir()

    with pytest.raises(FolderGone):
        paths(folder)
    put(root, "b.csv")
    assert paths(folder) == ["b.csv"]


def test_an_emptied_folder_is_empty(root: Path) -> None:
    put(root, "a.csv")
    folder = Folder(watch(root))
    assert paths(folder) == ["a.csv"]
    (root / "a.csv").unlink()

    assert paths(folder) == []
    assert not folder.exists("a.csv")
    assert folder.unobservable() == ()


def test_a_file_whose_name_a_directory_has_now_is_gone(root: Path) -> None:
    put(root, "a.csv/b.csv")
    folder = Folder(watch(root))

    assert paths(folder) == ["a.csv/b.csv"]
    assert not folder.exists("a.csv")


def test_a_folder_replaced_during_the_scan_proves_nothing(root: Path) -> None:
    put(root, *(f"{number:03}.csv" for number in range(300)))
    scan = Folder(watch(root)).scan()
    next(scan)
    root.rename(root.parent / "old")
    root.mkdir()

    with pytest.raises(FolderUnreadable):
        list(scan)


def test_a_file_system_that_does_not_answer_is_stalled_and_blocks_nobody() -> None:
    patience, answer = Patience("/mnt/share", 0.1), threading.Event()

    with pytest.raises(FolderStalled):
        patience.call(lambda: answer.wait(10))
    with pytest.raises(FolderStalled):
        patience.call(lambda: True)
    answer.set()
    wait_until(lambda: _answers(patience), 5, "it answers again")


def _answers(patience: Patience) -> bool:
    try:
        return patience.call(lambda: True)
    except FolderStalled:
        return False


def test_a_share_is_read_with_patience_and_known_by_size_and_date_only(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("publisher_daemon.mounts.kind_of", lambda _path: "network")
    put(root, "a.csv")
    folder = Folder(watch(root))
    (seen,) = folder.scan()

    assert folder.kind() == "network"
    assert (seen.remote, seen.lease) == (True, False)
    assert seen.stamp == Stamp(5, (root / "a.csv").stat().st_mtime_ns, 0, 0)
    assert folder.fingerprint("a.csv", seen.stamp).size == 5


def test_what_the_system_refuses_is_said_in_words(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(root, "a.csv")
    folder = Folder(watch(root))
    stamp = see(folder, "a.csv").stamp

    def refuse(*_arguments: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "preadv", refuse)
    with pytest.raises(FileUnreadable, match=r"a\.csv cannot be read: Input/output error"):
        folder.fingerprint("a.csv", stamp)


# ------------------------------------------------------------------- what lies beside, and errors


def test_what_cannot_be_read_beside_a_file_holds_it_and_leaves_nothing_open(root: Path) -> None:
    put(root, "a.csv")
    (root / "approved").mkdir()
    for beside in (root / "a.csv.publish_after", root / "approved" / "a.csv"):
        beside.mkdir()
    folder = Folder(watch(root, checks=Checks(approvals=str(root / "approved"))))
    before = os.listdir("/proc/self/fd")

    assert folder.embargo("a.csv") == "?"
    assert not folder.approved("a.csv", Fingerprint("0" * 40, 5))
    assert len(os.listdir("/proc/self/fd")) == len(before)


@pytest.mark.parametrize("error", [errno.EIO, errno.ESTALE])
def test_a_file_system_that_cannot_tell_what_it_is_is_unreadable(
    root: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    put(root, "a.csv")
    folder = Folder(watch(root))

    def refuse(_descriptor: int, _mount: object) -> str:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr("publisher_daemon.mounts.identity", refuse)

    for look in (
        folder.presence,
        lambda: list(folder.scan()),
        lambda: list(folder.scan(["a.csv"])),
    ):
        with pytest.raises(FolderUnreadable):
            look()
    folder.recognise("another", lambda: Record({}))
    assert folder.identity == "another"
