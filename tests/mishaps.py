"""What goes wrong with one request: one table, as rules of the proxy, for every test and storm."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

_JSON = "application/json"


def _cut_head(wire: bytes) -> bytes:
    return wire[:40]


def _too_long(wire: bytes) -> bytes:
    """Promise more than comes."""
    return _length(wire, +50)


def _too_short(wire: bytes) -> bytes:
    """Promise less than comes; the rest lies there for whoever asks next."""
    return _length(wire, -5)


def _length(wire: bytes, more: int) -> bytes:
    head, _, body = wire.partition(b"\r\n\r\n")
    promised = b"Content-Length: %d" % max(len(body) + more, 0)
    kept = [line for line in head.split(b"\r\n") if not line.startswith(b"Content-Length:")]
    return b"\r\n".join([*kept, promised]) + b"\r\n\r\n" + body


def _half_a_chunk(wire: bytes) -> bytes:
    head, _, body = wire.partition(b"\r\n\r\n")
    kept = [line for line in head.split(b"\r\n") if not line.startswith(b"Content-Length:")]
    chunk = b"%x\r\n" % max(len(body), 9) + body[: len(body) // 2]
    return b"\r\n".join([*kept, b"Transfer-Encoding: chunked"]) + b"\r\n\r\n" + chunk


def _not_gzip(wire: bytes) -> bytes:
    return wire.replace(b"\r\n", b"\r\nContent-Encoding: gzip\r\n", 1)


def _twice(wire: bytes) -> bytes:
    return wire + wire


def _hinted(wire: bytes) -> bytes:
    return b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n" + wire


def _many_headers(wire: bytes) -> bytes:
    return wire.replace(b"\r\n", b"\r\n" + b"X-More: x\r\n" * 200, 1)


def _not_http(_wire: bytes) -> bytes:
    return b"\x15\x03\x01\x00\x02\x02\x28"


#: what passes by itself, whatever it struck
FAULTS: dict[str, dict[str, Any]] = {
    "the reply is lost after the work": {"lose_reply": True},
    "the reply is lost by a reset": {"lose_reply": True, "reset": True},
    "the reply is cut short": {"truncate_reply": 20},
    "the reply is cut in its head": {"mangle": _cut_head, "hang_up": True},
    "the reply is shorter than it says": {"mangle": _too_long, "hang_up": True},
    "the reply is longer than it says": {"mangle": _too_short},
    "the reply ends within a chunk": {"mangle": _half_a_chunk, "hang_up": True},
    "the reply is no gzip as it says": {"mangle": _not_gzip},
    "the reply comes twice": {"mangle": _twice},
    "the reply comes after hints": {"mangle": _hinted},
    "the reply has too many headers": {"mangle": _many_headers, "hang_up": True},
    "the reply is not HTTP": {"mangle": _not_http, "hang_up": True},
    "the reply is slow": {"delay_reply": 0.4},
    "500 that did the work": {"status": 500, "after": True},
    "500 that did nothing": {"status": 500},
    "502 page that did the work": {"status": 502, "after": True},
    "502 page that did nothing": {"status": 502},
    "503 page": {"status": 503},
    "503 with Retry-After": {"status": 503, "headers": {"Retry-After": "1"}},
    "504 page that did the work": {"status": 504, "after": True},
    "429 with Retry-After": {"status": 429, "headers": {"Retry-After": "1"}},
    "429 until a day that is over": {
        "status": 429, "headers": {"Retry-After": "Sat, 21 Nov 2015 08:00:00 GMT"},
    },
    "429 for less than nothing": {"status": 429, "headers": {"Retry-After": "-5"}},
    "200 page that did the work": {"status": 200, "body": b"<html>ok</html>", "after": True},
    "200 page that did nothing": {"status": 200, "body": b"<html>ok</html>"},
    "200 with nothing that did the work": {"status": 200, "body": b"", "after": True},
    "200 with nothing that did nothing": {"status": 200, "body": b""},
    "204 that did nothing": {"status": 204, "body": b""},
    "200 that is half JSON": {
        "status": 200, "body": b'{"id": "12', "content_type": _JSON, "after": True,
    },
    "200 that is other JSON": {"status": 200, "body": b"[]", "content_type": _JSON, "after": True},
    "cut before the body": {"cut_after": 0},
    "cut in the body": {"cut_after": 150},
    "reset in the body": {"cut_after": 150, "reset": True},
}  # fmt: skip

_ELSEWHERE = {"Location": "https://autre.invalid/api/1/"}

#: what the portal refuses, as itself or as what stands before it, until a person asks again
REFUSALS: dict[str, dict[str, Any]] = {
    "302 to another origin": {"status": 302, "headers": _ELSEWHERE},
    "307 to another origin": {"status": 307, "headers": _ELSEWHERE},
    "401": {"status": 401, "body": b'{"message": "no"}', "content_type": _JSON},
    "403": {"status": 403, "body": b'{"message": "no"}', "content_type": _JSON},
    "404": {"status": 404, "body": b'{"message": "none"}', "content_type": _JSON},
    "410": {"status": 410, "body": b'{"message": "gone"}', "content_type": _JSON},
    "413 page": {"status": 413},
    "415": {"status": 415, "body": b'{"message": "no"}', "content_type": _JSON},
    "423": {"status": 423, "body": b'{"message": "closed"}', "content_type": _JSON},
    "429 for 31 years": {"status": 429, "headers": {"Retry-After": "1000000000"}},
}


def met(table: Iterable[str], *in_short: str) -> list[Any]:
    """Every fault of a table; only those named are met by `make test`, all by `make storm`."""
    return [
        fault if fault in in_short else pytest.param(fault, marks=pytest.mark.storm)
        for fault in table
    ]
