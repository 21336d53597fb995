"""Takes secrets out of everything that is written, and makes it valid, single-line UTF-8.

Two nets: the exact secrets this process knows, in each form they travel in, and whatever has the
shape of a portal token. The second works before the first key is even read.
"""

from __future__ import annotations

import base64
import html
import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

HIDDEN = "[redacted]"

_SHAPE = r"udata_[A-Za-z0-9_-]{20,}"
#: shorter secrets would blank ordinary words
_SHORTEST = 8
_DEEPEST = 8
_URL_SAFE = str.maketrans("+/", "-_")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


class Redactor:
    """Replaces secrets in text and in nested values."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets for form in _forms(secret)}
        # longest first, so that a secret inside another does not leave the other's rest behind
        exact = [re.escape(form) for form in sorted(forms, key=lambda form: (-len(form), form))]
        # whatever its case: the host of an address is written small, hexadecimal as one likes
        self._pattern = re.compile("|".join([*exact, _SHAPE]), re.IGNORECASE)

    def text(self, text: str) -> str:
        """The text without secrets."""
        return self._pattern.sub(HIDDEN, text)

    def value(self, value: Any, depth: int = 0) -> Any:
        """The same value, made of JSON's own types, without secrets."""
        if isinstance(value, Mapping) and depth < _DEEPEST:
            return {
                str(self.value(str(key), depth + 1)): self.value(inner, depth + 1)
                for key, inner in value.items()
            }
        if isinstance(value, list | tuple | set | frozenset) and depth < _DEEPEST:
            return [self.value(inner, depth + 1) for inner in value]
        if value is None or isinstance(value, bool | int):
            return value
        if isinstance(value, float) and math.isfinite(value):
            return value  # JSON has no word for "not a number" and for infinity
        text = value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)
        return printable(self.text(text))


def _forms(secret: str) -> Iterable[str]:
    secret = secret.strip()
    if len(secret) < _SHORTEST:
        return
    quoted = quote(secret, safe="")
    written = json.dumps(secret)[1:-1]
    yield from (secret, quoted, quote(quoted, safe=""), html.escape(secret), repr(secret)[1:-1])
    # an answer that is JSON is kept inside JSON
    yield from (written, json.dumps(written)[1:-1])
    data = secret.encode()
    yield data.hex()
    for before in range(3):
        # “name:key” is written in base64 too: the key's own characters depend on where it begins
        whole = base64.b64encode(bytes(before) + data)
        inner = whole[-(-before * 8 // 6) : (before + len(data)) * 8 // 6].decode()
        yield from (inner, inner.translate(_URL_SAFE))


def printable(text: str) -> str:
    """Return valid Unicode: bytes that were not UTF-8 (surrogates) are shown in hexadecimal."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return "".join(_escaped(char) if "\ud800" <= char <= "\udfff" else char for char in text)
    return text


def _escaped(char: str) -> str:
    code = ord(char)
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"


def json_line(text: str) -> str:
    """Escape, in a JSON text, what JSON allows raw and a reader may take for the end of a line."""
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def single_line(text: str) -> str:
    """No character that could move a terminal's cursor, start a line or turn the text round."""
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)
