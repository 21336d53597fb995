"""A dataset the configuration wants to exist: made once, whatever is lost on the way."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import Any

import pytest
from colleague import Api
from launcher import Sandbox
from producer import Producer, events
from proxy import Proxy

CREATE = "POST /api/1/datasets/$"


def wanted(producer: Producer, portal: Sandbox, more: str = "") -> str:
    """Feed a dataset that is not there yet; returns its name."""
    name = f"air-{producer.home.name.replace('_', '-')}"[:60]
    producer.dataset = name
    producer.more = (
        f'\n[[datasets]]\nid = "{name}"\ncreate = true\ntitle = "Air {name}"\n'
        f'description = "Mesures."\nfrequency = "daily"\n'
        f'organization = "{portal.orgs["ville"]}"\n{more}\n'
    )
    return name


def made(api: Api, portal: Sandbox, name: str) -> list[dict[str, Any]]:
    path = f"2/datasets/?organization={portal.orgs['ville']}&page_size=500"
    found = api.json("GET", path)["data"]
    return [one for one in found if one["extras"].get("publisher-daemon:name") == name]


def test_a_dataset_is_made_once_private_and_fed(
    producer: Producer, api: Api, portal: Sandbox
) -> None:
    name = wanted(producer, portal)
    producer.more = producer.more.replace("Mesures.", "Mesures, au {latest}.")
    producer.drop("2024.csv", b"a\n1\n")

    planned = producer.call("plan").stdout
    assert made(api, portal, name) == []
    done = producer.call("once")
    files = producer.once()

    (found,) = made(api, portal, name)
    assert "a private dataset" in planned
    assert 'frequency: "unknown" → "daily"' in planned
    (told,) = events(done.stderr, "dataset.created")
    assert f'Write id = "{found["id"]}"' in told["why"]
    assert files["2024.csv"]["state"] == "published"
    assert (found["private"], found["frequency"]) == (True, "daily")
    assert found["description"] == "Mesures, au 2024-12-31."
    assert producer.ask("status")["datasets"][0]["dataset"] == found["id"]
    advice = [one for one in producer.ask("check")["findings"] if one["code"] == "dataset.slug"]
    assert found["id"] in advice[0]["right"]


def test_a_lost_answer_makes_no_second_dataset(
    distant: Producer, api: Api, portal: Sandbox, proxy: Proxy
) -> None:
    name = wanted(distant, portal)
    proxy.rule(CREATE, lose_reply=True, times=1)

    assert distant.call("once").returncode == 1
    distant.drop("2024.csv", b"a\n1\n")
    distant.once()

    assert len(made(api, portal, name)) == 1
    assert len(proxy.seen(CREATE)) == 1


def test_a_request_that_may_still_work_is_waited_for(
    distant: Producer, api: Api, portal: Sandbox, proxy: Proxy
) -> None:
    distant.settings["grace"] = '"1h"'
    name = wanted(distant, portal)
    proxy.rule(CREATE, cut_after=10, times=1)  # the portal never sees it, and we cannot know

    distant.call("once")
    again = distant.call("once")

    assert again.returncode == 1
    assert "is not known yet" in again.stderr
    assert made(api, portal, name) == []
    distant.settings["grace"] = '"10ms"'
    assert distant.call("once").returncode == 0
    assert len(made(api, portal, name)) == 1


def test_without_its_ledger_the_dataset_is_found_again(
    producer: Producer, api: Api, portal: Sandbox
) -> None:
    name = wanted(producer, portal)
    producer.once()
    shutil.rmtree(producer.state)

    producer.once()

    assert len(made(api, portal, name)) == 1


@pytest.mark.strace
@pytest.mark.timeout(300)
def test_killed_at_every_step_it_makes_one_dataset(
    producer: Producer, api: Api, portal: Sandbox
) -> None:
    producer.settings["grace"] = '"10ms"'
    name = wanted(producer, portal)
    producer.configure()
    trace = ["strace", "-f", "-qq", "-o", str(producer.home / "trace")]
    for number in range(1, 30):
        if number % 2:
            shutil.rmtree(producer.state, ignore_errors=True)
        done = subprocess.run(
            [*trace, "-e", "trace=fdatasync", "-e",
             f"inject=fdatasync:signal=SIGKILL:when={number}", *producer.command("once")],
            capture_output=True, timeout=90, check=False, cwd=producer.home,
            env={"PATH": os.environ["PATH"], "HOME": str(producer.home)},
        )  # fmt: skip
        if done.returncode not in {-9, 137}:
            break
    else:
        pytest.fail("it never ends by itself")

    assert number > 5, "the test killed nothing"
    assert len(made(api, portal, name)) == 1


def test_only_for_an_organization_of_the_key(producer: Producer, api: Api, portal: Sandbox) -> None:
    name = wanted(producer, portal)
    producer.more = producer.more.replace(portal.orgs["ville"], portal.orgs["autre"])

    refused = producer.call("once")

    assert refused.returncode == 1
    assert "no member of the organization" in refused.stderr
    assert portal.orgs["ville"] in refused.stderr
    codes = [one["code"] for one in producer.ask("check", code=1)["findings"]]
    assert "dataset.no_right" in codes
    assert made(api, portal, name) == []


def test_for_the_keys_own_account(producer: Producer, api: Api, portal: Sandbox) -> None:
    wanted(producer, portal, "private = true")
    producer.more = producer.more.replace(f'organization = "{portal.orgs["ville"]}"\n', "")

    producer.once()

    dataset = producer.ask("status")["datasets"][0]["dataset"]
    assert api.dataset(dataset)["owner"]["id"] == portal.users["prod"]


def test_a_name_that_is_the_address_of_another_dataset_is_refused(
    producer: Producer, api: Api, portal: Sandbox
) -> None:
    other = api.dataset(producer.dataset)
    wanted(producer, portal)
    producer.more = producer.more.replace(producer.dataset, other["slug"])
    producer.dataset = other["slug"]

    refused = producer.call("once")

    assert refused.returncode == 1
    assert f'write id = "{other["id"]}"' in refused.stderr


def test_a_dataset_that_was_deleted_is_not_made_again(
    producer: Producer, api: Api, portal: Sandbox
) -> None:
    name = wanted(producer, portal)
    producer.once()
    (found,) = made(api, portal, name)
    api.json("DELETE", f"1/datasets/{found['id']}/")
    shutil.rmtree(producer.state)

    refused = producer.call("once")

    assert "was deleted on the portal" in refused.stderr
    assert len(made(api, portal, name)) == 1
