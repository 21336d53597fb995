"""A way back: earlier versions, published again and not undone, on the real portal."""

from __future__ import annotations

import os
from hashlib import sha1

import pytest
from colleague import Api
from producer import Producer

OLD, NEW, NEXT = b"a;b\n1;2\n", b"a;b\n3;4\n", b"a;b\n5;6\n"


def shown(api: Api, producer: Producer) -> bytes:
    (found,) = api.resources(producer.dataset)
    return api.download(found)


@pytest.fixture
def replaced(producer: Producer) -> Producer:
    producer.drop("a.csv", OLD)
    producer.once()
    producer.drop("a.csv", NEW)
    producer.once()
    return producer


def test_the_version_before_is_published_again_and_not_undone(replaced: Producer, api: Api) -> None:
    before = replaced.status()["a.csv"]

    replaced.ask("rollback", "a.csv", "--to", "previous", code=0)

    assert shown(api, replaced) == OLD
    (replaced.folder / "a.csv").touch()
    after = replaced.once()["a.csv"]
    assert (after["state"], after["url"], shown(api, replaced)) == (
        "published", before["url"], OLD,
    )  # fmt: skip
    assert "earlier version" in after["why"]

    replaced.drop("a.csv", NEXT)
    assert replaced.once()["a.csv"]["why"] is None
    assert shown(api, replaced) == NEXT


def test_a_version_is_named_by_its_sha1_or_by_a_day(replaced: Producer, api: Api) -> None:
    rows = replaced.ask("history", "a.csv")["history"]
    versions = [row for row in rows if row["action"] in {"resource.created", "resource.replaced"}]
    assert [row["kept"] for row in versions] == [True, True]

    replaced.ask("rollback", "a.csv", "--to", sha1(OLD).hexdigest()[:8], code=0)
    assert shown(api, replaced) == OLD
    replaced.ask("rollback", "a.csv", "--to", versions[-1]["at"], code=0)
    assert shown(api, replaced) == NEW

    refused = replaced.call("rollback", "a.csv", "--to", "1999-12-31")
    assert refused.returncode == 1
    assert "previous" in refused.stderr

    # too old, and no longer on the portal: one run of `once` drops it, as a day of the service does
    for kept in (replaced.state / "versions").glob("??/*.z"):
        os.utime(kept, (0, 0))
    replaced.once()
    gone = {row["sha1"]: row["kept"] for row in replaced.ask("history", "a.csv")["history"]}
    assert (gone[sha1(OLD).hexdigest()], gone[sha1(NEW).hexdigest()]) == (False, True)


def test_a_withdrawn_file_comes_back_and_stays(producer: Producer, api: Api) -> None:
    producer.folder_settings |= {"when_deleted": '"withdraw"', "withdraw_after": '"0s"'}
    producer.drop("a.csv", OLD)
    producer.drop("b.csv", NEW)
    producer.once()
    (producer.folder / "a.csv").unlink()
    producer.once()
    assert {found["title"] for found in api.resources(producer.dataset)} == {"b.csv"}

    producer.ask("rollback", "a.csv", "--to", sha1(OLD).hexdigest()[:8])
    producer.once(code=None)
    producer.once(code=None)

    assert {found["title"] for found in api.resources(producer.dataset)} == {"a.csv", "b.csv"}


def test_what_is_not_kept_is_said_and_nothing_is_sent(replaced: Producer, api: Api) -> None:
    for kept in (replaced.state / "versions").glob("*/*"):
        kept.unlink()

    refused = replaced.call("rollback", "a.csv", "--to", "previous")

    assert (refused.returncode, shown(api, replaced)) == (1, NEW)
    assert "keep_versions" in refused.stderr


def test_a_state_directory_that_cannot_keep_versions_publishes_all_the_same(
    producer: Producer, api: Api
) -> None:
    producer.state.mkdir()
    (producer.state / "versions").write_bytes(b"in the way")
    producer.drop("a.csv", OLD)

    assert producer.once()["a.csv"]["state"] == "published"
    assert shown(api, producer) == OLD


def test_a_daily_series_goes_back_to_the_day_before(producer: Producer, api: Api) -> None:
    producer.rules = '\n[[folders.resources]]\nmatch = "j_{date}.csv"\nkeep = "latest"\n'
    producer.drop("j_2026-11-19.csv", OLD)
    producer.once()
    producer.drop("j_2026-11-20.csv", NEW)
    producer.once()

    older = producer.call("rollback", "j_2026-11-19.csv", "--to", "previous")
    assert (older.returncode, shown(api, producer)) == (1, NEW)
    assert "rollback j_2026-11-20.csv --to previous" in older.stderr

    producer.ask("rollback", "j_2026-11-20.csv", "--to", "previous", code=0)

    assert shown(api, producer) == OLD
