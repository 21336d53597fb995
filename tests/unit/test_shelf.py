"""What is kept in little room comes back as it was."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest
from making import entry, identity, key, resource, source

from publisher_daemon.model import ResourceId, Stamp, Words
from publisher_daemon.profile import Packed
from publisher_daemon.shelf import Entries, Files, Resources

SHA1 = "0123456789abcdef0123456789abcdef01234567"
UUID = ResourceId("5bbb6d6c-ff66-bd4d-0000-0123456789ab")
SAID = Words("Été \udce9", "", "main", None, (("a", "1"),))


@pytest.mark.parametrize(
    "value",
    [
        entry(),
        replace(entry(), resource=UUID, permalink=f"https://portal.example/r/{UUID}"),
        replace(entry(), stamp=None, applied=SAID, restore="a", reset_to="", gone_since=0.0),
        replace(entry(), resource=ResourceId(UUID.upper()), permalink=""),
        entry("\udce9/\n.csv"),
    ],
)
def test_an_entry_comes_back_as_it_was(value: object) -> None:
    assert [*Entries([value]).values()] == [value]  # type: ignore[list-item]


@pytest.mark.parametrize(
    "value",
    [
        resource(),
        resource(text=None, sha1=None, size=None),
        replace(resource(), id=UUID, sha1=SHA1, permalink=f"https://portal.example/r/{UUID}"),
        # its identity says the same as the rest, and another time only nearly
        replace(resource(), title="a.csv", sha1=SHA1, source=identity()._replace(sha1=SHA1)),
        replace(resource(), title="a.csv", sha1=SHA1.upper(), source=identity()._replace(sha1="")),
        replace(resource(), sha1="", source=identity()._replace(sha1="")),
        replace(resource(), sha1="0 1", extras=(("theme", '"air"'),), schema="etalab/a"),
    ],
)
def test_a_resource_comes_back_as_it_was(value: object) -> None:
    assert [*Resources([value]).values()] == [value]  # type: ignore[list-item]


def test_what_the_portal_found_in_a_file_comes_back_too() -> None:
    found = {"analysis:error": "no\udce9", "check:status": 404, "analysis:a": [None, {"b": 0.5}]}
    shelf = Resources([replace(resource(), analysis=found)])

    assert next(iter(shelf.values())).analysis == found


@pytest.mark.parametrize(
    "value",
    [
        source(),
        replace(source("é/\udce9.csv"), words=SAID, default_title=False, pinned=UUID),
        replace(source(), profile=Packed(b"\x00\xff"), approved=True, publish_after="2026"),
        replace(source(unsaid=(("title", "{day}", "why"),)), stamp=Stamp(0, -1, 2**62, 3)),
    ],
)
def test_a_file_comes_back_as_it_was(value: object) -> None:
    assert [*Files([value]).values()] == [value]  # type: ignore[list-item]


def test_many_beginnings_of_links_are_all_kept() -> None:
    every = [
        replace(entry(f"{number}.csv"), permalink=f"https://{number}.example/{entry().resource}")
        for number in range(20)
    ]

    assert [*Entries(every).values()] == every


def test_what_is_renewed_has_the_new_values_under_the_old_keys() -> None:
    old = key("a.csv")
    shelf = Entries([replace(entry("a.csv"), key=old), entry("b.csv")])

    shelf.renew([entry("a.csv", "newer"), entry("c.csv")])

    assert shelf == {key("a.csv"): entry("a.csv", "newer"), key("c.csv"): entry("c.csv")}
    assert next(iter(shelf)) is old


def test_the_same_without_some_leaves_the_first_as_it_is() -> None:
    every = [
        replace(entry(path), permalink=f"https://portal.example/{entry().resource}")
        for path in ("a.csv", "b.csv")
    ]
    shelf = Entries(every)

    assert shelf.without({key("a.csv")}) == {key("b.csv"): every[1]}
    assert [*shelf.values()] == every


@pytest.mark.parametrize(
    ("shelf", "made"),
    [
        (Entries, lambda n: replace(entry(f"{n}.csv", str(n)), permalink=f"https://a.example/{n}")),
        (Resources, lambda n: resource(f"r{n}", str(n), source=identity(f"{n}.csv", str(n)))),
        (Files, lambda n: source(f"{n}.csv", str(n))),
    ],
)
def test_a_thousand_take_no_more_than_four_hundred_bytes_each(
    shelf: Callable[[Iterable[object]], object], made: Callable[[int], object]
) -> None:
    tracemalloc.start()
    kept = shelf(made(number) for number in range(1000))
    room, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert kept
    assert room < 400 * 1000
