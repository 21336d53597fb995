"""Asks the portal about each dataset that is named, and about each word of its vocabularies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from publisher_daemon.check._finding import Finding, error, fine, warning
from publisher_daemon.check._places import Places
from publisher_daemon.check._portal import Reached
from publisher_daemon.config import (
    DatasetSettings,
    FolderSettings,
    Settings,
)
from publisher_daemon.errors import (
    ConfigInvalid,
    CredentialRefused,
    NotThere,
    PortalError,
    PortalRefused,
)
from publisher_daemon.model import DatasetId, RemoteDataset, RemoteResource, ResourceId
from publisher_daemon.naming import looks_like_dataset_id, readable
from publisher_daemon.portal import Me, Portal

#: each write to so large a dataset takes the portal seconds (portal-facts §12)
_MANY = 1000


@dataclass(slots=True)
class _Desk:
    """What the questions about one configuration share."""

    settings: Settings
    portal: Portal
    me: Me
    places: Places
    #: the id of each name that was found
    ids: dict[str, DatasetId] = field(default_factory=dict)


def datasets(settings: Settings, portal: Portal, me: Me, places: Places) -> Iterator[Finding]:
    """Every dataset that folders feed or whose metadata is kept; raises only CredentialRefused."""
    desk = _Desk(settings, portal, me, places)
    for name in settings.datasets_named():
        try:
            yield from _dataset(desk, name)
        except CredentialRefused:
            raise
        except PortalError as trouble:
            where = places.dataset(name)
            unreachable = not isinstance(trouble, PortalRefused)
            yield error(
                where,
                f"The portal does not tell of the dataset {name}: {trouble.message}.",
                trouble.hint or "Try again; if it lasts, tell the portal's support.",
                "portal.unreachable" if unreachable else "dataset.refused",
            )
            if unreachable and trouble.status is None:
                return  # it is gone: the others would only wait in their turn
    try:
        settings.watches(desk.ids)
    except ConfigInvalid as trouble:
        yield error(str(settings.path or ""), trouble.message, trouble.hint or "", "config.folders")


def _dataset(desk: _Desk, name: str) -> Iterator[Finding]:
    where = desk.places.dataset(name)
    said = next((each for each in desk.settings.datasets if each.id == name), None)
    if said is not None and said.create and not looks_like_dataset_id(name):
        yield from _to_make(desk, said, where)
        return
    try:
        found = desk.portal.resolve(name)
    except NotThere as trouble:
        code = "dataset.deleted" if trouble.status == 410 else "dataset.not_found"
        yield error(where, trouble.message, trouble.hint or "", code)
        return
    desk.ids[name] = found.id
    title = f"“{readable(found.title)}”"
    feeding = [
        (index, folder)
        for index, folder in enumerate(desk.settings.folders)
        if folder.dataset == name
    ]
    if not looks_like_dataset_id(name):
        yield warning(
            where,
            f"“{name}” is the dataset {title}, named by the end of its address, which changes "
            "with its title.",
            f'Write its id, which never changes: "{found.id}".',
            "dataset.slug",
        )
    may = (found.can_edit_resources or not feeding) and (found.can_edit or said is None)
    troubles = list(_troubles(desk, found, title, where, may=may))
    yield from troubles
    if said is not None:
        yield from _contacts(desk, said, found, title)
    if not feeding:
        if not troubles:
            yield fine(where, f"{title} can be edited.", "dataset.read")
        return
    resources = desk.portal.resources(found.id)
    yield from _pins(desk, feeding, resources, title)
    if len(resources) >= _MANY:
        yield warning(
            where,
            f"{title} has {len(resources)} resources: each publication there takes the portal "
            "several seconds.",
            "Gather small files into larger ones (one a year, say), or share them out among "
            "several datasets.",
            "dataset.large",
        )
    if not any(trouble.level == "error" for trouble in troubles):
        folders = f", fed by {len(feeding)} folders" if len(feeding) > 1 else ""
        yield fine(
            where,
            f"{title} ({_resources(len(resources))}){folders}: its files can be published. "
            f"{found.page}",
            "dataset.read",
        )


def _resources(count: int) -> str:
    return f"{count} resource" if count == 1 else f"{count} resources"


def _to_make(desk: _Desk, said: DatasetSettings, where: str) -> Iterator[Finding]:
    """A dataset that is to be made: whether it may be, and whether it was already."""
    member = {each.id: each.name for each in desk.me.organizations}
    if said.organization is not None and said.organization not in member:
        known = ", ".join(f"“{name}” ({id_})" for id_, name in member.items()) or "none"
        yield error(
            where,
            f"The key's account is no member of the organization {said.organization}: it cannot "
            f"make the dataset “{readable(said.title or said.id)}” there.",
            f"It is a member of: {known}. Name one of them, or none for the account itself.",
            "dataset.no_right",
        )
        return
    made = [
        one
        for one in desk.portal.datasets_of(said.organization or "me")
        if one.name == said.id and not one.deleted
    ]
    for one in made:
        desk.ids[said.id] = one.id
        yield warning(
            where,
            f"“{said.id}” was made: it is the dataset “{readable(one.title)}”. {one.page}",
            f'Write its id, which never changes: "{one.id}".',
            "dataset.slug",
        )
    if not made:
        owner = f"“{member[said.organization]}”" if said.organization else "the account itself"
        seen = "PUBLIC" if said.private is False else "private"
        yield fine(
            where,
            f"“{readable(said.title or said.id)}” will be made, {seen}, on behalf of {owner}.",
            "dataset.to_make",
        )


def _contacts(
    desk: _Desk, said: DatasetSettings, found: RemoteDataset, title: str
) -> Iterator[Finding]:
    """The contact points that are not those of the dataset's organization."""
    if not said.contact_points or found.organization is None:
        return
    known = desk.portal.contacts_of(found.organization)
    wrong = [each for each in said.contact_points if each not in known]
    index = desk.settings.datasets.index(said)
    if wrong:
        has = ", ".join(f"{id_} (“{readable(name)}”)" for id_, name in known.items()) or "none"
        yield error(
            desk.places("datasets", index, "contact_points"),
            f"The organization of {title} has no contact point {', '.join(wrong)}.",
            f"It has: {has}.",
            "dataset.contact_point",
        )


def _troubles(
    desk: _Desk, found: RemoteDataset, title: str, where: str, *, may: bool
) -> Iterator[Finding]:
    if found.deleted:
        yield error(
            where,
            f"{title} is deleted on the portal: nobody would see what is published there.",
            f"Restore it on its page, or name another one. {found.page}",
            "dataset.deleted",
        )
    if found.archived:
        yield error(
            where,
            f"{title} is archived on the portal: nobody would find what is published there.",
            f"Take it out of the archive on its page, or name another one. {found.page}",
            "dataset.archived",
        )
    if found.harvested:
        yield error(
            where,
            f"{title} is fed by a harvester, which would undo what is published there.",
            "Publish at its source, or in a dataset that is not harvested.",
            "dataset.harvested",
        )
    if not may:
        yield error(
            where,
            f"The key's account may not edit {title}.",
            _who(desk.me, found),
            "dataset.no_right",
        )
    if found.private:
        yield warning(
            where,
            f"{title} is private, but whoever has the address of one of its files can download "
            "it: the portal hides the dataset, not the files.",
            "Keep out of it what must stay secret.",
            "dataset.private",
        )


def _who(me: Me, found: RemoteDataset) -> str:
    account = me.email or " ".join(filter(None, (me.first_name, me.last_name))) or me.id
    organization = found.raw.get("organization")
    name = organization.get("name") if isinstance(organization, dict) else None
    if name is None:
        return f"Its owner must move it to an organization of which {account} is an editor."
    if any(each.id == found.organization for each in me.organizations):
        return (
            f"{account} is a partial editor of “{name}”: an administrator of it must assign this "
            "dataset to the account, or make it an editor."
        )
    return (
        f"An administrator of “{name}” must add {account} to it, as partial editor assigned to "
        "this dataset (or as editor)."
    )


def _pins(
    desk: _Desk,
    feeding: Sequence[tuple[int, FolderSettings]],
    resources: Mapping[ResourceId, RemoteResource],
    title: str,
) -> Iterator[Finding]:
    """The resources that rules name: each must be there, and hosted by the portal."""
    for folder_index, folder in feeding:
        for index, rule in enumerate(folder.resources):
            if rule.resource is None:
                continue
            where = desk.places("folders", folder_index, "resources", index, "resource")
            resource = resources.get(ResourceId(rule.resource))
            if resource is None:
                yield error(
                    where,
                    f"{title} has no resource {rule.resource}.",
                    "Copy the id from the resource's permanent link, or take the line out: the "
                    "resource is then found, or made, by itself.",
                    "dataset.no_such_resource",
                )
            elif resource.filetype != "file":
                yield error(
                    where,
                    f"The resource “{readable(resource.title)}” ({resource.id}) is a link to "
                    "another site, not a file of the portal: it cannot take a file.",
                    "Take the line out, so that a resource is made for the file, and delete the "
                    "link on the portal if it is no longer needed.",
                    "dataset.remote_resource",
                )


# ------------------------------------------------------------------------------------ vocabularies


def words(settings: Settings, reached: Reached, places: Places) -> Iterator[Finding]:
    """The licences, frequencies and types that this portal does not know."""
    for index, dataset in enumerate(settings.datasets):
        said = dataset.license
        if said is not None and reached.licenses and said not in reached.licenses:
            yield error(
                places("datasets", index, "license"),
                f"The portal knows no license “{said}”: it would not refuse it, but clear the "
                "license of the dataset.",
                near(said, reached.licenses),
                "dataset.license",
            )
        said = dataset.frequency
        if said is not None and reached.frequencies and said not in reached.frequencies:
            yield error(
                places("datasets", index, "frequency"),
                f"The portal knows no frequency “{said}”.",
                near(said, reached.frequencies),
                "dataset.frequency",
            )
        spatial = dataset.spatial
        said = None if spatial is None else spatial.granularity
        if said is not None and reached.granularities and said not in reached.granularities:
            yield error(
                places("datasets", index, "spatial"),
                f"The portal knows no spatial granularity “{said}”.",
                near(said, reached.granularities),
                "dataset.granularity",
            )
    for folder_index, folder in enumerate(settings.folders):
        for index, rule in enumerate(folder.resources):
            if rule.type is not None and reached.types and rule.type not in reached.types:
                yield error(
                    places("folders", folder_index, "resources", index, "type"),
                    f"The portal knows no type of resource “{rule.type}”.",
                    near(rule.type, reached.types),
                    "dataset.type",
                )


def access_reasons(settings: Settings, portal: Portal, places: Places) -> Iterator[Finding]:
    """The reasons of access that the portal does not know; raises PortalError."""
    named = [
        (places("datasets", index, "access_type_reason_category"), said)
        for index, dataset in enumerate(settings.datasets)
        if (said := dataset.access_type_reason_category) is not None
    ]
    known = portal.access_reasons() if named else frozenset()
    for where, said in named:
        if said not in known:
            yield error(
                where,
                f"The portal knows no access_type_reason_category “{said}”.",
                near(said, known),
                "dataset.access_reason",
            )


def zones(settings: Settings, portal: Portal, places: Places) -> Iterator[Finding]:
    """The spatial zones that the portal does not know; raises PortalError."""
    for index, dataset in enumerate(settings.datasets):
        for zone in (dataset.spatial.zones if dataset.spatial else None) or ():
            if not portal.has_zone(zone):
                yield error(
                    places("datasets", index, "spatial"),
                    f"The portal knows no spatial zone “{zone}”.",
                    "Copy its id from the address of a dataset of that zone, or from "
                    f"{portal.url}/api/1/spatial/zones/suggest/?q=… with its name.",
                    "dataset.zone",
                )


def schemas(settings: Settings, portal: Portal, places: Places) -> Iterator[Finding]:
    """The schemas that the portal's catalogue does not have."""
    named = [
        (places("folders", folder_index, "resources", index, "schema"), rule.schema_name)
        for folder_index, folder in enumerate(settings.folders)
        for index, rule in enumerate(folder.resources)
        # a schema may be an address, which no catalogue lists
        if rule.schema_name is not None and "://" not in rule.schema_name
    ]
    if not named:
        return
    try:
        known = portal.schemas()
    except PortalError as trouble:
        yield warning(
            named[0][0],
            f"The portal's catalogue of schemas does not answer, so the schemas named here are "
            f"not checked: {trouble.message}.",
            "Run `check` again later.",
            "dataset.schemas_unknown",
        )
        return
    for where, name in named:
        if known and name not in known:
            yield error(
                where,
                f"The portal's catalogue has no schema “{name}”.",
                near(name, known),
                "dataset.schema",
            )


def near(said: str, known: frozenset[str]) -> str:
    """What may be meant, of the words that are known."""
    close = get_close_matches(said, sorted(known), n=1)
    if close:
        return f'Perhaps "{close[0]}" is meant.'
    shown = sorted(known)[:20]
    return f"Known ones: {', '.join(shown)}{'…' if len(known) > len(shown) else ''}."
