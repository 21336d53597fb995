"""Breaks the command at a chosen system call, so that every step of a pass can be its last."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from producer import Producer


def broken_at(producer: Producer, command: Sequence[str], call: str, way: str, number: int) -> bool:
    """Run the command and break it at its n-th such system call; False when it ended before."""
    producer.configure()
    trace = producer.home / "trace"
    done = subprocess.run(
        ["strace", "-f", "-qq", "-o", str(trace), "-e", f"trace={call}",
         "-e", f"inject={call}:{way}:when={number}", *producer.command(*command)],
        capture_output=True, timeout=240, check=False, cwd=producer.home,
        env=producer.surroundings(),
    )  # fmt: skip
    return done.returncode in {-9, 137} or "INJECTED" in trace.read_text(errors="replace")
