"""A dataset's page kept in step, on the real portal, without undoing a colleague."""

from __future__ import annotations

import pytest
from colleague import Api
from launcher import Sandbox
from producer import Producer
from proxy import Proxy


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

    assert "description" in done["trouble"]
    assert api.dataset(producer.dataset)["description"] == "Deux."


def test_an_unknown_licence_is_refused_before_it_clears_the_one_there(
    producer: Producer, api: Api
) -> None:
    api.edit_dataset(producer.dataset, license="lov2")
    page(producer, 'license = "lov3"')

    (done,) = producer.ask("refresh", code=1)["datasets"]

    assert "lov3" in done["trouble"]
    assert api.dataset(producer.dataset)["license"] == "lov2"


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
