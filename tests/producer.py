"""A producer's server in a temporary directory: its folder, its configuration, the command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from hashlib import sha1
from pathlib import Path
from typing import Any, Self

from waiting import wait_until


@dataclass
class Producer:
    """Runs ``publisher-daemon`` as a person would, and reads what it says."""

    home: Path
    url: str
    key: str
    dataset: str
    settings: dict[str, str] = field(default_factory=dict)
    folder_settings: dict[str, str] = field(default_factory=lambda: {"quiet": '"300ms"'})
    portal_settings: dict[str, str] = field(default_factory=dict)
    rules: str = ""
    more: str = ""
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)

    @property
    def folder(self) -> Path:
        return self.home / "depot"

    @property
    def state(self) -> Path:
        return self.home / "state"

    @property
    def config(self) -> Path:
        return self.home / "config.toml"

    def configure(self) -> Path:
        key = self.home / "api-key"
        _put(key, self.key, mode=0o600)
        key.chmod(0o600)
        daemon = {"state_dir": f'"{self.state}"', "grace": '"1500ms"', **self.settings}
        folder = {
            "path": f'"{self.folder}"',
            "dataset": f'"{self.dataset}"',
            **self.folder_settings,
        }
        _put(
            self.config,
            f'[portal]\nurl = "{self.url}"\napi_key_file = "{key}"\n'
            + "".join(f"{name} = {value}\n" for name, value in self.portal_settings.items())
            + "\n[daemon]\n"
            + "".join(f"{name} = {value}\n" for name, value in daemon.items())
            + "\n[[folders]]\n"
            + "".join(f"{name} = {value}\n" for name, value in folder.items())
            + self.rules
            + "\n"
            + self.more,
        )
        return self.config

    def drop(self, path: str | bytes, content: bytes) -> str:
        """Write a file in the folder; returns its sha1."""
        target = os.path.join(os.fsencode(self.folder), os.fsencode(path))
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "wb") as out:
            out.write(content)
        return sha1(content).hexdigest()

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "publisher_daemon", "--config", str(self.config), *arguments]

    def surroundings(self) -> dict[str, str]:
        """Return the environment of the command: of the caller's, only where programs are."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            **self.environment,
        }

    def call(self, *arguments: str, timeout: float = 240) -> subprocess.CompletedProcess[str]:
        """Run a verb to its end."""
        self.configure()
        return subprocess.run(
            self.command(*arguments),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
            cwd=self.home,
            env=self.surroundings(),
        )

    def ask(self, *arguments: str, code: int | None = None) -> Any:
        """Run a verb with ``--json`` and read its answer."""
        done = self.call(*arguments, "--json")
        if code is not None:
            assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout)

    def once(self, code: int | None = 0) -> dict[str, dict[str, Any]]:
        """Make one pass; the files by path."""
        return files_of(self.ask("once", code=code))

    def status(self) -> dict[str, dict[str, Any]]:
        return files_of(self.ask("status"))

    def start(self) -> Service:
        """Start the service."""
        self.configure()
        return Service(self)


def _put(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Write a file that a service may be reading just then: whole, and only if it is new."""
    if path.exists() and path.read_text() == text:
        return
    aside = path.with_name(f"{path.name}.new")
    aside.write_text(text)
    aside.chmod(mode)
    aside.replace(path)


def files_of(answer: Any) -> dict[str, dict[str, Any]]:
    return {file["path"]: file for found in answer["datasets"] for file in found["files"]}


def events(text: str, name: str) -> list[dict[str, Any]]:
    """The lines of a log that say this."""
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == name]


class Service:
    """``publisher-daemon run`` as a process; killed if a test leaves it running."""

    def __init__(self, producer: Producer) -> None:
        self.producer = producer
        self.log = producer.home / "log.jsonl"
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                producer.command("run"),
                stdout=subprocess.DEVNULL,
                stderr=out,
                cwd=producer.home,
                env=producer.surroundings(),
            )

    def __enter__(self) -> Self:
        self.wait_for("daemon.started")
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(30)

    def events(self, name: str | None = None) -> list[dict[str, Any]]:
        # the last line may be half written
        written = self.log.read_text().rpartition("\n")[0].splitlines()
        # what ends the command before it serves is also told to people, in a sentence
        lines = [json.loads(line) for line in written if line.startswith("{")]
        return [line for line in lines if name is None or line["event"] == name]

    def wait_for(self, event: str, count: int = 1, timeout: float = 30) -> list[dict[str, Any]]:
        """Wait until the log has that many such lines."""

        def there() -> list[dict[str, Any]] | None:
            found = self.events(event)
            if len(found) < count and self.process.poll() is not None:
                raise AssertionError(
                    f"it ended ({self.process.returncode}): {self.log.read_text()}"
                )
            return found if len(found) >= count else None

        return wait_until(there, timeout, f"{count} × {event} in {self.log}") or []

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)
