"""What is looked at in a file depends on its rule: the schema it is to follow is brought along."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import PurePath

from publisher_daemon.model import Fingerprint, Watch
from publisher_daemon.naming import is_table, rule_for
from publisher_daemon.profile import Finding, Profile
from publisher_daemon.reconcile.ports import OpenFile
from publisher_daemon.schemas import Schemas

#: Seconds after which a thread that computes lets another go on: what only reads and hashes needs
#: the interpreter for a moment, and would else wait for longer than its work takes.
TURN = 0.0002


def get_ready() -> None:
    """Load what looks at files, while one settles: it would wait for that when it is decided."""
    import publisher_daemon.inspection  # noqa: F401, PLC0415 - costs a start-up its time


def inspecting(schemas: Schemas) -> Callable[[OpenFile, str, Watch], tuple[Fingerprint, Profile]]:
    """Look at a file, and at whether it follows the schema of its rule.

    Sets how long the threads of this process compute in turn.
    """
    sys.setswitchinterval(TURN)

    def look(source: OpenFile, path: str, watch: Watch) -> tuple[Fingerprint, Profile]:
        from publisher_daemon.inspection import inspect  # noqa: PLC0415 - costs a start-up its time

        found = rule_for(watch, path)
        if found is None or watch.checks.schema == "off" or not is_table(path):
            return inspect(source, path)
        schema = schemas.of(found[0])
        if not isinstance(schema, str):
            return inspect(source, path, schema=schema)
        fingerprint, profile = inspect(source, path)
        named = found[0].table_schema or found[0].words.schema or ""
        unread = Finding(
            "schema_unread",
            f"Nobody looked whether it follows the schema “{PurePath(named).name}”: {schema}.",
            "warn",
        )
        return fingerprint, replace(profile, findings=(*profile.findings, unread))

    return look
