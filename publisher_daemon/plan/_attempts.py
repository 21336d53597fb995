"""Open attempts: what was asked and never answered is looked for before anything is decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import assert_never

from publisher_daemon.model import Abandon, Adopt, Attempt, Entry, Forget, Policy, State, Words
from publisher_daemon.naming import identity_path
from publisher_daemon.plan._desk import Desk, served_name

#: Bytes a second below which no portal commits: an answerless upload of ``size`` bytes is given
#: up after ``grace + size / SLOWEST_COMMIT`` (measured: 2-3 s per GiB, uploading.md §4).
SLOWEST_COMMIT = 10 * 1024 * 1024


def deadline(attempt: Attempt, policy: Policy) -> float:
    """The instant after which an answerless attempt cannot be done by the portal any more."""
    size = attempt.fingerprint.size if attempt.fingerprint else 0
    sent_at = attempt.started_at if attempt.sent_at is None else attempt.sent_at
    return sent_at + policy.grace + size / SLOWEST_COMMIT


def answer_attempts(desk: Desk) -> None:
    """Law 2: what may have been done is answered before anything else is decided."""
    for attempt in sorted(desk.record.attempts, key=lambda attempt: attempt.id):
        match attempt.kind:
            case "upload":
                _answer_upload(desk, attempt)
            case "replace":
                _answer_replace(desk, attempt)
            case "withdraw":
                _answer_withdraw(desk, attempt)
            case "describe" | "identify":
                _answer_words(desk, attempt)
            case "create":
                pass  # of a dataset, not of a file: answered before there is anything to plan
            case _:
                assert_never(attempt.kind)


def _answer_upload(desk: Desk, attempt: Attempt) -> None:
    candidates = [
        found
        for found in desk.unclaimed(desk.by_bytes.get(attempt.fingerprint, ()))
        if attempt.sent
        # ours is served under the name that we sent, whatever became of its title; another one may
        # be another lost upload of the same bytes, or a colleague's
        and served_name(found) == attempt.name
        and found.filetype == "file"
        and (found.source is None or found.source[1] == identity_path(attempt.key.path))
    ]
    candidates.sort(key=lambda found: (found.source is None, found.title != attempt.name, found.id))
    if candidates and attempt.fingerprint:
        found = candidates[0]
        desk.claim(found, attempt.key)
        entry = Entry(
            key=attempt.key,
            resource=found.id,
            fingerprint=attempt.fingerprint,
            stamp=attempt.stamp,
            permalink=found.permalink,
            applied=Words(title=attempt.title),
            restore=attempt.title,
            reset_to=attempt.name,
            published_at=desk.now,
        )
        desk.act(Adopt(entry, "an upload whose answer was lost had been done", attempt.id))
    else:
        _wait_or_abandon(desk, attempt)


def _answer_replace(desk: Desk, attempt: Attempt) -> None:
    found = desk.resources.get(attempt.resource) if attempt.resource else None
    entry = desk.record.entries.get(attempt.key)
    if (
        found is not None
        and entry is not None
        and attempt.sent
        and attempt.fingerprint is not None
        and found.fingerprint == attempt.fingerprint
    ):
        after = replace(
            entry,
            fingerprint=attempt.fingerprint,
            stamp=attempt.stamp,
            permalink=found.permalink,
            restore=attempt.title,
            reset_to=attempt.name,
            gone_since=None,
            published_at=desk.now,
        )
        desk.act(Adopt(after, "a replacement whose answer was lost had been done", attempt.id))
    elif found is None:
        desk.act(Abandon(attempt, "the resource is gone"))
    else:
        # its old bytes, or a colleague's: ours may still come over them
        _wait_or_abandon(desk, attempt)


def _answer_withdraw(desk: Desk, attempt: Attempt) -> None:
    if attempt.resource is None or attempt.resource not in desk.resources:
        entry = desk.record.entries.get(attempt.key)
        if entry is not None and entry.resource == attempt.resource:
            desk.act(Forget(entry.key, entry.resource, "withdrawn"))
        desk.act(Abandon(attempt, "the withdrawal had been done"))
    else:
        _wait_or_abandon(desk, attempt)


def _answer_words(desk: Desk, attempt: Attempt) -> None:
    found = desk.resources.get(attempt.resource) if attempt.resource else None
    meant = attempt.words.said()
    written = found is not None and meant.items() <= found.words(attempt.words).said().items()
    if found is None or (written and attempt.kind == "describe"):
        if found is not None:
            _own_the_words(desk, attempt, meant)
        desk.act(Abandon(attempt, "the words are there, or the resource is gone"))
    else:
        _wait_or_abandon(desk, attempt)


def _own_the_words(desk: Desk, attempt: Attempt, meant: Mapping[str, str]) -> None:
    """Remember, before the attempt is closed, that these words of the portal's are ours.

    If other ones are wanted by now (the file was renamed, the configuration changed), they would
    be taken for a colleague's, and kept.
    """
    entry = desk.record.entries.get(attempt.key)
    if entry is None or entry.resource != attempt.resource:
        return
    # a title that was put back is whoever's it was before
    ours = {
        name: value for name, value in meant.items() if name != "title" or value != entry.restore
    }
    applied = Words.of(entry.applied.said() | ours)
    if applied != entry.applied:
        after = replace(entry, applied=applied, restore=None, reset_to=None)
        desk.act(Adopt(after, "words whose answer was lost had been written"))


def _wait_or_abandon(desk: Desk, attempt: Attempt) -> None:
    """Adopt at once, abandon late (law 3); an attempt whose end was never sent did nothing."""
    until = deadline(attempt, desk.policy)
    if attempt.sent and desk.now < until:
        desk.hold(
            attempt.key,
            "outcome_unknown",
            "The portal did not answer; it may still be doing what was asked. Looking again "
            "before sending anything, so that nothing is published twice.",
            until,
            State.PENDING,
        )
    else:
        desk.act(Abandon(attempt, "the portal has not done it"))
