"""Turns the portal's JSON into the words of the model, and ours into its JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from publisher_daemon.errors import OutcomeUnknown, PortalUnreachable
from publisher_daemon.model import (
    DatasetId,
    Identity,
    RemoteDataset,
    RemotePage,
    RemoteResource,
    ResourceId,
    Words,
)
from publisher_daemon.naming import NOT_OF_PEOPLE, extra, identity_path
from publisher_daemon.portal import answers

#: where a resource says which file it is (public, so relative paths only: portal-facts §15.19)
_FOLDER = "publisher-daemon:folder"
_PATH = "publisher-daemon:path"
_SHA1 = "publisher-daemon:sha1"
#: where a dataset that we made says under which name
NAME = "publisher-daemon:name"

#: never sent in an update: a list of resources removes what was uploaded meanwhile, an owner takes
#: the dataset out of its organisation (portal-facts §3.1)
NEVER_UPDATED = frozenset({"resources", "owner", "organization"})


_MOST_BYTES = 2**63

_P = ParamSpec("_P")
_R = TypeVar("_R")


class Misshapen(ValueError):
    """The portal's document is not what it should be."""


@contextmanager
def of_a_read() -> Iterator[None]:
    """A misshapen document is no answer: raises PortalUnreachable."""
    try:
        yield
    except Misshapen as error:
        raise PortalUnreachable(
            f"the portal's answer is not what it should be ({error})",
            hint="Check `[portal] url`, and whether something stands between here and the portal.",
        ) from error


@contextmanager
def of_a_write() -> Iterator[None]:
    """A misshapen document does not say what was done: raises OutcomeUnknown."""
    try:
        yield
    except Misshapen as error:
        raise OutcomeUnknown(f"the portal's answer is not what it should be ({error})") from error


def _insisting(read: Callable[_P, _R]) -> Callable[_P, _R]:
    """Raise Misshapen for what is no such document, whatever is wrong with it."""

    @wraps(read)
    def insist(*args: _P.args, **options: _P.kwargs) -> _R:
        try:
            return read(*args, **options)
        except Misshapen:
            raise
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise Misshapen("something is missing in it") from error

    return insist


def _id(body: Mapping[str, Any]) -> str:
    found = body["id"]
    if not isinstance(found, str) or not found:
        raise Misshapen("it has no id")
    return found


def _said(body: Mapping[str, Any], name: str) -> str | None:
    found = body.get(name)
    if found is None or isinstance(found, str):
        return found
    raise Misshapen(f"its {name} is no text")


@dataclass(frozen=True, slots=True)
class Membership:
    """An organisation the key's owner belongs to."""

    id: str
    name: str
    slug: str = ""
    #: they administer it
    admin: bool = False


@dataclass(frozen=True, slots=True)
class Me:
    """Whose key it is."""

    id: str
    email: str | None = None
    first_name: str = ""
    last_name: str = ""
    organizations: tuple[Membership, ...] = ()
    #: roles on the whole portal; ``admin`` may do everything
    roles: tuple[str, ...] = ()


@_insisting
def me(body: Mapping[str, Any]) -> Me:
    """Whose key it is, from ``/me/``."""
    return Me(
        id=_id(body),
        email=body.get("email"),
        first_name=body.get("first_name") or "",
        last_name=body.get("last_name") or "",
        organizations=tuple(
            Membership(
                str(found["id"]),
                found.get("name") or "",
                found.get("slug") or "",
                admin=bool((found.get("permissions") or {}).get("edit")),
            )
            for found in body.get("organizations") or ()
        ),
        roles=tuple(str(role) for role in body.get("roles") or ()),
    )


@_insisting
def expiries(body: Any) -> dict[str, float | None]:
    """When each key of a list ends (None: never), by its visible beginning."""
    listed = body.get("data", ()) if isinstance(body, Mapping) else body
    return {
        str(one.get("token_prefix")): answers.iso_date(_said(one, "expires_at")) for one in listed
    }


@_insisting
def names(listed: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The names of what a list holds, by id."""
    return {_id(one): _said(one, "name") or "" for one in listed}


@_insisting
def extras_there(body: Mapping[str, Any], meant: ResourceId) -> dict[str, Any]:
    """All the extras that this resource has, whoever wrote them."""
    if _id(body) != meant:
        raise Misshapen("it is of another resource")
    return dict(body.get("extras") or {})


@_insisting
def dataset(body: Mapping[str, Any], meant: DatasetId | None = None) -> RemoteDataset:
    """A dataset, from either version of the API; the one that is meant, if one is.

    ``raw`` is the answer without its resources.
    """
    if meant is not None and _id(body) != meant:
        raise Misshapen("it is of another dataset")
    permissions = body.get("permissions") or {}
    organization = body.get("organization") or {}
    return RemoteDataset(
        id=DatasetId(_id(body)),
        slug=_said(body, "slug") or "",
        title=_said(body, "title") or "",
        page=_said(body, "page") or "",
        private=body.get("private") is True,
        archived=bool(body.get("archived")),
        deleted=bool(body.get("deleted")),
        harvested=bool(body.get("harvest")),
        # a portal without permissions in its answers says no only when it is asked to write
        can_edit=bool(permissions.get("edit", True)),
        can_edit_resources=bool(permissions.get("edit_resources", permissions.get("edit", True))),
        organization=_said(organization, "id"),
        name=_text((body.get("extras") or {}).get(NAME)),
        raw={name: value for name, value in body.items() if name != "resources"},
    )


@_insisting
def page(body: Mapping[str, Any], *, can_edit: bool | None = None) -> RemotePage:
    """An organisation, or a reuse with the ids of its datasets."""
    permissions = body.get("permissions") or {}
    datasets = [one["id"] for one in body.get("datasets") or () if isinstance(one, Mapping)]
    return RemotePage(
        id=_id(body),
        title=_said(body, "title") or _said(body, "name") or "",
        page=_said(body, "page") or "",
        can_edit=bool(permissions.get("edit", True)) if can_edit is None else can_edit,
        deleted=bool(body.get("deleted")),
        raw={**body, "datasets": datasets},
    )


@_insisting
def resource(body: Mapping[str, Any], meant: ResourceId | None = None) -> RemoteResource:
    """A resource, from either version of the API; the one that is meant, if one is."""
    checksum = body.get("checksum") or {}
    if meant is not None and body["id"] != meant:
        raise Misshapen("it is of another resource")
    return RemoteResource(
        id=ResourceId(_id(body)),
        title=_said(body, "title") or "",
        url=_said(body, "url") or "",
        permalink=_said(body, "latest") or "",
        sha1=_text(checksum.get("value")) if checksum.get("type") == "sha1" else None,
        size=_size(body.get("filesize")),
        description=_said(body, "description"),
        type=_said(body, "type"),
        filetype=_said(body, "filetype") or "file",
        format=_said(body, "format"),
        schema=_schema(body.get("schema")),
        schema_version=_said(body.get("schema") or {}, "version"),
        created_at=_said(body, "created_at") or "",
        last_modified=_said(body, "last_modified") or "",
        source=_identity(body.get("extras") or {}),
        extras=tuple(
            (str(name), extra(value))
            for name, value in sorted((body.get("extras") or {}).items())
            if not str(name).startswith(NOT_OF_PEOPLE)
        ),
        analysis={
            name: value
            for name, value in (body.get("extras") or {}).items()
            if name.startswith(("analysis:", "check:"))
        },
    )


@_insisting
def place(body: Mapping[str, Any]) -> tuple[DatasetId, RemoteResource]:
    """A resource that was asked for by its id alone, and the dataset it is in."""
    return DatasetId(str(body["dataset_id"])), resource(body["resource"])


def published(body: Mapping[str, Any], meant: ResourceId | None) -> RemoteResource:
    """A resource that was just given bytes, which says that it has some."""
    found = resource(body, meant)
    if found.fingerprint is None:
        raise Misshapen("it does not say which bytes it has")
    return found


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _schema(schema: Mapping[str, Any] | None) -> str | None:
    return None if not schema else _said(schema, "name") or _said(schema, "url")


def _size(value: object) -> int | None:
    # True is an int too, and no file has more bytes than a ledger can count
    return value if type(value) is int and 0 <= value < _MOST_BYTES else None


def _identity(extras: Mapping[str, Any]) -> Identity | None:
    folder, path, sha1 = (extras.get(name) for name in (_FOLDER, _PATH, _SHA1))
    if not isinstance(folder, str) or not isinstance(path, str):
        return None
    return Identity(folder, path, sha1 if isinstance(sha1, str) else "")


def extras(identity: Identity) -> dict[str, str]:
    """The extras that say it."""
    return {
        _FOLDER: identity.folder,
        _PATH: identity_path(identity.path),
        _SHA1: identity.sha1,
    }


def extras_of(words: Words) -> dict[str, Any]:
    """The extras that the words say."""
    return {name: json.loads(value) for name, value in words.extras}


def fields(words: Words) -> dict[str, Any]:
    """The resource's fields for the words that are said, extras apart; an empty word clears."""
    said: dict[str, Any] = dict(replace(words, extras=()).said())
    if said.get("description") == "":
        said["description"] = None
    if words.schema is not None:
        kind = "url" if "://" in words.schema else "name"
        said["schema"] = {kind: words.schema} if words.schema else None
    return said
