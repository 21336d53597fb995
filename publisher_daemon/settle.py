"""Says which files have stopped changing, and when to look again.

No single sign says that a file is whole: a close event, a size that stays, a read lease each miss
some writers. So a file is ready when nobody is seen writing to it *and* it has not changed for the
quiet time, a time that grows with the pauses its writer makes. Time here is the monotonic clock of
whoever looks: a date set on a file, or a clock that steps, must not make it look finished. The wall
clock is used in two places only, both of which need a free lease: ``once`` over files that are old
already, and files that arrived whole.

The quiet time does a second thing: it outlasts the grain of the file's dates. What is written after
a file was called ready has another date than what was written before, so that a stamp once read is
never that of two contents.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Literal

from publisher_daemon.model import ResourceKey, Sighting, Stamp, Watch

#: A file that arrived whole (renamed, moved in, marked ready) is looked at twice, this far apart.
ARRIVAL = 0.25
#: How far a look may come behind the change it was woken for; a clock that steps cuts no more
#: than this off the quiet time.
BEHIND = 0.2
#: Writers that cannot be seen get this many times the quiet time.
UNSEEN = 2.0
#: Dates move in steps: of the kernel's clock (10 ms at most), or of whole seconds (2 s on FAT)
#: where the file system keeps nothing finer, or does not tell (shares).
FINE, COARSE = 0.05, 3.0
#: A writer that pauses gets this many times its longest pause…
PAUSES = 3.0
#: …but never more than this.
LONGEST_QUIET = 600.0
#: An empty file is often the first instant of a full one (browsers, ``>``, ``touch``).
EMPTY_HOLD = 30.0
#: After this long without rest a person is told; the file is waited for all the same…
TOO_LONG = 3600.0
#: …but looked at no more often than this.
SELDOM = 60.0
#: What is not sighted for this long is forgotten: a pending file is sighted at least once per need.
FORGET = LONGEST_QUIET + 60.0

Code = Literal["not_settled", "being_written", "empty", "never_settles"]


@dataclass(frozen=True, slots=True)
class Track:
    """What was observed of one file since it was first seen, or since it last started changing."""

    stamp: Stamp
    first_seen: float
    last_seen: float
    #: the last time it was seen to change, or somebody was seen writing
    last_change: float
    changes: int = 0
    longest_gap: float = 0.0
    #: it arrived whole, and has not changed since
    arrived: bool = False
    #: somebody was seen writing at the last look
    writing: bool = False
    #: it was given as ready with this stamp
    settled: bool = False


@dataclass(frozen=True, slots=True)
class Memory:
    """What must be remembered between two looks; starts empty; losing it costs time only."""

    tracks: Mapping[ResourceKey, Track] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Waiting:
    """A file that is not ready, and why."""

    key: ResourceKey
    code: Code
    why: str
    #: the earliest instant (monotonic) at which it can be ready; None: not without a change
    until: float | None


@dataclass(frozen=True, slots=True)
class Settled:
    """The answer: what is ready, what waits, what to remember, when (monotonic) to look again."""

    ready: tuple[Sighting, ...]
    waiting: tuple[Waiting, ...]
    memory: Memory
    recheck_at: float | None


def settle(
    memory: Memory,
    sightings: Iterable[Sighting],
    *,
    now: float,
    wall: float,
    watches: Mapping[str, Watch],
    present: Collection[ResourceKey] = (),
    once: bool = False,
) -> Settled:
    """Say which of the sighted files are ready; only those sighted are decided.

    ``now`` is monotonic, ``wall`` is seconds since 1970. ``present`` are paths known to be there:
    they are remembered even when they were not sighted lately. With ``once`` a file that both its
    dates say has been at rest for the whole quiet time is ready at first sight, unless its writers
    cannot be seen.
    """
    tracks = dict(memory.tracks)
    ready: list[Sighting] = []
    waiting: list[Waiting] = []
    looks: list[float] = []
    for sighting in sightings:
        watch = watches[sighting.key.folder]
        track = _observe(tracks.get(sighting.key), sighting, now, wall, watch)
        verdict = _judge(track, sighting, now, wall, watch, once=once)
        if verdict is None:
            track = replace(track, settled=True)
            ready.append(sighting)
        else:
            waiting.append(verdict)
            if verdict.until is not None:
                looks.append(_look_at(track, verdict.until, now, _need(track, sighting, watch)))
        tracks[sighting.key] = track
    kept = {
        key: track
        for key, track in tracks.items()
        if now - track.last_seen < FORGET or (not track.settled and key in present)
    }
    return Settled(
        tuple(ready), tuple(waiting), Memory(MappingProxyType(kept)), min(looks, default=None)
    )


def _observe(
    before: Track | None, sighting: Sighting, now: float, wall: float, watch: Watch
) -> Track:
    """The track after this sighting."""
    last = now if sighting.arrived or sighting.writing else _rests_since(sighting.stamp, now, wall)
    fresh = Track(
        sighting.stamp, now, now, last, arrived=sighting.arrived, writing=sighting.writing
    )
    if before is None:
        return fresh
    if before.stamp != sighting.stamp:
        # a file that was at rest, or that nobody looked at for long, starts anew: what happened
        # before says nothing about how this writer pauses
        unseen = now - before.last_seen > 2 * max(_need(before, sighting, watch), watch.poll_every)
        if before.settled or unseen:
            return fresh
        # a file that was held open until now was not at rest, whatever its dates say
        held = before.writing or sighting.writing
        at = now if held else _changed_at(before, sighting.stamp, now, wall)
        # where only looks tell of changes, the pause before the first one is the look's, not its
        paused = not held and (sighting.lease or before.changes > 0)
        pause = at - before.last_change if paused else 0.0
        return replace(
            before,
            stamp=sighting.stamp,
            last_seen=now,
            last_change=at,
            changes=before.changes + 1,
            longest_gap=max(before.longest_gap, pause),
            arrived=sighting.arrived,
            writing=sighting.writing,
        )
    if sighting.writing or before.writing:
        # the quiet time begins when it is first seen free: a writer may close only to open again
        return replace(
            before,
            first_seen=now if before.settled else before.first_seen,
            last_seen=now,
            last_change=now,
            arrived=before.arrived or sighting.arrived,
            writing=sighting.writing,
            settled=False,
        )
    return replace(before, last_seen=now, arrived=before.arrived or sighting.arrived)


def _rests_since(stamp: Stamp, now: float, wall: float) -> float:
    """When a file that is seen for the first time changed: the look comes a moment after it."""
    age = wall - stamp.ctime_ns / 1e9
    return now - age if stamp.ctime_ns and 0.0 <= age <= BEHIND else now


def _changed_at(before: Track, stamp: Stamp, now: float, wall: float) -> float:
    """When it changed: between the two looks, and where its own ctime says if that lies there."""
    age = wall - stamp.ctime_ns / 1e9 if stamp.ctime_ns else 0.0
    return min(now, max(before.last_seen, now - age))


def _need(track: Track, sighting: Sighting, watch: Watch) -> float:
    """How long this file must be still, in seconds."""
    grain = FINE if sighting.stamp.ctime_ns % 1_000_000_000 else COARSE
    if (track.arrived or sighting.arrived) and not sighting.remote:
        return max(ARRIVAL, grain) if sighting.stamp.size else EMPTY_HOLD
    need = watch.quiet
    if sighting.remote:
        # attribute caches show the past: two looks must be a whole poll apart
        need = max(need * UNSEEN, watch.poll_every)
    elif not sighting.lease:
        need *= UNSEEN
    need = max(need, grain, min(PAUSES * track.longest_gap, LONGEST_QUIET))
    return need if sighting.stamp.size else max(need, EMPTY_HOLD)


def _judge(
    track: Track, sighting: Sighting, now: float, wall: float, watch: Watch, *, once: bool
) -> Waiting | None:
    """None when the file is ready, else what it waits for."""
    key, need = sighting.key, _need(track, sighting, watch)
    empty = sighting.stamp.size == 0
    if sighting.writing:
        if now - track.first_seen >= TOO_LONG:
            return _never(track, sighting, now, need)
        return Waiting(
            key,
            "being_written",
            "Another program still has the file open for writing; waiting until it closes it.",
            now + need,
        )
    trusted = (once or track.arrived) and sighting.lease and not sighting.remote
    old = trusted and _at_rest_by_its_dates(sighting.stamp, wall, need)
    if track.settled or old or now >= track.last_change + need:
        if empty and watch.empty_files == "refuse":
            return Waiting(
                key,
                "empty",
                "The file is empty (0 bytes). It is not published until something is in it; "
                'set `empty_files = "publish"` on the folder if empty files are meant.',
                None,
            )
        return None
    until = track.last_change + need
    if now - track.first_seen >= TOO_LONG:
        return _never(track, sighting, now, need)
    if empty:
        return Waiting(
            key,
            "empty",
            f"The file is empty (0 bytes): waiting {need:.0f} s in case its content follows.",
            until,
        )
    return Waiting(
        key,
        "not_settled",
        _moved(need),
        until,
    )


@lru_cache
def _moved(need: float) -> str:
    """One sentence for all the files of a burst."""
    return f"The file changed a moment ago; it is published once it is still for {need:g} s."


def _never(track: Track, sighting: Sighting, now: float, need: float) -> Waiting:
    minutes = (now - track.first_seen) / 60
    doing = "been open for writing" if sighting.writing else "kept changing"
    return Waiting(
        sighting.key,
        "never_settles",
        f"The file has {doing} for {minutes:.0f} minutes. It is published when it is still for "
        f"{need:g} s; write it under a temporary name and rename it when it is complete.",
        now + need if sighting.writing else track.last_change + need,
    )


def _at_rest_by_its_dates(stamp: Stamp, wall: float, need: float) -> bool:
    """Whether both dates lie far enough in the past; ctime cannot be set by programs."""
    return wall - max(stamp.mtime_ns, stamp.ctime_ns) / 1e9 >= need


def _look_at(track: Track, until: float, now: float, need: float) -> float:
    """When to look again: a file that changes is looked at more often, to learn its pauses.

    Looking only every ``need`` would take each interval for a pause and triple the wait each time.
    """
    if now - track.first_seen >= TOO_LONG:
        return max(until, now + SELDOM)
    return min(until, now + need / 4) if track.changes else until
