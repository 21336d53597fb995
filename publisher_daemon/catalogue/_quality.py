"""Turns what the portal says of a dataset and of its files into what a producer can do about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: what a producer can do about each quality criterion the portal counts (portal-facts §14.5-6)
_REMEDIES = {
    "license": "say its licence (`license`)",
    "temporal_coverage": "say the period it covers (`temporal_coverage`)",
    "spatial": "say the territory it covers (`spatial`)",
    "update_frequency": "say how often it is updated (`frequency`)",
    "update_fulfilled_in_time": "update it as often as it says, or say another `frequency`",
    "dataset_description_quality": "describe it in more than 100 characters (`description`)",
    "has_open_format": "publish at least one file in an open format (CSV, JSON, GeoJSON…)",
    "all_resources_available": "mend the links the portal could not follow",
    "resources_documentation": "describe a resource (`description` of [[folders.resources]]), or "
    "add a file of type documentation",
}


def missing_points(found: Mapping[str, Any]) -> tuple[str, ...]:
    """What would raise the dataset's quality score, in words."""
    quality = found.get("quality")
    if not isinstance(quality, Mapping):
        return ()
    return tuple(words for name, words in _REMEDIES.items() if quality.get(name) is False)


def late_words(found: Mapping[str, Any]) -> str | None:
    """Why the portal shows the dataset as late; None when it does not."""
    quality = found.get("quality")
    if not isinstance(quality, Mapping) or quality.get("update_fulfilled_in_time") is not False:
        return None
    last = str(found.get("last_update") or "")[:10] or "unknown"
    return (
        f"The portal shows it as late: its frequency is “{found.get('frequency')}”, and its last "
        f"update was on {last}."
    )


def analysis_words(extras: Mapping[str, Any]) -> str | None:
    """What the portal's analysis of a file found wrong, and what to do; None when nothing."""
    check = extras.get("check:available")
    if check is False:
        return "The portal could not download it: see that its link works."
    error = extras.get("analysis:parsing:error")
    if error:
        return (
            f"The portal could not read it as a table, so it shows no preview ({error}). See that "
            "it is well-formed: one header line, one separator, UTF-8."
        )
    error = extras.get("analysis:error")
    if error:
        too_large = "large" in str(error).lower()
        todo = (
            "It can be downloaded, but has no preview; split it if one is wanted."
            if too_large
            else "Publish it again if that lasts."
        )
        return f"The portal could not analyse it ({error}). {todo}"
    return None
