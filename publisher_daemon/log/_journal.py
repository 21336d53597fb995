"""Speaks the journal's native protocol, so that ``journalctl DATASET=…`` finds a line.

Own code: the systemd binding needs a C library to build, and the protocol is forty lines
(systemd documents it as "Native Journal Protocol"). What is too large for a datagram goes by memfd.
"""

from __future__ import annotations

import array
import contextlib
import errno
import fcntl
import json
import os
import re
import socket
import struct
import uuid
from collections.abc import Mapping
from typing import Any, TextIO

SOCKET = "/run/systemd/journal/socket"
PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
#: the name space of our message ids: changed, every catalogue installed would be mute
_IDS = uuid.UUID("5f2b8c1e-7a43-4d0b-9c55-0e6f1c7d2a94")
_TOO_LARGE = frozenset({errno.EMSGSIZE, errno.ENOBUFS})


def stream_is_journal(stream: TextIO, journal_stream: str | None) -> bool:
    """Whether this stream is the one systemd connected to the journal (``$JOURNAL_STREAM``)."""
    if not journal_stream:
        return False
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return journal_stream == f"{found.st_dev}:{found.st_ino}"


def message_id(event: str) -> str:
    """The journal's id for an event, by which ``journalctl -x`` finds what to do."""
    return uuid.uuid5(_IDS, event).hex


class JournalSender:
    """Sends one entry a call; keeps nothing."""

    def __init__(self, address: str = SOCKET, identifier: str = "publisher-daemon") -> None:
        self._address = address
        self._identifier = identifier
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    def send(self, message: str, level: str, fields: Mapping[str, Any]) -> None:
        """Write an entry; raises OSError when the journal does not take it."""
        entry = {
            "MESSAGE": message,
            "PRIORITY": str(PRIORITIES.get(level, 6)),
            "SYSLOG_IDENTIFIER": self._identifier,
        }
        if isinstance(event := fields.get("event"), str):
            entry["MESSAGE_ID"] = message_id(event)
        for name, value in fields.items():
            if value is not None:
                text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
                entry.setdefault(_field(name), text)
        data = b"".join(_line(name, value.encode()) for name, value in entry.items())
        try:
            self._socket.sendto(data, self._address)
        except OSError as error:
            if error.errno not in _TOO_LARGE:
                raise
            self._send_by_memfd(data)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _send_by_memfd(self, data: bytes) -> None:
        descriptor = os.memfd_create("journal", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        with contextlib.closing(os.fdopen(descriptor, "wb")) as file:
            file.write(data)
            file.flush()
            seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
            # the journal only takes a file that its writer can no longer change
            fcntl.fcntl(file.fileno(), fcntl.F_ADD_SEALS, seals)
            rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [file.fileno()]))
            self._socket.sendmsg([b""], [rights], 0, self._address)


def _field(name: str) -> str:
    # the journal drops fields that start with "_", and takes 64 characters of [A-Z0-9_]
    return re.sub(r"[^A-Z0-9_]", "_", name.upper()).strip("_")[:64] or "FIELD"


def _line(name: str, value: bytes) -> bytes:
    if b"\n" not in value:
        return name.encode() + b"=" + value + b"\n"
    return name.encode() + b"\n" + struct.pack("<Q", len(value)) + value + b"\n"
