"""Writes the report that the portal's support asks for, from what the ledger kept of an error.

Asked for (the portal's API guide, section "Support"): the request with its headers, the answer with
its headers, date and time, some context. The key was taken out when the exchange was recorded; it
is taken out again here, whatever was recorded.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from typing import Any

from publisher_daemon import __version__
from publisher_daemon.ledger import HistoryRow
from publisher_daemon.log import redact
from publisher_daemon.naming import readable
from publisher_daemon.words import Language, Words


def find(rows: Iterable[HistoryRow], wanted: str | None) -> HistoryRow | None:
    """The newest failure, or the one of that path, Sentry ID, trace id, resource or line."""
    for row in rows:
        exchange = row.detail.get("exchange")
        if not isinstance(exchange, Mapping):
            continue
        if wanted is None or wanted in {row.sentry_id, row.trace_id, row.resource, str(row.id)}:
            return row
        path = readable(row.key.path)
        if path and (wanted == path or wanted.endswith(f"/{path}")):
            return row
    return None


def report(row: HistoryRow, *, at: str, language: Language = "en") -> str:
    """A message ready to send, in English or in French."""
    kept = row.detail.get("exchange")
    exchange: Mapping[str, Any] = kept if isinstance(kept, Mapping) else {}
    words = Words(language)
    colon = words(": ")
    trace = words("Our trace id (sent as sentry-trace and X-Request-ID)")
    none, doing = words("none"), exchange.get("reason") or row.action
    lines = [
        words("Hello,"),
        "",
        words(
            "A publication by publisher-daemon {version} (Python {python}) failed on your portal.",
            version=__version__,
            python=platform.python_version(),
        ),
        f"{words('What was being done')}{colon}{doing}, {readable(row.key.path)}",
        f"{words('Dataset')}{colon}{row.key.dataset}",
        f"{words('Resource')}{colon}{row.resource or '-'}",
        f"{words('Date and time (UTC)')}{colon}{exchange.get('at') or at}",
        f"X-Sentry-ID: {row.sentry_id or none}",
        f"{trace}{colon}{row.trace_id or '-'}",
        "",
        f"{words('The request')}{colon.rstrip(' ')}",
        f"    {exchange.get('method', '')} {exchange.get('url', '')}",
        *(f"    {name}: {value}" for name, value in exchange.get("request_headers", ())),
        "",
        f"{words('The answer')}{colon.rstrip(' ')}",
        f"    HTTP {exchange.get('status') or none}",
        *(f"    {name}: {value}" for name, value in exchange.get("answer_headers", ())),
        *(f"    {line}" for line in str(exchange.get("answer_body", "")).splitlines()),
        "",
        f"{words('What we understood')}{colon}{words.of(str(row.detail.get('why', '')))}",
        "",
        words("Could you tell us what is wrong, or what we should change? Thank you."),
    ]
    return redact("\n".join(lines))
