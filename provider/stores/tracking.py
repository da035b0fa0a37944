"""Artifacts that an MLflow server hands out, and those of every other store that MLflow itself reads."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from provider.stores import File


class Tracked:
    """An artifact as MLflow's own client reads it.

    MLflow lists sizes and no checksums. Its server downloads a whole file before it sends the first byte of
    it (``_download_artifact`` in mlflow/server/handlers.py, 3.17), so a part of a large one costs all of it.
    """

    evidence = "size"
    ranges = False

    def __init__(self, source: str, tracking: str) -> None:
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        self._repository: Any = get_artifact_repository(source, tracking_uri=tracking, registry_uri=tracking)

    def files(self) -> list[File]:
        found: list[File] = []
        folders: list[str | None] = [None]
        while folders:
            for item in self._repository.list_artifacts(folders.pop()):
                if item.is_dir:
                    folders.append(item.path)
                else:
                    found.append(File(item.path, int(item.file_size or 0)))
        return found

    def read(self, path: str, start: int, length: int) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            to = Path(folder) / "file"
            self.copy(path, to)
            return to.read_bytes()[start : start + length]

    def copy(self, path: str, to: Path) -> None:
        # One of the four methods that MLflow asks of every artifact repository, also of a plugin's.
        self._repository._download_file(path, str(to))
