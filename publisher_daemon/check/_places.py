"""Where a setting is written, for people."""

from __future__ import annotations

from publisher_daemon.config import Settings, place


class Places:
    """Gives the file and line of settings, and remembers nothing else."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __call__(self, *where: str | int) -> str:
        """File and line of that setting, or of the section it would stand in."""
        return place(self._settings, where)

    def dataset(self, name: str) -> str:
        """Where this dataset is named first."""
        for index, folder in enumerate(self._settings.folders):
            if folder.dataset == name:
                return self("folders", index, "dataset")
        for index, dataset in enumerate(self._settings.datasets):
            if dataset.id == name:
                return self("datasets", index, "id")
        return self("datasets")
