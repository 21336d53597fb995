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


def find(rows: Iterable[HistoryRow], wanted: str | None) -> HistoryRow | None:
    """The newest failure, or the one with that Sentry ID, trace id or resource."""
    for row in rows:
        exchange = row.detail.get("exchange")
        if not isinstance(exchange, Mapping):
            continue
        if wanted is None or wanted in {row.sentry_id, row.trace_id, row.resource, str(row.id)}:
            return row
    return None


def report(row: HistoryRow, *, at: str, language: str = "en") -> str:
    """A message ready to send, in English or in French."""
    kept = row.detail.get("exchange")
    exchange: Mapping[str, Any] = kept if isinstance(kept, Mapping) else {}
    words = _FRENCH if language == "fr" else _ENGLISH
    lines = [
        words["hello"],
        "",
        words["what"].format(version=__version__, python=platform.python_version()),
        f"{words['why']}: {exchange.get('reason') or row.action}, {readable(row.key.path)}",
        f"{words['dataset']}: {row.key.dataset}",
        f"{words['resource']}: {row.resource or '-'}",
        f"{words['when']}: {exchange.get('at') or at}",
        f"X-Sentry-ID: {row.sentry_id or words['none']}",
        f"{words['trace']}: {row.trace_id or '-'}",
        "",
        f"{words['request']}:",
        f"    {exchange.get('method', '')} {exchange.get('url', '')}",
        *(f"    {name}: {value}" for name, value in exchange.get("request_headers", ())),
        "",
        f"{words['answer']}:",
        f"    HTTP {exchange.get('status') or words['none']}",
        *(f"    {name}: {value}" for name, value in exchange.get("answer_headers", ())),
        *(f"    {line}" for line in str(exchange.get("answer_body", "")).splitlines()),
        "",
        f"{words['said']}: {row.detail.get('why', '')}",
    ]
    return redact("\n".join(lines))


_ENGLISH = {
    "hello": "Hello,",
    "what": "A publication by publisher-daemon {version} (Python {python}) failed on your portal.",
    "why": "What was being done",
    "dataset": "Dataset",
    "resource": "Resource",
    "when": "Date and time (UTC)",
    "trace": "Our trace id (sent as sentry-trace and X-Request-ID)",
    "request": "The request",
    "answer": "The answer",
    "said": "What we understood",
    "none": "none",
}
_FRENCH = {
    "hello": "Bonjour,",
    "what": "Une publication par publisher-daemon {version} (Python {python}) a échoué sur votre "
    "portail.",
    "why": "Ce qui était fait",
    "dataset": "Jeu de données",
    "resource": "Ressource",
    "when": "Date et heure (UTC)",
    "trace": "Notre identifiant de trace (envoyé dans sentry-trace et X-Request-ID)",
    "request": "La requête",
    "answer": "La réponse",
    "said": "Ce que nous avons compris",
    "none": "aucun",
}
