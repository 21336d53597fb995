"""Organisations and reuses: kept in step, declared once, rights looked at before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from colleague import Api
from launcher import Sandbox
from producer import Producer
from proxy import Proxy

DECLARE = "POST /api/1/reuses/$"


def reuse(producer: Producer, portal: Sandbox, more: str = "") -> str:
    url = f"https://example.org/{producer.home.name}"
    # two declared at once under one title: the portal gives both one slug, and one of them a 500
    title = f"Carte de l'air {producer.dataset}"
    producer.more = (
        f'\n[[reuses]]\nurl = "{url}"\norganization = "{portal.orgs["ville"]}"\n'
        f'datasets = ["{producer.dataset}"]\ntitle = "{title}"\n'
        f'description = "Une carte."\ntype = "application"\ntopic = "health"\n{more}\n'
    )
    return url


def found(api: Api, portal: Sandbox, url: str) -> list[dict[str, Any]]:
    every = api.json("GET", f"1/reuses/?organization={portal.orgs['ville']}&page_size=500")["data"]
    return [one for one in every if one["url"] == url]


def test_a_reuse_is_declared_once_and_its_datasets_attached(
    distant: Producer, api: Api, portal: Sandbox, proxy: Proxy
) -> None:
    url = reuse(distant, portal)

    planned = distant.call("plan").stdout
    distant.once()
    distant.ask("refresh", url, code=0)

    (made,) = found(api, portal, url)
    title = f"Carte de l'air {distant.dataset}"
    assert title in planned
    assert [one["id"] for one in made["datasets"]] == [distant.dataset]
    assert len(proxy.seen("^(POST|PUT) .*/reuses/")) == 2  # declared, attached
    (page,) = distant.ask("status", code=0)["pages"]
    assert (page["page"], page["title"], page["name"]) == ("reuse", title, url)
    assert title in distant.call("status").stdout


def test_a_lost_answer_declares_no_second_reuse(
    distant: Producer, api: Api, portal: Sandbox, proxy: Proxy
) -> None:
    url = reuse(distant, portal)
    proxy.rule(DECLARE, lose_reply=True, times=1)

    assert distant.call("refresh").returncode == 1
    distant.ask("refresh", code=0)

    assert len(found(api, portal, url)) == 1
    assert len(proxy.seen(DECLARE)) == 1


def test_what_colleagues_say_of_a_reuse_and_attach_to_it_stays(
    producer: Producer, api: Api, portal: Sandbox
) -> None:
    url = reuse(producer, portal, 'tags = ["carte"]')
    producer.once()
    (made,) = found(api, portal, url)
    other = portal.new_dataset()
    api.json("POST", f"1/reuses/{made['id']}/datasets/", payload={"class": "Dataset", "id": other})
    api.json("PUT", f"1/reuses/{made['id']}/", token="editor", payload={"title": "La leur"})
    producer.more = producer.more.replace("Une carte.", "Une autre carte.")

    producer.ask("refresh", code=0)

    (now,) = found(api, portal, url)
    assert (now["title"], now["description"], now["tags"]) == (
        "La leur", "Une autre carte.", ["carte"],
    )  # fmt: skip
    assert {one["id"] for one in now["datasets"]} == {producer.dataset, other}


def test_a_reuse_that_lacks_a_word_says_which(producer: Producer, portal: Sandbox) -> None:
    reuse(producer, portal)
    producer.more = producer.more.replace('topic = "health"\n', "")

    producer.more = producer.more.replace('"application"', '"applicaton"')

    (done,) = producer.ask("refresh", code=1)["datasets"]
    (wrong,) = [
        one for one in producer.ask("check", code=1)["findings"] if one["code"] == "page.type"
    ]

    assert "without topic" in done["trouble"]
    assert 'Perhaps "application"' in wrong["right"]
    assert producer.call("status").returncode == 1


@pytest.fixture
def organization(api: Api) -> Iterator[str]:
    name = f"Syndicat {uuid4()}"  # two of one name at once: the portal answers one of them 500
    made = api.json("POST", "1/organizations/", payload={"name": name, "description": "Un."})
    yield str(made["id"])
    # other tests count the organizations of this key
    api.json("DELETE", f"1/organizations/{made['id']}/")


def test_an_organizations_description_is_kept_in_step(
    producer: Producer, api: Api, organization: str
) -> None:
    producer.more = (
        f'\n[[organizations]]\nid = "{organization}"\nrefresh = "0 6 * * *"\n'
        'description = "Le syndicat de l\'air."\n'
    )
    producer.once()
    before = api.json("GET", f"1/organizations/{organization}/")

    (done,) = producer.ask("refresh", code=0)["datasets"]

    now = api.json("GET", f"1/organizations/{organization}/")
    assert before["description"] == "Le syndicat de l'air."
    assert before["name"].startswith("Syndicat ")
    assert (done["changed"], now["last_modified"]) == ({}, before["last_modified"])
    (page,) = producer.ask("status", code=0)["pages"]
    assert page["title"] == before["name"]
    assert page["next_refresh"]


def test_without_the_right_an_organization_is_not_written(
    distant: Producer, portal: Sandbox, proxy: Proxy
) -> None:
    distant.key = portal.tokens["editor"]
    distant.more = f'\n[[organizations]]\nid = "{portal.orgs["ville"]}"\ndescription = "Prise."\n'

    (done,) = distant.ask("refresh", code=1)["datasets"]
    checked = distant.ask("check", code=1)["findings"]

    assert "administrator" in done["trouble"]
    assert "page.no_right" in [one["code"] for one in checked]
    assert proxy.seen("^PUT ") == []


def test_the_running_service_refreshes_an_organization_when_asked(
    producer: Producer, api: Api, organization: str
) -> None:
    producer.more = f'\n[[organizations]]\nid = "{organization}"\ndescription = "Le syndicat."\n'
    with producer.start() as service:
        service.wait_for("dataset.refreshed")
        path = f"1/organizations/{organization}/"
        api.json("PUT", path, payload={"description": "La leur."})

        assert producer.ask("refresh", organization, code=0) == {"asked": True}

        (drift,) = service.wait_for("drift.found")
        assert drift["theirs"] == "La leur."
        assert service.stop() == 0
