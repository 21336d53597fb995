"""Everything that is measured, in the order of the table."""

from __future__ import annotations

from bench import sending
from bench.table import Measure

MEASURES = (Measure("sending", "One file to a server that throws it away", sending.to_a_sink),)
