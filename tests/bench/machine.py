"""Says in a few words what machine the figures are from."""

from __future__ import annotations

import os
import platform
import re
import ssl
import subprocess
from pathlib import Path


def description() -> list[str]:
    """Processor, memory, system and the programs compared."""
    found = re.search(r"model name\s*: (.*)", _text("/proc/cpuinfo"))
    flags = re.search(r"flags\s*: (.*)", _text("/proc/cpuinfo"))
    known = set(flags[1].split()) if flags else set()
    has = [name for name in ("aes", "sha_ni", "avx512f") if name in known]
    memory = re.search(r"MemTotal:\s+(\d+) kB", _text("/proc/meminfo"))
    gib = f"{int(memory[1]) / 2**20:.0f} GiB of memory" if memory else ""
    cores = len(os.sched_getaffinity(0))
    return [
        f"{cores} cores, {found[1] if found else platform.machine()} ({', '.join(has)}), {gib}",
        f"Linux {platform.release()}, Python {platform.python_version()}, {ssl.OPENSSL_VERSION}",
        subprocess.run(["curl", "--version"], capture_output=True, text=True, check=True)
        .stdout.splitlines()[0].split(" (")[0],
        f"load when it began: {os.getloadavg()[0]:.1f} (work of others slows both sides)",
    ]  # fmt: skip


def _text(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")
