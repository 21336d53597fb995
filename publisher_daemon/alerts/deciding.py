"""Decides who is told what, and when: values in, values out, no clock.

=====================  ============================================================================
a topic begins          told at once (after its patience), together with what else begins just then
it goes on              in the digest, once a day, with everything else that goes on
it is over              told once, when it has been over for a while
it begins again         within a day: in the digest only
many begin, or end      at most six such messages a day each, ten minutes apart; the rest waits
=====================  ============================================================================

So however long, often and much things fail, nobody gets more than thirteen messages in a day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from publisher_daemon.alerts.values import Concern, Memory, Told, Topic


@dataclass(frozen=True, slots=True)
class Bounds:
    """How patient we are with people, in seconds."""

    digest: float = 86400.0
    #: how long something must be over before that is told
    calm: float = 600.0
    #: between two messages at once
    gap: float = 600.0
    #: messages at once in one ``digest``
    most: int = 6


@dataclass(frozen=True, slots=True)
class Decision:
    """What to say now."""

    begun: tuple[Concern, ...] = ()
    digest: tuple[Concern, ...] = ()
    over: tuple[tuple[Topic, Told], ...] = ()


def decide(memory: Memory, concerns: Sequence[Concern], now: float, bounds: Bounds) -> Decision:
    """Say what people must hear now, and remember that they were told."""
    by_topic: dict[Topic, list[Concern]] = {}
    for concern in concerns:
        by_topic.setdefault(concern.topic, []).append(concern)
    memory.sent = [at for at in memory.sent if now - at < bounds.digest]
    memory.ended = [at for at in memory.ended if now - at < bounds.digest]
    ripe = _notice(memory, by_topic, now, bounds)
    over = _finish(memory, by_topic, now, bounds)
    begun: list[Concern] = []
    if ripe and _may(memory.sent, now, bounds):
        memory.sent.append(now)
        for topic in ripe:
            memory.topics[topic].told = memory.topics[topic].opened = now
            begun += by_topic[topic]
        if memory.digest_at is None:
            memory.digest_at = now + bounds.digest
    digest: list[Concern] = []
    if memory.digest_at is not None and now >= memory.digest_at:
        digest = _digest(by_topic, begun, now)
        memory.digest_at = now + bounds.digest if by_topic else None
        for topic in {concern.topic for concern in digest}:
            memory.topics[topic].told = now
    return Decision(tuple(begun), tuple(digest), tuple(over))


def _notice(
    memory: Memory, by_topic: dict[Topic, list[Concern]], now: float, bounds: Bounds
) -> list[Topic]:
    """Remember what there is; the topics that people should be told of at once."""
    ripe = []
    for topic, found in by_topic.items():
        told = memory.topics.setdefault(topic, Told(now))
        told.over = None
        told.title, told.page = found[0].title, found[0].page
        due = any(now >= concern.since + concern.patience for concern in found)
        again = told.opened is not None and now - told.opened < bounds.digest
        if told.told is None and due and again and memory.digest_at is None:
            memory.digest_at = now + bounds.digest
        if told.told is None and due and not again:
            ripe.append(topic)
    return ripe


def _finish(
    memory: Memory, by_topic: dict[Topic, list[Concern]], now: float, bounds: Bounds
) -> list[tuple[Topic, Told]]:
    """Forget what is over; what people were told of is told to be over, once it stays so."""
    over = []
    may = _may(memory.ended, now, bounds)
    for topic, told in list(memory.topics.items()):
        if topic in by_topic:
            continue
        if told.told is not None:
            told.over = now if told.over is None else told.over
            if now - told.over < bounds.calm:
                continue
            if told.closed is None or now - told.closed >= bounds.digest:
                if not may:
                    continue
                over.append((topic, told))
                told.closed = now
            told.told = None
        lately = max((at for at in (told.opened, told.closed) if at is not None), default=None)
        if lately is None or now - lately >= bounds.digest:
            del memory.topics[topic]
    if over:
        memory.ended.append(now)
    return over


def _may(before: Sequence[float], now: float, bounds: Bounds) -> bool:
    """Whether one more message at once is not too many."""
    return len(before) < bounds.most and all(now - at >= bounds.gap for at in before)


def _digest(
    by_topic: dict[Topic, list[Concern]], begun: Sequence[Concern], now: float
) -> list[Concern]:
    """Everything that goes on, if something of it belongs in a digest."""
    fresh = {concern.topic for concern in begun}
    every = [
        concern
        for topic, found in by_topic.items()
        for concern in found
        if topic not in fresh and now >= concern.since + concern.patience
    ]
    return every if any(concern.repeats for concern in every) else []
