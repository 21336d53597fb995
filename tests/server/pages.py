"""The documentation's own commands, to be followed to the letter."""

from __future__ import annotations

import re

from build import ROOT


def commands(page: str, section: str) -> str:
    """The first block of commands below a title of the documentation."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    found = re.search(rf"^##+ {section}.*?^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert found is not None, section
    return found[1]
