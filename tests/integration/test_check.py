"""``check`` on every wrong set-up, on a real portal: where, what is wrong, what would be right."""

from __future__ import annotations

import os
import re
import shutil
import socket
import ssl
import tempfile
import threading
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme
from colleague import Api
from launcher import Sandbox
from producer import Producer
from rights import let_others_in

from publisher_daemon.check import examine
from publisher_daemon.config import load
from publisher_daemon.ledger import Ledger

Finding = dict[str, str]


@pytest.fixture
def producer(tmp_path: Path, portal: Sandbox, dataset: str) -> Producer:
    made = Producer(tmp_path, portal.url, portal.tokens["prod"], dataset)
    made.drop("a.csv", b"a;b\n1;2\n")
    return made


def found(producer: Producer, code: str, *, exits: int) -> Finding:
    """The only finding of that code, in an answer that ends with that exit code."""
    answer = producer.ask("check", code=exits)
    assert answer["ok"] is (exits == 0)
    matching = [each for each in answer["findings"] if each["code"] == code]
    assert len(matching) == 1, answer["findings"]
    return dict(matching[0])


def levels(producer: Producer, exits: int = 0) -> dict[str, str]:
    return {each["code"]: each["level"] for each in producer.ask("check", code=exits)["findings"]}


def line_of(producer: Producer, text: str) -> str:
    lines = producer.config.read_text().splitlines()
    return f"{producer.config}:{next(i for i, line in enumerate(lines, 1) if text in line)}"


@contextmanager
def answering(
    status: int, headers: dict[str, str], body: bytes, *, tls: ssl.SSLContext | None = None
) -> Iterator[str]:
    """A web server that is no portal; gives its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


# ------------------------------------------------------------------------------------- all is well


def test_a_good_set_up_is_ready_and_nothing_is_changed(producer: Producer, api: Api) -> None:
    before = api.dataset(producer.dataset)["last_modified"]

    done = producer.call("check")

    assert done.returncode == 0, done.stdout
    assert done.stdout.rstrip().endswith("Ready: nothing stops the service.")
    assert "member of “Ville de Test”" in done.stdout
    assert not producer.state.exists()
    assert api.dataset(producer.dataset)["last_modified"] == before


def test_the_key_is_told_nowhere(producer: Producer) -> None:
    done = producer.call("check", "--json")

    assert producer.key not in done.stdout + done.stderr


# ----------------------------------------------------------------------------------- configuration


def test_tells_every_problem_of_the_configuration_at_once(producer: Producer) -> None:
    producer.settings["wrokers"] = "4"
    producer.folder_settings["observe"] = '"sometimes"'

    answer = producer.ask("check", code=78)

    assert [each["where"] for each in answer["findings"]] == [
        line_of(producer, "wrokers"),
        line_of(producer, "observe"),
    ]
    assert [each["right"] for each in answer["findings"]] == [
        'The nearest known one is "workers".',
        "Write 'auto', 'events' or 'polling'.",
    ]


def test_a_configuration_that_is_not_there_is_told(producer: Producer) -> None:
    producer.configure()
    producer.config.unlink()

    done = producer.call("check")
    assert done.returncode == 0  # `call` writes it again: the one below is really absent

    answer = Producer.ask(producer, "check", "--config", str(producer.home / "no.toml"), code=78)
    assert "no.toml cannot be read" in answer["findings"][0]["what"]


def test_a_configuration_without_folders_is_told(producer: Producer) -> None:
    producer.configure()
    text = producer.config.read_text().partition("[[folders]]")[0]
    other = producer.home / "other.toml"
    other.write_text(text)

    answer = producer.ask("check", "--config", str(other), code=78)

    assert "config.no_folders" in [each["code"] for each in answer["findings"]]


# ----------------------------------------------------------------------------------------- folders


def test_a_missing_folder_is_told_with_its_line(producer: Producer) -> None:
    producer.folder_settings["path"] = f'"{producer.home}/nowhere/at/all"'

    finding = found(producer, "folder.missing", exits=1)

    assert finding["where"] == line_of(producer, "nowhere")
    assert f"({producer.home} does)" in finding["what"]
    assert "mount it first" in finding["right"]


def test_a_file_in_place_of_a_folder_is_told(producer: Producer) -> None:
    producer.folder_settings["path"] = f'"{producer.folder}/a.csv"'

    assert "is a file" in found(producer, "folder.not_a_directory", exits=1)["what"]


@pytest.fixture
def as_nobody(producer: Producer) -> Iterator[Path]:
    """A folder, while this process has the rights of nobody in particular."""
    open_to_all = Path(tempfile.mkdtemp())
    open_to_all.chmod(0o755)
    (open_to_all / "depot").mkdir()
    producer.folder_settings["path"] = f'"{open_to_all}/depot"'
    producer.config.write_text("")
    yield open_to_all / "depot"
    for directory in open_to_all.rglob("*"):
        if directory.is_dir():
            directory.chmod(0o755)
    shutil.rmtree(open_to_all)


def codes_as_nobody(producer: Producer) -> dict[str, Finding]:
    producer.configure()
    settings = load(producer.config, {})
    # the first time imports what nobody may not read: the interpreter may live in a closed home
    examine(settings, clock=time.time)
    if os.geteuid() != 0:
        findings = examine(settings, clock=time.time)
    else:
        os.chown(producer.home / "api-key", 65534, 65534)
        let_others_in(producer.home)
        os.seteuid(65534)
        try:
            findings = examine(settings, clock=time.time)
        finally:
            os.seteuid(0)
    return {each.code: each.as_json() for each in findings}


def test_an_unreadable_folder_is_told_with_the_account(producer: Producer, as_nobody: Path) -> None:
    as_nobody.chmod(0o000)

    finding = codes_as_nobody(producer)["folder.unreadable"]

    assert finding["level"] == "error"
    assert str(as_nobody) in finding["what"]
    assert "setfacl" in finding["right"]


def test_an_unreadable_directory_inside_a_folder_is_told(
    producer: Producer, as_nobody: Path
) -> None:
    (as_nobody / "a.csv").write_text("a")
    (as_nobody / "secret").mkdir(mode=0o000)

    finding = codes_as_nobody(producer)["folder.part_unreadable"]

    assert f"{as_nobody}/secret" in finding["what"]


def test_a_state_directory_that_cannot_be_written_is_told(
    producer: Producer, as_nobody: Path
) -> None:
    producer.settings["state_dir"] = f'"{as_nobody.parent}/state"'
    (as_nobody.parent / "state").mkdir(mode=0o555)

    finding = codes_as_nobody(producer)["state.not_writable"]

    assert finding["where"] == line_of(producer, "state_dir =")


def test_an_empty_folder_is_a_warning(producer: Producer) -> None:
    (producer.folder / "a.csv").rename(producer.folder / ".a.csv.part")

    finding = found(producer, "folder.empty", exits=0)

    assert (finding["level"], "1 left out" in finding["what"]) == ("warning", True)


def test_files_the_portal_refuses_are_named_with_their_number(producer: Producer) -> None:
    producer.drop("b.parquet", b"1")
    producer.drop("c", b"1")

    finding = found(producer, "folder.refused_files", exits=0)

    assert "refuse 2 files" in finding["what"]
    assert "“b.parquet”, “c”" in finding["what"]
    assert 'exclude = ["**/*.parquet"]' in finding["right"]


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        ("été.csv", unicodedata.normalize("NFD", "été.csv"), "accents written in two ways"),
        ("Air.csv", "air.csv", "differ only by capitals"),
    ],
)
def test_names_that_look_alike_are_told(producer: Producer, one: str, other: str, why: str) -> None:
    producer.drop(one, b"1")
    producer.drop(other, b"2")

    assert why in found(producer, "folder.twins", exits=0)["what"]


# ------------------------------------------------------------------------------------------- state


def test_a_running_service_is_told_and_not_disturbed(producer: Producer) -> None:
    with producer.start() as service:
        finding = found(producer, "state.running", exits=0)

        assert f"process {service.process.pid}" in finding["what"]
        assert service.stop() == 0


def test_a_damaged_ledger_is_told(producer: Producer) -> None:
    producer.state.mkdir()
    (producer.state / "ledger.sqlite3").write_bytes(b"no database at all" * 100)

    finding = found(producer, "state.ledger", exits=1)

    assert "damaged" in finding["what"]
    assert "aside" in finding["right"]


def test_a_ledger_of_a_newer_version_is_told(producer: Producer) -> None:
    import sqlite3

    Ledger(producer.state).close()
    with sqlite3.connect(producer.state / "ledger.sqlite3") as connection:
        connection.execute("PRAGMA user_version=99")
    connection.close()

    assert "newer version" in found(producer, "state.ledger", exits=1)["what"]


# --------------------------------------------------------------------------------------------- key


@pytest.mark.parametrize(
    ("token", "words"),
    [
        ("revoked", "was revoked (the portal says: Revoked API token)"),
        ("expired", "has expired (the portal says: Expired API token)"),
        ("inactive", "is refused (the portal says: 401, without a reason)"),
    ],
)
def test_a_dead_key_is_told_with_the_portal_s_words_and_where_to_make_another(
    producer: Producer, portal: Sandbox, token: str, words: str
) -> None:
    producer.key = portal.tokens[token]

    finding = found(producer, "key.refused", exits=77)

    assert words in finding["what"]
    assert f"profile page of the account, {portal.url}/admin/me" in finding["right"]
    assert finding["where"] == line_of(producer, "api_key_file")


def test_a_key_of_another_portal_is_told_as_such(producer: Producer) -> None:
    producer.key = "udata_" + "x" * 64

    finding = found(producer, "key.refused", exits=77)

    assert "Invalid API token" in finding["what"]
    assert "Each portal has its own keys" in finding["right"]
    assert "demo.data.gouv.fr" in finding["right"]
    assert "127.0.0.1" in finding["right"]


def test_a_missing_and_an_empty_key_file_are_told(producer: Producer) -> None:
    producer.key = ""
    assert "is empty" in found(producer, "config.api_key", exits=78)["what"]

    producer.configure()
    text = producer.config.read_text().replace("/api-key", "/no-key")
    other = producer.home / "other.toml"
    other.write_text(text)
    answer = producer.ask("check", "--config", str(other), code=78)
    told = {each["code"]: each["what"] for each in answer["findings"]}
    assert "No such file" in told["config.api_key"]
    assert "portal.read" in told  # the rest is looked at all the same


def test_a_key_of_a_whole_portal_is_too_powerful(producer: Producer, portal: Sandbox) -> None:
    producer.key = portal.tokens["sysadmin"]

    finding = found(producer, "key.too_powerful", exits=0)

    assert "administers the whole portal" in finding["what"]
    assert "partial editor" in finding["right"]


def test_a_key_of_several_organizations_is_too_powerful(producer: Producer, api: Api) -> None:
    made = api.json(
        "POST", "1/organizations/", payload={"name": "Deuxième orga", "description": "Autre"}
    )
    try:
        assert "2 organizations" in found(producer, "key.too_powerful", exits=0)["what"]
    finally:
        api.json("DELETE", f"1/organizations/{made['id']}/")


def test_a_key_that_expires_soon_is_told_with_its_date(producer: Producer, api: Api) -> None:
    expires = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 10 * 86400))
    made = api.json(
        "POST",
        "1/me/api_tokens/",
        payload={"name": "bientôt", "expires_at": f"{expires}T00:00:00+00:00"},
    )
    producer.key = made["token"]

    finding = found(producer, "key.expires", exits=0)

    assert finding["level"] == "warning"
    assert re.search(rf"expires on {expires}, in (9|10) days", finding["what"])


# ------------------------------------------------------------------------------------------ portal


def test_a_portal_that_is_down_is_told_and_the_rest_is_looked_at(producer: Producer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        producer.url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    producer.folder_settings["path"] = f'"{producer.home}/nowhere"'

    told = levels(producer, exits=75)

    assert told["portal.unreachable"] == told["folder.missing"] == "error"


def test_a_name_nobody_knows_is_told(producer: Producer) -> None:
    producer.url = "https://portal.invalid"

    finding = found(producer, "portal.unreachable", exits=75)

    assert "name cannot be resolved" in finding["what"]
    assert "DNS" in finding["right"]


def test_an_unknown_authority_is_told_with_the_setting_to_write(producer: Producer) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(tls)

    with answering(200, {}, b"", tls=tls) as url:
        producer.url = url
        finding = found(producer, "portal.unreachable", exits=75)

    assert "certificate is not trusted" in finding["what"]
    assert "`[portal] ca_file`" in finding["right"]


def test_a_proxy_that_does_not_answer_is_told_as_the_proxy(producer: Producer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        closed = f"http://127.0.0.1:{probe.getsockname()[1]}"
    producer.configure()
    other = producer.home / "other.toml"
    other.write_text(
        producer.config.read_text().replace("[daemon]", f'proxy = "{closed}"\n[daemon]')
    )

    answer = producer.ask("check", "--config", str(other), code=75)

    (finding,) = [each for each in answer["findings"] if each["code"] == "portal.unreachable"]
    assert "through the proxy" in finding["what"]
    assert "the proxy's address" in finding["right"]


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (200, {"Content-Type": "text/html"}, b"<html><title>Sign in</title></html>"),
        (404, {"Content-Type": "text/html"}, b"<html><title>Not found</title></html>"),
        (200, {"Content-Type": "application/json"}, b'{"hello": "world"}'),
        (401, {"Content-Type": "text/html"}, b"<html><title>Who?</title></html>"),
    ],
)
def test_another_site_is_not_taken_for_a_portal(
    producer: Producer, status: int, headers: dict[str, str], body: bytes
) -> None:
    with answering(status, headers, body) as url:
        producer.url = url
        finding = found(producer, "portal.not_udata", exits=1)

    assert finding["where"] == line_of(producer, "url =")
    assert "https://www.data.gouv.fr" in finding["right"]


def test_a_redirection_gives_the_address_to_write(producer: Producer) -> None:
    elsewhere = {"Location": "https://www.portal.example/api/1/datasets/frequencies/"}
    with answering(301, elsewhere, b"") as url:
        producer.url = url
        finding = found(producer, "portal.redirected", exits=1)

    assert 'url = "https://www.portal.example"' in finding["right"]


@pytest.mark.parametrize(
    ("seconds", "level", "words"),
    [(7200.0, "error", "2 hours ahead"), (-600.0, "warning", "10 minutes behind")],
)
def test_a_wrong_clock_is_told_with_how_much(
    producer: Producer, seconds: float, level: str, words: str
) -> None:
    producer.configure()

    findings = examine(load(producer.config, {}), clock=lambda: time.time() + seconds)

    (finding,) = [each for each in findings if each.code == "portal.clock"]
    assert (finding.level, words in finding.what) == (level, True)
    assert finding.where == line_of(producer, "url =")
    assert "timedatectl set-ntp true" in finding.right


# ---------------------------------------------------------------------------------------- datasets


@pytest.mark.parametrize(
    ("label", "code", "words"),
    [
        ("deleted", "dataset.deleted", "Restore it"),
        ("archived", "dataset.archived", "out of the archive"),
        ("harvested", "dataset.harvested", "Publish at its source"),
        ("other", "dataset.no_right", "administrator of “Autre organisation” must add prod@"),
        ("otherpriv", "dataset.not_found", "if it is private"),
    ],
)
def test_a_dataset_that_cannot_be_fed_is_told_with_what_to_do(
    producer: Producer, portal: Sandbox, label: str, code: str, words: str
) -> None:
    producer.dataset = portal.datasets[label]

    finding = found(producer, code, exits=1)

    assert finding["level"] == "error"
    assert finding["where"] == line_of(producer, "dataset =")
    assert words in finding["right"]


def test_a_dataset_of_very_many_resources_is_told(
    producer: Producer, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.upload(producer.dataset, "a.csv", b"a")
    monkeypatch.setattr("publisher_daemon.check._datasets._MANY", 1)
    producer.configure()

    findings = examine(load(producer.config, {}), clock=time.time)

    assert "dataset.large" in [each.code for each in findings if each.level == "warning"]


def test_an_unknown_dataset_is_told_as_absent_or_private(producer: Producer) -> None:
    feeding = producer.dataset
    producer.dataset = "0" * 24
    producer.drop("a.csv", b"a;b\n1;2\n")
    beside = producer.home / "beside"
    beside.mkdir()
    (beside / "b.csv").write_bytes(b"a;b\n1;2\n")
    producer.more = f'[[folders]]\npath = "{beside}"\ndataset = "{feeding}"\nquiet = "300ms"\n'

    what = found(producer, "dataset.not_found", exits=1)["what"]
    planned = producer.ask("plan", code=1)["datasets"]
    done = producer.once(code=1)

    assert "either there is none, or it is private" in what
    assert {one["dataset"]: one["trouble"] is None for one in planned} == {
        feeding: True, producer.dataset: False,
    }  # fmt: skip
    # the others go their way, and the file is told the same as the administrator
    assert what in done["a.csv"]["why"]
    assert "Copy the id from the dataset's page" in done["a.csv"]["why"]
    assert done["b.csv"]["state"] == "published"


def test_a_partial_editor_is_told_who_must_assign_the_dataset(
    producer: Producer, portal: Sandbox
) -> None:
    producer.key = portal.tokens["partial"]

    right = found(producer, "dataset.no_right", exits=1)["right"]

    assert "an administrator of it must assign this dataset" in right


def test_a_private_dataset_works_with_a_warning(producer: Producer, portal: Sandbox) -> None:
    producer.dataset = portal.datasets["priv"]

    finding = found(producer, "dataset.private", exits=0)

    assert "whoever has the address" in finding["what"]


def test_a_slug_works_and_the_id_to_write_is_printed(producer: Producer, portal: Sandbox) -> None:
    producer.dataset = "jeu-public"

    finding = found(producer, "dataset.slug", exits=0)

    assert f'"{portal.datasets["pub"]}"' in finding["right"]


def test_a_pinned_resource_that_is_not_there_is_told(producer: Producer) -> None:
    producer.rules = (
        '[[folders.resources]]\nmatch = "a.csv"\nresource = "0a1b2c3d-0000-4000-8000-0123456789ab"'
    )

    finding = found(producer, "dataset.no_such_resource", exits=1)

    assert finding["where"] == line_of(producer, "resource =")


def test_a_pinned_resource_that_is_a_link_is_told(producer: Producer, api: Api) -> None:
    link = api.json(
        "POST",
        f"1/datasets/{producer.dataset}/resources/",
        payload={
            "title": "Ailleurs",
            "url": "https://files.example.org/a.csv",
            "filetype": "remote",
            "type": "main",
            "format": "csv",
        },
    )
    producer.rules = f'[[folders.resources]]\nmatch = "a.csv"\nresource = "{link["id"]}"'

    assert "“Ailleurs”" in found(producer, "dataset.remote_resource", exits=1)["what"]


def test_several_folders_of_one_dataset_are_fine(producer: Producer) -> None:
    (producer.home / "second").mkdir()
    (producer.home / "second/b.csv").write_text("b")
    producer.more = (
        f'[[folders]]\npath = "{producer.home}/second"\ndataset = "{producer.dataset}"\n'
    )

    assert "fed by 2 folders" in found(producer, "dataset.read", exits=0)["what"]


def test_a_zone_and_a_reason_of_access_that_the_portal_does_not_know_are_told(
    producer: Producer,
) -> None:
    producer.more = (
        f'[[datasets]]\nid = "{producer.dataset}"\naccess_type = "restricted"\n'
        'access_type_reason_category = "parce que"\nspatial = { zones = ["fr:lune:1"] }\n'
    )

    reason = found(producer, "dataset.access_reason", exits=1)
    zone = found(producer, "dataset.zone", exits=1)

    assert reason["where"] == line_of(producer, "parce que")
    assert "“parce que”" in reason["what"]
    assert zone["where"] == line_of(producer, "fr:lune:1")
    assert "“fr:lune:1”" in zone["what"]


def test_an_unknown_license_is_an_error_as_it_would_clear_the_portal_s(
    producer: Producer,
) -> None:
    producer.more = f'[[datasets]]\nid = "{producer.dataset}"\nlicense = "lov3"\n'

    finding = found(producer, "dataset.license", exits=1)

    assert "clear the license" in finding["what"]
    assert '"lov2"' in finding["right"]


@pytest.mark.parametrize(
    ("vocabulary", "known", "code", "right"),
    [
        ("frequencies", [{"id": "weekly"}], "dataset.frequency", "Known ones: weekly."),
        ("resource_types", [{"id": "maine"}], "dataset.type", 'Perhaps "maine" is meant.'),
        ("schemas", [{"name": "etalab/schema-a"}], "dataset.schema", '"etalab/schema-a"'),
    ],
)
def test_a_word_the_portal_does_not_know_is_told_with_the_nearest(
    producer: Producer,
    portal: Sandbox,
    *,
    vocabulary: str,
    known: list[dict[str, str]],
    code: str,
    right: str,
) -> None:
    producer.rules = (
        '[[folders.resources]]\nmatch = "a.csv"\ntype = "main"\nschema = "etalab/schema-b"\n'
    )
    producer.more = f'[[datasets]]\nid = "{producer.dataset}"\nfrequency = "daily"\n'
    path = f"GET /api/1/datasets/{vocabulary}/"
    portal.faults([{"match": path, "status": 200, "body": known}])

    assert right in found(producer, code, exits=1)["right"]


def test_schemas_are_not_checked_when_their_catalogue_is_down(
    producer: Producer, portal: Sandbox
) -> None:
    producer.rules = '[[folders.resources]]\nmatch = "a.csv"\nschema = "etalab/schema-b"\n'
    portal.faults([{"match": "GET /api/1/datasets/schemas/", "status": 503}])

    assert found(producer, "dataset.schemas_unknown", exits=0)["level"] == "warning"


def test_a_portal_that_fails_on_one_dataset_is_told_with_the_others(
    producer: Producer, portal: Sandbox
) -> None:
    producer.more = f'[[datasets]]\nid = "{portal.datasets["priv"]}"\ntags = ["air"]\n'
    portal.faults([{"match": f"GET /api/2/datasets/{producer.dataset}/$", "status": 500}])

    told = levels(producer, exits=75)

    assert told["portal.unreachable"] == "error"
    assert told["dataset.private"] == "warning"
