"""What looks at a folder could not see, as something was mounted over it, until it shows again.

No event tells that it does. The watcher reads the table of mounts every other second: of what was
mounted and unmounted between two readings only a look that met it knows.
"""

from __future__ import annotations

import os
from pathlib import Path

from publisher_daemon import mounts
from publisher_daemon.folder._tree import Walk


class Covers:
    """The mounts below one folder at its last looks; asked and told by different threads."""

    def __init__(self) -> None:
        self._real = ""
        #: a new set after each look; once something of it was told, the next one begins anew
        self._met: frozenset[str] = frozenset()
        self._told: frozenset[str] | None = None

    def note(self, walk: Walk) -> None:
        """Keep where something was mounted during this look; raises OSError."""
        root = walk.root.descriptor
        # asks the kernel for the name alone: a look that is given up ends wherever it was left
        self._real = str(Path(f"/proc/self/fd/{root}").readlink())
        met = walk.mounts | mounts.below(self._real)
        # unmounted since; what is of another device even now may be no mount (a subvolume)
        met |= {path for path in walk.foreign - met if _shows(root, path, walk.root.device)}
        self._met = met if self._met is self._told else self._met | met

    def show_again(self) -> bool:
        """Whether something that a look could not see shows again; said once. Touches no share."""
        met = self._met
        if not met or met is self._told or met <= mounts.below(self._real):
            return False
        self._told = met
        return True


def _shows(root: int, path: str, device: int) -> bool:
    try:
        return os.stat(path, dir_fd=root, follow_symlinks=False).st_dev == device
    except OSError:
        return False
