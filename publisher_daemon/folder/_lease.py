"""Asks the kernel whether anybody has a file open for writing.

A read lease is granted only when nobody has (watching.md §0.6). It is given back at once: held, it
would block the next writer.
"""

from __future__ import annotations

import errno
import fcntl
import signal
from enum import Enum


class Writer(Enum):
    """What a lease tells."""

    NONE = "none"
    SOMEBODY = "somebody"
    UNKNOWN = "unknown"


def writer_of(descriptor: int) -> Writer:
    """Say whether somebody has this file (opened read-only here) open for writing."""
    try:
        # a writer that comes while the lease is held makes the kernel signal us; SIGIO, the
        # default, kills the process, and SIGURG is ignored unless somebody asks for it
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        # EACCES: not the owner and no CAP_LEASE; EINVAL, ENOLCK…: the file system has no leases
        return Writer.SOMEBODY if error.errno == errno.EAGAIN else Writer.UNKNOWN
    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return Writer.NONE
