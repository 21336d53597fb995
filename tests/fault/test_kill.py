"""kill -9, a full disk, a failing disk: at every step that commits or sends, as strace counts."""

from __future__ import annotations

import pytest
from breaking import broken_at
from colleague import Api
from passes import Adopting, Moving, Publishing, Refreshing
from producer import Producer

#: every commit of the ledger, every page it writes, and every piece of a request
COMMIT, PAGE, SEND = "fdatasync", "pwrite64", "sendto"
#: what happens there, in strace's words
KILL, FULL, BROKEN = "signal=SIGKILL", "error=ENOSPC", "error=EIO"
#: more steps than any pass has, and more commits
MANY, COMMITS = 400, 40


def break_at_every_step(
    producer: Producer, world: Publishing, call: str, way: str, *, stride: int, first: int = 1
) -> None:
    world.begin(4 + COMMITS // stride)
    broken = 0
    for run, step in enumerate(range(first, MANY, stride), start=1):
        world.change(run)
        if not broken_at(producer, world.command, call, way, step):
            break
        broken += 1
        if world.command[0] == "adopt":
            producer.call(*world.command)  # the person who asked asks again
    else:
        pytest.fail("it never ends by itself")
    for _ in range(2):
        producer.once(code=None)
    files = producer.once(code=None)

    assert broken >= 3, "the test broke nothing"
    assert {file["state"] for file in files.values()} <= {"published", "withdrawn"}
    world.check()


@pytest.mark.strace
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("world", "call", "way", "stride"),
    [
        (Publishing, COMMIT, KILL, 3),
        (Publishing, SEND, KILL, 5),
        (Moving, COMMIT, KILL, 4),
        (Refreshing, COMMIT, KILL, 3),
        (Refreshing, SEND, KILL, 1),
        (Publishing, COMMIT, BROKEN, 8),
        (Publishing, PAGE, FULL, 50),
    ],
)
def test_broken_at_any_step_the_world_converges(  # noqa: PLR0917 - a table of cases
    producer: Producer,
    api: Api,
    world: type[Publishing],
    call: str,
    way: str,
    stride: int,
) -> None:
    break_at_every_step(producer, world(producer, api), call, way, stride=stride)


@pytest.mark.strace
@pytest.mark.storm
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("way", [KILL, FULL, BROKEN])
@pytest.mark.parametrize("call", [COMMIT, PAGE, SEND])
@pytest.mark.parametrize("world", [Publishing, Moving, Adopting, Refreshing])
def test_broken_at_every_step_the_world_converges(
    producer: Producer, api: Api, world: type[Publishing], call: str, way: str
) -> None:
    if call == SEND and way == FULL:
        way = "error=ECONNRESET"  # a socket is never full; it breaks
    first = stride = 1
    if call == PAGE and way != KILL:  # to the ledger one error is as the other: they take turns
        first, stride = (1 if way == FULL else 2), 2
    break_at_every_step(producer, world(producer, api), call, way, stride=stride, first=first)
