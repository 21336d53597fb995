"""What is wrong between settings that are each right: overlaps, doubles, parts nobody gives."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from publisher_daemon.catalogue import has_values
from publisher_daemon.config._locate import Where
from publisher_daemon.config._problems import Problem
from publisher_daemon.config._settings import Settings
from publisher_daemon.config._texts import read_description, read_table_schema
from publisher_daemon.config._values import DatasetSettings, PageSettings
from publisher_daemon.errors import ConfigInvalid
from publisher_daemon.naming import NOT_OF_PEOPLE, looks_like_dataset_id, parts_of
from publisher_daemon.series import ordering


def cross_check(settings: Settings) -> list[Problem]:
    """Every contradiction, in no particular order."""
    return [
        *_overlaps(settings),
        *_state_inside(settings),
        *_names(settings),
        *_answers(settings),
        *_pins(settings),
        *_templates(settings),
        *_series(settings),
        *_approvals(settings),
        *_datasets(settings),
        *_pages(settings),
    ]


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


class _Place:
    """A directory, looked up once: by its name, and by what the names above it lead to."""

    def __init__(self, path: Path) -> None:
        self._real = Path(os.path.realpath(path))
        self._line = {self._real, *self._real.parents}
        self._identity = _identity(self._real)
        # a bind mount shows one directory under two names that realpath cannot tell apart
        self._identities = {_identity(each) for each in self._line} - {None}

    def inside(self, outer: _Place) -> bool:
        """Whether they are one directory or nested."""
        return outer._real in self._line or outer._identity in self._identities


def _overlaps(settings: Settings) -> Iterator[Problem]:
    # each is compared with each other: a hundred of them are looked up once, not ten thousand times
    places = [_Place(folder.path) for folder in settings.folders]
    for later, place in enumerate(places):
        for earlier, other in enumerate(places[:later]):
            inside, outside = place.inside(other), other.inside(place)
            if inside or outside:
                relation = (
                    "is the same directory as" if inside and outside
                    else "lies inside" if inside
                    else "contains"
                )  # fmt: skip
                yield Problem(
                    ("folders", later, "path"),
                    f"{relation} that of [folders][{earlier + 1}]. Watch separate directories, or "
                    "one of them with include and exclude",
                )


def _state_inside(settings: Settings) -> Iterator[Problem]:
    state = _Place(settings.daemon.state_dir)
    for index, folder in enumerate(settings.folders):
        place = _Place(folder.path)
        if state.inside(place):
            yield Problem(
                ("daemon", "state_dir"),
                f"lies inside [folders][{index + 1}], whose files are published. Choose a "
                "directory elsewhere, like /var/lib/publisher-daemon",
            )
        elif place.inside(state):
            yield Problem(
                ("folders", index, "path"),
                "lies inside [daemon] state_dir. Keep data and the service's own state apart",
            )


def _names(settings: Settings) -> Iterator[Problem]:
    seen: dict[tuple[str, str], int] = {}
    for index, folder in enumerate(settings.folders):
        other = seen.setdefault((folder.dataset, folder.label), index)
        if other != index:
            where: Where = ("folders", index, "name" if folder.name else "path")
            yield Problem(
                where,
                f'gives the name "{folder.label}", which [folders][{other + 1}] has already for '
                'the same dataset. Give one of them another name = "…"',
            )


def _answers(settings: Settings) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for index, folder in enumerate(settings.folders):
        if folder.answer_dir is None:
            continue
        other = seen.setdefault(os.path.realpath(folder.answer_dir), index)
        if other != index:
            yield Problem(
                ("folders", index, "answer_dir"),
                f"is where [folders][{other + 1}] answers already. Each folder needs a directory "
                "of its own for that",
            )


def _pins(settings: Settings) -> Iterator[Problem]:
    seen: dict[str, tuple[int, int]] = {}
    for folder_index, folder in enumerate(settings.folders):
        for index, rule in enumerate(folder.resources):
            if rule.resource is None:
                continue
            here = folder_index, index
            other = seen.setdefault(rule.resource, here)
            if other != here:
                yield Problem(
                    ("folders", folder_index, "resources", index, "resource"),
                    f"is already given to [folders][{other[0] + 1}] resources[{other[1] + 1}]. One "
                    "resource takes the files of one rule only",
                )


#: the computed values that one file has
_OF_ONE_FILE = frozenset({"today", "last_publication", "earliest", "latest"})


def _templates(settings: Settings) -> Iterator[Problem]:
    for folder_index, folder in enumerate(settings.folders):
        for index, rule in enumerate(folder.resources):
            where: Where = ("folders", folder_index, "resources", index)
            wrong = list(_description(where, rule.description_file, rule.description))
            yield from wrong
            yield from _table_schema(where, rule.table_schema)
            yield from _reserved((*where, "extras"), rule.extras or {}, NOT_OF_PEOPLE)
            said: dict[Where, str | None] = {
                ("title",): rule.title,
                ("description",): rule.description,
                **{("extras", name): value for name, value in rule.said_extras()},
            }
            if rule.description_file is not None and not wrong:
                said["description_file",] = rule.text()
            given = set(parts_of(rule.match))
            for field, text in said.items():
                for name in parts_of(text or ""):
                    if name in given or name in _OF_ONE_FILE:
                        continue
                    if name == "files":
                        yield Problem(
                            (*where, *field),
                            "uses {files}, which other files change: each time the portal would "
                            "take it for an update of this one. Say it of the dataset, in "
                            "[[datasets]]",
                            show=False,
                        )
                    else:
                        has = ", ".join(f"{{{each}}}" for each in sorted(given)) or "no part"
                        yield Problem(
                            (*where, *field),
                            f"uses {{{name}}}, which match does not name: it has {has}. Add "
                            f"{{{name}}} to match, or take it out here",
                        )


def _table_schema(where: Where, file: Path | None) -> Iterator[Problem]:
    if file is not None:
        try:
            read_table_schema(file)
        except ConfigInvalid as error:
            yield Problem((*where, "table_schema"), f"{error.message} {error.hint}", show=False)


def _description(where: Where, file: Path | None, inline: str | None) -> Iterator[Problem]:
    """What is wrong with a description_file, and with what stands beside it."""
    if file is None:
        return
    where = (*where, "description_file")
    if inline is not None:
        yield Problem(where, "cannot stand beside description. Keep one of them")
    try:
        read_description(file)
    except ConfigInvalid as error:
        yield Problem(where, f"{error.message} {error.hint}", show=False)


def _series(settings: Settings) -> Iterator[Problem]:
    for folder_index, folder in enumerate(settings.folders):
        for index, rule in enumerate(folder.resources):
            where = ("folders", folder_index, "resources", index)
            given = parts_of(rule.match)
            for name in rule.order:
                if name not in given:
                    has = ", ".join(given) or "no part"
                    yield Problem(
                        (*where, "order"), f'names "{name}", which match does not: it has {has}'
                    )
            if rule.keep == "each":
                if rule.order or rule.when_left:
                    yield Problem(
                        (*where, "order" if rule.order else "when_left"),
                        'means something for a series only: with keep = "latest" or "last:12"',
                    )
            elif not ordering(rule.rule()):
                yield Problem(
                    (*where, "keep"),
                    "needs to know which file is newer. Put a part like {date}, {year}, {month} or "
                    '{number} in match, or name parts of it: order = ["…"]',
                )


#: what begins so belongs to the platform (portal-facts §9.7), or is ours
_RESERVED = ("transport:", "recommendations", "publisher-daemon:")


def _reserved(
    where: Where, extras: Mapping[str, object], reserved: tuple[str, ...]
) -> Iterator[Problem]:
    for name in extras:
        if name.startswith(reserved) or name == "dcat" or not name or name.startswith("$"):
            yield Problem(
                (*where, name),
                "is a name that belongs to the portal or to this program. Choose another one, like "
                '"my-organization:source"',
            )


def _created(index: int, dataset: DatasetSettings) -> Iterator[Problem]:
    yield from _reserved(("datasets", index, "extras"), dataset.extras or {}, _RESERVED)
    if dataset.organization is not None and not dataset.create:
        yield Problem(
            ("datasets", index, "organization"),
            "is only for `create = true`: a dataset stays with the organization it has. Take it "
            "out, or transfer the dataset on the portal",
        )
    if not dataset.create or looks_like_dataset_id(dataset.id):
        return  # it has its id: it is made
    if dataset.title is None:
        yield Problem(("datasets", index, "create"), 'needs a title. Add title = "…"', show=False)
    if dataset.description is None and dataset.description_file is None:
        yield Problem(
            ("datasets", index, "create"),
            'needs a description. Add description = "…", or description_file',
            show=False,
        )


def _approvals(settings: Settings) -> Iterator[Problem]:
    for index, folder in enumerate(settings.folders):
        approvals = folder.checks.approvals
        if approvals is not None and any(
            _Place(approvals).inside(_Place(other.path)) for other in settings.folders
        ):
            yield Problem(
                ("folders", index, "checks", "approvals"),
                "lies in a folder whose files are published. Choose a directory elsewhere",
            )


def _datasets(settings: Settings) -> Iterator[Problem]:
    for index, dataset in enumerate(settings.datasets):
        coverage = dataset.temporal_coverage
        # what is computed is compared once its value is known
        if (
            coverage
            and coverage.end
            and not has_values((coverage.start, coverage.end))
            and coverage.end < coverage.start
        ):
            yield Problem(
                ("datasets", index, "temporal_coverage", "end"),
                f"comes before start ({coverage.start}). Write the later day",
            )
        if dataset.license is not None and dataset.access_type not in {None, "open"}:
            yield Problem(
                ("datasets", index, "license"),
                f'cannot stand beside access_type = "{dataset.access_type}": the portal takes the '
                "license off what is not open. Take one of them out",
            )
        if dataset.access_audiences == ():
            yield Problem(
                ("datasets", index, "access_audiences"),
                "is empty, which takes none away at the portal. Take the line out",
            )
        if dataset.spatial and dataset.spatial.geom and dataset.spatial.zones:
            yield Problem(
                ("datasets", index, "spatial"),
                "has zones and geom: the portal takes one of them. Take the other out",
                show=False,
            )
        yield from _created(index, dataset)


def _pages(settings: Settings) -> Iterator[Problem]:
    sections: tuple[tuple[str, str, tuple[PageSettings, ...]], ...] = (
        ("datasets", "id", settings.datasets),
        ("organizations", "id", settings.organizations),
        ("reuses", "url", settings.reuses),
    )
    for section, key, pages in sections:
        seen: dict[str, int] = {}
        for index, page in enumerate(pages):
            other = seen.setdefault(page.name, index)
            if other != index:
                yield Problem(
                    (section, index, key),
                    f"has a section already: [{section}][{other + 1}]. Put its keys together",
                )
            yield from _page(section, index, page)
    known = {*settings.datasets_named()}
    for index, reuse in enumerate(settings.reuses):
        for name in reuse.datasets:
            if not looks_like_dataset_id(name) and name not in known:
                yield Problem(
                    ("reuses", index, "datasets"),
                    f"names “{name}”, which is no id, and no dataset of this configuration. Write "
                    "the dataset's id (24 hexadecimal digits)",
                )


def _page(section: str, index: int, page: PageSettings) -> Iterator[Problem]:
    if page.refresh is not None and page.refresh_every is not None:
        yield Problem(
            (section, index, "refresh_every"), "cannot stand beside refresh. Keep one of them"
        )
    if section != "datasets" and has_values(page.said_inline()):
        yield Problem(
            (section, index),
            "uses a computed value, which only a dataset has. Write the text itself",
            show=False,
        )
    yield from _description((section, index), page.description_file, page.description)
