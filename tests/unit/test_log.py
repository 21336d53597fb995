"""Log lines: their form, for machines and for people, and what never stands in them."""

from __future__ import annotations

import base64
import html
import io
import json
import logging
import os
import pty
import resource
import socket
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import structlog

from publisher_daemon import log
from publisher_daemon.log._journal import JournalSender, stream_is_journal
from publisher_daemon.log._redact import Redactor

CANARY = 'canary+4f1c/"KEY"x7Q9'
TOKEN = "udata_" + "Zz-9" * 16


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    handlers, level = logging.getLogger().handlers[:], logging.getLogger().level
    yield
    log.configure(stream=io.StringIO())
    structlog.reset_defaults()
    logging.captureWarnings(capture=False)
    logging.getLogger().handlers[:] = handlers
    logging.getLogger().setLevel(level)
    log._redactor = Redactor()
    log._secrets.clear()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def configured(**given: Any) -> io.StringIO:
    stream = io.StringIO()
    log.configure(stream=stream, **given)
    return stream


def test_a_line_is_one_json_object_with_the_promised_keys_first() -> None:
    stream = configured()

    structlog.get_logger().bind(pass_id="p1").info("resource.replaced", path="é.csv", size=3)

    (line,) = lines(stream)
    assert list(line) == ["timestamp", "level", "event", "pass_id", "path", "size"]
    assert line["timestamp"].endswith("Z")
    assert (line["level"], line["event"], line["size"]) == ("info", "resource.replaced", 3)


def test_a_logger_made_before_the_configuration_follows_it() -> None:
    early = structlog.get_logger()
    stream = configured(level="warning")

    early.info("file.settled")
    early.warning("folder.lost")

    assert [line["event"] for line in lines(stream)] == ["folder.lost"]


def test_configuring_again_does_not_double_lines() -> None:
    configured()
    stream = configured()

    logging.getLogger("urllib3").warning("slow")

    assert len(lines(stream)) == 1


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_form_of_the_key_is_written(form: str) -> None:
    stream = configured(format=form, secrets=[CANARY, ""])
    logger = structlog.get_logger()

    logger.info(CANARY, **{CANARY: 1, "path": f"a{CANARY}b", "bytes": CANARY.encode()})
    logger.info("x", deep=[{"k": ({"u": f"?key={quote(CANARY, safe='')}"},)}], other={CANARY})
    logger.info("x", why=base64.b64encode(CANARY.encode()).decode(), sha1=f"{TOKEN}.")
    logger.info("x", body=json.dumps({"key": CANARY}), error=ValueError(CANARY))
    logging.getLogger("urllib3").error("header %r", CANARY)

    def fail() -> None:
        try:
            int(CANARY)
        except ValueError as error:
            raise RuntimeError(repr(CANARY), TOKEN) from error

    try:
        fail()
    except RuntimeError:
        logger.exception("pass.failed")

    text = stream.getvalue()
    assert "4f1c" not in text
    assert base64.b64encode(CANARY.encode()).decode().rstrip("=") not in text
    assert "Zz-9" not in text
    assert "RuntimeError" in text


def test_no_dress_of_the_key_hides_it() -> None:
    """What an answer, a page, an address or a header may make of it."""
    basic = [base64.b64encode(f"{'u' * n}:{CANARY}{after}".encode()).decode()
             for n in range(3) for after in ("", "x", "xy")]  # fmt: skip
    dresses = [
        quote(CANARY, safe="").lower(), quote(quote(CANARY, safe="")), html.escape(CANARY),
        CANARY.upper(), CANARY.encode().hex().upper(), json.dumps(json.dumps(CANARY)),
        base64.urlsafe_b64encode(CANARY.encode()).decode(), *basic,
    ]  # fmt: skip
    configured(secrets=[CANARY])

    for dress in dresses:
        left = log.redact(f"before {dress} after").removeprefix("before ").removesuffix(" after")
        assert "[redacted]" in left
        # of base64, what other bytes share with it; the quotes of JSON
        assert len(left.replace("[redacted]", "")) <= 12, dress


def test_a_key_that_was_replaced_is_still_hidden() -> None:
    configured(secrets=[CANARY])
    configured(secrets=["another-key-of-this-portal"])

    assert log.redact(CANARY) == "[redacted]"


def test_what_nobody_catches_is_logged_without_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("excepthook", "unraisablehook"):
        monkeypatch.setattr(sys, name, getattr(sys, name))
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    stream = configured(secrets=[CANARY])
    log.guard()

    def fail() -> None:
        raise KeyError(CANARY)

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    sys.excepthook(ValueError, ValueError(TOKEN), None)
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)

    first, second = lines(stream)
    assert (first["event"], first["error"], second["error"]) == (
        "program.failed", "KeyError", "ValueError",
    )  # fmt: skip
    assert "in fail" in first["exception"]
    assert "4f1c" not in stream.getvalue()
    assert "Zz-9" not in stream.getvalue()


def test_no_image_of_the_memory_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, tuple[int, int]]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (7, 9))
    monkeypatch.setattr(resource, "setrlimit", lambda *given: asked.append(given))
    for name in ("excepthook", "unraisablehook"):
        monkeypatch.setattr(sys, name, getattr(sys, name))
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)

    log.guard()

    assert asked == [(resource.RLIMIT_CORE, (0, 9))]


def test_a_token_is_hidden_before_any_key_is_known() -> None:
    stream = configured()

    structlog.get_logger().info("x", why=TOKEN)

    assert lines(stream)[0]["why"] == "[redacted]"


def test_redact_serves_text_that_is_not_logged() -> None:
    configured(secrets=[CANARY])

    assert log.redact(f"a {CANARY} b {TOKEN}") == "a [redacted] b [redacted]"


def test_very_deep_values_are_cut_and_still_redacted() -> None:
    stream = configured(secrets=[CANARY])
    deep: Any = CANARY
    for _ in range(50):
        deep = [deep]

    structlog.get_logger().info("x", deep=deep)

    assert "4f1c" not in stream.getvalue()


def test_an_exception_is_bounded_and_shows_no_local_variable() -> None:
    stream = configured()

    def descend(depth: int) -> None:
        inner = "local-secret" if depth else ""
        if inner:
            descend(depth - 1)
        raise ValueError("x" * 50_000)

    try:
        descend(100)
    except ValueError:
        structlog.get_logger().exception("pass.failed")

    (line,) = lines(stream)
    assert line["error"] == "ValueError"
    assert len(line["exception"]) < 9000
    assert "local-secret" not in line["exception"].replace('inner = "local-secret"', "")
    assert "exc_info" not in line


def test_a_key_across_the_cut_of_a_long_exception_is_hidden() -> None:
    stream = configured()

    structlog.get_logger().error("pass.failed", exc_info=ValueError(f"{TOKEN} " * 999))

    assert "Zz-9" not in stream.getvalue()
    assert "[…]" in stream.getvalue()


def test_file_names_that_are_not_utf8_give_valid_utf8() -> None:
    raw = io.BytesIO()
    log.configure(stream=io.TextIOWrapper(raw, encoding="ascii"))

    structlog.get_logger().info("x", path=os.fsdecode(b"caf\xe9 \xc3\xa9.csv"))

    assert json.loads(raw.getvalue().decode("utf-8"))["path"] == r"caf\xe9 é.csv"


def test_no_character_breaks_a_json_line() -> None:
    stream = configured()
    nasty = "a\nb\r\x1b[2J\u0085\u2028\u202ecsv"

    structlog.get_logger().info("x", path=nasty, value=float("nan"))

    assert len(stream.getvalue().splitlines()) == 1
    assert "\u202e" not in stream.getvalue()
    assert lines(stream)[0]["path"] == nasty
    assert lines(stream)[0]["value"] == "nan"


def test_a_console_line_cannot_be_forged_by_a_file_name() -> None:
    stream = configured(format="console")

    structlog.get_logger().info("x", path="a\n12:00:00 info resource.created \x1b[31m\u202e")

    (line,) = stream.getvalue().splitlines()
    assert r'path="a\n12:00:00 info resource.created \x1b[31m\u202e"' in line


def test_a_terminal_gets_colours_and_respects_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    master, slave = pty.openpty()
    with os.fdopen(slave, "w") as terminal, os.fdopen(master, "rb", buffering=0) as screen:
        log.configure(stream=terminal)
        structlog.get_logger().warning("folder.lost", path="air")
        coloured = screen.read(4096)
        monkeypatch.setenv("NO_COLOR", "1")
        log.configure(stream=terminal)
        structlog.get_logger().warning("folder.lost", path="air")
        plain = screen.read(4096)

    assert b"\x1b[33mwarning" in coloured
    assert b"folder.lost path=air" in coloured
    assert b"\x1b" not in plain


def test_a_log_that_cannot_be_written_stops_nothing() -> None:
    stream = configured()
    stream.close()

    structlog.get_logger().info("daemon.started")


def test_other_libraries_and_warnings_speak_through_the_same_log() -> None:
    stream = configured()

    logging.getLogger("urllib3").info("chatter")
    logging.getLogger("apscheduler").error("job %s failed", "x", exc_info=ValueError("why"))
    (handler,) = [
        each for each in logging.getLogger().handlers if isinstance(each, log._ToStructlog)
    ]
    handler.handle(logging.LogRecord("broken", 30, "", 1, "%d", ("not a number",), None))
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn("old", stacklevel=1)

    found = lines(stream)
    assert [line["event"] for line in found] == ["library.warned"] * 3
    assert (found[0]["logger"], found[0]["message"]) == ("apscheduler", "job x failed")
    assert found[0]["level"] == "error"
    assert "ValueError: why" in found[0]["exception"]
    assert "old" in found[2]["message"]


# --------------------------------------------------------------------------------------- journal


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "journal"))
        listener.settimeout(5)
        yield listener


def fields(data: bytes) -> dict[str, bytes]:
    """What systemd's journal would read (its "Native Journal Protocol")."""
    found: dict[str, bytes] = {}
    while data:
        head, _, data = data.partition(b"\n")
        name, equals, value = head.partition(b"=")
        if not equals:
            size = int.from_bytes(data[:8], "little")
            value, data = data[8 : 8 + size], data[8 + size + 1 :]
        found[name.decode()] = value
    return found


def test_an_entry_has_fields_that_journalctl_can_search(
    journal: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("publisher_daemon.log._journal.SOCKET", journal.getsockname())
    monkeypatch.setattr(log, "JournalSender", lambda: JournalSender(address=journal.getsockname()))
    stream = configured(format="journal", secrets=[CANARY])

    structlog.get_logger().error(
        "action.failed", dataset="d", sentry_id="s-42", why=f"two\nlines {CANARY}", size=3
    )

    found = fields(journal.recv(65536))
    assert found["EVENT"] == b"action.failed"
    assert found["PRIORITY"] == b"3"
    assert (found["DATASET"], found["SENTRY_ID"], found["SIZE"]) == (b"d", b"s-42", b"3")
    assert found["WHY"] == b"two\nlines [redacted]"
    assert found["MESSAGE"].startswith(b"action.failed dataset=d")
    assert found["SYSLOG_IDENTIFIER"] == b"publisher-daemon"
    assert stream.getvalue() == ""


def test_names_that_are_no_text_and_lines_that_look_like_fields_forge_nothing(
    journal: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "JournalSender", lambda: JournalSender(address=journal.getsockname()))
    configured(format="journal")

    structlog.get_logger().warning(
        "action.held",
        path=os.fsdecode(b"donn\xe9es\nDATASET=forged\nPRIORITY=0.csv"),
        dataset="d",
        sentry_id="s-42\n_UID=0",
    )

    found = fields(journal.recv(65536))
    assert (found["DATASET"], found["PRIORITY"]) == (b"d", b"4")
    assert found["SENTRY_ID"] == b"s-42\n_UID=0", "a value of two lines is one value"
    assert "_UID" not in found
    found["PATH"].decode()  # valid UTF-8, whatever the name is
    assert b"\nDATASET=forged\n" in found["PATH"]


def test_a_large_entry_goes_by_a_sealed_file(journal: socket.socket) -> None:
    sender = JournalSender(address=journal.getsockname())

    sender.send("m", "info", {"body": "x" * 2_000_000})
    sender.close()

    message, descriptors, _, _ = socket.recv_fds(journal, 65536, 1)
    with os.fdopen(descriptors[0], "rb") as file:
        file.seek(0)
        found = fields(file.read())
    assert message == b""
    assert len(found["BODY"]) == 2_000_000
    assert found["PRIORITY"] == b"6"


def test_field_names_are_those_the_journal_keeps(journal: socket.socket) -> None:
    sender = JournalSender(address=journal.getsockname())

    sender.send("m", "info", {"_x.é": "1", "y" * 80: "2", "message": "no", "none": None})
    sender.close()

    found = fields(journal.recv(65536))
    assert found["MESSAGE"] == b"m"
    assert all(len(name) <= 64 and not name.startswith("_") for name in found)
    assert "NONE" not in found


def test_without_a_journal_the_stream_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "JournalSender", lambda: JournalSender(str(tmp_path / "none")))
    stream = configured(format="journal")

    structlog.get_logger().info("daemon.started")

    assert lines(stream)[0]["event"] == "daemon.started"


def test_the_journal_is_chosen_only_for_the_stream_systemd_connected(tmp_path: Path) -> None:
    with (tmp_path / "stderr").open("w") as stream:
        found = os.fstat(stream.fileno())

        assert stream_is_journal(stream, f"{found.st_dev}:{found.st_ino}")
        assert not stream_is_journal(stream, f"{found.st_dev}:{found.st_ino + 1}")
        assert not stream_is_journal(stream, None)
        assert not stream_is_journal(io.StringIO(), "1:2")


def test_an_instant_is_written_as_timestamps_are() -> None:
    out = io.StringIO()
    log.configure(format="json", stream=out)

    structlog.get_logger().warning("action.held", retry_at=0.0)

    assert json.loads(out.getvalue())["retry_at"] == "1970-01-01T00:00:00Z"
