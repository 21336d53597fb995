"""What was published is looked at through its permanent link, and mended or told."""

from __future__ import annotations

import json
from hashlib import sha1 as digest
from typing import Any

import pytest
from colleague import Api
from producer import Producer
from proxy import Proxy
from waiting import wait_until

LINK = "HEAD .*/datasets/r/"
FILE = "HEAD .*/s/resources/"
UPLOAD = "POST .*/upload/$"

WRONG: dict[str, tuple[str, dict[str, Any]]] = {
    "the link answers 404": (LINK, {"status": 404}),
    "the link answers 500": (LINK, {"status": 500}),
    "the link leads elsewhere": (
        LINK,
        {"status": 302, "headers": {"Location": "http://127.0.0.1/ailleurs.csv"}},
    ),
    "the file is not there": (FILE, {"status": 404}),
    "the file has another length": (FILE, {"status": 200, "body": b"tronque"}),
    "the connection is cut": (FILE, {"cut_after": 0, "lose_reply": True}),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_link_that_does_not_serve_at_first_is_looked_at_again(
    distant: Producer, api: Api, proxy: Proxy, case: str
) -> None:
    match, rule = WRONG[case]
    sha1 = distant.drop("a.csv", b"a;b\n" * 50)
    proxy.rule(match, times=1, **rule)

    file = wait_until(
        lambda: (
            (found := distant.once(code=None).get("a.csv"))
            and found["state"] == "published"
            and found
        ),
        60,
        "published and served",
    )

    assert file
    assert file["sha1"] == sha1
    assert list(api.sha1s(distant.dataset).values()) == [sha1]
    assert len(proxy.seen(UPLOAD)) == 1, "nothing was sent twice"


def test_a_file_that_is_never_served_is_sent_again_once_then_held_with_a_reason(
    distant: Producer, api: Api, proxy: Proxy
) -> None:
    sha1 = distant.drop("a.csv", b"a;b\n" * 50)
    proxy.rule(FILE, status=404)

    file = distant.once(code=1)["a.csv"]
    distant.once(code=1)

    assert file["state"] == "held"
    assert "does not give the file yet" in file["why"]
    assert len(api.resources(distant.dataset)) == 1, "one resource, whatever was tried"
    assert len(proxy.seen(UPLOAD)) == 2, "it was sent again, not for ever"
    proxy.clear()
    assert distant.call("retry").returncode == 0
    assert distant.status()["a.csv"]["state"] == "published"
    assert list(api.sha1s(distant.dataset).values()) == [sha1]


def test_an_answer_that_tells_of_work_that_was_not_done_is_not_believed(
    distant: Producer, api: Api, proxy: Proxy
) -> None:
    distant.drop("a.csv", b"avant")
    distant.once()
    (said,) = api.resources(distant.dataset)
    said["checksum"]["value"] = digest(b"apres").hexdigest()
    proxy.rule(UPLOAD, times=1, status=200, body=json.dumps(said).encode())
    distant.drop("a.csv", b"apres")

    file = distant.once(code=1)["a.csv"]

    assert file["state"] == "held"
    assert "other content" in file["why"]
    assert distant.call("retry", "a.csv").returncode == 0
    (only,) = api.resources(distant.dataset)
    assert api.download(only) == b"apres"
