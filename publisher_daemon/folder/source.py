"""An open file: what was checked is what is read, and it is checked again after."""

from __future__ import annotations

import errno
import os
import stat as modes
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

from publisher_daemon.errors import FileUnreadable, FolderStalled, SourceChanged
from publisher_daemon.folder._lease import Writer, writer_of
from publisher_daemon.folder._patience import Patience
from publisher_daemon.model import Stamp
from publisher_daemon.naming import readable

#: 8 KiB to 1 MiB are equally fast, more is slower (watching.md §5).
BLOCK = 256 * 1024


def stamp_of(status: os.stat_result, *, remote: bool) -> Stamp:
    """The stamp of a file; on a network share the inode and ctime are inventions of the client."""
    if remote:
        return Stamp(status.st_size, status.st_mtime_ns, 0, 0)
    return Stamp(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


class OpenFile:
    """A file that is open, with the stamp that was settled."""

    def __init__(
        self,
        descriptor: int,
        path: str,
        stamp: Stamp,
        *,
        remote: bool,
        patience: Patience,
        named: Callable[[], tuple[int, int] | None],
    ) -> None:
        self._descriptor = descriptor
        self._path = path
        self._stamp = stamp
        self._remote = remote
        self._patience = patience
        self._named = named

    @property
    def size(self) -> int:
        """Bytes, as ``fstat`` told when it was opened."""
        return self._stamp.size

    @property
    def descriptor(self) -> int | None:
        """Its number for this process; None on a share, where who reads may wait for ever."""
        return None if self._remote else self._descriptor

    def blocks(
        self, size: int = BLOCK, start: int = 0, stop: int | None = None
    ) -> Iterator[memoryview]:
        """The bytes (or those of a stretch), in blocks of two buffers that are used in turn.

        Raises SourceChanged when it ends early, FileUnreadable when the system refuses. What grew
        beyond the size is not read: ``check`` tells.
        """
        buffer, other = memoryview(bytearray(size)), None
        offset = start
        end = self._stamp.size if stop is None else min(stop, self._stamp.size)
        while offset < end:
            wanted = min(size, end - offset)
            got = self._call(partial(os.preadv, self._descriptor, [buffer[:wanted]], offset))
            if got == 0:
                raise SourceChanged(f"{readable(self._path)} got shorter while it was being read.")
            offset += got
            yield buffer[:got]
            buffer, other = other or memoryview(bytearray(min(size, end - offset))), buffer

    def read_at(self, offset: int, size: int) -> bytes:
        """The bytes from there, as many as there are up to ``size``; raises FileUnreadable."""
        buffer = bytearray(max(0, min(size, self._stamp.size - offset)))
        got = self._call(partial(os.preadv, self._descriptor, [buffer], offset)) if buffer else 0
        return bytes(buffer[:got])

    def check(self) -> None:
        """Raise SourceChanged if it moved since it was opened, or somebody writes to it."""
        self._call(self._check)

    def _check(self) -> None:
        status = os.fstat(self._descriptor)
        name = readable(self._path)
        if stamp_of(status, remote=self._remote) != self._stamp:
            raise SourceChanged(f"{name} changed while it was being read.")
        if not self._remote and writer_of(self._descriptor) is Writer.SOMEBODY:
            raise SourceChanged(f"{name} is being written by another program.")
        # the old bytes of a replaced file are whole, but no longer what the folder holds
        if self._named() != (status.st_dev, status.st_ino):
            raise SourceChanged(f"{name} was replaced while it was being read.")

    def _call(self, function: Callable[[], int | None]) -> int:
        try:
            return self._patience.call(function) or 0
        except FolderStalled as error:
            raise FileUnreadable(error.message, hint=error.hint) from error
        except OSError as error:
            raise unreadable(self._path, error) from error


def unreadable(path: str, error: OSError) -> FileUnreadable:
    """What to say of a file the system does not let us read."""
    hint = "Give the service's user the right to read it; it is tried again by itself."
    if error.errno not in {errno.EACCES, errno.EPERM}:
        hint = "See the disk, or the server, that it lies on; it is tried again by itself."
    return FileUnreadable(f"{readable(path)} cannot be read: {error.strerror or error}.", hint=hint)


def let_go(descriptor: int) -> None:
    """Close what was only read: a file system may fail even there, and nothing is lost by it."""
    with suppress(OSError):
        os.close(descriptor)


def why_not(status: os.stat_result) -> str | None:
    """Why an entry that is not a plain file with one name is not published; None when it is one."""
    if modes.S_ISLNK(status.st_mode):
        return "it is a symbolic link, which may lead anywhere; put the file itself here"
    if not modes.S_ISREG(status.st_mode):
        return "it is not a regular file"
    if status.st_nlink > 1:
        return "it has other names (hard links), through which it could change unseen; copy it here"
    return None
