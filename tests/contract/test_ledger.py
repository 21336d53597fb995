"""What a pass relies on: each method of the ledger is one durable transaction."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from publisher_daemon.ledger import Ledger
from publisher_daemon.model import DatasetId, Fingerprint, ResourceId, ResourceKey, Stamp, Words

DATASET = DatasetId("5bbb6d6cff66bd4dc17bfd5a")
KEY = ResourceKey(DATASET, "air", "2026/mesures.csv")
BYTES = Fingerprint("a" * 40, 8)
STAMP = Stamp(8, 1_700_000_000_000_000_001, 1_700_000_000_000_000_002, 42)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(tmp_path)
    yield opened
    opened.close()


def reopened(path: Path) -> Ledger:
    """Open it as another process would after this one died."""
    return Ledger(path, read_only=True)


def test_an_intent_is_there_before_its_request(ledger: Ledger, tmp_path: Path) -> None:
    attempt = ledger.begin(
        KEY,
        "replace",
        now=100.0,
        fingerprint=BYTES,
        stamp=STAMP,
        name="mesures.csv",
        resource=ResourceId("r1"),
        before=Fingerprint("b" * 40, 9),
        title="Mesures",
        words=Words(title="Mesures", description="…"),
    )

    assert reopened(tmp_path).read(DATASET).attempts == (attempt,)
    assert not attempt.sent


def test_the_instant_of_the_last_byte_is_kept(ledger: Ledger, tmp_path: Path) -> None:
    attempt = ledger.begin(KEY, "upload", now=100.0, fingerprint=BYTES)

    ledger.sent(attempt, now=700.0)

    assert reopened(tmp_path).read(DATASET).attempts == (
        replace(attempt, sent=True, sent_at=700.0),
    )
