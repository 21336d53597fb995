"""Names: what is sent, which rule speaks of a file, how a path is written down."""

from __future__ import annotations

import os
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from publisher_daemon.model import DatasetId, ResourceId, Rule, Watch, Words
from publisher_daemon.naming import (
    MAX_STEM,
    MAX_TITLE,
    accepts,
    base_name,
    default_title,
    extension,
    extra,
    fill,
    identity_path,
    match,
    parts_of,
    portal_name,
    readable,
    rule_for,
    words_for,
)

#: Any path a file system may give: any character, and bytes that are not UTF-8.
PATHS = st.one_of(
    st.text(min_size=1, max_size=60),
    st.binary(min_size=1, max_size=60).map(os.fsdecode),
    st.builds("{}.{}".format, st.text(max_size=300), st.sampled_from(["csv", "ZIP", "tar.gz"])),
)


def udata_slug(name: str) -> str:
    """What udata makes of an ASCII name (portal-facts §5.6).

    Letters, digits and dots stay, in lower case; any run of other characters becomes one hyphen,
    none at either end.
    """
    return re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-")


# -------------------------------------------------------------------------------- portal_name


@given(PATHS)
def test_the_name_sent_is_one_that_the_portal_leaves_as_it_is(path: str) -> None:
    name = portal_name(path)

    assert name.isascii()
    assert name
    assert len(name) <= 140 or len(extension(path) or "") > 19
    assert udata_slug(name) == name
    assert not name.startswith(".")
    assert "/" not in name


@given(PATHS)
def test_a_name_that_was_made_for_the_portal_is_made_again_the_same(path: str) -> None:
    assert portal_name(portal_name(path)) == portal_name(path)


@given(PATHS)
def test_the_name_sent_keeps_the_extension(path: str) -> None:
    if extension(path) is not None:
        assert extension(portal_name(path)) == extension(path)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("2026.csv", "2026.csv"),
        ("UPPER CASE.CSV", "upper-case.csv"),
        ("l'été à Nîmes (2024) \u2013 v2.csv", "lete-a-nimes-2024-v2.csv"),
        ("l\u2019e\u0301te\u0301.csv", "lete.csv"),
        ("œuvre.csv", "oeuvre.csv"),
        ("sub/dir/x,y.csv", "x-y.csv"),
        ("trailing .csv", "trailing.csv"),
        ("data.tar.gz", "data.tar.gz"),
        ("a..b - .csv", "a.b.csv"),
        ("no extension", "no-extension"),
        (".hidden", "hidden"),
    ],
)
def test_names_by_example(path: str, name: str) -> None:
    assert portal_name(path) == name


def test_a_name_of_which_nothing_is_left_gets_one_of_its_own() -> None:
    first, second = portal_name("_.csv"), portal_name("-.csv")

    assert re.fullmatch(r"fichier-[0-9a-f]{8}\.csv", first)
    assert first != second


def test_a_very_long_name_is_cut_and_told_apart() -> None:
    first, second = portal_name("a" * 250 + ".csv"), portal_name("a" * 251 + ".csv")

    assert len(first) <= MAX_STEM + 4
    assert first != second


# ------------------------------------------------------------------------- paths and extensions


@given(PATHS)
def test_what_people_read_is_composed_and_can_be_written_down(path: str) -> None:
    text = readable(path)

    text.encode("utf-8")
    assert unicodedata.is_normalized("NFC", text)
    assert all(unicodedata.category(char)[0] != "C" for char in text)


def test_bytes_that_are_not_utf8_and_control_characters_are_shown_as_percents() -> None:
    assert readable(os.fsdecode(b"caf\xe9\n.csv")) == "caf%E9%0A.csv"


@given(PATHS)
def test_the_default_title_is_the_file_s_name_within_the_portal_s_limit(path: str) -> None:
    assert default_title(path) == readable(base_name(path))[:MAX_TITLE]


@given(PATHS)
def test_the_path_in_the_extras_can_be_written_down(path: str) -> None:
    written = identity_path(path)

    written.encode("utf-8")
    assert (written == path) or written.startswith("bytes:")


def test_even_what_no_file_system_gives_has_a_name_to_send() -> None:
    assert re.fullmatch(r"[a-z0-9.-]+", portal_name("\ud800_.csv"))


def test_the_path_in_the_extras_keeps_bytes_that_are_not_utf8() -> None:
    assert identity_path(os.fsdecode(b"sub/caf\xe9.csv")) == "bytes:sub/caf%E9.csv"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.CSV", "csv"),
        ("a.tar.gz", "gz"),
        ("a.b/c", None),
        (".csv", None),
        ("a.", None),
        ("a.c_v", None),
        ("a.été", None),
        ("a", None),
    ],
)
def test_the_extension_is_what_follows_the_last_dot_of_the_name(
    path: str, expected: str | None
) -> None:
    assert extension(path) == expected


def test_accepts_what_the_portal_lists_and_a_few_that_it_does_not() -> None:
    listed = frozenset({"csv"})

    assert accepts(listed, "a.csv")
    assert accepts(listed, "a.yaml")
    assert not accepts(listed, "a.parquet")
    assert not accepts(listed, "a")


def test_accepts_any_extension_while_the_portal_s_list_is_not_known() -> None:
    assert accepts(frozenset(), "a.parquet")
    assert not accepts(frozenset(), "a")


# --------------------------------------------------------------------------------------- rules


@pytest.mark.parametrize(
    ("pattern", "path", "parts"),
    [
        ("mesures_{year}.csv", "mesures_2026.csv", {"year": "2026"}),
        ("mesures_{year}.csv", "deep/down/mesures_2026.csv", {"year": "2026"}),
        ("{dep}/{year}.csv", "75/2026.csv", {"dep": "75", "year": "2026"}),
        ("{dep}/{year}.csv", "x/75/2026.csv", None),
        ("{a}-{a}.csv", "x-x.csv", {"a": "x"}),
        ("{a}-{a}.csv", "x-y.csv", None),
        ("*.csv", "sub/a.csv", {}),
        ("sub/*.csv", "sub/deep/a.csv", None),
        ("**/*.csv", "a.csv", {}),
        ("**/*.csv", "x/y/a.csv", {}),
        ("sub/**", "sub/x/y.csv", {}),
        ("a?.csv", "ab.csv", {}),
        ("a?.csv", "a.csv", None),
        ("a.csv", "aXcsv", None),
        ("a.csv", "a.csv\n", None),
        ("été.csv", "e\u0301te\u0301.csv", {}),
    ],
)
def test_a_pattern_matches(pattern: str, path: str, parts: dict[str, str] | None) -> None:
    assert match(pattern, path) == parts


@given(st.text(max_size=40), PATHS)
def test_any_pattern_can_be_asked_of_any_path(pattern: str, path: str) -> None:
    found = match(pattern, path)

    assert found is None or set(found) == set(parts_of(pattern))


def test_the_names_of_the_parts_come_in_order_and_once() -> None:
    assert parts_of("{b}-{a}-{b}") == ("b", "a")


def test_templates_are_filled_and_unknown_names_stay() -> None:
    assert fill("Mesures {year} {other}", {"year": "2026"}) == "Mesures 2026 {other}"


def watch(*rules: Rule) -> Watch:
    return Watch("air", "/srv/air", DatasetId("d"), rules=rules)


def test_the_first_rule_that_matches_speaks() -> None:
    first, second = Rule("a*.csv"), Rule("*.csv")

    assert rule_for(watch(first, second), "ab.csv") == (first, {})
    assert rule_for(watch(first, second), "b.csv") == (second, {})
    assert rule_for(watch(first), "b.csv") is None


def test_a_rule_s_words_are_filled_in_for_the_file() -> None:
    rule = Rule(
        "mesures_{year}.csv",
        ResourceId("r1"),
        Words("Mesures {year}", "De {year}", "main", "etalab/schema"),
    )

    words, found = words_for(watch(rule), "mesures_2026.csv")

    assert found is rule
    assert words == Words("Mesures 2026", "De 2026", "main", "etalab/schema")


def test_what_a_rule_does_not_say_stays_unsaid() -> None:
    rule = Rule("*.csv")

    assert words_for(watch(rule), "a.csv") == (Words(), rule)
    assert words_for(watch(), "a.csv") == (Words(), None)


def test_the_extras_of_a_rule_take_the_parts_of_the_name_as_text() -> None:
    said = extra({"b": ['{annee}"', 1.5], "a": True})
    rule = Rule("m_{annee}.csv", words=Words(extras=(("theme", said),)))

    words, _ = words_for(watch(rule), "m_2026.csv")

    assert words.said() == {"extras.theme": extra({"a": True, "b": ['2026"', 1.5]})}
    assert Words.of(words.said()) == words
