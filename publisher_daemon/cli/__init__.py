"""Parses arguments, prints, exits.

Only argparse is imported here: ``--version`` and ``--help`` answer at once, each verb imports what
it needs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from publisher_daemon import __version__
from publisher_daemon.errors import (
    ConfigInvalid,
    CredentialRefused,
    PortalUnreachable,
    PublisherError,
)

EXIT_CODES = """\
exit codes: 0 all that was asked is done; 1 something failed or is held (it is printed);
2 wrong usage; 75 portal unreachable; 77 API key refused; 78 configuration invalid"""

#: verb → (module of the function ``run``, one line of help)
VERBS = {
    "run": ("service", "the service: watch, publish, refresh, until SIGTERM"),
    "once": ("service", "one complete pass over every dataset, then exit (for cron or CI)"),
    "plan": ("planning", "say every change it would make and why, make none"),
    "check": ("checking", "say what would stop the service, and what would be right"),
    "status": ("looking", "every file: state, resource, link, since when, why"),
    "history": ("looking", "what was published, when, which bytes, with which answer"),
    "explain": ("looking", "why this file is or is not published, and what would change it"),
    "retry": ("asking", "try again now what failed or is held"),
    "adopt": ("asking", "this file is that existing resource from now on"),
    "refresh": ("refreshing", "the scheduled metadata refresh, now"),
    "release": ("asking", "let through a file that a check holds"),
    "rollback": ("returning", "publish an earlier version again"),
    "delete": ("deleting", "delete a dataset or a resource for good, its title typed back"),
    "support": ("supporting", "the report the portal's support asks for, redacted"),
    "health": ("dropin", "is the service alive and getting on? exit 0 or 1 (for health checks)"),
    "systemd-dropin": ("dropin", "print the systemd drop-in that shows it its folders only"),
    "init": ("writing", "write a first configuration by asking the portal what the key may edit"),
    "import": ("writing", "print the configuration that matches a dataset as it is"),
}


class _Parser(argparse.ArgumentParser):
    """Says what would be right, and exits 2."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(2, f"publisher-daemon: {message}. See `publisher-daemon --help`.\n")


def _common(parser: argparse.ArgumentParser) -> None:
    """What may stand before or after the verb."""
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        default=argparse.SUPPRESS,
        help="the configuration (default: $PUBLISHER_CONFIG, ./config.toml, "
        "/etc/publisher-daemon/config.toml)",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        default=argparse.SUPPRESS,
        help="one JSON document on standard output, nothing else there",
    )


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = _Parser(
        prog="publisher-daemon",
        description="A folder that publishes itself on data.gouv.fr, or on any udata portal.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _common(top)
    top.add_argument("--version", action="version", version=f"publisher-daemon {__version__}")
    verbs = top.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=_Parser)
    made: dict[str, argparse.ArgumentParser] = {}
    for verb, (_, line) in VERBS.items():
        made[verb] = verbs.add_parser(verb, help=line, description=line)
        _common(made[verb])
    made["status"].add_argument(
        "--remote", action="store_true",
        help="ask the portal too: what it holds, and whether its links serve these bytes",
    )  # fmt: skip
    made["history"].add_argument("path", nargs="?", metavar="PATH")
    made["history"].add_argument("--limit", type=int, default=200, metavar="N")
    for verb in ("explain", "adopt", "release", "rollback"):
        made[verb].add_argument("path", metavar="PATH")
    made["retry"].add_argument("path", nargs="?", metavar="PATH")
    made["retry"].add_argument(
        "--yes", action="store_true", help="also withdraw more at once than the caps allow"
    )
    made["adopt"].add_argument("resource", metavar="RESOURCE")
    made["refresh"].add_argument("dataset", nargs="?", metavar="DATASET")
    made["rollback"].add_argument(
        "--to", required=True, metavar="WHEN", help="previous, a date, or a sha1"
    )
    made["delete"].add_argument("id", metavar="DATASET|RESOURCE")
    made["delete"].add_argument(
        "--title", metavar="TITLE", help="its title, exactly (without: it is asked for)"
    )
    made["support"].add_argument("id", nargs="?", metavar="ID")
    made["support"].add_argument("--bundle", type=Path, metavar="FILE", nargs="?", const=Path())
    made["init"].add_argument("--url", metavar="URL", help="the portal")
    made["init"].add_argument("--api-key-file", type=Path, metavar="FILE")
    made["init"].add_argument("--output", type=Path, metavar="FILE", default=Path("config.toml"))
    made["import"].add_argument("dataset", metavar="DATASET")
    return top


def main(argv: Sequence[str]) -> int:
    """Run one verb; every failure becomes a sentence and an exit code (contract.md)."""
    arguments = parser().parse_args(argv)
    arguments.config = getattr(arguments, "config", None)
    arguments.json = getattr(arguments, "json", False)
    module = import_module(f"publisher_daemon.cli.{VERBS[arguments.verb][0]}")
    verb: Callable[[argparse.Namespace], int] = getattr(
        module, f"do_{arguments.verb.replace('-', '_')}"
    )
    try:
        return verb(arguments)
    except PublisherError as error:
        return _sorry(error, as_json=arguments.json)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # whoever read us has seen enough (`| head`); closing stdout again would say so twice
        sys.stderr.close()
        return 1


def exit_code(error: PublisherError) -> int:
    """The exit code of a failure, by what to do next."""
    if isinstance(error, ConfigInvalid):
        return 78
    if isinstance(error, CredentialRefused):
        return 77
    if isinstance(error, PortalUnreachable):
        return 75
    return 1


def _sorry(error: PublisherError, *, as_json: bool) -> int:
    from publisher_daemon.cli.showing import in_words, print_json  # noqa: PLC0415 - only when needed
    from publisher_daemon.log import redact  # noqa: PLC0415

    message = redact(error.message)
    hint = redact(error.hint) if error.hint else None
    sys.stderr.write(f"{in_words(message)}\n")
    if hint:
        sys.stderr.write(f"→ {in_words(hint)}\n")
    if as_json:
        print_json({"error": message, "hint": hint, "exit_code": exit_code(error)})
    return exit_code(error)
