"""Remembers, after a pass, who waits and why; forgets it for those that do not any more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import structlog

from publisher_daemon.model import (
    QUEUED,
    Hold,
    Plan,
    ResourceKey,
    Stamp,
    Standing,
    State,
)
from publisher_daemon.naming import readable
from publisher_daemon.reconcile.ports import Ledger
from publisher_daemon.reconcile.turn import Pass, StopPass

log = structlog.get_logger(__name__)

#: Two readings of two clocks tell one instant by so many seconds.
SAME_INSTANT = 0.01


def settle_standings(
    ledger: Ledger, now: float, run: Pass, result: Plan | None, trouble: StopPass | None
) -> tuple[tuple[Standing, ...], float | None]:
    """Remember who waits and why; forget it for those that do not any more."""
    held: dict[ResourceKey, Hold] = {wait.key: wait for wait in run.folderful().waiting}
    current: dict[ResourceKey, Standing] = {}
    if result is not None:
        held.update({hold.key: hold for hold in result.holds})
    if trouble is not None and trouble.code != "stopping":
        current = _stop(run, trouble, held)
    fresh: list[Standing] = []
    told: list[Hold] = []
    for key, hold in held.items():
        before = run.record.standings.get(key)
        if key in run.failed:
            current[key] = run.failed[key]
            continue
        file = run.seen.files.get(key)
        stamp = None if file is None else file.stamp
        standing = _standing(hold, before, stamp, run.policy.settings, now)
        current[key] = standing
        # what is queued is written there already, by the look
        if standing != before and hold.code != QUEUED:
            fresh.append(standing)
            if before is None or (before.code, before.why) != (hold.code, hold.why):
                told.append(hold)
    _tell(run, told)
    current.update(run.failed)
    decided = result is not None
    cleared = [
        key
        for key, standing in run.record.standings.items()
        if key not in current
        and (standing.state is not State.WITHDRAWN or key in run.seen.present)
        and (
            (decided and (key in run.seen.looked or key not in run.seen.present))
            or (key not in run.seen.present and key.folder in run.seen.complete)
        )
    ]
    if fresh or cleared:
        ledger.stand(fresh, cleared)
    due = [standing.not_before for standing in current.values() if standing.not_before]
    untils = [hold.until for hold in held.values() if hold.until is not None]
    return tuple(current.values()), min([*due, *untils], default=None)


def _tell(run: Pass, holds: Sequence[Hold]) -> None:
    """Say once of each file that it is held; of a plan that would withdraw too much, as one."""
    for hold in holds:
        if hold.state not in {State.PENDING, State.IGNORED}:
            log.warning(
                "action.held",
                path=readable(hold.key.path),
                journey=run.journey(hold.key),
                why=hold.why,
                code=hold.code,
                retry_at=hold.until,
            )
    refused = [hold for hold in holds if hold.code == "too_many_withdrawals"]
    if refused:
        log.error("plan.refused", folder=refused[0].key.folder, why=refused[0].why)


def _stop(
    run: Pass, trouble: StopPass, held: dict[ResourceKey, Hold]
) -> dict[ResourceKey, Standing]:
    """Hold what the end of the pass leaves undone; what stands as it stood is given back."""
    same: dict[ResourceKey, Standing] = {}
    for file in run.seen.files.values():
        before = run.record.standings.get(file.key)
        if before is not None and _is_for_a_person(before, file.stamp, trouble):
            same[file.key] = before
        elif file.key in run.seen.changed and file.key not in held:
            state = State.HELD if trouble.retry_at is None else State.PENDING
            held[file.key] = Hold(file.key, trouble.code, trouble.why, trouble.retry_at, state)
    for key, hold in held.items():
        if hold.code in {"its_turn", QUEUED}:
            # what stopped the others stops them too: their turn does not come before
            state = State.HELD if trouble.retry_at is None else State.PENDING
            held[key] = Hold(key, trouble.code, trouble.why, trouble.retry_at, state)
    return same


def _is_for_a_person(before: Standing, stamp: Stamp, trouble: StopPass) -> bool:
    """Whether these very bytes wait for a person, which a portal that is away does not change."""
    return (
        trouble.code == "portal_unreachable"
        and before.state is State.HELD
        and before.code not in {"credential_refused", "dataset_refused"}
        and before.failures == 0
        and before.not_before is None
        and before.stamp == stamp
    )


def _standing(
    hold: Hold, before: Standing | None, stamp: Stamp | None, settings: str, now: float
) -> Standing:
    """The hold as the ledger remembers it; failures and their stamp stay if it is the same one."""
    same = before is not None and before.code == hold.code
    found = Standing(
        key=hold.key,
        state=hold.state,
        code=hold.code,
        why=hold.why,
        since=before.since if same and before else now,
        failures=before.failures if same and before else 0,
        not_before=hold.until,
        stamp=before.stamp if same and before and before.failures else stamp,
        sentry_id=before.sentry_id if same and before else None,
        http_status=before.http_status if same and before else None,
        settings=before.settings if same and before else settings,
    )
    if before is not None and found.not_before is not None and before.not_before is not None:
        near = abs(found.not_before - before.not_before) < SAME_INSTANT
        if near and replace(found, not_before=before.not_before) == before:
            # nothing to write: a burst has fifty thousand that wait, at each look
            return before
    return found


def withdrawn(key: ResourceKey, now: float, *, left: bool = False) -> Standing:
    """Where a withdrawn file stands, until it is dropped again."""
    why = "The file was deleted from the folder, and its resource was withdrawn from the portal."
    if left:
        why = "Newer files of its series took its place, and its resource was withdrawn."
    return Standing(key, State.WITHDRAWN, "withdrawn", why, now)
