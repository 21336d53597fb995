"""Uploads that take long: within the limit, never in the way of others, never made twice."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

from colleague import Api
from launcher import Sandbox
from producer import Producer
from proxy import Proxy
from waiting import wait_until

UPLOAD = "POST .*/upload/$"
MB = 1_000_000


def large(megabytes: int) -> bytes:
    return b"number;value\n" + b"".join(
        b"%08d;%09d\n" % (number, number) for number in range(megabytes * MB // 19)
    )


def beside(producer: Producer, portal: Sandbox, name: str) -> tuple[Path, str]:
    """Give the producer one more folder, that feeds a dataset of its own."""
    folder, dataset = producer.home / name, portal.new_dataset()
    folder.mkdir()
    producer.more += f'[[folders]]\npath = "{folder}"\ndataset = "{dataset}"\nquiet = "300ms"\n'
    return folder, dataset


def put(path: Path, content: bytes) -> None:
    """Let a file appear whole."""
    draft = path.with_name(f".{path.name}.tmp")
    draft.write_bytes(content)
    draft.rename(path)


def test_uploads_keep_to_the_limit_and_share_it(
    producer: Producer, portal: Sandbox, api: Api
) -> None:
    producer.settings["max_upload"] = '"8 Mbit/s"'
    folder, other = beside(producer, portal, "other")
    producer.drop("large.csv", large(3))
    put(folder / "small.csv", b"a;b\n1;2\n")

    with producer.start() as service:
        (big,) = (one for one in service.wait_for("resource.created", 2) if one["size"] > MB)
        (small,) = (one for one in service.events("resource.created") if one["size"] == 8)

    assert 2.9 <= big["seconds"] <= 5.0
    assert small["timestamp"] < big["timestamp"]
    assert len(api.resources(other)) == 1


def test_a_large_upload_delays_no_small_files_of_others_even_with_one_worker(
    producer: Producer, portal: Sandbox, api: Api
) -> None:
    producer.settings |= {"max_upload": '"1 Mbit/s"', "workers": "1"}
    second, _ = beside(producer, portal, "second")
    third, quick = beside(producer, portal, "third")
    huge = large(20)  # 160 s at that rate, longer than the test on a busy machine
    producer.drop("huge.csv", huge)
    put(second / "as-huge.csv", huge)  # `files_of` knows files by their path alone

    with producer.start() as service:
        service.wait_for("file.settled")
        for number in range(3):
            put(third / f"small-{number}.csv", b"a;b\n1;%d\n" % number)
            service.wait_for("resource.created", number + 1)
        wait_until(
            lambda: "its_turn" in {file["code"] for file in producer.status().values()},
            30,
            "`status` tells the other one why it waits",
        )

        assert len(service.events("file.settled")) == 4  # the other one waits, unread
        assert len(api.resources(quick)) == 3
        assert [one["size"] for one in service.events("resource.created")] == [8, 8, 8]


def test_a_reload_during_an_upload_makes_no_twin_and_holds_nobody(
    distant: Producer, portal: Sandbox, api: Api, proxy: Proxy
) -> None:
    distant.settings["max_upload"] = '"4 Mbit/s"'
    folder, other = beside(distant, portal, "other")
    distant.drop("large.csv", large(5))
    under_way = threading.Event()
    proxy.rule(UPLOAD, times=1, on_bytes=(MB, under_way.set))

    with distant.start() as service:
        assert under_way.wait(20)
        service.process.send_signal(signal.SIGHUP)
        service.wait_for("config.reloaded")
        put(folder / "small.csv", b"a;b\n1;2\n")
        first, *_ = service.wait_for("resource.created")
        service.wait_for("resource.created", 2)
        wait_until(
            lambda: {file["state"] for file in distant.status().values()} == {"published"},
            20,
            "all published",
        )

    assert service.events("worker.silenced") == []
    assert first["size"] == 8
    assert len(api.resources(other)) == 1
    assert len(api.resources(distant.dataset)) == 1
    assert len([one for one in proxy.seen(UPLOAD) if one.size > MB]) == 1
