"""One stormy world on a real portal: people, faults on the wire and kill -9, all from one seed.

A step is something the producer or a colleague does, a trap set on the wire, and a run of the
command (``once``, ``retry``, ``refresh``) or a moment of the service. Traps spring at a named step
of a request (it came, half its body went, the portal has done the work), not at a random time, so
that a seed replays. At the end the faults stop, a person does what is asked, and all must be right.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha1
from pathlib import Path
from typing import Any

from colleague import Api
from launcher import Sandbox
from mishaps import FAULTS, REFUSALS
from producer import Producer, Service, files_of
from proxy import Proxy

#: what a request may be, by what it does
REQUESTS = {
    "create": r"POST .*/datasets/[^/]+/upload/",
    "replace": r"POST .*/resources/[^/]+/upload/",
    "describe": r"PUT .*/resources/",
    "identify": r"PUT .*/2/.*/extras/",
    "withdraw": r"DELETE .*/resources/",
    "refresh": r"PUT .*/datasets/[^/]+/$",
    "read": r"GET .*/datasets/",
    "link": r"(GET|HEAD) .*/(datasets/r|s/resources)/",
    "any": r"",
}
#: what may happen to it, as a rule of the proxy
TRAPS = FAULTS | REFUSALS
NAMES = ("a.csv", "É été.csv", "sous dossier/b.csv", "c.json", "d.csv", "profond/x/y/é.csv")
SIZES = (1, 40, 1000, 70_000, 600_000)
#: more than the sockets between hold: such a file is still being read while it goes
LARGE = 12_000_000
#: how often a person may have to come back at the end; what is not right by then is a fault
VISITS = 8


@dataclass
class Outcome:
    """What a world came to; anything but zero lost, twins and torn is a fault of ours."""

    seed: int
    steps: int = 0
    published: int = 0
    faults: int = 0
    kills: int = 0
    lost: list[str] = field(default_factory=list)
    twins: list[str] = field(default_factory=list)
    torn: list[str] = field(default_factory=list)
    #: titles and words of people that did not survive; a private dataset made public
    words: list[str] = field(default_factory=list)

    @property
    def broken(self) -> list[str]:
        """Everything that is wrong, one sentence each."""
        return [*self.lost, *self.twins, *self.torn, *self.words]


class Tempest:
    """A producer's server with two folders, a colleague, a proxy between it and the portal."""

    def __init__(
        self, seed: int, sandbox: Sandbox, proxy: Proxy, home: Path, say: Callable[[str], None]
    ) -> None:
        self.outcome = Outcome(seed)
        self._random = random.Random(seed)
        self._sandbox, self._proxy, self._say = sandbox, proxy, say
        self._api = Api(sandbox)
        #: whether the service runs all the time, or a timer runs ``once``
        self._serves = self._random.random() < 0.5
        self._datasets = (sandbox.new_dataset(), sandbox.new_dataset(private=True))
        self._producer = self._settle_in(home)
        self._roots = (self._producer.folder, home / "second")
        self._roots[1].mkdir()
        self._service: Service | None = None
        self._running: subprocess.Popen[bytes] | None = None
        #: every complete state that any file of ours has had
        self._states: set[str] = set()
        self._theirs: dict[str, str] = {}
        self._titles: dict[str, str] = {}
        self._description = ""
        self._before = len(sandbox.stored)

    def _settle_in(self, home: Path) -> Producer:
        keep, withdraw = self._datasets
        home.mkdir(parents=True, exist_ok=True)
        return Producer(
            home,
            self._proxy.url,
            self._sandbox.tokens["prod"],
            keep,
            settings={"rescan_every": '"1s"', "grace": '"1500ms"'},
            folder_settings={"quiet": '"200ms"'},
            # what the storm writes is no data: whether bytes arrive is asked, not what they hold
            rules='\n[folders.checks]\nmode = "off"\n',
            more=f'\n[[folders]]\npath = "{home / "second"}"\ndataset = "{withdraw}"\n'
            'quiet = "200ms"\nwhen_deleted = "withdraw"\nmax_withdraw = "100%"\n'
            '\n[folders.checks]\nmode = "off"\n'
            f'\n[[datasets]]\nid = "{withdraw}"\nrefresh = "0 6 * * *"\ntags = ["orage"]\n'
            'temporal_coverage = { start = "2020-01-01", end = "today" }\n',
        )

    # -------------------------------------------------------------------------------- the storm

    def run(self, steps: int) -> Outcome:
        """Live ``steps`` steps, then calm down and look at everything."""
        try:
            if self._serves:
                self._start()
            for _ in range(steps):
                self.outcome.steps += 1
                self._step()
            self._calm()
        finally:
            self._proxy.clear()
            self._end()
        return self.outcome

    def _step(self) -> None:
        for _ in range(self._random.randint(0, 2)):
            self._choose(
                (8, self._write), (2, self._move), (2, self._delete), (1, self._touch)
            )  # fmt: skip
        if self._random.random() < 0.25:
            self._choose(
                (3, self._colleague_names), (2, self._colleague_adds),
                (1, self._colleague_describes), (1, self._colleague_reorders),
                (1, self._colleague_deletes), (1, self._colleague_replaces),
            )  # fmt: skip
        if self._random.random() < 0.1:
            self._write_over_what_is_sent()
        elif self._random.random() < 0.7:
            self._set_a_trap()
        self._work()
        if self._random.random() < 0.03:
            self._lose_state()

    def _choose(self, *weighted: tuple[int, Callable[[], None]]) -> None:
        weights, ways = zip(*weighted, strict=True)
        self._random.choices(ways, weights)[0]()

    def _tell(self, what: str) -> None:
        self._say(f"  {self.outcome.steps:3} {what}")

    # ------------------------------------------------------------------------------ the producer

    def _somewhere(self) -> Path:
        return self._random.choice(self._roots) / self._random.choice(NAMES)

    def _something(self, size: int | None = None) -> bytes:
        size = size or self._random.choice(SIZES)
        return (b"%032x;" % self._random.getrandbits(128) * (size // 33 + 1))[: max(size, 33)]

    def _write(self) -> None:
        self._write_at(self._somewhere(), self._something(), self._random.choice("tipa"))

    def _write_at(self, path: Path, content: bytes, way: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if way == "a" and path.exists():
            content = path.read_bytes() + content[:100]
        self._states.add(sha1(content).hexdigest())
        self._tell(f"write {path.name} ({len(content)} bytes, {way})")
        if way == "t":
            draft = path.with_name(path.name + ".part")
            draft.write_bytes(content)
            draft.rename(path)
            return
        # in place: three pieces, the file open meanwhile; or only the end, appended
        with path.open("r+b" if way in "ao" and path.exists() else "wb") as out:
            if way == "a":
                out.seek(0, os.SEEK_END)
                out.write(content[out.tell() :])
                return
            third = len(content) // 3 + 1
            for start in range(0, len(content), third):
                out.write(content[start : start + third])
                out.flush()
                if way == "i":
                    time.sleep(0.02)  # a writer's own pace, not a wait for something

    def _files(self) -> list[Path]:
        return sorted(
            path for root in self._roots for path in root.rglob("*") if path.is_file()
        )  # fmt: skip

    def _move(self) -> None:
        files = self._files()
        if files:
            source, target = self._random.choice(files), self._somewhere()
            target.parent.mkdir(parents=True, exist_ok=True)
            self._tell(f"move {source.name} to {target.name}")
            source.rename(target)

    def _delete(self) -> None:
        files = self._files()
        if files:
            gone = self._random.choice(files)
            self._tell(f"delete {gone.name}")
            gone.unlink()

    def _touch(self) -> None:
        files = self._files()
        if files:
            os.utime(self._random.choice(files))

    # ----------------------------------------------------------------------------- the colleague

    def _some_resource(self) -> tuple[str, dict[str, Any]] | None:
        dataset = self._random.choice(self._datasets)
        found = self._api.resources(dataset)
        return (dataset, self._random.choice(found)) if found else None

    def _colleague_names(self) -> None:
        some = self._some_resource()
        if some is None:
            return
        dataset, found = some
        title = f"Titre {self._random.randrange(1000)}"
        self._tell(f"a colleague names {found['title']}: {title}")
        self._api.edit_resource(dataset, found["id"], title=title)
        # a service may have been in the middle of a replacement: no portal protects that moment
        self._titles.pop(found["id"], None)
        if not self._serves:
            self._titles[found["id"]] = title

    def _colleague_adds(self) -> None:
        dataset = self._random.choice(self._datasets)
        content = self._something()
        name = f"collegue-{self._random.randrange(10**6)}.csv"
        self._tell(f"a colleague adds {name}")
        found = self._api.upload(dataset, name, content)
        self._theirs[found["id"]] = sha1(content).hexdigest()
        self._states.add(sha1(content).hexdigest())

    def _colleague_describes(self) -> None:
        self._description = f"Mots {self._random.randrange(10**6)}"
        self._tell("a colleague describes the dataset")
        self._api.edit_dataset(
            self._datasets[1], description=self._description, private=True, token="prod"
        )

    def _colleague_reorders(self) -> None:
        dataset = self._random.choice(self._datasets)
        ids = [{"id": found["id"]} for found in self._api.resources(dataset)]
        self._random.shuffle(ids)
        self._tell("a colleague reorders")
        # refused when a resource came or went meanwhile, as for anybody
        self._api.request("PUT", f"1/datasets/{dataset}/resources/", payload=ids)

    def _colleague_deletes(self) -> None:
        some = self._some_resource()
        if some is not None:
            dataset, found = some
            self._tell(f"a colleague deletes {found['title']}")
            self._api.request("DELETE", f"1/datasets/{dataset}/resources/{found['id']}/")
            self._theirs.pop(found["id"], None)
            self._titles.pop(found["id"], None)

    def _colleague_replaces(self) -> None:
        some = self._some_resource()
        if some is None:
            return
        dataset, found = some
        content = self._something()
        self._states.add(sha1(content).hexdigest())
        self._tell(f"a colleague replaces {found['title']}")
        answer = self._api.request(
            "POST", f"1/datasets/{dataset}/resources/{found['id']}/upload/",
            files={"file": ("remplace.csv", content)},
        )  # fmt: skip
        if answer.ok and found["id"] in self._theirs:
            self._theirs[found["id"]] = sha1(content).hexdigest()
        self._titles.pop(found["id"], None)  # the portal resets it

    # --------------------------------------------------------------------------------- the wire

    def _set_a_trap(self) -> None:
        kind = self._random.choice((*REQUESTS, "create", "create", "replace", "replace"))
        if self._random.random() < 0.5:
            fault = self._random.choice(list(TRAPS))
            times = self._random.choice((1, 1, 2))
            self._tell(f"trap: {kind}: {fault} × {times}")
            self._proxy.rule(REQUESTS[kind], times=times, **TRAPS[fault])
            self.outcome.faults += 1
            return
        deed = self._random.choice((self._kill, self._kill, self._change_a_file, self._term))
        where = self._random.choice(("on_request", "on_reply", "on_bytes"))
        self._tell(f"trap: {kind}: {deed.__name__[1:]} {where}")
        self._proxy.rule(
            REQUESTS[kind], times=1, **{where: (120, deed) if where == "on_bytes" else deed}
        )

    def _write_over_what_is_sent(self) -> None:
        self._write_at(self._somewhere(), self._something(LARGE), "t")
        self._tell("trap: it is written over while it goes")
        self._proxy.rule("POST .*/upload/", times=1, on_bytes=(200_000, self._change_a_file))
        self.outcome.faults += 1

    def _process(self) -> subprocess.Popen[bytes] | None:
        return self._service.process if self._service else self._running

    def _kill(self) -> None:
        process = self._process()
        if process is not None and process.poll() is None:
            self.outcome.kills += 1
            process.send_signal(signal.SIGKILL)

    def _term(self) -> None:
        process = self._process()
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGTERM)

    def _change_a_file(self) -> None:
        """Write other bytes over the largest file, without the world's dice: they are a seed's."""
        files = self._files()
        if files:
            largest = max(files, key=lambda path: path.stat().st_size)
            size = largest.stat().st_size
            content = (b"%d;" % time.monotonic_ns() * (size // 10 + 1))[:size]
            with suppress(OSError):
                self._write_at(largest, content, "o")

    # ------------------------------------------------------------------------------- the daemon

    def _work(self) -> None:
        verb = self._random.choice(("once", "once", "once", "retry", "refresh"))
        if self._serves:
            self._start()
            if verb != "once":
                self._call(verb)
            threading.Event().wait(self._random.uniform(0.05, 0.8))  # the producer's own pace
        else:
            self._call(verb)

    def _start(self) -> None:
        if self._service is None or self._service.process.poll() is not None:
            self._service = self._producer.start()

    def _call(self, verb: str, *arguments: str) -> int:
        self._producer.configure()
        with (self._producer.home / "commands.log").open("ab") as out:
            self._running = subprocess.Popen(
                self._producer.command(verb, *arguments),
                stdout=out, stderr=out, cwd=self._producer.home,
                env={"PATH": os.environ["PATH"], "HOME": str(self._producer.home)},
            )  # fmt: skip
            code = self._running.wait(120)
        self._tell(f"{verb}: {code}")
        return code

    def _lose_state(self) -> None:
        """Lose the state directory, at a moment when nothing is under way."""
        if self._serves or self._call("once") != 0:
            return
        self._tell("the state directory is lost")
        shutil.rmtree(self._producer.state)

    def _end(self) -> None:
        processes = (self._service.process if self._service else None, self._running)
        for process in processes:
            if process is not None and process.poll() is None:
                process.kill()
                process.wait(30)

    # ---------------------------------------------------------------------------------- the end

    def _calm(self) -> None:
        """Stop every fault, do what a person would, and check once nothing moves any more."""
        self._proxy.clear()
        if self._service is not None and self._service.process.poll() is None:
            self._service.process.send_signal(signal.SIGTERM)
            self._service.process.wait(60)
        self._service = None
        for _ in range(VISITS):
            self._call("retry", "--yes")
            self._call("once")
            if not self._answer_what_is_asked() and self._call("once") == 0:
                break
        self._call("refresh")
        self._check()

    def _answer_what_is_asked(self) -> bool:
        """Do what ``status`` advises a person to do; False when it advises nothing."""
        asked = False
        for name, file in self._status().items():
            why = file["why"] or ""
            if advised := re.search(r"publisher-daemon adopt PATH ([0-9a-f-]{36})", why):
                # the same name with other bytes: only a lost state leads there
                asked = True
                self._call("adopt", name, advised[1])
            elif "Delete it there" in why:
                asked = True
                dataset = self._datasets[1]
                self._tell(f"a person deletes the resource of {name}")
                self._api.delete_resource(dataset, file["resource_id"])
        return asked

    def _status(self) -> dict[str, dict[str, Any]]:
        return files_of(self._producer.ask("status"))

    def _check(self) -> None:
        wrong = self.outcome
        answer = self._producer.ask("status")
        known = {
            file["resource_id"]: file["path"]
            for found in answer["datasets"]
            for file in found["files"]
        }
        for root, dataset in zip(self._roots, self._datasets, strict=True):
            self._check_folder(root, self._api.resources(dataset), known)
        private = self._api.dataset(self._datasets[1])
        if not private["private"]:
            wrong.words.append("the private dataset was made public")
        if self._description and private["description"] != self._description:
            wrong.words.append("the colleague's description is lost")
        wrong.torn.extend(
            f"the portal took in {line['name']}, {line['size']} bytes, never a whole state"
            for line in self._sandbox.stored[self._before :]
            if line["sha1"] not in self._states
        )

    def _check_folder(
        self, root: Path, resources: list[dict[str, Any]], known: dict[str, str]
    ) -> None:
        wrong = self.outcome
        by_path: dict[str, list[dict[str, Any]]] = {}
        for found in resources:
            theirs, checksum = self._theirs.get(found["id"]), found["checksum"]["value"]
            if theirs is None:
                # what was published and lost its file before it was given its identity is known too
                said = (found.get("extras") or {}).get("publisher-daemon:path")
                by_path.setdefault(str(said or known.get(found["id"])), []).append(found)
            elif theirs != checksum:
                wrong.lost.append(f"the colleague's “{found['title']}” has other bytes")
            title = self._titles.get(found["id"], found["title"])
            if title != found["title"]:
                wrong.words.append(f"“{title}” became “{found['title']}” ({found['id']})")
        for path, same in by_path.items():
            if len(same) > 1 or path == "None":
                wrong.twins.append(f"{path}: {[one['title'] for one in same]}")
        for file in sorted(path for path in root.rglob("*") if path.is_file()):
            self._check_file(str(file.relative_to(root)), file.read_bytes(), by_path)

    def _check_file(
        self, path: str, content: bytes, by_path: dict[str, list[dict[str, Any]]]
    ) -> None:
        wanted = sha1(content).hexdigest()
        found = by_path.get(path, [])
        self.outcome.published += len(found)
        if not any(one["checksum"]["value"] == wanted for one in found):
            state = self._status().get(path)
            self.outcome.lost.append(f"{path} ({wanted[:8]}) is not on the portal: {state}")
        elif self._api.download(found[0]) != content:
            self.outcome.lost.append(f"{path}: its link gives something else")
