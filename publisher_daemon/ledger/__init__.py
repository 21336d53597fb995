"""Remembers what we own and what we were about to do."""

from publisher_daemon.ledger.place import standstill, state_dir_problem
from publisher_daemon.ledger.sqlite import Ledger
from publisher_daemon.ledger.values import DatasetFacts, HistoryRow, Request

__all__ = ["DatasetFacts", "HistoryRow", "Ledger", "Request", "standstill", "state_dir_problem"]
