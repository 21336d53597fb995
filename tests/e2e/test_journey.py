"""The whole journey, through the command, on the real portal."""

from __future__ import annotations

import shutil
import signal
import subprocess
import unicodedata
from functools import partial
from typing import Any

import pytest
from colleague import Api
from launcher import Sandbox
from producer import Producer
from proxy import Proxy
from sources import fingerprint
from waiting import wait_until


def only(api: Api, dataset: str) -> dict[str, Any]:
    found = api.resources(dataset)
    assert len(found) == 1, [one["title"] for one in found]
    return found[0]


def test_a_new_file_becomes_a_resource_with_its_bytes_title_and_link(
    producer: Producer, api: Api
) -> None:
    sha1 = producer.drop("qualité de l'air 2026.csv", "jour;valeur\n1;é\n".encode())

    file = producer.once()["qualité de l'air 2026.csv"]

    found = only(api, producer.dataset)
    assert (file["state"], file["sha1"], file["resource_id"]) == ("published", sha1, found["id"])
    assert file["url"] == found["latest"]
    assert found["title"] == "qualité de l'air 2026.csv"
    assert found["checksum"] == {"type": "sha1", "value": sha1}
    # extras are public: neither where the folder is nor whose it is
    assert found["extras"] == {
        "publisher-daemon:folder": producer.folder.name,
        "publisher-daemon:path": "qualité de l'air 2026.csv",
        "publisher-daemon:sha1": sha1,
    }
    assert api.download(found) == "jour;valeur\n1;é\n".encode()


def test_the_same_bytes_send_nothing(producer: Producer, api: Api, proxy: Proxy) -> None:
    producer.url = proxy.url
    producer.drop("a.csv", b"a;b\n1;2\n")
    producer.once()
    before = api.dataset(producer.dataset)["last_modified"]
    proxy.forget()

    (producer.folder / "a.csv").touch()
    producer.once()

    assert [one.method for one in proxy.requests if one.method not in {"GET", "HEAD"}] == []
    assert api.dataset(producer.dataset)["last_modified"] == before


def test_a_changed_file_replaces_its_resource_and_keeps_link_and_words(
    producer: Producer, api: Api
) -> None:
    producer.drop("a.csv", b"a;b\n1;2\n")
    first = producer.once()["a.csv"]
    api.edit_resource(
        producer.dataset,
        first["resource_id"],
        title="Un beau titre",
        description="Écrit par une collègue",
        type="documentation",
        extras={**only(api, producer.dataset)["extras"], "visible": "oui"},
        schema={"name": "ville/qualite-air", "version": "1.0.0"},
    )

    sha1 = producer.drop("a.csv", b"a;b\n3;4\n5;6\n")
    second = producer.once()["a.csv"]

    found = only(api, producer.dataset)
    assert (second["resource_id"], second["url"]) == (first["resource_id"], first["url"])
    assert found["checksum"]["value"] == second["sha1"] == sha1
    assert found["title"] == "Un beau titre"
    assert found["description"] == "Écrit par une collègue"
    assert found["type"] == "documentation"
    assert found["extras"]["visible"] == "oui"
    assert found["schema"] == {"name": "ville/qualite-air", "version": "1.0.0", "url": None}
    assert api.download(found) == b"a;b\n3;4\n5;6\n"


def test_a_renamed_file_keeps_its_resource(producer: Producer, api: Api) -> None:
    producer.drop("brouillon.csv", b"a\n1\n")
    first = producer.once()["brouillon.csv"]

    (producer.folder / "sous").mkdir()
    (producer.folder / "brouillon.csv").rename(producer.folder / "sous" / "mesures.csv")
    files = producer.once()

    assert files["sous/mesures.csv"]["resource_id"] == first["resource_id"]
    assert "brouillon.csv" not in files
    assert only(api, producer.dataset)["latest"] == first["url"]


def test_a_deleted_file_keeps_its_resource_unless_told_otherwise(
    producer: Producer, api: Api
) -> None:
    for name in ("a.csv", "b.csv", "c.csv"):
        producer.drop(name, name.encode())
    producer.once()

    (producer.folder / "a.csv").unlink()
    assert producer.once()["a.csv"]["state"] == "kept"
    assert len(api.resources(producer.dataset)) == 3

    producer.folder_settings |= {"when_deleted": '"withdraw"', "withdraw_after": '"1s"'}
    files = producer.once()

    assert files["a.csv"]["state"] == "withdrawn"
    assert {found["title"] for found in api.resources(producer.dataset)} == {"b.csv", "c.csv"}


def test_an_emptied_folder_withdraws_nothing(producer: Producer, api: Api) -> None:
    producer.folder_settings |= {"when_deleted": '"withdraw"', "withdraw_after": '"300ms"'}
    for name in ("a.csv", "b.csv"):
        producer.drop(name, name.encode())
    producer.once()

    for file in producer.folder.iterdir():
        file.unlink()
    files = producer.once(code=1)

    assert {file["state"] for file in files.values()} == {"held"}
    assert len(api.resources(producer.dataset)) == 2


def test_a_missing_folder_withdraws_nothing_and_says_so(producer: Producer, api: Api) -> None:
    producer.folder_settings |= {"when_deleted": '"withdraw"', "withdraw_after": '"300ms"'}
    producer.drop("a.csv", b"a")
    producer.drop("b.csv", b"b")
    producer.once()

    producer.folder.rename(producer.home / "ailleurs")
    answer = producer.ask("once", code=1)

    assert str(producer.folder) in answer["datasets"][0]["trouble"]
    assert len(api.resources(producer.dataset)) == 2


def test_losing_the_state_uploads_nothing_and_makes_no_twin(
    producer: Producer, proxy: Proxy
) -> None:
    producer.url = proxy.url
    producer.drop("a.csv", b"a")
    producer.drop("x,y.csv", b"virgule")
    producer.drop("x y.csv", b"espace")
    first = producer.once()
    shutil.rmtree(producer.state)
    proxy.forget()

    again = producer.once()

    assert {path: file["resource_id"] for path, file in again.items()} == {
        path: file["resource_id"] for path, file in first.items()
    }
    assert [one.method for one in proxy.requests if one.method not in {"GET", "HEAD"}] == []


def test_a_file_changed_while_the_state_was_lost_is_replaced(producer: Producer, api: Api) -> None:
    producer.drop("a.csv", b"avant")
    first = producer.once()["a.csv"]
    shutil.rmtree(producer.state)

    sha1 = producer.drop("a.csv", b"apres")
    file = producer.once()["a.csv"]

    assert file["resource_id"] == first["resource_id"]
    assert only(api, producer.dataset)["checksum"]["value"] == sha1


def test_the_first_run_adopts_what_was_published_by_hand(producer: Producer, api: Api) -> None:
    by_hand = api.upload(producer.dataset, "mesures.csv", b"a;b\n")
    api.edit_resource(producer.dataset, by_hand["id"], title="Mesures de la ville")
    producer.drop("mesures.csv", b"a;b\n")

    file = producer.once()["mesures.csv"]

    found = only(api, producer.dataset)
    assert file["resource_id"] == by_hand["id"] == found["id"]
    assert found["title"] == "Mesures de la ville"


def test_the_same_name_with_other_bytes_is_held_until_a_person_says(
    producer: Producer, api: Api
) -> None:
    by_hand = api.upload(producer.dataset, "mesures.csv", b"ancien\n")
    sha1 = producer.drop("mesures.csv", b"nouveau\n")

    file = producer.once(code=1)["mesures.csv"]
    assert file["state"] == "held"
    assert by_hand["id"] in file["why"]
    assert len(api.resources(producer.dataset)) == 1

    done = producer.call("adopt", "mesures.csv", by_hand["id"])
    assert done.returncode == 0, done.stdout + done.stderr

    found = only(api, producer.dataset)
    assert (found["id"], found["checksum"]["value"]) == (by_hand["id"], sha1)


def test_bytes_changed_on_the_portal_are_held_then_retried(producer: Producer, api: Api) -> None:
    sha1 = producer.drop("a.csv", b"la notre\n")
    first = producer.once()["a.csv"]
    api.replace(producer.dataset, first["resource_id"], "leur.csv", b"la leur\n")

    file = producer.once(code=1)["a.csv"]
    assert file["state"] == "held"
    assert "retry" in file["why"]

    assert producer.call("retry", "a.csv").returncode == 0
    assert only(api, producer.dataset)["checksum"]["value"] == sha1


def test_a_resource_deleted_on_the_portal_is_held_then_published_again(
    producer: Producer, api: Api
) -> None:
    producer.drop("a.csv", b"a\n")
    producer.drop("b.csv", b"b\n")
    first = producer.once()["a.csv"]
    api.delete_resource(producer.dataset, first["resource_id"])

    assert producer.once(code=1)["a.csv"]["state"] == "held"
    assert len(api.resources(producer.dataset)) == 1

    assert producer.call("retry", "a.csv").returncode == 0
    assert {found["title"] for found in api.resources(producer.dataset)} == {"a.csv", "b.csv"}


def test_rules_give_words_and_pin_resources(producer: Producer, api: Api) -> None:
    pinned = api.upload(producer.dataset, "autre-nom.csv", b"vieux")
    producer.rules = f"""
[[folders.resources]]
match = "mesures_{{annee}}.csv"
title = "Mesures {{annee}}"
description = "Toutes les mesures de {{annee}}"
type = "update"

[[folders.resources]]
match = "fixe.csv"
resource = "{pinned["id"]}"
"""
    producer.drop("2026/mesures_2026.csv", b"m\n")
    sha1 = producer.drop("fixe.csv", b"neuf\n")

    files = producer.once()

    mine = api.resource(producer.dataset, files["2026/mesures_2026.csv"]["resource_id"])
    assert mine["title"] == "Mesures 2026"
    assert mine["description"] == "Toutes les mesures de 2026"
    assert mine["type"] == "update"
    assert files["fixe.csv"]["resource_id"] == pinned["id"]
    assert api.sha1s(producer.dataset)[pinned["id"]] == sha1


def test_a_schema_of_the_portals_catalogue_is_written_once_by_name_or_by_address(
    distant: Producer, portal: Sandbox, api: Api, proxy: Proxy
) -> None:
    name, unknown = "ville/qualite-air", "http://127.0.0.1:65535/x.json"
    said = {
        "nom": name,
        "neuf": f"{portal.url}/schemas/{name}/latest/schema.json",
        "fixe": f"{portal.url}/schemas/{name}/1.1.0/schema.json",
        "autre": unknown,
    }
    # the configuration wins: what the portal shows otherwise would be written for ever
    distant.settings["on_drift"] = '"enforce"'
    distant.rules = "".join(
        f'\n[[folders.resources]]\nmatch = "{stem}.csv"\nschema = "{schema}"\n'
        for stem, schema in said.items()
    )
    for value in (1, 2):
        for stem in said:
            distant.drop(
                f"{stem}.csv", f"station;jour;valeur\n{stem};2026-11-21;{value}\n".encode()
            )
        files = distant.once()
    proxy.forget()

    distant.once()

    assert {
        stem: api.resource(distant.dataset, files[f"{stem}.csv"]["resource_id"])["schema"]
        for stem in said
    } == {
        "nom": {"name": name, "version": None, "url": None},
        "neuf": {"name": name, "version": None, "url": None},
        "fixe": {"name": name, "version": "1.1.0", "url": None},
        "autre": {"name": None, "version": None, "url": unknown},
    }
    assert [one for one in proxy.requests if one.method not in {"GET", "HEAD"}] == []


def test_configured_words_and_a_colleagues_words_do_not_fight(producer: Producer, api: Api) -> None:
    producer.rules = '\n[[folders.resources]]\nmatch = "*.csv"\ntitle = "Notre titre"\n'
    producer.drop("a.csv", b"a\n")
    file = producer.once()["a.csv"]
    api.edit_resource(producer.dataset, file["resource_id"], title="Leur titre")

    producer.drop("a.csv", b"a2\n")
    producer.once()

    assert only(api, producer.dataset)["title"] == "Leur titre"


NAMES = [
    "日本語.csv",
    "😀.csv",
    "l'été à Nîmes (2024) – v2.csv",
    unicodedata.normalize("NFD", "éléphant.csv"),
    'guillemets "doubles".csv',
    "UPPER CASE.CSV",
    "x,y.csv",
    "x;y.csv",
    "x y.csv",
    "a" * 251 + ".csv",
    "archive.2026.csv.gz",
    "_.csv",
    "retour\nligne.csv",
]


def test_names_in_any_alphabet_are_right(producer: Producer, api: Api) -> None:
    sums = {name: producer.drop(name, f"contenu de {name}".encode()) for name in NAMES}
    nfc = unicodedata.normalize("NFC", "éléphant.csv")
    sums[nfc] = producer.drop(nfc, b"compose")

    files = producer.once()

    assert {name: files[name]["state"] for name in sums} == dict.fromkeys(sums, "published")
    assert len({files[name]["resource_id"] for name in sums}) == len(sums)
    on_portal = api.sha1s(producer.dataset)
    assert {name: on_portal[files[name]["resource_id"]] for name in sums} == sums
    titles = {found["id"]: found["title"] for found in api.resources(producer.dataset)}
    assert titles[files["日本語.csv"]["resource_id"]] == "日本語.csv"


def test_a_name_that_is_not_utf8_is_published(producer: Producer, api: Api) -> None:
    sha1 = producer.drop(b"donn\xe9es.csv", b"latin-1")

    file = producer.once()["donn%E9es.csv"]

    assert file["state"] == "published"
    assert only(api, producer.dataset)["checksum"]["value"] == sha1


@pytest.mark.parametrize("name", ["sans_extension", "donnees.parquet", "x.csv.sauvegarde"])
def test_what_the_portal_would_refuse_is_refused_before_anything_is_sent(
    producer: Producer, api: Api, name: str
) -> None:
    producer.drop(name, b"a\n")

    file = producer.once(code=1)[name]

    assert file["state"] == "held"
    assert "extension" in file["why"] or "accept" in file["why"]
    assert api.resources(producer.dataset) == []


@pytest.mark.parametrize("name", ["~$classeur.xlsx", ".cache.csv", "a.csv.part", "a.csv~"])
def test_lock_hidden_and_temporary_files_are_ignored(
    producer: Producer, api: Api, name: str
) -> None:
    producer.drop(name, b"x")

    assert producer.once()[name]["state"] == "ignored"
    assert api.resources(producer.dataset) == []


def test_an_empty_file_is_held_with_a_reason(producer: Producer, api: Api) -> None:
    producer.drop("vide.csv", b"")

    file = producer.once(code=1)["vide.csv"]

    assert file["state"] == "held"
    assert api.resources(producer.dataset) == []


@pytest.mark.parametrize(
    ("which", "words"),
    [
        ("deleted", "deleted"),
        ("archived", "archived"),
        ("harvested", "harvester"),
        ("other", "may not edit"),
    ],
)
def test_a_dataset_that_cannot_take_files_is_held_before_any_upload(
    producer: Producer, api: Api, portal: Sandbox, which: str, words: str
) -> None:
    producer.dataset = portal.datasets[which]
    producer.drop("a.csv", b"a\n")
    before = len(api.resources(producer.dataset))

    file = producer.once(code=1)["a.csv"]

    assert file["state"] == "held"
    assert words in file["why"]
    assert len(api.resources(producer.dataset)) == before


def test_two_folders_feed_one_dataset(producer: Producer, api: Api) -> None:
    other = producer.home / "autre"
    other.mkdir()
    (other / "a.csv").write_bytes(b"autre\n")
    producer.drop("a.csv", b"premier\n")
    producer.more = (
        f'[[folders]]\npath = "{other}"\ndataset = "{producer.dataset}"\nquiet = "300ms"\n'
    )

    producer.once()

    assert len(api.resources(producer.dataset)) == 2
    assert producer.once()["a.csv"]["state"] == "published"
    assert len(api.resources(producer.dataset)) == 2


def test_a_slug_is_resolved_once_and_follows_the_dataset(producer: Producer, api: Api) -> None:
    identifier = producer.dataset
    producer.dataset = api.dataset(identifier)["slug"]
    producer.drop("a.csv", b"a\n")
    producer.once()

    api.edit_dataset(identifier, title=f"Un autre titre {identifier}")
    sha1 = producer.drop("a.csv", b"b\n")
    producer.once()

    assert only(api, identifier)["checksum"]["value"] == sha1


def test_one_dataset_is_written_to_by_one_request_at_a_time(
    distant: Producer, api: Api, proxy: Proxy
) -> None:
    at_work: list[int] = []
    together: list[int] = []

    def begin() -> None:
        at_work.append(1)
        together.append(len(at_work))

    def holds(wanted: set[str]) -> bool:
        return set(api.sha1s(distant.dataset).values()) == wanted

    proxy.rule("^(POST|PUT|DELETE) ", on_request=begin, on_reply=at_work.pop, delay=0.1)
    other = distant.home / "autre"
    other.mkdir()
    distant.settings["workers"] = "4"
    distant.more = (
        f'[[folders]]\npath = "{other}"\ndataset = "{distant.dataset}"\nquiet = "300ms"\n'
        f'[[datasets]]\nid = "{distant.dataset}"\nfrequency = "daily"\n'
    )
    with distant.start():
        for content in ("avant", "apres"):
            for place, name in ((distant.folder, "a"), (distant.folder, "b"), (other, "c")):
                (place / f"{name}.csv").write_text(content + name)
            distant.call("refresh")
            wanted = {fingerprint(f"{content}{name}".encode()).sha1 for name in "abc"}
            wait_until(partial(holds, wanted), 30, "all published")
        # three creations and three replacements, their words, which follow, and the page
        wait_until(lambda: len(together) >= 3 + 3 + 6 + 1, 30, "all written")

    assert api.dataset(distant.dataset)["frequency"] == "daily"
    assert max(together) == 1


def test_the_service_publishes_replaces_and_stops(producer: Producer, api: Api) -> None:
    with producer.start() as service:
        sha1 = producer.drop("a.csv", b"a;b\n1;2\n")
        wait_until(
            lambda: set(api.sha1s(producer.dataset).values()) == {sha1}, 20, "the file published"
        )
        first = only(api, producer.dataset)
        sha1 = producer.drop("a.csv", b"a;b\n3;4\n")
        wait_until(
            lambda: set(api.sha1s(producer.dataset).values()) == {sha1}, 20, "the file replaced"
        )
        service.wait_for("resource.replaced")
        assert only(api, producer.dataset)["id"] == first["id"]
        assert service.stop() == 0
    assert service.events("daemon.stopped")


def test_a_second_instance_says_so_and_exits_1(producer: Producer) -> None:
    with producer.start():
        done = producer.call("run")

    assert done.returncode == 1
    assert "instance" in done.stderr


def test_a_refused_key_exits_77_and_an_absent_portal_75(
    producer: Producer, portal: Sandbox
) -> None:
    producer.drop("a.csv", b"a\n")
    producer.key = portal.tokens["revoked"]
    refused = producer.call("once")
    producer.url = "http://127.0.0.1:9"
    absent = producer.call("once")

    assert (refused.returncode, absent.returncode) == (77, 75)
    assert portal.tokens["revoked"] not in refused.stdout + refused.stderr


def test_plan_says_what_would_be_done_and_does_nothing(producer: Producer, api: Api) -> None:
    producer.drop("a.csv", b"a\n")

    answer = producer.ask("plan", code=0)

    (action,) = answer["datasets"][0]["actions"]
    assert (action["action"], action["path"]) == ("upload", "a.csv")
    assert api.resources(producer.dataset) == []
    assert not (producer.state / "ledger.sqlite3").exists()


def test_history_and_explain_tell_the_story(producer: Producer) -> None:
    sha1 = producer.drop("a.csv", b"a\n")
    producer.once()

    actions = [row["action"] for row in producer.ask("history", "a.csv", code=0)["history"]]
    explained = producer.ask("explain", "a.csv", code=0)

    assert actions[0] == "resource.created"
    assert explained["sha1"] == sha1
    assert explained["explanation"]


def test_status_remote_compares_what_the_links_serve(producer: Producer, api: Api) -> None:
    sha1 = producer.drop("a.csv", b"a\n")
    published = producer.once()["a.csv"]
    by_hand = api.upload(producer.dataset, "autre.csv", b"autre\n")

    (view,) = producer.ask("status", "--remote", code=0)["datasets"]

    shown = {found["resource_id"]: found for found in view["remote"]["resources"]}
    assert shown[published["resource_id"]]["served_sha1"] == sha1
    assert shown[published["resource_id"]]["same_as_published"] is True
    assert shown[by_hand["id"]]["same_as_published"] is None


def test_control_c_stops_a_pass_at_once_and_the_next_one_ends_it(
    producer: Producer, api: Api, proxy: Proxy
) -> None:
    producer.url = proxy.url
    proxy.rule("POST .*/upload/", delay=3.0, times=1)
    sha1 = producer.drop("a.csv", b"a\n")
    producer.configure()
    with subprocess.Popen(
        producer.command("once"), cwd=producer.home, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        wait_until(lambda: proxy.relaying("POST .*/upload/"), 20, "an upload under way")
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=60)

    assert running.returncode in {0, 1}
    assert b"Traceback" not in said
    assert producer.once()["a.csv"]["sha1"] == sha1
    assert only(api, producer.dataset)["checksum"]["value"] == sha1


def test_people_are_told_in_french_and_machines_in_english(producer: Producer) -> None:
    producer.settings["language"] = '"fr"'
    producer.drop("a.csv", b"a\n")
    producer.drop("b.parquet", b"b\n")

    said = producer.call("once")
    explained = producer.call("explain", "b.parquet")
    file = producer.status()["b.parquet"]

    assert "publié" in said.stdout
    assert "Le portail n’accepte pas les fichiers .parquet." in said.stdout
    assert "retenu" in explained.stdout
    assert file["state"] == "held"
    assert file["why"].startswith("The portal does not accept")
    assert "n’accepte pas" not in said.stderr
