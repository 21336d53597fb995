"""Known files: replace what changed, repair the ledger, then see to the words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from publisher_daemon.merge import Verdict, merge_words
from publisher_daemon.model import (
    Adopt,
    Describe,
    Entry,
    Forget,
    Identify,
    RemoteResource,
    Replace,
    SourceFile,
    Words,
)
from publisher_daemon.plan._checks import checked
from publisher_daemon.plan._desk import Desk, identity_of
from publisher_daemon.plan._refusals import refuse_pin
from publisher_daemon.plan._sentences import conflict_words, remote_words


def follow_known_files(desk: Desk) -> None:
    """Replace what changed, repair the ledger, then see to the words."""
    for file in desk.undecided():
        entry = desk.record.entries.get(file.key)
        if entry is not None and file.key not in desk.leaving:
            _follow(desk, file, entry)


def _follow(desk: Desk, file: SourceFile, entry: Entry) -> None:
    found = desk.resources.get(entry.resource)
    if file.pinned and file.pinned != entry.resource:
        if not refuse_pin(desk, file):
            why = "the configuration names another resource"
            desk.act(Forget(file.key, entry.resource, why))
    elif found is None:
        if desk.forced(file.key, "removed_on_portal"):
            desk.act(Forget(file.key, entry.resource, "a person asked to publish it again"))
        else:
            desk.hold(
                file.key,
                "removed_on_portal",
                "Somebody deleted this file's resource on the portal. To publish it again: "
                "`publisher-daemon retry PATH`; if not, remove the file from the folder.",
            )
    elif found.filetype != "file":
        desk.hold(file.key, "remote_resource", remote_words(found))
    elif found.fingerprint == file.fingerprint:
        if (
            entry.fingerprint != file.fingerprint
            or entry.stamp != file.stamp
            or entry.gone_since is not None
        ):
            entry = replace(entry, fingerprint=file.fingerprint, stamp=file.stamp, gone_since=None)
            _words(desk, file, entry, found, behind=True)
        else:
            _words(desk, file, entry, found, behind=False)
    elif (
        found.fingerprint is None
        or found.fingerprint == entry.fingerprint
        or desk.forced(file.key, "conflict")
    ):
        reset = entry.restore is not None and found.title == entry.reset_to
        title = entry.restore if reset else found.title
        if (fit := checked(desk, file, entry.fingerprint)) is not None:
            desk.act(Replace(file, entry.resource, found.fingerprint, title, *fit))
    else:
        desk.hold(file.key, "conflict", conflict_words(found))


def _note(
    desk: Desk, file: SourceFile, kept: Iterable[tuple[str, str, str, Verdict]], shown: Words
) -> None:
    """Note the words that do not become as configured."""
    for name, ours, theirs, verdict in kept:
        where = desk.clashes if verdict is Verdict.CLASH else desk.drifts
        where.append((file.key, name, ours, theirs))
    for name, ours, why in file.unsaid:
        desk.unsaid.append((file.key, name, ours, shown.said().get(name, ""), why))


def _words(
    desk: Desk, file: SourceFile, entry: Entry, found: RemoteResource, *, behind: bool
) -> None:
    """Merge the words, put the title back, and write the identity, in one request if need be."""
    reset = entry.restore is not None and found.title == entry.reset_to
    title = entry.restore if reset else found.title
    shown = replace(found.words(entry.applied, file.words), title=title)
    configured = file.words
    if file.default_title and entry.applied.title is None:
        # nobody said a title, and the one there was not ours: it stays
        configured = replace(configured, title=None)
    merged = merge_words(
        entry.applied, configured, shown, enforce=desk.policy.on_drift == "enforce"
    )
    write = merged.write
    if write.title is None and shown.title != found.title:
        write = replace(write, title=shown.title)
    if not file.default_title or merged.write.title:
        kept = merged.kept
    else:
        # the default title is a proposal: a better one from a person is no drift
        kept = tuple(one for one in merged.kept if one[0] != "title")
    _note(desk, file, kept, shown)
    applied = merged.applied
    identity = identity_of(file)
    if write.said():
        desk.act(
            Describe(
                file.key,
                entry.resource,
                write,
                applied,
                identity if found.source != identity else None,
            )
        )
        if behind:
            desk.actions.append(Adopt(entry, "the portal already holds these very bytes"))
    elif found.source != identity:
        if behind:
            desk.actions.append(Adopt(entry, "the portal already holds these very bytes"))
        desk.act(Identify(file.key, entry.resource, identity))
    elif behind or entry.restore is not None or applied != entry.applied:
        after = replace(entry, restore=None, reset_to=None, applied=applied)
        desk.act(Adopt(after, "the ledger was behind the portal"))
