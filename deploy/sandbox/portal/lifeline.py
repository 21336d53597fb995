"""Ends this process when the launcher ends, however it ends.

A launcher killed by SIGKILL cannot stop its children: only the kernel can (prctl(2),
PR_SET_PDEATHSIG). Elsewhere than on Linux the launcher's own clean-up must do.

``python lifeline.py PARENT COMMAND…`` gives the same to any command: it survives execve(2).
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def end_with(parent: int) -> None:
    """Ask the kernel for SIGTERM when ``parent`` (a process id) ends; exit if it has already."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit("the launcher is gone")


if __name__ == "__main__":
    end_with(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])
