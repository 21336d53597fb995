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


def test_what_was_told_of_a_closed_queue_gives_the_next_of_its_number_no_second_hearer() -> None:
    errands = Errands("errand", lambda: None)
    listener = Listener(errands)
    queue, theirs = os.pipe()
    listener.add(queue, lambda: None)
    os.write(theirs, b".")
    ((told, _),) = listener._queues.poll(5)  # and before anybody hears it, the queue is another one
    listener.drop(queue)
    ours, theirs_too = os.pipe()
    os.dup2(ours, queue)
    go_on, lock = threading.Semaphore(0), threading.Lock()
    hearings, at_it, most = 0, 0, 0

    def hear() -> None:
        nonlocal hearings, at_it, most
        with lock:
            hearings, at_it = hearings + 1, at_it + 1
            most = max(most, at_it)
        go_on.acquire(timeout=5)
        with lock:
            at_it -= 1

    listener.add(queue, hear)
    listener._told(told)
    wait_until(lambda: hearings == 1, 5, "it is heard for what was told of the other one")
    os.write(theirs_too, b".")
    ((told, _),) = listener._queues.poll(5)
    listener._told(told)
    go_on.release()
    wait_until(lambda: bool(listener._queues.poll(0)), 5, "what came meanwhile is told of again")
    listener._told(queue)
    wait_until(lambda: hearings == 2, 5, "and heard")
    go_on.release()

    errands.close(time.monotonic() + 5)
    listener.forget()
    for descriptor in (queue, theirs, ours, theirs_too):
        os.close(descriptor)
    assert (hearings, most) == (2, 1)
