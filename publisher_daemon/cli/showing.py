"""What people see: tables, sentences and JSON documents on standard output."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from publisher_daemon.ledger import DatasetFacts
from publisher_daemon.log import redact, single_line
from publisher_daemon.status import DatasetView, FileView, instant, readable_path, summary
from publisher_daemon.words import Language, Words

_MARKS = {
    "published": "✓",
    "pending": "…",
    "held": "!",
    "failed": "✗",
    "kept": "=",
    "withdrawn": "-",
    "ignored": "·",
}


#: what stands before the words of a line
_LEAD = re.compile(r"[\s!→✗✓-]*")
_words = Words()


def speak(language: Language) -> None:
    """Talk to people in this language from now on; JSON stays English."""
    global _words  # noqa: PLW0603 - one process talks to one person
    _words = Words(language)


def language() -> Language:
    """The language this person is talked to in."""
    return _words.language


def speaking() -> Words:
    """What says texts in this person's language."""
    return _words


def in_words(text: str) -> str:
    """The sentences, one a line, as this person reads them."""
    if "\n" in text:
        return "\n".join(map(in_words, text.split("\n")))
    lead = _LEAD.match(text)
    start = lead.end() if lead else 0
    return text[:start] + _words.of(text[start:])


def say(text: str = "") -> None:
    """Print one line for a person; what standard output cannot encode is written out."""
    encoding = sys.stdout.encoding or "utf-8"
    line = redact(in_words(text)).encode(encoding, "backslashreplace").decode(encoding)
    sys.stdout.write(line + "\n")


def print_text(text: str) -> None:
    """Print what is to be kept or sent as it is: nothing in it is put into other words."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(redact(text).encode(encoding, "backslashreplace").decode(encoding) + "\n")


def print_json(document: object) -> None:
    """Print one JSON document, redacted."""
    text = json.dumps(document, ensure_ascii=False, indent=1, default=str)
    sys.stdout.buffer.write(redact(text).encode("utf-8", "backslashreplace") + b"\n")
    sys.stdout.flush()


def show_datasets(views: Sequence[DatasetView], *, ignored: bool) -> None:
    """Print every dataset and its files."""
    for view in views:
        say(f"{view.title or 'Dataset'} ({view.dataset})" + (f"  {view.page}" if view.page else ""))
        if view.trouble:
            say(f"  ! {view.trouble}")
        if view.refresh_trouble:
            say(f"  ! metadata: {view.refresh_trouble}")
            _show_next_try(view.refresh_retry_at)
        for folder in view.folders:
            _show_watch(folder)
        if view.last_refresh or view.next_refresh:
            last, following = instant(view.last_refresh), instant(view.next_refresh)
            _show_times(last, following)
        if view.facts is not None:
            _show_page(view.facts)
        for file in view.files:
            if ignored or str(file.state) != "ignored":
                show_file(file)
        if not view.files:
            say("  (no file yet)")
        say()
    counts = ", ".join(
        in_words(f"{count} {state}") for state, count in sorted(summary(views).items())
    )
    say(counts or "Nothing to publish: the folders are empty.")


def _show_watch(folder: Mapping[str, object]) -> None:
    """Print how the running service watches a folder, when somebody may want to know."""
    watch = folder.get("watch")
    if not isinstance(watch, dict) or (watch["mode"] != "degraded" and not watch["losses"]):
        return
    line = f"  watching {single_line(str(folder['path']))}: {watch['mode']}, since {watch['since']}"
    say(line)
    if watch["losses"]:
        say(
            f"      lost sight once, because {watch['last_loss']}"
            if watch["losses"] == 1
            else f"      lost sight {watch['losses']} times, last because {watch['last_loss']}"
        )
    if watch["why"]:
        say(f"      {watch['why']} It is looked at regularly instead; nothing is lost but time.")


def show_pages(pages: Sequence[Mapping[str, object]]) -> None:
    """Print the organisations and reuses that are kept in step."""
    for page in pages:
        name, title = page["name"], page["title"]
        say(f"{page['page']}: {title or name}" + (f"  {page['url']}" if page["url"] else ""))
        if page["refresh_trouble"]:
            say(f"  ! {page['refresh_trouble']}")
            _show_next_try(page["refresh_retry_at"])
        last, following = page["last_refresh"], page["next_refresh"]
        _show_times(last, following)
        _show_fields(page["drifts"], page["held_fields"])


def _show_times(last: object, following: object) -> None:
    """When the page was brought in step, and when it will be."""
    following = following or "when its settings change"
    say(f"  metadata refreshed: {last or 'never'}; next: {following}")


def _show_fields(drifts: Any, held_fields: Any) -> None:
    """What a colleague changed and is kept, and what waits for a person."""
    for held in held_fields:
        field, why = held["field"], held["why"]
        ours, theirs = written(held["ours"]), written(held["theirs"])
        say(f"  ! {field} is held: {why}")
        say(f"      configured: {ours}; on the portal: {theirs}")
    for drift in drifts:
        field, ours, theirs = drift["field"], written(drift["ours"]), written(drift["theirs"])
        say(f"  = {field}: a colleague's is kept: {theirs}; configured: {ours}")


def _show_page(facts: DatasetFacts) -> None:
    """What a refresh learned of the dataset's page, and what a producer can do about it."""
    _show_fields(facts.drifts, facts.held_fields)
    words = [
        {**one, "field": f"{single_line(str(one['path']))}: {one['field']}"}
        for one in facts.resource_words
    ]
    _show_fields([one for one in words if not one["why"]], [one for one in words if one["why"]])
    if facts.owner or facts.reuses:
        owner, reuses = facts.owner or "-", facts.reuses or 0
        say(f"  organization: {owner}; reuses: {reuses}")
    if facts.quality is not None:
        say(f"  quality on the portal: {facts.quality:.0%}")
    if facts.views or facts.downloads:
        say(f"  visits: {facts.views or 0}; downloads: {facts.downloads or 0}")
    for counted in facts.months[:2]:
        month, visits, downloads = (counted[key] for key in ("month", "visits", "downloads"))
        say(f"      in {month}: visits {visits}, downloads {downloads}")
    for missing in facts.missing:
        say(f"      to earn a point: {missing}")
    if facts.late:
        say(f"  ! {facts.late}")
    for problem in facts.problems:
        say(f"  ! {problem['title']}: {problem['why']}")
        say(f"      {problem['url']}")


def written(value: object) -> str:
    """A value on one line."""
    return "nothing" if value is None else json.dumps(value, ensure_ascii=False)


def show_file(file: FileView) -> None:
    """Print one file: its state, its link, and why."""
    mark = _MARKS[str(file.state)]
    line = f"  {mark} {in_words(str(file.state)):<9} {single_line(readable_path(file.key.path))}"
    if file.since:
        line += "  " + _words("since {instant}", instant=instant(file.since))
    say(line)
    if file.url and str(file.state) != "ignored":
        say(f"      {file.url}")
    if file.why:
        say(f"      {file.why}")
        if file.retry_at:
            _show_next_try(file.retry_at)


def _show_next_try(at: object) -> None:
    """When it is tried again by itself, if it is."""
    said = instant(at) if isinstance(at, float) else at
    if said:
        say(f"      Next try: {said}")


def table(rows: Iterable[Sequence[str]]) -> None:
    """Print rows with aligned columns."""
    kept = [tuple(map(str, row)) for row in rows]
    if not kept:
        return
    widths = [max(len(row[column]) for row in kept) for column in range(len(kept[0]))]
    for row in kept:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
