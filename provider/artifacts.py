"""The store of artifacts fetched from elsewhere: a folder for each digest, so each is fetched once."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from provider.files import make_folder, refused
from serving.artifact import ArtifactError, digest

_RENAMING = threading.Lock()


def kept(store: Path, expected: str) -> Path | None:
    """The folder of the artifact with a digest, if it is there and whole."""
    return _whole(folder_of(store, expected), expected)


def folder_of(store: Path, digest: str) -> Path:
    """Where the artifact with a digest is, once it is fetched."""
    return store / digest.replace(":", "-").replace("/", "-")


def fetched(store: Path, expected: str, download: Callable[[Path], None]) -> Path:
    """The folder of an artifact, fetched by ``download``, into the folder it gets, unless it is there.

    ``expected`` is the digest that was registered. Without one it has to be fetched to know what it is; its
    folder is the same for as long as its bytes are. Raises ArtifactError, ProviderError where the disk
    refuses, and what ``download`` raises.
    """
    if expected and (there := kept(store, expected)):
        return there
    make_folder(store)
    try:
        fresh = Path(tempfile.mkdtemp(prefix=".fetching-", dir=store))
    except OSError as error:
        raise refused(store, error) from None
    try:
        download(fresh)
        actual = digest(fresh)
        into = folder_of(store, actual)
        # Another release of the same artifact may be fetched beside this one.
        with _RENAMING:
            if not _whole(into, actual):
                shutil.rmtree(into, ignore_errors=True)
                fresh.rename(into)
        return into
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _whole(folder: Path, expected: str) -> Path | None:
    try:
        return folder if digest(folder) == expected else None
    except ArtifactError:
        return None
