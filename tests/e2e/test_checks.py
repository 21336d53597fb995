"""What is held before it goes out, let through, and compared, on the real portal."""

from __future__ import annotations

from hashlib import sha1

import pytest
from colleague import Api
from producer import Producer
from publications import lines, measures

GOOD = measures(days=10)


def test_an_accident_is_held_and_what_is_published_stays(producer: Producer, api: Api) -> None:
    producer.drop("mesures.csv", GOOD.encode())
    producer.once()

    producer.drop("mesures.csv", lines(GOOD, 0, 60).encode())
    file = producer.once(code=1)["mesures.csv"]

    (found,) = api.resources(producer.dataset)
    assert (file["state"], file["code"]) == ("held", "check_held")
    assert "60 rows instead of 2,000: 97% of them are gone" in file["why"]
    assert found["checksum"]["value"] == sha1(GOOD.encode()).hexdigest()


def test_release_lets_exactly_these_bytes_through(producer: Producer, api: Api) -> None:
    producer.drop("mesures.csv", GOOD.encode())
    producer.once()
    short = lines(GOOD, 0, 60).encode()
    producer.drop("mesures.csv", short)
    producer.once(code=1)

    assert producer.call("retry", "mesures.csv").returncode == 1
    producer.ask("release", "mesures.csv", code=0)

    (found,) = api.resources(producer.dataset)
    assert found["checksum"]["value"] == sha1(short).hexdigest()

    producer.drop("mesures.csv", lines(GOOD, 0, 1).encode())
    assert producer.once(code=1)["mesures.csv"]["code"] == "check_held"


def test_a_file_that_changed_since_it_was_held_is_not_released(producer: Producer) -> None:
    producer.drop("a.csv", b"<html>502</html>")
    producer.once(code=1)
    producer.drop("a.csv", b"<html>503 other</html>")

    refused = producer.call("release", "a.csv")

    assert refused.returncode == 1
    assert "not the file that was held" in refused.stderr
    assert producer.once(code=1)["a.csv"]["state"] == "held"


def test_the_same_file_in_the_folder_for_approvals_is_let_through(
    producer: Producer, api: Api
) -> None:
    approvals = producer.home / "approved"
    approvals.mkdir()
    producer.rules = f'\n[folders.checks]\napprovals = "{approvals}"\n'
    page = b"<html>it is what we publish</html>"
    producer.drop("page.csv", page)
    producer.once(code=1)

    (approvals / "page.csv").write_bytes(b"<html>something else</html>")
    producer.once(code=1)
    (approvals / "page.csv").write_bytes(page)
    producer.once()

    assert [found["title"] for found in api.resources(producer.dataset)] == ["page.csv"]


def test_the_first_publication_of_a_dataset_may_ask_for_a_yes(producer: Producer, api: Api) -> None:
    producer.rules = '\n[folders.checks]\nfirst_publication = "ask"\n'
    producer.drop("a.csv", b"a;b\n1;2\n")
    producer.drop("b.csv", b"a;b\n3;4\n")
    files = producer.once(code=1)
    assert {file["code"] for file in files.values()} == {"first_publication"}
    assert api.resources(producer.dataset) == []

    producer.ask("release", "a.csv")
    producer.once()

    assert {found["title"] for found in api.resources(producer.dataset)} == {"a.csv", "b.csv"}


def test_plan_says_what_a_check_holds_and_sends_nothing(producer: Producer, api: Api) -> None:
    producer.drop("a.zip", b"PK\x03\x04 torn")

    shown = producer.ask("plan", code=1)

    (hold,) = shown["datasets"][0]["holds"]
    assert (hold["code"], api.resources(producer.dataset)) == ("check_held", [])


def test_checks_are_off_where_the_folder_says_so(producer: Producer) -> None:
    producer.rules = '\n[folders.checks]\nmode = "off"\n'
    producer.drop("a.csv", b"<html>on purpose</html>")

    assert producer.once()["a.csv"]["state"] == "published"


def test_a_date_beside_the_file_holds_it_until_then(producer: Producer, api: Api) -> None:
    (producer.folder / "a.csv.publish_after").write_text("2099-01-01 08:00\n")
    producer.drop("a.csv", b"a;b\n1;2\n")

    file = producer.once(code=None)["a.csv"]
    assert (file["state"], file["code"]) == ("pending", "embargo")
    assert (file["retry_at"], api.resources(producer.dataset)) == ("2099-01-01T07:00:00Z", [])

    (producer.folder / "a.csv.publish_after").write_text("2020-01-01")
    assert producer.once()["a.csv"]["state"] == "published"


SCHEMA = b"""{"fields": [{"name": "code", "type": "string", "constraints": {"pattern": "[0-9]{5}"}},
 {"name": "jour", "type": "date"}]}"""


@pytest.mark.parametrize("where", ["file", "address"])
def test_a_table_that_leaves_its_schema_is_held_and_goes_once_it_is_mended(
    producer: Producer, api: Api, where: str
) -> None:
    (producer.home / "schema.json").write_bytes(SCHEMA)
    said = f'table_schema = "{producer.home}/schema.json"'
    if where == "address":
        producer.drop("schema.json", SCHEMA)
        said = f'schema = "{producer.once()["schema.json"]["url"]}"'
    producer.rules = f'\n[[folders.resources]]\nmatch = "*.csv"\n{said}\n'
    producer.drop("a.csv", b"code;jour\n69123;2026-11-20\n1004;20/11/2026\n")

    file = producer.once(code=1)["a.csv"]

    assert (file["state"], file["code"]) == ("held", "check_held")
    assert "Row 3, column “code”: “1004” does not have the form" in file["why"]
    assert "Row 3, column “jour”: “20/11/2026” is not a date like 2026-11-20" in file["why"]
    assert "a.csv" not in {found["title"] for found in api.resources(producer.dataset)}

    producer.drop("a.csv", b"code;jour\n69123;2026-11-20\n01004;2026-11-20\n")
    assert producer.once()["a.csv"]["state"] == "published"
