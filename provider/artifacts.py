"""The store of artifacts fetched from elsewhere: a folder for each digest, so each is fetched once."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from provider.files import make_folder, refused
from serving.artifact import ArtifactError, digest


def fetched(store: Path, expected: str, download: Callable[[Path], None]) -> Path:
    """The folder of an artifact, fetched by ``download``, into the folder it gets, unless it is there.

    ``expected`` is the digest that was registered. Without one it has to be fetched to know what it is; its
    folder is the same for as long as its bytes are. Raises ArtifactError, ProviderError where the disk
    refuses, and what ``download`` raises.
    """
    if expected and (kept := _whole(store / _name(expected), expected)):
        return kept
    make_folder(store)
    try:
        fresh = Path(tempfile.mkdtemp(prefix=".fetching-", dir=store))
    except OSError as error:
        raise refused(store, error) from None
    try:
        download(fresh)
        found = _root(fresh)
        actual = digest(found)
        kept = store / _name(actual)
        if not _whole(kept, actual):
            shutil.rmtree(kept, ignore_errors=True)
            found.rename(kept)
        return kept
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _name(expected: str) -> str:
    return expected.replace(":", "-").replace("/", "-")


def _whole(folder: Path, expected: str) -> Path | None:
    try:
        return folder if digest(folder) == expected else None
    except ArtifactError:
        return None


def _root(folder: Path) -> Path:
    """Where the artifact lies in what MLflow downloaded: the folder itself, or the only folder in it."""
    if (folder / "MLmodel").exists():
        return folder
    inside = list(folder.iterdir())
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else folder
