"""Series of dated files, through the command, on the real portal."""

from __future__ import annotations

from colleague import Api
from producer import Producer

LATEST = """
[[folders.resources]]
match = "mesures_{date}.csv"
title = "Mesures du {date}"
keep = "latest"
"""


def test_a_daily_file_is_one_resource_with_one_link_always_the_newest(
    producer: Producer, api: Api
) -> None:
    producer.rules = LATEST
    producer.drop("mesures_2026-11-18.csv", b"a;b\n1;18\n")
    first = producer.once()["mesures_2026-11-18.csv"]

    producer.drop("mesures_2026-11-20.csv", b"a;b\n1;20\n")
    second = producer.once()["mesures_2026-11-20.csv"]
    producer.drop("mesures_2026-11-19.csv", b"a;b\n1;19\n")
    files = producer.once()

    (found,) = api.resources(producer.dataset)
    assert second["url"] == first["url"] == found["latest"]
    assert found["title"] == "Mesures du 2026-11-20"
    assert api.download(found) == b"a;b\n1;20\n"
    assert {path: file["state"] for path, file in files.items()} == {
        "mesures_2026-11-18.csv": "ignored",
        "mesures_2026-11-19.csv": "ignored",
        "mesures_2026-11-20.csv": "published",
    }


def test_a_window_of_two_withdraws_what_leaves_it(producer: Producer, api: Api) -> None:
    producer.rules = LATEST.replace('"latest"', '"last:2"\nwhen_left = "withdraw"')
    for day in (18, 19, 20):
        producer.drop(f"mesures_2026-11-{day}.csv", f"a;b\n1;{day}\n".encode())
        files = producer.once()

    titles = {found["title"] for found in api.resources(producer.dataset)}
    assert titles == {"Mesures du 2026-11-19", "Mesures du 2026-11-20"}
    assert files["mesures_2026-11-18.csv"]["state"] in {"withdrawn", "ignored"}
