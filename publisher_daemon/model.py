"""The words every other room speaks; immutable values only.

Paths are relative to their folder, ``/``-separated, as ``os.fsdecode`` gives them: bytes that are
not UTF-8 are surrogate escapes, so that ``os.fsencode`` gives back exactly what is on the disk.
Instants are UTC seconds since 1970 (float); durations are seconds (float).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, NamedTuple, NewType, Self

from publisher_daemon.profile import Finding, Packed

DatasetId = NewType("DatasetId", str)
ResourceId = NewType("ResourceId", str)


class Reason(StrEnum):
    """Why a pass runs."""

    START = "start"
    EVENT = "event"
    RESCAN = "rescan"
    REFRESH = "refresh"
    RETRY = "retry"
    SETTLE = "settle"
    ONCE = "once"
    ASKED = "asked"
    #: it waited for the portal, which may be asked again
    PORTAL = "portal"


class State(StrEnum):
    """Where a file stands, for people (contract.md)."""

    PUBLISHED = "published"
    PENDING = "pending"
    HELD = "held"
    FAILED = "failed"
    KEPT = "kept"
    WITHDRAWN = "withdrawn"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True, order=True)
class ResourceKey:
    """One source file: its dataset, its folder's name (unique in the dataset) and its path."""

    dataset: DatasetId
    folder: str
    path: str


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The bytes themselves: sha1 (40 hex digits, the portal's own checksum) and size in bytes."""

    sha1: str
    size: int


@dataclass(frozen=True, slots=True)
class Stamp:
    """What ``stat`` says of a file; a cache of "same bytes", never a proof of it."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int


#: One file as the ledger has it, in plain values as a million of them are compared: the bytes of
#: its path; size, mtime_ns, ctime_ns, inode (None: read it again); whether it is known to be gone.
Known = tuple[bytes, tuple[int, int, int, int] | None, bool]


@dataclass(frozen=True, slots=True)
class Sighting:
    """A file as one scan saw it."""

    key: ResourceKey
    stamp: Stamp
    #: somebody is known to have it open for writing (a refused read lease)
    writing: bool = False
    #: whether a writer can be seen at all here (no lease on network shares or foreign files)
    lease: bool = True
    #: it arrived whole: renamed from a temporary name or moved in, or its ready marker is there
    arrived: bool = False
    #: another machine may write to it unseen (network share): only time tells
    remote: bool = False


@dataclass(frozen=True, slots=True)
class Hint:
    """Where to look first: these paths of that folder, or everything (None)."""

    folder: str
    paths: frozenset[str] | None = None
    #: those that arrived whole: moved in, or renamed from a temporary name
    arrived: frozenset[str] = frozenset()


# ------------------------------------------------------------------------------ settings as values


#: how the names of the extras begin among the fields of ``Words``
_EXTRA = "extras."


@dataclass(frozen=True, slots=True)
class Words:
    """What people say of a resource; None is "not said", so never touched."""

    title: str | None = None
    description: str | None = None
    type: str | None = None
    schema: str | None = None
    #: extras: the value of each, as JSON
    extras: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, said: Mapping[str, str]) -> Self:
        """The words whose fields these are: the reverse of ``said``."""
        extras = sorted(
            (name.removeprefix(_EXTRA), value)
            for name, value in said.items()
            if name.startswith(_EXTRA)
        )
        names = ("title", "description", "type", "schema")
        title, description, type_, schema = map(said.get, names)
        return cls(title, description, type_, schema, tuple(extras))

    @property
    def no_more_than_title(self) -> bool:
        """Whether all but the title is not said."""
        return (
            self.description is None and self.type is None and self.schema is None
        ) and not self.extras

    def said(self) -> dict[str, str]:
        """The fields that are said, by name; each of the extras is one."""
        every = (
            ("title", self.title),
            ("description", self.description),
            ("type", self.type),
            ("schema", self.schema),
        )
        said = {name: value for name, value in every if value is not None}
        return said | {f"{_EXTRA}{name}": value for name, value in self.extras}


@dataclass(frozen=True, slots=True)
class Rule:
    """What to do with the files whose path matches; words may name the parts of the match."""

    match: str
    resource: ResourceId | None = None
    words: Words = Words()
    #: a file with the Table Schema that tables must follow; None: the portal's, if words name one
    table_schema: str | None = None
    #: when a file that matches is expected: “daily by 08:00”
    expect: str | None = None
    #: a resource for each file; one for the newest; or one for each of the ``last`` newest
    keep: Literal["each", "latest", "last"] = "each"
    last: int = 1
    #: the parts of the match that say which file is newer; empty: those whose names say so
    order: tuple[str, ...] = ()
    #: what becomes of a resource whose file leaves the window; None: as when it is deleted
    when_left: Literal["keep", "withdraw"] | None = None
    #: the day (and hour) before which nothing goes out; may name the parts of the match
    publish_after: str | None = None


@dataclass(frozen=True, slots=True)
class Checks:
    """How strictly what goes out is looked at before."""

    mode: Literal["hold", "warn", "off"] = "hold"
    #: the share of the rows that must be missing for a file to be held
    fewer_rows: float = 0.5
    #: columns lost, renamed, emptied or of another kind
    columns: Literal["hold", "warn", "off"] = "hold"
    secrets: Literal["hold", "warn", "off"] = "hold"
    #: rows that do not follow the Table Schema named for their file
    schema: Literal["hold", "warn", "off"] = "hold"
    #: a folder outside the watched one: the same file dropped there is let through
    approvals: str | None = None
    #: the first file of a dataset that we have never published on waits for a person
    first_publication: Literal["publish", "ask"] = "publish"


@dataclass(frozen=True, slots=True)
class Watch:
    """One folder and the dataset it feeds."""

    name: str
    path: str
    dataset: DatasetId
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    observe: Literal["auto", "events", "polling"] = "auto"
    poll_every: float = 30.0
    stalled_after: float = 30.0
    quiet: float = 5.0
    ready_marker: str | None = None
    empty_files: Literal["refuse", "publish"] = "refuse"
    when_deleted: Literal["keep", "withdraw"] = "keep"
    withdraw_after: float = 10.0
    max_withdraw: float = 0.3
    rules: tuple[Rule, ...] = ()
    #: when a file of this folder is expected
    expect: str | None = None
    checks: Checks = Checks()
    #: stretches of the day in which nothing goes out, like "08:00-18:00"
    quiet_hours: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """How the planner decides where it has a choice."""

    watches: tuple[Watch, ...] = ()
    on_drift: Literal["keep", "enforce"] = "keep"
    #: extensions the portal accepts, lower case, without the dot; empty: not known
    extensions: frozenset[str] = frozenset()
    #: seconds an answerless write may still be committing on the portal, whatever its size
    grace: float = 30.0
    #: bytes in a part, for files that do not go up in one request
    part_size: int = 4 * 1024 * 1024
    #: seconds: a file that would take longer goes up in parts
    longest_request: float = 900.0
    #: bytes a second that all uploads together may take; None: as many as the line does
    max_upload: float | None = None
    #: stretches of the day in which that holds; empty: always
    max_upload_hours: tuple[str, ...] = ()
    #: files from this size on, in bytes, only go out in these stretches of the day; empty: always
    large_file: int = 1_000_000_000
    large_file_hours: tuple[str, ...] = ()
    #: of embargoes and quiet hours
    timezone: str = "UTC"
    #: a person said yes to a large withdrawal
    yes: bool = False
    #: changes when the settings do (``config.Settings.digest``)
    settings: str = ""

    def watch(self, folder: str) -> Watch | None:
        """The watch of that name."""
        return next((watch for watch in self.watches if watch.name == folder), None)


# --------------------------------------------------------------------------- what the portal shows


class Identity(NamedTuple):
    """Which file a resource is, as its extras say: a hint, to be checked against its sha1."""

    folder: str
    path: str
    #: the bytes we last put there (40 hex digits)
    sha1: str


@dataclass(frozen=True, slots=True)
class RemoteResource:
    """A resource as the portal shows it. ``sha1`` and ``size`` are None when it does not know."""

    id: ResourceId
    title: str
    url: str
    permalink: str
    sha1: str | None = None
    size: int | None = None
    description: str | None = None
    type: str | None = None
    #: ``file`` (hosted by the portal) or ``remote``
    filetype: str = "file"
    format: str | None = None
    schema: str | None = None
    #: of a schema of the portal's catalogue; None: the newest
    schema_version: str | None = None
    #: ISO 8601, the portal's clock
    created_at: str = ""
    last_modified: str = ""
    #: our identity as read from its extras
    source: Identity | None = None
    #: the extras that people write: the value of each, as JSON
    extras: tuple[tuple[str, str], ...] = ()
    #: what the portal's own look at the file found: its extras ``analysis:…`` and ``check:…``
    analysis: Mapping[str, object] = field(default_factory=dict, compare=False, repr=False)

    @property
    def fingerprint(self) -> Fingerprint | None:
        """Its bytes, when the portal tells both checksum and size."""
        if self.sha1 is None or self.size is None:
            return None
        return Fingerprint(self.sha1, self.size)

    def words(self, *written: Words) -> Words:
        """What is said of it now; its schema by the address that was written, if that is the same.

        The portal turns the address of a schema of its catalogue into name and version, which stand
        in that address, and gives nothing else back.
        """
        schema = self.schema
        parts = [f"/{part}/" for part in (schema, self.schema_version) if part]
        for address in (each.schema for each in written if each.schema and "://" in each.schema):
            if parts and all(part in address for part in parts):
                schema = address
                break
        return Words(self.title, self.description, self.type, schema, self.extras)


@dataclass(frozen=True, slots=True)
class RemoteDataset:
    """A dataset as the portal shows it to this key."""

    id: DatasetId
    slug: str
    title: str
    page: str
    private: bool = False
    archived: bool = False
    deleted: bool = False
    harvested: bool = False
    can_edit: bool = True
    can_edit_resources: bool = True
    organization: str | None = None
    #: the name under which the configuration had it made
    name: str | None = None
    #: the answer as it came, for metadata
    raw: Mapping[str, object] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class RemotePage:
    """An organisation or a reuse as the portal shows it to this key."""

    id: str
    title: str
    page: str
    can_edit: bool = True
    deleted: bool = False
    #: the answer as it came, for metadata
    raw: Mapping[str, object] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Remote:
    """One dataset and all its resources, as read at the start of a pass."""

    dataset: RemoteDataset
    resources: Mapping[ResourceId, RemoteResource] = field(default_factory=dict)

    def get(self, resource: ResourceId) -> RemoteResource | None:
        """That resource, if the dataset has it."""
        return self.resources.get(resource)


# ---------------------------------------------------------------------------- what we remember


@dataclass(frozen=True, slots=True)
class Entry:
    """What we own: this file is that resource, and these are the bytes it holds because of us."""

    key: ResourceKey
    resource: ResourceId
    fingerprint: Fingerprint
    #: the file's stat when it had those bytes; None: it must be read again
    stamp: Stamp | None
    permalink: str = ""
    #: the configured (or default) words we last applied: the base of the three-way merge
    applied: Words = Words()
    #: the title to put back, because a replacement reset it (portal-facts §6.1)
    restore: str | None = None
    #: what the portal reset it to; another title found means that a person wrote it
    reset_to: str | None = None
    #: the file is gone and the resource stays, since this instant
    gone_since: float | None = None
    published_at: float = 0.0


#: ``create`` makes a dataset: its key has the dataset's name, and no file
AttemptKind = Literal["upload", "replace", "describe", "identify", "withdraw", "create"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """An intent that was committed before its request, and has no answer yet."""

    id: int
    key: ResourceKey
    kind: AttemptKind
    started_at: float
    #: what goes up, and the stat of the file it was read from (upload, replace)
    fingerprint: Fingerprint | None = None
    stamp: Stamp | None = None
    #: the name sent, which is also the title the portal will reset to
    name: str | None = None
    #: the resource addressed (all but upload), and its bytes before
    resource: ResourceId | None = None
    before: Fingerprint | None = None
    #: the title to put back after
    title: str | None = None
    #: the words to apply (describe)
    words: Words = Words()
    #: False: the last byte was never sent, so the portal cannot have done it
    sent: bool = False
    #: when its last byte was about to go, however long the others took; the grace counts from here
    sent_at: float | None = None


@dataclass(frozen=True, slots=True)
class Parcel:
    """A file that goes up in parts: what the portal has of it until they are put together."""

    key: ResourceKey
    #: the uuid that we gave it on the portal
    id: str
    fingerprint: Fingerprint
    part_size: int
    #: why it does not go in one request, in a sentence
    why: str
    #: when the last of them went
    at: float
    #: parts whose end was let go, and the sha1 of the file up to there
    sent: int = 0
    prefix: str = ""
    #: times they were put together in vain
    failures: int = 0

    @property
    def total(self) -> int:
        """How many parts; too few would publish a truncated file (portal-facts §7.7)."""
        return -(-self.fingerprint.size // self.part_size)

    def stretch(self, index: int) -> tuple[int, int]:
        """Where a part begins and ends in the file."""
        start = index * self.part_size
        return start, min(start + self.part_size, self.fingerprint.size)


class Line(NamedTuple):
    """What was learned of the way to the portal."""

    #: bytes a second, as large files went
    rate: float | None = None
    #: the smallest request that was refused for its size (413), and when
    refused: int | None = None
    refused_at: float = 0.0


#: The code of a file that is known to be there and waits in the ledger alone: too many came at once
QUEUED = "queued"


@dataclass(frozen=True, slots=True)
class Standing:
    """Why a file is not (or not yet) as it should be on the portal."""

    key: ResourceKey
    state: State
    #: a stable code (``not_settled``, ``conflict``…) and the sentence for people
    code: str
    why: str
    since: float
    #: failures in a row, and the instant before which it is not tried again (None: when it changes)
    failures: int = 0
    not_before: float | None = None
    #: what it was when it failed: a parked file is tried again when this is no longer true
    stamp: Stamp | None = None
    sentry_id: str | None = None
    http_status: int | None = None
    #: a person asked to go on in spite of it
    forced: bool = False
    #: the settings it failed under: other settings are a reason to try again
    settings: str = ""


@dataclass(frozen=True, slots=True)
class Rollback:
    """An earlier version that stands on the portal in place of what the folder holds."""

    fingerprint: Fingerprint
    #: the sha1 of the file in the folder at that time: another one ends it; None: there was none
    instead: str | None


@dataclass(frozen=True, slots=True)
class Record:
    """What the ledger knows of one dataset."""

    entries: Mapping[ResourceKey, Entry] = field(default_factory=dict)
    attempts: tuple[Attempt, ...] = ()
    standings: Mapping[ResourceKey, Standing] = field(default_factory=dict)
    #: the bytes (sha1) of each file that a person let through in spite of a check
    released: Mapping[ResourceKey, str] = field(default_factory=dict)
    rollbacks: Mapping[ResourceKey, Rollback] = field(default_factory=dict)


# --------------------------------------------------------------------------- what the folder shows


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A settled file, read: what it holds, and what the configuration says of it."""

    key: ResourceKey
    stamp: Stamp
    fingerprint: Fingerprint
    #: the name to send: ASCII, already as the portal would normalise it
    name: str
    #: configured words; the title is the file's own name when nothing is configured
    words: Words = Words()
    #: the title is only the default one: applied at creation, and followed while it is still ours
    default_title: bool = True
    #: words whose computed value is not known: (field, as it is configured, why)
    unsaid: tuple[tuple[str, str, str], ...] = ()
    #: the configuration names its resource
    pinned: ResourceId | None = None
    #: what its bytes hold; None: not looked at (checks are off, or it is as it was published)
    profile: Packed | None = None
    #: a person put the same bytes in the folder for approvals
    approved: bool = False
    #: its bytes are an earlier version that a person asked for, not those in the folder
    rolled_back: bool = False
    #: the day (and hour) before which it must not go out, as somebody wrote it
    publish_after: str | None = None


@dataclass(frozen=True, slots=True)
class Folderful:
    """What the folders of one dataset hold, for the planner."""

    #: settled files that differ from the ledger, or all of them
    files: Mapping[ResourceKey, SourceFile] = field(default_factory=dict)
    #: every path seen, whatever its state
    present: frozenset[ResourceKey] = frozenset()
    #: folders of which a complete scan without error proves absence
    complete: frozenset[str] = frozenset()
    #: files seen and not usable yet, with the reason
    waiting: tuple[Hold, ...] = ()
    #: folders of which only named files were looked at: reason to keep, none yet to withdraw
    named: frozenset[str] = frozenset()
    #: folders of which a part could not be read
    dim: frozenset[str] = frozenset()
    #: what published bytes hold, by their sha1, as far as somebody will be compared with them
    profiles: Mapping[str, Packed] = field(default_factory=dict)


# ------------------------------------------------------------------------------------ what to do


@dataclass(frozen=True, slots=True)
class Upload:
    """Create a resource with this file."""

    file: SourceFile
    #: what is to be remembered of its content, and what a check noticed
    profile: Packed | None = None
    noticed: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Replace:
    """Give this resource the file's bytes; ``title`` is the one to put back after."""

    file: SourceFile
    resource: ResourceId
    before: Fingerprint | None
    title: str | None
    #: as of ``Upload``
    profile: Packed | None = None
    noticed: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Describe:
    """Write these words on the resource. ``applied`` is the merge base once it is done."""

    key: ResourceKey
    resource: ResourceId
    words: Words
    applied: Words
    #: write this identity too (the resource was just written by us: nobody else is at its extras)
    identity: Identity | None = None


@dataclass(frozen=True, slots=True)
class Identify:
    """Write our identity in the resource's extras; the dataset's freshness does not move."""

    key: ResourceKey
    resource: ResourceId
    identity: Identity


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Delete this resource of ours from the portal."""

    key: ResourceKey
    resource: ResourceId
    #: its file may still be there: newer ones of the series have taken its place
    left: bool = False


@dataclass(frozen=True, slots=True)
class Adopt:
    """Remember that this file is that resource; nothing is sent."""

    entry: Entry
    why: str
    #: the attempt this answers, if any
    attempt: int | None = None


@dataclass(frozen=True, slots=True)
class Rename:
    """The entry of ``old`` is now that of ``entry.key``; nothing is sent."""

    old: ResourceKey
    entry: Entry


@dataclass(frozen=True, slots=True)
class Abandon:
    """This attempt did nothing: close it."""

    attempt: Attempt
    why: str


@dataclass(frozen=True, slots=True)
class Forget:
    """Neither the file nor the resource is there any more: drop the entry."""

    key: ResourceKey
    resource: ResourceId
    why: str


@dataclass(frozen=True, slots=True)
class Keep:
    """The file is gone and its resource stays."""

    key: ResourceKey
    resource: ResourceId
    #: not gone: newer ones of the series have taken its place
    left: bool = False


Action = (
    Upload | Replace | Describe | Identify | Withdraw | Adopt | Rename | Abandon | Forget | Keep
)


@dataclass(frozen=True, slots=True)
class Hold:
    """Do nothing for this file now, and say why."""

    key: ResourceKey
    code: str
    why: str
    #: when to look again by ourselves; None: a person, the file or the settings must change
    until: float | None = None
    state: State = State.HELD


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do, sorted, and what is held, with reasons. Printing it does nothing."""

    actions: tuple[Action, ...] = ()
    holds: tuple[Hold, ...] = ()
    #: fields a colleague changed on the portal, kept as they are: (key, field, ours, theirs)
    drifts: tuple[tuple[ResourceKey, str, str, str], ...] = ()
    #: the same where the configuration changed too: nothing is written until a person decides
    clashes: tuple[tuple[ResourceKey, str, str, str], ...] = ()
    #: words that have no value now, and why: (key, field, ours, found, why)
    unsaid: tuple[tuple[ResourceKey, str, str, str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Published:
    """One file that went up, for those who count and tell."""

    key: ResourceKey
    size: int
    #: from the first byte until the portal had it
    seconds: float
    #: a new resource; False: an existing one's bytes were replaced
    created: bool


@dataclass(frozen=True, slots=True)
class Report:
    """What one pass did; one log line, and the source of ``once`` and ``status``."""

    dataset: DatasetId
    reason: Reason
    pass_id: str
    started_at: float
    seconds: float
    counts: Mapping[str, int] = field(default_factory=dict)
    done: tuple[Action, ...] = ()
    standings: tuple[Standing, ...] = ()
    published: tuple[Published, ...] = ()
    #: what was tried in this pass and did not work
    failed: tuple[Standing, ...] = ()
    #: words of resources that a colleague changed: (key, field, ours, theirs, whether ours changed
    #: too); None: not all of them were compared
    words: tuple[tuple[ResourceKey, str, str, str, str | None], ...] | None = None
    #: the folders that were looked at whole
    scanned: frozenset[str] = frozenset()
    #: when something of this dataset is due again by itself
    requeue_at: float | None = None
    #: what stopped the whole pass, if anything did
    trouble: str | None = None
    #: its code; that of the folder, where more than one thing did
    trouble_code: str | None = None
    #: the portal could not be asked (it is away, or refuses the key); when to ask again
    portal_at: float | None = None
