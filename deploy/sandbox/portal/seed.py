"""Fills an empty portal with the people, keys, organisations and datasets of the sandbox.

What it made is written to ``ids.json``. Titles all differ: SecantusDB fails on a third equal one.
"""

# import-not-found: udata and its database live in the sandbox's own environment,
# not in the checker's

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from application import build
from lifeline import end_with
from udata.core.api_token.models import ApiToken  # type: ignore[import-not-found]
from udata.core.contact_point.models import ContactPoint  # type: ignore[import-not-found]
from udata.core.dataset.models import (  # type: ignore[import-not-found]
    Dataset,
    HarvestDatasetMetadata,
    License,
)
from udata.core.organization.models import Member, Organization  # type: ignore[import-not-found]
from udata.core.spatial.models import GeoLevel, GeoZone  # type: ignore[import-not-found]
from udata.core.user.models import Role, datastore  # type: ignore[import-not-found]


class _Seed:
    """Creates things under short labels, and remembers their ids."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)  # noqa: TID251 - a script: it is the shell
        self.ids: dict[str, dict[str, str]] = {
            "tokens": {},
            "users": {},
            "orgs": {},
            "datasets": {},
        }

    def user(self, label: str, **fields: Any) -> Any:
        user = datastore.create_user(
            first_name=label.title(),
            last_name="Test",
            email=f"{label}@example.org",
            password="Passw0rd1",
            confirmed_at=self.now,
            **({"active": True} | fields),
        )
        user.save()
        self.ids["users"][label] = str(user.id)
        self.token(label, user)
        return user

    def token(self, label: str, user: Any, **fields: Any) -> Any:
        token, self.ids["tokens"][label] = ApiToken.generate(user, name=label, **fields)
        return token

    def organization(self, label: str, name: str, roles: list[tuple[Any, str]]) -> Any:

        members = [Member(user=user, role=role) for user, role in roles]
        organization = Organization(name=name, description=name, members=members).save()
        self.ids["orgs"][label] = str(organization.id)
        return organization

    def dataset(self, label: str, title: str, **fields: Any) -> None:

        dataset = Dataset(title=title, description=f"Jeu « {label} » du bac à sable", **fields)
        self.ids["datasets"][label] = str(dataset.save().id)


def fill() -> dict[str, Any]:
    """Create everything; must run in the application's context. Returns the ids by label."""
    seed = _Seed()
    prod, editor, partial, stranger = (
        seed.user(label) for label in ("prod", "editor", "partial", "stranger")
    )
    seed.user("inactive", active=False)
    seed.user("sysadmin", roles=[Role(name="admin").save()])
    seed.token("revoked", prod).revoke()
    seed.token("expired", prod, expires_at=seed.now - timedelta(days=1))
    ville = seed.organization(
        "ville",
        "Ville de Test",
        [(prod, "admin"), (editor, "editor"), (partial, "partial_editor")],
    )
    autre = seed.organization("autre", "Autre organisation", [(stranger, "admin")])
    for name, title in (
        ("lov2", "Licence Ouverte version 2.0"),
        ("odc-odbl", "ODbL"),
        ("notspecified", "License Not Specified"),
    ):
        License(id=name, title=title, active=True).save()
    for level, code, name in (
        ("country", "fr", "France"),
        ("fr:departement", "69", "Rhône"),
        ("fr:commune", "69123", "Lyon"),
    ):
        GeoLevel(id=level, name=level).save()
        GeoZone(id=f"{level}:{code}", slug=code, name=name, code=code, level=level).save()
    seed.dataset("pub", "Jeu public", organization=ville)
    seed.dataset("own", "Jeu utilisateur", owner=prod)
    seed.dataset("priv", "Jeu privé", organization=ville, private=True)
    seed.dataset("deleted", "Jeu supprimé", organization=ville, deleted=seed.now)
    seed.dataset("archived", "Jeu archivé", organization=ville, archived=seed.now)
    seed.dataset(
        "harvested",
        "Jeu moissonné",
        organization=ville,
        harvest=HarvestDatasetMetadata(backend="DCAT", domain="source.example.org"),
    )
    seed.dataset("other", "Jeu autre orga", organization=autre)
    seed.dataset("otherpriv", "Jeu privé autre orga", organization=autre, private=True)
    contact = ContactPoint(
        name="Contact", email="a@example.org", role="contact", organization=ville
    ).save()
    return {**seed.ids, "contact_point": str(contact.id)}


def main() -> int:
    """Seed the database that listens on ``--database``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--database", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args()
    end_with(options.parent)
    app = build(options.data, 80, options.database, {})
    with app.app_context():
        ids = fill()
    (options.data / "ids.json").write_text(json.dumps(ids, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
