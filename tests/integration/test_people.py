"""People are told: real mails, real posts, through the command, with the real portal."""

from __future__ import annotations

import json
import sqlite3
import time

import pytest
from colleague import Api
from producer import Producer
from proxy import Proxy
from sinks import HttpSink, MailSink
from waiting import wait_until

from publisher_daemon import daemon, log
from publisher_daemon.config import load
from publisher_daemon.daemon.people import People
from publisher_daemon.log import Recent


def alerts(producer: Producer, *addresses: str, **more: str) -> None:
    said = {"to": json.dumps(list(addresses)), "patience": '"0s"', **more}
    producer.more = "[alerts]\n" + "".join(f"{name} = {value}\n" for name, value in said.items())


def test_a_refused_file_is_told_once_by_mail_and_told_when_it_is_published(
    producer: Producer, api: Api
) -> None:
    with MailSink() as mail:
        producer.settings["language"] = '"fr"'
        alerts(producer, mail.address, contact='"Zoé, poste 12"')
        producer.drop("relevé.parquet", b"x")
        producer.once(code=1)
        producer.once(code=1)

        ((subject, body),) = mail.texts()
        assert "1 fichier de" in subject
        assert "n’est pas publié" in subject
        assert "relevé.parquet\u00a0: Le portail n’accepte pas les fichiers .parquet." in body
        assert "rien encore" in body
        assert "À qui demander\u00a0: Zoé, poste 12" in body
        assert api.dataset(producer.dataset)["page"] in body
        assert producer.key not in b"".join(mail.raw).decode("utf-8", "replace")

        (producer.folder / "relevé.parquet").rename(producer.folder / "relevé.csv")
        producer.once()
        producer.once()

        assert [one for one, _ in mail.texts()[1:]] == [mail.texts()[1][0]]
        assert "Rentré dans l’ordre" in mail.texts()[1][0]


def test_five_hundred_refused_files_are_one_short_mail_then_one_in_each_digest_then_one_well_again(
    producer: Producer,
) -> None:
    with MailSink() as mail:
        alerts(producer, mail.address, digest_every='"50ms"')
        for number in range(500):
            producer.drop(f"releve-{number:03}.parquet", b"x")

        producer.once(code=1)
        ((subject, body),) = mail.texts()
        producer.once(code=1)
        (_, (again, _)) = mail.texts()
        for each in producer.folder.iterdir():
            each.unlink()
        producer.once()
        producer.once()
        (*_, (well, over)) = mail.texts()

    assert "500 files of" in subject
    assert "are not published" in subject
    assert "releve-000.parquet, releve-001.parquet" in body
    assert "… and 480 more." in body
    assert len(body.splitlines()) < 60
    assert "still needs attention" in again
    assert "Back to normal" in well
    assert "every file of" in over
    assert len(mail.raw) == 3


def test_a_folder_that_goes_and_comes_back_is_told_by_mail(producer: Producer) -> None:
    with MailSink() as mail:
        alerts(producer, mail.address)
        producer.drop("a.csv", b"a;b\n")
        producer.once()
        away = producer.folder.with_name("away")
        producer.folder.rename(away)
        producer.once(code=1)
        producer.once(code=1)
        away.rename(producer.folder)
        producer.once()
        producer.once()
        (lost, body), (back, _) = mail.texts()

    assert "cannot be used" in lost
    assert str(producer.folder) in body
    assert "What is published stays published, as it is." in body
    assert "Mount or restore the folder" in body
    assert "Back to normal" in back


def test_a_dataset_that_is_not_there_is_told_as_such_and_not_as_a_lost_folder(
    producer: Producer,
) -> None:
    with MailSink() as mail:
        producer.settings["language"] = '"fr"'
        alerts(producer, mail.address)
        producer.dataset = "5bbb6d6cff66bd4dc17bfd5a"
        producer.drop("a.csv", b"a;b\n")
        producer.once(code=1)
        ((subject, body),) = mail.texts()

    assert "Rien ne peut être publié sur" in subject
    assert "ne montre aucun jeu de données" in body
    assert "Faites ce que dit la raison" in body
    assert "Montez" not in body


def test_a_word_that_both_changed_is_told_by_mail_and_told_when_it_is_decided(
    producer: Producer, api: Api
) -> None:
    with MailSink() as mail:
        alerts(producer, mail.address)
        told, page = producer.more, f'\n[[datasets]]\nid = "{producer.dataset}"\n'
        producer.more = f'{told}{page}description = "Ours."'
        producer.once()
        api.edit_dataset(producer.dataset, description="Theirs.")
        producer.more = f'{told}{page}description = "Ours anew."'
        producer.once(code=1)

        ((subject, body),) = mail.texts()
        assert "is not as configured" in subject
        assert "description: It was changed both in the configuration and on the portal." in body

        producer.more = f'{told}{page}description = "Theirs."'
        producer.once()

        assert ["Back to normal" in again for again, _ in mail.texts()[1:]] == [True]


def test_what_was_wrong_before_a_start_is_not_told_before_somebody_looked(
    distant: Producer, proxy: Proxy
) -> None:
    away = distant.folder.with_name("away")
    distant.drop("a.csv", b"a;b\n")
    distant.folder.rename(away)
    distant.once(code=1)  # nobody is to be told yet
    away.rename(distant.folder)
    with MailSink() as mail:
        alerts(distant, mail.address)
        proxy.rule(f"GET /api/2/datasets/{distant.dataset}/$", delay=1.5)
        with distant.start() as service:
            service.wait_for("dataset.reconciled")
            service.stop()

        assert mail.texts() == []


def test_a_dataset_the_portal_shows_as_late_is_told_once_by_mail(
    distant: Producer, api: Api, proxy: Proxy
) -> None:
    with MailSink() as mail:
        alerts(distant, mail.address)
        distant.settings["language"] = '"fr"'
        distant.drop("a.csv", b"a;b\n")
        distant.once()
        # the real answer, a day and a half later: nobody can wait for that
        shown = api.json("GET", f"2/datasets/{distant.dataset}/")
        quality = {**shown["quality"], "update_fulfilled_in_time": False}
        late = {**shown, "quality": quality, "frequency": "daily"}
        proxy.rule(
            f"^GET /api/2/datasets/{distant.dataset}/$",
            status=200, body=json.dumps(late).encode(), content_type="application/json",
        )  # fmt: skip
        said = distant.call("once")
        distant.once()
        proxy.clear()
        distant.once()
        distant.once()
        (subject, body), (well, _) = mail.texts()

    assert said.stderr.count('"dataset.delayed"') == 1
    assert "est en retard, dit le portail" in subject
    assert "sa fréquence est «\u00a0daily\u00a0»" in body
    assert "Déposez les nouvelles données dans le dossier" in body
    assert "est à jour, dit le portail" in well


def test_an_address_that_fails_gets_its_message_later_and_the_others_not_twice(
    producer: Producer,
) -> None:
    with MailSink() as mail, HttpSink(status=500) as chat:
        alerts(producer, mail.address, f"json://secret-user:secret-pass@127.0.0.1:{chat.port}/hook")
        producer.drop("a.parquet", b"x")
        with producer.start() as service:
            service.wait_for("message.sent")
            service.wait_for("message.failed")
            service.stop()
        chat.status = 200
        # the minute of the first wait is over
        ledger = sqlite3.connect(producer.state / "ledger.sqlite3")
        ((kept,),) = ledger.execute("SELECT value FROM cache WHERE name='alerts'").fetchall()
        memory = json.loads(kept)
        assert memory["letters"][0]["again"] > time.time()
        memory["letters"][0]["again"] = 0
        with ledger:
            ledger.execute("UPDATE cache SET value=? WHERE name='alerts'", [json.dumps(memory)])
        ledger.close()
        producer.once(code=1)

        assert len(mail.raw) == 1
        assert len(chat.requests) == 2
        assert "a.parquet" in chat.requests[1][2]
        everything = kept + Recent(producer.state).text() + service.log.read_text()
        assert "secret-pass" not in everything


def test_an_expected_file_that_does_not_come_is_told_and_told_to_have_come(
    producer: Producer,
) -> None:
    with HttpSink() as chat:
        alerts(producer, f"json://127.0.0.1:{chat.port}")
        producer.folder_settings["expect"] = '"daily by 00:00"'
        producer.settings |= {"timezone": '"UTC"', "language": '"fr"'}
        producer.once()
        assert chat.requests == []  # nobody promised anything before this machine looked

        ledger = sqlite3.connect(producer.state / "ledger.sqlite3")
        ((kept,),) = ledger.execute("SELECT value FROM cache WHERE name='alerts'").fetchall()
        with ledger:
            memory = {**json.loads(kept), "first": time.time() - 5 * 86400}
            ledger.execute("UPDATE cache SET value=? WHERE name='alerts'", [json.dumps(memory)])
        ledger.close()
        said = producer.call("once")
        assert '"file.missed"' in said.stderr
        assert "n’est pas arrivé" in json.loads(chat.requests[0][2])["title"]
        assert "(chaque jour avant 00:00)" in json.loads(chat.requests[0][2])["message"]

        producer.drop("a.csv", b"a\n")
        producer.once()
        producer.once()
        assert "est arrivé" in json.loads(chat.requests[-1][2])["message"]
        assert len(chat.requests) == 2


def test_signs_of_life_stop_when_the_portal_is_away(distant: Producer, proxy: Proxy) -> None:
    with HttpSink() as watch:
        alerts(
            distant,
            heartbeat=f'"http://127.0.0.1:{watch.port}/ping/0123"',
            heartbeat_every='"200ms"',
        )
        distant.settings["rescan_every"] = '"1s"'
        with distant.start() as service:
            wait_until(lambda: len(watch.requests) >= 2, 30, "two signs of life")
            proxy.rule(".*", status=503)
            distant.drop("a.csv", b"a")
            service.wait_for("portal.unreachable")
            seen = len(watch.requests)
            service.wait_for("portal.unreachable", 2)
            service.stop()

        assert watch.requests[0][:2] == ("GET", "/ping/0123")
        assert len(watch.requests) <= seen + 1


def test_an_address_nobody_understands_ends_with_78_and_is_not_shown(producer: Producer) -> None:
    alerts(producer, "carrierpigeon://user:secret-pass@roof")

    done = producer.call("once")

    assert done.returncode == 78
    assert "[alerts] to[1]" in done.stderr
    assert "secret-pass" not in done.stderr


def test_a_key_that_ends_soon_is_told_once(producer: Producer) -> None:
    with HttpSink() as chat:
        alerts(producer, f"json://127.0.0.1:{chat.port}")
        producer.once()
        ledger = sqlite3.connect(producer.state / "ledger.sqlite3")
        ends = json.dumps({"ends": time.time() + 5 * 86400})
        with ledger:
            ledger.execute("INSERT OR REPLACE INTO cache VALUES ('key', ?, ?)", [ends, time.time()])
        ledger.close()
        producer.once()
        producer.once()

        (told,) = [json.loads(body) for _, _, body in chat.requests]
        assert "API key ends in less than 30 days" in told["message"]
        assert "API key ends in less than 7 days" in told["message"]
        assert "1 day\n" not in told["message"]


def test_a_fault_in_telling_stops_no_publishing(
    producer: Producer, api: Api, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a fault of our own")

    monkeypatch.setattr(People, "round", fail)
    producer.drop("a.csv", b"a\n")
    settings = load(producer.configure(), {})
    log.configure(secrets=settings.secrets())

    assert daemon.once(settings) == 0
    assert len(api.resources(producer.dataset)) == 1
    assert '"telling.failed"' in capfd.readouterr().err
