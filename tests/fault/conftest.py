"""The producer whose portal is behind the proxy that fails on demand."""

from __future__ import annotations

from pathlib import Path

import pytest
from launcher import Sandbox
from producer import Producer
from proxy import Proxy


@pytest.fixture
def producer(tmp_path: Path, portal: Sandbox, dataset: str, proxy: Proxy) -> Producer:
    return Producer(tmp_path, proxy.url, portal.tokens["prod"], dataset)
