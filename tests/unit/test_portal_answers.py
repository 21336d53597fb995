from __future__ import annotations

import pytest

from publisher_daemon.portal import answers

SHAPES = {
    "a message": (b'{"message": "Invalid API token"}', "Invalid API token"),
    "errors of a form": (b'{"errors": {"title": ["Required"]}}', "title: Required"),
    "nested errors": (
        b'{"errors": {"spatial": {"zones": ["unknown zone"]}}, "message": "x"}',
        "spatial.zones: unknown zone",
    ),
    "an upload's error, with an empty message": (
        b'{"success": false, "error": "Missing file parameter", "message": ""}',
        "Missing file parameter",
    ),
    "empty errors before a message": (b'{"errors": {}, "message": "no"}', "no"),
    "an unknown route": (b'{"error": "Not found", "status": 404}', "Not found"),
    "a proxy's page": (
        b"<html><head><title>502 Bad&nbsp;Gateway</title></head><body>nginx</body></html>",
        "502 Bad Gateway",
    ),
    "a page without title": (b"<p>Too <b>large</b></p><script>x()</script>", "Too large"),
    "plain text": (b"upstream\n\ntimed out", "upstream timed out"),
    "nothing": (b"", ""),
    "bytes that are not text": (b"\xff\xfe\x00", "\ufffd\ufffd"),
    "JSON that is no object": (b"[1, 2]", ""),
    "JSON without end": (b"[" * 200_000, "[" * 599 + "…"),
    "the server's guesses": (
        b'{"message": "Not there. You have requested this URI [/x] but did you mean /y ?"}',
        "Not there.",
    ),
}


@pytest.mark.parametrize(("body", "said"), SHAPES.values(), ids=SHAPES.keys())
def test_reads_an_error_of_any_shape(body: bytes, said: str) -> None:
    assert said == answers.words(body, "")


def test_a_long_text_is_cut() -> None:
    assert len(answers.words(b"x" * 10_000, "")) == 600


def test_a_terminal_is_not_at_the_mercy_of_the_answer() -> None:
    assert answers.words(b'{"message": "a\\u001b[2Jb"}', "") == "a [2Jb"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        ("Sat, 21 Nov 2026 08:00:30 GMT", 30.0),
        ("Sat, 21 Nov 2026 07:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("1e9", None),
        ("9" * 400, float("inf")),
        ("Sat, 21 Nov 99999 08:00:30 GMT", None),
        ("Sat, 21 Nov 99999999999 08:00:30 GMT", None),
        ("Sat, 21 Nov 2026 08:00:30 +99999999", None),
        (None, None),
    ],
)
def test_reads_retry_after_in_both_forms(value: str | None, seconds: float | None) -> None:
    eight_o_clock = 1795248000.0

    assert seconds == answers.retry_after(value, eight_o_clock)


@pytest.mark.parametrize("body", [b"[" * 200_000, b'{"title": "\\ud83d"}', b"{", b"\xff"])
def test_what_cannot_be_kept_is_no_document(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        answers.document(body)


def test_a_pair_of_surrogates_is_a_character() -> None:
    assert answers.document(b'"\\ud83d\\ude00"') == "😀"
