"""The last look before bytes go out: what they hold, against what they take the place of."""

from __future__ import annotations

from publisher_daemon.model import Fingerprint, SourceFile, State, Watch
from publisher_daemon.plan._desk import Desk
from publisher_daemon.profile import Finding, Packed, Profile, unpacked
from publisher_daemon.series import line_of
from publisher_daemon.verdict import Verdict, judge, remembering
from publisher_daemon.windows import begins_at, day_of, instant, opens_at

FIRST = (
    "Nothing was ever published on this dataset from here, and the folder asks for a person's yes "
    "first. To say yes: `publisher-daemon release PATH`; the files after it go by themselves."
)


def checked(
    desk: Desk, file: SourceFile, before: Fingerprint | None
) -> tuple[Packed | None, tuple[Finding, ...]] | None:
    """Hold the file if a check says so: None. Else its profile to keep, and what was noticed."""
    watch = desk.policy.watch(file.key.folder)
    if watch is None:
        return file.profile, ()
    released = file.approved or desk.record.released.get(file.key) == file.fingerprint.sha1
    verdict, profile = _judged(desk, file, watch, before)
    if released or file.rolled_back:
        return profile, verdict.holds + verdict.warnings
    # a yes and a release let through what a check would hold then: who says it is told now
    besides = verdict.besides()
    if watch.checks.first_publication == "ask" and not desk.record.entries:
        desk.hold(file.key, "first_publication", FIRST + besides)
        return None
    if _too_early(desk, file, watch, besides):
        return None
    if verdict.holds:
        desk.hold(file.key, "check_held", verdict.sentence())
        return None
    return profile, verdict.warnings


def _judged(
    desk: Desk, file: SourceFile, watch: Watch, before: Fingerprint | None
) -> tuple[Verdict, Packed | None]:
    """What the checks say of it, and what is to be remembered of its content."""
    if file.profile is None or watch.checks.mode == "off":
        return Verdict(), file.profile
    new, old = unpacked(file.profile), _compared_with(desk, file, before)
    size = before.size if before is not None and old is None else None
    today = day_of(desk.now, desk.policy.timezone)
    return judge(new, old, size, watch.checks, today), remembering(new, old).packed()


def _too_early(desk: Desk, file: SourceFile, watch: Watch, besides: str) -> bool:
    """Hold what must not go out yet: its day has not come, or the folder is quiet now."""
    if file.publish_after is not None:
        day = instant(file.publish_after, desk.policy.timezone)
        if day is None:
            why = (
                f"It is not to be published before “{file.publish_after}”, which is no date. Write "
                "it as 2026-12-01 or 2026-12-01 08:00."
            )
            desk.hold(file.key, "embargo_unclear", why + besides)
            return True
        if desk.now < day:
            why = f"It is not to be published before {file.publish_after}; then it goes by itself."
            desk.hold(file.key, "embargo", why + besides, day, State.PENDING)
            return True
    opens = opens_at(desk.now, watch.quiet_hours, desk.policy.timezone)
    if opens > desk.now:
        why = "Nothing is published in the quiet hours of its folder; then it goes by itself."
        desk.hold(file.key, "quiet_hours", why + besides, opens, State.PENDING)
        return True
    return _too_large_now(desk, file, besides)


def _too_large_now(desk: Desk, file: SourceFile, besides: str) -> bool:
    """Hold a large file until the hours that are set for such files."""
    policy = desk.policy
    if file.fingerprint.size < policy.large_file:
        return False
    begins = begins_at(desk.now, policy.large_file_hours, policy.timezone)
    if begins <= desk.now:
        return False
    why = (
        f"Files from {policy.large_file / 1e9:g} GB on only go out in the hours set for them "
        f"({', '.join(policy.large_file_hours)}); then it goes by itself."
    )
    desk.hold(file.key, "large_file_hours", why + besides, begins, State.PENDING)
    return True


def _compared_with(desk: Desk, file: SourceFile, before: Fingerprint | None) -> Profile | None:
    """What it takes the place of; of a new file, the one before it in its series."""
    sha1s: tuple[str, ...] = ()
    if before is not None:
        sha1s = (before.sha1,)
    elif (watch := desk.policy.watch(file.key.folder)) is not None:
        place = line_of(watch, file.key.path)
        if place is not None and place[1] is not None:
            sha1s = desk.predecessors.before(file.key.folder, place[0], place[1])
    old: Profile | None = None
    for sha1 in sha1s:
        packed = desk.folder.profiles.get(sha1)
        found = None if packed is None else unpacked(packed)
        if found is not None:
            # what went out one after the other since it began is known already
            old = found if found.recent else remembering(found, old)
        elif sha1 == sha1s[-1]:
            old = None  # the one before it was never looked at
    return old
