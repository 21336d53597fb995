"""Sets up structlog once: JSON lines, a readable console or native journal fields; no secrets.

Only ``daemon`` and ``cli`` call ``configure``; every other room does ``structlog.get_logger()``.
Redaction is the last step before rendering, so that no processor can add a secret after it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import resource
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

import structlog
from structlog.typing import EventDict, WrappedLogger

from publisher_daemon.log._journal import JournalSender, message_id, stream_is_journal
from publisher_daemon.log._recent import Recent
from publisher_daemon.log._redact import Redactor, json_line, single_line

__all__ = [
    "Format",
    "JournalSender",
    "Level",
    "Recent",
    "configure",
    "guard",
    "message_id",
    "redact",
    "single_line",
    "through",
]

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["auto", "json", "console", "journal"]

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_MOST_FRAMES = 12
_LONGEST_ERROR = 8000
#: what stands first on a line, in this order
_FIRST = ("timestamp", "level", "event")
_COLOURS = {"debug": "2", "info": "32", "warning": "33", "error": "31", "critical": "31;1"}

_redactor = Redactor()
#: every secret this process was ever given: one that was replaced still works until it is revoked
_secrets: set[str] = set()


def redact(text: str) -> str:
    """The text without the API key or anything of a portal token's shape."""
    return _redactor.text(text)


def configure(
    *,
    level: Level = "info",
    format: Format = "auto",  # noqa: A002 - the setting's own name
    stream: TextIO | None = None,
    secrets: Iterable[str] = (),
    recent: Recent | None = None,
) -> None:
    """Write every log line of this process to ``stream`` (standard error), redacted.

    ``recent`` keeps the last lines too, whatever the format. May be called again: after the key
    is read, or when the configuration is reloaded.
    """
    global _redactor, _writer  # noqa: PLW0603 - one process writes one log; `redact` serves all
    _secrets.update(secrets)
    _redactor = Redactor(_secrets)
    writer = _Writer(sys.stderr if stream is None else stream, format, recent)
    if _writer is not None:
        _writer.close()
    _writer = writer
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _render_exception,
            _write_instants,
            _redact_and_order,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=lambda *_: writer,
        # loggers are made when modules are imported, before the configuration is read
        cache_logger_on_first_use=False,
    )
    _route_other_loggers()


class _Writer:
    """What structlog calls last: one finished entry, one line."""

    def __init__(self, stream: TextIO, asked: Format, recent: Recent | None) -> None:
        self._stream = stream
        self._recent = recent
        self._lock = threading.Lock()
        self._journal: JournalSender | None = None
        self._colour = False
        self._terminal = stream.isatty()
        self._form: Literal["json", "console"] = "json"
        if asked == "journal" or (
            asked == "auto" and stream_is_journal(stream, os.environ.get("JOURNAL_STREAM"))
        ):
            self._journal = JournalSender()
        elif asked == "console" or (asked == "auto" and stream.isatty()):
            self._form = "console"
            self._colour = stream.isatty() and not os.environ.get("NO_COLOR")

    def close(self) -> None:
        """Let the journal's socket go."""
        if self._journal is not None:
            self._journal.close()

    def msg(self, /, **entry: Any) -> None:
        """Write one entry; a log that cannot be written never stops the service."""
        plain = json_line(json.dumps(entry, ensure_ascii=False, allow_nan=False))
        if self._recent is not None:
            self._recent.add(plain)
        if self._journal is not None:
            try:
                fields = {key: entry[key] for key in entry if key not in ("timestamp", "level")}
                self._journal.send(_sentence(entry), str(entry["level"]), fields)
            except OSError:
                pass  # no journal to talk to: the stream is what is left
            else:
                return
        line = _console(entry, colour=self._colour) if self._form == "console" else plain
        with self._lock, contextlib.suppress(OSError, ValueError):
            if _through is not None and self._terminal:
                _through(line)
                return
            buffer = getattr(self._stream, "buffer", None)
            if buffer is None:
                self._stream.write(line + "\n")
            else:  # UTF-8 whatever the locale of the service is
                buffer.write(line.encode() + b"\n")
            self._stream.flush()

    debug = info = warning = error = critical = exception = log = msg


_writer: _Writer | None = None
_through: Callable[[str], None] | None = None


@contextlib.contextmanager
def through(write: Callable[[str], None]) -> Iterator[None]:
    """Hand the lines for a terminal to whoever draws on it, and knows how to stand below them."""
    global _through  # noqa: PLW0603 - as the writer
    _through = write
    try:
        yield
    finally:
        _through = None


def _redact_and_order(_logger: WrappedLogger, _method: str, entry: EventDict) -> EventDict:
    clean: EventDict = _redactor.value(entry)
    first = {key: clean.pop(key) for key in _FIRST if key in clean}
    return {**first, **clean}


def _write_instants(_logger: WrappedLogger, _method: str, entry: EventDict) -> EventDict:
    """Write ``retry_at`` as timestamps are written; rooms reckon in seconds since 1970."""
    at = entry.get("retry_at")
    if isinstance(at, int | float):
        entry["retry_at"] = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return entry


def _render_exception(_logger: WrappedLogger, _method: str, entry: EventDict) -> EventDict:
    """Replace ``exc_info`` by bounded text, without local variables: they may hold anything."""
    given = entry.pop("exc_info", None)
    if not given:
        return entry
    if isinstance(given, BaseException):
        error: BaseException | None = given
    else:
        error = given[1] if isinstance(given, tuple) else sys.exc_info()[1]
    if error is None:
        return entry
    entry["error"] = type(error).__name__
    told = traceback.TracebackException.from_exception(error, limit=-_MOST_FRAMES, compact=True)
    text = "".join(told.format()).rstrip()
    # redacted before it is cut: half a key at the cut would no longer be recognised
    text = _redactor.text(text)
    if len(text) > _LONGEST_ERROR:
        text = f"{text[: _LONGEST_ERROR // 2]}\n  […]\n{text[-_LONGEST_ERROR // 2 :]}"
    entry["exception"] = text
    return entry


def _console(entry: Mapping[str, Any], *, colour: bool) -> str:
    level = str(entry.get("level", ""))
    time = str(entry.get("timestamp", ""))[11:19]
    mark = f"{level:<7}"
    if colour:
        mark = f"\x1b[{_COLOURS.get(level, '0')}m{mark}\x1b[0m"
    return f"{time} {mark} {_sentence(entry)}"


def _sentence(entry: Mapping[str, Any]) -> str:
    """The entry for a person: the event, its fields, and the exception below."""
    fields = [
        f"{key}={_shown(value)}"
        for key, value in entry.items()
        if key not in (*_FIRST, "exception") and value is not None
    ]
    lines = [" ".join([single_line(str(entry.get("event", ""))), *fields])]
    lines += [f"    {single_line(line)}" for line in str(entry.get("exception", "")).splitlines()]
    return "\n".join(lines)


def _shown(value: Any) -> str:
    if not isinstance(value, str):
        return single_line(json.dumps(value, ensure_ascii=False, allow_nan=False))
    text = single_line(value)
    return text if text and not set(' "=') & set(text) else f'"{text}"'


def guard() -> None:
    """Log what nobody catches, redacted, and leave no image of the memory, which holds the key."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    sys.excepthook = lambda _kind, error, _trace: _ended(error)
    threading.excepthook = lambda found: _ended(found.exc_value)
    sys.unraisablehook = lambda found: _ended(found.exc_value)


def _ended(error: BaseException | None) -> None:
    if not isinstance(error, Exception):
        return  # an end that somebody asked for
    if _writer is None:
        configure()
    structlog.get_logger().error("program.failed", why=str(error), exc_info=error)


class _ToStructlog(logging.Handler):
    """Libraries that use ``logging`` speak through the same log, with the same redaction."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except (TypeError, ValueError):
            message = str(record.msg)
        log = structlog.get_logger()
        say = log.error if record.levelno >= logging.ERROR else log.warning
        say("library.warned", logger=record.name, message=message, exc_info=record.exc_info)


def _route_other_loggers() -> None:
    root = logging.getLogger()
    for handler in [each for each in root.handlers if isinstance(each, _ToStructlog)]:
        root.removeHandler(handler)
    root.addHandler(_ToStructlog(level=logging.WARNING))
    root.setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
