"""A short storm against the real portal; ``make storm`` is the long one."""

from __future__ import annotations

from pathlib import Path

import pytest
from launcher import Sandbox
from proxy import Proxy
from tempest import Tempest

#: chosen so that one world is a service and the other one a timer's ``once``
SEEDS = (100, 102)
STEPS = 12


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_storm_ends_with_the_folder_published_once_and_whole(
    portal: Sandbox, proxy: Proxy, tmp_path: Path, seed: int
) -> None:
    outcome = Tempest(seed, portal, proxy, tmp_path / "world", print).run(STEPS)

    assert outcome.broken == []
    assert outcome.published >= 1, "nothing was there to be lost"
    assert outcome.faults + outcome.kills >= 3, "there was no storm"
