"""``init`` and ``import`` through the command: what they write loads, and loses nothing."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from colleague import Api
from launcher import Sandbox
from producer import Producer
from proxy import Proxy

from publisher_daemon.config import load


@pytest.fixture
def producer(tmp_path: Path, portal: Sandbox, dataset: str) -> Producer:
    return Producer(tmp_path, portal.url, portal.tokens["prod"], dataset)


def init(producer: Producer, *options: str) -> subprocess.CompletedProcess[str]:
    return producer.call(
        "init",
        f"--url={producer.url}",
        f"--api-key-file={producer.home / 'api-key'}",
        f"--output={producer.home / 'first.toml'}",
        *options,
    )


def uncommented(text: str, dataset: str) -> str:
    """The text with the block of that dataset uncommented, as a person would."""
    block = re.search(rf'#\[\[folders\]\]\n#path = .*\n#dataset = "{dataset}"\n', text)
    assert block is not None, text
    return text.replace(block[0], block[0].replace("\n#", "\n").removeprefix("#"))


def test_init_writes_what_the_key_may_edit_and_one_uncommented_block_is_enough(
    producer: Producer, portal: Sandbox
) -> None:
    output = producer.home / "first.toml"

    done = init(producer)

    assert done.returncode == 0, done.stderr
    assert output.stat().st_mode & 0o777 == 0o640
    written = output.read_text()
    assert producer.key not in written
    assert load(output, {}).folders == ()
    output.write_text(uncommented(written, producer.dataset))
    (folder,) = load(output, {}).folders
    assert folder.dataset == producer.dataset
    assert load(output, {}).portal.url == portal.url
    for label in ("pub", "own", "priv"):
        assert portal.datasets[label] in written
    for label in ("deleted", "archived", "other", "otherpriv"):
        assert portal.datasets[label] not in written


def test_init_never_writes_over_an_existing_file(producer: Producer) -> None:
    output = producer.home / "first.toml"
    output.write_text("mine")

    done = init(producer)

    assert done.returncode == 1
    assert f"{output} exists already" in done.stderr
    assert output.read_text() == "mine"


def test_init_tells_what_it_found_as_json(producer: Producer, portal: Sandbox) -> None:
    done = init(producer, "--json", f"--dataset={producer.dataset}")

    found: dict[str, Any] = json.loads(done.stdout)
    written = load(producer.home / "first.toml", {})
    assert [folder.dataset for folder in written.folders] == [producer.dataset]
    assert [page.said()["title"] for page in written.datasets] == [page_title(producer, found)]
    titles = {each["id"]: each["title"] for each in found["datasets"]}
    assert titles[portal.datasets["own"]] == "Jeu utilisateur"
    assert found["output"] == str(producer.home / "first.toml")


def page_title(producer: Producer, found: dict[str, Any]) -> str:
    title: str
    (title,) = (one["title"] for one in found["datasets"] if one["id"] == producer.dataset)
    return title


def test_init_lists_nothing_to_a_partial_editor_without_assignment(
    producer: Producer, portal: Sandbox
) -> None:
    producer.key = portal.tokens["partial"]

    done = init(producer, "--json")

    assert json.loads(done.stdout)["datasets"] == []
    assert load(producer.home / "first.toml", {}).folders == ()


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--url=ftp://portal"], 78, "--url"),
        (["--dataset=not-mine"], 1, "may edit no dataset “not-mine”"),
        (["--api-key-file=/nowhere"], 78, "/nowhere cannot be read"),
        (["--output=/nowhere/config.toml"], 1, "/nowhere/config.toml cannot be written"),
        (["--url=http://127.0.0.1:9"], 75, "127.0.0.1:9 does not answer"),
    ],
)
def test_init_says_what_is_wrong_and_writes_nothing(
    producer: Producer, options: list[str], code: int, words: str
) -> None:
    done = init(producer, *options)

    assert done.returncode == code
    assert words in done.stderr
    assert not (producer.home / "first.toml").exists()


def test_init_with_a_dead_key_exits_77(producer: Producer, portal: Sandbox) -> None:
    producer.key = portal.tokens["revoked"]

    done = init(producer)

    assert done.returncode == 77
    assert "Revoked" in done.stderr


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of a terminal: ours, and the command's."""
    ours, theirs = pty.openpty()
    yield ours, theirs
    os.close(ours)
    os.close(theirs)


def test_init_asks_on_a_terminal_and_writes_the_chosen_datasets(
    producer: Producer, terminal: tuple[int, int]
) -> None:
    producer.configure()
    output = producer.home / "first.toml"
    ours, theirs = terminal
    process = subprocess.Popen(
        producer.command("init", f"--output={output}"),
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.STDOUT,
        cwd=producer.home,
        env={"PATH": os.environ["PATH"], "HOME": str(producer.home), "LANG": "C.UTF-8"},
    )
    try:
        shown_until(ours, "Address of the portal")
        type_in(ours, producer.url)
        shown_until(ours, "API key")
        type_in(ours, str(producer.home / "api-key"))
        offered = shown_until(ours, "Datasets to feed")
        number = re.search(rf"(\d+)\. [^\n]*\({producer.dataset}\)", offered)
        assert number is not None, offered
        type_in(ours, f"{number[1]}, 999")
        shown_until(ours, "Folder of")
        type_in(ours, str(producer.folder))
        shown_until(ours, "Now run", end="check")
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait(30)

    (folder,) = load(output, {}).folders
    assert (folder.dataset, folder.path) == (producer.dataset, producer.folder)


def shown_until(terminal: int, question: str, end: str = ":") -> str:
    """All that is shown until the end of this question."""
    shown = b""
    while not (question.encode() in shown and shown.rstrip().endswith(end.encode())):
        ready, _, _ = select.select([terminal], [], [], 20)
        assert ready, f"{question!r} was not asked: {shown!r}"
        shown += os.read(terminal, 65536)
    return shown.decode()


def type_in(terminal: int, text: str) -> None:
    os.write(terminal, text.encode() + b"\n")


DESCRIPTION = 'Première ligne\r\n\n"""trois guillemets""" et \\ une barre\nfin "'


def test_import_says_a_dataset_as_it_is_and_loads_back(producer: Producer, api: Api) -> None:
    first = api.upload(producer.dataset, "Mesures 2025.csv", b"a;b\n1;2\n")
    api.edit_resource(
        producer.dataset,
        first["id"],
        title="Mesures « 2025 »",
        description="Sur\nplusieurs lignes",
        type="documentation",
    )
    api.edit_dataset(
        producer.dataset,
        description=DESCRIPTION,
        tags=["air", "eau"],
        license="lov2",
        frequency="daily",
        temporal_coverage={"start": "2020-01-01", "end": "2024-12-31"},
        private=True,
    )
    now = api.dataset(producer.dataset)

    done = producer.call("import", producer.dataset)

    assert done.returncode == 0, done.stderr
    (producer.home / "imported.toml").write_text(
        f'[portal]\nurl = "{producer.url}"\n\n{done.stdout}'
    )
    settings = load(producer.home / "imported.toml", {})
    (rule,) = settings.folders[0].resources
    assert (rule.match, rule.resource, rule.title, rule.description, rule.type) == (
        "mesures-2025.csv",
        first["id"],
        "Mesures « 2025 »",
        "Sur\nplusieurs lignes",
        "documentation",
    )
    (kept,) = settings.datasets
    assert kept.said() == {
        "title": now["title"],
        "description": now["description"],
        "tags": ["air", "eau"],
        "license": "lov2",
        "frequency": "daily",
        "temporal_coverage": {"start": "2020-01-01", "end": "2024-12-31"},
        "private": True,
    }


def test_import_says_as_comments_what_the_configuration_cannot_hold(
    producer: Producer, api: Api
) -> None:
    first = api.upload(producer.dataset, "a.csv", b"a;b\n1;2\n")
    api.edit_resource(producer.dataset, first["id"], title="Mesures {annee}")
    for name in ("b.csv", "c.csv"):
        api.upload(producer.dataset, name, b"x")

    text = producer.ask("import", producer.dataset, code=0)["toml"]

    assert '#title = "Mesures {annee}"' in text
    assert len(tomllib.loads(text)["folders"][0]["resources"]) == 3


def test_what_is_imported_leaves_nothing_to_do(
    producer: Producer, api: Api, portal: Sandbox, proxy: Proxy
) -> None:
    api.upload(producer.dataset, "a.csv", b"a;b\n1;2\n")
    api.upload(producer.dataset, "b.csv", b"x")
    contact = api.json("GET", f"1/organizations/{portal.orgs['ville']}/contacts/")["data"][0]["id"]
    api.edit_dataset(
        producer.dataset,
        title='Qualité « de l\'air » \\ "NO₂"',
        acronym="QA",
        description='# Titre\n\n"guillemets", \\ et """trois"""\tet une tabulation',
        description_short="Court",
        tags=["air", "eau"],
        license="lov2",
        frequency="daily",
        frequency_date="2027-01-01",
        temporal_coverage={"start": "2020-01-01", "end": None},
        spatial={"granularity": "poi"},
        contact_points=[contact],
        extras={
            "theirs:theme": "air",
            "theirs:list": [1, {"a": True}],
            "none": "{latest}",
            "": "x",
        },
    )
    before = api.dataset(producer.dataset)
    text = producer.ask("import", producer.dataset, code=0)["toml"]
    producer.configure()
    head = producer.config.read_text().split("[[folders]]")[0].replace(producer.url, proxy.url)
    imported = re.sub(r'^path = ".*"', f'path = "{producer.folder}"', text, flags=re.MULTILINE)
    (producer.home / "imported.toml").write_text(head + imported)

    def call(verb: str) -> str:
        done = subprocess.run(
            [*producer.command()[:-1], str(producer.home / "imported.toml"), verb, "--json"],
            capture_output=True, text=True, timeout=60, check=False, cwd=producer.home,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    planned = json.loads(call("plan"))
    call("once")

    assert [one["actions"] for one in planned["datasets"]] == [[]]
    assert planned["metadata"][0]["changes"] == {}
    assert proxy.seen("^(PUT|POST|DELETE) ") == []
    assert api.dataset(producer.dataset)["last_modified"] == before["last_modified"]
    assert "private = false" not in text
    for said in ("frequency_date", "spatial", "contact_points", "acronym", "theirs:list"):
        assert said in text


def test_import_of_an_unknown_dataset_says_so(producer: Producer) -> None:
    done = producer.call("import", "no-such-dataset")

    assert done.returncode == 1
    assert "no dataset “no-such-dataset”" in done.stderr
