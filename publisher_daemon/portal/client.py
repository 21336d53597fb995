"""The portal as the rest of the program sees it: datasets, resources, files, words.

No write is ever tried twice here: a request whose outcome is unknown is answered by looking, which
is the pass's business, with its ledger.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from publisher_daemon.errors import (
    Exchange,
    NotThere,
    OutcomeUnknown,
    PortalError,
    PortalRefused,
    PortalUnreachable,
)
from publisher_daemon.model import (
    DatasetId,
    Fingerprint,
    Identity,
    Parcel,
    RemoteDataset,
    RemotePage,
    RemoteResource,
    ResourceId,
    Words,
)
from publisher_daemon.portal import answers, parts, shapes
from publisher_daemon.portal.addresses import joined, part
from publisher_daemon.portal.body import Block, Document, FileForm, Source
from publisher_daemon.portal.calls import Answer, Caller
from publisher_daemon.portal.served import Served
from publisher_daemon.portal.shapes import Me
from publisher_daemon.portal.transport import Timeouts, Transport
from publisher_daemon.portal.turns import Turns
from publisher_daemon.portal.vocabularies import Vocabularies
from publisher_daemon.shelf import Resources

_REREADS = 3
#: seconds for which the extras in an upload's answer are taken for those of the resource: other
#: programs write theirs some time after (portal-facts §15.6)
_FRESH = 2.0


class Portal(Vocabularies, Served):
    """One udata portal and one API key; safe for several threads."""

    def __init__(
        self,
        url: str,
        api_key: str | None,
        *,
        ca_file: str | None = None,
        proxy: str | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        timeouts: Timeouts = Timeouts(),  # noqa: B008 - an immutable value
        reason: str = "",
        on_exchange: Callable[[Exchange], None] | None = None,
        on_wait: Callable[[float], None] = lambda _seconds: None,
        hide: Callable[[str], str] = lambda text: text,
    ) -> None:
        """``on_wait`` is told, before each answer, how long it may take.

        ``hide`` takes out of what is kept of an answer whatever must not be.
        """
        self._transport = Transport(ca_file=ca_file, proxy=proxy, timeouts=timeouts)
        self._calls = Caller(
            url,
            api_key,
            transport=self._transport,
            timeouts=timeouts,
            clock=clock,
            monotonic=monotonic,
            reason=reason,
            on_exchange=on_exchange,
            on_wait=on_wait,
            hide=hide,
        )
        self._prefix = None if api_key is None else api_key.strip()[:14]
        self._clock = clock
        self._timeouts = timeouts
        self._turns = Turns(monotonic, sleep)
        self._lock = threading.Lock()
        #: how many resources each dataset has, as last seen: writes take longer with each
        self._counts: dict[DatasetId, int] = {}
        self._monotonic = monotonic
        #: when, and with which extras, a resource was just written, for ``describe`` to keep
        self._extras: dict[ResourceId, tuple[float, Mapping[str, Any]]] = {}

    def __repr__(self) -> str:
        return f"Portal({self._calls.base!r})"

    @property
    def url(self) -> str:
        """The portal's address, without a final slash."""
        return self._calls.base

    def close(self) -> None:
        """Close the connections kept for later."""
        self._transport.close()

    # -------------------------------------------------------------------------------- the key

    def whoami(self) -> Me:
        """Whose key it is; raises CredentialRefused."""
        found = self._calls.read("/api/1/me/")
        with shapes.of_a_read():
            return shapes.me(found)

    def key_expiry(self) -> tuple[str, float | None] | None:
        """The key's visible beginning and the instant it expires (None: never).

        None when the portal does not list it.
        """
        if self._prefix is None:
            return None
        found = self._calls.read("/api/1/me/api_tokens/")
        with shapes.of_a_read():
            ends = shapes.expiries(found)
        return (self._prefix, ends[self._prefix]) if self._prefix in ends else None

    def server_date(self) -> float | None:
        """The portal's clock, from the ``Date`` of an answer; None when it has none."""
        answer = self._calls.ask("GET", self._calls.base + "/api/1/datasets/resource_types/")
        return answers.http_date(answer.headers.get("Date"))

    # ------------------------------------------------------------------------------- datasets

    def dataset(self, dataset: DatasetId) -> RemoteDataset:
        """The dataset as this key sees it; raises NotThere."""
        return self._resolved(dataset, dataset)

    def resolve(self, id_or_slug: str) -> RemoteDataset:
        """The dataset of that id or slug, present or past; raises NotThere."""
        return self._resolved(id_or_slug, None)

    def _resolved(self, id_or_slug: str, meant: DatasetId | None) -> RemoteDataset:
        path = f"/api/2/datasets/{part(id_or_slug)}/"
        answer = self._calls.ask("GET", self._calls.base + path)
        if answer.status == 308:
            # an old slug (portal-facts §2.2)
            target = joined(answer.exchange.url, answer.headers.get("Location", ""))
            if self._calls.ours(target):
                answer = self._calls.ask("GET", target)
        if answer.status in {404, 410}:
            raise _absent(id_or_slug, answer)
        if answer.status >= 300:
            self._calls.refuse(answer, wrote=False)
        found = self._calls.parsed(answer)
        with shapes.of_a_read():
            return shapes.dataset(found, meant)

    def datasets_of(self, owner: str) -> Iterator[RemoteDataset]:
        """The datasets of an organisation, by its id, or of the key's owner (``me``)."""
        who = {"owner": self.whoami().id} if owner == "me" else {"organization": owner}
        for page in self._calls.pages("/api/2/datasets/", who):
            with shapes.of_a_read():
                datasets = [shapes.dataset(found) for found in page["data"]]
            yield from datasets

    def create_dataset(
        self,
        title: str,
        description: str,
        *,
        private: bool,
        organization: str | None = None,
        name: str | None = None,
    ) -> RemoteDataset:
        """Create a dataset that carries that name in its extras.

        Not idempotent: the same title again makes a second one.
        """
        document: dict[str, Any] = {
            "title": title,
            "description": description,
            "private": _strict(private),
        }
        if name is not None:
            document["extras"] = {shapes.NAME: name}
        if organization is not None:
            document["organization"] = organization
        found = self._calls.written(
            "POST", "/api/1/datasets/", Document(document), silence=self._silence()
        )
        with shapes.of_a_write():
            return shapes.dataset(found)

    def update_dataset(
        self, dataset: DatasetId, changes: Mapping[str, Any], current: RemoteDataset
    ) -> RemoteDataset:
        """Change only these fields; ``current`` must have been read just before.

        ``tags`` and ``temporal_coverage`` are always sent again, since the portal wipes them when
        they are not; ``current`` says what they are. Raises PortalRefused when a dataset that was
        to be private came out public.
        """
        forbidden = sorted(shapes.NEVER_UPDATED & changes.keys())
        if forbidden:
            raise ValueError(f"never sent in an update: {', '.join(forbidden)}")
        kept = {name: current.raw[name] for name in ("tags", "temporal_coverage")}
        # `true` each time it is private, since what a portal does when it is left out has changed;
        # `false` only where a person ordered it: said of a dataset that was public a moment ago, it
        # would publish what a colleague has just made private
        shown = {"private": True} if current.private else {}
        document = {**shown, **kept, **changes}
        hidden = _strict(changes["private"]) if "private" in changes else current.private
        found = self._calls.written(
            "PUT",
            f"/api/1/datasets/{part(dataset)}/",
            Document(document),
            silence=self._silence(dataset),
        )
        with shapes.of_a_write():
            updated = shapes.dataset(found, dataset)
        if hidden and not updated.private:
            raise PortalRefused(
                f"The portal made the dataset {dataset} PUBLIC, though it was told that it is "
                "private.",
                hint="Make it private on the portal at once, and tell the portal's support.",
            )
        return updated

    def delete_dataset(self, dataset: DatasetId) -> None:
        """Delete the dataset; raises NotThere when it is gone already."""
        path = f"/api/1/datasets/{part(dataset)}/"
        self._calls.write("DELETE", path, silence=self._silence(dataset))

    def find_resource(self, resource: ResourceId) -> tuple[DatasetId, RemoteResource]:
        """A resource, and the dataset it is in; raises NotThere."""
        found = self._calls.read(f"/api/2/datasets/resources/{part(resource)}/")
        with shapes.of_a_read():
            return shapes.place(found)

    def identify_dataset(self, dataset: DatasetId, extras: Mapping[str, Any]) -> None:
        """Merge these extras into the dataset's; its freshness does not move.

        Whoever asks looks what became of them.
        """
        self._merge(f"/api/2/datasets/{part(dataset)}/extras/", extras, dataset, insist=False)

    # ---------------------------------------------------------------- organisations and reuses

    def organization(self, organization: str) -> RemotePage:
        """The organisation, and whether this key administers it; raises NotThere."""
        mine = {each.id: each.admin for each in self.whoami().organizations}
        path = f"/api/1/organizations/{part(organization)}/"
        found = self._calls.read(path)
        with shapes.of_a_read():
            return shapes.page(found, can_edit=mine.get(organization, False))

    def update_organization(self, organization: str, changes: Mapping[str, Any]) -> RemotePage:
        """Change only these fields."""
        path = f"/api/1/organizations/{part(organization)}/"
        return self._page("PUT", path, changes)

    def reuse(self, reuse: str) -> RemotePage:
        """The reuse of that id; raises NotThere."""
        found = self._calls.read(f"/api/1/reuses/{part(reuse)}/")
        with shapes.of_a_read():
            return shapes.page(found)

    def reuses_of(self, owner: str) -> Iterator[RemotePage]:
        """The reuses of an organisation, by its id, or of the key's owner (``me``)."""
        who = {"owner": self.whoami().id} if owner == "me" else {"organization": owner}
        for page in self._calls.pages("/api/1/reuses/", who):
            with shapes.of_a_read():
                reuses = [shapes.page(found) for found in page["data"]]
            yield from reuses

    def create_reuse(self, fields: Mapping[str, Any]) -> RemotePage:
        """Declare a reuse. The portal refuses a second one of the same ``url``."""
        return self._page("POST", "/api/1/reuses/", fields)

    def update_reuse(self, reuse: str, changes: Mapping[str, Any]) -> RemotePage:
        """Change only these fields."""
        return self._page("PUT", f"/api/1/reuses/{part(reuse)}/", changes)

    def attach(self, reuse: str, dataset: DatasetId) -> RemotePage:
        """Say that the reuse uses this dataset; once is enough, twice does no harm."""
        path = f"/api/1/reuses/{part(reuse)}/datasets/"
        return self._page("POST", path, {"class": "Dataset", "id": dataset})

    def _page(self, method: str, path: str, document: Mapping[str, Any]) -> RemotePage:
        found = self._calls.written(method, path, Document(dict(document)), silence=self._silence())
        with shapes.of_a_write():
            return shapes.page(found)

    # ------------------------------------------------------------------------------ resources

    def resources(self, dataset: DatasetId) -> Resources:
        """All its resources, page after page, newest first; read again if they change meanwhile."""
        path = f"/api/2/datasets/{part(dataset)}/resources/"
        for _ in range(1 + _REREADS):
            found = Resources()
            totals = []
            for page in self._calls.pages(path, {}):
                totals.append(page.get("total"))
                with shapes.of_a_read():
                    for one in page["data"]:
                        found.put(shapes.resource(one))
            if all(total == len(found) for total in totals):
                with self._lock:
                    self._counts[dataset] = len(found)
                return found
        raise PortalUnreachable(f"the resources of {dataset} keep changing while they are listed")

    def resource(self, dataset: DatasetId, resource: ResourceId) -> RemoteResource:
        """One resource; raises NotThere."""
        path = f"/api/1/datasets/{part(dataset)}/resources/{part(resource)}/"
        found = self._calls.read(path)
        with shapes.of_a_read():
            return shapes.resource(found, resource)

    def upload(
        self,
        dataset: DatasetId,
        source: Source,
        fingerprint: Fingerprint,
        name: str,
        before_last_byte: Callable[[], None],
    ) -> RemoteResource:
        """Create a resource; the last block waits for ``source.check()``, sha1 and callback.

        Whatever fails before the callback returned has done nothing (PortalUnreachable,
        SourceChanged); an answer lost after it is OutcomeUnknown.
        """
        path = _upload_path(dataset, None)
        return self._publish(dataset, path, None, source, fingerprint, name, before_last_byte)

    def replace(  # noqa: PLR0917 - the promise in reconcile has it so
        self,
        dataset: DatasetId,
        resource: ResourceId,
        source: Source,
        fingerprint: Fingerprint,
        name: str,
        before_last_byte: Callable[[], None],
    ) -> RemoteResource:
        """Give a resource other bytes; the same promises as ``upload``. Resets its title."""
        path = _upload_path(dataset, resource)
        return self._publish(dataset, path, resource, source, fingerprint, name, before_last_byte)

    def _publish(  # noqa: PLR0917 - as replace
        self,
        dataset: DatasetId,
        path: str,
        target: ResourceId | None,
        source: Source,
        fingerprint: Fingerprint,
        name: str,
        before_last_byte: Callable[[], None],
    ) -> RemoteResource:
        form = FileForm(source, fingerprint, name, before_last_byte, expect=self._calls.expect)
        with self._turns.alone(dataset, name):
            found = self._calls.written(
                "POST", path, form, silence=self._silence(dataset, fingerprint.size)
            )
        return self._published(found, target)

    def _published(self, found: Any, target: ResourceId | None) -> RemoteResource:
        with shapes.of_a_write():
            resource = shapes.published(found, target)
        with self._lock:
            self._extras[resource.id] = self._monotonic(), found.get("extras") or {}
        return resource

    def put_part(  # noqa: PLR0917 - the promise in reconcile has it so
        self,
        dataset: DatasetId,
        resource: ResourceId | None,
        parcel: Parcel,
        index: int,
        source: Source,
        name: str,
        seen: Callable[[Block], object],
        before_last_byte: Callable[[], None],
    ) -> OutcomeUnknown | None:
        """Send one part; the error is given back when it is a 500: the part may be there or not.

        Nothing is published by it. The last block waits for ``source.check()`` and the callback;
        ``seen`` is given every byte.
        """
        return parts.put(
            self._calls,
            _upload_path(dataset, resource),
            parcel,
            index,
            source=source,
            name=name,
            seen=seen,
            before_last_byte=before_last_byte,
            silence=self._silence(dataset, parcel.part_size),
        )

    def assemble(
        self, dataset: DatasetId, resource: ResourceId | None, parcel: Parcel, name: str
    ) -> RemoteResource:
        """Have the parts put together, which publishes the file. Raises OutcomeUnknown."""
        with self._turns.alone(dataset, name):
            found = parts.assemble(
                self._calls,
                _upload_path(dataset, resource),
                parcel,
                name,
                silence=self._silence(dataset, parcel.fingerprint.size),
            )
        return self._published(found, resource)

    def describe(
        self,
        dataset: DatasetId,
        resource: ResourceId,
        words: Words,
        identity: Identity | None = None,
    ) -> RemoteResource:
        """Write the words that are said, and our identity if given; other extras are kept."""
        path = f"/api/1/datasets/{part(dataset)}/resources/{part(resource)}/"
        document, ours = shapes.fields(words), shapes.extras_of(words)
        if ours and identity is None:
            # the way that merges them, and does not move the dataset's freshness
            self._merge(_extras_path(dataset, resource), ours, dataset)
            if not document:
                return self.resource(dataset, resource)
        if identity is not None:
            with self._lock:
                written_at, extras = self._extras.pop(resource, (float("-inf"), {}))
            if self._monotonic() - written_at > _FRESH:
                # sent extras replace all (portal-facts §9.5): other people's are sent back
                found = self._calls.read(path)
                with shapes.of_a_read():
                    extras = shapes.extras_there(found, resource)
            document["extras"] = {**extras, **ours, **shapes.extras(identity)}
        silence = self._silence(dataset)
        try:
            found = self._calls.written("PUT", path, Document(document), silence=silence)
        except PortalRefused as refused:
            if refused.status != 400:
                raise
            # else nobody knows that the file went up, and that its words did not
            raise PortalRefused(
                refused.message,
                hint="The file itself is on the portal; what is said of it is not. Correct the "
                "title, description, type or schema in the rule that matches this file.",
                exchange=refused.exchange,
            ) from None
        with shapes.of_a_write():
            return shapes.resource(found, resource)

    def identify(self, dataset: DatasetId, resource: ResourceId, identity: Identity) -> None:
        """Merge our identity into the resource's extras; freshness does not move."""
        self._merge(_extras_path(dataset, resource), shapes.extras(identity), dataset)

    def _merge(
        self, path: str, extras: Mapping[str, Any], dataset: DatasetId, *, insist: bool = True
    ) -> None:
        found = self._calls.written(
            "PUT", path, Document(dict(extras)), silence=self._silence(dataset)
        )
        lost = [name for name, value in extras.items() if _document(found).get(name) != value]
        if lost and insist:
            raise OutcomeUnknown(f"the portal did not keep {', '.join(sorted(lost))}")

    def withdraw(self, dataset: DatasetId, resource: ResourceId) -> None:
        """Delete the resource; raises NotThere when it is gone already.

        Raises OutcomeUnknown unless it is seen to be gone: what answered may not be the portal.
        """
        path = f"/api/1/datasets/{part(dataset)}/resources/{part(resource)}/"
        self._calls.write("DELETE", path, silence=self._silence(dataset))
        try:
            self.resource(dataset, resource)
        except NotThere:
            return
        except PortalError as error:
            raise OutcomeUnknown("the portal said that it deleted it, and then nothing") from error
        raise OutcomeUnknown("the portal said that it deleted it, and has it")

    # ------------------------------------------------------------------------------------ pieces

    def _silence(self, dataset: DatasetId | None = None, size: int = 0) -> float:
        with self._lock:
            count = 0 if dataset is None else self._counts.get(dataset, 0)
        return self._timeouts.for_write(size, count)


def _extras_path(dataset: DatasetId, resource: ResourceId) -> str:
    return f"/api/2/datasets/{part(dataset)}/resources/{part(resource)}/extras/"


def _absent(name: str, answer: Answer) -> NotThere:
    if answer.status == 410:
        return NotThere(
            f"The dataset “{name}” was deleted on the portal.",
            hint="Restore it there, or name another one.",
            exchange=answer.exchange,
        )
    return NotThere(
        f"The portal shows no dataset “{name}” to this key: either there is none, or it is private "
        "and belongs to others (the portal answers both alike).",
        hint="Copy the id from the dataset's page, on this very portal; if it is private, have the "
        "key's account made an editor of its organization.",
        exchange=answer.exchange,
    )


def _upload_path(dataset: DatasetId, resource: ResourceId | None) -> str:
    where = "" if resource is None else f"resources/{part(resource)}/"
    return f"/api/1/datasets/{part(dataset)}/{where}upload/"


def _strict(private: object) -> bool:
    """Only JSON's own true and false are safe: null, "" and "false" publish (portal-facts §3.1)."""
    if not isinstance(private, bool):
        raise ValueError("private must be True or False")  # noqa: TRY004 - a wrong value, for callers
    return private


def _document(found: Any) -> Mapping[str, Any]:
    if isinstance(found, Mapping):
        return found
    raise OutcomeUnknown("the portal's answer is not what it should be")
