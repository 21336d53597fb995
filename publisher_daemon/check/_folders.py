"""Looks at each folder as the account that runs this would: nothing is written, nothing is sent."""

from __future__ import annotations

import os
import pwd
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from publisher_daemon.check._finding import Finding, error, fine, warning
from publisher_daemon.errors import FolderUnreadable
from publisher_daemon.folder import Folder
from publisher_daemon.model import Watch
from publisher_daemon.naming import accepts, extension, readable

#: so many names are told, then how many more there are
_NAMES = 5


@dataclass(slots=True)
class Seen:
    """What one folder holds."""

    watch: Watch
    where: str
    #: it can be read at all
    usable: bool = False
    #: another machine may write to it: it is polled, events would say nothing
    network: bool = False
    directories: int = 0
    paths: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def account() -> str:
    """The name of the account that runs this."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())  # an account of another machine, or of a container


def look(watch: Watch, where: str) -> Seen:
    """Look at one folder and everything in it; never raises."""
    folder = Folder(watch)
    seen = Seen(watch, where, network=folder.kind() == "network")
    # a dead share would keep a bare `stat` waiting for ever: only Folder is patient with those
    problem = None if seen.network else _root_problem(watch.path, where)
    if problem is not None:
        seen.findings.append(problem)
        return seen
    try:
        seen.paths = [sighting.key.path for sighting in folder.scan()]
        ignored = sum(1 for _ in folder.ignored())
    except FolderUnreadable as trouble:
        seen.findings.append(
            error(
                where,
                trouble.message,
                trouble.hint or let_in(watch.path, account()),
                "folder.unreadable",
            )
        )
        return seen
    seen.usable = True
    seen.directories = 0 if seen.network else sum(1 for _ in os.walk(watch.path))
    seen.findings += _closed(seen, folder.unobservable())
    seen.findings += _held(seen, ignored)
    seen.findings += _twins(seen)
    return seen


def _root_problem(path: str, where: str) -> Finding | None:
    root = Path(path)
    try:
        there = root.is_dir()
        if not there:
            root.stat()
    except (FileNotFoundError, NotADirectoryError):
        above = next((parent for parent in root.parents if parent.is_dir()), Path("/"))
        return error(
            where,
            f"The folder {path} does not exist ({above} does).",
            "Correct `path`, or create the folder; if it is a network share, mount it first.",
            "folder.missing",
        )
    except OSError as trouble:
        return error(
            where,
            f"The folder {path} cannot be reached: {trouble.strerror}.",
            let_in(path, account()),
            "folder.unreadable",
        )
    if not there:
        return error(
            where,
            f"{path} is a file, not a folder.",
            "Write the path of the folder that holds it, and name the file in `include`.",
            "folder.not_a_directory",
        )
    # effective ids: `access` would otherwise ask for the account that started us
    if not os.access(path, os.R_OK | os.X_OK, effective_ids=True):
        return error(
            where,
            f"The account “{account()}” may not read the folder {path}.",
            let_in(path, account()),
            "folder.unreadable",
        )
    return None


def let_in(path: str, name: str) -> str:
    """How that account may be let in."""
    return (
        f"Let the account read it: setfacl -R -m u:{name}:rX {path} "
        "(and search the folders above it), or run `check` as the account of the service."
    )


def _closed(seen: Seen, unobservable: Iterable[str]) -> Iterator[Finding]:
    """The sub-directories that cannot be read; a mount inside is another folder's affair."""
    closed = [
        f"{seen.watch.path}/{path}"
        for path in unobservable
        if not os.access(f"{seen.watch.path}/{path}", os.R_OK | os.X_OK, effective_ids=True)
    ]
    if closed:
        yield error(
            seen.where,
            f"The account “{account()}” may not read {some_of(closed)}: what is in there is not "
            "published.",
            f"{let_in(closed[0], account())} Or leave it out with `exclude`.",
            "folder.part_unreadable",
        )


def _held(seen: Seen, ignored: int) -> Iterator[Finding]:
    besides = f"; {ignored} left out (temporary, hidden, or by your patterns)" if ignored else ""
    if not seen.paths:
        yield warning(
            seen.where,
            f"The folder {seen.watch.path} holds no file to publish{besides}.",
            "Put files in it, or look at `include` and `exclude`. If it should be full, see "
            "whether it is mounted.",
            "folder.empty",
        )
        return
    how = "events, and by regular scans"
    if seen.watch.observe == "polling" or (seen.network and seen.watch.observe == "auto"):
        how = f"regular scans, every {seen.watch.poll_every:g} s"
    yield fine(
        seen.where,
        f"{seen.watch.path}: {_files(len(seen.paths))} to publish{besides}. Changes are seen by "
        f"{how}."
        + (
            " It is a network share: other machines' changes raise no event here."
            if seen.network
            else ""
        ),
        "folder.read",
    )
    if seen.network and seen.watch.observe == "events":
        yield warning(
            seen.where,
            f'{seen.watch.path} is a network share, and `observe = "events"`: what other machines '
            "write there is seen only at the next regular scan.",
            'Write observe = "auto" or observe = "polling".',
            "folder.events_on_share",
        )


def _twins(seen: Seen) -> Iterator[Finding]:
    """Names that people, or other systems, cannot tell apart."""
    alike: dict[str, list[str]] = defaultdict(list)
    for path in seen.paths:
        alike[unicodedata.normalize("NFC", readable(path)).casefold()].append(path)
    for paths in alike.values():
        if len(paths) < 2:
            continue
        composed = {unicodedata.normalize("NFC", readable(path)) for path in paths}
        why = (
            "the same name with its accents written in two ways"
            if len(composed) == 1
            else "names that differ only by capitals"
        )
        yield warning(
            seen.where,
            f"{some_of(paths)} are {why}: each becomes a resource of its own.",
            "If they are one file, delete or rename one of them.",
            "folder.twins",
        )


def refused(seen: Iterable[Seen], extensions: frozenset[str]) -> Iterator[Finding]:
    """The files that the portal will not take, because of their extension."""
    if not extensions:
        return
    for folder in seen:
        wrong = [path for path in folder.paths if not accepts(extensions, path)]
        if not wrong:
            continue
        kinds = sorted({f".{extension(path)}" for path in wrong if extension(path)})
        more = ["…"] if len(kinds) > _NAMES else []
        told = ", ".join([*kinds[:_NAMES], *more]) or "they have none"
        leave_out = ", ".join([*(f'"**/*{kind}"' for kind in kinds[:_NAMES]), *more])
        yield warning(
            folder.where,
            f"The portal will refuse {_files(len(wrong))} of {folder.watch.path} for "
            f"their extension ({told}): {some_of(wrong)}.",
            "Save them in a format the portal takes (csv, json, xlsx, ods, geojson, pdf, zip…), "
            + (f"or leave them out: exclude = [{leave_out}]." if kinds else "with its extension."),
            "folder.refused_files",
        )


def limits(
    seen: Iterable[Seen], where: str, proc: Path = Path("/proc/sys/fs/inotify")
) -> Iterator[Finding]:
    """Whether this machine's limits let every directory be watched by events."""
    watched = [
        one
        for one in seen
        if one.usable
        and (one.watch.observe == "events" or (one.watch.observe == "auto" and not one.network))
    ]
    # one instance a folder; one watch a directory
    needs = {
        "max_user_watches": (sum(one.directories for one in watched), "directories"),
        "max_user_instances": (len(watched), "folders"),
    }
    for name, (need, things) in needs.items():
        try:
            limit = int((proc / name).read_text())
        except (OSError, ValueError):
            continue  # not a Linux with inotify: the watcher polls
        if need <= limit:
            continue
        enough = 1 << (2 * need - 1).bit_length()
        yield warning(
            where,
            f"This machine lets an account watch {limit} {things} (fs.inotify.{name}), and "
            f"{need} are to be watched: changes in the others are seen only at the next scan.",
            f"Write fs.inotify.{name} = {enough} in /etc/sysctl.d/60-publisher-daemon.conf and "
            'run: sysctl --system. Or write observe = "polling".',
            "folder.limits",
        )


def _files(count: int) -> str:
    return f"{count} file" if count == 1 else f"{count} files"


def some_of(paths: list[str]) -> str:
    """The first of these names, and how many more there are."""
    shown = ", ".join(f"“{readable(path)}”" for path in sorted(paths)[:_NAMES])
    count = len(paths) - _NAMES
    return f"{shown} and {count} more" if count > 0 else shown
