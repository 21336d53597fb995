"""Storms against a real portal, with real kill -9: ``python tests/storm/portal.py``.

One failing world is replayed, told step by step, by ``--seed N --worlds 1 -v``.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "deploy" / "sandbox"), str(ROOT / "tests/storm")]

from launcher import Sandbox  # noqa: E402 - found through the line above
from proxy import Proxy  # noqa: E402
from tempest import Outcome, Tempest  # noqa: E402


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="the first world's seed")
    parser.add_argument("--worlds", type=int, default=20)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("-v", "--verbose", action="store_true", help="tell every step")
    asked = parser.parse_args(arguments)

    started = time.monotonic()
    outcomes: list[Outcome] = []
    with Sandbox(say=print) as sandbox:
        for seed in range(asked.seed, asked.seed + asked.worlds):
            home = Path(tempfile.mkdtemp(prefix=f"storm-{seed}-"))
            with Proxy(sandbox.url) as proxy:
                storm = Tempest(
                    seed, sandbox, proxy, home, print if asked.verbose else lambda _line: None
                )
                outcomes.append(storm.run(asked.steps))
            for wrong in outcomes[-1].broken:
                print(f"seed {seed}: {wrong}; its logs and ledger: {home}", flush=True)
            if not outcomes[-1].broken:
                shutil.rmtree(home)
    lost, twins, torn, words = (
        sum(len(getattr(outcome, name)) for outcome in outcomes)
        for name in ("lost", "twins", "torn", "words")
    )
    print(
        f"seed={asked.seed} worlds={asked.worlds} "
        f"steps={sum(outcome.steps for outcome in outcomes)} "
        f"published={sum(outcome.published for outcome in outcomes)} "
        f"faults={sum(outcome.faults for outcome in outcomes)} "
        f"kills={sum(outcome.kills for outcome in outcomes)} "
        f"lost={lost} twins={twins} torn={torn} words={words} "
        f"seconds={time.monotonic() - started:.1f}"
    )
    return 1 if lost or twins or torn or words else 0


if __name__ == "__main__":
    sys.exit(main())
