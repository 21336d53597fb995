"""Tells on which line of a TOML text each key stands.

``tomllib`` gives values without positions, and a person who has to mend a file needs the line. The
text is known to be valid when it comes here, so this only walks over it: no value is interpreted.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Mapping

Where = tuple[str | int, ...]

_BLANK = " \t\r\n"
_BARE_END = " \t\r\n.=]"
_VALUE_END = ",]}\n#"
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", '"': '"', "\\": "\\"}


def locate(text: str) -> Mapping[Where, int]:
    """The line (from 1) of every table, key and array element, by its path."""
    return _Walk(text).run()


class _Walk:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._breaks = [index for index, char in enumerate(text) if char == "\n"]
        self._lines: dict[Where, int] = {}
        self._counts: dict[Where, int] = {}

    def run(self) -> Mapping[Where, int]:
        base: Where = ()
        self._skip()
        while self._at < len(self._text):
            start = self._at
            if self._text.startswith("[[", start):
                base = self._table_of_array(start)
            elif self._text[start] == "[":
                self._at += 1
                base = self._resolve(self._keys())
                self._note(base, start)
                self._at += 1
            else:
                self._pair(base)
            self._skip()
        return self._lines

    def _table_of_array(self, start: int) -> Where:
        self._at += 2
        keys = self._keys()
        array = (*self._resolve(keys[:-1]), keys[-1])
        number = self._counts.get(array, 0)
        self._counts[array] = number + 1
        self._note(array, start)
        self._note((*array, number), start)
        self._at += 2
        return (*array, number)

    def _resolve(self, keys: list[str]) -> Where:
        """``[folders.x]`` means the last of the ``[[folders]]`` written so far."""
        path: Where = ()
        for key in keys:
            path = (*path, key)
            if path in self._counts:
                path = (*path, self._counts[path] - 1)
        return path

    def _note(self, path: Where, position: int) -> None:
        self._lines.setdefault(path, bisect.bisect_left(self._breaks, position) + 1)

    def _skip(self) -> None:
        while self._at < len(self._text):
            if self._text[self._at] == "#":
                end = self._text.find("\n", self._at)
                self._at = len(self._text) if end < 0 else end
            elif self._text[self._at] in _BLANK:
                self._at += 1
            else:
                return

    def _pair(self, base: Where) -> None:
        start = self._at
        keys = self._keys()
        self._at += 1  # the equals sign
        self._skip()
        path = base
        for key in keys:
            path = (*path, key)
            self._note(path, start)
        self._value(path)

    def _keys(self) -> list[str]:
        """A dotted key; stops at the character after it."""
        keys = []
        while True:
            self._skip()
            keys.append(self._key())
            self._skip()
            if self._text[self._at] != ".":
                return keys
            self._at += 1

    def _key(self) -> str:
        start = self._at
        if self._text[start] in "\"'":
            self._string()
            return _plain(self._text[start : self._at])
        while self._text[self._at] not in _BARE_END:
            self._at += 1
        return self._text[start : self._at]

    def _string(self) -> None:
        quote = self._text[self._at]
        long = self._text.startswith(quote * 3, self._at)
        end = quote * 3 if long else quote
        self._at += len(end)
        while not self._text.startswith(end, self._at):
            self._at += 2 if quote == '"' and self._text[self._at] == "\\" else 1
        self._at += len(end)
        # a multi-line string may end with one or two quotes of its own: """said "yes""""
        while long and self._text.startswith(quote, self._at):
            self._at += 1

    def _value(self, path: Where) -> None:
        char = self._text[self._at]
        if char in "\"'":
            self._string()
        elif char == "[":
            self._array(path)
        elif char == "{":
            self._inline(path)
        else:
            while self._at < len(self._text) and self._text[self._at] not in _VALUE_END:
                self._at += 1

    def _array(self, path: Where) -> None:
        self._at += 1
        number = 0
        self._skip()
        while self._text[self._at] != "]":
            self._note((*path, number), self._at)
            self._value((*path, number))
            number += 1
            self._comma()
        self._at += 1

    def _inline(self, path: Where) -> None:
        self._at += 1
        self._skip()
        while self._text[self._at] != "}":
            self._pair(path)
            self._comma()
        self._at += 1

    def _comma(self) -> None:
        self._skip()
        if self._text[self._at] == ",":
            self._at += 1
        self._skip()


def _plain(quoted: str) -> str:
    """What a quoted key means; rare escapes stay as they are, and the line is then the table's."""
    inner = quoted[1:-1]
    if quoted[0] == "'" or "\\" not in inner:
        return inner
    return _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[0]), inner)
