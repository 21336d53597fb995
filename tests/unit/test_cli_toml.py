"""What is written as TOML reads back as it was."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from publisher_daemon.cli import toml

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = TEXTS | st.booleans() | st.integers(-(2**53), 2**53)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=8
)


@given(TEXTS, VALUES)
def test_every_value_reads_back_as_it_was(name: str, value: Any) -> None:
    assert tomllib.loads(f"{toml.key(name)} = {toml.value(value)}\n") == {name: value}


@given(TEXTS)
def test_nothing_written_can_draw_on_a_terminal(text: str) -> None:
    written = toml.value(text)

    assert all(char == "\n" or ord(char) >= 0x20 for char in written)
    assert "\x7f" not in written
    assert "\x9b" not in written


def test_what_has_no_form_is_refused() -> None:
    with pytest.raises(TypeError, match="NoneType"):
        toml.value(None)


def test_a_commented_block_is_a_comment_to_its_last_line() -> None:
    assert toml.commented('[a]\nb = "c"\n') == '#[a]\n#b = "c"\n'
