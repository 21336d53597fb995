"""New files: find each one its resource; only what has none is uploaded."""

from __future__ import annotations

from dataclasses import replace

from publisher_daemon.model import (
    Adopt,
    Entry,
    Fingerprint,
    Identity,
    RemoteResource,
    Rename,
    ResourceKey,
    SourceFile,
    State,
    Upload,
    Words,
)
from publisher_daemon.naming import base_name, default_title
from publisher_daemon.plan._checks import checked
from publisher_daemon.plan._desk import Desk, identity_of, names_of, served_name
from publisher_daemon.plan._refusals import refuse_pin
from publisher_daemon.plan._sentences import conflict_words
from publisher_daemon.plan._series import (
    is_older_than,
    resource_of_series,
    waits_for_its_series,
)
from publisher_daemon.series import AMONG_NEWER

NOTHING_SAID = Words()


def place_new_files(desk: Desk) -> None:
    """Find each new file its resource; only what has none is uploaded."""
    _wait_for_what_is_not_answered_under_another_name(desk)
    fresh = desk.fresh()
    # a step for all files before the next step: the strongest claim wins, not the first name
    for step in (_by_series, _by_pin, _by_identity, _by_rename, _by_later_name, _by_bytes):
        for file in fresh:
            if file.key not in desk.done:
                step(desk, file)
    for file in fresh:
        if file.key not in desk.done:
            _by_name_or_upload(desk, file)


def _wait_for_what_is_not_answered_under_another_name(desk: Desk) -> None:
    """A file with the bytes of an open attempt whose file is gone may be that file, renamed.

    Whatever the attempt was: while it is not answered the old name is not decided, so the new one
    would find nothing to take over, and be uploaded.
    """
    unanswered: dict[Fingerprint, ResourceKey] = {}
    for attempt in sorted(desk.record.attempts, key=lambda attempt: attempt.id):
        if attempt.key in desk.folder.present:
            continue
        entry = desk.record.entries.get(attempt.key)
        for known in (attempt.fingerprint, entry.fingerprint if entry else None):
            if known is not None:
                unanswered[known] = attempt.key
    waits = {hold.key: hold for hold in desk.holds}
    for file in desk.fresh() if unanswered else ():
        old = unanswered.get(file.fingerprint)
        if old is None:
            continue
        if wait := waits.get(old):
            desk.hold(file.key, wait.code, wait.why, wait.until, wait.state)
        else:
            # its attempt is answered in this very plan: the next one knows
            desk.done.add(file.key)


def _by_series(desk: Desk, file: SourceFile) -> None:
    """The newest file of a series takes over the one resource that an older one has."""
    line = desk.series.get(file.key)
    if line is None or waits_for_its_series(desk, file):
        return
    if line.incumbent is not None:
        if (
            file.pinned in {None, line.incumbent.resource}
            and checked(desk, file, line.incumbent.fingerprint) is not None
        ):
            _rename(desk, line.incumbent, file)
        return
    for found in resource_of_series(desk, file)[:1]:
        if found.source is None or file.pinned not in {None, found.id}:
            continue
        if is_older_than(desk, file, found) and not desk.forced(file.key, "superseded"):
            desk.hold(file.key, "superseded", AMONG_NEWER, None, State.IGNORED)
        elif (
            found.fingerprint == file.fingerprint
            or found.source.sha1 == found.sha1
            or desk.forced(file.key, "conflict")
        ):
            ours = found.title == default_title(found.source.path)
            applied = Words(title=found.title) if ours else Words()
            _adopt(desk, file, found, "it is the resource of this file's series", applied)
        else:
            desk.hold(file.key, "conflict", conflict_words(found))


def _by_pin(desk: Desk, file: SourceFile) -> None:
    if not file.pinned or refuse_pin(desk, file):
        return
    owner = desk.claimed.get(file.pinned)
    if owner is None:
        found = desk.resources[file.pinned]
        _adopt(desk, file, found, "the configuration names this resource")
    elif owner in desk.done:
        # its series gave it to another file in this very plan: the next one knows
        desk.done.add(file.key)
    else:
        _rename(desk, desk.record.entries[owner], file)


def _by_identity(desk: Desk, file: SourceFile) -> None:
    wanted = identity_of(file)
    same = desk.unclaimed(desk.by_path.get(wanted.path, ()))
    same = [found for found in same if found.source and found.source[0] == wanted[0]] or (
        same if len(desk.policy.watches) == 1 else []
    )
    if not same:
        return
    same.sort(key=lambda found: (found.sha1 != wanted.sha1, found.created_at, found.id))
    found = same[0]
    untouched = found.source is not None and found.source.sha1 == found.sha1
    if found.sha1 == wanted.sha1 or untouched or desk.forced(file.key, "conflict"):
        # the file's own name, or what the portal made of it: nobody chose that title
        ours = found.title in {file.name, default_title(file.key.path)}
        applied = Words(title=found.title) if ours else Words()
        _adopt(desk, file, found, "the resource carries this file's identity", applied)
    else:
        desk.hold(file.key, "conflict", conflict_words(found))


def _by_rename(desk: Desk, file: SourceFile) -> None:
    gone = [
        entry
        for entry in (
            *desk.entries_by_bytes.get(file.fingerprint, ()),
            *desk.entries_by_path.get(file.key.path, ()),
        )
        if (entry.fingerprint == file.fingerprint or _moved_with_its_folder(desk, entry.key, file))
        and entry.key not in desk.done
        and desk.is_gone(entry.key)
    ]
    if gone:
        name, folder = base_name(file.key.path), file.key.path.rpartition("/")[0]
        gone.sort(
            key=lambda entry: (
                not _moved_with_its_folder(desk, entry.key, file),
                # what was removed on the portal is moved too, so that it stays removed
                entry.resource not in desk.resources,
                base_name(entry.key.path) != name,
                entry.key.path.rpartition("/")[0] != folder,
                entry.key,
            )
        )
        _rename(desk, gone[0], file)


def _by_later_name(desk: Desk, file: SourceFile) -> None:
    """A resource of a file that is gone says that it is this one: the ledger is an older copy."""
    wanted = identity_of(file)
    for found in desk.by_path.get(wanted.path, ()):
        owner = desk.claimed.get(found.id)
        entry = desk.record.entries.get(owner) if owner else None
        if (
            entry is not None
            and entry.resource == found.id
            and entry.key not in desk.done
            and desk.is_gone(entry.key)
            and found.source is not None
            and found.source.folder == wanted.folder
        ):
            _rename(desk, entry, file)
            return


def _moved_with_its_folder(desk: Desk, old: ResourceKey, file: SourceFile) -> bool:
    """Whether the configuration gave the folder another name: its files are what they were."""
    return desk.policy.watch(old.folder) is None and old.path == file.key.path


def _by_bytes(desk: Desk, file: SourceFile) -> None:
    same = [
        found
        for found in desk.unclaimed(desk.by_bytes.get(file.fingerprint, ()))
        if found.filetype == "file" and (found.source is None or _outdated(desk, found.source))
    ]
    named = [found for found in same if _same_name(found, file)]
    if len(named) == 1:
        _adopt(desk, file, named[0], "the portal already holds these very bytes")
    elif len(same) == 1 and not _has_a_better_file(desk, same[0], file):
        _adopt(desk, file, same[0], "the portal already holds these very bytes")
    elif len(same) > 1:
        desk.hold(
            file.key,
            "ambiguous",
            "The dataset has several resources with these very bytes: "
            + ", ".join(f"“{found.title}” ({found.id})" for found in same[:5])
            + ". Say which one this file is: `publisher-daemon adopt PATH RESOURCE`, or "
            "delete the others on the portal.",
        )


def _has_a_better_file(desk: Desk, found: RemoteResource, file: SourceFile) -> bool:
    """Whether another new file with these bytes has the resource's name too."""
    return any(
        _same_name(found, other)
        for other in desk.files_by_bytes[file.fingerprint]
        if other.key not in desk.done and other.key != file.key
    )


def _outdated(desk: Desk, source: Identity) -> bool:
    """Whether the file a resource says it is, in a folder of ours, is gone or has another one."""
    if source.path.startswith("bytes:") or source.folder not in desk.folder.complete:
        return False
    key = ResourceKey(desk.remote.dataset.id, source.folder, source.path)
    return key not in desk.folder.present or desk.owns(key)


def _by_name_or_upload(desk: Desk, file: SourceFile) -> None:
    named = [
        found
        for name in names_of(file)
        for found in desk.unclaimed(desk.by_name.get(name, ()))
        if found.source is None and found.filetype == "file" and _same_name(found, file)
    ]
    if named:
        found = min(named, key=lambda one: one.id)
        desk.hold(
            file.key,
            "same_name",
            f"The dataset already has a resource of that name, “{found.title}” ({found.id}), "
            "with other content, put there by somebody. If it is this file: "
            f'`publisher-daemon adopt PATH {found.id}`, or `resource = "{found.id}"` in the '
            "configuration. If not: give the file another name.",
        )
    elif (fit := checked(desk, file, None)) is not None:
        desk.act(Upload(file, *fit))


def _adopt(
    desk: Desk, file: SourceFile, found: RemoteResource, why: str, applied: Words = NOTHING_SAID
) -> None:
    desk.claim(found, file.key)
    same = found.fingerprint == file.fingerprint
    entry = Entry(
        key=file.key,
        resource=found.id,
        fingerprint=Fingerprint(found.sha1 or "", found.size or 0),
        stamp=file.stamp if same else None,
        permalink=found.permalink,
        applied=applied,
        published_at=desk.now,
    )
    desk.act(Adopt(entry, why))


def _rename(desk: Desk, entry: Entry, file: SourceFile) -> None:
    desk.done.add(entry.key)
    same = entry.fingerprint == file.fingerprint
    desk.act(
        Rename(
            entry.key,
            replace(entry, key=file.key, stamp=file.stamp if same else None, gone_since=None),
        )
    )


def _same_name(found: RemoteResource, file: SourceFile) -> bool:
    """Whether a person would take this resource for that file, by its link's name or its title."""
    return served_name(found) == file.name or found.title in names_of(file)
