"""``init`` and ``import``: configurations written by asking the portal."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from publisher_daemon import daemon
from publisher_daemon.cli import toml
from publisher_daemon.cli.importing import configuration, metadata
from publisher_daemon.cli.opening import configure_log, settings_of
from publisher_daemon.cli.showing import print_json, print_text, say, speaking
from publisher_daemon.config import Settings, load
from publisher_daemon.errors import ConfigInvalid, NotThere, PublisherError
from publisher_daemon.model import RemoteDataset
from publisher_daemon.naming import readable
from publisher_daemon.portal import Me, Portal
from publisher_daemon.words import Words

_DEMO = "https://demo.data.gouv.fr"
_KEY_FILE = Path("/etc/publisher-daemon/api-key")
_URL, _FILE = "PUBLISHER_PORTAL__URL", "PUBLISHER_PORTAL__API_KEY_FILE"


class NotWritten(PublisherError):
    """The configuration could not be written; nothing that was there is touched."""


def do_import(arguments: argparse.Namespace) -> int:
    """Print the configuration that matches a dataset as it is."""
    settings = settings_of(arguments, level="error")
    portal = daemon.open_portal(settings, "publisher-daemon import")
    try:
        dataset = portal.resolve(arguments.dataset)
        # a document for a program is in English
        language = Words() if arguments.json else speaking()
        text = configuration(dataset, portal.resources(dataset.id).values(), language)
    finally:
        portal.close()
    if arguments.json:
        print_json({"dataset": dataset.id, "title": dataset.title, "toml": text})
    else:
        print_text(text.rstrip("\n"))
    return 0


def do_init(arguments: argparse.Namespace) -> int:
    """Write a first configuration, never over an existing one."""
    output: Path = arguments.output
    asking = sys.stdin.isatty() and sys.stdout.isatty() and not arguments.json
    _refuse_to_overwrite(output)
    url, key_file = _portal_asked(arguments, asking=asking)
    settings = _settings(url, key_file)
    configure_log(settings, level="error")
    _require_key(settings)
    portal = daemon.open_portal(settings, "publisher-daemon init")
    try:
        me = portal.whoami()
        found = _editable(portal, me)
        chosen = _given(arguments.dataset, found) or (_chosen(found) if asking else {})
        # the list tells less of each than its page
        found = [portal.dataset(each.id) if each.id in chosen else each for each in found]
    finally:
        portal.close()
    _write(output, _text(settings, me, found, chosen))
    if arguments.json:
        print_json(_document(settings, output, me, found))
    else:
        _tell(output, found, chosen)
    return 0


# --------------------------------------------------------------------------------- what is asked


def _refuse_to_overwrite(output: Path) -> None:
    if os.path.lexists(output):
        raise NotWritten(
            f"{output} exists already, and is left as it is.",
            hint="Name another file with --output, or move this one away first.",
        )


def _portal_asked(arguments: argparse.Namespace, *, asking: bool) -> tuple[str, Path | None]:
    words = speaking()
    url: str | None = arguments.url
    key_file: Path | None = arguments.api_key_file
    if asking and url is None:
        url = _ask(words("Address of the portal"), _DEMO)
    by_other_means = _FILE in os.environ or "PUBLISHER_PORTAL__API_KEY" in os.environ
    if asking and key_file is None and not by_other_means:
        key_file = Path(_ask(words("File that holds the API key"), str(_KEY_FILE))).expanduser()
    return url or os.environ.get(_URL) or _DEMO, key_file


def _ask(question: str, default: str = "") -> str:
    shown = f" [{default}]" if default else ""
    try:
        return input(f"{question}{shown}{speaking()(': ')}").strip() or default
    except EOFError:
        return default


def _settings(url: str, key_file: Path | None) -> Settings:
    """The settings of the portal alone: what the environment says, and what was asked."""
    environ = {
        name: value
        for name, value in os.environ.items()
        if name.startswith("PUBLISHER_PORTAL__") or name == "CREDENTIALS_DIRECTORY"
    }
    environ[_URL] = url
    if key_file is not None:
        environ[_FILE] = str(key_file.absolute())
    try:
        return load(Path(os.devnull), environ)
    except ConfigInvalid as error:
        said = error.message.replace(f"environment: {_URL}: [portal] url", "--url")
        raise ConfigInvalid(said, hint=error.hint) from None


def _require_key(settings: Settings) -> None:
    try:
        settings.api_key()
    except ConfigInvalid as error:
        raise ConfigInvalid(
            error.message,
            hint="Make a key on the profile page of the account, "
            f"{settings.portal.url}/admin/me, put it alone in a file (chmod 600), and name that "
            "file with --api-key-file.",
        ) from None


def _editable(portal: Portal, me: Me) -> list[RemoteDataset]:
    """The datasets whose files this key may change, the account's own first."""
    found: dict[str, RemoteDataset] = {}
    for owner in ("me", *(each.id for each in me.organizations)):
        for dataset in portal.datasets_of(owner):
            usable = not (dataset.deleted or dataset.archived or dataset.harvested)
            if usable and dataset.can_edit_resources:
                found.setdefault(dataset.id, dataset)
    return list(found.values())


def _given(names: Sequence[str], found: Sequence[RemoteDataset]) -> dict[str, str]:
    """The folder of each dataset named on the command line, by the dataset's id."""
    given: dict[str, str] = {}
    for name in names:
        dataset = next((each for each in found if name in {each.id, each.slug}), None)
        if dataset is None:
            raise NotThere(
                f"The key may edit no dataset “{name}”.",
                hint="Without --dataset, `init` lists those it may edit.",
            )
        given[dataset.id] = _folder(dataset)
    return given


def _chosen(found: Sequence[RemoteDataset]) -> dict[str, str]:
    """The folder of each dataset a person picks, by the dataset's id."""
    if not found:
        return {}
    words = speaking()
    for number, dataset in enumerate(found, 1):
        say(f"  {number:>3}. {readable(dataset.title)} ({dataset.id})")
    numbers = _ask(words("Datasets to feed (numbers, separated by commas; none for later)"))
    chosen: dict[str, str] = {}
    for part in numbers.replace(",", " ").split():
        if not part.isdecimal() or not 1 <= int(part) <= len(found):
            say(f"  {part} is no number of the list: left out.")
            continue
        dataset = found[int(part) - 1]
        question = words("Folder of “{title}”", title=readable(dataset.title))
        path = Path(_ask(question, _folder(dataset))).expanduser()
        chosen[dataset.id] = str(path.absolute())
    return chosen


# ------------------------------------------------------------------------------- what is written


def _folder(dataset: RemoteDataset) -> str:
    return f"/srv/opendata/{dataset.slug or dataset.id}"


def _text(
    settings: Settings, me: Me, found: Sequence[RemoteDataset], chosen: dict[str, str]
) -> str:
    words, portal = speaking(), settings.portal
    key_file = portal.api_key_file
    written = (
        f"api_key_file = {toml.value(str(key_file))}"
        if key_file is not None
        else f"#api_key_file = {toml.value(str(_KEY_FILE))}  # {words('it was given another way')}"
    )
    more = [
        f"{name} = {toml.value(str(value))}"
        for name, value in (("ca_file", portal.ca_file), ("proxy", portal.proxy))
        # a proxy's address may hold a password
        if value is not None and "@" not in str(value)
    ]
    name = " ".join(filter(None, (me.first_name, me.last_name))) or me.id
    head = [
        "# "
        + words(
            "Written by `publisher-daemon init`; every setting: docs/reference/configuration.md."
        ),
        "# " + words("`publisher-daemon check` says what is wrong with it."),
        "",
        "[portal]",
        f"url = {toml.value(portal.url)}",
        "# " + words("the key itself is in this file, readable by the service only (chmod 600)"),
        written,
        *more,
        "",
        "[daemon]",
        '#state_dir = "/var/lib/publisher-daemon"',
        # people are told in the language of who set it up
        *([f'language = "{words.language}"'] if words.language != "en" else []),
        "",
        "# "
        + words.count(
            "The {count} dataset that the key of {name} may edit.",
            "The {count} datasets that the key of {name} may edit.",
            len(found),
            name=readable(name),
        ),
    ]
    if len(chosen) < len(found):
        head.append(
            "# " + words("To feed one, take the # off its three lines and write your own folder.")
        )
    if not found:
        head += [
            "# "
            + words(
                "An administrator of the organization must make it an editor, or a partial editor\n"
                "assigned to the datasets; then write, for each:"
            ).replace("\n", "\n# "),
            f'#[[folders]]\n#path = "/srv/opendata/air"\n#dataset = "<{words("its id")}>"',
        ]
    return "\n".join([*head, "", *(_block(each, chosen.get(each.id)) for each in found)])


def _block(dataset: RemoteDataset, path: str | None) -> str:
    private = f" ({speaking()('private')})" if dataset.private else ""
    title = f"# {readable(dataset.title)}{private}\n# {readable(dataset.page)}\n"
    section = (
        "[[folders]]\n"
        f"path = {toml.value(path or _folder(dataset))}\n"
        f"dataset = {toml.value(dataset.id)}\n"
    )
    if path is None:
        return title + toml.commented(section)
    return title + section + "\n" + "\n".join(metadata(dataset, speaking())) + "\n"


def _write(output: Path, text: str) -> None:
    try:
        # O_EXCL: not even a file that came up while questions were answered is overwritten
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
    except FileExistsError:
        _refuse_to_overwrite(output)
        raise
    except OSError as error:
        raise NotWritten(
            f"{output} cannot be written: {error.strerror}.",
            hint="Name another file with --output, in a directory you may write to.",
        ) from None
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as opened:
        os.fchmod(opened.fileno(), 0o640)
        opened.write(text)


def _document(
    settings: Settings, output: Path, me: Me, found: Sequence[RemoteDataset]
) -> dict[str, object]:
    return {
        "output": str(output),
        "url": settings.portal.url,
        "account": {"id": me.id, "organizations": [each.name for each in me.organizations]},
        "datasets": [
            {
                "id": each.id,
                "title": each.title,
                "page": each.page,
                "private": each.private,
                "organization": each.organization,
            }
            for each in found
        ],
    }


def _tell(output: Path, found: Sequence[RemoteDataset], chosen: dict[str, str]) -> None:
    say(
        speaking().count(
            "{output} is written, with the {count} dataset this key may edit.",
            "{output} is written, with the {count} datasets this key may edit.",
            len(found),
            output=output,
        )
    )
    if not found:
        say("None: have the account made an editor of an organization, or assigned to datasets.")
    elif not chosen:
        say("Uncomment the ones to feed, write their folders, then run: publisher-daemon check")
    else:
        say("Now run: publisher-daemon check")
