"""The metrics service of data.gouv.fr as its public clients know it: filters, sorting and pages.

The true one cannot be reached from here. Like it, this one refuses a column or an operator that it
does not have, so that a query that is wrong is seen.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from operator import itemgetter
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

_COLUMNS = ("dataset_id", "metric_month", "monthly_visit", "monthly_download_resource")
_LARGEST_PAGE = 50


class MetricApi:
    """Serves ``/api/datasets/data/`` from these rows, between ``with`` and its end."""

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self.rows = [{"__id": number, **row} for number, row in enumerate(rows, 1)]
        #: an answer to give instead
        self.down: int | None = None
        self.heads: list[dict[str, str]] = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                service.heads.append({name.lower(): value for name, value in self.headers.items()})
                status, found = service.answer(self.path)
                body = json.dumps(found).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/api"

    def answer(self, path: str) -> tuple[int, dict[str, Any]]:
        """The status and the document for this path and query."""
        address = urlsplit(path)
        if self.down is not None:
            return self.down, {}
        if address.path != "/api/datasets/data/":
            return 404, {"errors": [{"title": "not found"}]}
        rows, page, size = list(self.rows), 1, 20
        for name, value in parse_qsl(address.query):
            column, _, operator = name.partition("__")
            if name == "page":
                page = int(value)
            elif name == "page_size" and int(value) <= _LARGEST_PAGE:
                size = int(value)
            elif column in _COLUMNS and operator == "exact":
                rows = [row for row in rows if str(row.get(column)) == value]
            elif column in _COLUMNS and operator == "sort" and value in {"asc", "desc"}:
                rows.sort(key=itemgetter(column), reverse=value == "desc")
            else:
                return 400, {"errors": [{"title": "Invalid query string", "detail": name}]}
        shown = rows[(page - 1) * size : page * size]
        meta = {"page": page, "page_size": size, "total": len(rows)}
        return 200, {"data": shown, "links": {"next": None, "prev": None}, "meta": meta}
