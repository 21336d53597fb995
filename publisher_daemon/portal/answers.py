"""Reads what a portal answers, whatever its shape: JSON of four kinds, a proxy's page, nothing.

The shapes are in portal-facts §11.1: ``errors`` (nested), ``error``, ``message``, in this order.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from html import unescape
from typing import Any

_LONGEST = 600
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.DOTALL | re.IGNORECASE)
_NOT_TEXT = re.compile(r"<(script|style)\b.*?</\1>|<!--.*?-->|<[^>]+>", re.DOTALL | re.IGNORECASE)
#: the server's own guesses at what was meant, after a 404 (portal-facts §11.3)
_GUESSES = re.compile(r"\s*You have requested this URI \[.*", re.DOTALL)
#: half a character, perhaps: no text that can be kept has one alone
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def document(body: bytes) -> Any:
    """The JSON of an answer; raises ValueError for what is none, or nests without end."""
    try:
        found = json.loads(body)
    except RecursionError:
        raise ValueError("bottomless") from None
    if _SURROGATE.search(body):
        json.dumps(found, ensure_ascii=False).encode()
    return found


def words(body: bytes, content_type: str, hide: Callable[[str], str] = lambda text: text) -> str:
    """What the answer says, as one line for a person; empty when it says nothing.

    ``hide`` comes before the cut: half a key would no longer be recognised.
    """
    text = body.decode("utf-8", "replace").strip()
    try:
        told = _told(document(text.encode()))
    except (ValueError, RecursionError):
        return _line(hide(_page(text) if "<" in text or "html" in content_type else text))
    return _line(hide(_GUESSES.sub("", told)))


def _told(found: Any) -> str:
    if isinstance(found, str):
        return found
    if not isinstance(found, Mapping):
        return ""
    errors = found.get("errors")
    if errors:
        return "; ".join(_leaves(errors))
    for name in ("error", "message"):
        if found.get(name) and isinstance(found[name], str):
            return str(found[name])
    return "; ".join(_leaves(found.get("error") or found.get("message") or ""))


def _leaves(value: Any, path: str = "") -> Iterator[str]:
    """Each message with the field it is about: ``spatial.zones: unknown zone``."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, path)
    elif value not in (None, ""):
        yield f"{path}: {value}" if path else str(value)


def _page(text: str) -> str:
    title = _TITLE.search(text)
    if title and title[1].strip():
        return unescape(title[1])
    return unescape(_NOT_TEXT.sub(" ", text))


def _line(text: str) -> str:
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


def retry_after(value: str | None, now: float) -> float | None:
    """Seconds to wait, from a ``Retry-After`` header in either form (RFC 9110 §10.2.3)."""
    if value is None:
        return None
    value = value.strip()
    if value.isdecimal():
        return float(value)
    instant = http_date(value)
    return None if instant is None else max(0.0, instant - now)


def http_date(value: str | None) -> float | None:
    """A header's date as an instant; None when it cannot be read."""
    if not value:
        return None
    try:
        return parsedate_to_datetime(value).timestamp()
    except (ValueError, OverflowError):
        return None


def iso_date(value: str | None) -> float | None:
    """A date in the portal's JSON as an instant; None when there is none."""
    return datetime.fromisoformat(value).timestamp() if value else None
