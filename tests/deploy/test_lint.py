"""The container's files, judged by the tools and the schemas of those who will read them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CONTAINER = Path(__file__).resolve().parents[2] / "deploy" / "container"
COMPOSE = ["check-jsonschema", "--builtin-schema", "vendor.compose-spec"]
KUBERNETES = ["kubernetes-validate", "--strict", "--quiet"]


def judged(*command: str | Path) -> tuple[int, str]:
    program, *arguments = map(str, command)
    done = subprocess.run(
        [str(Path(sys.executable).parent / program), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("tool", "name", "good", "bad"),
    [
        (["hadolint"], "Containerfile", "USER 65532:65532", "USER 65532:65532\nWORKDIR here"),
        (COMPOSE, "compose.yaml", "read_only:", "readonly:"),
        (KUBERNETES, "kubernetes/publisher-daemon.yaml", "runAsNonRoot:", "runAsNoRoot:"),
    ],
    ids=["containerfile", "compose", "kubernetes"],
)
def test_what_reads_them_finds_nothing_and_would_find_a_slip(
    tool: list[str], name: str, good: str, bad: str, tmp_path: Path
) -> None:
    text = (CONTAINER / name).read_text()
    spoilt = tmp_path / Path(name).name
    spoilt.write_text(text.replace(good, bad, 1))
    assert spoilt.read_text() != text

    code, told = judged(*tool, CONTAINER / name)

    assert code == 0, told
    assert judged(*tool, spoilt)[0] != 0
