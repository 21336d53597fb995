"""Who is told what, and when: never a storm, never silence, never twice."""

from __future__ import annotations

import random

import pytest

from publisher_daemon.alerts import Bounds, Concern, Decision, Kind, Memory, Topic, Writer, decide
from publisher_daemon.daemon.concerns import of_key
from publisher_daemon.words import Words

HOUR, DAY = 3600.0, 86400.0
BOUNDS = Bounds()


def file(
    name: str = "a.csv", folder: str = "air", *, since: float = 0.0, patience: float = 0.0
) -> Concern:
    return Concern(
        Topic(Kind.FILES, "d1", folder), name, "The folder cannot be read.", since, patience,
        title="Air", page="https://portal/air",
    )  # fmt: skip


def what(decision: Decision) -> tuple[int, int, int]:
    return len(decision.begun), len(decision.digest), len(decision.over)


def test_what_begins_is_told_at_once_and_only_once() -> None:
    memory = Memory(0.0)

    told = [what(decide(memory, [file()], now, BOUNDS)) for now in (0.0, 30.0, HOUR, 23 * HOUR)]

    assert told == [(1, 0, 0), (0, 0, 0), (0, 0, 0), (0, 0, 0)]


def test_what_may_end_by_itself_is_told_after_its_patience() -> None:
    memory, concern = Memory(0.0), file(since=0.0, patience=900.0)

    assert what(decide(memory, [concern], 899.0, BOUNDS)) == (0, 0, 0)
    assert what(decide(memory, [concern], 900.0, BOUNDS)) == (1, 0, 0)


def test_more_of_the_same_waits_for_the_digest_which_comes_daily() -> None:
    memory = Memory(0.0)
    decide(memory, [file()], 0.0, BOUNDS)
    many = [file(f"{number}.csv") for number in range(500)]

    assert what(decide(memory, many, HOUR, BOUNDS)) == (0, 0, 0)
    assert what(decide(memory, many, DAY, BOUNDS)) == (0, 500, 0)
    assert what(decide(memory, many, DAY + HOUR, BOUNDS)) == (0, 0, 0)
    assert what(decide(memory, many, 2 * DAY, BOUNDS)) == (0, 500, 0)


def test_it_is_over_once_it_has_been_for_a_while() -> None:
    memory = Memory(0.0)
    decide(memory, [file()], 0.0, BOUNDS)

    assert what(decide(memory, [], HOUR, BOUNDS)) == (0, 0, 0)
    assert what(decide(memory, [], HOUR + BOUNDS.calm, BOUNDS)) == (0, 0, 1)
    assert what(decide(memory, [], 2 * HOUR, BOUNDS)) == (0, 0, 0)


def test_what_nobody_was_told_of_is_not_told_to_be_over() -> None:
    memory, concern = Memory(0.0), file(since=0.0, patience=900.0)
    decide(memory, [concern], 0.0, BOUNDS)

    assert what(decide(memory, [], HOUR, BOUNDS)) == (0, 0, 0)


def test_what_comes_and_goes_is_told_once_a_day() -> None:
    memory, begun, over = Memory(0.0), 0, 0
    for minute in range(24 * 60):
        concerns = [file()] if minute // 30 % 2 else []
        decision = decide(memory, concerns, minute * 60.0, BOUNDS)
        begun, over = begun + bool(decision.begun), over + bool(decision.over)

    assert (begun, over) == (1, 1)


def test_the_end_of_the_key_is_told_of_once_at_thirty_seven_and_one_days() -> None:
    memory, ends, told = Memory(0.0), 40 * DAY, list[tuple[int, str]]()

    for hour in range(40 * 24):
        now = hour * HOUR
        decision = decide(memory, list(of_key(now, ends)), now, BOUNDS)
        every = [*decision.begun, *decision.digest]
        told += [(round((ends - now) / DAY), concern.topic.name) for concern in every]

    assert told == [(30, "30"), (7, "7"), (1, "1")]


@pytest.mark.parametrize("seed", range(4))
def test_whatever_happens_a_day_has_at_most_thirteen_messages_and_nothing_is_forgotten(
    seed: int,
) -> None:
    chance, memory, sent = random.Random(seed), Memory(0.0), list[float]()
    here: set[str] = set()
    told: set[str] = set()
    for tick in range(3 * 24 * 6):
        now = tick * 600.0
        here ^= {f"folder {chance.randrange(60)}" for _ in range(chance.randrange(4))}
        decision = decide(memory, [file(folder=name) for name in sorted(here)], now, BOUNDS)
        sent += [now] * sum(map(bool, (decision.begun, decision.digest, decision.over)))
        told |= {one.topic.name for one in (*decision.begun, *decision.digest)}
        # a crash between two rounds loses nothing
        if tick % 20 == 0:
            memory = Memory.from_json(memory.as_json())

    for start in sent:
        assert sum(start <= at < start + DAY for at in sent) <= 14  # a digest at each end
    # all that has lasted a day was told of
    assert decide(memory, [file(folder=name) for name in sorted(here)], 9 * DAY, BOUNDS).digest
    assert len(told) > 40


def writer(language: str = "fr", contact: str | None = "Zoé, poste 12") -> Writer:
    words = Words("fr") if language == "fr" else Words()
    return Writer(words, host="srv1", contact=contact, timezone="Europe/Paris")


def test_a_letter_says_what_happened_what_stays_what_to_do_whom_to_ask_and_where() -> None:
    published = Concern(
        Topic(Kind.FILES, "d1", "air"), "b.csv", "Give the whole path.", 0.0, title="Air",
        page="https://portal/air", link="https://portal/r/1", published_at=1795248000.0,
    )  # fmt: skip

    subject, body = writer().begun([file(), published])

    assert subject == "[publisher-daemon srv1] 2 fichiers de «\u00a0Air\u00a0» ne sont pas publiés"
    assert "- a.csv\u00a0: Le dossier est illisible." in body
    assert "a.csv\u00a0: rien encore." in body
    assert (
        "b.csv\u00a0: ce qui a été publié le 21/11/2026 09:00 reste en ligne\n  https://portal/r/1"
        in body
    )
    assert "publisher-daemon retry" in body
    assert "À qui demander\u00a0: Zoé, poste 12" in body
    assert "https://portal/air" in body


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("language", ["en", "fr"])
def test_every_kind_has_its_words(kind: Kind, language: str) -> None:
    topic = Topic(kind, "d1", "7")
    concern = Concern(topic, "", "why", 0.0, title="Air")
    memory = Memory(0.0)
    decide(memory, [concern], 0.0, BOUNDS)
    decide(memory, [], DAY, BOUNDS)
    over = decide(memory, [], 2 * DAY, BOUNDS).over

    subject, body = writer(language).begun([concern])

    assert subject
    assert "{" not in subject + body
    assert "{" not in "".join(writer(language).over(over))


def test_a_letter_about_a_thousand_files_is_short() -> None:
    _, body = writer("en").digest([file(f"{number}.csv") for number in range(1000)])

    assert "and 980 more" in body
    assert len(body) < 3000
