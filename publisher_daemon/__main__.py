"""``python -m publisher_daemon``, and the ``publisher-daemon`` command."""

from __future__ import annotations

import sys

from publisher_daemon.cli import main as _main


def main() -> int:
    """Run the command line; returns its exit code."""
    return _main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
