"""Says what would stop the service, and what would be right; changes nothing anywhere.

Every finding is told at once: a person who mends one mistake and meets the next at each try loses a
morning. What needs no portal is looked at even when the portal does not answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from publisher_daemon.check import _datasets, _folders, _pages, _portal, _service, _state
from publisher_daemon.check._finding import Finding, Level, error, exit_code, fine, warning
from publisher_daemon.check._places import Places
from publisher_daemon.config import Settings
from publisher_daemon.errors import ConfigInvalid, CredentialRefused, PortalError
from publisher_daemon.model import DatasetId

__all__ = ["Finding", "Level", "examine", "exit_code", "of_configuration"]

_PLACE = re.compile(r"(?P<where>.+?:\d+(?::\d+)?|environment: \w+): (?P<what>.+)")
_REMEDY = re.compile(r"(?<=[.?]) (?=[A-Z])")


def of_configuration(trouble: ConfigInvalid) -> tuple[Finding, ...]:
    """Every problem of a configuration that does not load, one finding each."""
    return tuple(_of_line(line, trouble.hint) for line in trouble.message.splitlines())


def _of_line(line: str, hint: str | None) -> Finding:
    placed = _PLACE.fullmatch(line)
    where, said = (placed["where"], placed["what"]) if placed else ("configuration", line)
    what, *right = _REMEDY.split(said, maxsplit=1)
    remedy = " ".join([*right, *([hint] if hint else [])])
    return error(where, what, remedy or "Correct it there.", "config.invalid")


def examine(settings: Settings, *, clock: Callable[[], float]) -> tuple[Finding, ...]:
    """Everything there is to say of this configuration, of this machine and of the portal."""
    return tuple(_examine(settings, Places(settings), clock))


def _examine(settings: Settings, places: Places, clock: Callable[[], float]) -> Iterator[Finding]:
    yield from _written(settings)
    yield from _state.state(settings.daemon.state_dir, places("daemon", "state_dir"))
    seen = [
        _folders.look(folder.watch(DatasetId(folder.dataset)), places("folders", index, "path"))
        for index, folder in enumerate(settings.folders)
    ]
    running = _state.holder(settings.daemon.state_dir / "lock")
    for folder in seen:
        yield from folder.findings
        yield from _service.as_the_service_sees(folder, running)
    yield from _folders.limits(seen, places("folders"))
    extensions: frozenset[str] = frozenset()
    key, findings = _portal.key(settings, _key_place(settings, places))
    yield from findings
    try:
        stranger = _portal.open_portal(settings, None)
    except ConfigInvalid as trouble:
        yield from of_configuration(trouble)
        return
    reached = _portal.reach(stranger, places("portal", "url"), clock)
    yield from reached.findings
    if reached.usable:
        extensions = reached.extensions
        yield from _datasets.words(settings, reached, places)
        yield from _datasets.schemas(settings, stranger, places)
        try:
            yield from _datasets.zones(settings, stranger, places)
            yield from _datasets.access_reasons(settings, stranger, places)
        except PortalError as trouble:
            yield error(
                places("portal", "url"),
                f"The portal does not tell of its spatial zones: {trouble.message}.",
                trouble.hint or "Run `check` again later.",
                "portal.unreachable",
            )
    stranger.close()
    yield from _folders.refused(seen, extensions)
    if reached.usable and key is not None:
        yield from _with_key(settings, key, places, clock)


def _written(settings: Settings) -> Iterator[Finding]:
    where = str(settings.path or "the environment")
    for text in settings.warnings():
        yield _of_warning(where, text)
    if not settings.folders and not settings.pages:
        yield error(
            where,
            "There is no [[folders]] section, so nothing to publish.",
            "Add one, or let `publisher-daemon init` write a first configuration.",
            "config.no_folders",
        )
    else:
        yield fine(where, "The configuration is well written.", "config.read")


def _of_warning(where: str, text: str) -> Finding:
    what, *right = _REMEDY.split(text, maxsplit=1)
    return warning(where, what[:1].upper() + what[1:], " ".join(right), "config.warning")


def _key_place(settings: Settings, places: Places) -> str:
    portal = settings.portal
    for name in ("api_key_file", "api_key"):
        if getattr(portal, name) is not None:
            return places("portal", name)
    return places("portal")


def _with_key(
    settings: Settings, key: str, places: Places, clock: Callable[[], float]
) -> Iterator[Finding]:
    where = _key_place(settings, places)
    try:
        portal = _portal.open_portal(settings, key)
    except ConfigInvalid as trouble:
        yield from of_configuration(trouble)
        return
    try:
        me, findings = _portal.identify(portal, where, clock)
        yield from findings
        if me is not None:
            yield from _datasets.datasets(settings, portal, me, places)
            yield from _pages.pages(settings, portal, me, places)
    except CredentialRefused as trouble:
        # it was accepted a moment ago: it has just expired, or been revoked
        yield _portal.refused(trouble, portal.url, where)
    except PortalError as trouble:
        yield error(
            where,
            f"The portal stopped answering: {trouble.message}.",
            trouble.hint or "Run `check` again later.",
            "portal.unreachable",
        )
    finally:
        portal.close()
