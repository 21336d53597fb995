"""Asks the portal about the organisations and reuses whose pages are kept in step."""

from __future__ import annotations

from collections.abc import Iterator

from publisher_daemon.check._datasets import near
from publisher_daemon.check._finding import Finding, error, fine
from publisher_daemon.check._places import Places
from publisher_daemon.config import Settings
from publisher_daemon.errors import NotThere
from publisher_daemon.naming import readable
from publisher_daemon.portal import Me, Portal


def pages(settings: Settings, portal: Portal, me: Me, places: Places) -> Iterator[Finding]:
    """Each organisation and each reuse: is it there, may it be written; raises PortalError."""
    for index, organization in enumerate(settings.organizations):
        where = places("organizations", index, "id")
        try:
            found = portal.organization(organization.id)
        except NotThere:
            yield error(
                where,
                f"The portal has no organization {organization.id}.",
                "Copy its id from its page, on this very portal.",
                "page.not_found",
            )
            continue
        if found.can_edit:
            yield fine(where, f"The page of “{readable(found.title)}” can be edited.", "page.read")
        else:
            yield error(
                where,
                f"The key's account may not edit the page of “{readable(found.title)}”.",
                "Only an administrator of the organization may: have the account made one, or take "
                "the section out.",
                "page.no_right",
            )
    if settings.reuses:
        types, topics = portal.reuse_types(), portal.reuse_topics()
        for index, _ in enumerate(settings.reuses):
            yield from _reuse(settings, index, me, places, {"type": types, "topic": topics})


def _reuse(
    settings: Settings, index: int, me: Me, places: Places, known: dict[str, frozenset[str]]
) -> Iterator[Finding]:
    reuse = settings.reuses[index]
    wrong = False
    for name, said in (("type", reuse.type), ("topic", reuse.topic)):
        if said is not None and said not in known[name]:
            wrong = True
            yield error(
                places("reuses", index, name),
                f"The portal knows no {name} of reuse “{said}”.",
                near(said, known[name]),
                f"page.{name}",
            )
    member = {each.id: each.name for each in me.organizations}
    if reuse.organization is not None and reuse.organization not in member:
        mine = ", ".join(f"“{name}” ({id_})" for id_, name in member.items()) or "none"
        yield error(
            places("reuses", index, "organization"),
            f"The key's account is no member of the organization {reuse.organization}: it cannot "
            "declare a reuse there.",
            f"It is a member of: {mine}.",
            "page.no_right",
        )
    elif not wrong:
        yield fine(places("reuses", index, "url"), f"The reuse {reuse.url} is well.", "page.read")
