"""The laws of the planner, in worlds where everything goes wrong (``world.py``).

Each world checks on its way that no plan touches what is not ours and that the order of what is
given does not matter; at its end, in peace, that each file is on the portal exactly once with its
last bytes and its words, or is held with a reason.
"""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from world import NAMES, World, live, run_world
from world_laws import Broken, check_converged
from world_portal import fingerprint_of

from publisher_daemon.model import Plan, ResourceKey, Words
from publisher_daemon.plan import identity_of

WORLDS = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
SEEDS = st.integers(min_value=0, max_value=2**32)


def quiet_world(seed: int, steps: int = 12) -> World:
    """A world in which files and settings change, but nothing fails and nobody interferes."""
    world = World(random.Random(seed), faults=False)
    for _ in range(steps):
        world.touch_folder()
        world.advance(world.rng.choice((1.0, 20.0)))
        if world.rng.random() < 0.4:
            world.run_pass()
    world.converge()
    return world


@WORLDS
@given(rng=st.randoms(use_true_random=False), steps=st.integers(min_value=5, max_value=40))
def test_every_world_converges_whatever_breaks(rng: random.Random, steps: int) -> None:
    live(World(rng), steps)


@pytest.mark.parametrize("start", range(0, 400, 100))
def test_every_seeded_world_converges(start: int) -> None:
    broken = {
        outcome.seed: outcome.broken
        for outcome in map(run_world, range(start, start + 100))
        if outcome.broken
    }

    assert broken == {}


@WORLDS
@given(seed=SEEDS)
def test_the_plan_of_a_converged_world_is_empty(seed: int) -> None:
    world = quiet_world(seed)

    assert world.decide(world.remote()) == Plan()


@WORLDS
@given(seed=SEEDS)
def test_a_converged_world_has_one_resource_for_each_file_and_no_other_writes_are_made(
    seed: int,
) -> None:
    world = quiet_world(seed)
    before = dict(world.portal.writes)

    for _ in range(3):
        world.advance(100)
        world.run_pass()

    assert dict(world.portal.writes) == before
    assert {entry.resource for entry in world.ledger.entries.values()} == set(
        world.portal.resources
    )


@WORLDS
@given(seed=SEEDS)
def test_losing_the_state_uploads_nothing_and_makes_no_twin(seed: int) -> None:
    world = quiet_world(seed)
    writes, resources = dict(world.portal.writes), dict(world.portal.resources)
    of_a_file = {key: entry.resource for key, entry in world.ledger.entries.items()}

    world.lose_state()
    world.converge()

    assert dict(world.portal.writes) == writes
    assert world.portal.resources == resources
    assert {key: entry.resource for key, entry in world.ledger.entries.items()} == {
        key: resource for key, resource in of_a_file.items() if key in world.files
    }


@WORLDS
@given(seed=SEEDS, at=st.integers(min_value=0, max_value=60))
def test_a_crash_at_any_step_publishes_nothing_twice(seed: int, at: int) -> None:
    world = quiet_world(seed, steps=4)
    for name in NAMES[:3]:
        world.write(ResourceKey(next(iter(world.policy().watches)).dataset, "one", name), name)
    world.advance(10)

    steps = world.one_pass()
    for number, _ in enumerate(steps):
        if number == at:
            break
    steps.close()
    world.converge()

    owned = {entry.resource for entry in world.ledger.entries.values()}
    assert owned == set(world.portal.resources)


def test_a_title_that_a_person_chose_survives_a_replacement() -> None:
    world = quiet_world(1, steps=0)
    key = ResourceKey(next(iter(world.policy().watches)).dataset, "one", "a.csv")
    world.write(key, "first\n")
    world.converge()
    (resource,) = world.portal.resources
    world.portal.edit(resource, Words(title="Chosen", description="By a person"))

    world.write(key, "second\n")
    world.said[resource] = {"Chosen"}
    world.converge()

    found = world.portal.resources[resource]
    assert (found.title, found.description) == ("Chosen", "By a person")
    assert found.fingerprint == fingerprint_of("second\n")
    assert found.source == identity_of(world.source(key))


def test_a_broken_world_is_seen() -> None:
    world = quiet_world(3)
    resource = min(world.portal.resources)
    world.portal.create("a.csv", fingerprint_of("contents number 0\n"), "us")
    world.portal.put(resource, "a.csv", fingerprint_of("never seen\n"), "us")

    with pytest.raises(Broken):
        check_converged(world, Plan())
