"""``delete`` takes away for good only what a person names twice."""

from __future__ import annotations

from colleague import Api
from producer import Producer
from proxy import Proxy


def test_a_resource_goes_only_with_its_title(producer: Producer, api: Api) -> None:
    producer.drop("a.csv", b"a\n1\n")
    producer.drop("b.csv", b"b\n1\n")
    files = producer.once()
    resource = files["a.csv"]["resource_id"]

    refused = producer.call("delete", resource)
    wrong = producer.call("delete", resource, "--title", "a")
    left = len(api.resources(producer.dataset))
    done = producer.ask("delete", resource, "--title", "a.csv", code=0)

    assert (refused.returncode, wrong.returncode, left) == (1, 1, 2)
    assert "“a.csv”" in wrong.stderr
    assert done["deleted"]["resource_id"] == resource
    assert [one["title"] for one in api.resources(producer.dataset)] == ["b.csv"]
    assert producer.once(code=1)["a.csv"]["code"] == "removed_on_portal"


def test_a_dataset_goes_only_with_its_title(producer: Producer, api: Api) -> None:
    title = api.dataset(producer.dataset)["title"]

    producer.ask("delete", producer.dataset, "--title", title, code=0)
    again = producer.call("delete", producer.dataset, "--title", title)

    assert api.dataset(producer.dataset)["deleted"]
    assert again.returncode == 1
    assert "deleted already" in again.stderr


def test_without_the_right_or_beside_the_service_nothing_is_deleted(
    distant: Producer, api: Api, proxy: Proxy
) -> None:
    title = api.dataset(distant.dataset)["title"]
    with distant.start() as service:
        busy = distant.call("delete", distant.dataset, "--title", title)
        assert service.stop() == 0
    distant.key = api.sandbox.tokens["stranger"]

    stranger = distant.call("delete", distant.dataset, "--title", title)
    unknown = distant.call("delete", "5bbb6d6cff66bd4dc17bfd5a", "--title", title)

    assert "running service" in busy.stderr
    assert "may not delete" in stranger.stderr
    assert unknown.returncode == 1
    assert proxy.seen("^DELETE ") == []
