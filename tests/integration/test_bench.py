"""What the benchmarks send to is an answer the client takes, or they would measure nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench import sink, uploading


@pytest.mark.parametrize("tls", [False, True])
def test_an_upload_to_the_sink_is_done(tmp_path: Path, tls: bool) -> None:
    path, fingerprint = uploading.made(tmp_path, 2 * uploading.MIB)

    with (
        sink.running(tmp_path, tls=tls) as server,
        uploading.sender(path, fingerprint, server) as send,
    ):
        assert send()
        assert send()
