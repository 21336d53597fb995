"""What was published is kept, within its quota and age, and never in publishing's way."""

from __future__ import annotations

import os
from collections.abc import Iterator
from hashlib import sha1
from pathlib import Path

import pytest
from publications import Memory

from publisher_daemon.errors import FileUnreadable
from publisher_daemon.model import Fingerprint
from publisher_daemon.versions import Versions

NOW = 1_000_000_000.0


class Source(Memory):
    def blocks(
        self, size: int = 256 * 1024, start: int = 0, stop: int | None = None
    ) -> Iterator[memoryview]:
        yield from Memory(self.content[start:stop]).blocks(size)

    def check(self) -> None:
        """It never moves."""


def fingerprint(content: bytes) -> Fingerprint:
    return Fingerprint(sha1(content).hexdigest(), len(content))


def store(tmp_path: Path, *, quota: int = 10**9, age: float = 90 * 86400.0) -> Versions:
    return Versions(tmp_path, quota=quota, age=age, clock=lambda: NOW)


def keep(versions: Versions, content: bytes, *, published: bool = True) -> None:
    with versions.keeping(Source(content), fingerprint(content)) as keeper:
        assert b"".join(map(bytes, keeper.blocks())) == content
        if published:
            keeper.commit()


def read(versions: Versions, content: bytes) -> bytes:
    with versions.open(fingerprint(content)) as kept:
        return b"".join(map(bytes, kept.blocks()))


@pytest.mark.parametrize("content", [b"a;b\n", b"x" * 3_000_000, os.urandom(700_000)])
def test_what_is_kept_comes_back_byte_for_byte(tmp_path: Path, content: bytes) -> None:
    versions = store(tmp_path)

    keep(versions, content)

    assert read(versions, content) == content


def test_what_was_not_published_leaves_nothing(tmp_path: Path) -> None:
    versions = store(tmp_path)

    keep(versions, b"never published", published=False)

    assert not versions.has(fingerprint(b"never published").sha1)
    assert list((tmp_path / "versions").glob("*/*")) == []


def test_text_takes_less_room_than_it_has(tmp_path: Path) -> None:
    keep(store(tmp_path), b"2026-11-20;12,5\n" * 100_000)

    (kept,) = (tmp_path / "versions").glob("*/*.z")
    assert kept.stat().st_size < 160_000


def test_the_oldest_make_room_within_the_quota(tmp_path: Path) -> None:
    versions = store(tmp_path, quota=2500)
    contents = [os.urandom(1000) for _ in range(4)]
    for number, content in enumerate(contents):
        keep(versions, content)
        (kept,) = [tmp_path / "versions" / fingerprint(content).sha1[:2]]
        for path in kept.glob("*.z"):
            os.utime(path, (number, number))

    there = [versions.has(fingerprint(content).sha1) for content in contents]

    assert there == [False, False, True, True]


def test_what_is_too_old_goes_unless_it_is_still_on_the_portal(tmp_path: Path) -> None:
    versions = store(tmp_path, age=100.0)
    for content in (b"old", b"current"):
        keep(versions, content)
    for path in (tmp_path / "versions").glob("*/*.z"):
        os.utime(path, (NOW - 200, NOW - 200))

    versions.prune(lambda _: {fingerprint(b"current").sha1})

    assert not versions.has(fingerprint(b"old").sha1)
    assert versions.has(fingerprint(b"current").sha1)


def test_what_is_replaced_is_as_young_as_its_replacement(tmp_path: Path) -> None:
    versions = store(tmp_path)
    keep(versions, b"old")
    (path,) = (tmp_path / "versions").glob("*/*.z")
    os.utime(path, (1, 1))

    with versions.keeping(Source(b"new"), fingerprint(b"new"), fingerprint(b"old")):
        pass

    assert path.stat().st_mtime > 1_000_000


def test_a_damaged_version_is_not_sent(tmp_path: Path) -> None:
    versions = store(tmp_path)
    keep(versions, b"a;b\n" * 1000)
    (path,) = (tmp_path / "versions").glob("*/*.z")
    path.write_bytes(path.read_bytes()[:-8])

    with pytest.raises(FileUnreadable, match="damaged"):
        read(versions, b"a;b\n" * 1000)


def test_a_disk_that_refuses_gets_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / "versions").write_bytes(b"a file is in the way")

    keep(store(tmp_path), b"published all the same")


def test_nothing_is_kept_when_it_is_turned_off(tmp_path: Path) -> None:
    for versions in (store(tmp_path, quota=0), store(tmp_path, age=0.0)):
        keep(versions, b"a")
        assert not versions.has(fingerprint(b"a").sha1)


def test_what_goes_up_in_parts_is_kept_whole_whatever_was_read(tmp_path: Path) -> None:
    versions, content = store(tmp_path), os.urandom(900_000)

    with versions.keeping(Source(content), fingerprint(content)) as keeper:
        for start, stop in ((0, 300_000), (0, 400_000), (700_000, 800_000)):
            assert (
                b"".join(map(bytes, keeper.blocks(start=start, stop=stop))) == (content[start:stop])
            )
        keeper.commit()

    assert read(versions, content) == content
    with versions.open(fingerprint(content)) as kept:
        part = b"".join(map(bytes, kept.blocks(start=299_999, stop=600_001)))
        tail = kept.read_at(len(content) - 3, 10)
    assert (part, tail) == (content[299_999:600_001], content[-3:])
