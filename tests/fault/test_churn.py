"""A short random life of a folder; ``tests/storm/churn.py`` (``make storm``) lives longer ones."""

from __future__ import annotations

import pytest
from churn import Churn
from launcher import Sandbox
from producer import Producer


@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.storm)])
def test_a_churned_folder_ends_on_the_portal_as_it_is_and_nothing_torn_went_out(
    producer: Producer, portal: Sandbox, seed: int
) -> None:
    churn = Churn(seed, portal, producer, print)

    churn.run(25)

    assert churn.whole
