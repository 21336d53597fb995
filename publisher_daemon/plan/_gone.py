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
    Withdraw,
)
from publisher_daemon.naming import identity_path
from publisher_daemon.plan._desk import Desk
from publisher_daemon.plan._sentences import gone_conflict_words

#: However large ``max_withdraw``, more than this share, or number, at once needs a person's yes.
ALARM_SHARE, ALARM_COUNT = 0.2, 10


def follow_gone_files(desk: Desk) -> None:
    """Keep what is gone; withdraw, if the folder says so, after the grace and within the caps."""
    due: dict[str, list[Entry]] = defaultdict(list)
    # a file of which nothing is known yet may be one that was moved
    moving = any(
        wait.state is State.PENDING and wait.key not in desk.record.entries
        for wait in desk.folder.waiting
    )
    for key, entry in sorted(desk.record.entries.items()):
        watch = desk.policy.watch(key.folder)
        left = key in desk.leaving
        if key in desk.done or watch is None or not (left or desk.is_gone(key)):
            continue
        found = desk.resources.get(entry.resource)
        if found is None:
            desk.act(Forget(key, entry.resource, "neither the file nor its resource is left"))
        elif entry.gone_since is None:
            desk.act(Keep(key, entry.resource, left))
        elif left or (watch.when_deleted == "withdraw" and key not in desk.stays):
            if found.fingerprint != entry.fingerprint:
                desk.hold(key, "conflict", gone_conflict_words(found))
            elif moving or desk.now < entry.gone_since + watch.withdraw_after:
                desk.hold(
                    key,
                    "withdraw_wait",
                    "Newer files of its series took its place; its resource will be withdrawn."
                    if left
                    else "The file is gone; its resource will be withdrawn if it stays so.",
                    max(entry.gone_since + watch.withdraw_after, desk.now + 1.0),
                    State.PENDING,
                )
            elif (standing := desk.record.standings.get(key)) and _waits(standing, desk.now):
                desk.hold(key, standing.code, standing.why, standing.not_before, standing.state)
            else:
                due[key.folder].append(entry)
        else:
            _say_whose_it_is(desk, entry, found)
    for folder, entries in sorted(due.items()):
        _withdraw(desk, folder, entries)


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


def _withdraw(desk: Desk, folder: str, due: list[Entry]) -> None:
    watch = desk.policy.watch(folder)
    if watch is None:
        return
    owned = sum(
        1
        for entry in desk.record.entries.values()
        if entry.key.folder == folder and entry.resource in desk.resources
    )
    asked = desk.policy.yes or any(desk.forced(entry.key, "too_many_withdrawals") for entry in due)
    allowed = allowed_withdrawals(owned, watch.max_withdraw, yes=asked)
    if len(due) <= allowed:
        for entry in due:
            desk.act(Withdraw(entry.key, entry.resource, entry.key in desk.leaving))
        return
    last = len(due) >= owned
    for entry in due:
        desk.hold(
            entry.key,
            "too_many_withdrawals",
            f"{len(due)} of the folder's {owned} published files are gone, or left their series"
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
