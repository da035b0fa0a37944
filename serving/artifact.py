"""The digest of a model artifact: the one rule shared by training, planning and serving."""

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

_CHUNK = 1 << 20
# MLflow writes this file next to MLmodel when a registered version is downloaded; it is not part of the
# model.
_WRITTEN_ON_DOWNLOAD = frozenset({"registered_model_meta"})


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...


class ArtifactError(Exception):
    """An artifact that cannot be read, or is not the one that was asked for. The message is for the user."""


def digest(folder: Path) -> str:
    """Return ``sha256:<hex>`` over the paths and contents of all files below ``folder``.

    Files are taken in the order of their relative POSIX paths. Each path and each content is preceded by its
    length, so no byte can be moved from one file to another without a change of the digest. Permissions,
    times and empty folders do not count, nor does the ``registered_model_meta`` that MLflow adds on download.

    Raises ``ArtifactError`` when the folder is missing, empty or unreadable, or holds anything other than
    files and folders: a symbolic link could bring in what the digest does not cover.
    """
    found = False
    total = hashlib.sha256()
    for name, path in sorted(_files(folder)):
        found = True
        total.update(len(name).to_bytes(8, "big") + name)
        _add_content(total, path)
    if not found:
        raise ArtifactError(
            f"the artifact folder {folder} has no files; expected an MLflow model with its MLmodel"
        )
    return f"sha256:{total.hexdigest()}"


def verify(folder: Path, expected: str) -> None:
    """Raise ``ArtifactError`` unless ``digest(folder)`` equals ``expected`` (``sha256:`` and 64 hex
    digits).
    """
    algorithm, _, value = expected.partition(":")
    if algorithm != "sha256" or len(value) != 64 or not set(value) <= set("0123456789abcdef"):
        raise ArtifactError(f"not a digest: {expected!r}; expected sha256: and 64 lower-case hex digits")
    actual = digest(folder)
    if actual != expected:
        raise ArtifactError(
            f"the artifact in {folder} is not the one that was registered: its digest is {actual}, "
            f"expected {expected}; download it again, or register what is there as a new version"
        )


def _files(folder: Path) -> Iterator[tuple[bytes, Path]]:
    """Yield (relative POSIX path, path) of every file that counts."""
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise ArtifactError(f"the artifact folder {folder} {what}")
    pending = [folder]
    while pending:
        current = pending.pop()
        try:
            entries = list(os.scandir(current))
        except OSError as error:
            raise ArtifactError(f"cannot read the artifact folder {current}: {error.strerror}") from None
        for entry in entries:
            path = Path(entry.path)
            relative = path.relative_to(folder).as_posix()
            if entry.is_symlink():
                raise ArtifactError(
                    f"the artifact has a symbolic link at {relative}; only files and folders are allowed"
                )
            if entry.is_dir():
                pending.append(path)
            elif not entry.is_file():
                raise ArtifactError(
                    f"the artifact has a special file at {relative}; only files and folders are allowed"
                )
            elif relative not in _WRITTEN_ON_DOWNLOAD:
                yield os.fsencode(relative), path


def _add_content(total: "_Hash", path: Path) -> None:
    try:
        # O_NOFOLLOW: a link put here after the listing must not be followed.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ArtifactError(f"{path} changed while it was read")
            total.update(status.st_size.to_bytes(8, "big"))
            size = 0
            while chunk := file.read(_CHUNK):
                size += len(chunk)
                total.update(chunk)
    except OSError as error:
        raise ArtifactError(f"cannot read {path}: {error.strerror}") from None
    if size != status.st_size:
        raise ArtifactError(f"{path} changed while it was read")
