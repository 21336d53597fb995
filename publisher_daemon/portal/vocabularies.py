"""What words the portal knows: the values that its fields may have."""

from __future__ import annotations

from collections.abc import Mapping

from publisher_daemon.errors import NotThere, PortalUnreachable
from publisher_daemon.portal import shapes
from publisher_daemon.portal.addresses import HOPS, joined, part
from publisher_daemon.portal.calls import Caller


class Vocabularies:
    """The part of the portal that answers with lists of words; changes nothing."""

    _calls: Caller

    def extensions(self) -> frozenset[str]:
        """The extensions the portal says it accepts, lower case, without the dot."""
        found = self._vocabulary("/api/1/datasets/extensions/")
        return frozenset(one.lower().lstrip(".") for one in found)

    def frequencies(self) -> frozenset[str]:
        """The update frequencies the portal knows, by id."""
        return self._vocabulary("/api/1/datasets/frequencies/", "id")

    def licenses(self) -> frozenset[str]:
        """The licences the portal knows, by id; another one would clear the dataset's licence."""
        return self._vocabulary("/api/1/datasets/licenses/", "id")

    def resource_types(self) -> frozenset[str]:
        """The types of resource the portal knows, by id."""
        return self._vocabulary("/api/1/datasets/resource_types/", "id")

    def schemas(self) -> frozenset[str]:
        """The names of the schemas in the portal's catalogue; empty when it has none."""
        try:
            return self._vocabulary("/api/1/datasets/schemas/", "name")
        except NotThere:
            return frozenset()

    def table_schemas(self) -> dict[str, str]:
        """The address of each Table Schema of the portal's catalogue, by name."""
        try:
            found = self._calls.read("/api/1/datasets/schemas/")
        except NotThere:
            return {}
        return {
            one["name"]: one["schema_url"]
            for one in found
            if isinstance(one, Mapping)
            and one.get("schema_type") == "tableschema"
            and isinstance(one.get("name"), str)
            and isinstance(one.get("schema_url"), str)
        }

    def document(self, url: str, *, silence: float | None = None) -> bytes:
        """What is at a public address, which may be another site's: it never gets the key."""
        for _ in range(HOPS):
            answer = self._calls.ask("GET", url, silence=silence)
            location = answer.headers.get("Location")
            if not 300 <= answer.status < 400 or location is None:
                break
            url = joined(url, location)
        if answer.status != 200:
            self._calls.refuse(answer, wrote=False)
        return answer.body

    def granularities(self) -> frozenset[str]:
        """The spatial granularities the portal knows, by id."""
        return self._vocabulary("/api/1/spatial/granularities/", "id")

    def access_reasons(self) -> frozenset[str]:
        """The categories of reasons for which data are not open, by value."""
        return self._vocabulary("/api/1/access_type/reason_categories/", "value")

    def reuse_types(self) -> frozenset[str]:
        """The types of reuse the portal knows, by id."""
        return self._vocabulary("/api/1/reuses/types/", "id")

    def reuse_topics(self) -> frozenset[str]:
        """The topics of reuses the portal knows, by id."""
        return self._vocabulary("/api/1/reuses/topics/", "id")

    def has_zone(self, zone: str) -> bool:
        """Whether the portal knows this spatial zone."""
        try:
            self._calls.read(f"/api/1/spatial/zone/{part(zone)}/")
        except NotThere:
            return False
        return True

    def contacts_of(self, organization: str) -> dict[str, str]:
        """The contact points of an organisation: their names by id."""
        path = f"/api/1/organizations/{part(organization)}/contacts/"
        names: dict[str, str] = {}
        for page in self._calls.pages(path, {}):
            with shapes.of_a_read():
                names |= shapes.names(page["data"])
        return names

    def _vocabulary(self, path: str, key: str | None = None) -> frozenset[str]:
        """A vocabulary: words, or objects with that key; raises PortalUnreachable otherwise."""
        answer = self._calls.ask("GET", self._calls.base + path)
        if answer.status >= 300:
            self._calls.refuse(answer, wrote=False)
        found = self._calls.parsed(answer)
        words = found if isinstance(found, list) else [None]
        if key is not None:
            words = [one.get(key) if isinstance(one, Mapping) else None for one in words]
        if not all(isinstance(one, str) for one in words):
            raise PortalUnreachable(
                f"the portal's answer to GET {path} is no list of words",
                hint="Check `[portal] url`, and whether something stands between here and the "
                "portal.",
                exchange=answer.exchange,
            )
        return frozenset(words)
