"""Reads watched directories: what is there, whether it is being written, and its bytes."""

from publisher_daemon.folder.directory import Folder
from publisher_daemon.folder.source import OpenFile

__all__ = ["Folder", "OpenFile"]
