"""What a file in parts relies on: the ledger knows of each part before the portal has it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from publisher_daemon.ledger import Ledger
from publisher_daemon.model import (
    DatasetId,
    Entry,
    Fingerprint,
    Line,
    Parcel,
    ResourceId,
    ResourceKey,
)

KEY = ResourceKey(DatasetId("5bbb6d6cff66bd4dc17bfd5a"), "air", "2026/é\udce9.csv")
BYTES = Fingerprint("a" * 40, 5_000_000)
PARCEL = Parcel(KEY, "00000000-0000-4000-8000-000000000000", BYTES, 2 * 2**20, "La ligne…", at=1e9)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(tmp_path)
    yield opened
    opened.close()


def test_a_part_is_known_to_the_next_process(ledger: Ledger, tmp_path: Path) -> None:
    ledger.keep_parcel(PARCEL)
    assert Ledger(tmp_path, read_only=True).parcel(KEY) == PARCEL

    went = replace(PARCEL, sent=2, prefix="b" * 40, at=1e9 + 5, failures=1)
    ledger.keep_parcel(went)

    assert Ledger(tmp_path, read_only=True).parcel(KEY) == went


def test_what_is_published_has_no_parts_left(ledger: Ledger) -> None:
    ledger.keep_parcel(PARCEL)

    ledger.finish(None, Entry(KEY, ResourceId("r"), BYTES, None), now=1e9, action="x")

    assert ledger.parcel(KEY) is None


def test_the_parts_of_newer_bytes_outlast_a_change_of_words(ledger: Ledger) -> None:
    ledger.keep_parcel(PARCEL)
    older = Entry(KEY, ResourceId("r"), Fingerprint("c" * 40, 3), None)

    ledger.finish(None, older, now=1e9, action="resource.described")

    assert ledger.parcel(KEY) == PARCEL


def test_parts_of_a_file_that_is_gone_are_forgotten_in_time(ledger: Ledger) -> None:
    gone = replace(PARCEL, key=replace(KEY, path="gone.csv"))
    ledger.keep_parcel(gone)

    ledger.keep_parcel(replace(PARCEL, at=PARCEL.at + 8 * 86400))

    assert ledger.parcel(gone.key) is None


def test_dropped_parts_are_gone(ledger: Ledger) -> None:
    ledger.keep_parcel(PARCEL)

    ledger.drop_parcel(KEY)

    assert ledger.parcel(KEY) is None


def test_what_was_learned_of_the_line_is_kept(ledger: Ledger) -> None:
    assert ledger.line() == Line()
    line = Line(rate=1.5e6, refused=3 * 2**20, refused_at=1e9)

    ledger.keep_line(line, now=1e9)

    assert ledger.line() == line
