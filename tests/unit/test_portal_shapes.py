from __future__ import annotations

from typing import Any

import pytest

from publisher_daemon.model import DatasetId, Identity, Words
from publisher_daemon.portal import shapes

RESOURCE: dict[str, Any] = {
    "id": "r",
    "title": "a.csv",
    "url": "https://static/a.csv",
    "latest": "https://portal/api/1/datasets/r/r",
    "checksum": {"type": "sha1", "value": "00"},
    "filesize": 3,
    "filetype": "file",
    "extras": {},
    "schema": None,
}


def test_reads_the_identity_in_the_extras() -> None:
    identity = Identity("air", "2026/a.csv", "00" * 20)
    body = RESOURCE | {"extras": {"check:status": 200, **shapes.extras(identity)}}

    assert shapes.resource(body).source == identity


@pytest.mark.parametrize(
    "extras", [{}, None, {"publisher-daemon:folder": "air"}, {"publisher-daemon:path": 3}]
)
def test_has_no_identity_without_folder_and_path(extras: object) -> None:
    assert shapes.resource(RESOURCE | {"extras": extras}).source is None


def test_a_path_that_is_not_utf8_is_percent_encoded() -> None:
    extras = shapes.extras(Identity("air", "a/\udce9t\udce9.csv", "00"))

    assert extras["publisher-daemon:path"] == "bytes:a/%E9t%E9.csv"


@pytest.mark.parametrize("checksum", [None, {"type": "md5", "value": "00"}])
def test_only_a_sha1_is_a_sha1(checksum: object) -> None:
    found = shapes.resource(RESOURCE | {"checksum": checksum})

    assert found.sha1 is None
    assert found.fingerprint is None


@pytest.mark.parametrize(
    ("words", "fields"),
    [
        (Words(), {}),
        (Words(title="T", type="main"), {"title": "T", "type": "main"}),
        (Words(description=""), {"description": None}),
        (Words(schema="etalab/x"), {"schema": {"name": "etalab/x"}}),
        (Words(schema="https://x/y.json"), {"schema": {"url": "https://x/y.json"}}),
        (Words(schema=""), {"schema": None}),
    ],
)
def test_writes_only_what_is_said(words: Words, fields: dict[str, object]) -> None:
    assert fields == shapes.fields(words)


def test_a_schema_is_known_by_its_name_then_by_its_url() -> None:
    named = shapes.resource(RESOURCE | {"schema": {"name": "n", "url": "u", "version": None}})
    located = shapes.resource(RESOURCE | {"schema": {"name": None, "url": "u"}})

    assert (named.schema, located.schema) == ("n", "u")


def test_a_schema_shows_by_the_address_that_the_portal_made_name_and_version_of() -> None:
    def shown(version: str | None, *addresses: str) -> str | None:
        body = RESOURCE | {"schema": {"name": "ville/air", "version": version, "url": None}}
        return shapes.resource(body).words(*(Words(schema=each) for each in addresses)).schema

    newest, second, third = (
        f"https://schemas.example.org/ville/air/{version}/s.json"
        for version in ("latest", "2.0.0", "3.0.0")
    )

    assert shown("2.0.0", second) == second
    assert shown("2.0.0", second, third) == second
    assert shown(None, newest, third) == newest
    # another version, another schema, a name: as the portal has it
    assert shown("2.0.0", third, newest) == "ville/air"
    assert shown(None, "https://schemas.example.org/ville/eau/latest/s.json") == "ville/air"
    assert shown("2.0.0", "ville/air") == "ville/air"
    assert shown("2.0.0") == "ville/air"


def test_a_dataset_keeps_its_answer_but_not_its_resources() -> None:
    body = {"id": "d", "resources": [1], "tags": ["a"], "permissions": {"edit_resources": False}}

    found = shapes.dataset(body)

    assert found.raw == {"id": "d", "tags": ["a"], "permissions": {"edit_resources": False}}
    assert found.can_edit
    assert not found.can_edit_resources


@pytest.mark.parametrize("name", ["title", "latest", "url", "type", "format", "created_at"])
def test_a_word_that_is_no_text_is_no_resource(name: str) -> None:
    for wrong in (3, 1.5, True, ["x"], {"a": "b"}):
        with pytest.raises(shapes.Misshapen):
            shapes.resource(RESOURCE | {name: wrong})


@pytest.mark.parametrize("size", [True, -1, 2**63, 1.5, "3"])
def test_a_size_that_no_file_has_is_none(size: object) -> None:
    assert shapes.resource(RESOURCE | {"filesize": size}).size is None


def test_another_dataset_than_the_one_that_is_meant_is_none() -> None:
    assert shapes.dataset({"id": "d"}, DatasetId("d")).id == "d"
    with pytest.raises(shapes.Misshapen, match="another dataset"):
        shapes.dataset({"id": "e"}, DatasetId("d"))
