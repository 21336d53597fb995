"""The ledger when the disk, the file or another process is not as it should be."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from publisher_daemon.config import load
from publisher_daemon.daemon.opening import open_ledger
from publisher_daemon.errors import LedgerBroken, LedgerBusy
from publisher_daemon.ledger import Ledger, _store, state_dir_problem
from publisher_daemon.ledger._store import FILE
from publisher_daemon.model import (
    DatasetId,
    Entry,
    Fingerprint,
    Record,
    ResourceId,
    ResourceKey,
    Words,
)

DATASET = DatasetId("5bbb6d6cff66bd4dc17bfd5a")
ROOT = Path(__file__).resolve().parents[2]


def entry(number: int, words: str = "") -> Entry:
    key = ResourceKey(DATASET, "air", f"{number}.csv")
    sha1 = f"{number:040x}"
    return Entry(
        key, ResourceId(f"r{number}"), Fingerprint(sha1, number), None, applied=Words(words)
    )


def program(text: str, *arguments: object) -> list[str]:
    return [sys.executable, "-c", text, *map(str, arguments)]


# ----------------------------------------------------------------------------------- opening

OPENING = """
import sys, time
from pathlib import Path
from publisher_daemon.ledger import Ledger

while time.time() < float(sys.argv[2]):
    pass
ledger = Ledger(Path(sys.argv[1]))
ledger.cache_put(sys.argv[3], "here", 1.0)
"""


def test_four_processes_may_start_at_once_on_nothing(tmp_path: Path) -> None:
    for turn in range(3):
        state = tmp_path / str(turn)
        at = time.time() + 1.5

        started = [
            subprocess.Popen(program(OPENING, state, at, number), stderr=subprocess.PIPE)
            for number in range(4)
        ]
        errors = [process.communicate(timeout=30)[1].decode() for process in started]

        assert errors == [""] * 4
        with closing(Ledger(state, read_only=True)) as ledger:
            assert all(ledger.cache_get(str(number)) for number in range(4))


@pytest.fixture
def two_steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The migrations as a later version has them."""
    steps = [*_store._migrations(), "CREATE TABLE later (\n  a TEXT -- one; two\n);"]
    monkeypatch.setattr(_store, "_migrations", lambda: steps)
    return steps


def version(state: Path) -> int:
    with closing(sqlite3.connect(state / FILE)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def older(state: Path) -> None:
    """A ledger of the first version, with something in it."""
    with closing(Ledger(state)) as ledger:
        ledger.touch(entry(1))


def test_an_older_ledger_is_brought_to_this_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older(tmp_path)
    steps = [*_store._migrations(), "CREATE TABLE later (a TEXT);", "CREATE TABLE last (a TEXT);"]
    monkeypatch.setattr(_store, "_migrations", lambda: steps)

    with closing(Ledger(tmp_path)) as ledger:
        assert ledger.read(DATASET).entries == {entry(1).key: entry(1)}
    assert version(tmp_path) == len(steps)


@pytest.mark.parametrize("old", range(1, len(_store._migrations())))
def test_a_ledger_of_every_version_there_was_is_brought_to_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: int
) -> None:
    with monkeypatch.context() as then:
        steps = _store._migrations()[:old]
        then.setattr(_store, "_migrations", lambda: steps)
        older(tmp_path)
    assert version(tmp_path) == old

    with closing(Ledger(tmp_path)) as ledger:
        assert ledger.read(DATASET).entries == {entry(1).key: entry(1)}
        ledger.touch(entry(2))

    assert version(tmp_path) == len(_store._migrations())


def test_a_migration_that_fails_leaves_the_older_version_whole(
    tmp_path: Path, two_steps: list[str]
) -> None:
    good = list(two_steps)
    two_steps[:] = good[:1]
    older(tmp_path)
    two_steps[:] = [*good, "CREATE TABLE oops ("]

    with pytest.raises(LedgerBroken):
        Ledger(tmp_path)

    assert version(tmp_path) == 1
    two_steps[:] = good
    Ledger(tmp_path).close()
    assert version(tmp_path) == len(good)


def test_an_older_ledger_is_not_read_but_the_person_told_what_to_do(
    tmp_path: Path, two_steps: list[str]
) -> None:
    whole = list(two_steps)
    two_steps[:] = whole[:1]
    older(tmp_path)
    two_steps[:] = whole

    with closing(Ledger(tmp_path, read_only=True)) as ledger:
        with pytest.raises(LedgerBroken, match="older version") as told:
            ledger.read(DATASET)
        assert "Start the service once" in (told.value.hint or "")
    assert version(tmp_path) == 1


def test_an_older_ledger_in_use_is_not_changed_under_the_service(
    tmp_path: Path, two_steps: list[str]
) -> None:
    whole = list(two_steps)
    two_steps[:] = whole[:1]
    with closing(Ledger(tmp_path)) as running, running.lock():
        two_steps[:] = whole

        with pytest.raises(LedgerBusy):
            Ledger(tmp_path)

    assert version(tmp_path) == 1


def test_a_newer_ledger_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    older(tmp_path)
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        connection.execute("PRAGMA user_version=99")

    with pytest.raises(LedgerBroken, match="newer version"):
        Ledger(tmp_path)
    with (
        closing(Ledger(tmp_path, read_only=True)) as ledger,
        pytest.raises(LedgerBroken, match="newer version"),
    ):
        ledger.datasets()
    assert version(tmp_path) == 99


@pytest.mark.parametrize("there", [None, b""])
def test_what_was_never_written_reads_as_nothing(tmp_path: Path, there: bytes | None) -> None:
    if there is not None:
        (tmp_path / FILE).write_bytes(there)

    with closing(Ledger(tmp_path, read_only=True)) as ledger:
        assert ledger.read(DATASET) == Record()
    assert (tmp_path / FILE).exists() == (there is not None)


def test_an_empty_file_becomes_a_ledger(tmp_path: Path) -> None:
    (tmp_path / FILE).touch()

    older(tmp_path)

    assert version(tmp_path) == len(_store._migrations())


# ---------------------------------------------------------------------------- what is damaged


def test_garbage_is_told_and_not_touched(tmp_path: Path) -> None:
    garbage = b"no database at all" * 1000
    (tmp_path / FILE).write_bytes(garbage)

    with pytest.raises(LedgerBroken, match="damaged") as told:
        Ledger(tmp_path)

    assert "aside" in (told.value.hint or "")
    assert (tmp_path / FILE).read_bytes() == garbage


def test_a_truncated_ledger_is_told(tmp_path: Path) -> None:
    with closing(Ledger(tmp_path)) as ledger:
        for number in range(300):
            ledger.touch(entry(number, "w" * 200))
    size = (tmp_path / FILE).stat().st_size

    for left in (size // 2, 4096 + 100, 4096, 100):
        os.truncate(tmp_path / FILE, left)
        with pytest.raises(LedgerBroken, match="damaged"), closing(Ledger(tmp_path)) as ledger:
            ledger.read(DATASET)


def test_no_connection_is_left_open_by_a_ledger_that_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"no database at all" * 1000)
    before = len(list(Path("/proc/self/fd").iterdir()))

    for _ in range(20):
        with pytest.raises(LedgerBroken):
            Ledger(tmp_path)

    assert len(list(Path("/proc/self/fd").iterdir())) == before


# ------------------------------------------------------------------------------------ the lock


def test_a_second_instance_is_told_which_one_runs(tmp_path: Path) -> None:
    with (
        closing(Ledger(tmp_path)) as first,
        first.lock(),
        closing(Ledger(tmp_path)) as second,
        pytest.raises(LedgerBusy, match=f"process {os.getpid()}"),
        second.lock(),
    ):
        pass

    with closing(Ledger(tmp_path)) as third, third.lock():
        pass


def test_a_lock_file_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    with closing(Ledger(tmp_path)) as ledger:
        (tmp_path / "lock").mkdir()

        with pytest.raises(LedgerBroken, match="lock") as told, ledger.lock():
            pass

    assert told.value.hint


def test_a_killed_instance_leaves_no_lock(tmp_path: Path) -> None:
    holding = """
import sys
from pathlib import Path
from publisher_daemon.ledger import Ledger
with Ledger(Path(sys.argv[1])).lock():
    print("held", flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen(
        program(holding, tmp_path), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with closing(Ledger(tmp_path)) as ledger, pytest.raises(LedgerBusy), ledger.lock():
            pass
        process.kill()

    with closing(Ledger(tmp_path)) as ledger, ledger.lock():
        pass


# ------------------------------------------------------------------------------- where it lies


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs", "fuse.anything", "9p", "virtiofs"])
def test_no_ledger_on_what_other_machines_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    from publisher_daemon import mounts

    share = mounts.Mount(99, "/", str(tmp_path), kind, "server:/x")
    monkeypatch.setattr(mounts, "mounts", lambda: iter([share]))
    monkeypatch.setattr(mounts, "_kept", mounts._Kept())  # what was read before is not this table

    assert kind in (state_dir_problem(tmp_path / "not/yet") or "")
    with pytest.raises(LedgerBroken, match="network share"):
        Ledger(tmp_path / "state")
    assert state_dir_problem(Path("/elsewhere")) is None


def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(LedgerBroken, match="cannot be made") as told:
        Ledger(tmp_path / "file" / "state")

    assert told.value.hint


# -------------------------------------------------------------------------- kill -9 in commits

COMMITTING = """
import sys
from pathlib import Path
from publisher_daemon.ledger import Ledger
from publisher_daemon.model import *

ledger = Ledger(Path(sys.argv[1]))
dataset = DatasetId("5bbb6d6cff66bd4dc17bfd5a")
for number in range(int(sys.argv[2]), 10**9):
    key = ResourceKey(dataset, "air", f"{number}.csv")
    attempt = ledger.begin(key, "upload", now=1.0)
    ledger.sent(attempt, now=2.0)
    found = Entry(key, ResourceId(f"r{number}"), Fingerprint(f"{number:040x}", number), None)
    ledger.finish(attempt, found, now=3.0, action="resource.created")
    print(number, flush=True)
"""


def test_what_was_committed_survives_kill_nine(tmp_path: Path) -> None:
    said = -1
    for turn in range(12):
        process = subprocess.Popen(
            program(COMMITTING, tmp_path, said + 2), stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3 + turn)]
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.readlines()
        process.wait(10)
        process.stdout.close()
        said = int([line for line in lines if line.endswith("\n")][-1])

        with closing(Ledger(tmp_path, read_only=True)) as ledger:
            found = ledger.read(DATASET)
        assert said in {each.fingerprint.size for each in found.entries.values()}
        # an attempt and its entry are never there together, and nothing was said too early
        assert not {attempt.key for attempt in found.attempts} & set(found.entries)
        assert len(found.attempts) <= turn + 1
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


# --------------------------------------------------------------------------- the disk gives up


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    root = tmp_path / "disk"
    root.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(root)], check=True)
    try:
        yield root
    finally:
        subprocess.run(["umount", "-l", str(root)], check=True)


def fill(root: Path) -> Path:
    """Leave no byte on the disk."""
    filler = root / "filler"
    with suppress(OSError), filler.open("ab", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    return filler


def publish(ledger: Ledger, number: int, step: int) -> bool:
    """Do one publication's step; False when the disk is full, which must change nothing."""
    wanted = entry(number, "w" * 3000)
    try:
        if step == 0:
            ledger.begin(wanted.key, "upload", now=1.0, words=wanted.applied)
        elif step == 1:
            (attempt,) = ledger.read(DATASET).attempts
            ledger.sent(attempt, now=2.0)
        else:
            (attempt,) = ledger.read(DATASET).attempts
            ledger.finish(attempt, wanted, now=3.0, action="resource.created")
    except LedgerBroken as broken:
        if "the disk is full" not in broken.message:
            raise
        return False
    return True


@pytest.mark.root
def test_a_full_disk_at_any_commit_loses_nothing_and_ends_by_itself(disk: Path) -> None:
    failed = set()
    with closing(Ledger(disk)) as ledger:
        for number in range(10):
            for step in range(3):
                before = ledger.read(DATASET)
                filler = fill(disk)

                done = publish(ledger, number, step)

                if not done:
                    failed.add(step)
                    assert ledger.read(DATASET) == before
                filler.unlink()
                assert done or publish(ledger, number, step)
        assert len(ledger.read(DATASET).entries) == 10
    with closing(Ledger(disk, read_only=True)) as ledger:
        assert ledger.read(DATASET).entries[entry(9).key] == entry(9, "w" * 3000)
        assert len(ledger.history()) == 10
    assert failed == {0, 1, 2}


@pytest.mark.root
def test_a_first_start_on_a_full_disk_is_told_and_succeeds_when_there_is_room(disk: Path) -> None:
    filler = fill(disk)

    with pytest.raises(LedgerBroken, match="disk is full"):
        Ledger(disk)
    with closing(Ledger(disk, read_only=True)) as ledger:
        assert ledger.read(DATASET) == Record()

    filler.unlink()
    older(disk)


@pytest.mark.root
def test_the_lock_is_held_even_on_a_full_disk(disk: Path) -> None:
    with closing(Ledger(disk)) as ledger:
        fill(disk)
        with (
            ledger.lock(),
            closing(Ledger(disk)) as second,
            pytest.raises(LedgerBusy),
            second.lock(),
        ):
            pass


@pytest.mark.root
def test_a_disk_that_becomes_read_only_is_told(disk: Path) -> None:
    older(disk)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)

    with pytest.raises(LedgerBroken) as told:
        older(disk)

    assert "can be written" in (told.value.hint or "")


STEPS = """
import sys
from pathlib import Path
from publisher_daemon.config import load
from publisher_daemon.daemon.opening import open_ledger
from publisher_daemon.errors import LedgerBroken
from publisher_daemon.ledger import Ledger
from publisher_daemon.model import *

try:
    ledger = Ledger(Path(sys.argv[1]))
    for number in range(3):
        key = ResourceKey(DatasetId("5bbb6d6cff66bd4dc17bfd5a"), "air", f"{number}.csv")
        attempt = ledger.begin(key, "upload", now=1.0)
        ledger.sent(attempt, now=2.0)
        found = Entry(key, ResourceId(f"r{number}"), Fingerprint(f"{number:040x}", number), None)
        ledger.finish(attempt, found, now=3.0, action="resource.created")
        print(number, flush=True)
except LedgerBroken as broken:
    print("broken:", broken.message, broken.hint, flush=True)
    sys.exit(3)
"""


@pytest.mark.strace
def test_an_io_error_at_any_commit_is_told_and_loses_nothing_that_was_said(tmp_path: Path) -> None:
    broken = 0
    for number in range(1, 30):
        state = tmp_path / str(number)
        inject = f"inject=fsync,fdatasync:error=EIO:when={number}"
        traced = ["strace", "-f", "-qq", "-o", str(tmp_path / "trace"), "-e", inject]

        ended = subprocess.run(
            [*traced, *program(STEPS, state)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

        assert ended.stderr == ""
        lines = ended.stdout.splitlines()
        said = {int(line) for line in lines if line.isdecimal()}
        with closing(Ledger(state)) as ledger:  # the next start
            found = {each.fingerprint.size for each in ledger.read(DATASET).entries.values()}
        # what was not acknowledged may be there: that is what attempts are for
        assert said <= found <= said | {len(said)}
        if ended.returncode == 0:
            # SQLite may do without the sync of a directory; or there were fewer syncs than that
            assert said == {0, 1, 2}
            if "INJECTED" not in (tmp_path / "trace").read_text():
                break
            continue
        assert ended.returncode == 3
        assert lines[-1].startswith("broken: ")
        assert "Look at the disk" in lines[-1]
        broken += 1
    assert broken > 9  # every begin, every sent, every finish


@pytest.mark.root
def test_what_root_does_by_hand_is_handed_over_to_the_services_account(tmp_path: Path) -> None:
    mine, state = tmp_path / "root's", tmp_path / "lib" / "www"
    mine.touch()
    state.parent.mkdir()
    os.chown(state.parent, 65534, 65534)
    config = tmp_path / "config.toml"
    config.write_text(
        f'[portal]\nurl = "http://127.0.0.1:1"\n[daemon]\nstate_dir = "{state}"\n'
        f'[[folders]]\npath = "{tmp_path}/air"\ndataset = "5bbb6d6cff66bd4dc17bfd5a"\n'
    )

    with open_ledger(load(config, {})) as ledger:
        ledger.touch(entry(1))
        (state / "versions" / "ab").mkdir(parents=True)
        # what that account could have put there, to be given a file of root's
        (state / "linked").hardlink_to(mine)
        (state / "led").symlink_to(mine)

    owners = {path.name: path.lstat().st_uid for path in (state, *state.rglob("*"))}
    assert {name for name, owner in owners.items() if owner == 0} == {"linked", "led"}
    assert owners["ledger.sqlite3"] == owners["ab"] == owners["www"] == 65534
    assert mine.stat().st_uid == 0
