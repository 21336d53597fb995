"""Starts, restarts and stops a real udata portal on loopback; standard library only.

Two processes: the database, and udata. Both are in process groups of their own, so that Ctrl-C
reaches the launcher alone, which stops them in order; and both end with the launcher, even when it
is killed (``portal/lifeline.py``).
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import environment

#: a two-core machine takes 5 s, and one with ten times its work to do more than a minute
_START_WITHIN = 180.0
_STOP_WITHIN = 10.0
_LOOK_EVERY = 0.05
_MARK = "sandbox.json"


class SandboxError(Exception):
    """The sandbox does not start or does not answer as it should."""


class RefusedError(Exception):
    """The portal answered an error to the launcher itself."""

    def __init__(self, status: int, answer: str) -> None:
        super().__init__(f"HTTP {status}: {answer[:500]}")
        self.status = status
        self.answer = answer


def _silent(_line: str) -> None:
    return None


class Sandbox:
    """A udata portal that runs between ``start`` and ``stop`` (or as a context manager).

    ``data`` is a directory to keep; without it a throw-away one is used. ``port`` is a free one
    unless given; a kept directory remembers its own, as the portal stores absolute links.
    """

    def __init__(
        self,
        data: Path | None = None,
        port: int | None = None,
        settings: Mapping[str, object] | None = None,
        say: Callable[[str], None] = _silent,
    ) -> None:
        self._kept = data
        self._port = port
        self._first_settings: dict[str, object] = dict(settings or {})
        self._settings = self._first_settings
        self._say = say
        self._titles = itertools.count(1)
        self._rules = itertools.count(1)
        self._database: subprocess.Popen[bytes] | None = None
        self._portal: subprocess.Popen[bytes] | None = None
        self._database_port = 0
        self.data = Path()
        self.tokens: dict[str, str] = {}
        self.users: dict[str, str] = {}
        self.orgs: dict[str, str] = {}
        self.datasets: dict[str, str] = {}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _where: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The portal's address, without a final slash."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def faults_path(self) -> Path:
        """The file that makes it misbehave, read at each request (``portal/faults.py``)."""
        return self.data / "faults.json"

    @property
    def stored(self) -> list[dict[str, Any]]:
        """Every whole file the portal has ever taken in: its ``sha1``, ``size`` and ``name``."""
        try:
            lines = (self.data / "stored.jsonl").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in lines]

    @property
    def processes(self) -> tuple[int, ...]:
        """The ids of its running processes."""
        running = (self._portal, self._database)
        return tuple(process.pid for process in running if process and process.poll() is None)

    def start(self) -> None:
        """Install what is missing, then start and wait until the portal answers."""
        interpreter = environment.python(self._say)
        seed = environment.seeded(interpreter, lambda where: self._seed(interpreter, where))
        try:
            self._lay_out(seed)
            self._database, self._database_port = _start_database(
                interpreter, self.data, throw_away=self._kept is None
            )
            self._serve(interpreter)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop both processes, wait for their end, and remove the data unless it is to be kept."""
        _end(self._portal)
        # closing its files in order takes seconds, and is worth nothing if they are thrown away
        _end(self._database, gently=self._kept is not None)
        self._portal = self._database = None
        if self._kept is None and self.data != Path():
            shutil.rmtree(self.data, ignore_errors=True)

    def stop_portal(self) -> None:
        """Stop udata alone: its port refuses connections until ``restart``."""
        _end(self._portal)
        self._portal = None

    def restart(self, settings: Mapping[str, object] | None = None) -> None:
        """Restart udata on the same data and port, with settings laid over the first ones."""
        self.stop_portal()
        self._settings = self._first_settings | dict(settings or {})
        self._serve(environment.python(self._say))

    def mend(self) -> None:
        """Undo what faults, other settings or a stop have changed; does nothing if nothing has."""
        self.clear_faults()
        stopped = self._portal is None or self._portal.poll() is not None
        if stopped or self._settings != self._first_settings:
            self.restart()

    def faults(self, rules: Sequence[Mapping[str, object]]) -> None:
        """Misbehave as these rules say from the next request on, counting ``times`` afresh."""
        numbered = [{"id": next(self._rules), **rule} for rule in rules]
        draft = self.faults_path.with_suffix(".new")
        draft.write_text(json.dumps(numbered, indent=1), encoding="utf-8")
        draft.replace(self.faults_path)  # never read half-written

    def clear_faults(self) -> None:
        """Behave again."""
        self.faults([])

    def call(
        self, method: str, path: str, payload: object = None, token: str | None = "prod"
    ) -> Any:
        """Ask the API as the user labelled ``token`` (None: anonymously); return the JSON."""
        headers = {"Accept": "application/json"}
        body = None
        if token is not None:
            headers["X-API-KEY"] = self.tokens[token]
        if payload is not None:
            body = json.dumps(payload).encode()
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(
            f"{self.url}/api/{path.lstrip('/')}", data=body, headers=headers, method=method
        )
        content = _open(request)
        return json.loads(content) if content else None

    def download(self, url: str) -> bytes:
        """Return what the public gets at this address."""
        return _open(urllib.request.Request(url))

    def new_dataset(
        self,
        title: str | None = None,
        organization: str | None = "ville",
        *,
        private: bool = False,
        token: str = "prod",
    ) -> str:
        """Create an empty dataset and return its id; without a title it gets a unique one."""
        payload: dict[str, object] = {
            "title": title or f"Jeu {os.getpid()}-{next(self._titles)}",
            "description": "Un jeu de données du bac à sable",
            "private": private,
        }
        if organization is not None:
            payload["organization"] = self.orgs[organization]
        return str(self.call("POST", "1/datasets/", payload, token)["id"])

    def describe(self) -> dict[str, Any]:
        """Return what a program needs to use it, as JSON values."""
        return {
            "url": self.url,
            "tokens": self.tokens,
            "users": self.users,
            "orgs": self.orgs,
            "datasets": self.datasets,
            "faults": str(self.faults_path),
            "data": str(self.data),
            "processes": list(self.processes),
        }

    # --------------------------------------------------------------------------- inside

    def _lay_out(self, seed: Path) -> None:
        """Make the data directory, and read who and what it holds."""
        self.data = (
            self._kept.resolve()
            if self._kept
            else Path(tempfile.mkdtemp(prefix="publisher-sandbox-"))
        )
        self.data.mkdir(parents=True, exist_ok=True)
        if not (self.data / "ids.json").exists():
            if any(self.data.iterdir()):
                raise SandboxError(f"{self.data} is neither empty nor a sandbox's directory")
            shutil.copytree(seed, self.data, dirs_exist_ok=True)
        mark = self.data / _MARK
        if self._port is None and mark.exists():
            self._port = int(json.loads(mark.read_text(encoding="utf-8"))["port"])
        self.faults_path.unlink(missing_ok=True)
        ids = json.loads((self.data / "ids.json").read_text(encoding="utf-8"))
        self.tokens, self.users = ids["tokens"], ids["users"]
        self.orgs, self.datasets = ids["orgs"], ids["datasets"]

    def _serve(self, interpreter: Path) -> None:
        try:
            listening = socket.create_server(("127.0.0.1", self._port or 0), backlog=128)
        except OSError as error:
            raise SandboxError(f"port {self._port} cannot be used: {error.strerror}") from error
        with listening:
            self._port = int(listening.getsockname()[1])
            mark = json.dumps({"port": self._port})
            (self.data / _MARK).write_text(mark, encoding="utf-8")
            self._portal = _spawn(
                interpreter,
                "serve.py",
                f"--data={self.data}",
                f"--port={self._port}",
                f"--database={self._database_port}",
                f"--fd={listening.fileno()}",
                f"--settings={json.dumps(self._settings)}",
                log=self.data / "portal.log",
                keep=listening.fileno(),
            )
        # only udata holds the socket now: if it dies, the question below fails at once
        try:
            self.call("GET", "1/datasets/frequencies/", token=None)
        except (OSError, RefusedError) as error:
            log = (self.data / "portal.log").read_text(encoding="utf-8", errors="replace")
            raise SandboxError(f"udata does not start ({error}):\n{log[-4000:]}") from error

    def _seed(self, interpreter: Path, where: Path) -> None:
        self._say("Filling a portal with people and datasets, once for this machine.")
        database, port = _start_database(interpreter, where, throw_away=False)
        try:
            seeding = _spawn(
                interpreter, "seed.py", f"--data={where}", f"--database={port}", log=where / "log"
            )
            try:
                code = seeding.wait(_START_WITHIN * 2)
            finally:
                _end(seeding)
        finally:
            _end(database)
        if code != 0:
            log = (where / "log").read_text(encoding="utf-8", errors="replace")
            raise SandboxError(f"the sandbox cannot be seeded:\n{log[-4000:]}")
        for log_file in (where / "log", where / "database.log"):
            log_file.unlink(missing_ok=True)


def _open(request: urllib.request.Request) -> bytes:
    # a proxy of the environment could not reach loopback
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=_START_WITHIN) as answer:
            content: bytes = answer.read()
            return content
    except urllib.error.HTTPError as error:
        with error:
            raise RefusedError(error.code, error.read().decode(errors="replace")) from error


def _spawn(
    interpreter: Path, script: str, *options: str, log: Path, keep: int | None = None
) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(
            [
                str(interpreter),
                str(environment.PORTAL / script),
                f"--parent={os.getpid()}",
                *options,
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=() if keep is None else (keep,),
            process_group=0,
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        )


def _start_database(
    interpreter: Path, data: Path, *, throw_away: bool
) -> tuple[subprocess.Popen[bytes], int]:
    """Start the database on a free port; another program may take the port first, so try again."""
    log = data / "database.log"
    options = [f"--data={data}"] + (["--throw-away"] if throw_away else [])
    (data / "mongo").mkdir(exist_ok=True)
    for _attempt in range(3):
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = int(probe.getsockname()[1])
        process = _spawn(interpreter, "database.py", f"--port={port}", *options, log=log)
        try:
            for _look in _until(_START_WITHIN):
                if process.poll() is not None:
                    break
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    return process, port
        except BaseException:
            _end(process)
            raise
        _end(process)
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    raise SandboxError(f"the sandbox's database does not start:\n{text[-4000:]}")


def _until(seconds: float) -> Iterator[None]:
    """Yield now and then until ``seconds`` are over."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        yield
        time.sleep(_LOOK_EVERY)


def _end(process: subprocess.Popen[bytes] | None, *, gently: bool = True) -> None:
    if process is None:
        return
    if process.poll() is None:
        if gently:
            process.terminate()
        else:
            process.kill()
        try:
            process.wait(_STOP_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()
