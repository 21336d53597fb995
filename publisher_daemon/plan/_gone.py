"""Files that are gone: keep their resource, or withdraw it within its caps."""

from __future__ import annotations

from collections import defaultdict

from publisher_daemon.model import (
    Entry,
    Forget,
    Identify,
    Identity,
    Keep,
    RemoteResource,
    Standing,
    State,
    Watch,
    Withdraw,
)
from publisher_daemon.naming import identity_path
from publisher_daemon.plan._desk import Desk
from publisher_daemon.plan._sentences import gone_conflict_words

#: However large ``max_withdraw``, more than this share, or number, at once needs a person's yes.
ALARM_SHARE, ALARM_COUNT = 0.2, 10
#: When a folder of which a part could not be read is looked at again for what is gone, in seconds.
DIM = 60.0


def follow_gone_files(desk: Desk) -> None:  # noqa: C901 - one step after the other
    """Keep what is gone; withdraw, if the folder says so, after the grace and within the caps."""
    due: dict[str, list[Entry]] = defaultdict(list)
    #: those whose time has not come too: files that vanish one after the other vanish together
    going: dict[str, int] = defaultdict(int)
    # a file of which nothing is known yet may be one that was moved; one that waits for somebody
    # may wait for ever
    moving = any(
        wait.state is State.PENDING
        and wait.until is not None
        and wait.key not in desk.record.entries
        for wait in desk.folder.waiting
    )
    absent = (key for key in desk.record.entries if key in desk.leaving or desk.is_gone(key))
    for key in sorted(absent):
        watch, left = desk.policy.watch(key.folder), key in desk.leaving
        if key in desk.done or watch is None:
            continue
        entry = desk.record.entries[key]
        found = desk.resources.get(entry.resource)
        if found is None:
            desk.act(Forget(key, entry.resource, "neither the file nor its resource is left"))
        elif entry.gone_since is None:
            desk.act(Keep(key, entry.resource, left))
        elif key in desk.record.rollbacks:
            continue
        elif left or (watch.when_deleted == "withdraw" and key not in desk.stays):
            if found.fingerprint != entry.fingerprint:
                desk.hold(key, "conflict", gone_conflict_words(found))
            elif wait := _grace(desk, entry, watch, left=left, moving=moving):
                going[key.folder] += 1
                desk.hold(key, "withdraw_wait", *wait, State.PENDING)
            elif (standing := desk.record.standings.get(key)) and _waits(standing, desk.now):
                desk.hold(key, standing.code, standing.why, standing.not_before, standing.state)
            else:
                going[key.folder] += 1
                due[key.folder].append(entry)
        else:
            _say_whose_it_is(desk, entry, found)
    for folder, entries in sorted(due.items()):
        _withdraw(desk, folder, entries, going[folder])


def _grace(
    desk: Desk, entry: Entry, watch: Watch, *, left: bool, moving: bool
) -> tuple[str, float] | None:
    """Why it is not withdrawn yet, and when to look again; None when its time has come."""
    at = (entry.gone_since or desk.now) + watch.withdraw_after
    if not left and entry.key.folder in desk.folder.dim:
        why = (
            "The file is gone, but a part of the folder cannot be read: its resource is "
            "withdrawn once all of it can."
        )
        return why, desk.now + DIM
    if moving or desk.now < at or (not left and entry.key.folder in desk.folder.named):
        why = (
            "Newer files of its series took its place; its resource will be withdrawn."
            if left
            else "The file is gone; its resource will be withdrawn if it stays so."
        )
        return why, max(at, desk.now + 1.0)
    return None


def _say_whose_it_is(desk: Desk, entry: Entry, found: RemoteResource) -> None:
    """Write the identity that a file lost before it could be written, or moved away from.

    Only the portal remembers it when the ledger is lost: without it the file, dropped again with
    other bytes, would not find its resource; with an old one, another file might.
    """
    identity = Identity(entry.key.folder, identity_path(entry.key.path), entry.fingerprint.sha1)
    standing = desk.record.standings.get(entry.key)
    waits = standing is not None and _waits(standing, desk.now)
    if found.fingerprint == entry.fingerprint and found.source != identity and not waits:
        desk.act(Identify(entry.key, entry.resource, identity))


def _withdraw(desk: Desk, folder: str, entries: list[Entry], due: int) -> None:
    watch = desk.policy.watch(folder)
    if watch is None:
        return
    owned = sum(
        1
        for entry in desk.record.entries.values()
        if entry.key.folder == folder and entry.resource in desk.resources
    )
    asked = desk.policy.yes or any(
        desk.forced(entry.key, "too_many_withdrawals") for entry in entries
    )
    allowed = allowed_withdrawals(owned, watch.max_withdraw, yes=asked)
    if due <= allowed:
        for entry in entries:
            desk.act(Withdraw(entry.key, entry.resource, entry.key in desk.leaving))
        return
    last = due >= owned
    for entry in entries:
        desk.hold(
            entry.key,
            "too_many_withdrawals",
            f"{due} of the folder's {owned} published files are gone, or left their series"
            + (
                "; the last resource of a folder is never withdrawn automatically. Delete it "
                "on the portal if that is what you want."
                if last
                else f", more than the {allowed} that may be withdrawn at once. If that is "
                "right: `publisher-daemon retry --yes`; if not, put the files back."
            ),
        )


def allowed_withdrawals(owned: int, share: float, *, yes: bool) -> int:
    """How many of ``owned`` resources one pass may withdraw; never the last one.

    One at a time is always allowed: a share of a small folder would never come to one.
    """
    cap = int(owned * share)
    if not yes:
        cap = min(cap, int(owned * ALARM_SHARE), ALARM_COUNT)
    return min(max(cap, 1), owned - 1)


def _waits(standing: Standing, now: float) -> bool:
    if standing.failures == 0 or standing.forced:
        return False
    return standing.not_before is None or now < standing.not_before
