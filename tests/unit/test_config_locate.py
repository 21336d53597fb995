"""The line of each key, in every way TOML has to write one."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from publisher_daemon.config._locate import Where, locate

TEXT = '''# a comment with = and [x]
top = 1 # [no.table]
a.b."c.d" = "x = y # z"

[portal]
url = "https://x" # [[folders]]
text = """
quoted = "no"
[no]
end with quotes"""""
raw = \'\'\'
no = 1
it\'\'\'

[[ folders ]]
path = 'C:\\'
include = [
  "a", # one
  [1, 2],
  { k = [
     true ] },
]
"quo\\"ted\\\\" = 1979-05-27T07:32:00Z

  [[folders.resources]]
  match = "}]"
  [[folders.resources]]
  match = "2"
  [folders.resources.deep]
  x = 1.5e3

[[folders]]
inline = { start = 1, "end" = { z = "," } }
'''

EXPECTED: dict[Where, int] = {
    ("top",): 2,
    ("a", "b", "c.d"): 3,
    ("portal",): 5,
    ("portal", "url"): 6,
    ("portal", "text"): 7,
    ("portal", "raw"): 11,
    ("folders",): 15,
    ("folders", 0): 15,
    ("folders", 0, "path"): 16,
    ("folders", 0, "include"): 17,
    ("folders", 0, "include", 0): 18,
    ("folders", 0, "include", 1, 1): 19,
    ("folders", 0, "include", 2, "k", 0): 21,
    ("folders", 0, 'quo"ted\\'): 23,
    ("folders", 0, "resources", 0): 25,
    ("folders", 0, "resources", 0, "match"): 26,
    ("folders", 0, "resources", 1, "match"): 28,
    ("folders", 0, "resources", 1, "deep", "x"): 30,
    ("folders", 1): 32,
    ("folders", 1, "inline", "start"): 33,
    ("folders", 1, "inline", "end", "z"): 33,
}


@pytest.mark.parametrize("where", EXPECTED, ids=str)
def test_every_key_has_its_line(where: Where) -> None:
    assert locate(TEXT).get(where) == EXPECTED[where]


def test_no_place_that_tomllib_sees_is_missed() -> None:
    def walk(value: Any, at: Where) -> set[Where]:
        found = {at} if at else set()
        if isinstance(value, dict):
            for key, below in value.items():
                found |= walk(below, (*at, key))
        if isinstance(value, list):
            for index, below in enumerate(value):
                found |= walk(below, (*at, index))
        return found

    assert walk(tomllib.loads(TEXT), ()) == set(locate(TEXT))


@pytest.mark.parametrize(
    "text", ["", "# only", "x=1", "[a]", "[[a]]\n[[a]]", "x = {}", "x = []\n\n"]
)
def test_small_texts_are_walked_to_their_end(text: str) -> None:
    assert len(locate(text)) >= len(tomllib.loads(text))
