"""What must not be sent: refused names, doubles, what failed and waits its turn."""

from __future__ import annotations

from collections import defaultdict

from publisher_daemon.model import Policy, ResourceId, SourceFile, Standing
from publisher_daemon.naming import accepts, holds_key
from publisher_daemon.plan._desk import Desk
from publisher_daemon.plan._sentences import extension_words, remote_words
from publisher_daemon.plan._series import same_series

KEY_IN_NAME = (
    "Its name, or that of its directory, holds what looks like an API key of the portal, and names "
    "are published. Give it another name; and if it is a key, revoke it on the portal, since "
    "whoever reads this folder has it."
)


def refuse(desk: Desk) -> None:
    """Hold what must not be sent: names the portal refuses, doubles, what failed and waits."""
    for wait in sorted(desk.folder.waiting, key=lambda wait: (wait.key, wait.code)):
        if wait.key not in desk.done:
            desk.holds.append(wait)
            desk.done.add(wait.key)
    pins: dict[ResourceId, list[SourceFile]] = defaultdict(list)
    for file in desk.files():
        if file.pinned:
            pins[file.pinned].append(file)
    for file in desk.undecided():
        standing = desk.record.standings.get(file.key)
        rivals = [
            other
            for other in (pins.get(file.pinned, []) if file.pinned else [])
            if other == file or not same_series(desk, file, other)
        ]
        if len(rivals) > 1:
            others = ", ".join(f"“{other.key.path}”" for other in rivals if other != file)
            desk.hold(
                file.key,
                "claimed_twice",
                f"The configuration gives the resource {file.pinned} to this file and also to "
                f"{others}. Make the rules match one file only.",
            )
        elif not accepts(desk.policy.extensions, file.key.path):
            desk.hold(file.key, "extension_refused", extension_words(file.key.path))
        elif holds_key(file.key.path):
            desk.hold(file.key, "key_in_name", KEY_IN_NAME)
        elif standing is not None and _parked(standing, file, desk.policy, desk.now):
            desk.hold(file.key, standing.code, standing.why, standing.not_before, standing.state)


def refuse_pin(desk: Desk, file: SourceFile) -> bool:
    """Hold a file that cannot have the resource its configuration names; True when it is held."""
    pinned = file.pinned or ResourceId("")
    found = desk.resources.get(pinned)
    owner = desk.claimed.get(pinned)
    if found is None:
        desk.hold(
            file.key,
            "resource_not_found",
            f"The configuration gives this file the resource {pinned}, which the dataset does not "
            "have. Correct `resource`, or take the line away.",
        )
    elif found.filetype != "file":
        desk.hold(file.key, "remote_resource", remote_words(found))
    elif owner is not None and not (owner in desk.record.entries and desk.is_gone(owner)):
        desk.hold(
            file.key,
            "claimed_twice",
            f"The resource “{found.title}” already belongs to “{owner.path}”.",
        )
    else:
        return False
    return True


def _parked(standing: Standing, file: SourceFile, policy: Policy, now: float) -> bool:
    """Whether a failure still speaks for this file as it is now."""
    if standing.failures == 0 or standing.forced or standing.stamp != file.stamp:
        return False
    if standing.not_before is None:
        return standing.settings == policy.settings
    return now < standing.not_before
