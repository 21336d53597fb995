"""Compares what is there with what was there, both in byte order: nothing is kept in memory.

A rescan of a million files that did not change is the ordinary case: each costs one ``stat`` and
one comparison of plain values, and no object of ours.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from publisher_daemon.folder._tree import Tree, Walk, order
from publisher_daemon.model import Known


class Difference:
    """One comparison; ``some`` tells afterwards whether anything was there."""

    def __init__(self, tree: Tree, walk: Walk, known: Iterator[Known], *, remote: bool) -> None:
        self._tree = tree
        self._walk = walk
        self._known = known
        self._next = next(known, None)
        self._remote = remote
        self.some = False

    def paths(self) -> Iterator[str | None]:
        """Every path that is new, other or gone; None now and then, when there is none to tell."""
        yield from self._below(self._walk.root.descriptor, b"", 0)
        yield from self._gone_before(None)

    def _below(self, descriptor: int, prefix: bytes, depth: int) -> Iterator[str | None]:
        with os.scandir(descriptor) as scan:
            entries = sorted(((order(entry), entry) for entry in scan), reverse=True)
        yield None
        while entries:
            # an entry keeps what it was asked for: each is let go when it was looked at
            name, entry = entries.pop()
            path = prefix + name
            try:
                if name.endswith(b"/"):
                    yield from self._enter(descriptor, os.fsdecode(path[:-1]), depth)
                    continue
                known = self._next
                while known is not None and known[0] < path:
                    if not known[2]:
                        yield os.fsdecode(known[0])
                    known = self._next = next(self._known, None)
                if known is None or known[0] != path:
                    if self._is_new(descriptor, os.fsdecode(path), entry):
                        yield os.fsdecode(path)
                    continue
                status = entry.stat(follow_symlinks=False)
            except OSError as error:
                self._walk.cannot(os.fsdecode(path), error)
                continue
            self.some = True
            self._next = next(self._known, None)
            now = (
                (status.st_size, status.st_mtime_ns, 0, 0)
                if self._remote
                else (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
            )
            if known[1] != now or known[2]:
                yield os.fsdecode(path)

    def _enter(self, parent: int, path: str, depth: int) -> Iterator[str | None]:
        with self._tree.inside(self._walk, parent, path, depth) as opened:
            if not isinstance(opened, str):
                yield from self._below(opened, os.fsencode(path) + b"/", depth + 1)

    def _is_new(self, parent: int, path: str, entry: os.DirEntry[str]) -> bool:
        new = self._tree.look(self._walk, parent, path, entry).why is None
        self.some = self.some or new
        return new

    def _gone_before(self, path: bytes | None) -> Iterator[str]:
        while self._next is not None and (path is None or self._next[0] < path):
            if not self._next[2]:
                yield os.fsdecode(self._next[0])
            self._next = next(self._known, None)
