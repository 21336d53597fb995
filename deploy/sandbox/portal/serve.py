"""Serves udata on a socket that the launcher has already opened.

The socket is inherited so that no other process can take the port in between, and so that a client
that comes early waits instead of being refused.
"""

# import-not-found: udata and its database live in the sandbox's own environment,
# not in the checker's

from __future__ import annotations

import argparse
import json
from pathlib import Path

from application import build
from faults import Faults
from lifeline import end_with
from schemas import Schemas
from werkzeug.serving import make_server  # type: ignore[import-not-found]


def main() -> None:
    """Serve until a signal ends the process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--database", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--settings", type=json.loads, default={})
    options = parser.parse_args()
    end_with(options.parent)

    app = build(options.data, options.port, options.database, options.settings)
    portal = Faults(Schemas(app, f"http://127.0.0.1:{options.port}"), options.data / "faults.json")
    make_server("127.0.0.1", options.port, portal, threaded=True, fd=options.fd).serve_forever()


if __name__ == "__main__":
    main()
