"""Thousands of worlds a minute over the pure core: ``python tests/storm/simulate.py``.

One failing world is replayed, told step by step, by ``--seed N --worlds 1 -v``.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "unit")]

from world import run_world  # noqa: E402 - found through the line above


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="the first world's seed")
    parser.add_argument("--worlds", type=int, default=2000)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("-v", "--verbose", action="store_true", help="tell every step")
    asked = parser.parse_args(arguments)

    started = time.monotonic()
    outcomes = []
    for seed in range(asked.seed, asked.seed + asked.worlds):
        outcome = run_world(seed, asked.steps, verbose=asked.verbose)
        outcomes.append(outcome)
        if outcome.broken:
            print(f"seed {seed}: {outcome.broken}")
    seconds = time.monotonic() - started
    lost, twins, torn = (
        sum(getattr(outcome, name) for outcome in outcomes) for name in ("lost", "twin", "torn")
    )
    print(
        f"seed={asked.seed} worlds={asked.worlds} steps={asked.worlds * asked.steps} "
        f"published={sum(outcome.published for outcome in outcomes)} "
        f"faults={sum(outcome.faults for outcome in outcomes)} "
        f"crashes={sum(outcome.crashes for outcome in outcomes)} "
        f"held={sum(outcome.held for outcome in outcomes)} "
        f"lost={lost} twins={twins} torn={torn} seconds={seconds:.1f}"
    )
    return 1 if lost or twins or torn else 0


if __name__ == "__main__":
    sys.exit(main())
