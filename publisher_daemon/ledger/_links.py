"""How permalinks begin: all those of one portal begin alike, so each beginning is kept once.

A million copies of it would be a seventh of the ledger.
"""

from __future__ import annotations

from collections.abc import Iterable

from publisher_daemon.ledger import _rows
from publisher_daemon.ledger._store import Store
from publisher_daemon.model import Entry


class Links:
    """The beginnings that are known; another process may add some, and none ever changes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._starts: dict[int, str] = {}
        self._numbers: dict[str, int] = {}

    def meet(self, entries: Iterable[Entry]) -> None:
        """Number how the links of these begin, before the transaction that writes them.

        In one of its own: a number must not be remembered that a rollback takes away.
        """
        for entry in entries:
            start = _rows.link_start(entry)
            if start is None or start in self._numbers:
                continue
            with self._store.write() as writing:
                writing.do("INSERT OR IGNORE INTO link (start) VALUES (?)", (start,))
                ((number,),) = writing.do("SELECT id FROM link WHERE start=?", (start,))
            self._numbers[start] = number

    def entry(self, row: _rows.Row) -> Entry:
        """From the columns of ENTRY."""
        return _rows.entry(row, self._start)

    def cells(self, entry: Entry) -> tuple[object, ...]:
        """The columns of PLAIN_ENTRY or ENTRY, of an entry that was met."""
        return _rows.entry_cells(entry, self._numbers)

    def _start(self, number: int) -> str:
        if number not in self._starts:
            rows = self._store.rows("SELECT id, start FROM link")
            self._starts = {row[0]: str(_rows.text(row[1])) for row in rows}
        return self._starts[number]
