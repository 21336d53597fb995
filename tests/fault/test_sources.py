"""Files that change while they are sent: no half of one and half of the other is ever published."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from hashlib import sha1
from pathlib import Path

import pytest
from colleague import Api
from launcher import Sandbox
from producer import Producer
from proxy import Proxy
from waiting import wait_until

UPLOAD = "POST .*/upload/$"
#: much more than the sockets between hold: the file is still being read when it changes
OLD, NEW = b"ancien;" * 2_000_000, b"nouveau;" * 1_700_000


def overwrite(path: Path) -> None:
    with path.open("r+b") as out:
        out.write(NEW)
        out.truncate(len(NEW))


def overwrite_keeping_size_and_date(path: Path) -> None:
    before = path.stat()
    with path.open("r+b") as out:
        out.write(NEW[: len(OLD)].ljust(len(OLD), b";"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def shrink(path: Path) -> None:
    with path.open("r+b") as out:
        out.truncate(100_000)


def append(path: Path) -> None:
    with path.open("ab") as out:
        out.write(NEW)


def swap(path: Path) -> None:
    draft = path.with_suffix(".part")
    draft.write_bytes(NEW)
    draft.rename(path)


def delete(path: Path) -> None:
    path.unlink()


DEEDS: tuple[Callable[[Path], None], ...] = (
    overwrite, overwrite_keeping_size_and_date, shrink, append, swap, delete,
)  # fmt: skip


def stored(portal: Sandbox, since: int) -> set[str]:
    return {line["sha1"] for line in portal.stored[since:]}


@pytest.mark.parametrize(
    ("deed", "again"),
    [
        *(pytest.param(deed, True, id=f"{deed.__name__}-replacement") for deed in DEEDS),
        *(
            pytest.param(
                deed,
                False,
                id=f"{deed.__name__}-new",
                marks=() if deed in {append, overwrite} else pytest.mark.storm,
            )
            for deed in DEEDS
        ),
    ],
)
def test_a_file_that_changes_while_it_is_sent_is_published_whole_or_not_at_all(
    distant: Producer, api: Api, portal: Sandbox, proxy: Proxy, deed: Callable[[Path], None],
    *, again: bool,
) -> None:  # fmt: skip
    producer, path = distant, distant.folder / "a.csv"
    if again:
        producer.drop("a.csv", b"avant")
        producer.once()
    since = len(portal.stored)
    whole = {producer.drop("a.csv", OLD)}
    proxy.rule(UPLOAD, times=1, on_bytes=(200_000, lambda: deed(path)))

    producer.once(code=None)
    if path.exists():
        whole.add(sha1(path.read_bytes()).hexdigest())
        wait_until(
            lambda: producer.once(code=None)["a.csv"]["state"] == "published", 60, "published"
        )
        (last,) = api.sha1s(producer.dataset).values()
        assert last == sha1(path.read_bytes()).hexdigest()

    assert stored(portal, since) <= whole
    assert len(api.resources(producer.dataset)) <= 1


@pytest.fixture
def share(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """Mount a file system that lives in one file, and can be torn away: (mount point, file)."""
    image, mounted = tmp_path / "share.img", tmp_path / "share"
    mounted.mkdir()
    with image.open("wb") as out:
        out.truncate(64 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(mounted)], check=True)
    yield mounted, image
    subprocess.run(["umount", "-l", str(mounted)], check=False, capture_output=True)


@pytest.mark.root
def test_a_share_that_goes_away_in_the_middle_publishes_nothing_torn_and_withdraws_nothing(
    distant: Producer, api: Api, portal: Sandbox, proxy: Proxy, share: tuple[Path, Path]
) -> None:
    mounted, _image = share
    producer = distant
    producer.folder.rmdir()
    producer.folder.symlink_to(mounted)
    producer.folder_settings |= {
        "path": f'"{mounted}"', "when_deleted": '"withdraw"', "withdraw_after": '"0s"',
        "max_withdraw": '"100%"',
    }  # fmt: skip
    for name in ("a.csv", "b.csv", "c.csv"):
        producer.drop(name, name.encode())
    producer.once()
    since, before = len(portal.stored), api.sha1s(producer.dataset)
    last = producer.drop("a.csv", OLD)

    def tear_away() -> None:
        subprocess.run(["umount", "-l", str(mounted)], check=True)

    proxy.rule(UPLOAD, times=1, on_bytes=(200_000, tear_away))
    producer.once(code=None)
    producer.once(code=1)

    assert stored(portal, since) <= {last}
    assert api.sha1s(producer.dataset).keys() == before.keys(), "nothing was withdrawn"
    subprocess.run(["mount", "-o", "loop", str(_image), str(mounted)], check=True)
    wait_until(lambda: producer.once(code=None)["a.csv"]["state"] == "published", 60, "published")
    assert last in api.sha1s(producer.dataset).values()
    assert len(api.resources(producer.dataset)) == 3
