"""Takes one dataset through observe → plan → publish → record → report."""

from publisher_daemon.reconcile.gate import Gate
from publisher_daemon.reconcile.passes import Preview, Reconciler
from publisher_daemon.reconcile.ports import Folder, Ledger, Portal, Source

__all__ = [
    "Folder",
    "Gate",
    "Ledger",
    "Portal",
    "Preview",
    "Reconciler",
    "Source",
]
