"""The key never appears: a canary is given in every way and place, and every output is searched.

Two canaries: one with the shape of a portal's token, which is recognised wherever it stands, and
one without any shape, which is only hidden because the program knows that it is the key.
"""

from __future__ import annotations

import base64
import contextlib
import html
import json
import os
import re
import socket
import subprocess
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from launcher import Sandbox
from producer import Producer
from proxy import Proxy
from sinks import HttpSink, MailSink

from publisher_daemon.config import load
from publisher_daemon.errors import PublisherError
from publisher_daemon.portal import Portal

SHAPED = "udata_" + "Kanari9876543210abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUV"
PLAIN = "kanari!0123456789?voliere=sans&forme+du.tout"
VERBS = [
    ("once",), ("once", "--json"), ("check",), ("status", "--json"), ("plan", "--json"),
    ("history", "--json"), ("explain", "a.csv", "--json"), ("support",), ("support", "--json"),
    ("support", "--bundle", "bundle.zip"), ("init", "--output", "new.toml"),
]  # fmt: skip
#: One way gets them all; for the others, those that could tell it apart.
FEW = [("once",), ("check", "--json"), ("once", "--json"), ("support", "--bundle", "bundle.zip")]


def dresses(key: str) -> set[str]:
    """The key in every dress that an answer, a page, an address or a header may give it."""
    quoted = quote(key, safe="")
    plain = {key, key.lower(), quoted, quoted.lower(), quote(quoted), html.escape(key)}
    coded = {base64.b64encode(f"{'u' * n}:{key}".encode()).decode() for n in range(3)}
    coded |= {base64.b64encode(key.encode()).decode(), key.encode().hex()}
    return {*plain, *coded, json.dumps(key)[1:-1], repr(key)[1:-1]}


def forms(key: str) -> set[bytes]:
    """What must stand nowhere: the middle of each dress, as a cut key is a key."""
    return {dress[14:40].encode() for dress in dresses(key)} | {key.encode()}


def echoed(key: str) -> bytes:
    """An answer that gives back the key in every dress."""
    return f"you sent {' and '.join(sorted(dresses(key)))}".encode()


def leaks(key: str, *outputs: bytes | str, below: Path | None = None) -> list[str]:
    """Where the key stands, in what was said or in any file of the directory but its own."""
    said = {f"output {n}": one for n, one in enumerate(outputs)}
    found = {
        name: text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
        for name, text in said.items()
    }
    for path in (path for path in below.rglob("*") if path.is_file()) if below else ():
        if path.name not in {"api-key", "config.toml", ".env"}:
            found[str(path)] = path.read_bytes()
            if path.suffix == ".zip":
                with zipfile.ZipFile(path) as archive:
                    found |= {f"{path} {name}": archive.read(name) for name in archive.namelist()}
    return [name for name, text in found.items() if any(form in text for form in forms(key))]


def run(producer: Producer, *verb: str, **environ: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        producer.command(*verb), capture_output=True, check=False, timeout=100, cwd=producer.home,
        env={"PATH": os.environ["PATH"], "HOME": str(producer.home), **environ},
    )  # fmt: skip


@pytest.mark.parametrize("way", ["file", "variable", "credential", "inline"])
def test_a_key_given_this_way_is_in_nothing_that_comes_out(
    distant: Producer, portal: Sandbox, proxy: Proxy, way: str
) -> None:
    """The portal's answers bring it back too: a proxy that echoes what it was sent."""
    key = portal.tokens["prod"] if way in {"file", "credential"} else PLAIN
    distant.key = key
    distant.settings |= {"log_level": '"debug"', "language": '"fr"'}
    distant.folder_settings["answer_dir"] = f'"{distant.home}/answer"'
    with HttpSink() as chat:
        distant.more = (
            f'[alerts]\nto = ["json://127.0.0.1:{chat.port}"]\npatience = "0s"\n'
            f'[metrics]\ntextfile = "{distant.home}/x.prom"\n'
        )
        distant.configure()
        environ = give(distant, way)
        (distant.home / ".env").write_text(f"PUBLISHER_PORTAL__API_KEY={key}\n")
        echo = echoed(key)
        proxy.rule(
            "POST .*/upload/",
            status=500,
            headers={"X-Sentry-ID": key, "X-Echo": quote(key, safe="")},
            body=echo,
            content_type="text/plain",
            times=2,
        )
        if key == PLAIN:  # which no portal knows
            body = json.dumps({"message": f"Invalid API token: {echo.decode()}"}).encode()
            proxy.rule(".*", status=401, body=body, content_type="application/json")
        distant.drop("a.csv", b"a\n")
        distant.drop("b.parquet", b"b\n")

        outputs = []
        for number, verb in enumerate(VERBS if way == "file" else FEW):
            form = ("json", "console", "journal")[number % 3]
            done = run(distant, *verb, **environ, PUBLISHER_DAEMON__LOG_FORMAT=form)
            assert b"Traceback" not in done.stderr
            outputs += [done.stdout, done.stderr]
        posts = json.dumps(chat.requests)

    assert chat.requests or way in {"file", "credential"}
    assert leaks(key, *outputs, posts, below=distant.home) == []


def give(producer: Producer, way: str) -> dict[str, str]:
    """Give the key in this way, and take it from the file."""
    secret = producer.home / "api-key"
    if way == "file":
        return {}
    text = producer.config.read_text()
    line = f'api_key_file = "{secret}"\n'
    assert line in text
    if way == "inline":
        producer.config.write_text(text.replace(line, f"api_key = {json.dumps(producer.key)}\n"))
        producer.config.chmod(0o600)
        return {}
    producer.config.write_text(text.replace(line, ""))
    if way == "variable":
        return {"PUBLISHER_PORTAL__API_KEY": producer.key}
    credentials = producer.home / "credentials"
    credentials.mkdir()
    (credentials / "api-key").write_text(producer.key)
    return {"CREDENTIALS_DIRECTORY": str(credentials)}


def test_the_running_service_shows_it_nowhere(producer: Producer, portal: Sandbox) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with MailSink() as mail:
        producer.settings["log_level"] = '"debug"'
        producer.more = (
            f'[alerts]\nto = ["{mail.address}"]\npatience = "0s"\n'
            f'[metrics]\nlisten = "127.0.0.1:{port}"\n'
        )
        producer.drop("a.csv", b"a\n")
        producer.drop("b.parquet", b"b\n")
        with producer.start() as service:
            service.wait_for("resource.created")
            service.wait_for("message.sent")
            cmdline = Path(f"/proc/{service.process.pid}/cmdline").read_bytes()
            status = Path(f"/proc/{service.process.pid}/status").read_bytes()
            limits = Path(f"/proc/{service.process.pid}/limits").read_text()
            environ = Path(f"/proc/{service.process.pid}/environ").read_bytes()
            pages = [
                urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10).read()
                for path in ("/metrics", "/livez", "/readyz")
            ]
            service.process.send_signal(1)  # a reload reads it again
            service.wait_for("config.reloaded")
            service.stop()

    assert re.search(r"Max core file size +0 ", limits), "its memory would be left in a file"
    key = portal.tokens["prod"]
    assert leaks(key, cmdline, status, environ, *pages, *mail.raw, below=producer.home) == []


MISTAKES = {
    "user info": ('url = "{url}"', 'url = "https://{key}@demo.data.gouv.fr"'),
    "password": ('url = "{url}"', 'url = "https://me:{key}@demo.data.gouv.fr"'),
    "address": ('url = "{url}"', 'url = "{key}"'),
    "query": ('url = "{url}"', 'url = "https://demo.data.gouv.fr/?key={key}"'),
    "file": ('api_key_file = "{file}"', 'api_key_file = "{key}"'),
    "name": ('api_key_file = "{file}"', '{key} = "x"'),
    "section": ("[daemon]", "[{key}]"),
    "number": ("[daemon]", '[daemon]\nworkers = "{key}"'),
    "duration": ("[daemon]", '[daemon]\nrescan_every = "{key}"'),
    "zone": ("[daemon]", '[daemon]\ntimezone = "{key}"'),
    "dataset": ('dataset = "{dataset}"', 'dataset = "{key}"'),
    "folder": ('path = "{folder}"', 'path = "/srv/{key}"'),
    "not text": ("[daemon]", "[daemon]\nworkers = {key}"),
    "unfinished": ("[daemon]", '[daemon]\nstate_dir = "{key}'),
    "proxy": ("[daemon]", 'proxy = "http://x:{key}@127.0.0.1:9"\n[daemon]'),
    "messages": ("[[folders]]", '[alerts]\nto = ["{key}"]\n[[folders]]'),
    "messages'": ("[[folders]]", '[alerts]\nto = ["pigeon://{key}@x"]\n[[folders]]'),
    "title": ("[[folders]]", '[[datasets]]\nid = "{dataset}"\ntitle = "{key}"\n[[folders]]'),
    "language": ("[daemon]", '[daemon]\nlanguage = "{key}"'),
    "expected": ("[[folders]]", '[[folders]]\nexpect = "{key}"'),
    "metrics": ("[[folders]]", '[metrics]\nlisten = "{key}"\n[[folders]]'),
}  # fmt: skip


@pytest.mark.parametrize("place", MISTAKES)
def test_a_key_in_the_wrong_place_is_not_repeated(
    tmp_path: Path, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In this process: what comes out is what the command prints, and the error as it is."""
    producer = Producer(tmp_path, "https://demo.data.gouv.fr", "x" * 20, "5bbb6d6cff66bd4dc17bfd5a")
    text = producer.configure().read_text()
    right, wrong = (
        one.replace("{url}", producer.url)
        .replace("{file}", str(tmp_path / "api-key"))
        .replace("{dataset}", producer.dataset)
        .replace("{folder}", str(producer.folder))
        .replace("{key}", SHAPED)
        for one in MISTAKES[place]
    )
    assert right in text
    producer.config.write_text(text.replace(right, wrong, 1))
    said = ""
    try:
        settings = load(producer.config, {})
        settings.api_key()
        said += repr(settings) + str(settings) + json.dumps(settings.dumped())
    except PublisherError as error:
        said += "".join(map(str, graph(error)))
    done = run(producer, "check", "--json")
    read = capsys.readouterr()

    assert leaks(SHAPED, said, done.stdout, done.stderr, read.out, read.err) in ([], ["output 0"])
    if place not in {"proxy", "messages'"}:  # those load: the settings hold what they are
        assert leaks(SHAPED, said) == []


def test_a_variable_in_the_wrong_place_is_not_repeated(producer: Producer) -> None:
    producer.configure()
    for name in ("PUBLISHER_DAEMON__WORKERS", "PUBLISHER_PORTAL__URL", "PUBLISHER_FOLDERS",
                 "PUBLISHER_NOTHING__LIKE", "PUBLISHER_PORTAL__API_KEY_FILE"):  # fmt: skip
        done = run(producer, "status", "--json", **{name: SHAPED})

        assert leaks(SHAPED, done.stdout, done.stderr) == [], name


def graph(error: BaseException) -> Iterator[object]:
    """The error, all that it wraps, and all that they hold."""
    todo: list[object] = [error]
    seen: set[int] = set()
    while todo:
        found = todo.pop()
        if id(found) in seen or len(seen) > 10_000:
            continue
        seen.add(id(found))
        if isinstance(found, str | bytes | int | float | None):
            yield found
            continue
        if isinstance(found, dict):
            todo += [*found, *found.values()]
        elif isinstance(found, list | tuple | set | frozenset):
            todo += list(found)
        if isinstance(found, BaseException):
            todo += [*found.args, found.__cause__, found.__context__]
            yield repr(found)
        with contextlib.suppress(TypeError):
            todo += list(vars(found).values())
        for name in getattr(type(found), "__slots__", ()):
            todo.append(getattr(found, name, None))


def test_what_a_failed_request_raises_does_not_hold_it(proxy: Proxy) -> None:
    refused = Portal("http://127.0.0.1:9", PLAIN)
    cut = Portal(proxy.url, PLAIN)
    proxy.rule(".*", lose_reply=True)
    for portal in (refused, cut):
        with pytest.raises(PublisherError) as caught:
            portal.whoami()

        assert leaks(PLAIN, "\n".join(map(str, graph(caught.value)))) == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirection_elsewhere_gets_no_key(proxy: Proxy, status: int) -> None:
    with HttpSink() as elsewhere:
        proxy.rule(".*", status=status, headers={"Location": f"http://127.0.0.1:{elsewhere.port}/"})
        portal = Portal(proxy.url, PLAIN)

        with pytest.raises(PublisherError):
            portal.whoami()
        with pytest.raises(PublisherError):
            portal.resolve("a-slug")

        assert not any(PLAIN in json.dumps(one) for one in elsewhere.heads)


def test_the_canary_would_be_heard(tmp_path: Path) -> None:
    for key in (PLAIN, SHAPED):
        for dress in dresses(key):
            (tmp_path / "x").write_text(f"before {dress} after")

            assert leaks(key, below=tmp_path)
