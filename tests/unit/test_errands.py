"""Work that may stand still for ever keeps no other work waiting."""

from __future__ import annotations

import os
import threading
import time
from functools import partial

from waiting import wait_until

from publisher_daemon.watcher.listening import Errands, Listener


def test_what_is_stuck_keeps_nothing_else_waiting() -> None:
    stuck, done = threading.Event(), threading.Semaphore(0)
    errands = Errands("errand", lambda: None)

    for _ in range(20):
        errands.run(lambda: stuck.wait(10))
    errands.run(done.release)

    assert done.acquire(timeout=5)
    stuck.set()
    errands.close(time.monotonic() + 5)
    assert not [thread for thread in threading.enumerate() if thread.name == "errand"]


def test_a_thread_that_is_free_takes_the_next_work() -> None:
    used: list[int] = []
    errands = Errands("errand", lambda: None)

    def free_after(times: int) -> bool:
        return len(used) == times and errands._free == 1

    for times in range(1, 6):
        errands.run(lambda: used.append(threading.get_ident()))
        wait_until(partial(free_after, times), 5, "the thread is free again")

    errands.close(time.monotonic() + 5)
    assert len(used) == 5
    assert len(set(used)) == 1


def test_one_queue_is_never_heard_by_two_and_never_forgotten() -> None:
    errands = Errands("errand", lambda: None)
    listener = Listener(errands)
    listening = threading.Thread(target=listener.listen)
    listening.start()
    ours, theirs = os.pipe()
    at_it, most, read = 0, 0, 0
    lock = threading.Lock()

    def hear() -> None:
        nonlocal at_it, most, read
        with lock:
            at_it += 1
            most = max(most, at_it)
        read += len(os.read(ours, 1))
        with lock:
            at_it -= 1

    listener.add(ours, hear)
    os.write(theirs, b"." * 500)
    wait_until(lambda: read == 500, 10, "all of it is heard")

    listener.drop(ours)
    listener.close()
    listening.join(5)
    errands.close(time.monotonic() + 5)
    listener.forget()
    os.close(ours)
    os.close(theirs)
    assert (read, most) == (500, 1)
