"""Knows which page of the portal is due, refreshes it, and keeps what came of it.

``_files`` says what computed values are made of: the ledger's entries, and the files themselves.
"""

from publisher_daemon.refresh._due import Refreshes, lanes_of
from publisher_daemon.refresh._files import FactsOfFiles

__all__ = ["FactsOfFiles", "Refreshes", "lanes_of"]
