"""The service on a booted server, as an administrator sees it: files, systemctl, the journal."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from hashlib import sha1
from typing import Any

from launcher import Sandbox
from machine import Machine
from waiting import wait_until

UNIT = "publisher-daemon.service"
FOLDER = "/srv/opendata/air"
DROPINS = f"/etc/systemd/system/{UNIT}.d"
#: so that a test waits for seconds where a server waits for minutes
BRISK = "[Service]\nRestartSec=500ms\nWatchdogSec=4s\nTimeoutAbortSec=5s\n"


@dataclass
class Served:
    """Set up as the guide says; ``since`` is the microsecond when it was."""

    server: Machine
    portal: Sandbox
    dataset: str
    since: int = 0
    #: what stands before the portal, when something does
    url: str | None = None

    def set_up(self) -> None:
        self.since = time.time_ns() // 1000
        self.server.run("mkdir", "-p", FOLDER)
        self.server.write("/etc/publisher-daemon/api-key", self.portal.tokens["prod"], 0o600)
        self.server.write(f"{DROPINS}/brisk.conf", BRISK)
        self.configure()

    def configure(
        self,
        *,
        folders: tuple[str, ...] = (FOLDER,),
        more: str = "",
        portal: str = "",
        folder: str = "",
        shown: bool = True,
    ) -> None:
        """Write the configuration and the drop-in that shows its folders."""
        text = f'[portal]\nurl = "{self.url or self.portal.url}"\n{portal}\n'
        text += f'[daemon]\ngrace = "1500ms"\n{more}\n'
        for path in folders:
            text += f'[[folders]]\npath = "{path}"\ndataset = "{self.dataset}"\nquiet = "300ms"\n'
            text += f"{folder}\n"
        self.server.write("/etc/publisher-daemon/config.toml", text)
        if shown:
            self.show_folders()

    def show_folders(self) -> None:
        self.server.run("systemd-tmpfiles", "--create", "publisher-daemon.conf", check=False)
        shown = self.server.run("publisher-daemon", "systemd-dropin").stdout
        self.server.write(f"{DROPINS}/folders.conf", shown)
        self.server.run("systemctl", "daemon-reload")

    def override(self, text: str) -> None:
        """What `systemctl edit` would write."""
        self.server.write(f"{DROPINS}/override.conf", text)
        self.server.run("systemctl", "daemon-reload")

    def start(self) -> None:
        self.server.run("systemctl", "start", UNIT)

    def stop(self) -> None:
        self.server.run("systemctl", "stop", UNIT)

    def drop(self, name: str, content: bytes, folder: str = FOLDER) -> str:
        """Write a file in a watched folder; returns its sha1."""
        target = self.server.path(f"{folder}/{name}")
        target.write_bytes(content)
        target.chmod(0o644)
        return sha1(content).hexdigest()

    def resources(self) -> dict[str, str]:
        """Names and sha1 of what the portal has, asked without our program."""
        found = self.portal.call("GET", f"2/datasets/{self.dataset}/resources/?page_size=100")
        return {each["url"].rsplit("/", 1)[-1]: each["checksum"]["value"] for each in found["data"]}

    def until_published(self, *sums: str, within: float = 45) -> None:
        """Wait until the portal has exactly these contents, each once."""

        def there() -> bool:
            return sorted(self.resources().values()) == sorted(sums)

        try:
            wait_until(there, within, "the files are on the portal")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.resources()}\n{self.told()}") from None

    def pid(self) -> int:
        return int(self.server.show(UNIT, "MainPID"))

    def fed(self) -> float:
        """When the watchdog was last fed, in seconds since the boot."""
        return int(self.server.show(UNIT, "WatchdogTimestampMonotonic")) / 1e6

    def events(self, name: str) -> list[dict[str, Any]]:
        """What the service said of this event since the test began."""
        return self.server.journal(f"EVENT={name}", since=self.since)

    def until_said(self, name: str, within: float = 30) -> dict[str, Any]:
        """The first line of this event."""
        try:
            return wait_until(lambda: self.events(name), within, name)[0]
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.told()}") from None

    def told(self) -> str:
        """The end of the journal, for whoever reads a failure."""
        return self.server.run(
            "journalctl", "--no-pager", "-n", "40", f"--since=@{self.since // 10**6}", check=False
        ).stdout

    def status(self) -> Any:
        """What `publisher-daemon status` says, run by root."""
        return json.loads(
            self.server.run("publisher-daemon", "status", "--json", check=False).stdout
        )

    def check(self) -> str:
        """What `publisher-daemon check` says, run by root, who gives the key by its file."""
        key = "PUBLISHER_PORTAL__API_KEY_FILE=/etc/publisher-daemon/api-key"
        done = self.server.run("env", key, "publisher-daemon", "check", check=False)
        return done.stdout + done.stderr

    def clear(self) -> None:
        self.server.run("systemctl", "stop", UNIT, check=False)
        self.server.run("systemctl", "reset-failed", check=False)
        self.server.run(
            "rm",
            "-rf",
            "/var/lib/publisher-daemon",
            "/srv/opendata",
            DROPINS,
            "/etc/publisher-daemon/alert",
        )
        self.server.run("systemctl", "daemon-reload")
        self.server.run("systemd-tmpfiles", "--create", "publisher-daemon.conf", check=False)
