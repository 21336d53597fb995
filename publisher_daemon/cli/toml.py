"""Writes TOML for people: only what a configuration needs, as tomllib only reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\f": "\\f", "\r": "\\r"}


def value(of: object) -> str:
    """The value as TOML; a text of several lines stands on several lines.

    Raises TypeError for what a configuration cannot hold.
    """
    match of:
        case bool():
            return "true" if of else "false"
        case int() | float():
            return repr(of)
        case str():
            return _lines(of) if "\n" in of else f'"{_escaped(of)}"'
        case Mapping():
            inner = ", ".join(f"{key(str(name))} = {_flat(each)}" for name, each in of.items())
            return f"{{ {inner} }}" if inner else "{}"
        case Sequence():
            return f"[{', '.join(map(_flat, of))}]"
    raise TypeError(f"no TOML for {type(of).__name__}")


def key(name: str) -> str:
    """The key as TOML: bare when it can be."""
    bare = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
    return name if bare else f'"{_escaped(name)}"'


def commented(text: str) -> str:
    """Every line as a comment."""
    return "".join(f"#{line}\n" for line in text.splitlines())


def _flat(of: object) -> str:
    """The value on one line: TOML's inline tables hold no line break."""
    return f'"{_escaped(of)}"' if isinstance(of, str) else value(of)


def _lines(text: str) -> str:
    # the line break just after the opening quotes is not part of the text
    return '"""\n' + "\n".join(map(_escaped, text.split("\n"))) + '"""'


def _escaped(text: str) -> str:
    return "".join(
        _ESCAPES.get(char) or (f"\\u{ord(char):04X}" if _control(char) else char) for char in text
    )


def _control(char: str) -> bool:
    # what TOML refuses in a text, and what would draw on a terminal
    return ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 or char in "\u2028\u2029"
