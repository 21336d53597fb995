"""Producers who say themselves when a file is complete, through the command, on the real portal."""

from __future__ import annotations

import os
from typing import Any

from producer import Producer
from waiting import wait_until


def marked(producer: Producer) -> Producer:
    producer.folder_settings["ready_marker"] = '".ready"'
    return producer


def test_a_file_without_its_marker_waits_and_says_for_what(producer: Producer) -> None:
    marked(producer).drop("a.csv", b"a;b\n1;2\n")

    waits = producer.once(code=0)["a.csv"]

    assert (waits["state"], waits["code"]) == ("pending", "waits_for_marker")
    assert waits["why"] == "It waits for a.csv.ready, which is not there yet."
    assert waits["resource_id"] is None
    told = producer.ask("explain", "a.csv", code=0)
    assert (told["state"], told["why"]) == ("pending", waits["why"])
    assert "Write that marker" in told["explanation"][0]


def test_the_service_publishes_at_once_what_is_marked_and_waits_again_when_it_changes(
    producer: Producer,
) -> None:
    first = marked(producer).drop("a.csv", b"a;b\n1;2\n")

    def stands(**wanted: Any) -> bool:
        file = producer.status()["a.csv"]
        return all(file[name] == value for name, value in wanted.items())

    with producer.start():
        wait_until(lambda: stands(state="pending", code="waits_for_marker"), 20, "it waits")
        assert producer.status()["a.csv"]["since"] is not None

        producer.drop("a.csv.ready", b"")
        wait_until(lambda: stands(state="published", sha1=first), 20, "it is out")

        second = producer.drop("a.csv", b"a;b\n3;4\n")
        os.utime(producer.folder / "a.csv.ready", (1, 1))
        wait_until(lambda: stands(state="pending", sha1=first), 20, "it waits again")
        assert "to be written again" in producer.status()["a.csv"]["why"]

        producer.drop("a.csv.ready", b"")
        wait_until(lambda: stands(state="published", sha1=second, why=None), 20, "it is out again")

        # some producers take their markers away: what is published stays so
        (producer.folder / "a.csv.ready").unlink()
        assert stands(state="published", sha1=second)


def test_a_file_that_goes_before_its_marker_comes_is_forgotten(producer: Producer) -> None:
    marked(producer).drop("a.csv", b"a;b\n1;2\n")
    with producer.start():
        wait_until(lambda: producer.status()["a.csv"]["since"] is not None, 20, "it is seen")

        (producer.folder / "a.csv").unlink()

        wait_until(lambda: producer.status() == {}, 20, "it is forgotten")
