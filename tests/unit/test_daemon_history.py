"""The service forgets old history by itself, a little at a time."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

from publisher_daemon.config import load
from publisher_daemon.daemon import Daemon
from publisher_daemon.daemon.pruning import ROWS
from publisher_daemon.ledger import Ledger
from publisher_daemon.model import DatasetId, ResourceKey

KEY = ResourceKey(DatasetId("5bbb6d6cff66bd4dc17bfd5a"), "air", "a.csv")
DAY = 86400.0


def test_old_history_goes_in_batches_and_then_once_a_day(tmp_path: Path) -> None:
    (tmp_path / "air").mkdir()
    (tmp_path / "config.toml").write_text(
        f'[portal]\nurl = "https://demo.data.gouv.fr"\n[daemon]\nkeep_history = "30d"\n'
        f'[[folders]]\npath = "air"\ndataset = "{KEY.dataset}"\n'
    )
    settings = load(tmp_path / "config.toml", {})
    with closing(Ledger(tmp_path / "state")) as ledger:
        service = Daemon(settings, ledger, reload=lambda: settings)
        now = time.time()
        with ledger._store.write() as writing:
            row = (
                "INSERT INTO history (at, dataset, folder, path, action, detail) "
                "VALUES (?, '', '', ?, '', '{}')"
            )
            writing.each(row, [(now - 31 * DAY, b"") for _ in range(ROWS + 1)])
        ledger.forget(KEY, now=now - 29 * DAY, action="resource.forgotten")

        service._prune(settings)
        assert len(ledger.history(limit=10_000)) == 2
        service._prune(settings)
        assert [row.key for row in ledger.history()] == [KEY]

        ledger.forget(KEY, now=now - 31 * DAY, action="resource.forgotten")
        service._prune(settings)
        assert len(ledger.history()) == 2  # tomorrow
