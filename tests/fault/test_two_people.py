"""A colleague at the portal between two of our steps, or while we upload."""

from __future__ import annotations

from typing import Any

import pytest
from colleague import Api
from producer import Producer
from proxy import Proxy
from waiting import wait_until

UPLOAD = "POST .*/upload/$"
WORDS = "PUT .*/resources/[^/]+/$"
READ = "GET .*/2/datasets/[^/]+/resources/"

#: where the colleague comes in: before our request goes to the portal, or after the portal did it
MOMENTS = ("on_request", "on_reply")


def moments(*often: tuple[str, str], rarely: tuple[tuple[str, str], ...]) -> list[Any]:
    """Which requests, and when: at every ``make test``, or in the storm only."""
    return [*often, *(pytest.param(*rare, marks=pytest.mark.storm) for rare in rarely)]


@pytest.fixture
def producer(distant: Producer) -> Producer:
    return distant


def published(producer: Producer, name: str = "a.csv") -> dict[str, Any]:
    """Run passes until the file is published."""

    def there() -> dict[str, Any] | None:
        file = producer.once(code=None).get(name)
        return file if file and file["state"] == "published" else None

    found = wait_until(there, 60, f"{name} published")
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("request_", "moment"),
    moments(
        (UPLOAD, "on_reply"),
        (READ, "on_request"),
        rarely=((UPLOAD, "on_request"), (READ, "on_reply")),
    ),
)
def test_a_title_given_meanwhile_stays(
    producer: Producer, api: Api, proxy: Proxy, request_: str, moment: str
) -> None:
    producer.drop("a.csv", b"un")
    first = published(producer)
    theirs = api.upload(producer.dataset, "autre.csv", b"autre")

    def give_a_title() -> None:
        api.edit_resource(producer.dataset, theirs["id"], title="Le sien", description="Ses mots")

    sha1 = producer.drop("a.csv", b"deux")
    proxy.rule(request_, times=1, **{moment: give_a_title})
    published(producer)

    assert api.resource(producer.dataset, theirs["id"])["title"] == "Le sien"
    assert api.resource(producer.dataset, theirs["id"])["description"] == "Ses mots"
    ours = api.resource(producer.dataset, first["resource_id"])
    assert (ours["checksum"]["value"], ours["title"]) == (sha1, "a.csv")


@pytest.mark.parametrize("moment", MOMENTS)
def test_what_a_colleague_adds_during_our_upload_is_left_alone(
    producer: Producer, api: Api, proxy: Proxy, moment: str
) -> None:
    added: list[str] = []

    def add() -> None:
        added.append(api.upload(producer.dataset, "le-sien.csv", b"le sien")["id"])

    sha1 = producer.drop("a.csv", b"a")
    proxy.rule(UPLOAD, times=1, **{moment: add})
    ours = published(producer)

    found = api.sha1s(producer.dataset)
    assert found.pop(ours["resource_id"]) == sha1
    assert list(found) == added


@pytest.mark.parametrize("moment", MOMENTS)
def test_an_order_given_during_our_upload_is_no_harm(
    producer: Producer, api: Api, proxy: Proxy, moment: str
) -> None:
    for name in ("a.csv", "b.csv", "c.csv"):
        producer.drop(name, name.encode())
    producer.once()

    def reorder() -> None:
        ids = [{"id": found["id"]} for found in reversed(api.resources(producer.dataset))]
        api.request("PUT", f"1/datasets/{producer.dataset}/resources/", payload=ids)

    before = {found["id"] for found in api.resources(producer.dataset)}
    sha1 = producer.drop("b.csv", b"autre chose")
    proxy.rule(UPLOAD, times=1, **{moment: reorder})
    file = published(producer, "b.csv")

    assert {found["id"] for found in api.resources(producer.dataset)} == before
    assert api.sha1s(producer.dataset)[file["resource_id"]] == sha1


@pytest.mark.parametrize(
    ("request_", "moment"),
    moments(
        (UPLOAD, "on_request"),
        (UPLOAD, "on_reply"),
        (WORDS, "on_request"),
        rarely=((WORDS, "on_reply"), (READ, "on_request"), (READ, "on_reply")),
    ),
)
def test_a_resource_deleted_under_our_feet_is_held_then_published_again_once_asked(
    producer: Producer, api: Api, proxy: Proxy, request_: str, moment: str
) -> None:
    producer.drop("a.csv", b"un")
    first = published(producer)
    api.edit_resource(producer.dataset, first["resource_id"], title="Titre donné")

    def delete() -> None:
        api.request("DELETE", f"1/datasets/{producer.dataset}/resources/{first['resource_id']}/")

    sha1 = producer.drop("a.csv", b"deux")
    proxy.rule(request_, times=1, **{moment: delete})
    producer.once(code=None)
    file = producer.once(code=None)["a.csv"]

    assert (file["state"], "deleted" in file["why"]) == ("held", True), file["why"]
    assert api.resources(producer.dataset) == []
    producer.call("retry", "a.csv")
    published(producer)
    assert list(api.sha1s(producer.dataset).values()) == [sha1]


@pytest.mark.parametrize("moment", MOMENTS)
def test_bytes_put_there_during_our_replacement_are_told_or_under_ours_never_mixed(
    producer: Producer, api: Api, proxy: Proxy, moment: str
) -> None:
    """The portal has no conditional requests: before ours, theirs is covered; after, it is held."""
    producer.drop("a.csv", b"un")
    first = published(producer)

    def replace() -> None:
        api.replace(producer.dataset, first["resource_id"], "le-sien.csv", b"le sien")

    sha1 = producer.drop("a.csv", b"deux")
    proxy.rule(UPLOAD, times=1, **{moment: replace})
    producer.once(code=None)
    file = producer.once(code=None)["a.csv"]

    (only,) = api.resources(producer.dataset)
    if moment == "on_request":
        assert (file["state"], only["checksum"]["value"]) == ("published", sha1)
    else:
        assert file["state"] == "held"
        assert "Somebody put other content" in file["why"]
        assert api.download(only) == b"le sien"
