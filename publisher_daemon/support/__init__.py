"""Writes what a person sends when they ask for help: to the portal's support, or to ours."""

from publisher_daemon.support.bundle import Part, versions, write_bundle
from publisher_daemon.support.report import find, report

__all__ = ["Part", "find", "report", "versions", "write_bundle"]
