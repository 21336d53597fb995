"""APScheduler without asyncio, a MiB of which it wants one function, and ``inspect`` has the same.

Only while it is loaded something smaller stands in asyncio's place.
"""

from __future__ import annotations

import sys
from inspect import iscoroutinefunction
from types import ModuleType

_smaller = ModuleType("asyncio")
_smaller.__dict__["iscoroutinefunction"] = iscoroutinefunction
_kept = sys.modules.get("asyncio")
sys.modules["asyncio"] = _smaller
try:
    from apscheduler.schedulers.background import BackgroundScheduler
    from apscheduler.triggers.base import BaseTrigger
    from apscheduler.triggers.interval import IntervalTrigger
finally:
    del sys.modules["asyncio"]
    if _kept is not None:
        sys.modules["asyncio"] = _kept

__all__ = ["BackgroundScheduler", "BaseTrigger", "IntervalTrigger"]
