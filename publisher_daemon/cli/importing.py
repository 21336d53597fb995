"""Says a dataset as it is in the configuration's own words."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from publisher_daemon.catalogue import has_values
from publisher_daemon.cli import toml
from publisher_daemon.config import refusal
from publisher_daemon.model import RemoteDataset, RemoteResource
from publisher_daemon.naming import parts_of, readable
from publisher_daemon.words import Words

#: what is carried over as it stands, in the order of config.example.toml
_ACCESS = (
    "access_type_reason_category", "access_type_reason", "authorization_request_url",
    "access_audiences",
)  # fmt: skip
_PLAIN = ("title", "acronym", "description", "description_short", "tags")


def configuration(
    dataset: RemoteDataset, resources: Collection[RemoteResource], words: Words | None = None
) -> str:
    """The sections that match this dataset; they load as they are. Remarks are in those words."""
    words = words or Words()
    path = toml.value(f"/srv/opendata/{dataset.slug}")
    hosted = [each for each in resources if each.filetype == "file"]
    lines = [
        f"# {readable(dataset.title)}",
        f"# {dataset.page}",
        "[[folders]]",
        f"path = {path}  # {words('write your own folder here')}",
        f"dataset = {toml.value(dataset.id)}",
        "",
        *_rules(hosted, words),
    ]
    if len(hosted) < len(resources):
        links = words.count(
            "{count} resource is a link to another site: no folder feeds it.",
            "{count} resources are links to other sites: no folder feeds them.",
            len(resources) - len(hosted),
        )
        lines += [f"# {links}", ""]
    return "\n".join([*lines, *metadata(dataset, words)]) + "\n"


def served_name(resource: RemoteResource) -> str:
    """The name of the file the portal serves."""
    return unquote(urlsplit(resource.url).path).rpartition("/")[2]


def _rules(hosted: Sequence[RemoteResource], words: Words) -> Iterator[str]:
    names = Counter(map(served_name, hosted))
    if hosted:
        yield "# " + words(
            "`match` is the name as the portal made it: write the name of your own file."
        )
    for resource in hosted:
        name = served_name(resource)
        fields: dict[str, object] = {
            # braces name parts, and no file name the portal makes holds any
            "match": name.replace("{", "?").replace("}", "?"),
            "resource": resource.id,
            "title": resource.title,
            "description": resource.description,
            "type": resource.type,
            "schema": resource.schema,
            "extras": _extras({name: json.loads(said) for name, said in resource.extras}),
        }
        lines = list(_fields("resources", fields, words, required=("match",)))
        yield "[[folders.resources]]"
        if names[name] > 1:
            yield "# " + words(
                "{many} resources of this dataset have this file name: tell them apart.",
                many=names[name],
            )
        yield from lines
        yield ""


def metadata(dataset: RemoteDataset, words: Words) -> Iterator[str]:
    """The lines of the [[datasets]] section that matches this dataset."""
    raw = dataset.raw
    fields: dict[str, object] = {"id": dataset.id}
    fields |= {name: raw.get(name) for name in _PLAIN}
    # "unknown" is how the portal says that nobody chose a frequency
    frequency = raw.get("frequency")
    fields["frequency"] = frequency if frequency != "unknown" else None
    # the portal shows a licence nobody chose as "notspecified" (portal-facts §2.7)
    licence = raw.get("license")
    fields["license"] = licence if licence != "notspecified" else None
    date = raw.get("frequency_date")
    fields["frequency_date"] = str(date)[:10] if date else None
    coverage = raw.get("temporal_coverage")
    if isinstance(coverage, Mapping) and coverage.get("start"):
        start, end = (str(coverage.get(name) or "")[:10] for name in ("start", "end"))
        fields["temporal_coverage"] = {"start": start} | ({"end": end} if end else {})
    fields["spatial"] = _spatial(raw.get("spatial"))
    contacts = raw.get("contact_points")
    if isinstance(contacts, list):
        fields["contact_points"] = [
            each["id"] if isinstance(each, Mapping) else each for each in contacts
        ]
    # "open" is what the portal says where nobody chose
    access = raw.get("access_type")
    fields["access_type"] = access if access != "open" else None
    fields |= {name: raw.get(name) for name in _ACCESS}
    # `private = false` is an order to publish, which nobody has given
    fields["private"] = dataset.private or None
    fields["extras"] = _extras(raw.get("extras"))
    yield "# " + words(
        "What is named here is kept in step with the portal; what is not is never touched."
    )
    yield "[[datasets]]"
    yield from _fields("datasets", fields, words, required=("id",))
    if not dataset.private:
        yield "# " + words("It is public; `private = true` would hide it.")


#: extras of the portal's own services, and ours (portal-facts §9.7)
_NOT_OURS_TO_SAY = ("transport:", "recommendations", "publisher-daemon:", "dcat", "harvest", "geop")


def _extras(found: Any) -> Mapping[str, object] | None:
    """The extras that people wrote, as far as TOML has a word for their values."""
    if not isinstance(found, Mapping):
        return None
    return {
        str(name): value
        for name, value in found.items()
        if name
        and not str(name).startswith(_NOT_OURS_TO_SAY)
        and _has_words(value)
        and not has_values(value)
    }


def _has_words(value: object) -> bool:
    if isinstance(value, Mapping):
        return all(map(_has_words, value.values()))
    if isinstance(value, list):
        return all(map(_has_words, value))
    return value is not None


def _spatial(found: Any) -> Mapping[str, object] | None:
    if not isinstance(found, Mapping):
        return None
    said = {name: found[name] for name in ("zones", "granularity", "geom") if found.get(name)}
    return said or None


def _fields(
    section: str,
    fields: Mapping[str, object],
    words: Words,
    *,
    required: Sequence[str],
) -> Iterator[str]:
    """A line a field that says something; as a comment when the configuration would refuse it."""
    needed = {name: fields[name] for name in required}
    for name, said in fields.items():
        if said is None or said in ("", [], {}):
            continue
        line = f"{toml.key(name)} = {toml.value(said)}"
        why = refusal(section, {**needed, name: said})
        if why is None and name in ("title", "description", "extras") and "match" in fields:
            # in a rule, braces take a part of the file's name, and this one has no parts
            why = "it holds {braces}" if parts_of(toml.value(said)) else None
        if why is None and has_values(said):
            why = "it holds what would be a computed value"
        if why is None:
            yield line
        else:
            yield "# " + words(
                "This is how it is, and cannot be written so ({why}):", why=words.of(why)
            )
            yield toml.commented(line).rstrip("\n")
