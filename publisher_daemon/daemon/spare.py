"""Gives memory back to the system that nobody uses; the C library would keep it for the next time.

A start reads the lists of every dataset in several threads, each of which the C library gives a
heap of its own: what was freed in them stays with the process, though it may rest for days.
"""

from __future__ import annotations

import ctypes

#: glibc's names for what it may be told (malloc.h); other C libraries have no such thing
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_KIB = 1024


def keep_little() -> None:
    """From now on have one heap for all threads, and give back soon: once, before there are any.

    Python holds its own lock nearly whenever it wants memory, so that the threads do not meet.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_ARENA_MAX, 1)
        mallopt(_TRIM_THRESHOLD, 128 * _KIB)
        mallopt(_MMAP_THRESHOLD, 128 * _KIB)


def give_back() -> None:
    """Give back every page in which nothing is left."""
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)
