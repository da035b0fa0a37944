"""What the store of an artifact says of its files without handing them out: names, sizes, checksums."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

_AT_ONCE = 8
"""Files that are downloaded side by side."""
_NOT_OF_THE_MODEL = "registered_model_meta"
"""MLflow writes it beside a model that it downloads; no digest covers it (serving/artifact.py)."""


class StoreError(Exception):
    """A store that doesn't have the artifact, or has what can't be one. The text is for the user."""


@dataclass(frozen=True)
class File:
    """A file of an artifact, as its store lists it."""

    path: str
    """Relative to the artifact's folder, with slashes."""
    size: int
    checksum: str = ""
    """The store's own; empty where it says none."""


class Store(Protocol):
    """The folder of one artifact in a store. Methods raise whatever the store's client raises."""

    evidence: str
    """What its checksums are, so that two of different kinds are never compared."""
    ranges: bool
    """Whether a part of a file can be read without the store reading the rest."""

    def files(self) -> list[File]:
        """Every file, in any order; empty where there is nothing."""
        ...

    def read(self, path: str, start: int, length: int) -> bytes:
        """Bytes of a file; fewer where it ends before. Without ``ranges`` only from 0."""
        ...

    def copy(self, path: str, to: Path) -> None:
        """Download a file whole. The folder of ``to`` exists."""
        ...


def open_store(source: str, tracking: str) -> Store:
    """Open the store of an artifact's URI, ``tracking`` being the MLflow registry that named it."""
    scheme = urlsplit(source).scheme
    if scheme == "s3":
        from provider.stores.s3 import S3

        return S3(source)
    if scheme == "gs":
        from provider.stores.google import CloudStorage

        return CloudStorage(source)
    from provider.stores.tracking import Tracked

    return Tracked(source, tracking)


def listed(store: Store) -> list[File]:
    """The files of an artifact in the order of their paths. Raises StoreError where there are none, or where
    a path would lead out of the artifact's folder."""
    found = [file for file in store.files() if file.path != _NOT_OF_THE_MODEL]
    if not found:
        raise StoreError("there is nothing")
    for file in found:
        parts = file.path.split("/")
        if file.path.startswith("/") or "\\" in file.path or {"", ".", ".."} & set(parts):
            raise StoreError(f"the file {file.path!r} would lie outside of the artifact's folder")
    return sorted(found, key=lambda file: file.path)


def fingerprint(store: Store, files: Iterable[File]) -> str:
    """One text for what a store says of all files, ``<evidence>:<hex>``."""
    said = json.dumps([[file.path, file.size, file.checksum] for file in files])
    return f"{store.evidence}:{hashlib.sha256(said.encode()).hexdigest()}"


def same(before: str, now: str) -> bool:
    """Whether two fingerprints may be of the same files: also where they can't tell, since one is of other
    evidence, or empty."""
    (kind, _, _), (other, _, _) = before.partition(":"), now.partition(":")
    return before == now or kind != other or not before or not now


def download(store: Store, files: Iterable[File], folder: Path) -> None:
    """Download files into a folder."""

    def copy(file: File) -> None:
        to = folder / file.path
        to.parent.mkdir(parents=True, exist_ok=True)
        store.copy(file.path, to)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for _ in pool.map(copy, files):
            pass
