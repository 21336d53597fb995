"""Parses arguments, prints, exits.

Only argparse is imported here: ``--version`` and ``--help`` answer at once, each verb imports what
it needs. What argparse itself says is said in the person's language too: its messages are in the
catalogue, and its headings are given here.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NoReturn

from publisher_daemon import __version__
from publisher_daemon.words import Words, of_environment

if TYPE_CHECKING:
    from publisher_daemon.errors import PublisherError

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

_PATH = {"metavar": "PATH", "help": "a file of a watched folder"}
_MAYBE_PATH = _PATH | {"nargs": "?"}
_DATASET = {"metavar": "DATASET", "help": "its id, or the end of its address"}
#: verb → what it takes besides, as argparse is told
ARGUMENTS: dict[str, dict[str, dict[str, Any]]] = {
    "status": {
        "--remote": {
            "action": "store_true",
            "help": "ask the portal too: what it holds, and whether its links serve these bytes",
        }
    },
    "history": {
        "path": _MAYBE_PATH,
        "--limit": {"type": int, "default": 200, "metavar": "N", "help": "so many lines at most"},
    },
    "explain": {"path": _PATH},
    "release": {"path": _PATH},
    "retry": {
        "path": _MAYBE_PATH,
        "--yes": {
            "action": "store_true",
            "help": "also withdraw more at once than the caps allow",
        },
    },
    "adopt": {
        "path": _PATH,
        "resource": {"metavar": "RESOURCE", "help": "its id, or its permanent link"},
    },
    "refresh": {"dataset": {"metavar": "DATASET", "nargs": "?", "help": "this one only"}},
    "rollback": {
        "path": _PATH,
        "--to": {"required": True, "metavar": "WHEN", "help": "previous, a date, or a sha1"},
    },
    "delete": {
        "id": _DATASET | {"metavar": "DATASET|RESOURCE"},
        "--title": {"metavar": "TITLE", "help": "its title, exactly (without: it is asked for)"},
    },
    "support": {
        "id": {
            "nargs": "?",
            "metavar": "ID",
            "help": "a path, a Sentry ID, a trace id, or a resource (default: the last error)",
        },
        "--bundle": {
            "type": Path,
            "metavar": "FILE",
            "nargs": "?",
            "const": Path(),
            "help": "make an archive of all that helps to understand, without keys or passwords",
        },
    },
    "init": {
        "--url": {"metavar": "URL", "help": "the address of the portal"},
        "--api-key-file": {
            "type": Path,
            "metavar": "FILE",
            "help": "the file that holds the API key",
        },
        "--output": {
            "type": Path,
            "metavar": "FILE",
            "default": Path("config.toml"),
            "help": "the configuration to write (default: ./config.toml)",
        },
        "--dataset": {
            **_DATASET,
            "action": "append",
            "default": [],
            "help": "a dataset to write whole, its metadata as they are (as often as needed)",
        },
    },
    "import": {"dataset": _DATASET},
}


def _parser_class(words: Words) -> type[argparse.ArgumentParser]:
    """An argparse that speaks this language, says what would be right, and exits 2."""

    class Formatter(argparse.RawDescriptionHelpFormatter):
        def add_usage(
            self,
            usage: str | None,
            actions: Iterable[argparse.Action],
            groups: Iterable[argparse._MutuallyExclusiveGroup],
            prefix: str | None = None,
        ) -> None:
            prefix = words("usage: ") if prefix is None else prefix
            super().add_usage(usage, actions, groups, prefix)

    class Parser(argparse.ArgumentParser):
        def __init__(self, **kwargs: object) -> None:
            super().__init__(**kwargs, add_help=False, formatter_class=Formatter)  # type: ignore[arg-type]  # argparse's own arguments, handed on

        def error(self, message: str) -> NoReturn:
            self.print_usage(sys.stderr)
            said = words("{message}. See `publisher-daemon --help`.", message=words.of(message))
            self.exit(2, f"publisher-daemon: {said}\n")

    return Parser


def _options(parser: argparse.ArgumentParser, words: Words) -> argparse._ArgumentGroup:
    """What may stand before or after the verb."""
    options = parser.add_argument_group(words("options"))
    options.add_argument("-h", "--help", action="help", help=words("say this, and exit"))
    options.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        default=argparse.SUPPRESS,
        help=words(
            "the configuration (default: $PUBLISHER_CONFIG, ./config.toml, "
            "/etc/publisher-daemon/config.toml)"
        ),
    )
    options.add_argument(
        "--json",
        action="store_true",
        default=argparse.SUPPRESS,
        help=words("one JSON document on standard output, nothing else there"),
    )
    return options


def parser(words: Words) -> argparse.ArgumentParser:
    """The whole command line."""
    made = _parser_class(words)
    top = made(
        prog="publisher-daemon",
        description=words(
            "A folder that publishes itself on data.gouv.fr, or on any udata portal."
        ),
        epilog=words(EXIT_CODES),
    )
    _options(top, words).add_argument(
        "--version",
        action="version",
        version=f"publisher-daemon {__version__}",
        help=words("say the version, and exit"),
    )
    verbs = top.add_subparsers(
        title=words("verbs"), dest="verb", metavar="VERB", required=True, parser_class=made
    )
    for verb, (_, line) in VERBS.items():
        said = words(line)
        one = verbs.add_parser(verb, help=said, description=said)
        arguments, options = one.add_argument_group(words("arguments")), _options(one, words)
        for name, told in ARGUMENTS.get(verb, {}).items():
            group = options if name.startswith("-") else arguments
            group.add_argument(name, **{**told, "help": words(told["help"])})
    return top


class _Later(ModuleType):
    """Stands for a module that is loaded when something of it is wanted that is not ``known``."""

    def __init__(self, name: str, **known: object) -> None:
        super().__init__(name)
        self.__dict__.update(known)

    def __getattr__(self, name: str) -> object:
        if sys.modules.get(self.__name__) is self:
            sys.modules.pop(self.__name__, None)
        return getattr(import_module(self.__name__), name)


def _lighten() -> None:
    """Leave out what libraries bring along and no line of ours uses: 0.2 s of each start.

    rich is for structlog's own console, and it does without; asyncio, which pydantic-settings names
    too, is for loggers and commands of another kind than ours; chardet and charset_normalizer guess
    how a text is written, where we are told, and requests wants a version only; idna writes hosts
    that are not ASCII; and pydantic would look into every package installed for one that extends
    it.
    """
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    sys.modules.setdefault("asyncio", _Later("asyncio"))
    sys.modules.setdefault("idna", _Later("idna"))
    sys.modules.setdefault("chardet", None)  # type: ignore[arg-type]  # “there is none”
    # requests takes any 2 and any 3, and the lock has one of these
    known = {"__version__": "3.0.0", "__path__": []}
    sys.modules.setdefault("charset_normalizer", _Later("charset_normalizer", **known))
    if "rich" not in sys.modules:
        sys.modules["rich"] = None  # type: ignore[assignment]  # “there is none”, to whoever asks
        import_module("structlog")
        del sys.modules["rich"]


def main(argv: Sequence[str]) -> int:
    """Run one verb; every failure becomes a sentence and an exit code (contract.md)."""
    if list(argv) == ["--version"]:
        # monitoring asks this often: no parser is built for it
        sys.stdout.write(f"publisher-daemon {__version__}\n")
        return 0
    _lighten()
    language = of_environment(os.environ)
    arguments = parser(Words(language)).parse_args(argv)
    arguments.config = getattr(arguments, "config", None)
    arguments.json = getattr(arguments, "json", False)
    from publisher_daemon.errors import PublisherError  # noqa: PLC0415 - only when needed

    import_module("publisher_daemon.cli.showing").speak(language)
    import_module("publisher_daemon.log").guard()
    module = import_module(f"publisher_daemon.cli.{VERBS[arguments.verb][0]}")
    verb: Callable[[argparse.Namespace], int] = getattr(
        module, f"do_{arguments.verb.replace('-', '_')}"
    )
    try:
        return verb(arguments)
    except PublisherError as error:
        return _sorry(error, as_json=arguments.json)
    except BrokenPipeError:
        # whoever read us has seen enough (`| head`); closing stdout again would say so twice
        sys.stderr.close()
        return 1


def exit_code(error: PublisherError) -> int:
    """The exit code of a failure, by what to do next."""
    from publisher_daemon.errors import (  # noqa: PLC0415 - only when needed
        ConfigInvalid,
        CredentialRefused,
        PortalUnreachable,
    )

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
