"""Draws a bar for each upload on a terminal, below the log lines; elsewhere nothing."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from publisher_daemon import log
from publisher_daemon.naming import readable
from publisher_daemon.reconcile.flowing import Transfer, Transfers

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

#: How often the bars are drawn, in seconds, and from when on an upload is worth one.
_DRAW_EVERY, _WORTH = 0.2, 0.5


@contextmanager
def bars(transfers: Transfers) -> Iterator[None]:
    """Show how far each upload is, as long as this lasts."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console  # noqa: PLC0415 - only where there is something to draw on
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.text import Text  # noqa: PLC0415

    console = Console(stderr=True)
    if console.is_dumb_terminal:
        yield
        return
    progress = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        auto_refresh=False,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    ended = threading.Event()
    drawer = threading.Thread(
        target=_draw, args=(progress, transfers, ended), name="bars", daemon=True
    )
    with (
        progress,
        log.through(lambda line: console.print(Text.from_ansi(line), soft_wrap=True)),
    ):
        drawer.start()
        try:
            yield
        finally:
            ended.set()
            drawer.join(5)


def _draw(progress: Progress, transfers: Transfers, ended: threading.Event) -> None:
    drawn: dict[int, tuple[Transfer, TaskID]] = {}
    # a terminal that went away must not end the service
    with suppress(OSError):
        while not ended.wait(_DRAW_EVERY):
            now = time.monotonic()
            going = {id(one): one for one in transfers.now() if now - one.began >= _WORTH}
            for gone in drawn.keys() - going.keys():
                progress.remove_task(drawn.pop(gone)[1])
            for name, transfer in going.items():
                if name not in drawn:
                    task = progress.add_task(
                        readable(transfer.key.path), total=transfer.size, completed=transfer.sent
                    )
                    drawn[name] = transfer, task
                progress.update(drawn[name][1], completed=transfer.sent)
            progress.refresh()
