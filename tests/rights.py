"""Lets another account into a test's directory, and no further than that."""

from __future__ import annotations

from pathlib import Path


def let_others_in(directory: Path) -> None:
    """Make a directory and what is above it passable, wherever it is not so already."""
    for above in (directory, *directory.parents):
        mode = above.stat().st_mode & 0o7777
        if mode & 0o005 != 0o005:
            above.chmod(mode | 0o055)
