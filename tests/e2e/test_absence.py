"""Files that are gone, where a folder withdraws: only what is surely gone, and never many."""

from __future__ import annotations

import shutil
import threading
import time

import pytest
from colleague import Api
from producer import Producer, Service
from proxy import Proxy
from waiting import wait_until

NAMES = [f"{number:02}.csv" for number in range(6)]


@pytest.fixture
def withdrawing(distant: Producer) -> Producer:
    producer = distant
    producer.folder_settings |= {
        "when_deleted": '"withdraw"', "withdraw_after": '"2s"', "max_withdraw": '"100%"',
    }  # fmt: skip
    return producer


def titles(api: Api, producer: Producer) -> set[str]:
    return {found["title"] for found in api.resources(producer.dataset)}


def filled(producer: Producer, api: Api) -> None:
    for name in NAMES:
        producer.drop(name, name.encode())
    wait_until(lambda: titles(api, producer) == set(NAMES), 60, "all are published")


def is_held(producer: Producer, names: list[str]) -> bool:
    files = producer.status()
    return all(files[name]["code"] == "too_many_withdrawals" for name in names)


def test_one_file_that_is_gone_goes_after_its_time_unless_it_comes_back(
    withdrawing: Producer, api: Api
) -> None:
    with withdrawing.start() as service:
        filled(withdrawing, api)
        (withdrawing.folder / "00.csv").unlink()
        (withdrawing.folder / "01.csv").rename(withdrawing.home / "01.csv")
        service.wait_for("resource.kept", 2)
        (withdrawing.home / "01.csv").rename(withdrawing.folder / "01.csv")

        kept_at = time.monotonic()
        wait_until(lambda: titles(api, withdrawing) == set(NAMES[1:]), 30, "it is withdrawn")
        assert time.monotonic() - kept_at > 1
        (event,) = service.wait_for("resource.withdrawn")
        assert event["path"] == "00.csv"


@pytest.mark.parametrize("how", ["at once", "one after the other"])
def test_many_that_vanish_stay_on_the_portal_until_a_person_says_yes(
    withdrawing: Producer, api: Api, proxy: Proxy, how: str
) -> None:
    gone = NAMES[:3]
    withdrawing.settings["rescan_every"] = '"1s"'
    with withdrawing.start() as service:
        filled(withdrawing, api)
        for name in gone:
            (withdrawing.folder / name).unlink()
            if how != "at once":
                _is_seen_to_be_gone(service, name)
        wait_until(lambda: is_held(withdrawing, gone), 30, "they are held")
        assert titles(api, withdrawing) == set(NAMES)
        assert "retry --yes" in withdrawing.status()[gone[0]]["why"]

        if how == "at once":
            # in the middle of a look that has read the ledger, and plans by what it read
            asked = threading.Event()

            def ask() -> None:
                withdrawing.call("retry", "--yes")
                asked.set()

            proxy.rule("GET .*/resources/", times=1, on_reply=ask)
            wait_until(asked.is_set, 30, "a look asks the portal")
        else:
            withdrawing.call("retry", "--yes")

        wait_until(lambda: titles(api, withdrawing) == set(NAMES[3:]), 45, "they are withdrawn")


def _is_seen_to_be_gone(service: Service, name: str) -> None:
    wait_until(
        lambda: any(event["path"] == name for event in service.events("resource.kept")), 20, name
    )


def test_an_emptied_and_a_replaced_folder_withdraw_nothing(withdrawing: Producer, api: Api) -> None:
    with withdrawing.start() as service:
        filled(withdrawing, api)
        shutil.rmtree(withdrawing.folder)
        service.wait_for("folder.lost")
        withdrawing.folder.mkdir()
        withdrawing.drop("new.csv", b"new")
        service.wait_for("folder.returned")
        wait_until(lambda: is_held(withdrawing, NAMES), 30, "they are held")

        assert titles(api, withdrawing) == {*NAMES, "new.csv"}
        assert not service.events("resource.withdrawn")
