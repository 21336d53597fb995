"""``python -m publisher_daemon``, and the ``publisher-daemon`` command."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line; returns its exit code."""
    try:
        from publisher_daemon.cli import main as run  # noqa: PLC0415 - Ctrl-C may come while it loads

        return run(sys.argv[1:])
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
