"""Reasons made in English are said in French when a person reads them."""

from __future__ import annotations

from publisher_daemon.errors import PortalRefused
from publisher_daemon.merge import BOTH_CHANGED
from publisher_daemon.words import Words

FRENCH = Words("fr")


def test_a_message_and_its_hint_are_both_said() -> None:
    error = PortalRefused(
        "the portal refuses POST /api/1/x/ (403: You do not have the permission)",
        hint="The key's owner needs the right to edit this dataset.",
    )

    said = FRENCH.of(error.sentence)

    # what the portal said stays as the portal said it
    assert said.startswith("le portail refuse POST /api/1/x/ (403: You do not have the permission)")
    assert said.endswith("doit avoir le droit de modifier ce jeu de données.")


def test_a_message_without_a_full_stop_and_its_hint_are_both_said() -> None:
    said = FRENCH.of(
        "portail.fr does not answer: its name cannot be resolved Check `[portal] url`."
    )

    assert said == (
        "portail.fr ne répond pas\u00a0: son nom ne peut pas être résolu Vérifiez `[portal] url`."
    )


def test_a_reason_inside_a_reason_is_said_too() -> None:
    said = FRENCH.of(
        "The file is not published any more (no pattern of `include` matches it); its resource "
        "stays."
    )

    assert "aucun motif de `include`" in said


def test_what_is_not_known_stays_as_it_is() -> None:
    assert FRENCH.of("Something nobody wrote.") == "Something nobody wrote."
    assert FRENCH.of("") == ""


def test_english_is_what_was_said() -> None:
    assert Words("en").of("The folder /a is missing.") == "The folder /a is missing."


def test_a_hostile_name_fills_no_other_hole() -> None:
    said = FRENCH.of("The resource “{path}{0}” already belongs to “b.csv”.")

    assert said == "La ressource «\u00a0{path}{0}\u00a0» appartient déjà à «\u00a0b.csv\u00a0»."


def test_a_reason_of_two_sentences_is_said_inside_a_line() -> None:
    clash = FRENCH.of(f"title is held: {BOTH_CHANGED} Configured: 1; on the portal: 2.")
    waits = FRENCH.of(
        "The whole dataset waits: the portal refuses the API key (401: Invalid API token). "
        "Make a new key in the portal's account page, put it in place of this one and restart the "
        "service."
    )

    for said in (clash, waits):
        assert not {"the", "and", "was"} & set(said.split())


def test_what_an_expression_inside_a_line_says_is_said_too() -> None:
    said = FRENCH.of("metadata refreshed: never; next: when its settings change")

    assert said.endswith("prochaine fois\u00a0: quand ses réglages changent")
