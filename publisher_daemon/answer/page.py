"""The words of the answer, as HTML that any browser and reader can use, and as plain text.

No script, no style sheet, no address but the portal's: the page is opened from a share. Names come
from whoever can write there, so every one is escaped, isolated from the direction of the text
around it, and kept on one line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from zoneinfo import ZoneInfo

from publisher_daemon.log import redact, single_line
from publisher_daemon.model import State
from publisher_daemon.naming import ANSWERS
from publisher_daemon.status import DatasetView, FileView, readable_path
from publisher_daemon.words import Words

#: How the answer's own temporary files begin.
PREFIX = ".publisher-daemon-"
#: What a person must see first.
_ORDER = tuple(
    State(one) for one in ("failed", "held", "pending", "published", "kept", "withdrawn", "ignored")
)
#: Files a page names; a folder of 100,000 would be a page nobody can open.
MOST = 2000
_MARKS = {
    State.FAILED: "✗", State.HELD: "!", State.PENDING: "…", State.PUBLISHED: "✓",
    State.KEPT: "=", State.WITHDRAWN: "-", State.IGNORED: "·",
}  # fmt: skip

_STYLE = """
:root { color-scheme: light dark }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 1.5rem auto; max-width: 70rem; padding: 0 1rem;
  color: #1b1b1b; background: #fff }
a { color: #00439c } table { border-collapse: collapse; width: 100% }
caption, th, td { text-align: left; vertical-align: top }
caption { padding: .5rem 0 } th, td { padding: .4rem .6rem; border-bottom: 1px solid #8a8a8a }
td:nth-child(2) { white-space: nowrap }
td, th[scope=row] { overflow-wrap: anywhere } th[scope=row] { font-weight: normal }
.failed, .held { font-weight: bold; color: #9c0000 }
@media (prefers-color-scheme: dark) { body { color: #eee; background: #161616 }
  a { color: #9ec5ff } .failed, .held { color: #ffb3b3 } }
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one folder has to say."""

    view: DatasetView
    folder: str
    words: Words
    timezone: str
    contact: str | None = None

    @property
    def files(self) -> list[FileView]:
        """This folder's files, what needs somebody first."""
        mine = [
            file
            for file in self.view.files
            if file.key.folder == self.folder and not _is_ours(file.key.path)
        ]
        return sorted(mine, key=lambda file: (_ORDER.index(file.state), file.key.path))

    def day(self, at: float | None) -> str:
        """An instant as people of that place and language write it; nothing for none."""
        if at is None:
            return ""
        form = "%d/%m/%Y %H:%M" if self.words.language == "fr" else "%Y-%m-%d %H:%M"
        return datetime.fromtimestamp(at, UTC).astimezone(ZoneInfo(self.timezone)).strftime(form)

    def reason(self, file: FileView) -> str:
        """Why, and what to do, on one line."""
        return single_line(self.words.of(file.why)) if file.why else ""

    def heading(self) -> str:
        """What the page is about."""
        title = single_line(self.view.title or self.view.dataset)
        return self.words("Publication of “{title}”", title=title)

    def summary(self) -> str:
        """How it stands, in one sentence."""
        words, files = self.words, self.files
        bad = sum(file.state in {State.FAILED, State.HELD} for file in files)
        if self.view.trouble:
            return single_line(words.of(self.view.trouble))
        if bad:
            return words.count(
                "{count} file is not published and needs attention.",
                "{count} files are not published and need attention.",
                bad,
            )
        if any(file.state is State.PENDING for file in files):
            return words("Some files are on their way; nothing needs to be done.")
        return words("Everything is published.")


def _is_ours(path: str) -> bool:
    return path.startswith(PREFIX) or path in ANSWERS


def _name(file: FileView) -> str:
    return single_line(readable_path(file.key.path))


def text_page(answer: Answer, now: float) -> str:
    """The answer as plain text."""
    words = answer.words
    lines = [answer.heading(), "=" * len(answer.heading()), "", answer.summary(), ""]
    for file in answer.files[:MOST]:
        lines.append(f"{_MARKS[file.state]} {_name(file)}{words(': ')}{words(str(file.state))}")
        lines += [f"    {answer.day(file.since)}"] if file.since else []
        lines += [f"    {_meanwhile(answer, file)}{file.url}"] if _linked(file) else []
        lines += [f"    {answer.reason(file)}"] if file.why else []
    return redact("\n".join([*lines, *_more(answer), "", *_foot(answer, now), ""]))


def html_page(answer: Answer, now: float) -> str:
    """The answer as a page."""
    words, heading = answer.words, escape(answer.heading())
    columns = (words("File"), words("State"), words("Since"), words("Link, or what to do"))
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    rows = "\n".join(_row(answer, file) for file in answer.files[:MOST])
    page = answer.view.page
    about = (
        f'<p><a href="{escape(page)}">{escape(words("The dataset on the portal"))}</a></p>'
        if page and _is_web(page)
        else ""
    )
    foot = "\n".join(f"<p>{escape(line)}</p>" for line in (*_more(answer), *_foot(answer, now)))
    return redact(f"""<!DOCTYPE html>
<html lang="{answer.words.language}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{heading}</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>{heading}</h1>
<p>{escape(answer.summary())}</p>
{about}
<table>
<caption>{escape(words("Each file of this folder"))}</caption>
<thead><tr>{head}</tr></thead>
<tbody>
{rows}
</tbody>
</table>
</main>
<footer>
{foot}
</footer>
</body>
</html>
""")


def _row(answer: Answer, file: FileView) -> str:
    state = answer.words(str(file.state))
    last: list[str] = []
    if _linked(file):
        link = f'<a href="{escape(str(file.url))}">{escape(str(file.url))}</a>'
        last.append(escape(_meanwhile(answer, file)) + link)
    if file.why:
        last.append(escape(answer.reason(file)))
    return (
        f'<tr><th scope="row"><bdi>{escape(_name(file))}</bdi></th>'
        f'<td class="{file.state}"><span aria-hidden="true">{_MARKS[file.state]}</span> '
        f"{escape(state)}</td><td>{answer.day(file.since)}</td><td>{'<br>'.join(last)}</td></tr>"
    )


def _linked(file: FileView) -> bool:
    return bool(file.url) and file.state is not State.IGNORED and _is_web(str(file.url))


def _meanwhile(answer: Answer, file: FileView) -> str:
    """What the link of a file that waits leads to: not to what the person just put there."""
    waits = file.state in {State.FAILED, State.HELD, State.PENDING}
    return answer.words("Still online, as it was: ") if waits else ""


def _is_web(url: str) -> bool:
    return url.startswith(("https://", "http://"))


def _more(answer: Answer) -> Iterator[str]:
    left = len(answer.files) - MOST
    if left > 0:
        yield answer.words("… and {count} more files.", count=left)


def _foot(answer: Answer, now: float) -> Sequence[str]:
    words = answer.words
    asked = [words("Whom to ask: {contact}", contact=answer.contact)] if answer.contact else []
    quoted = any("`" in file.why for file in answer.files[:MOST] if file.why)
    theirs = (
        [words("What is written `like this` is for the administrator of the service.")]
        if quoted
        else []
    )
    return [*theirs, *asked, words("Written by publisher-daemon on {day}.", day=answer.day(now))]
