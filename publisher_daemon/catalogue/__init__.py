"""Says what to write on a page of the portal so that it is as configured, and what its state means.

Pure: ``_merging`` decides field by field without undoing a colleague, ``_computing`` gives computed
values their value, ``_quality`` turns what the portal says of a dataset into what can be done.
"""

from __future__ import annotations

from publisher_daemon.catalogue._computing import (
    Facts,
    Span,
    columns_of,
    computed_names,
    day,
    has_values,
    widest,
    without_values,
    words_of_file,
)
from publisher_daemon.catalogue._merging import (
    Change,
    Held,
    MetadataPlan,
    holding,
    plan_metadata,
    settled,
    tag_slug,
)
from publisher_daemon.catalogue._quality import analysis_words, late_words, missing_points

__all__ = [
    "Change",
    "Facts",
    "Held",
    "MetadataPlan",
    "Span",
    "analysis_words",
    "columns_of",
    "computed_names",
    "day",
    "has_values",
    "holding",
    "late_words",
    "missing_points",
    "plan_metadata",
    "settled",
    "tag_slug",
    "widest",
    "without_values",
    "words_of_file",
]
