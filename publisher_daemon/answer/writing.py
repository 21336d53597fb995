"""Puts the answer in its place, whole or not at all, and only when it says something else.

Writing in a watched folder wakes its watch: the names are ones that are never data (``naming``),
and an answer that has not changed is not written again, so that nothing goes round in circles.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from publisher_daemon.answer.page import PREFIX, Answer, html_page, text_page
from publisher_daemon.naming import ANSWERS

PAGE, TEXT = ANSWERS
#: An answer older than this is written again, so that its date says that somebody is there.
OLDEST = 3600.0


def write(directory: Path, answer: Answer, now: float) -> bool:
    """Write both, if they say something new; raises OSError."""
    page, text = directory / PAGE, directory / TEXT
    if _said(page, answer) and now - page.stat().st_mtime < OLDEST:
        return False
    directory.mkdir(exist_ok=True)
    # Windows' own editor wants its line ends, and a sign that this is UTF-8
    _put(text, text_page(answer, now).replace("\n", "\r\n").encode("utf-8-sig"))
    _put(page, html_page(answer, now).encode())
    return True


def _said(page: Path, answer: Answer) -> bool:
    """Whether the page that is there says the same, whenever it said it."""
    try:
        found = page.read_text(encoding="utf-8")
        at = page.stat().st_mtime
    except (OSError, UnicodeDecodeError):
        return False
    # its own time to the minute, which the clock may just have left while it was written
    return found in {html_page(answer, at), html_page(answer, at - 60.0)}


def _put(path: Path, content: bytes) -> None:
    # a name nobody can have put a link at beforehand: others write in this directory too
    descriptor, name = tempfile.mkstemp(prefix=PREFIX, suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as out:
            out.write(content)
            os.fchmod(out.fileno(), 0o644)
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
