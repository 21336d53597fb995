"""The portal's client keeps its promises with the real portal."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock
from urllib.parse import urlsplit

import pytest
from sources import Bytes, fingerprint, nothing

from publisher_daemon.errors import (
    CredentialRefused,
    Exchange,
    NotThere,
    OutcomeUnknown,
    PortalBusy,
    PortalRefused,
    PortalUnreachable,
    SourceChanged,
)
from publisher_daemon.model import DatasetId, Identity, RemoteResource, ResourceId, Words
from publisher_daemon.portal import Portal, Timeouts

if TYPE_CHECKING:
    from colleague import Api
    from launcher import Sandbox

    from publisher_daemon.reconcile import ports

    #: the type checker proves that this is what a pass needs
    _: type[ports.Portal] = Portal

SMALL = b"a;b\n1;2\n"
#: of the sandbox's catalogue
SCHEMA = "ville/qualite-air"


def client(portal: Sandbox, label: str | None = "prod", **options: Any) -> Portal:
    return Portal(portal.url, portal.tokens[label] if label else None, **options)


def put(ours: Portal, dataset: str, content: bytes = SMALL, name: str = "a.csv") -> RemoteResource:
    return ours.upload(DatasetId(dataset), Bytes(content), fingerprint(content), name, nothing)


@pytest.mark.parametrize("size", [0, 8, 256 * 1024, 3_000_000])
def test_uploads_exactly_the_bytes(portal: Sandbox, dataset: str, api: Api, size: int) -> None:
    content = (SMALL * (size // 8 + 1))[:size]
    ours = client(portal)

    created = put(ours, dataset, content)

    [found] = api.resources(dataset)
    assert created.id == found["id"]
    assert created.fingerprint == fingerprint(content)
    assert api.download(found) == content
    assert ours.serves(created) is None
    assert ours.fetch_sha1(created) == created.sha1


def test_replaces_in_place(portal: Sandbox, dataset: str, api: Api) -> None:
    ours, home = client(portal), DatasetId(dataset)
    created = put(ours, dataset)
    ours.describe(home, created.id, Words(title="Mesures", description="D", type="update"))

    replaced = ours.replace(home, created.id, Bytes(b"x"), fingerprint(b"x"), "b.csv", nothing)

    assert replaced.id == created.id
    assert replaced.permalink == created.permalink
    assert replaced.title == "b.csv"  # the portal resets it
    assert replaced.description == "D"
    assert api.download(api.resource(dataset, created.id)) == b"x"
    assert "leads to" in str(ours.serves(created))


def test_the_same_name_twice_in_a_row_is_no_error(portal: Sandbox, dataset: str) -> None:
    ours = client(portal)

    assert put(ours, dataset).id != put(ours, dataset).id


def test_a_file_that_changes_leaves_nothing(portal: Sandbox, dataset: str, api: Api) -> None:
    content = SMALL * 100_000
    source = Bytes(content)
    source.content = content[:-1] + b"!"

    with pytest.raises(SourceChanged):
        client(portal).upload(DatasetId(dataset), source, fingerprint(content), "a.csv", nothing)

    assert api.resources(dataset) == []


def test_describes_only_what_is_said(portal: Sandbox, dataset: str, api: Api) -> None:
    ours, home = client(portal), DatasetId(dataset)
    created = put(ours, dataset)
    api.edit_resource(dataset, created.id, description="by a person", extras={"theirs": 1})
    identity = Identity("air", "2026/é.csv", fingerprint(SMALL).sha1)

    client(portal).describe(home, created.id, Words(title="Air", schema=SCHEMA), identity)

    found = api.resource(dataset, created.id)
    assert found["title"] == "Air"
    assert found["description"] == "by a person"
    assert found["schema"]["name"] == SCHEMA
    assert found["extras"]["theirs"] == 1
    assert ours.resource(home, created.id).source == identity
    assert [one.source for one in ours.resources(home).values()] == [identity]


def test_identifies_without_moving_the_dates(portal: Sandbox, dataset: str, api: Api) -> None:
    ours, home = client(portal), DatasetId(dataset)
    created = put(ours, dataset)
    before = api.dataset(dataset)

    ours.identify(home, created.id, Identity("air", "a.csv", "00" * 20))
    ours.identify_dataset(home, {"publisher-daemon:x": "y"})

    after = api.dataset(dataset)
    assert after["last_update"] == before["last_update"]
    assert after["resources"][0]["last_modified"] == before["resources"][0]["last_modified"]
    assert after["extras"]["publisher-daemon:x"] == "y"


def test_extras_written_after_an_upload_are_not_undone_by_its_description(
    portal: Sandbox, dataset: str, api: Api
) -> None:
    now = [0.0]
    ours, home = client(portal, monotonic=lambda: now[0]), DatasetId(dataset)
    created = put(ours, dataset)
    # as any other program may, some seconds after an upload
    api.json(
        "PUT",
        f"2/datasets/{dataset}/resources/{created.id}/extras/",
        payload={"theirs": "kept"},
    )
    now[0] += 3.0

    ours.describe(home, created.id, Words(title="A"), Identity("air", "a.csv", "00" * 20))

    found = api.resource(dataset, created.id)["extras"]
    assert found["theirs"] == "kept"
    assert found["publisher-daemon:path"] == "a.csv"


def test_extras_that_the_portal_does_not_keep_are_no_success(portal: Sandbox, dataset: str) -> None:
    ours, home = client(portal), DatasetId(dataset)
    created = put(ours, dataset)
    portal.faults([{"match": "PUT /api/2/.*/extras/", "status": 200, "body": {}, "times": 1}])

    with pytest.raises(OutcomeUnknown, match="publisher-daemon:path"):
        ours.identify(home, created.id, Identity("air", "a.csv", "00" * 20))


def test_withdraws_once(portal: Sandbox, dataset: str, api: Api) -> None:
    ours, home = client(portal), DatasetId(dataset)
    created = put(ours, dataset)

    ours.withdraw(home, created.id)

    assert api.resources(dataset) == []
    with pytest.raises(NotThere):
        ours.withdraw(home, created.id)
    with pytest.raises(NotThere):
        ours.resource(home, created.id)
    with pytest.raises(NotThere):
        ours.replace(home, created.id, Bytes(SMALL), fingerprint(SMALL), "a.csv", nothing)


def test_reads_every_page(portal: Sandbox, dataset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("publisher_daemon.portal.calls._PAGE", 2)
    ours = client(portal)
    created = [put(ours, dataset, name=f"{number}.csv").id for number in range(5)]

    assert [one.id for one in ours.resources(DatasetId(dataset)).values()] == created[::-1]


def test_an_update_keeps_what_the_portal_would_wipe(
    portal: Sandbox, dataset: str, api: Api
) -> None:
    ours, home = client(portal), DatasetId(dataset)
    coverage = {"start": "2020-01-01", "end": "2020-12-31"}
    api.edit_dataset(dataset, tags=["air", "eau"], temporal_coverage=coverage)
    created = put(ours, dataset)

    updated = ours.update_dataset(home, {"frequency": "daily"}, ours.dataset(home))

    found = api.dataset(dataset)
    assert updated.raw["frequency"] == "daily"
    assert found["tags"] == ["air", "eau"]
    assert found["temporal_coverage"] == coverage
    assert found["organization"] is not None
    assert [one["id"] for one in found["resources"]] == [created.id]


@pytest.mark.parametrize(
    "changes",
    [
        {"resources": []},
        {"owner": "x"},
        {"organization": "x"},
        {"private": None},
        {"private": ""},
        {"private": "false"},
    ],
)
def test_refuses_dangerous_updates(
    portal: Sandbox, dataset: str, changes: dict[str, object]
) -> None:
    ours = client(portal)
    current = ours.dataset(DatasetId(dataset))

    with pytest.raises(ValueError, match=next(iter(changes))):
        ours.update_dataset(DatasetId(dataset), changes, current)


def test_a_private_dataset_stays_private(portal: Sandbox) -> None:
    ours = client(portal)
    [organization] = ours.whoami().organizations
    title = f"Privé {time.time()}"

    created = ours.create_dataset(title, "D", private=True, organization=organization.id)
    updated = ours.update_dataset(created.id, {"description": "E"}, ours.dataset(created.id))

    assert created.private
    assert updated.private
    assert created.organization == organization.id
    assert created.id in {one.id for one in ours.datasets_of(organization.id)}


def test_follows_an_old_slug(portal: Sandbox, dataset: str, api: Api) -> None:
    slug = api.dataset(dataset)["slug"]
    api.edit_dataset(dataset, title=f"Autre titre {time.time()}")

    assert client(portal).resolve(slug).id == dataset
    assert client(portal).dataset(DatasetId(dataset)).slug != slug


def test_sees_what_this_key_may_do(portal: Sandbox) -> None:
    def seen(label: str, dataset: str) -> tuple[bool, bool, bool]:
        found = client(portal, label).dataset(DatasetId(portal.datasets[dataset]))
        return found.can_edit_resources, found.deleted, found.archived

    assert seen("prod", "pub") == (True, False, False)
    assert seen("prod", "deleted") == (True, True, False)
    assert seen("prod", "archived") == (True, False, True)
    assert seen("stranger", "pub") == (False, False, False)
    with pytest.raises(NotThere):
        seen("stranger", "priv")
    with pytest.raises(NotThere):
        seen("stranger", "deleted")


@pytest.mark.parametrize(
    ("label", "said"), [("revoked", "Revoked"), ("expired", "Expired"), (None, "Invalid")]
)
def test_says_why_the_key_is_refused(portal: Sandbox, label: str | None, said: str) -> None:
    ours = Portal(portal.url, portal.tokens[label] if label else "udata_" + "x" * 64)

    with pytest.raises(CredentialRefused, match=said):
        ours.whoami()


def test_each_client_acts_with_its_own_key_whoever_asked_before(
    portal: Sandbox, dataset: str
) -> None:
    theirs, ours = client(portal, "stranger"), client(portal)

    for _ in range(2):
        assert ours.whoami().email == "prod@example.org"
        assert theirs.whoami().email == "stranger@example.org"
    with pytest.raises(PortalRefused, match="403"):
        put(theirs, dataset)
    # the portal's cookie would let a key that was revoked meanwhile go on
    with pytest.raises(CredentialRefused, match="Revoked"):
        client(portal, "revoked").whoami()


def test_a_write_is_given_more_time_for_each_resource_of_its_dataset(
    portal: Sandbox, dataset: str
) -> None:
    waits: list[float] = []
    ours = client(portal, timeouts=Timeouts(per_resource=100.0), on_wait=waits.append)
    home = DatasetId(dataset)
    created = put(ours, dataset, name="a.csv")
    put(ours, dataset, name="b.csv")

    ours.resources(home)
    waits.clear()
    ours.describe(home, created.id, Words(title="A"))

    assert waits == [Timeouts().answer + 2 * 100.0]


def test_words_that_are_refused_are_told_apart_from_their_file(
    portal: Sandbox, dataset: str
) -> None:
    ours = client(portal)
    created = put(ours, dataset)

    with pytest.raises(PortalRefused, match="ville/inconnu") as refused:
        ours.describe(DatasetId(dataset), created.id, Words(schema="ville/inconnu"))

    assert "The file itself is on the portal" in str(refused.value.hint)


def test_a_stranger_is_refused(portal: Sandbox, dataset: str) -> None:
    with pytest.raises(PortalRefused, match="403"):
        put(client(portal, "stranger"), dataset)


def test_a_refused_extension_says_so(portal: Sandbox, dataset: str) -> None:
    with pytest.raises(PortalRefused, match="file type is not allowed"):
        put(client(portal), dataset, name="a.tmp")


def test_reads_the_vocabularies_and_the_key(portal: Sandbox) -> None:
    ours = client(portal)

    assert {"csv", "geojson"} <= ours.extensions()
    assert "daily" in ours.frequencies()
    assert "lov2" in ours.licenses()
    assert "main" in ours.resource_types()
    assert ours.schemas() == {SCHEMA}
    assert ours.table_schemas()[SCHEMA].startswith(portal.url)
    assert ours.whoami().email == "prod@example.org"
    assert ours.key_expiry() == (portal.tokens["prod"][:14], None)
    assert abs((ours.server_date() or 0) - time.time()) < 5


def test_reads_without_a_key(portal: Sandbox, dataset: str) -> None:
    assert not client(portal, None).dataset(DatasetId(dataset)).can_edit


def test_an_answer_lost_behind_a_proxys_error_is_an_unknown_outcome(
    portal: Sandbox, dataset: str, api: Api
) -> None:
    portal.faults(
        [{"match": "POST .*/upload/", "status": 504, "after": True, "html": True, "times": 1}]
    )

    with pytest.raises(OutcomeUnknown) as unknown:
        put(client(portal), dataset)

    assert unknown.value.status == 504
    assert len(api.resources(dataset)) == 1


def test_keeps_the_portals_own_number_of_an_error(portal: Sandbox, dataset: str) -> None:
    number = "ab" * 16
    portal.faults(
        [{"match": "GET .*", "status": 500, "headers": {"X-Sentry-ID": number}, "times": 1}]
    )

    with pytest.raises(PortalUnreachable) as failed:
        client(portal).dataset(DatasetId(dataset))

    assert failed.value.sentry_id == number


def test_a_deletion_that_was_said_and_not_made_is_seen(portal: Sandbox, dataset: str) -> None:
    ours, home = client(portal), DatasetId(dataset)
    created = put(ours, dataset)
    portal.faults([{"match": "DELETE .*", "status": 204, "body": "", "times": 1}])

    with pytest.raises(OutcomeUnknown, match="has it"):
        ours.withdraw(home, created.id)

    assert ours.resource(home, created.id).id == created.id


def test_read_only_is_a_reason_to_wait(portal: Sandbox, dataset: str) -> None:
    portal.faults(
        [{"match": "POST .*", "status": 423, "body": {"message": "disabled"}, "times": 1}]
    )

    with pytest.raises(PortalBusy, match="read-only") as busy:
        put(client(portal), dataset)

    assert busy.value.retry_after is None


def test_every_call_is_one_the_portal_documents(portal: Sandbox, dataset: str, api: Api) -> None:
    told: list[Exchange] = []
    ours: Any = Mock(wraps=client(portal, on_exchange=told.append))
    home, town = DatasetId(dataset), portal.orgs["ville"]
    created = put(ours, dataset)
    ours.replace(home, created.id, Bytes(b"x"), fingerprint(b"x"), "b.csv", nothing)
    ours.describe(home, created.id, Words(title="T"))
    ours.identify(home, created.id, Identity("f", "p", ""))
    ours.identify_dataset(home, {"publisher-daemon:x": "y"})
    ours.update_dataset(home, {}, ours.dataset(home))
    ours.resources(home)
    ours.resource(home, created.id)
    ours.serves(created)
    for read in (
        ours.whoami,
        ours.key_expiry,
        ours.extensions,
        ours.frequencies,
        ours.licenses,
        ours.access_reasons,
        ours.resource_types,
        ours.schemas,
        ours.table_schemas,
        ours.granularities,
        ours.reuse_types,
        ours.reuse_topics,
    ):
        read()
    list(ours.datasets_of("me"))
    ours.has_zone("country:fr")
    ours.contacts_of(town)
    ours.find_resource(created.id)
    ours.update_organization(town, {"description": ours.organization(town).raw["description"]})
    made = ours.create_reuse(
        {"title": "R", "description": "R", "type": "application", "topic": "health",
         "url": f"https://example.org/{dataset}", "organization": town}
    )  # fmt: skip
    list(ours.reuses_of(town))
    ours.update_reuse(made.id, {"title": ours.reuse(made.id).title})
    ours.attach(made.id, home)
    ours.withdraw(home, created.id)
    ours.delete_dataset(ours.create_dataset(f"Documenté {time.time()}", "D", private=True).id)
    public = {name for name in dir(Portal) if not name.startswith("_")}
    # parts go where uploads go; the others are no calls of the API, or made of those above
    apart = {"put_part", "assemble", "url", "close", "server_date", "document", "resolve", "fetch",
             "fetch_sha1"}  # fmt: skip
    assert public - apart == {name for name, _, _ in ours.method_calls}

    documented = set()
    for version in ("1", "2"):
        paths = api.json("GET", f"{version}/swagger.json")["paths"]
        documented |= {
            (
                method.upper(),
                re.compile(re.sub(r"\\\{[^/]*\\\}", "[^/]+", re.escape(f"/api/{version}{path}"))),
            )
            for path, methods in paths.items()
            for method in methods
        }
    for exchange in told:
        path = urlsplit(exchange.url).path
        if "/s/resources/" in path or "/datasets/r/" in path:
            continue  # a file and its permalink, not calls of the API
        assert any(
            method == exchange.method and pattern.fullmatch(path) for method, pattern in documented
        ), f"{exchange.method} {path}"
        sent = {name.casefold() for name, _ in exchange.request_headers}
        assert "x-api-key" in sent, f"{exchange.method} {path} went without the key"
    assert len(told) > 30


def test_an_unknown_resource_is_not_there(portal: Sandbox, dataset: str) -> None:
    with pytest.raises(NotThere):
        client(portal).resource(
            DatasetId(dataset), ResourceId("00000000-0000-4000-8000-000000000000")
        )
