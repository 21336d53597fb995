"""Runs the sandbox's database: SecantusDB, which speaks MongoDB's protocol and installs with pip.

udata stores generic references (assignments, discussions, activities) as DBRef, and SecantusDB
0.7.0b3 answers "internal server error" to them unless they can be read as mappings.
"""

# import-not-found: udata and its database live in the sandbox's own environment,
# not in the checker's

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bson.dbref import DBRef  # type: ignore[import-not-found]
from lifeline import end_with
from secantus.cli import main as serve  # type: ignore[import-not-found]


def _let_references_be_mappings() -> None:
    def get(self: Any, key: str, default: Any = None) -> Any:
        return self.as_doc().get(key, default)

    def read(self: Any, key: str) -> Any:
        return self.as_doc()[key]

    def walk(self: Any) -> Iterator[str]:
        return iter(self.as_doc())

    def holds(self: Any, key: object) -> bool:
        return key in self.as_doc()

    DBRef.items = lambda self: self.as_doc().items()
    DBRef.keys = lambda self: self.as_doc().keys()
    DBRef.values = lambda self: self.as_doc().values()
    DBRef.get = get
    DBRef.__getitem__ = read
    DBRef.__iter__ = walk
    DBRef.__contains__ = holds


def main() -> int:
    """Serve until SIGTERM; then remove the throw-away directory, if that is what it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--throw-away", action="store_true")
    options = parser.parse_args()
    end_with(options.parent)
    _let_references_be_mappings()

    try:
        return int(
            serve(
                [
                    "--standalone",
                    f"--port={options.port}",
                    f"--storage-path={options.data / 'mongo'}",
                    "--log-level=WARNING",
                ]
            )
            or 0
        )
    finally:
        # here and not in the launcher only: a launcher killed by SIGKILL cleans nothing
        if options.throw_away:
            shutil.rmtree(options.data, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
