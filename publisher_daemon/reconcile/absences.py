"""Doubts a list that lacks a resource of ours, until the portal says that it is not there.

What follows from an absence cannot be undone: a file of which nothing is left is forgotten, and
what takes its place is a new resource. A list may be wrong for a moment (a replica that is behind,
a cache, a load balancer's other portal) where the resource itself is there.
"""

from __future__ import annotations

from collections.abc import Container
from itertools import islice

from publisher_daemon.errors import NotThere, PortalUnreachable
from publisher_daemon.model import DatasetId, ResourceId
from publisher_daemon.reconcile.ports import Portal
from publisher_daemon.shelf import Entries

#: A list that lacks more than this is judged by so many of them.
MOST_ASKED = 20


class Absences:
    """Which resources of ours are missing, by the portal's own word; asked once for each."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal
        self._missing: dict[DatasetId, frozenset[ResourceId]] = {}

    def see(self, dataset: DatasetId, ours: Entries, listed: Container[ResourceId]) -> None:
        """Raise PortalUnreachable if the list lacks one that is there all the same."""
        lacking = {entry.resource for entry in ours.values() if entry.resource not in listed}
        missing = self._missing.get(dataset, frozenset()) & lacking
        for resource in islice(sorted(lacking - missing), MOST_ASKED):
            try:
                there = self._portal.resource(dataset, resource)
            except NotThere:
                missing |= {resource}
                continue
            raise PortalUnreachable(
                f"the portal's list of the resources of {dataset} lacks “{there.title}” "
                f"({there.id}), which it has",
                hint="Nothing is concluded from such a list; it is asked for again.",
            )
        self._missing[dataset] = missing
