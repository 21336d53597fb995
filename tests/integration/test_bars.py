"""What a person sees on a terminal while files go up."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios

from producer import Producer

BAR = re.compile(r"large\.csv .*?(\d+)%.*?\d\.\d/2\.0 MB.*?\d kB/s")
LOG_LINE = re.compile(r"(.{4}|^)\d\d:\d\d:\d\d \x1b\[32minfo", re.DOTALL)


def seen_on_a_terminal(producer: Producer, *arguments: str) -> tuple[str, int]:
    """Run a verb on a terminal of its own; everything that was written on it."""
    producer.configure()
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 160, 0, 0))
    with subprocess.Popen(
        producer.command(*arguments),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**producer.surroundings(), "TERM": "xterm-256color"},
        cwd=producer.home,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        seen = b""
        while True:
            try:
                block = os.read(ours, 65536)
            except OSError:  # the last one to write has closed it
                break
            seen += block
    os.close(ours)
    return seen.decode(), process.returncode


def test_a_bar_moves_below_the_log_lines_and_is_gone_at_the_end(producer: Producer) -> None:
    producer.settings["max_upload"] = '"6 Mbit/s"'
    line = b"%s;1\n" % (b"x" * 97)
    producer.drop("large.csv", b"a;b\n" + line * 20_000)
    producer.drop("small.csv", b"a;b\n1;2\n")

    seen, code = seen_on_a_terminal(producer, "once")

    assert code == 0, seen
    shares = [int(found) for found in BAR.findall(seen)]
    assert shares == sorted(shares)
    assert len(set(shares)) > 3
    # a log line begins where a line was emptied or ended
    before = LOG_LINE.findall(seen)
    assert len(before) >= 5
    assert all(one.endswith(("\n", "\x1b[2K")) for one in before)
    # what comes last is the answer, on a screen without bars
    assert "large.csv" in seen.rsplit("\x1b[2K", 1)[1]
    assert "━" not in seen.rsplit("\x1b[2K", 1)[1]


def test_where_there_is_no_terminal_nothing_is_drawn(producer: Producer) -> None:
    producer.drop("small.csv", b"a;b\n1;2\n")

    done = producer.call("once")

    assert "\x1b" not in done.stdout + done.stderr
