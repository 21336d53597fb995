"""A dataset's page kept in step, on the real portal, without undoing a colleague."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from colleague import Api
from launcher import Sandbox
from metric_api import MetricApi
from producer import Producer, events
from proxy import Proxy

from publisher_daemon.ledger import Ledger
from publisher_daemon.model import DatasetId


def page(producer: Producer, said: str) -> None:
    producer.more = f'\n[[datasets]]\nid = "{producer.dataset}"\n{said}\n'


def test_what_is_configured_is_written_and_the_rest_is_left_alone(
    producer: Producer, api: Api
) -> None:
    api.edit_dataset(producer.dataset, tags=["air"], acronym="QA", frequency="weekly")
    page(
        producer,
        'description = "Une description."\nfrequency = "daily"\nlicense = "lov2"\n'
        'temporal_coverage = { start = "2020-01-01", end = "today" }',
    )

    (done,) = producer.ask("refresh", code=0)["datasets"]

    found = api.dataset(producer.dataset)
    assert set(done["changed"]) == {
        "description",
        "frequency",
        "license",
        "temporal_coverage",
    }
    assert (found["description"], found["frequency"], found["license"]) == (
        "Une description.",
        "daily",
        "lov2",
    )
    assert found["temporal_coverage"]["start"].startswith("2020-01-01")
    assert (found["tags"], found["acronym"]) == (["air"], "QA")


def test_nothing_is_written_when_nothing_changes(
    producer: Producer, api: Api, proxy: Proxy
) -> None:
    producer.url = proxy.url
    page(
        producer,
        'tags = ["Qualité de l\'air"]\ntitle = "Mesures"\n'
        'temporal_coverage = { start = "2020-01-01", end = "today" }\n'
        'spatial = { granularity = "other" }\nextras = { theme = "air" }',
    )
    producer.ask("refresh", code=0)
    before = api.dataset(producer.dataset)["last_modified"]
    proxy.forget()

    (done,) = producer.ask("refresh", code=0)["datasets"]

    assert done["changed"] == {}
    assert proxy.seen("^(PUT|POST|DELETE) ") == []
    assert api.dataset(producer.dataset)["last_modified"] == before


def test_a_private_dataset_stays_private(producer: Producer, api: Api, portal: Sandbox) -> None:
    producer.dataset = portal.new_dataset(private=True)
    page(producer, 'frequency = "daily"')

    producer.ask("refresh", code=0)

    assert api.dataset(producer.dataset)["private"] is True
    assert api.dataset(producer.dataset)["frequency"] == "daily"


def test_a_dataset_becomes_public_only_as_written_and_plan_says_so(
    producer: Producer, api: Api, portal: Sandbox
) -> None:
    producer.dataset = portal.new_dataset(private=True)
    page(producer, "private = false")

    planned = producer.call("plan").stdout
    assert api.dataset(producer.dataset)["private"] is True
    done = producer.call("refresh")

    assert "PRIVATE dataset PUBLIC" in planned
    assert "dataset.published" in done.stderr
    assert api.dataset(producer.dataset)["private"] is False


def test_a_colleagues_edit_is_kept_then_enforced_if_asked(producer: Producer, api: Api) -> None:
    page(producer, 'description = "La notre."')
    producer.ask("refresh", code=0)
    api.edit_dataset(producer.dataset, description="La leur.")

    (kept,) = producer.ask("refresh", code=0)["datasets"]
    assert api.dataset(producer.dataset)["description"] == "La leur."
    assert kept["drifts"] == [{"field": "description", "ours": "La notre.", "theirs": "La leur."}]

    producer.settings["on_drift"] = '"enforce"'
    producer.ask("refresh", code=0)
    assert api.dataset(producer.dataset)["description"] == "La notre."


def test_what_both_changed_is_held(producer: Producer, api: Api) -> None:
    page(producer, 'description = "Un."')
    producer.ask("refresh", code=0)
    api.edit_dataset(producer.dataset, description="Deux.")
    page(producer, 'description = "Trois."')

    (done,) = producer.ask("refresh", code=1)["datasets"]

    assert [(one["field"], one["ours"], one["theirs"]) for one in done["held"]] == [
        ("description", "Trois.", "Deux.")
    ]
    assert api.dataset(producer.dataset)["description"] == "Deux."


def test_words_that_the_portal_does_not_know_are_held_and_the_others_written(
    distant: Producer, api: Api, proxy: Proxy
) -> None:
    api.edit_dataset(distant.dataset, license="lov2", spatial={"zones": ["country:fr"]})
    page(
        distant,
        'license = "lov3"\nspatial = { zones = ["fr:departement:69", "fr:x:1"] }\nacronym = "QA"',
    )

    (planned,) = distant.ask("plan", code=1)["metadata"]
    (done,) = distant.ask("refresh", code=1)["datasets"]
    page(distant, 'spatial = { zones = [], granularity = "fr:communes" }\nacronym = "QA"')
    (granularity,) = distant.ask("refresh", code=1)["datasets"]
    page(distant, "spatial = { zones = [] }")
    distant.ask("refresh", code=0)

    found = api.dataset(distant.dataset)
    why = {one["field"]: one["why"] for one in done["held"]}
    assert {one["field"] for one in planned["held"]} == set(why) == {"license", "spatial"}
    assert "“lov3”: it would not refuse it, but clear" in why["license"]
    assert "zone “fr:x:1”" in why["spatial"]
    assert "granularity “fr:communes”" in granularity["held"][0]["why"]
    assert (found["license"], found["acronym"], found["spatial"]["zones"]) == ("lov2", "QA", [])
    assert len(proxy.seen("^PUT ")) == 2


def test_plan_says_what_a_refresh_would_refuse(
    distant: Producer, portal: Sandbox, proxy: Proxy
) -> None:
    page(distant, 'frequency = "daily"')
    distant.more += distant.more.replace(distant.dataset, portal.datasets["harvested"])
    distant.key = portal.tokens["partial"]

    planned = distant.ask("plan", code=1)
    distant.key = portal.tokens["prod"]
    done = distant.ask("refresh", portal.datasets["harvested"], code=1)["datasets"][0]

    assert [one["trouble"] is not None for one in planned["datasets"]] == [False, True, True]
    assert planned["metadata"] == []
    assert "fed by a harvester" in done["trouble"]
    assert proxy.seen("^PUT ") == []


def test_who_may_have_the_data_is_said_once_and_a_license_beside_it_is_held(
    distant: Producer, api: Api, proxy: Proxy
) -> None:
    said = (
        'access_type = "restricted"\naccess_type_reason_category = '
        '"confidentiality_of_personal_data"\naccess_type_reason = "Données nominatives."\n'
        'authorization_request_url = "https://example.org/demande"\naccess_audiences = '
        '[{ role = "private", condition = "no" }, '
        '{ role = "company_and_association", condition = "under_condition" }]\n'
        'spatial = { geom = { type = "MultiPolygon", coordinates = '
        "[[[[4.8, 45.7], [4.9, 45.7], [4.9, 45.8], [4.8, 45.7]]]] } }"
    )
    page(distant, said)
    distant.ask("refresh", code=0)
    found = api.dataset(distant.dataset)
    proxy.forget()

    (again,) = distant.ask("refresh", code=0)["datasets"]
    text = distant.ask("import", distant.dataset, code=0)["toml"]
    page(distant, 'license = "lov2"')
    (held,) = distant.ask("refresh", code=1)["datasets"]

    assert (found["access_type"], len(found["access_audiences"])) == ("restricted", 2)
    assert found["spatial"]["geom"]["type"] == "MultiPolygon"
    assert again["changed"] == {}
    assert all(line.partition(" = ")[0] in text for line in said.splitlines())
    assert "“restricted”" in held["held"][0]["why"]
    assert proxy.seen("^PUT ") == []


def test_a_page_that_was_refused_is_tried_again_by_each_once(
    distant: Producer, portal: Sandbox, proxy: Proxy
) -> None:
    page(distant, 'frequency = "daily"')
    distant.key = portal.tokens["stranger"]
    distant.once(code=1)
    distant.once(code=1)
    distant.key = portal.tokens["prod"]
    proxy.rule("PUT /api/1/datasets/", status=500, times=1)

    # the portal answers: its failure on one page is no reason to stop publishing
    distant.once(code=1)
    distant.drop("a.csv", b"a\n1\n")
    distant.once(code=0)

    assert distant.ask("status", code=0)["datasets"][0]["refresh_trouble"] is None


@pytest.mark.parametrize("schedule", ['refresh = "0 6 * * *"\n', ""])
def test_a_pass_refreshes_what_is_due_once(
    producer: Producer, api: Api, proxy: Proxy, schedule: str
) -> None:
    producer.url = proxy.url
    producer.drop("a.csv", b"a\n")
    page(producer, f'{schedule}frequency = "daily"')

    producer.once()
    producer.once()

    assert api.dataset(producer.dataset)["frequency"] == "daily"
    assert len(proxy.seen(f"PUT /api/1/datasets/{producer.dataset}/$")) == 1
    (view,) = producer.ask("status", code=0)["datasets"]
    assert view["last_refresh"]
    assert bool(view["next_refresh"]) is bool(schedule)


def test_the_running_service_refreshes_when_asked(producer: Producer, api: Api) -> None:
    page(producer, 'frequency = "daily"')
    with producer.start() as service:
        service.wait_for("dataset.refreshed")
        api.edit_dataset(producer.dataset, frequency="weekly")

        assert producer.ask("refresh", code=0) == {"asked": True}

        (drift,) = service.wait_for("drift.found")
        assert (drift["field"], drift["theirs"]) == ("frequency", "weekly")
        assert service.stop() == 0


# ------------------------------------------------------------------------- never made public


def test_what_a_colleague_makes_private_while_we_write_stays_private(
    distant: Producer, api: Api, proxy: Proxy
) -> None:
    page(distant, 'frequency = "daily"')
    made_private: list[object] = []
    proxy.rule(
        f"PUT /api/1/datasets/{distant.dataset}/$",
        on_request=lambda: made_private.append(api.edit_dataset(distant.dataset, private=True)),
    )

    distant.ask("refresh", code=0)

    found = api.dataset(distant.dataset)
    assert (found["private"], found["frequency"]) == (True, "daily")


def test_a_lost_answer_neither_publishes_nor_writes_twice(
    distant: Producer, api: Api, proxy: Proxy, portal: Sandbox
) -> None:
    distant.dataset = portal.new_dataset(private=True)
    api.edit_dataset(distant.dataset, tags=["air"])
    page(distant, 'frequency = "daily"')
    proxy.rule("PUT /api/1/datasets/", lose_reply=True, times=1)

    assert distant.call("refresh").returncode != 0
    distant.ask("refresh", code=0)

    (sent,) = proxy.seen("PUT /api/1/datasets/")
    found = api.dataset(distant.dataset)
    assert json.loads(sent.sent)["private"] is True
    assert (found["private"], found["frequency"], found["tags"]) == (True, "daily", ["air"])


def test_a_refused_publication_is_not_told_as_done_and_a_lost_one_is(
    distant: Producer, api: Api, proxy: Proxy, portal: Sandbox
) -> None:
    distant.dataset = portal.new_dataset(private=True)
    page(distant, "private = false")
    proxy.rule("PUT /api/1/datasets/", status=403, times=1, body=b"{}")
    proxy.rule("PUT /api/1/datasets/", lose_reply=True, times=1)

    refused = distant.call("refresh")
    lost = distant.call("refresh")

    assert events(refused.stderr, "dataset.published") == []
    (told,) = events(lost.stderr, "dataset.published")
    assert "the answer was lost" in told["why"]
    assert api.dataset(distant.dataset)["private"] is False


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"private": False}, "PUBLIC"),
        ({"frequency": "weekly"}, "did not keep what was written: frequency"),
    ],
)
def test_an_answer_that_says_otherwise_than_was_written_is_an_alarm(
    distant: Producer, proxy: Proxy, portal: Sandbox, answer: dict[str, object], told: str
) -> None:
    distant.dataset = portal.new_dataset(private=True)
    page(distant, 'frequency = "daily"')
    meant = portal.call("GET", f"1/datasets/{distant.dataset}/") | {"frequency": "daily"}
    body = json.dumps(meant | answer).encode()
    proxy.rule(
        "PUT /api/1/datasets/", status=200, after=True, body=body, content_type="application/json"
    )

    (done,) = distant.ask("refresh", code=1)["datasets"]

    assert told in done["trouble"]
    assert told in distant.call("status").stdout


def test_a_dataset_that_a_colleague_publishes_is_told(
    producer: Producer, api: Api, portal: Sandbox
) -> None:
    producer.dataset = portal.new_dataset(private=True)
    page(producer, 'frequency = "daily"')
    producer.ask("refresh", code=0)
    api.edit_dataset(producer.dataset, private=False)

    done = producer.call("refresh")

    assert events(done.stderr, "visibility.changed")
    assert api.dataset(producer.dataset)["private"] is False


# --------------------------------------------------------------------------- colleagues, and us


def test_a_colleagues_tags_and_coverage_survive_our_write(
    distant: Producer, api: Api, proxy: Proxy
) -> None:
    coverage = {"start": "2001-01-01", "end": "2002-02-02"}
    page(distant, 'frequency = "weekly"')
    proxy.rule(  # asked between what we read first and what we write
        "GET .*/frequencies/",
        times=1,
        on_request=lambda: api.edit_dataset(
            distant.dataset, tags=["eau", "sol"], temporal_coverage=coverage
        ),
    )

    distant.ask("refresh", code=0)

    found = api.dataset(distant.dataset)
    assert found["frequency"] == "weekly"
    assert found["tags"] == ["eau", "sol"]
    assert {end: day[:10] for end, day in found["temporal_coverage"].items()} == coverage


def test_a_held_field_has_its_event_and_stays_in_status(producer: Producer, api: Api) -> None:
    page(producer, 'description = "Un."')
    producer.ask("refresh", code=0)
    api.edit_dataset(producer.dataset, description="Deux.")
    page(producer, 'description = "Trois."\nfrequency = "daily"')

    (line,) = events(producer.call("refresh").stderr, "field.held")
    (view,) = producer.ask("status", code=1)["datasets"]

    assert (line["field"], line["ours"], line["theirs"]) == ("description", "Trois.", "Deux.")
    assert view["held_fields"][0]["theirs"] == "Deux."
    assert view["refresh_trouble"] is None
    assert "description is held" in producer.call("status").stdout
    assert api.dataset(producer.dataset)["frequency"] == "daily"


def test_one_dataset_may_be_enforced_and_the_others_kept(producer: Producer, api: Api) -> None:
    page(producer, 'description = "La notre."\non_drift = "enforce"')
    producer.ask("refresh", code=0)
    api.edit_dataset(producer.dataset, description="La leur.")

    producer.ask("refresh", code=0)

    assert api.dataset(producer.dataset)["description"] == "La notre."


def test_extras_that_others_write_meanwhile_are_kept(
    distant: Producer, api: Api, proxy: Proxy
) -> None:
    page(distant, 'extras = { "ours:theme" = "air" }\nfrequency = "daily"')
    path = f"2/datasets/{distant.dataset}/extras/"
    proxy.rule(
        "PUT .*/extras/", on_request=lambda: api.json("PUT", path, payload={"theirs": "kept"})
    )

    distant.ask("refresh", code=0)

    assert api.dataset(distant.dataset)["extras"] == {"theirs": "kept", "ours:theme": "air"}


def test_a_colleagues_words_on_a_resource_are_kept_and_told(producer: Producer, api: Api) -> None:
    producer.rules = '\n[[folders.resources]]\nmatch = "*.csv"\ndescription = "La notre."\n'
    producer.drop("a.csv", b"a\n1\n")
    resource = producer.once()["a.csv"]["resource_id"]
    api.edit_resource(producer.dataset, resource, description="La leur.")

    (line,) = events(producer.call("once").stderr, "drift.found")

    assert (line["path"], line["field"], line["theirs"]) == ("a.csv", "description", "La leur.")
    assert api.resource(producer.dataset, resource)["description"] == "La leur."


def test_what_both_changed_of_a_resource_stays_in_status_until_it_is_decided(
    producer: Producer, api: Api
) -> None:
    def said(description: str) -> None:
        rule = f'match = "*.csv"\ndescription = "{description}"'
        producer.rules = f"\n[[folders.resources]]\n{rule}\n"
        producer.configure()

    said("Un.")
    producer.drop("a.csv", b"a\n1\n")
    resource = producer.once()["a.csv"]["resource_id"]
    api.edit_resource(producer.dataset, resource, description="Deux.")
    said("Trois.")
    producer.once(code=1)

    (view,) = producer.ask("status", code=1)["datasets"]
    (word,) = view["resource_words"]
    assert (word["path"], word["field"], word["theirs"]) == ("a.csv", "description", "Deux.")
    assert "a.csv: description is held" in producer.call("status").stdout

    said("Deux.")
    producer.once()
    assert producer.ask("status", code=0)["datasets"][0]["resource_words"] == []


def test_a_resources_words_follow_its_file_and_say_when_they_cannot(
    distant: Producer, api: Api, proxy: Proxy
) -> None:
    (distant.home / "mesures.md").write_text(
        "\ufeff# Mesures {annee}\n\nDu {earliest} au {latest}.\n"
    )
    distant.rules = (
        '\n[[folders.resources]]\nmatch = "m_{annee}.csv"\ndescription_file = "mesures.md"\n'
        'title = "{annee}, au {latest:jour}"\nextras = { "ours:jours" = ["{earliest:jour}", 1] }\n'
    )
    distant.drop("m_2024.csv", b"jour;v\n01/03/2024;1\n15/01/2024;2\n")
    resource = distant.once()["m_2024.csv"]["resource_id"]
    first = api.resource(distant.dataset, resource)
    distant.drop("m_2024.csv", b"day;v\n2024-01-01;1\n2024-01-02;1\n")
    distant.folder_settings["checks"] = '{ mode = "off" }'
    distant.once(code=1)
    api.json("PUT", extras_of(distant, resource), payload={"theirs": "kept"})
    proxy.forget()

    distant.once(code=1)

    found = api.resource(distant.dataset, resource)
    assert proxy.seen("^(PUT|POST|DELETE) ") == []
    assert first["title"] == found["title"] == "2024, au 2024-03-01"
    assert found["description"] == "# Mesures 2024\n\nDu 2024-01-01 au 2024-12-31."
    assert (found["extras"]["ours:jours"], found["extras"]["theirs"]) == (["2024-01-15", 1], "kept")
    assert "title is held: It has no date in a column “jour”" in distant.call("status").stdout


def extras_of(producer: Producer, resource: str) -> str:
    return f"2/datasets/{producer.dataset}/resources/{resource}/extras/"


def test_lateness_and_what_the_portals_analysis_found_are_told_and_shown(
    producer: Producer, api: Api
) -> None:
    page(producer, 'frequency = "weekly"')
    link = {
        "title": "Lien",
        "type": "main",
        "filetype": "remote",
        "url": "https://example.org/a.csv",
    }
    found = api.json("POST", f"1/datasets/{producer.dataset}/resources/", payload=link)
    # what the portal's crawler writes, by the way it does
    api.json(
        "PUT",
        f"2/datasets/{producer.dataset}/resources/{found['id']}/extras/",
        token="sysadmin",
        payload={"analysis:last-modified-at": "2020-01-01T00:00:00", "analysis:error": "too large"},
    )
    producer.ask("refresh", code=0)  # the frequency: the portal counts anew

    done = producer.call("refresh")
    (view,) = producer.ask("status", code=0)["datasets"]
    producer.drop("a.csv", b"a\n1\n")
    producer.once()
    (after,) = producer.ask("status", code=0)["datasets"]

    assert "last update was on 2020-01-01" in view["late"]
    assert "update it as often as it says, or say another `frequency`" in view["quality_missing"]
    assert "too large" in events(done.stderr, "resource.criticised")[0]["why"]
    assert view["file_problems"][0]["title"] == "Lien"
    assert "no preview" in producer.call("status").stdout
    assert after["late"] is None


def test_visits_are_read_where_they_are_counted_and_nothing_else_hangs_on_it(
    producer: Producer, api: Api
) -> None:
    page(producer, 'frequency = "daily"')
    months = [f"20{24 + number // 12}-{number % 12 + 1:02}" for number in range(20, 35)]
    rows = [
        {"dataset_id": dataset, "metric_month": month, "monthly_visit": visits,
         "monthly_download_resource": None if month == "2026-10" else 44}
        for month in months
        for dataset, visits in ((producer.dataset, 120), ("another", 7))
    ]  # fmt: skip
    with MetricApi(rows) as service:
        producer.portal_settings["metrics_api"] = f'"{service.url}/"'
        producer.ask("refresh", code=0)
        shown = producer.call("status").stdout
        service.down = 503
        producer.ask("refresh", code=0)
        api.edit_dataset(producer.dataset, private=True)
        producer.ask("refresh", code=0)
    (view,) = producer.ask("status", code=0)["datasets"]

    # asked while it was there and while it was away; never of a private dataset
    assert len(service.heads) == 2
    assert all("x-api-key" not in head for head in service.heads)
    assert "in 2026-11: visits 120, downloads 44" in shown
    assert [one["month"] for one in view["months"]] == months[::-1][:12]
    assert view["months"][1] == {"month": "2026-10", "visits": 120, "downloads": 0}


# ------------------------------------------------------------------------------ computed values


def test_computed_values_follow_the_files_of_the_folder(producer: Producer, api: Api) -> None:
    page(
        producer,
        'description = "{files} fichiers, du {earliest:Jour} au {latest:jour}."\n'
        'temporal_coverage = { start = "{earliest}", end = "{latest}" }\n'
        'frequency_date = "{last_publication+30d}"',
    )
    producer.drop("mesures_2023.csv", "station;Jour\nA;31/12/2023\nB;01/02/2023\n".encode("cp1252"))
    producer.once()
    first = api.dataset(producer.dataset)
    producer.drop("mesures_2024.csv", b"jour,valeur\n2024-03-01,1\n,\n2024-02-01,2\n")
    producer.once()

    producer.ask("refresh", code=0)

    found = api.dataset(producer.dataset)
    assert first["description"] == "1 fichiers, du 2023-02-01 au 2023-12-31."
    assert found["description"] == "2 fichiers, du 2023-02-01 au 2024-03-01."
    assert found["temporal_coverage"]["end"].startswith("2024-12-31")
    assert found["frequency_date"]
    assert producer.ask("refresh", code=0)["datasets"][0]["changed"] == {}


def test_a_value_that_no_file_gives_is_held_and_the_page_keeps_its_own(
    producer: Producer, api: Api
) -> None:
    producer.drop("a.csv", b"a\n1\n")
    page(producer, 'frequency_date = "{latest:jour}"\nfrequency = "daily"')

    producer.once(code=None)

    (view,) = producer.ask("status", code=1)["datasets"]
    assert "column “jour”" in view["held_fields"][0]["why"]
    assert api.dataset(producer.dataset)["frequency"] == "daily"


def test_a_description_file_is_read_at_each_refresh(producer: Producer, api: Api) -> None:
    text = producer.home / "about.md"
    text.write_text("# Un\n")
    page(producer, 'description_file = "about.md"')
    with producer.start() as service:
        service.wait_for("dataset.refreshed")
        text.write_text("# Deux\n")
        producer.ask("refresh", code=0)
        service.wait_for("dataset.refreshed", 2)
        assert api.dataset(producer.dataset)["description"] == "# Deux"

        text.unlink()
        ledger = Ledger(producer.state)
        ledger.ask("refresh", DatasetId(producer.dataset), None, None)
        ledger.close()

        (refused,) = service.wait_for("dataset.refused")
        assert "cannot be read" in refused["why"]
        assert service.stop() == 0


# ---------------------------------------------------------------------------------- in its time


def test_a_refresh_missed_while_the_machine_was_off_happens_once_at_start(
    producer: Producer, api: Api, proxy: Proxy
) -> None:
    producer.url = proxy.url
    page(producer, 'refresh = "0 6 * * *"\nfrequency = "daily"')
    producer.once()
    api.edit_dataset(producer.dataset, frequency="weekly")
    with_ledger = Ledger(producer.state)
    facts = with_ledger.datasets()[DatasetId(producer.dataset)]
    assert facts.last_refresh is not None
    with_ledger.remember_dataset(replace(facts, last_refresh=facts.last_refresh - 3 * 86400))
    with_ledger.close()

    with producer.start() as service:
        (drift,) = service.wait_for("drift.found")
        assert drift["field"] == "frequency"
        assert service.stop() == 0

    (view,) = producer.ask("status", code=0)["datasets"]
    assert view["drifts"][0]["theirs"] == "weekly"
    assert view["last_refresh"] < view["next_refresh"]


def test_status_says_how_to_earn_each_missing_quality_point(producer: Producer, api: Api) -> None:
    page(producer, 'license = "lov2"')
    producer.ask("refresh", code=0)

    (view,) = producer.ask("status", code=0)["datasets"]
    shown = producer.call("status").stdout

    missing = [name for name, ok in api.dataset(producer.dataset)["quality"].items() if ok is False]
    assert len(view["quality_missing"]) == len(missing) > 2
    assert 0 < view["quality_score"] < 1
    assert shown.count("to earn a point") == len(missing)
