"""Writes a letter: what happened, what is on the portal now, what to do, whom to ask, the link.

For somebody who never sees a terminal, and for the administrator who gets it at night: the subject
alone must say what it is about.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import groupby
from zoneinfo import ZoneInfo

from publisher_daemon.alerts.values import Concern, Kind, Told, Topic
from publisher_daemon.words import Words

#: Files named in one letter; the others are counted.
MOST = 20
_RULE = "-" * 60


class Writer:
    """Writes in one language, for one machine."""

    def __init__(self, words: Words, *, host: str, contact: str | None, timezone: str) -> None:
        self._words = words
        self._host = host
        self._contact = contact
        self._zone = ZoneInfo(timezone)

    def begun(self, concerns: Sequence[Concern]) -> tuple[str, str]:
        """Subject and body about what needs somebody."""
        topics = _grouped(concerns)
        subject = self._headline(topics[0])
        if len(topics) > 1:
            subject = self._words.count(
                "{count} thing needs attention", "{count} things need attention", len(topics)
            )
        return self._subject(subject), self._letter(topics)

    def digest(self, concerns: Sequence[Concern]) -> tuple[str, str]:
        """The same about what goes on."""
        topics = _grouped(concerns)
        subject = self._words.count(
            "{count} thing still needs attention",
            "{count} things still need attention",
            len(topics),
        )
        return self._subject(subject), self._letter(topics)

    def over(self, topics: Sequence[tuple[Topic, Told]]) -> tuple[str, str]:
        """Subject and body about what is well again."""
        words = self._words
        lines = [self._well(topic, told) for topic, told in topics]
        subject = words("Back to normal: {what}", what=lines[0])
        if len(lines) > 1:
            subject = words.count(
                "{count} thing is back to normal", "{count} things are back to normal", len(lines)
            )
        body = [words("Back to normal; there is nothing to do:"), *(f"- {line}" for line in lines)]
        links = dict.fromkeys(told.page for _, told in topics if told.page)
        body += ["", *links] if links else []
        return self._subject(subject), "\n".join([*body, "", *self._foot()])

    def day(self, at: float) -> str:
        """An instant as people of that place and language write it."""
        form = "%d/%m/%Y %H:%M" if self._words.language == "fr" else "%Y-%m-%d %H:%M"
        return datetime.fromtimestamp(at, UTC).astimezone(self._zone).strftime(form)

    # ---------------------------------------------------------------------------------- pieces

    def _subject(self, text: str) -> str:
        return f"[publisher-daemon {self._host}] {text}"

    def _foot(self) -> list[str]:
        words = self._words
        asked = [words("Whom to ask: {contact}", contact=self._contact)] if self._contact else []
        return [*asked, words("Sent by publisher-daemon on {host}.", host=self._host)]

    def _letter(self, topics: Sequence[Sequence[Concern]]) -> str:
        parts = [self._section(found) for found in topics]
        return f"\n\n{_RULE}\n\n".join(parts) + "\n\n" + "\n".join(self._foot())

    def _section(self, found: Sequence[Concern]) -> str:
        words, first = self._words, found[0]
        named = found[:MOST]
        lines = [self._headline(found), "", words("What happened")]
        for reason, same in groupby(sorted(named, key=lambda one: one.why), lambda one: one.why):
            items = [one.item for one in same if one.item]
            said = words.of(reason)
            lines += [f"- {', '.join(items)}{words(': ')}{said}" if items else f"- {_begun(said)}"]
        if len(found) > len(named):
            lines.append(words("- … and {count} more.", count=len(found) - len(named)))
        lines += ["", words("On the portal now"), *self._on_portal(named)]
        lines += ["", words("What to do"), f"- {self._remedy(first.topic.kind)}"]
        return "\n".join([*lines, "", first.page] if first.page else lines)

    def _on_portal(self, found: Sequence[Concern]) -> list[str]:
        words = self._words
        if found[0].topic.kind is not Kind.FILES and not found[0].published_at:
            return ["- " + words("What is published stays published, as it is.")]
        lines = []
        for one in found:
            if one.published_at is None:
                lines.append("- " + words("{item}: nothing yet.", item=one.item))
                continue
            day = self.day(one.published_at)
            stays = words("what was published on {day} stays", day=day)
            lines.append(f"- {one.item}{words(': ')}{stays}" if one.item else f"- {_begun(stays)}.")
            lines += [f"  {one.link}"] if one.link else []
        return lines

    def _headline(self, found: Sequence[Concern]) -> str:
        words, first = self._words, found[0]
        title, name = first.title or first.topic.dataset, first.topic.name
        match first.topic.kind:
            case Kind.FILES:
                return words.count(
                    "{count} file of “{title}” is not published",
                    "{count} files of “{title}” are not published",
                    len(found),
                    title=title,
                )
            case Kind.FOLDER:
                return words("The folder of “{title}” cannot be used", title=title)
            case Kind.DATASET:
                return words("Nothing can be published on “{title}”", title=title)
            case Kind.METADATA:
                return words("The page of “{title}” is not as configured", title=title)
            case Kind.PORTAL:
                return words("The portal is not available: publishing waits")
            case Kind.KEY_REFUSED:
                return words("The portal refuses the API key: nothing is published")
            case Kind.KEY_ENDS:
                return words.count(
                    "The API key ends in less than {count} day",
                    "The API key ends in less than {count} days",
                    int(name),
                )
            case Kind.LATE:
                return words("“{title}” is late, says the portal", title=title)
            case Kind.EXPECTED:
                return words("An expected file of “{title}” did not come", title=title)

    def _well(self, topic: Topic, told: Told) -> str:
        words, title = self._words, told.title or topic.dataset
        match topic.kind:
            case Kind.FILES:
                return words("every file of “{title}” is published", title=title)
            case Kind.FOLDER:
                return words("the folder of “{title}” is back", title=title)
            case Kind.DATASET:
                return words("“{title}” can be published on again", title=title)
            case Kind.METADATA:
                return words("the page of “{title}” is as configured", title=title)
            case Kind.PORTAL:
                return words("the portal is available again")
            case Kind.KEY_REFUSED:
                return words("the portal accepts the API key")
            case Kind.KEY_ENDS:
                return words("the API key does not end soon")
            case Kind.LATE:
                return words("“{title}” is up to date, says the portal", title=title)
            case Kind.EXPECTED:
                return words("the expected file of “{title}” came", title=title)

    def _remedy(self, kind: Kind) -> str:
        words = self._words
        match kind:
            case Kind.FILES:
                return words(
                    "If something is to be done, the reason says it; the file then goes up by "
                    "itself, or at once with `publisher-daemon retry`."
                )
            case Kind.FOLDER:
                return words(
                    "Mount or restore the folder; nothing is withdrawn meanwhile, and the service "
                    "goes on by itself."
                )
            case Kind.DATASET:
                return words("Do what the reason says; the files then go up by themselves.")
            case Kind.METADATA:
                return words("Do what the reason says; the page is then written by itself.")
            case Kind.PORTAL:
                return words(
                    "Nothing for now: it goes on by itself. If it lasts, `publisher-daemon check` "
                    "says whether it is the network, the proxy or the portal."
                )
            case Kind.KEY_REFUSED | Kind.KEY_ENDS:
                return words(
                    "Make a new key in the portal's account page, put it in place of this one and "
                    "restart the service."
                )
            case Kind.LATE:
                return words(
                    "Put the new data in the folder, or change how often the dataset says that it "
                    "is updated."
                )
            case Kind.EXPECTED:
                return words(
                    "Ask whoever writes the file; once it is in the folder, it goes up by itself."
                )


def _begun(sentence: str) -> str:
    """A reason may go on after something else, and then begins small."""
    return sentence[:1].upper() + sentence[1:]


def _grouped(concerns: Iterable[Concern]) -> list[list[Concern]]:
    """Concerns by topic, each topic once, in the order of the kinds."""
    order = list(Kind)
    kept = sorted(concerns, key=lambda one: (order.index(one.topic.kind), one.topic, one.item))
    return [list(found) for _, found in groupby(kept, key=lambda one: one.topic)]
