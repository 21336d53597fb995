"""Two hundred pages due at the same minute, a service killed in the middle, a machine off then."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from colleague import Api
from launcher import Sandbox
from producer import Producer
from proxy import Proxy, Recorded
from waiting import wait_until

MANY = 200
#: seconds over which a minute is spread
SPREAD = 60
WRITES = "^PUT /api/1/datasets/[0-9a-f]+/$"


@pytest.mark.storm
@pytest.mark.timeout(3600)
def test_pages_due_at_one_minute_are_each_written_once_whatever_stops_the_service(
    portal: Sandbox, proxy: Proxy, api: Api, tmp_path: Path
) -> None:
    datasets = [portal.new_dataset() for _ in range(MANY)]
    producer = Producer(tmp_path, proxy.url, portal.tokens["prod"], datasets[0])
    producer.settings |= {"on_drift": '"enforce"', "timezone": '"UTC"'}
    began = time.time()
    write_all(producer, datasets, "59 23 31 12 *")
    # what this machine takes to make everything ready, twice and more
    lead = 2 * (time.time() - began) + 120
    first = ((began + 1.5 * lead) // 60 + 1) * 60
    second = ((first + SPREAD + lead) // 60 + 1) * 60
    minutes = sorted(datetime.fromtimestamp(at, UTC).minute for at in (first, second))
    write_all(producer, datasets, f"{minutes[0]},{minutes[1]} * * * *")
    disturb(api, datasets, before=first)
    proxy.forget()

    # killed in the middle of the minute, and off until it is over
    with producer.start() as service:
        wait_until(lambda: len(proxy.seen(WRITES)) >= MANY // 3, lead + SPREAD, "a third is there")
        killed = time.time()
        service.process.kill()
    busiest = max(Counter(int(one.at) for one in proxy.seen(WRITES)).values())
    time.sleep(SPREAD)
    restart_until_written(producer, api, datasets)
    assert killed > first, "they did not wait for their minute"
    assert busiest <= MANY * 5 / SPREAD, "they came all at once"
    assert Counter(map(dataset_of, proxy.seen(WRITES))) == dict.fromkeys(datasets, 1)

    # off at the minute: once, at the next start
    disturb(api, datasets, before=second)
    proxy.forget()
    time.sleep(second + SPREAD - time.time())
    restart_until_written(producer, api, datasets)
    assert Counter(map(dataset_of, proxy.seen(WRITES))) == dict.fromkeys(datasets, 1)


def write_all(producer: Producer, datasets: list[str], refresh: str) -> None:
    """Have every page written as it is configured, and looked at again when the line says so."""
    producer.more = "".join(
        f'\n[[datasets]]\nid = "{each}"\nrefresh = "{refresh}"\nfrequency = "daily"\n'
        for each in datasets
    )
    done = producer.call("once", timeout=900)
    assert done.returncode == 0, done.stderr


def disturb(api: Api, datasets: list[str], *, before: float) -> None:
    """Let a colleague write another frequency on every page, before they are due."""
    with ThreadPoolExecutor(2) as colleagues:
        list(colleagues.map(lambda each: api.edit_dataset(each, frequency="weekly"), datasets))
    assert time.time() < before, "this machine became slower meanwhile"


def restart_until_written(producer: Producer, api: Api, datasets: list[str]) -> None:
    with producer.start() as service:
        wait_until(lambda: all_daily(api, datasets), 300, "all is written")
        assert service.stop() == 0


def all_daily(api: Api, datasets: list[str]) -> bool:
    with ThreadPoolExecutor(2) as readers:
        return all(readers.map(lambda each: api.dataset(each)["frequency"] == "daily", datasets))


def dataset_of(request: Recorded) -> str:
    return request.path.split("/")[4]
