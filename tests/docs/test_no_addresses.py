"""No tracked file names a package registry: where packages come from is each machine's affair."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOT = r"\."

#: written in pieces, or this very file would be found
HOSTS = [
    ("py" + "pi", "org"),
    ("py" + "pi", "python", "org"),
    ("python" + "hosted", "org"),
    ("registry", "npm" + "js", "org"),
    ("registry", "yarn" + "pkg", "com"),
    ("cra" + "tes", "io"),
    ("ruby" + "gems", "org"),
    ("proxy", "go" + "lang", "org"),
    ("repo", "maven", "apache", "org"),
    ("ana" + "conda", "org"),
]
PATTERN = re.compile(
    "|".join(r"\b" + DOT.join(host) + r"\b" for host in HOSTS) + r"|index-" + r"url[ =]+\S*://",
    re.IGNORECASE,
)


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
    )
    return [ROOT / name for name in listed.stdout.split("\0") if name]


def test_no_tracked_file_names_a_package_registry() -> None:
    files = [path for path in tracked() if path.is_file()]
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in files
        if (match := PATTERN.search(path.read_bytes().decode("latin-1")))
    ]

    assert files, "git lists no file"
    assert found == []


@pytest.mark.parametrize("host", HOSTS, ids="-".join)
def test_an_address_would_be_found(host: tuple[str, ...]) -> None:
    assert PATTERN.search("https://" + ".".join(host) + "/simple")
    assert PATTERN.search("files." + ".".join(host).upper())
    assert PATTERN.search("my-" + ".".join(host)) is not None


def test_an_index_option_would_be_found() -> None:
    assert PATTERN.search("--extra-index-" + "url https://mirror.example/simple")
    assert PATTERN.search("index-" + 'url = "https://mirror.example/simple"')
