"""The catalogues against the source: nothing is missing, stale, or loses a value."""

from __future__ import annotations

import re

import pytest
import wording

from publisher_daemon.words import Words

HOLE = re.compile(r"\{(\w+)\}")
REMEDY = "Run `make words`, then translate what it added to the .po and run it again"
VALUES = ("été {brut}.csv", "3", "https://portal/x?y=(z)", "a; b", "the “q” one")


@pytest.mark.parametrize("language", wording.LANGUAGES)
def test_every_sentence_for_people_is_said_in_every_language(language: str) -> None:
    assert wording.missing(language) == {}, REMEDY


@pytest.mark.parametrize("language", wording.LANGUAGES)
def test_no_translation_is_left_of_a_sentence_that_is_gone(language: str) -> None:
    assert wording.unused(language) == set(), REMEDY


@pytest.mark.parametrize("language", wording.LANGUAGES)
def test_what_is_compiled_is_what_is_written(language: str) -> None:
    written = wording.compiled(wording.catalogue(language))

    assert wording.mo(language).read_bytes() == written, REMEDY


def test_french_is_set_as_french_is_printed() -> None:
    for message in wording.catalogue("fr"):
        if message.id:
            said = [message.string] if isinstance(message.string, str) else message.string or []
            assert [wording.typography(one) for one in said] == list(said), "Run `make words`"


@pytest.mark.parametrize("language", wording.LANGUAGES)
def test_a_translation_keeps_every_value(language: str) -> None:
    for message in wording.catalogue(language):
        said = [message.string] if isinstance(message.string, str) else message.string or []
        ids = [message.id] if isinstance(message.id, str) else message.id
        holes = {name for one in ids for name in HOLE.findall(one)}
        for one in said:
            assert set(HOLE.findall(one)) <= holes, one
            assert set(HOLE.findall(one)) >= holes - {"count"}, one


@pytest.mark.parametrize("language", wording.LANGUAGES)
def test_each_sentence_is_recognised_whatever_its_values_are(language: str) -> None:
    words = Words("fr")
    for message in wording.catalogue(language):
        if not isinstance(message.id, str) or not HOLE.search(message.id):
            continue
        names = list(dict.fromkeys(HOLE.findall(message.id)))
        values = {name: VALUES[index % len(VALUES)] for index, name in enumerate(names)}
        values |= {"count": "3"} if "count" in values else {}

        def fill(text: str, values: dict[str, str] = values) -> str:
            return HOLE.sub(lambda hole: values[hole[1]], text)

        assert words.of(fill(message.id)) == fill(str(message.string))
