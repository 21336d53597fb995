"""A producer's clock that is a day off, or set while the service runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from colleague import Api
from launcher import Sandbox
from producer import Producer
from proxy import Proxy
from waiting import wait_until

DAY = 86_400
UPLOAD = "POST .*/upload/$"


@pytest.fixture
def producer(distant: Producer) -> Producer:
    distant.environment |= {
        "PYTHONPATH": str(Path(__file__).parent / "skewed"),
        "SKEW": str(distant.home / "skew"),
    }
    return distant


def set_clock(producer: Producer, seconds: int) -> None:
    draft = producer.home / "skew.new"
    draft.write_text(str(seconds))
    draft.replace(producer.home / "skew")


@pytest.mark.parametrize("skew", [DAY, -DAY])
def test_a_clock_that_is_a_day_off_changes_nothing(
    producer: Producer, api: Api, proxy: Proxy, skew: int
) -> None:
    set_clock(producer, skew)
    producer.drop("a.csv", b"a")
    proxy.rule(UPLOAD, times=1, lose_reply=True)
    producer.once(code=None)
    sha1 = producer.drop("a.csv", b"b")

    wait_until(lambda: producer.once(code=None)["a.csv"]["state"] == "published", 60, "published")

    assert set(api.sha1s(producer.dataset).values()) == {sha1}
    assert len(api.resources(producer.dataset)) == 1


@pytest.mark.parametrize("step", [DAY, -DAY])
def test_a_clock_set_between_two_passes_makes_nobody_wait_a_day(
    producer: Producer, api: Api, proxy: Proxy, step: int
) -> None:
    set_clock(producer, DAY)
    sha1 = producer.drop("a.csv", b"a")
    proxy.rule(UPLOAD, times=2, status=500)
    assert producer.once(code=1)["a.csv"]["state"] == "held"

    set_clock(producer, DAY + step)

    wait_until(lambda: producer.once(code=None)["a.csv"]["state"] == "published", 60, "published")
    assert list(api.sha1s(producer.dataset).values()) == [sha1]


@pytest.mark.parametrize("step", [DAY, -DAY])
def test_a_clock_set_while_the_service_runs_makes_nobody_wait_a_day(
    producer: Producer, api: Api, portal: Sandbox, step: int
) -> None:
    producer.settings["rescan_every"] = '"1s"'
    with producer.start() as service:
        portal.stop_portal()
        sha1 = producer.drop("a.csv", b"a")
        service.wait_for("portal.unreachable")

        set_clock(producer, step)
        service.wait_for("clock.stepped")
        portal.restart()

        wait_until(
            lambda: set(api.sha1s(producer.dataset).values()) == {sha1}, 75, "the file published"
        )
        # the rescans go on too: nothing but them finds a file under a watch that is deaf
        known = len(service.events("dataset.reconciled"))
        producer.drop("b.csv", b"b")
        wait_until(lambda: len(api.resources(producer.dataset)) == 2, 30, "the next file published")
        assert len(service.events("dataset.reconciled")) > known
