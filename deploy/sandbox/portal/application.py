"""Builds udata's WSGI application with the settings of a sandbox on loopback."""

# import-not-found: udata and its database live in the sandbox's own environment,
# not in the checker's

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pymongo.errors  # type: ignore[import-not-found]
import schemas
from pymongo.synchronous.collection import Collection  # type: ignore[import-not-found]
from udata.app import create_app, standalone  # type: ignore[import-not-found]
from udata.core.storages import utils as storing  # type: ignore[import-not-found]

#: nothing listens there; udata only needs the address to look right, as tasks run eagerly
_NO_BROKER = "redis://127.0.0.1:6399"
_TEXT_INDEX_REFUSED = 67  # MongoDB's CannotCreateIndex


def build(data: Path, port: int, database: int, settings: Mapping[str, object]) -> Any:
    """Build the portal that answers on ``port``, with ``settings`` laid over the sandbox's own."""
    _let_text_indexes_be_missing()
    _tell_what_is_stored(data / "stored.jsonl")
    # no file of the machine may change the sandbox
    os.environ["UDATA_SETTINGS"] = str(data / "no-such-settings.cfg")
    return standalone(create_app(override=_settings(data, port, database, settings)))


def _settings(
    data: Path, port: int, database: int, settings: Mapping[str, object]
) -> SimpleNamespace:
    own: dict[str, object] = {
        "SECRET_KEY": "sandbox",
        # the seeded keys are stored hashed with it: another value would make them unknown
        "API_TOKEN_SECRET": "sandbox-tokens",
        # udata writes its absolute links with it, whatever Host the client called
        "SERVER_NAME": f"127.0.0.1:{port}",
        "CDATA_BASE_URL": f"http://127.0.0.1:{port}/",
        "PREFERRED_URL_SCHEME": "http",
        "SESSION_COOKIE_SECURE": False,
        "MONGODB_HOST": f"mongodb://127.0.0.1:{database}/udata",
        "AUTO_INDEX": False,
        "SEND_MAIL": False,
        "SCHEMA_CATALOG_URL": f"http://127.0.0.1:{port}{schemas.PATH}",
        "CELERY_TASK_ALWAYS_EAGER": True,
        "CELERY_BROKER_URL": _NO_BROKER,
        "CELERY_RESULT_BACKEND": _NO_BROKER,
        "CACHE_TYPE": "NullCache",
        "CACHE_NO_NULL_WARNING": True,
        "FS_PREFIX": "/s",
        "FS_ROOT": str(data / "fs"),
        "URLS_ALLOW_LOCAL": True,
        "URLS_ALLOW_PRIVATE": True,
        # without a network every saved address would wait for its name to be looked up
        "URLS_RESOLVE_HOSTNAME": False,
    }
    return SimpleNamespace(**(own | dict(settings)))


def _let_text_indexes_be_missing() -> None:
    """Ignore the refusal of text indexes, which SecantusDB does not have (search needs them)."""
    create = Collection.create_index

    def create_index(self: Any, keys: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return create(self, keys, *args, **kwargs)
        except pymongo.errors.OperationFailure as refusal:
            if refusal.code != _TEXT_INDEX_REFUSED:
                raise
            return None

    Collection.create_index = create_index


def _tell_what_is_stored(log: Path) -> None:
    """Write a line for every whole file the portal takes in, even if nothing points to it after.

    Whoever tests a client can then say what was never published, which the API cannot tell.
    """
    save = storing.save_upload

    def save_upload(*args: Any, **kwargs: Any) -> Any:
        infos = save(*args, **kwargs)
        line = {"sha1": infos["sha1"], "size": infos["size"], "name": infos["filename"]}
        with log.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(line) + "\n")
        return infos

    storing.save_upload = save_upload
