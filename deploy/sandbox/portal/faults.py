"""Makes the portal misbehave as a file says, read again at each request.

The file holds a JSON list of rules; the first that matches and is not used up applies:

``match``    a regular expression, searched in ``METHOD /path`` (needed)
``times``    how many requests it applies to (default: all)
``delay``    seconds to wait before answering
``status``   answer this status instead of calling the portal
``after``    with ``status``: let the portal do the work first, and throw its answer away (the reply
             is lost, the write happened)
``headers``  headers to add to the answer (``{"X-Sentry-ID": "…"}``, ``{"Retry-After": "2"}``)
``body``     the answer's JSON (default ``{"message": "injected"}``)
``html``     the answer as a page, like a reverse proxy's, instead of ``body``

Two rules that differ in any key (say ``"id"``) are counted apart.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Environ = dict[str, Any]
Application = Callable[[Environ, Any], Iterable[bytes]]

_BLOCK = 1 << 16


class Faults:
    """A WSGI application that stands before another and applies the rules of ``path``."""

    def __init__(self, application: Application, path: Path) -> None:
        self._application = application
        self._path = path
        self._used: Counter[str] = Counter()
        self._lock = threading.Lock()

    def __call__(self, environ: Environ, start: Any) -> Iterable[bytes]:
        """Answer as the first rule that applies says, or let the application answer."""
        rule = self._rule(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}")
        if rule is None:
            return self._application(environ, start)
        if "status" not in rule:
            time.sleep(rule.get("delay", 0))
            return self._application(environ, _with_headers(start, rule.get("headers", {})))
        if rule.get("after"):
            _swallow(self._application(environ, lambda *_args, **_kwargs: lambda _data: None))
        else:
            _drain(environ)
        time.sleep(rule.get("delay", 0))
        return _answer(rule, start)

    def _rule(self, line: str) -> dict[str, Any] | None:
        try:
            rules = json.loads(self._path.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None  # no faults wanted, or an editor is half-way through writing them
        with self._lock:
            for rule in rules:
                if not re.search(rule["match"], line):
                    continue
                name = json.dumps(rule, sort_keys=True)
                if "times" in rule and self._used[name] >= rule["times"]:
                    continue
                self._used[name] += 1
                return dict(rule)
        return None


def _with_headers(start: Any, headers: dict[str, str]) -> Any:
    def started(status: str, given: list[tuple[str, str]], *rest: Any) -> Any:
        return start(status, [*given, *headers.items()], *rest)

    return started


def _swallow(answer: Iterable[bytes]) -> None:
    try:
        for _block in answer:
            pass
    finally:
        close = getattr(answer, "close", None)
        if close is not None:
            close()


def _drain(environ: Environ) -> None:
    # a body left unread would make the kernel reset the connection before the answer is read
    left = int(environ.get("CONTENT_LENGTH") or 0)
    while left > 0:
        block = environ["wsgi.input"].read(min(left, _BLOCK))
        if not block:
            return
        left -= len(block)


def _answer(rule: dict[str, Any], start: Any) -> Iterable[bytes]:
    if "html" in rule:
        kind, body = "text/html; charset=utf-8", str(rule["html"]).encode()
    else:
        kind = "application/json"
        body = json.dumps(rule.get("body", {"message": "injected"})).encode()
    headers = [("Content-Type", kind), ("Content-Length", str(len(body)))]
    start(f"{rule['status']} Injected", [*headers, *rule.get("headers", {}).items()])
    return [body]
