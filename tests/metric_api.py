"""The metrics service of data.gouv.fr as its public clients know it: filters, sorting and pages.

The true one cannot be reached from here. Like it, this one refuses a column or an operator that it
does not have, so that a query that is wrong is seen.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from sinks import HttpSink

_COLUMNS = ("dataset_id", "metric_month", "monthly_visit", "monthly_download_resource")
_LARGEST_PAGE = 50


class MetricApi(HttpSink):
    """Serves ``/api/datasets/data/`` from these rows, between ``with`` and its end."""

    content_type = "application/json"

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        super().__init__()
        self.rows = [{"__id": number, **row} for number, row in enumerate(rows, 1)]
        #: an answer to give instead
        self.down: int | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    def answer(self, path: str) -> tuple[int, bytes]:
        status, found = self._found(path)
        return status, json.dumps(found).encode()

    def _found(self, path: str) -> tuple[int, dict[str, Any]]:
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
