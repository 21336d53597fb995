"""Turns the portal's JSON into the words of the model, and ours into its JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

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

#: where a resource says which file it is (public, so relative paths only: portal-facts §15.19)
_FOLDER = "publisher-daemon:folder"
_PATH = "publisher-daemon:path"
_SHA1 = "publisher-daemon:sha1"
#: where a dataset that we made says under which name
NAME = "publisher-daemon:name"

#: never sent in an update: a list of resources removes what was uploaded meanwhile, an owner takes
#: the dataset out of its organisation (portal-facts §3.1)
NEVER_UPDATED = frozenset({"resources", "owner", "organization"})


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


def me(body: Mapping[str, Any]) -> Me:
    """Whose key it is, from ``/me/``."""
    return Me(
        id=str(body["id"]),
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


def dataset(body: Mapping[str, Any]) -> RemoteDataset:
    """A dataset, from either version of the API; ``raw`` is the answer without its resources."""
    permissions = body.get("permissions") or {}
    organization = body.get("organization") or {}
    return RemoteDataset(
        id=DatasetId(str(body["id"])),
        slug=body.get("slug") or "",
        title=body.get("title") or "",
        page=body.get("page") or "",
        private=body.get("private") is True,
        archived=bool(body.get("archived")),
        deleted=bool(body.get("deleted")),
        harvested=bool(body.get("harvest")),
        # a portal without permissions in its answers says no only when it is asked to write
        can_edit=bool(permissions.get("edit", True)),
        can_edit_resources=bool(permissions.get("edit_resources", permissions.get("edit", True))),
        organization=organization.get("id"),
        name=_text((body.get("extras") or {}).get(NAME)),
        raw={name: value for name, value in body.items() if name != "resources"},
    )


def page(body: Mapping[str, Any], *, can_edit: bool | None = None) -> RemotePage:
    """An organisation, or a reuse with the ids of its datasets."""
    permissions = body.get("permissions") or {}
    datasets = [one["id"] for one in body.get("datasets") or () if isinstance(one, Mapping)]
    return RemotePage(
        id=str(body["id"]),
        title=body.get("title") or body.get("name") or "",
        page=body.get("page") or "",
        can_edit=bool(permissions.get("edit", True)) if can_edit is None else can_edit,
        deleted=bool(body.get("deleted")),
        raw={**body, "datasets": datasets},
    )


def resource(body: Mapping[str, Any]) -> RemoteResource:
    """A resource, from either version of the API."""
    checksum = body.get("checksum") or {}
    return RemoteResource(
        id=ResourceId(str(body["id"])),
        title=body.get("title") or "",
        url=body.get("url") or "",
        permalink=body.get("latest") or "",
        sha1=checksum.get("value") if checksum.get("type") == "sha1" else None,
        size=body.get("filesize"),
        description=body.get("description"),
        type=body.get("type"),
        filetype=body.get("filetype") or "file",
        format=body.get("format"),
        schema=_schema(body.get("schema")),
        schema_version=(body.get("schema") or {}).get("version"),
        created_at=body.get("created_at") or "",
        last_modified=body.get("last_modified") or "",
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


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _schema(schema: Mapping[str, Any] | None) -> str | None:
    return None if not schema else schema.get("name") or schema.get("url")


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
