"""``make demo``: files are dropped, changed and renamed, and a real portal on this machine follows.

Every claim on the screen is checked by asking the portal itself, not the program. With ``KEEP=1``
in the environment it stays up afterwards, to drop files into.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import environment
from launcher import RefusedError, Sandbox, SandboxError

_WITHIN = 60.0  # for each step; a loaded two-core machine takes a few seconds
_LOOK_EVERY = 0.2

AIR = "Qualité de l'air 2026.csv"
TREES = "arbres remarquables.geojson"
LIBRARIES = "lecture publique/bibliothèques.csv"
RENAMED = "Qualité de l'air à Nîmes (2026).csv"
WITNESS = "marchés.csv"
OFFICE_LOCK = "~$budget.xlsx"

Resource = Mapping[str, Any]
T = TypeVar("T")


class StepError(Exception):
    """What should have happened did not; the message says what was waited for."""


class Demo:
    """The folder, the daemon and the dataset that it feeds."""

    def __init__(self, sandbox: Sandbox, home: Path) -> None:
        self.sandbox = sandbox
        self.folder = home / "opendata"
        self._config = home / "config.toml"
        self._log = home / "daemon.log"
        self._state = home / "state"
        self._key = home / "api-key"
        self._dataset = ""
        self._daemon: subprocess.Popen[bytes] | None = None

    # ----------------------------------------------------------------------- what people see

    def play(self) -> None:
        """Go through the whole story, up to the files that are not sent."""
        self._prepare()
        resources = self._drop()
        changed = self._change(resources[AIR])
        self._rename(changed)
        self._send_nothing()

    def invite(self) -> None:
        """Stay up, tell what is published, until Ctrl-C."""
        title("It stays up. Your turn:")
        say(f"drop, change, rename files in  {self.folder}")
        say(f"the portal                     {self.sandbox.url}/api/1/datasets/{self._dataset}/")
        say(f"the API key                    {self.sandbox.tokens['prod']}")
        say(f"what the program says          {' '.join(self._command('status'))}")
        say(f"its log                        {self._log}")
        say("Ctrl-C ends everything.")
        known = self._portal_sha1s()
        while True:
            time.sleep(1)
            self._check_alive()
            found = {one["id"]: one for one in self._resources()}
            for identity in found.keys() - known.keys():
                say(f"+ {found[identity]['title']}  {found[identity]['latest']}")
            for identity in found.keys() & known.keys():
                if sha1(found[identity]) != known[identity]:
                    say(f"~ {found[identity]['title']}  {found[identity]['latest']}")
            for _gone in known.keys() - found.keys():
                say("- a resource is gone")
            known = {identity: sha1(one) for identity, one in found.items()}

    def end(self) -> None:
        """Stop the daemon as systemd would, and insist on a clean exit."""
        title("SIGTERM, as systemd sends it")
        daemon = self._daemon
        assert daemon is not None
        daemon.terminate()
        try:
            code = daemon.wait(_WITHIN)
        except subprocess.TimeoutExpired as error:
            raise StepError(f"the daemon did not stop within {_WITHIN:.0f} s") from error
        if code != 0:
            raise StepError(f"the daemon ended with exit code {code} instead of 0")
        say("the daemon stopped by itself, exit code 0")

    def abort(self) -> None:
        """End the daemon whatever its state."""
        if self._daemon is not None and self._daemon.poll() is None:
            self._daemon.kill()
            self._daemon.wait()

    def last_words(self) -> str:
        """Return the end of the daemon's log."""
        if not self._log.exists():
            return ""
        return "\n".join(self._log.read_text(encoding="utf-8").splitlines()[-15:])

    # ----------------------------------------------------------------------- the steps

    def _prepare(self) -> None:
        title("A portal, a dataset, a folder")
        self._dataset = self.sandbox.new_dataset("Données ouvertes de la ville")
        say(f"a real udata portal: {self.sandbox.url}/api/1/datasets/{self._dataset}/")
        say(f"the folder:          {self.folder}")
        self.folder.mkdir()
        self._key.touch(mode=0o600)
        self._key.write_text(self.sandbox.tokens["prod"] + "\n", encoding="ascii")
        self._config.write_text(
            f"""[portal]
url = {json.dumps(self.sandbox.url)}
api_key_file = {json.dumps(str(self._key))}

[daemon]
state_dir = {json.dumps(str(self._state))}

[[folders]]
path = {json.dumps(str(self.folder))}
dataset = "{self._dataset}"
quiet = "1s"
""",
            encoding="utf-8",
        )
        with self._log.open("ab") as log:
            lifeline = [sys.executable, str(environment.PORTAL / "lifeline.py"), str(os.getpid())]
            self._daemon = subprocess.Popen(
                [*lifeline, *self._command("run")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,  # Ctrl-C is for the demo, which then stops the daemon
            )
        say("publisher-daemon run: started")

    def _drop(self) -> dict[str, Resource]:
        title("Three files are dropped into the folder")
        for path, content in FILES.items():
            self._write(path, content)
            say(path)
        found = self._wait(
            "the three files on the portal, byte for byte", lambda: self._all_there(FILES)
        )
        say("→ published, and the same bytes can be downloaded:")
        for path, resource in found.items():
            say(f"{resource['latest']}  {path}")
            self._same_bytes(path, resource)
        return found

    def _change(self, before: Resource) -> Resource:
        title("One of them changes")
        self._write(AIR, FILES[AIR] + "2026-11-03;Nîmes;Planas;NO2;19,6\n")
        say(AIR)
        wanted = digest(self.folder / AIR)
        found = self._wait(
            f"the new bytes of {AIR} on the portal",
            lambda: self._one(lambda one: sha1(one) == wanted),
        )
        self._same_identity(before, found)
        say("→ replaced in place: the same resource, the same link")
        say(f"{found['latest']}")
        say(f"sha1 of the file    {wanted}")
        say(f"sha1 on the portal  {sha1(found)}")
        self._same_bytes(AIR, found)
        return found

    def _rename(self, before: Resource) -> None:
        title("It is renamed")
        (self.folder / AIR).rename(self.folder / RENAMED)
        say(f"{AIR} → {RENAMED}")
        entry = self._wait(
            f"{RENAMED} published, according to `publisher-daemon status`",
            lambda: self._status().get((RENAMED, "published")),
        )
        if entry["resource_id"] != before["id"]:
            raise StepError(f"{RENAMED} became another resource: {entry['resource_id']}")
        found = self._wait(
            "the renamed file's resource on the portal",
            lambda: self._one(lambda one: one["id"] == before["id"]),
        )
        if len(self._resources()) != len(FILES):
            raise StepError("the renamed file was published twice")
        self._same_identity(before, found)
        say("→ still the same resource and the same link; nobody's bookmark breaks")
        self._same_bytes(RENAMED, found)

    def _send_nothing(self) -> None:
        title("What must not be sent")
        path = self.folder / TREES
        trees = digest(path)
        before = {one["id"]: one for one in self._resources()}
        untouched = next(one for one in before.values() if sha1(one) == trees)
        path.write_bytes(path.read_bytes())
        say(f"{TREES} is written again with the same bytes")
        self._write(OFFICE_LOCK, "an office suite's lock file\n")
        say(f"{OFFICE_LOCK} appears, the lock file of somebody's spreadsheet")
        # the pass that publishes it has looked at the two others as well
        self._write(WITNESS, "jour;place\nsamedi;Place aux Herbes\n")
        say(f"and {WITNESS}, a real one")
        wanted = digest(self.folder / WITNESS)
        new = self._wait(
            f"{WITNESS} on the portal", lambda: self._one(lambda one: sha1(one) == wanted)
        )
        after = {one["id"]: one for one in self._resources()}
        if after.keys() != {*before, new["id"]}:
            raise StepError(
                f"more than {WITNESS} is new: {[one['title'] for one in after.values()]}"
            )
        if after[untouched["id"]]["last_modified"] != untouched["last_modified"]:
            raise StepError(f"{TREES} was sent again although its bytes are the same")
        say(f"→ only {WITNESS} went up: {new['latest']}")

    # ----------------------------------------------------------------------- looking

    def _command(self, verb: str) -> list[str]:
        return [sys.executable, "-m", "publisher_daemon", "--config", str(self._config), verb]

    def _status(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Return what the program itself says of each file, by path and state."""
        asked = subprocess.run(
            [*self._command("status"), "--json"], capture_output=True, text=True, check=False
        )
        try:
            datasets = json.loads(asked.stdout)["datasets"]
        except ValueError as error:
            raise StepError(f"`publisher-daemon status` failed:\n{asked.stderr}") from error
        files = (file for dataset in datasets for file in dataset["files"])
        return {(file["path"], file["state"]): file for file in files}

    def _resources(self) -> list[dict[str, Any]]:
        found = self.sandbox.call("GET", f"1/datasets/{self._dataset}/", token=None)
        resources: list[dict[str, Any]] = found["resources"]
        return resources

    def _portal_sha1s(self) -> dict[str, str]:
        return {one["id"]: sha1(one) for one in self._resources()}

    def _one(self, wanted: Callable[[Resource], bool]) -> Resource | None:
        return next((one for one in self._resources() if wanted(one)), None)

    def _all_there(self, paths: Mapping[str, str]) -> dict[str, Resource] | None:
        by_sha1: dict[str, Resource] = {sha1(one): one for one in self._resources()}
        found = {path: by_sha1.get(digest(self.folder / path)) for path in paths}
        there = {path: one for path, one in found.items() if one is not None}
        return there if len(there) == len(found) else None

    def _wait(self, what: str, look: Callable[[], T | None]) -> T:
        deadline = time.monotonic() + _WITHIN
        while True:
            found = look()
            if found:
                return found
            self._check_alive()
            if time.monotonic() > deadline:
                raise StepError(f"not within {_WITHIN:.0f} s: {what}")
            time.sleep(_LOOK_EVERY)

    def _check_alive(self) -> None:
        if self._daemon is not None and self._daemon.poll() is not None:
            raise StepError(f"the daemon ended by itself, exit code {self._daemon.returncode}")

    def _same_identity(self, before: Resource, after: Resource) -> None:
        for name in ("id", "latest"):
            if before[name] != after[name]:
                raise StepError(f"its {name} changed: {before[name]} became {after[name]}")

    def _same_bytes(self, path: str, resource: Resource) -> None:
        if self.sandbox.download(resource["latest"]) != (self.folder / path).read_bytes():
            raise StepError(f"{resource['latest']} does not give the bytes of {path}")

    def _write(self, path: str, content: str) -> None:
        target = self.folder / path
        target.parent.mkdir(exist_ok=True)
        target.write_text(content, encoding="utf-8")


def sha1(resource: Resource) -> str:
    """Return the portal's own checksum of a resource."""
    return str((resource["checksum"] or {}).get("value"))


def digest(path: Path) -> str:
    """Return the sha1 of a file."""
    return hashlib.sha1(path.read_bytes(), usedforsecurity=False).hexdigest()


def title(text: str) -> None:
    """Print the name of a step."""
    print(f"\n{text}", flush=True)


def say(text: str) -> None:
    """Print a line of a step."""
    print(f"  {text}", flush=True)


def _trees() -> str:
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [longitude, latitude]},
            "properties": {"essence": kind, "âge": age},
        }
        for kind, age, longitude, latitude in (
            ("Cèdre de l'Atlas", 140, 4.3483, 43.8394),
            ("Micocoulier", 210, 4.3601, 43.8367),
            ("Platane", 180, 4.3559, 43.8345),
        )
    ]
    collection = {"type": "FeatureCollection", "features": features}
    return json.dumps(collection, ensure_ascii=False, indent=1)


FILES = {
    AIR: "date;commune;station;polluant;µg/m³\n"
    "2026-11-01;Nîmes;Planas;NO2;18,4\n"
    "2026-11-02;Nîmes;Planas;NO2;22,1\n",
    TREES: _trees(),
    LIBRARIES: "nom;quartier;ouverte le dimanche\n"
    "Carré d'Art;Écusson;oui\n"
    "Jean d'Ormesson;Castanet-Courbessac;non\n",
}


@contextlib.contextmanager
def _home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="publisher-demo-") as home:
        yield Path(home)


def main() -> int:
    """Play the story; 0 when every step happened."""
    keep = os.environ.get("KEEP", "") not in {"", "0"}
    # a shell starts background jobs with Ctrl-C ignored; kill -INT shall work all the same
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    demo: Demo | None = None
    try:
        with _home() as home, Sandbox(say=lambda line: print(line, flush=True)) as sandbox:
            demo = Demo(sandbox, home)
            try:
                demo.play()
                if keep:
                    with contextlib.suppress(KeyboardInterrupt):
                        demo.invite()
                demo.end()
            except (StepError, RefusedError) as failure:
                print(f"\nThe demo failed: {failure}\n\nThe daemon's log ends with:")
                print(demo.last_words())
                return 1
            finally:
                demo.abort()
    except KeyboardInterrupt:
        print("\nStopped.")
        return 130
    except (SandboxError, environment.PreparationError) as failure:
        print(f"\nThe sandbox does not start: {failure}")
        return 1
    print("\nThat was all; everything is stopped and removed. `make demo KEEP=1` stays up.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
