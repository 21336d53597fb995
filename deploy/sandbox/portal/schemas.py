"""Serves a catalogue of schemas beside the portal, as schema.data.gouv.fr does beside data.gouv.fr.

One Table Schema, in two versions: enough to try ``schema = "ville/qualite-air"``, to be refused
another name, and to have tables checked against it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

Environ = dict[str, Any]
Application = Callable[[Environ, Any], Iterable[bytes]]

#: where udata is told to look
PATH = "/schemas.json"
_NAME = "ville/qualite-air"
_VERSIONS = ("1.0.0", "1.1.0")
_SCHEMA = {
    "name": _NAME,
    "title": "Qualité de l'air",
    "fields": [
        {"name": "station", "type": "string", "constraints": {"required": True}},
        {"name": "jour", "type": "date"},
        {"name": "valeur", "type": "number"},
    ],
}


class Schemas:
    """A WSGI application that stands before another and answers for the catalogue."""

    def __init__(self, application: Application, origin: str) -> None:
        self._application = application
        self._pages: dict[str, object] = {
            _path(version): _SCHEMA | {"version": version} for version in (*_VERSIONS, "latest")
        }
        self._pages[PATH] = {
            "schemas": [
                {
                    "name": _NAME,
                    "title": _SCHEMA["title"],
                    "schema_type": "tableschema",
                    "schema_url": origin + _path("latest"),
                    "versions": [
                        {"version_name": version, "schema_url": origin + _path(version)}
                        for version in _VERSIONS
                    ],
                }
            ]
        }

    def __call__(self, environ: Environ, start: Any) -> Iterable[bytes]:
        """Answer with a page of the catalogue, or let the application answer."""
        page = self._pages.get(environ["PATH_INFO"])
        if page is None:
            return self._application(environ, start)
        body = json.dumps(page).encode()
        start(
            "200 OK",
            [("Content-Type", "application/json"), ("Content-Length", str(len(body)))],
        )
        return [body]


def _path(version: str) -> str:
    return f"/schemas/{_NAME}/{version}/schema.json"
