"""What the key meets: redirections, cookies, proxies, certificates, errors of every shape."""

from __future__ import annotations

import json
import re
import socket
import ssl
import traceback
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme
from scripted import Connection, Scripted, answering, tunnel
from sources import Bytes, fingerprint, nothing

from publisher_daemon.errors import (
    ConfigInvalid,
    CredentialRefused,
    Exchange,
    NotThere,
    OutcomeUnknown,
    PortalBusy,
    PortalError,
    PortalRefused,
    PortalUnreachable,
)
from publisher_daemon.model import DatasetId, RemoteResource, ResourceId, Words
from publisher_daemon.portal import Portal

DATASET = DatasetId("5bbb6d6cff66bd4dc17bfd5a")
RESOURCE = ResourceId("00000000-0000-4000-8000-000000000000")
KEY = "udata_" + "k" * 64
SMALL = b"a;b\n1;2\n"
JSON = "Content-Type: application/json\r\n"


def read(portal: Portal) -> None:
    portal.whoami()


def write(portal: Portal) -> None:
    portal.upload(DATASET, Bytes(SMALL), fingerprint(SMALL), "a.csv", nothing)


def describe(portal: Portal) -> None:
    portal.describe(DATASET, RESOURCE, Words(title="A"))


def withdraw(portal: Portal) -> None:
    portal.withdraw(DATASET, RESOURCE)


ERRORS = [
    ("400 Bad Request", PortalRefused, PortalRefused),
    ("401 Unauthorized", CredentialRefused, CredentialRefused),
    ("403 Forbidden", PortalRefused, PortalRefused),
    ("404 Not Found", NotThere, NotThere),
    ("407 Proxy Authentication Required", PortalUnreachable, PortalUnreachable),
    ("409 Conflict", PortalRefused, PortalRefused),
    ("410 Gone", NotThere, NotThere),
    ("413 Content Too Large", PortalRefused, PortalRefused),
    ("415 Unsupported", PortalRefused, PortalRefused),
    ("422 Unprocessable", PortalRefused, PortalRefused),
    ("423 Locked", PortalBusy, PortalBusy),
    ("429 Too Many", PortalBusy, PortalBusy),
    ("500 Internal", PortalUnreachable, OutcomeUnknown),
    ("502 Bad Gateway", PortalUnreachable, OutcomeUnknown),
    ("503 Unavailable", PortalBusy, OutcomeUnknown),
    ("504 Timeout", PortalUnreachable, OutcomeUnknown),
    ("301 Moved", PortalRefused, PortalRefused),
]


@pytest.mark.parametrize("body", [b'{"message": "so it is"}', b"<h1>so it is</h1>", b""])
@pytest.mark.parametrize(("status", "reading", "writing"), ERRORS, ids=[e[0] for e in ERRORS])
def test_sorts_every_status_by_what_to_do_next(
    status: str, reading: type[PortalError], writing: type[PortalError], body: bytes
) -> None:
    with Scripted(answering(status, body)) as server:
        portal = Portal(server.url, KEY)
        calls: list[tuple[Callable[[Portal], None], type[PortalError]]] = [
            (read, reading),
            (write, writing),
            (describe, writing),
            (withdraw, writing),
        ]
        for call, expected in calls:
            with pytest.raises(PortalError) as failed:
                call(portal)
            assert type(failed.value) is expected, call
            assert failed.value.status == int(status[:3])
            if body and status[0] != "3":
                assert "so it is" in failed.value.message
        portal.close()


def test_says_when_to_come_back() -> None:
    script = answering("429 Too Many", b"{}", "Retry-After: 7\r\n")
    with Scripted(script) as server, pytest.raises(PortalBusy) as busy:
        read(Portal(server.url, KEY))

    assert busy.value.retry_after == 7


@pytest.mark.parametrize("data", [[], [{"id": "00000000-0000-4000-8000-000000000000"}]])
def test_a_list_that_never_ends_is_told(data: list[object]) -> None:
    page = {"data": data, "total": len(data), "next_page": "https://portal.invalid/?page=1"}
    with (
        Scripted(answering("200 OK", json.dumps(page).encode())) as server,
        pytest.raises(PortalUnreachable, match="does not end: after page 2 "),
    ):
        Portal(server.url, KEY).resources(DATASET)


def test_a_date_to_come_back_at_is_counted_by_the_portal_s_clock() -> None:
    dates = "Date: Sat, 21 Nov 2015 08:00:00 GMT\r\nRetry-After: Sat, 21 Nov 2015 08:00:07 GMT\r\n"
    script = answering("429 Too Many", b"{}", dates)
    with Scripted(script) as server, pytest.raises(PortalBusy) as busy:
        read(Portal(server.url, KEY))

    assert busy.value.retry_after == 7


def test_a_closed_port_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    portal = Portal(f"http://127.0.0.1:{port}", KEY)

    for call in (read, write, describe, withdraw):
        with pytest.raises(PortalUnreachable, match="refused"):
            call(portal)


def test_an_unknown_name_is_unreachable() -> None:
    with pytest.raises(PortalUnreachable, match="name"):
        write(Portal("http://portal.invalid", KEY))


# ------------------------------------------------------------------------------------ the key


def test_the_key_does_not_follow_a_redirection() -> None:
    with Scripted(answering("200 OK", b"{}")) as other:
        redirect = answering("302 Found", b"", f"Location: {other.url}/api/1/me/\r\n")
        with Scripted(redirect) as server:
            portal = Portal(server.url, KEY)
            for call in (read, write, describe, withdraw):
                with pytest.raises(PortalRefused, match=f"127.0.0.1:{other.port}") as refused:
                    call(portal)
                assert "url" in str(refused.value.hint)
            with pytest.raises(PortalRefused):
                portal.resolve("old-slug")
            portal.close()

        assert not other.connections


def test_an_old_slug_is_followed_on_the_portal_only() -> None:
    def script(connection: Connection) -> None:
        while head := connection.read_head():
            if b"/old/" in head:
                connection.answer("308 Moved", b"", "Location: /api/2/datasets/new/\r\n")
            else:
                connection.answer("200 OK", b'{"id": "5bbb6d6cff66bd4dc17bfd5a"}')

    with Scripted(script) as server:
        assert Portal(server.url, KEY).resolve("old").id == DATASET

    with Scripted(answering("200 OK", b'{"id": "x"}')) as other:
        away = answering("308 Moved", b"", f"Location: {other.url}/api/2/datasets/new/\r\n")
        with Scripted(away) as server, pytest.raises(PortalRefused):
            Portal(server.url, KEY).resolve("old")

        assert not other.connections


def test_the_key_is_not_sent_to_the_file_server() -> None:
    keys: list[str | None] = []

    def files(connection: Connection) -> None:
        while connection.read_head():
            keys.append(connection.header("X-API-KEY"))
            body = b"" if connection.head.startswith(b"HEAD") else SMALL
            connection.sock.sendall(
                f"HTTP/1.1 200 OK\r\nContent-Length: {len(SMALL)}\r\n\r\n".encode() + body
            )

    with Scripted(files) as static:
        url = f"{static.url}/a.csv"
        with Scripted(answering("302 Found", b"", f"Location: {url}\r\n")) as server:
            portal = Portal(server.url, KEY)
            found = RemoteResource(
                RESOURCE, "a", url, f"{server.url}/r", fingerprint(SMALL).sha1, len(SMALL)
            )

            assert portal.serves(found) is None
            assert portal.fetch_sha1(found) == found.sha1
            portal.close()

    assert keys == [None, None]


def test_the_key_is_hidden_in_everything_kept_for_people() -> None:
    told: list[Exchange] = []
    body = json.dumps({"message": f"your key {KEY} is wrong"}).encode()
    headers = f"X-Sentry-ID: {'a' * 32}\r\nSet-Cookie: session=s3cret\r\nX-Echo: {KEY}\r\n"
    with Scripted(answering("500 Oops", body, headers)) as server:
        portal = Portal(server.url, KEY, on_exchange=told.append, reason="a test")
        with pytest.raises(OutcomeUnknown) as failed:
            write(portal)
        portal.close()
        with pytest.raises(PortalUnreachable) as broken:
            read(Portal(f"http://127.0.0.1:{server.port}", KEY))

    error = failed.value
    assert error.sentry_id == "a" * 32
    assert error.exchange == told[0]
    assert error.exchange is not None
    assert error.exchange.reason == "a test"
    assert re.fullmatch("[0-9a-f]{32}", error.exchange.trace_id)
    assert "***" in error.message
    for failure in (error, broken.value):
        shown = "".join(traceback.format_exception(failure)) + repr((failure, vars(failure)))
        assert KEY not in shown + repr(told) + repr(portal) + repr(vars(failure)["exchange"])
        assert failure.__context__ is None
    assert "s3cret" not in repr(told)


def test_no_cut_leaves_a_part_of_the_key() -> None:
    # what is taken out makes the text shorter, and brings the cut into what is kept
    with (
        Scripted(answering("500 Oops", b"!" + KEY.encode() * 5000)) as server,
        pytest.raises(PortalUnreachable) as failed,
    ):
        read(Portal(server.url, KEY))

    kept = failed.value.exchange
    assert kept is not None
    assert set(kept.answer_body) == {"!", "*"}


def test_a_long_answer_is_kept_in_part() -> None:
    headers = f"X-Sentry-ID: {KEY}{'s' * 9000}\r\n" + f"X-Long: {'y' * 9000}\r\n" * 80
    script = answering("500 Oops", b"x" * 100_000, headers)
    with Scripted(script) as server, pytest.raises(PortalUnreachable) as failed:
        read(Portal(server.url, KEY))

    kept = failed.value.exchange
    assert kept is not None
    assert len(kept.answer_body) == 4096
    assert len(repr(kept.answer_headers)) < 60_000
    assert kept.sentry_id is not None
    assert KEY not in kept.sentry_id
    assert len(kept.sentry_id) <= 1000


@pytest.mark.parametrize("key", ["", " ", "a b", "clé", "a\nb", "a\x00b"])
def test_refuses_what_cannot_be_a_key_without_showing_it(key: str) -> None:
    with pytest.raises(ConfigInvalid) as invalid:
        Portal("http://127.0.0.1", key)

    assert not key.strip() or key not in invalid.value.message


def test_strips_the_key() -> None:
    def script(connection: Connection) -> None:
        connection.read_head()
        connection.answer("200 OK", json.dumps({"id": connection.header("X-API-KEY")}).encode())

    with Scripted(script) as server:
        assert Portal(server.url, f"  {KEY}\n").whoami().id == KEY


@pytest.mark.parametrize(
    "url", ["data.gouv.fr", "ftp://x", "https://", "https://me:pw@x", "http://x:notaport"]
)
def test_refuses_an_address_that_is_none(url: str) -> None:
    with pytest.raises(ConfigInvalid) as invalid:
        Portal(url, KEY)

    assert "pw" not in invalid.value.message


@pytest.mark.parametrize("end", ["", "/", "/api/1/", "/api/2", "/api"])
def test_takes_the_address_with_or_without_its_api(end: str) -> None:
    assert Portal("https://portal.example/udata" + end, KEY).url == "https://portal.example/udata"


# ----------------------------------------------------------------- cookies, netrc, headers


def test_keeps_no_cookie_and_reads_no_netrc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password s3cret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    heads: list[str] = []

    def script(connection: Connection) -> None:
        while head := connection.read_head():
            heads.append(head.decode().lower())
            connection.answer("200 OK", b'{"id": "me"}', "Set-Cookie: session=abc; Path=/\r\n")

    with Scripted(script) as server:
        portal = Portal(server.url, KEY)
        read(portal)
        read(portal)
        portal.close()

    assert len(heads) == 2
    for head in heads:
        assert "\r\ncookie:" not in head
        assert "\r\nauthorization:" not in head


def test_each_request_says_who_and_which() -> None:
    traces = []

    def script(connection: Connection) -> None:
        while connection.read_head():
            trace = connection.header("sentry-trace") or ""
            assert re.fullmatch("[0-9a-f]{32}-[0-9a-f]{16}-1", trace)
            assert connection.header("X-Request-ID") == trace[:32]
            assert connection.header("Accept") == "application/json"
            assert re.fullmatch(r"publisher-daemon/\d+\.\d+", connection.header("User-Agent") or "")
            traces.append(trace)
            connection.answer("200 OK", b'{"id": "me"}')

    with Scripted(script) as server:
        portal = Portal(server.url, KEY)
        read(portal)
        read(portal)
        portal.close()

    assert len(set(traces)) == 2


# ------------------------------------------------------------------- proxies and certificates


@pytest.fixture
def secure(tmp_path: Path) -> tuple[ssl.SSLContext, str]:
    """Make a server's certificate and the file of the private authority that signed it."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    ca_file = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    return context, str(ca_file)


ME = answering("200 OK", b'{"id": "me"}')


@pytest.mark.parametrize("how", ["setting", "environment"])
def test_goes_through_a_proxy(
    how: str, secure: tuple[ssl.SSLContext, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    context, ca_file = secure
    with Scripted(ME, context) as server, Scripted(tunnel) as proxy:
        if how == "environment":
            monkeypatch.setenv("HTTPS_PROXY", proxy.url)
            monkeypatch.delenv("NO_PROXY", raising=False)
            monkeypatch.delenv("no_proxy", raising=False)
        portal = Portal(
            server.url, KEY, ca_file=ca_file, proxy=proxy.url if how == "setting" else None
        )

        assert portal.whoami().id == "me"
        portal.close()
        assert len(proxy.connections) == 1
        assert KEY.encode() not in proxy.connections[0].head


def test_no_proxy_is_respected(
    secure: tuple[ssl.SSLContext, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    context, ca_file = secure
    with Scripted(ME, context) as server, Scripted(tunnel) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")

        assert Portal(server.url, KEY, ca_file=ca_file).whoami().id == "me"
        assert not proxy.connections


def test_a_proxy_that_refuses_is_unreachable(secure: tuple[ssl.SSLContext, str]) -> None:
    context, ca_file = secure
    refusing = answering("407 Proxy Authentication Required")
    with Scripted(ME, context) as server, Scripted(refusing) as proxy:
        portal = Portal(
            server.url, KEY, ca_file=ca_file, proxy=proxy.url.replace("//", "//u:s3cret@")
        )
        for call in (read, write):
            with pytest.raises(PortalUnreachable, match="proxy") as failed:
                call(portal)
            assert "s3cret" not in repr((failed.value, failed.value.exchange))


def guarded(connection: Connection) -> None:
    """Be a proxy for those who know its password."""
    known = b64encode(b"anne:p@ss:word").decode()
    if f"Proxy-Authorization: Basic {known}\r\n".encode() not in connection.peek_head():
        answering("407 Proxy Authentication Required")(connection)
    else:
        tunnel(connection)


def test_a_proxy_that_wants_a_password_gets_it_and_the_portal_does_not(
    secure: tuple[ssl.SSLContext, str],
) -> None:
    context, ca_file = secure
    with Scripted(ME, context) as server, Scripted(guarded) as proxy:
        through = proxy.url.replace("//", "//anne:p%40ss%3Aword@")
        portal = Portal(server.url, KEY, ca_file=ca_file, proxy=through)

        assert portal.whoami().id == "me"

        portal.close()
        assert b"proxy-auth" not in server.connections[0].head.lower()
        with pytest.raises(PortalUnreachable, match="407") as refused:
            read(Portal(server.url, KEY, ca_file=ca_file, proxy=through.replace("word", "wort")))
        assert "wort" not in repr((refused.value, refused.value.exchange))


@pytest.mark.parametrize("exempt", ["127.0.0.1", "127.0.0.0/8", "intranet.example, 127.0.0.1", "*"])
def test_no_proxy_is_read_as_everywhere_else(
    exempt: str, secure: tuple[ssl.SSLContext, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    context, ca_file = secure
    with Scripted(ME, context) as server, Scripted(tunnel) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", exempt)

        assert Portal(server.url, KEY, ca_file=ca_file).whoami().id == "me"
        assert not proxy.connections

        monkeypatch.setenv("NO_PROXY", "elsewhere.example")
        assert Portal(server.url, KEY, ca_file=ca_file).whoami().id == "me"
        assert len(proxy.connections) == 1


def test_the_configured_proxy_is_used_whatever_the_environment_says(
    secure: tuple[ssl.SSLContext, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    context, ca_file = secure
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    with Scripted(ME, context) as server, Scripted(tunnel) as proxy:
        assert Portal(server.url, KEY, ca_file=ca_file, proxy=proxy.url).whoami().id == "me"
        assert len(proxy.connections) == 1


@pytest.mark.parametrize("proxied", [False, True], ids=["directly", "through a proxy"])
@pytest.mark.parametrize("store", ["a file", "the system's"])
def test_refuses_to_speak_less_than_tls_1_2(
    *, store: str, proxied: bool, secure: tuple[ssl.SSLContext, str]
) -> None:
    context, ca_file = secure
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.deprecated_call():
        context.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.deprecated_call():
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with Scripted(ME, context) as server, Scripted(tunnel) as proxy:
        portal = Portal(
            server.url,
            KEY,
            ca_file=ca_file if store == "a file" else None,
            proxy=proxy.url if proxied else None,
        )
        for call in (read, write):
            with pytest.raises(PortalUnreachable, match=re.escape("TLS 1.2")):
                call(portal)

        assert not server.connections


def test_speaks_tls_1_2_where_the_portal_knows_no_later_one(
    secure: tuple[ssl.SSLContext, str],
) -> None:
    context, ca_file = secure
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with Scripted(ME, context) as server:
        assert Portal(server.url, KEY, ca_file=ca_file).whoami().id == "me"


@pytest.mark.parametrize(
    "variable", ["PYTHONHTTPSVERIFY=0", "CURL_CA_BUNDLE=", "REQUESTS_CA_BUNDLE=", "SSL_VERIFY=0"]
)
def test_nothing_in_the_environment_turns_verification_off(
    variable: str, secure: tuple[ssl.SSLContext, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(*variable.split("="))
    with Scripted(ME, secure[0]) as server:
        with pytest.raises(PortalUnreachable, match="not trusted"):
            read(Portal(server.url, KEY))

        assert not server.connections


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_trusts_the_authority_the_environment_names(
    variable: str, secure: tuple[ssl.SSLContext, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    context, ca_file = secure
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.setenv(variable, ca_file)
    with Scripted(ME, context) as server:
        assert Portal(server.url, KEY).whoami().id == "me"


def test_the_configured_authority_beats_the_environment(
    secure: tuple[ssl.SSLContext, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    context, ca_file = secure
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nonexistent.pem")
    with Scripted(ME, context) as server:
        assert Portal(server.url, KEY, ca_file=ca_file).whoami().id == "me"


def test_an_unknown_authority_is_not_trusted(
    secure: tuple[ssl.SSLContext, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with Scripted(ME, secure[0]) as server:
        portal = Portal(server.url, KEY)
        for call in (read, write, withdraw):
            with pytest.raises(PortalUnreachable, match="not trusted") as failed:
                call(portal)
            assert "ca_file" in str(failed.value.hint)


def test_another_hosts_certificate_is_not_trusted(tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("elsewhere.example").configure_cert(context)
    ca_file = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    with Scripted(ME, context) as server:
        with pytest.raises(PortalUnreachable, match="not trusted") as failed:
            read(Portal(server.url, KEY, ca_file=str(ca_file)))
        assert "other names" in str(failed.value.hint)


def test_a_certificate_of_another_day_may_be_the_clocks_fault(tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    over = datetime(2021, 1, 1, tzinfo=UTC)
    authority.issue_cert("127.0.0.1", not_after=over).configure_cert(context)
    ca_file = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    with Scripted(ME, context) as server:
        with pytest.raises(PortalUnreachable, match="expired") as failed:
            read(Portal(server.url, KEY, ca_file=str(ca_file)))
        assert "clock" in str(failed.value.hint)


@pytest.mark.parametrize("content", [None, "not a certificate"])
def test_a_file_of_certificates_must_be_one(tmp_path: Path, content: str | None) -> None:
    ca_file = tmp_path / "ca.pem"
    if content is not None:
        ca_file.write_text(content)

    with pytest.raises(ConfigInvalid, match=re.escape(str(ca_file))):
        Portal("https://portal.example", KEY, ca_file=str(ca_file))


# ------------------------------------------------------------------------------- what is served


SERVED = [
    ("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n", None),
    ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n", "9 bytes"),
    ("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 28\r\n", None),
    ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n", "404"),
]


@pytest.mark.parametrize(("head", "why"), SERVED)
def test_says_what_is_wrong_with_what_is_served(head: str, why: str | None) -> None:
    def script(connection: Connection) -> None:
        while asked := connection.read_head():
            if b" /r " in asked:
                connection.answer("302 Found", b"", "Location: /f/a.csv\r\n")
            else:
                connection.sock.sendall(head.encode() + b"\r\n")

    with Scripted(script) as server:
        portal = Portal(server.url, KEY)
        found = RemoteResource(
            RESOURCE, "a", f"{server.url}/f/a.csv", f"{server.url}/r", "", len(SMALL)
        )

        served = portal.serves(found)

        portal.close()
    assert (served is None) if why is None else (why in str(served))


def test_a_permalink_that_leads_elsewhere_is_told() -> None:
    with Scripted(answering("302 Found", b"", "Location: /old.csv\r\n")) as server:
        found = RemoteResource(RESOURCE, "a", f"{server.url}/new.csv", f"{server.url}/r")

        assert "old.csv" in str(Portal(server.url, KEY).serves(found))


def test_a_file_server_that_is_down_is_told_and_not_taken_for_the_portal() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/a.csv"
    with Scripted(answering("302 Found", b"", f"Location: {url}\r\n")) as server:
        found = RemoteResource(RESOURCE, "a", url, f"{server.url}/r")

        assert urlsplit(url).netloc in str(Portal(server.url, KEY).serves(found))


def test_an_address_that_is_none_is_no_crash() -> None:
    for location in ("http://[", "http://x:y/", "nonsense://x", ""):
        headers = f"Location: {location}\r\n"
        with Scripted(answering("302 Found", b"", headers)) as server:
            portal = Portal(server.url, KEY)
            found = RemoteResource(RESOURCE, "a", location, f"{server.url}/r")
            with pytest.raises(PortalRefused):
                read(portal)
            with pytest.raises(PortalRefused):
                portal.fetch_sha1(found)
            portal.close()


STORED = b'{"id": "r", "filesize": 8, "checksum": {"type": "sha1", "value": "0000"}}'


def test_uploads_of_one_name_are_a_second_apart() -> None:
    now = [100.0]
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    with Scripted(answering("201 Created", STORED, JSON)) as server:
        portal = Portal(server.url, KEY, monotonic=lambda: now[0], sleep=sleep)
        for name in ("a.csv", "b.csv", "a.csv"):
            portal.upload(DATASET, Bytes(SMALL), fingerprint(SMALL), name, nothing)
            now[0] += 0.25
        now[0] += 5
        portal.upload(DATASET, Bytes(SMALL), fingerprint(SMALL), "a.csv", nothing)
        portal.close()

    assert slept == [pytest.approx(0.55)]
