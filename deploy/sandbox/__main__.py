"""``python3 deploy/sandbox``: a real udata portal to try publisher-daemon on, until Ctrl-C."""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - this is what tells people so
    sys.exit("The sandbox needs Python 3.11 or later; this one is " + sys.version.split()[0])

import argparse
import json
import signal
import time
from pathlib import Path
from typing import Any

import environment
from launcher import Sandbox, SandboxError

SHOWN = {"pub": "public", "priv": "private", "own": "owned by a person"}


def main() -> int:
    """Start it, say how to use it, and wait for the signal to stop."""
    parser = argparse.ArgumentParser(prog="python3 deploy/sandbox", description=__doc__)
    parser.add_argument("--port", type=int, help="the port to listen on (default: a free one)")
    parser.add_argument("--data", type=Path, help="a directory to keep its data in")
    parser.add_argument("--json", action="store_true", help="print one line of JSON when ready")
    parser.add_argument("--install-only", action="store_true", help="prepare everything and exit")
    parser.add_argument(
        "--set",
        type=_settings,
        default={},
        metavar="JSON",
        help="""udata settings to lay over, such as '{"READ_ONLY_MODE": true}'""",
    )
    options = parser.parse_args()
    # a shell starts background jobs with Ctrl-C ignored; kill -INT shall work all the same
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # SystemExit unwinds through the clean-up, as KeyboardInterrupt does
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(0))
    try:
        with Sandbox(options.data, options.port, options.set, say=_progress) as sandbox:
            if options.install_only:
                _progress("The sandbox is installed.")
                return 0
            _show(sandbox.describe(), as_json=options.json)
            while True:  # not pause(): a signal that comes just before it would be missed
                time.sleep(0.5)
    except KeyboardInterrupt:
        _progress("\nThe sandbox is stopped.")
    except (SandboxError, environment.PreparationError) as failure:
        _progress(str(failure))
        return 1
    return 0


def _settings(text: str) -> dict[str, object]:
    try:
        settings = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"not JSON: {error}") from error
    if not isinstance(settings, dict):
        raise argparse.ArgumentTypeError("""a JSON object is needed, such as '{"NAME": true}'""")
    return settings


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _show(about: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(about), flush=True)
        return
    lines = [f"The sandbox is ready: {about['url']}/api/1/", ""]
    lines += [f"API key   {about['tokens']['prod']}", ""]
    lines += ["Datasets that this key may edit:"]
    lines += [f"  {about['datasets'][label]}  {words}" for label, words in SHOWN.items()]
    lines += ["", f"Other keys, users and ids: {Path(about['data']) / 'ids.json'}"]
    lines += [f"To make it misbehave, write: {about['faults']} (docs/sandbox.md)"]
    lines += ["", "Ctrl-C stops it."]
    print("\n".join(lines), flush=True)


if __name__ == "__main__":
    sys.exit(main())
