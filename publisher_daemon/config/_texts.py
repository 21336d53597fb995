"""The files that settings name for what they say: descriptions, and Table Schemas."""

from __future__ import annotations

from pathlib import Path

from publisher_daemon.errors import ConfigInvalid
from publisher_daemon.tableschema import TableSchema, parsed


def description_or_why(path: Path) -> str:
    """The text, or why there is none: a service that runs must not end with the file."""
    try:
        return read_description(path)
    except ConfigInvalid as error:
        return error.message


def read_table_schema(path: Path) -> TableSchema:
    """The Table Schema in a file; raises ConfigInvalid."""
    try:
        return parsed(path.name, path.read_bytes())
    except OSError as error:
        raise ConfigInvalid(
            f"table_schema {path} cannot be read: {error.strerror}.",
            hint="Write the path of a JSON file the service may read.",
        ) from error
    except ValueError as error:
        raise ConfigInvalid(
            f"table_schema {path} cannot be used: {error}.",
            hint="Write the path of a Table Schema (https://specs.frictionlessdata.io/table-schema).",
        ) from error


def schema_or_why(path: Path) -> str:
    """Its bytes, or why they cannot be read."""
    try:
        return path.read_bytes().hex()
    except OSError as error:
        return str(error)


def read_description(path: Path) -> str:
    """The text of a description file, bounded by what the portal takes; raises ConfigInvalid."""
    try:
        text = path.read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigInvalid(
            f"description_file {path} cannot be read: {why}.",
            hint="Write the path of a UTF-8 text file the service may read.",
        ) from error
    if not 1 <= len(text) <= 100_000:
        raise ConfigInvalid(
            f"description_file {path} has {len(text)} characters.",
            hint="The portal takes 1 to 100,000.",
        )
    return text
