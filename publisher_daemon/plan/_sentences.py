"""What the planner says to people: what is wrong, and what would be right."""

from __future__ import annotations

from publisher_daemon.model import RemoteDataset, RemoteResource
from publisher_daemon.naming import extension


def dataset_trouble(dataset: RemoteDataset) -> tuple[str, str] | None:
    """Why nothing may be published on this dataset (code, sentence), or None."""
    if dataset.deleted:
        return (
            "dataset_deleted",
            (
                f"The dataset “{dataset.title}” has been deleted on the portal. Restore it there, "
                "or take this folder out of the configuration."
            ),
        )
    if not dataset.can_edit_resources:
        return (
            "no_right",
            (
                f"The API key may not edit the dataset “{dataset.title}”. Ask an administrator of "
                "its organization to make the key's account an editor, or to give it the dataset."
            ),
        )
    if dataset.archived:
        return (
            "dataset_archived",
            (
                f"The dataset “{dataset.title}” is archived on the portal, so nobody would see the "
                "file. Unarchive it there, or take this folder out of the configuration."
            ),
        )
    if dataset.harvested:
        return (
            "dataset_harvested",
            (
                f"The dataset “{dataset.title}” is filled by a harvester, which would undo what is "
                "published here. Publish at its source, or on another dataset."
            ),
        )
    return None


def extension_words(path: str) -> str:
    """Why a file of this name cannot go."""
    ext = extension(path)
    if ext is None:
        return (
            "The file's name has no usable extension, so the portal would refuse it. Name it "
            "after its format (.csv, .json, .xlsx…), or add it to `exclude`."
        )
    return (
        f"The portal does not accept .{ext} files. Publish it in an accepted format (csv, json, "
        "geojson, xlsx, ods, zip…), or add it to `exclude`."
    )


def remote_words(found: RemoteResource) -> str:
    """Why a resource that is a link cannot take a file."""
    return (
        f"The resource “{found.title}” is a link to another site, not a file kept by the portal; "
        "sending a file there would leave it half changed. Create a file resource instead, or "
        "choose another one."
    )


def conflict_words(found: RemoteResource) -> str:
    """Why bytes that this ledger does not know of are left alone."""
    if found.source is not None and found.source.sha1 == found.sha1:
        return (
            f"The resource “{found.title}” has other content than is remembered here, put there by "
            "publisher-daemon itself: the state directory is an older copy, or another server "
            "publishes this folder too (stop one of them). To publish the folder's file over it: "
            "`publisher-daemon retry PATH`."
        )
    return (
        f"Somebody put other content in the resource “{found.title}” on the portal. To publish "
        "the folder's file over it: `publisher-daemon retry PATH`. To keep theirs: put their file "
        f"in the folder ({found.permalink})."
    )


def gone_conflict_words(found: RemoteResource) -> str:
    """Why a resource whose file is gone is not withdrawn."""
    return (
        f"The file is gone, but somebody put other content in its resource “{found.title}” on the "
        "portal, so it is not withdrawn. Delete it there if nobody needs it."
    )
