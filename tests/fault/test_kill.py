"""kill -9, a full disk, a failing disk: at every step that commits or sends, as strace counts."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from breaking import broken_at
from colleague import Api
from producer import Producer

#: every commit of the ledger, every page it writes, and every piece of a request
COMMIT, PAGE, SEND = "fdatasync", "pwrite64", "sendto"
#: what happens there, in strace's words
KILL, FULL, BROKEN = "signal=SIGKILL", "error=ENOSPC", "error=EIO"
#: more steps than any pass has, and more commits
MANY, COMMITS = 400, 40


@dataclass
class Publishing:
    """Each run creates one resource, replaces another, and gives both their words."""

    producer: Producer
    api: Api
    verb: str = "once"
    contents: dict[str, bytes] = field(default_factory=dict)

    def begin(self, runs: int) -> None:
        """Nothing needs to be there before, however many runs follow."""

    def change(self, number: int) -> None:
        self.contents[f"é{number}.csv"] = f"nouveau {number}".encode()
        self.contents["fixe.csv"] = f"version {number}".encode()
        for name in (f"é{number}.csv", "fixe.csv"):
            self.producer.drop(name, self.contents[name])

    def check(self) -> None:
        found = self.api.resources(self.producer.dataset)
        assert sorted(one["title"] for one in found) == sorted(self.contents)
        assert {one["title"]: self.api.download(one) for one in found} == self.contents


@dataclass
class Moving(Publishing):
    """Each run renames a file, withdraws another one, and adopts what a colleague put there."""

    identity: str = ""

    def begin(self, runs: int) -> None:
        self.producer.folder_settings |= {"when_deleted": '"withdraw"', "withdraw_after": '"0s"'}
        self.contents = {f"part{number}.csv": b"parti %d" % number for number in range(runs)}
        self.contents["r0.csv"] = b"le meme"
        for name, content in self.contents.items():
            self.producer.drop(name, content)
        self.identity = self.producer.once()["r0.csv"]["resource_id"]

    def change(self, number: int) -> None:
        folder = self.producer.folder
        (folder / f"r{number - 1}.csv").rename(folder / f"r{number}.csv")
        self.contents[f"r{number}.csv"] = self.contents.pop(f"r{number - 1}.csv")
        shown = {found["title"] for found in self.api.resources(self.producer.dataset)}
        if not any(name.startswith("part") for name in shown - self.contents.keys()):
            # one at a time: where many are gone at once, a person is asked
            gone = next(name for name in self.contents if name.startswith("part"))
            del self.contents[gone]
            (folder / gone).unlink()
        adopted = f"repris{number}.csv"
        self.contents[adopted] = b"repris %d" % number
        self.api.upload(self.producer.dataset, adopted, self.contents[adopted])
        self.producer.drop(adopted, self.contents[adopted])

    def check(self) -> None:
        super().check()
        kept = self.producer.status()
        last = next(name for name in kept if name.startswith("r") and name[1].isdigit())
        assert kept[last]["resource_id"] == self.identity, "a renamed file keeps its resource"


@dataclass
class Refreshing(Publishing):
    """Each run brings the page of a private dataset in step, with a colleague's words beside."""

    verb: str = "refresh"
    last: int = 0

    def begin(self, runs: int) -> None:  # noqa: ARG002 - as the others
        self.api.edit_dataset(self.producer.dataset, private=True, acronym="SIGLE", token="prod")

    def change(self, number: int) -> None:
        self.last = number
        self.producer.more = (
            f'\n[[datasets]]\nid = "{self.producer.dataset}"\nrefresh = "0 6 * * *"\n'
            f'description = "Version {number}"\ntags = ["mesures", "essai-{number}"]\n'
        )

    def check(self) -> None:
        self.producer.call("refresh")
        page = self.api.dataset(self.producer.dataset)
        assert page["description"] == f"Version {self.last}"
        assert set(page["tags"]) == {"mesures", f"essai-{self.last}"}
        assert page["private"] is True
        assert page["acronym"] == "SIGLE"


def break_at_every_step(
    producer: Producer, world: Publishing, call: str, way: str, *, stride: int
) -> None:
    world.begin(4 + COMMITS // stride)
    broken = 0
    for run, step in enumerate(range(1, MANY, stride), start=1):
        world.change(run)
        if not broken_at(producer, world.verb, call, way, step):
            break
        broken += 1
    else:
        pytest.fail("it never ends by itself")
    for _ in range(2):
        producer.once(code=None)
    files = producer.once(code=None)

    assert broken >= 3, "the test broke nothing"
    assert {file["state"] for file in files.values()} <= {"published", "withdrawn"}
    world.check()


@pytest.mark.strace
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("world", "call", "way", "stride"),
    [
        (Publishing, COMMIT, KILL, 3),
        (Publishing, SEND, KILL, 5),
        (Moving, COMMIT, KILL, 4),
        (Refreshing, COMMIT, KILL, 3),
        (Refreshing, SEND, KILL, 1),
        (Publishing, COMMIT, BROKEN, 8),
        (Publishing, PAGE, FULL, 50),
    ],
)
def test_broken_at_any_step_the_world_converges(  # noqa: PLR0917 - a table of cases
    producer: Producer,
    api: Api,
    world: type[Publishing],
    call: str,
    way: str,
    stride: int,
) -> None:
    break_at_every_step(producer, world(producer, api), call, way, stride=stride)


@pytest.mark.strace
@pytest.mark.storm
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("way", [KILL, FULL, BROKEN])
@pytest.mark.parametrize("call", [COMMIT, PAGE, SEND])
@pytest.mark.parametrize("world", [Publishing, Moving, Refreshing])
def test_broken_at_every_step_the_world_converges(
    producer: Producer, api: Api, world: type[Publishing], call: str, way: str
) -> None:
    if call == SEND and way == FULL:
        way = "error=ECONNRESET"  # a socket is never full; it breaks
    break_at_every_step(producer, world(producer, api), call, way, stride=1)
