"""Passes worth breaking: what each changes before, and what must be true of the portal after."""

from __future__ import annotations

from dataclasses import dataclass, field

from colleague import Api
from producer import Producer


@dataclass
class Publishing:
    """Each run creates one resource, replaces another, and gives both their words."""

    producer: Producer
    api: Api
    command: tuple[str, ...] = ("once",)
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
class Adopting(Publishing):
    """Each run gives a file, by a person's word, the resource where a colleague put other bytes."""

    identities: dict[str, str] = field(default_factory=dict)

    def change(self, number: int) -> None:
        name = f"pris{number}.csv"
        self.contents[name] = b"de nous %d" % number
        theirs = self.api.upload(self.producer.dataset, name, b"d'un collegue %d" % number)
        self.producer.drop(name, self.contents[name])
        self.identities[name] = theirs["id"]
        self.command = ("adopt", name, theirs["id"])

    def check(self) -> None:
        super().check()
        kept = self.producer.status()
        assert {name: kept[name]["resource_id"] for name in self.identities} == self.identities


@dataclass
class Refreshing(Publishing):
    """Each run brings the page of a private dataset in step, with a colleague's words beside."""

    command: tuple[str, ...] = ("refresh",)
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
