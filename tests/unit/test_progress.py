"""How far a long upload is: a log line now and then, and the sentence of `systemctl status`."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

from making import key
from structlog.testing import capture_logs

from publisher_daemon.daemon.progress import ProgressTeller
from publisher_daemon.daemon.signs import STATUS_EVERY, Signs
from publisher_daemon.health import Notifier, Pulse
from publisher_daemon.reconcile.flowing import Transfers


def test_the_log_has_a_line_about_each_upload_every_thirty_seconds() -> None:
    clock, transfers = [0.0], Transfers()
    teller = ProgressTeller(transfers, lambda: clock[0])
    lines = []
    with transfers.under_way(key("large.csv"), 1_000_000, began=0.0) as large:
        for second in range(91):
            clock[0], large.sent = second, second * 10_000
            with capture_logs() as said:
                teller.tell()
            lines += [(second, line) for line in said]
            if second == 45:
                # another one begins later, and has its own thirty seconds
                other = transfers.under_way(key("other.csv"), 10, began=45.0)
                other.__enter__()
    told = [(second, line["path"], line["sent"], line["seconds_left"]) for second, line in lines]
    assert told == [
        (30, "large.csv", 300_000, 70),
        (60, "large.csv", 600_000, 40),
        (75, "other.csv", 0, None),
        (90, "large.csv", 900_000, 10),
    ]
    assert {line["event"] for _, line in lines} == {"upload.progressed"}
    assert lines[0][1]["bytes_per_second"] == 10_000


def test_systemctl_status_follows_an_upload_to_the_portals_answer(tmp_path: Path) -> None:
    clock, transfers = [0.0], Transfers()
    teller = ProgressTeller(transfers, lambda: clock[0])
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(5)
        signs = Signs(tmp_path, Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify")}), Pulse())

        def told() -> str:
            signs._said -= STATUS_EVERY
            signs.give([threading.current_thread()], lambda: (), lambda: teller.sentence() or "-")
            return manager.recv(1000).decode()

        assert told() == "STATUS=-"
        with transfers.under_way(key("large.csv"), 100_000_000, began=0.0) as large:
            clock[0], large.sent = 10.0, 20_000_000
            assert told() == "STATUS=Sending large.csv: 20 %, 2.0 MB/s, 40 s left."
            clock[0], large.sent = 50.0, 100_000_000
            assert told() == (
                "STATUS=Sending large.csv: all sent, waiting for the portal's answer."
            )
        assert told() == "STATUS=-"
