"""Settings of series and of checks: what is read, and what a person is told is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from publisher_daemon.config import Settings, load
from publisher_daemon.errors import ConfigInvalid

MINIMAL = """
[portal]
url = "https://demo.data.gouv.fr"
[[folders]]
path = "air"
dataset = "5bbb6d6cff66bd4dc17bfd5a"
"""


def read(tmp_path: Path, lines: str) -> Settings:
    path = tmp_path / "config.toml"
    path.write_text(MINIMAL + lines)
    return load(path, {})


def problem(tmp_path: Path, lines: str) -> str:
    with pytest.raises(ConfigInvalid) as caught:
        read(tmp_path, lines)
    (line,) = caught.value.message.splitlines()
    return line


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('match = "a_{date}.csv"\nkeep = "last:0"', '"last:12"'),
        ('match = "a_{code}.csv"\nkeep = "latest"', "which file is newer"),
        ('match = "a_{date}.csv"\nkeep = "latest"\norder = ["jour"]', "it has date"),
        ('match = "a_{date}.csv"\nwhen_left = "keep"', "for a series only"),
    ],
)
def test_a_wrong_series_says_what_would_be_right(tmp_path: Path, lines: str, said: str) -> None:
    assert said in problem(tmp_path, f"[[folders.resources]]\n{lines}\n")


def test_a_series_is_read_with_the_number_it_keeps(tmp_path: Path) -> None:
    lines = 'match = "a_{date}.csv"\nkeep = "last:12"\nwhen_left = "withdraw"\n'

    (watch,) = read(tmp_path, f"[[folders.resources]]\n{lines}").watches({})

    (rule,) = watch.rules
    assert (rule.keep, rule.last, rule.when_left) == ("last", 12, "withdraw")
