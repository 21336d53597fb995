"""A verb loads what it uses: each start costs whoever waits for the answer."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

CONFIG = """
[portal]
url = "http://127.0.0.1:9"
api_key = "key"
[daemon]
state_dir = "{home}/state"
[[folders]]
path = "{home}"
dataset = "5bbb6d6cff66bd4dc17bfd5a"
"""

#: structlog, pydantic and pydantic-settings would load these, and need none of them
NEVER = {"rich.console", "asyncio.events", "apscheduler", "prometheus_client", "watchdog"}


@pytest.mark.parametrize(
    ("verb", "unused"),
    [("status", {*NEVER, "requests", "ssl", "urllib3"}), ("once", NEVER)],
)
def test_a_verb_loads_nothing_that_it_does_not_use(
    tmp_path: Path, verb: str, unused: set[str]
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(CONFIG.format(home=tmp_path))
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "publisher_daemon", "--config", str(config),
         verb],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    loaded = set(re.findall(r"^import time:.*\| +(\S+)$", done.stderr, re.MULTILINE))
    assert "publisher_daemon.status" in loaded, done.stderr[-2000:]
    assert not loaded & unused


def test_what_was_left_out_is_loaded_when_it_is_wanted() -> None:
    program = (
        "from publisher_daemon.cli import main\n"
        "assert main(['health', '--config', '/nowhere/config.toml']) == 78\n"
        "import asyncio, requests, rich.console\n"
        "answer = requests.Response()\n"
        "answer._content = 'La qualité de l’air à Lyon, un été après l’autre. '.encode() * 9\n"
        "assert answer.apparent_encoding == 'utf-8'\n"
        "asked = requests.Request('GET', 'http://été.example/').prepare()\n"
        "assert asked.url == 'http://xn--t-9fab.example/', asked.url\n"
        "async def told(): return 'it runs'\n"
        "print(asyncio.run(told()), rich.console.Console.__name__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.stdout == "it runs Console\n", done.stderr
