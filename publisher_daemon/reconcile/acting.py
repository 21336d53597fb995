"""Does the actions of a plan: intent, request, record, and a look at what is served."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

import structlog
from structlog.contextvars import bound_contextvars

from publisher_daemon.errors import (
    FileUnreadable,
    FolderUnreadable,
    OutcomeUnknown,
    PortalError,
    SourceChanged,
)
from publisher_daemon.model import (
    Abandon,
    Action,
    Adopt,
    Attempt,
    AttemptKind,
    DatasetId,
    Describe,
    Entry,
    Folderful,
    Forget,
    Hold,
    Identify,
    Keep,
    Published,
    Record,
    Remote,
    RemoteResource,
    Rename,
    Replace,
    ResourceKey,
    SourceFile,
    Stamp,
    Standing,
    State,
    Upload,
    Withdraw,
    Words,
)
from publisher_daemon.naming import readable
from publisher_daemon.plan import action_key, plan
from publisher_daemon.reconcile.answers import detail_of
from publisher_daemon.reconcile.failures import Failures
from publisher_daemon.reconcile.ports import Folder, Ledger, Portal, Source, Versions
from publisher_daemon.reconcile.sending import Divided, Sender, Sent
from publisher_daemon.reconcile.standings import withdrawn
from publisher_daemon.reconcile.turn import Pass, Stoppable, StopPass
from publisher_daemon.retry import Kind, next_try

log = structlog.get_logger(__name__)

#: Times a published link may fail to serve its bytes before the file is sent again.
UNVERIFIED_LIMIT = 3


class Actor:
    """Applies one action after the other; what fails goes to ``Failures``."""

    def __init__(
        self,
        *,
        portal: Portal,
        ledger: Ledger,
        folders: Mapping[tuple[DatasetId, str], Folder],
        failures: Failures,
        sender: Sender,
        clock: Callable[[], float],
        jitter: Callable[[], float],
        cut: Callable[[], bool],
        versions: Versions | None = None,
    ) -> None:
        self._versions = versions
        self._portal = portal
        self._ledger = ledger
        self._folders = folders
        self._failures = failures
        self._sender = sender
        self._clock = clock
        self._jitter = jitter
        self._cut = cut
        #: the journeys that still wait for their link to serve the file
        self._unverified: dict[ResourceKey, str] = {}

    def apply(self, run: Pass, action: Action) -> bool:
        """Do one action: True when something changed. Raises StopPass when nothing else can."""
        with bound_contextvars(journey=run.journey(action_key(action))):
            return self._apply(run, action)

    def adopt(self, run: Pass, actions: Sequence[Adopt]) -> None:
        """Remember all of these, which answer no attempt, at once."""
        self._ledger.adopt(
            [action.entry for action in actions],
            now=self._clock(),
            details=[{"why": action.why} for action in actions],
        )
        for action in actions:
            run.own(action.entry)
            run.done.append(action)
            log.info(
                "resource.adopted",
                path=readable(action.entry.key.path),
                journey=run.journey(action.entry.key),
                resource_id=action.entry.resource,
                why=action.why,
            )

    def _apply(self, run: Pass, action: Action) -> bool:
        try:
            match action:
                case Upload() | Replace():
                    self._publish(run, action)
                case Describe() | Identify():
                    self._tell(run, action)
                case Withdraw():
                    self._withdraw(run, action)
                case Adopt() | Rename() | Abandon() | Forget() | Keep():
                    self._note(run, action)
        except SourceChanged as moved:
            run.dropped[action_key(action)] = Hold(
                action_key(action),
                "not_settled",
                f"The file changed while it was being read ({moved.message}); waiting until it is "
                "still.",
                self._clock() + 1.0,
                State.PENDING,
            )
            return False
        except FileUnreadable as unreadable:
            key = action_key(action)
            run.dropped[key] = self._failures.unreadable(run, key, unreadable)
            return False
        except FolderUnreadable as gone:
            raise StopPass(gone.sentence, self._clock() + 5.0, "folder_unreadable") from gone
        except PortalError as error:
            return self._failures.handle(run, action, error)
        run.done.append(action)
        return True

    def _publish(self, run: Pass, action: Upload | Replace) -> None:
        """Send the bytes, then the words, then see that they are served."""
        file = action.file
        started = self._clock()
        target = action.resource if isinstance(action, Replace) else None
        title = action.title if isinstance(action, Replace) else file.words.title
        with self._opened(run, file) as (source, keep):
            self._say_noticed(run, action)
            attempt, sent = self._sent(run, action, source)
            keep()
        found = sent.resource
        run.resources[found.id] = found
        before = run.record.entries.get(file.key)
        holds = found.fingerprint or file.fingerprint
        entry = Entry(
            key=file.key,
            resource=found.id,
            fingerprint=holds,
            # what the portal holds is not the file: a stamp would say that it is
            stamp=file.stamp if holds == file.fingerprint else None,
            permalink=found.permalink,
            applied=before.applied if before else Words(title=file.words.title),
            restore=title,
            reset_to=file.name,
            published_at=self._clock(),
        )
        event = "resource.created" if target is None else "resource.replaced"
        seconds = round(self._clock() - started, 3)
        self._ledger.finish(
            attempt, entry, now=self._clock(), action=event,
            detail={
                "seconds": seconds,
                "url": found.permalink,
                "journey": run.journey(file.key),
                **sent.how,
                **({"rolled_back": True} if file.rolled_back else {}),
            },
        )  # fmt: skip
        if file.key in run.record.rollbacks and not file.rolled_back:
            self._ledger.end_rollback(file.key)
        log.info(
            event,
            path=readable(file.key.path),
            folder=file.key.folder,
            resource_id=found.id,
            sha1=entry.fingerprint.sha1,
            size=entry.fingerprint.size,
            seconds=seconds,
            url=found.permalink,
            **sent.how,
            **({"rolled_back": True} if file.rolled_back else {}),
        )
        run.published.append(
            Published(file.key, entry.fingerprint.size, seconds, created=target is None)
        )
        run.failed.pop(file.key, None)
        if entry.fingerprint != file.fingerprint:
            self._hold_other_bytes(run, entry, file.stamp)
            return
        described = self._words_now(run, file, entry, found)
        self._verify(run, entry, run.resources[found.id], ask=not described)

    @contextmanager
    def _opened(self, run: Pass, file: SourceFile) -> Iterator[tuple[Source, Callable[[], None]]]:
        """The bytes to send, and how to keep them once they are published."""
        versions = self._versions
        if file.rolled_back and versions is not None:
            opening = versions.open(file.fingerprint)
        else:
            folder = self._folders[run.dataset, file.key.folder]
            opening = folder.open(file.key.path, file.stamp)
        with opening as opened:
            source = Stoppable(opened, self._cut)
            if versions is None:
                yield source, lambda: None
                return
            entry = run.record.entries.get(file.key)
            before = entry.fingerprint if entry else None
            with versions.keeping(source, file.fingerprint, before) as keeper:
                yield keeper, keeper.commit

    @staticmethod
    def _say_noticed(run: Pass, action: Upload | Replace) -> None:
        """Tell what a check noticed in what goes out all the same."""
        for finding in action.noticed:
            log.warning(
                "check.warned",
                path=readable(action.file.key.path),
                journey=run.journey(action.file.key),
                code=finding.code,
                why=finding.why,
                sha1=action.file.fingerprint.sha1,
            )

    def _sent(self, run: Pass, action: Upload | Replace, source: Source) -> tuple[Attempt, Sent]:
        """Send the bytes in one request, or as the portal takes them: in parts, in smaller ones."""
        while True:
            with suppress(Divided):
                return self._attempt(run, action, source)

    def _attempt(self, run: Pass, action: Upload | Replace, source: Source) -> tuple[Attempt, Sent]:
        """Send the bytes, as an attempt that the ledger knows of before. Raises Divided."""
        file, replacing = action.file, isinstance(action, Replace)
        target = action.resource if isinstance(action, Replace) else None
        attempt = self._ledger.begin(
            file.key,
            "replace" if replacing else "upload",
            now=self._clock(),
            fingerprint=file.fingerprint,
            stamp=file.stamp,
            name=file.name,
            resource=target,
            before=action.before if isinstance(action, Replace) else None,
            title=action.title if isinstance(action, Replace) else file.words.title,
            profile=action.profile,
        )
        with self._closing(attempt):
            return attempt, self._sender.send(run, attempt, source, file, target)

    @contextmanager
    def _closing(self, attempt: Attempt) -> Iterator[None]:
        """Close the attempt when it surely did nothing; leave it open when nobody knows."""
        try:
            yield
        except OutcomeUnknown:
            raise
        except Exception as error:
            action = "upload.divided" if isinstance(error, Divided) else "action.failed"
            self._ledger.close_attempt(
                attempt, now=self._clock(), action=action, detail=detail_of(error)
            )
            raise

    def _words_now(self, run: Pass, file: SourceFile, entry: Entry, found: RemoteResource) -> bool:
        """Give the words right after the bytes: the next plan would come after all the files.

        True when the portal has shown the resource itself in its answer.
        """
        if run.remote is None:
            return False
        small = plan(
            Folderful({file.key: file}, frozenset({file.key})),
            Record({file.key: entry}),
            Remote(run.remote.dataset, {found.id: found}),
            run.policy,
            self._clock(),
        )
        run.own(entry)
        shown = False
        for action in small.actions:
            shown = (self.apply(run, action) and isinstance(action, Describe)) or shown
        return shown

    def _tell(self, run: Pass, action: Describe | Identify) -> None:
        entry = run.record.entries.get(action.key)
        if entry is None:
            return
        words = action.words if isinstance(action, Describe) else Words()
        kind: AttemptKind = "describe" if isinstance(action, Describe) else "identify"
        attempt = self._ledger.begin(
            action.key, kind, now=self._clock(), resource=action.resource, words=words
        )
        with self._closing(attempt):
            self._ledger.sent(attempt, now=self._clock())
            if isinstance(action, Describe):
                found = self._portal.describe(run.dataset, action.resource, words, action.identity)
                entry = replace(entry, applied=action.applied, restore=None, reset_to=None)
            else:
                self._portal.identify(run.dataset, action.resource, action.identity)
                found = replace(run.resources[action.resource], source=action.identity)
                if found.title == entry.restore:
                    # it was right already: nothing is left to put back
                    entry = replace(entry, restore=None, reset_to=None)
        run.resources[found.id] = found
        run.own(entry)
        event = "resource.described" if isinstance(action, Describe) else "resource.identified"
        self._ledger.finish(attempt, entry, now=self._clock(), action=event, detail=words.said())
        log.info(
            event,
            path=readable(action.key.path),
            folder=action.key.folder,
            resource_id=found.id,
            **words.said(),
        )

    def _withdraw(self, run: Pass, action: Withdraw) -> None:
        folder = self._folders[run.dataset, action.key.folder]
        if not action.left and folder.exists(action.key.path):
            raise SourceChanged("it is back")
        attempt = self._ledger.begin(
            action.key, "withdraw", now=self._clock(), resource=action.resource
        )
        with self._closing(attempt):
            self._ledger.sent(attempt, now=self._clock())
            self._portal.withdraw(run.dataset, action.resource)
        run.resources.pop(action.resource, None)
        self._ledger.forget(action.key, now=self._clock(), action="resource.withdrawn")
        run.disown(action.key)
        self._ledger.close_attempt(attempt, now=self._clock(), action="resource.withdrawn")
        self._ledger.stand([withdrawn(action.key, self._clock(), left=action.left)])
        log.warning(
            "resource.withdrawn",
            path=readable(action.key.path),
            folder=action.key.folder,
            resource_id=action.resource,
        )

    def _note(self, run: Pass, action: Adopt | Rename | Abandon | Forget | Keep) -> None:
        """Do what only the ledger sees."""
        now, path = self._clock(), readable(action_key(action).path)
        match action:
            case Adopt():
                self._ledger.finish(
                    action.attempt,
                    action.entry,
                    now=now,
                    action="attempt.adopted",
                    detail={"why": action.why},
                )
                run.own(action.entry)
                log.info(
                    "attempt.adopted",
                    path=path,
                    resource_id=action.entry.resource,
                    why=action.why,
                )
            case Rename():
                self._ledger.rename(action.old, action.entry, now=now)
                if unverified := run.unverified.pop(action.old, None):
                    run.unverified[action.entry.key] = replace(unverified, key=action.entry.key)
                run.disown(action.old)
                run.own(action.entry)
                log.info(
                    "resource.renamed",
                    path=path,
                    old_path=readable(action.old.path),
                    resource_id=action.entry.resource,
                )
            case Abandon():
                self._ledger.close_attempt(
                    action.attempt, now=now, action="attempt.abandoned", detail={"why": action.why}
                )
                log.info("attempt.abandoned", path=path, why=action.why, kind=action.attempt.kind)
            case Forget():
                event = "resource.withdrawn" if action.why == "withdrawn" else "resource.forgotten"
                self._ledger.forget(action.key, now=now, action=event)
                if action.key in run.record.rollbacks:
                    self._ledger.end_rollback(action.key)
                run.disown(action.key)
                if action.why == "withdrawn":
                    self._ledger.stand([withdrawn(action.key, now)])
                log.info(event, path=path, resource_id=action.resource, why=action.why)
            case Keep():
                entry = run.record.entries.get(action.key)
                if entry is not None:
                    kept = replace(entry, gone_since=now)
                    self._ledger.touch(kept)
                    run.own(kept)
                log.info(
                    "resource.kept",
                    path=path,
                    resource_id=action.resource,
                    why="newer files of its series took its place"
                    if action.left
                    else "the file is gone from the folder; its resource stays on the portal",
                )

    # ----------------------------------------------------------------------------- verification

    def _hold_other_bytes(self, run: Pass, entry: Entry, stamp: Stamp) -> None:
        """The portal says that it holds other bytes than were sent: wait, then send them again."""
        before = run.record.standings.get(entry.key)
        failures = (before.failures if before and before.code == "other_bytes" else 0) + 1
        now = self._clock()
        standing = Standing(
            key=entry.key,
            state=State.HELD,
            code="other_bytes",
            why=f"The portal holds other bytes than were sent to it (sha1 {entry.fingerprint.sha1},"
            f" {entry.fingerprint.size} bytes). The file is sent again by itself.",
            since=now,
            failures=failures,
            not_before=next_try(failures, Kind.SERVER_ERROR, now, self._jitter()),
            stamp=stamp,
            settings=run.policy.settings,
        )
        self._ledger.stand([standing])
        run.failed[entry.key] = standing
        run.own(entry)
        log.error(
            "resource.unverified",
            path=readable(entry.key.path),
            resource_id=entry.resource,
            why=standing.why,
            attempt=failures,
            retry_at=standing.not_before,
        )

    def _verify(self, run: Pass, entry: Entry, found: RemoteResource, *, ask: bool = False) -> None:
        """See that the permalink leads to the file, and that it is given out whole.

        ``ask``: nothing but the answer to the upload has told of the resource yet. What it really
        holds is for the next plan to compare.

        The portal has said which bytes it stored. That its file server gives them out is seen of
        the first file of a pass, and of each one after a doubt: what fails there fails for all.
        """
        doubtful = not run.given_out or entry.key in run.unverified
        try:
            if ask:
                found = run.resources[found.id] = self._portal.resource(run.dataset, found.id)
            problem = self._portal.serves(found, bytes_too=doubtful)
        except PortalError as error:
            problem = error.message
        run.given_out = problem is None
        if problem is None:
            self._unverified.pop(entry.key, None)
            run.unverified.pop(entry.key, None)
            log.debug("resource.verified", path=readable(entry.key.path), resource_id=found.id)
            return
        self._unverified[entry.key] = run.journey(entry.key)
        before = run.unverified.get(entry.key)
        failures = (before.failures if before else 0) + 1
        now = self._clock()
        standing = Standing(
            key=entry.key,
            state=State.HELD,
            code="unverified",
            why=f"Published, but its link does not give the file yet: {problem}",
            since=before.since if before else now,
            failures=failures,
            not_before=next_try(failures, Kind.UNKNOWN_OUTCOME, now, self._jitter()),
            stamp=entry.stamp,
            settings=run.policy.settings,
        )
        self._ledger.stand([standing])
        run.failed[entry.key] = standing
        log.warning(
            "resource.unverified",
            path=readable(entry.key.path),
            resource_id=found.id,
            why=problem,
            attempt=failures,
        )

    def verify_again(self, run: Pass) -> None:
        """Look again at links that did not serve; after some times, send the file again, once."""
        now = self._clock()
        for key, standing in sorted(run.unverified.items()):
            entry = run.record.entries.get(key)
            if entry is None or key in run.failed:
                continue
            if standing.not_before is not None and now < standing.not_before:
                run.failed[key] = standing
                self._ledger.stand([standing])
                continue
            if key in self._unverified:
                run.journeys.setdefault(key, self._unverified[key])
            found = run.resources.get(entry.resource)
            file = run.seen.files.get(key)
            if found is None:
                continue
            again = standing.forced or standing.failures == UNVERIFIED_LIMIT
            if again and file is not None:
                self.apply(run, Replace(file, found.id, found.fingerprint, found.title))
            else:
                with bound_contextvars(journey=run.journey(key)):
                    self._verify(run, entry, found)
