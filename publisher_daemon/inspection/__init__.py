"""Reads a file once, and says what it holds: its sha1, and whether it is what it says it is.

The bytes that are hashed are the bytes that are looked at, and a file is only sent when it still
has that sha1 (``portal.body``): a verdict can never be about other bytes than those that go out.
"""

from publisher_daemon.inspection._reading import inspect

__all__ = ["inspect"]
