"""The example and the reference of the configuration against its models: nothing is missing."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

from publisher_daemon.config import load
from publisher_daemon.config._models import (
    AlertsModel,
    ChecksModel,
    CoverageModel,
    DaemonModel,
    DatasetModel,
    FolderModel,
    MetricsModel,
    OrganizationModel,
    PortalModel,
    ReuseModel,
    RuleModel,
    SpatialModel,
)

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "config.example.toml"
REFERENCE = ROOT / "docs" / "reference" / "configuration.md"
SECTIONS: dict[str, type[BaseModel]] = {
    "## [portal]": PortalModel,
    "## [daemon]": DaemonModel,
    "## [metrics]": MetricsModel,
    "## [alerts]": AlertsModel,
    "## [[folders]]": FolderModel,
    "## [folders.checks]": ChecksModel,
    "## [[folders.resources]]": RuleModel,
    "## [[datasets]]": DatasetModel,
    "## [[organizations]]": OrganizationModel,
    "## [[reuses]]": ReuseModel,
    "### temporal_coverage": CoverageModel,
    "### spatial": SpatialModel,
}


def settings() -> Iterator[tuple[str, str, FieldInfo]]:
    for section, model in SECTIONS.items():
        for name, field in model.model_fields.items():
            yield section, field.alias or name, field


def rows(section: str) -> dict[str, list[str]]:
    """The cells of the section's table, by setting."""
    text = REFERENCE.read_text()
    part = text.split(f"\n{section}\n")[1]
    body = re.split(r"^#{2,3} ", part, flags=re.MULTILINE)[0]
    found = [line.strip("|").split(" | ") for line in body.splitlines() if line.startswith("| `")]
    return {cells[0].strip(" `"): [cell.strip() for cell in cells[1:]] for cells in found}


SETTINGS = [pytest.param(*each, id=f"{each[0]} {each[1]}") for each in settings()]


def test_the_example_loads_as_it_is() -> None:
    example = load(EXAMPLE, {})

    assert len(example.folders) == 1


def test_the_example_loads_with_every_line_in_use(tmp_path: Path) -> None:
    everything = re.sub(r"^#(?=\w+ = )", "", EXAMPLE.read_text(), flags=re.MULTILINE)
    path = tmp_path / "config.toml"
    path.write_text(everything)

    loaded = load(path, {})

    assert loaded.datasets[0].private is False
    assert loaded.folders[0].ready_marker == ".done"


def test_what_the_example_shows_as_default_is_the_default() -> None:
    body = EXAMPLE.read_text().split("\n[daemon]\n")[1].split("\n[")[0]
    shown = tomllib.loads(re.sub(r"^#(?=\w+ = )", "", body, flags=re.MULTILINE))

    of_its_own = {
        name: value
        for name, value in shown.items()
        if getattr(DaemonModel(), name) not in (None, ())
    }

    assert DaemonModel.model_validate(of_its_own) == DaemonModel()


@pytest.mark.parametrize(("section", "name", "field"), SETTINGS)
def test_the_example_names_every_setting(section: str, name: str, field: FieldInfo) -> None:
    del field
    if name == "resources":
        assert "[[folders.resources]]" in EXAMPLE.read_text()
        return
    if name == "checks":
        assert "[folders.checks]" in EXAMPLE.read_text()
        return
    where = r"\{.*" if section.startswith("###") else r"^.*"

    assert re.search(rf"{where}\b{name} = ", EXAMPLE.read_text(), re.MULTILINE)


@pytest.mark.parametrize(("section", "name", "field"), SETTINGS)
def test_every_setting_is_documented_with_its_default(
    section: str, name: str, field: FieldInfo
) -> None:
    _, default, _ = rows(section)[name]

    if field.is_required():
        assert default == "*required*"
    elif field.default is None:
        assert default == "—"
    else:
        value: Any = tomllib.loads(f"x = {default.strip('`')}")["x"]
        annotated: Any = Annotated
        form = TypeAdapter(annotated[(field.annotation, "as documented", *field.metadata)])
        assert form.validate_python(value) == field.default


@pytest.mark.parametrize("section", SECTIONS)
def test_nothing_is_documented_that_is_not_there(section: str) -> None:
    known = {field.alias or name for name, field in SECTIONS[section].model_fields.items()}

    assert set(rows(section)) == known
