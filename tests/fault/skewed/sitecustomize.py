"""Gives a whole Python process another wall clock: ``SKEW`` names a file with seconds to add."""

import os
import time
from pathlib import Path

_real = time.time


def _skewed() -> float:
    try:
        return _real() + float(Path(os.environ["SKEW"]).read_text(encoding="ascii") or 0)
    except FileNotFoundError:
        return _real()


time.time = _skewed
