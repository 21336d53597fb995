"""The proxy does to the wire what the fault tests rely on."""

from __future__ import annotations

import hashlib
import http.client
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import requests
from waiting import wait_until

if TYPE_CHECKING:
    from colleague import Api
    from launcher import Sandbox
    from proxy import Proxy

CONTENT = "a;b\né;2\n".encode() * 40_000


def _upload(
    proxy: Proxy, portal: Sandbox, dataset: str, content: bytes = CONTENT
) -> requests.Response:
    return requests.post(
        f"{proxy.url}/api/1/datasets/{dataset}/upload/",
        headers={"X-API-KEY": portal.tokens["prod"]},
        files={"file": ("mesures.csv", content)},
        timeout=30,
    )


def test_passes_an_upload_and_keeps_its_links_on_the_proxy(
    proxy: Proxy, portal: Sandbox, dataset: str, api: Api
) -> None:
    answer = _upload(proxy, portal, dataset)

    assert answer.status_code == 201
    assert answer.json()["url"].startswith(proxy.url)
    assert requests.get(answer.json()["latest"], timeout=30).content == CONTENT
    assert [one["url"] for one in api.resources(dataset)] == [proxy.real(answer.json()["url"])]


def test_records_what_was_sent(proxy: Proxy, portal: Sandbox, dataset: str) -> None:
    _upload(proxy, portal, dataset)

    (seen,) = proxy.seen("POST .*/upload/")
    assert seen.path == f"/api/1/datasets/{dataset}/upload/"
    assert seen.headers["x-api-key"] == portal.tokens["prod"]
    assert len(CONTENT) < seen.size < len(CONTENT) + 1000
    assert seen.status == 201


def test_passes_a_body_that_comes_in_chunks(
    proxy: Proxy, portal: Sandbox, dataset: str, api: Api
) -> None:
    title = "Titre envoyé par morceaux"
    parts = (part.encode() for part in ('{"title": "', title, '", "tags": ["air"]}'))

    answer = requests.put(
        f"{proxy.url}/api/1/datasets/{dataset}/",
        headers={"X-API-KEY": portal.tokens["prod"], "Content-Type": "application/json"},
        data=parts,
        timeout=30,
    )

    assert answer.status_code == 200, answer.text
    (seen,) = proxy.seen("PUT")
    assert seen.headers["transfer-encoding"] == "chunked"
    assert seen.size == len(f'{{"title": "{title}", "tags": ["air"]}}'.encode())
    assert api.dataset(dataset)["title"] == title


@pytest.mark.parametrize("reset", [False, True])
def test_cuts_an_upload_in_the_middle(
    proxy: Proxy, portal: Sandbox, dataset: str, api: Api, reset: bool
) -> None:
    proxy.rule("POST .*/upload/", cut_after=100_000, reset=reset)

    with pytest.raises(requests.ConnectionError):
        _upload(proxy, portal, dataset)

    (seen,) = wait_until(lambda: proxy.seen("POST"), 5, "the request recorded")
    assert (seen.size, seen.status) == (100_000, None)
    assert api.resources(dataset) == []


def test_loses_the_reply_after_the_work_is_done(
    proxy: Proxy, portal: Sandbox, dataset: str, api: Api
) -> None:
    proxy.rule("POST .*/upload/", lose_reply=True, times=1)

    with pytest.raises(requests.ConnectionError):
        _upload(proxy, portal, dataset)

    assert list(api.sha1s(dataset).values()) == [hashlib.sha1(CONTENT).hexdigest()]


def test_a_used_up_rule_lets_the_next_request_pass(
    proxy: Proxy, portal: Sandbox, dataset: str
) -> None:
    proxy.rule("POST .*/upload/", lose_reply=True, times=1)

    with pytest.raises(requests.ConnectionError):
        _upload(proxy, portal, dataset, b"a\n1\n")
    answer = requests.get(f"{proxy.url}/api/1/datasets/{dataset}/", timeout=30)

    assert len(answer.json()["resources"]) == 1


def test_truncates_a_reply(proxy: Proxy, dataset: str) -> None:
    proxy.rule("GET ", truncate_reply=20)

    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        requests.get(f"{proxy.url}/api/1/datasets/{dataset}/", timeout=30)


def test_answers_a_page_without_asking_the_portal(
    proxy: Proxy, portal: Sandbox, dataset: str, api: Api
) -> None:
    proxy.rule("POST ", status=503, headers={"Retry-After": "7"}, body=b"<html>closed</html>")

    answer = _upload(proxy, portal, dataset)

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "7")
    assert answer.text == "<html>closed</html>"
    assert api.resources(dataset) == []


def test_answers_an_error_after_the_work_is_done(
    proxy: Proxy, portal: Sandbox, dataset: str, api: Api
) -> None:
    proxy.rule("POST ", status=504, after=True)

    answer = _upload(proxy, portal, dataset)

    assert answer.status_code == 504
    assert len(api.resources(dataset)) == 1


def test_delays_a_reply(proxy: Proxy, dataset: str) -> None:
    proxy.rule("GET ", delay_reply=1.0)

    with pytest.raises(requests.ReadTimeout):
        requests.get(f"{proxy.url}/api/1/datasets/{dataset}/", timeout=0.3)


def test_follows_a_redirection_through_itself(proxy: Proxy, portal: Sandbox, dataset: str) -> None:
    answer = requests.get(f"{proxy.url}/api/1/datasets/{dataset}", timeout=30)

    assert answer.url == f"{proxy.url}/api/1/datasets/{dataset}/"
    assert len(proxy.seen("GET ")) == 2
    assert portal.url not in answer.text


def test_serves_several_requests_on_one_connection(proxy: Proxy, dataset: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(proxy.url).netloc, timeout=30)
    ports = set()
    for _turn in range(3):
        connection.request("GET", f"/api/1/datasets/{dataset}/")
        assert connection.getresponse().read()
        ports.add(connection.sock.getsockname())
    connection.close()

    assert len(ports) == 1


def test_answers_a_502_page_when_the_portal_is_down(
    proxy: Proxy, portal: Sandbox, dataset: str
) -> None:
    portal.stop_portal()

    answer = _upload(proxy, portal, dataset)

    assert answer.status_code == 502
    assert answer.headers["Content-Type"] == "text/html"
