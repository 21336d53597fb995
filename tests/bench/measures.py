"""Everything that is measured, in the order of the table."""

from __future__ import annotations

from bench import checking, hearing, remembering, rescan, resting, sending, small
from bench.table import Measure

MEASURES = (
    Measure("sending", "One file to a server that throws it away", sending.to_a_sink),
    Measure("memory", "Memory while a file goes up", sending.memory),
    Measure("checks", "What a file holds, before it goes", checking.before_it_goes),
    Measure("line", "A line of 1 Gbit/s", sending.on_a_line),
    Measure("portal", "A real udata", sending.to_a_portal, form="whole"),
    Measure("small", "Many small files to a real udata", small.to_a_portal, form="whole"),
    Measure("ledger", "What is remembered of a million files", remembering.a_million),
    Measure("rescan", "A folder in which nothing changed", rescan.unchanged),
    Measure("rest", "The service when nothing happens", resting.at_rest, form="whole"),
    Measure("decisions", "How soon a file is known as settled", hearing.decisions, form="whole"),
    Measure("directories", "Very many directories", hearing.directories, form="long"),
    Measure("burst", "Tens of thousands of files at once", hearing.burst, form="long"),
    Measure("million", "A million files unchanged", rescan.unchanged_million, form="long"),
)
