"""Benchmarks: ours beside what users would pick instead (``make bench``)."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "deploy" / "sandbox")]
