"""One id on every log line of a file, from the first look to its link; waits have their events."""

from __future__ import annotations

from itertools import groupby

from producer import Producer
from proxy import Proxy
from waiting import wait_until

ON_THE_WAY = {
    "file.waiting",
    "file.settled",
    "resource.created",
    "resource.identified",
    "resource.verified",
}


def test_each_version_of_a_file_has_one_journey_on_all_its_lines(producer: Producer) -> None:
    producer.settings["log_level"] = '"debug"'
    with producer.start() as service:
        producer.drop("air/2026.csv", b"a;b\n1;2\n")
        service.wait_for("resource.verified")
        producer.drop("air/2026.csv", b"a;b\n3;4\n")
        service.wait_for("resource.verified", 2)
        service.stop()
        lines = [line for line in service.events() if line.get("path") == "air/2026.csv"]

    groups = [(name, list(found)) for name, found in groupby(lines, lambda line: line["journey"])]
    (first, _), (second, _) = groups  # one after the other, and never mixed
    assert first != second
    assert {line["event"] for line in groups[0][1]} >= ON_THE_WAY
    assert "resource.replaced" in {line["event"] for line in groups[1][1]}


def test_a_journey_keeps_its_name_over_failures_and_restarts(
    distant: Producer, proxy: Proxy
) -> None:
    distant.drop("a.csv", b"a\n")
    proxy.rule("POST .*/upload/", status=429, headers={"Retry-After": "1"}, times=1)
    with distant.start() as service:
        (throttled,) = service.wait_for("portal.throttled")
        signs = set((distant.state / "signs").iterdir())
        service.process.kill()
    with distant.start() as service:
        wait_until(lambda: service.events("resource.created"), 30, "the file published")
        after = set((distant.state / "signs").iterdir())
        proxy.rule("POST .*/upload/", status=422, body=b'{"message": "no"}', times=1)
        distant.drop("b.csv", b"b\n")
        (_, failed) = service.wait_for("action.failed", 2)  # the first was the 429
        told = wait_until(
            lambda: [line for line in service.events("dataset.reconciled")
                     if line["pass_id"] == failed["pass_id"]],
            30, "the canonical line of a pass that published nothing",
        )  # fmt: skip
        service.stop()
        (created,) = service.events("resource.created")

    assert told[0]["failed"] == 1
    assert "`publisher-daemon support` writes the report" in failed["why"]

    assert len(signs) == len(after) == 1  # where the watch touches a file; not one more each time
    assert signs.isdisjoint(after)

    assert throttled["journey"] == created["journey"]
    assert throttled["attempt"] == 1


def test_too_many_withdrawals_are_one_refused_plan(producer: Producer) -> None:
    producer.folder_settings |= {"when_deleted": '"withdraw"', "withdraw_after": '"300ms"'}
    for name in "abcdef":
        producer.drop(f"{name}.csv", name.encode())
    producer.once()
    for name in "abcd":
        (producer.folder / f"{name}.csv").unlink()

    said = producer.call("once").stderr

    assert said.count('"plan.refused"') == 1
    assert said.count('"action.held"') == 4
