"""The documentation against the program: verbs, links, settings and make targets are real.

A tired reader copies what stands there; a command that does not exist costs them the evening.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from publisher_daemon.cli import VERBS
from publisher_daemon.config import load

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAIRS = [
    ("guide.md", "fr/guide.md"),
    ("glossary.md", "fr/glossaire.md"),
    ("operations.md", "fr/exploitation.md"),
    ("security.md", "fr/securite.md"),
]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def blocks(page: Path, language: str) -> list[str]:
    return [
        found[2]
        for found in FENCE.finditer(page.read_text(encoding="utf-8"))
        if found[1] == language
    ]


def spoken(page: Path, program: str) -> set[str]:
    """The words after a program's name, in code only: in a sentence they are no commands."""
    text = page.read_text(encoding="utf-8")
    code = [*re.findall(r"`([^`\n]+)`", prose(page)), *(found[2] for found in FENCE.finditer(text))]
    pattern = rf"^\s*(?:\$ )?(?:\S+/)?{program} ([a-z][a-z-]*)"
    return {word for each in code for word in re.findall(pattern, each, re.MULTILINE)}


TOML = [
    pytest.param(text, id=f"{named(page)} {number}")
    for page in PAGES
    if page.name in {"README.md", "guide.md"}
    for number, text in enumerate(blocks(page, "toml"), 1)
]


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_verb_named_exists(page: Path) -> None:
    assert spoken(page, "publisher-daemon") <= set(VERBS)


def test_the_readme_names_verbs_and_targets() -> None:
    # so that the two tests around this one cannot pass by reading nothing
    assert "check" in spoken(ROOT / "README.md", "publisher-daemon")
    assert "demo" in spoken(ROOT / "README.md", "make")


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_relative_link_leads_to_a_file(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s#]+)(?:#[^)]*)?\)", prose(page))
    local = [link for link in links if ":" not in link]
    assert [link for link in local if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("text", TOML)
def test_every_configuration_shown_loads(text: str, tmp_path: Path) -> None:
    # a block without [portal] is an addition to the ten lines, as the page around it says
    whole = text if "[portal]" in text else f'[portal]\nurl = "https://demo.data.gouv.fr"\n{text}'
    for number, folder in enumerate(tomllib.loads(whole).get("folders", [])):
        here = tmp_path / str(number)
        here.mkdir()
        whole = whole.replace(f'"{folder["path"]}"', f'"{here}"')
    (tmp_path / "config.toml").write_text(whole, encoding="utf-8")
    load(tmp_path / "config.toml", {})


@pytest.mark.parametrize(("english", "french"), PAIRS)
def test_both_languages_have_the_same_headings(english: str, french: str) -> None:
    def levels(page: str) -> list[int]:
        found = re.findall(r"^(#+) ", prose(ROOT / "docs" / page), re.MULTILINE)
        return [len(marks) for marks in found]

    assert levels(english) == levels(french)


def test_each_trap_of_the_portal_has_tests_that_exist() -> None:
    page = (ROOT / "docs" / "reference" / "portal.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| ")]
    numbered = {
        int(row[0]): re.findall(r"`(test_\w+)`", row[-1]) for row in rows if row[0].isdigit()
    }
    written = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }

    assert sorted(numbered) == list(range(1, 31))
    assert [number for number, names in numbered.items() if not names] == []
    assert {name for names in numbered.values() for name in names} - written == set()


def test_the_picture_of_the_architecture_is_what_the_build_enforces() -> None:
    picture = FENCE.search((ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"))
    assert picture is not None
    drawn = re.findall(r"^\d\w? +(\w+(?: \| \w+)*)", picture[2], re.MULTILINE)
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    rooms, *_ = pyproject["tool"]["importlinter"]["contracts"]
    package = ROOT / "publisher_daemon"
    there = {path.stem for path in package.glob("*.py")} | {
        path.parent.name for path in package.glob("*/__init__.py")
    }

    assert [set(one.split(" | ")) for one in drawn] == [
        set(one.split(" | ")) for one in rooms["layers"]
    ]
    assert {room for one in drawn for room in one.split(" | ")} == there - {"__init__"}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_make_target_named_exists(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    assert spoken(page, "make") <= targets
