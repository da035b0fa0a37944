"""What an artifact is, found out with as little of it read as will do.

An artifact on this machine's disk is hashed. One elsewhere that is small is downloaded and hashed. Of a large
one, a release that is pinned, and one whose digest the registry has recorded, needs no more than what the
store says of its files: the servers compare the digest before they load anything. What is left, a large
artifact whose digest nothing says, is downloaded by the update, and not by the preview.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from provider import stores
from provider.artifacts import fetched, folder_of, kept
from provider.masking import masked, reason
from provider.outline import outline, unread
from provider.resource import ProviderError
from serving.artifact import ArtifactError, digest

SMALL = 16 << 20
"""Bytes: an artifact of up to so many is downloaded where its digest isn't pinned."""
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class UnreachableError(Exception):
    """The registry did not answer; nothing is known about the version. The text says why, without secrets."""


class UnfetchedError(UnreachableError):
    """The registry has the version, and the store that it names for the artifact can't be read."""


@dataclass(frozen=True)
class Pin:
    """What a stack's state has of an artifact."""

    digest: str
    size: int = 0
    """Bytes of all files; 0: not known."""
    listing: str = ""
    """``stores.fingerprint`` when it was pinned; empty: not known."""


@dataclass(frozen=True)
class Wanted:
    """What is asked of an artifact."""

    pin: Pin | None = None
    """Its digest, if it has one already."""
    planning: bool = False
    """Whether a preview asks, which downloads no large artifact."""
    here: bool = True
    """Whether its files are served from this machine."""


@dataclass(frozen=True)
class Content:
    """What an artifact is."""

    digest: str
    """Empty: only a download tells."""
    folder: Path
    """Where it can be judged: the artifact itself, or its outline."""
    artifact: str
    """The folder in which its files are or will be on this machine; empty: only a download tells."""
    size: int
    listing: str = ""
    rewritten: bool = False
    """Whether its store has other files than when it was pinned, which a preview doesn't compare."""
    unread: str = ""
    """The file that a finding would need and nothing was read of; see ``outline.unread``."""


def content(uri: str, source: str, recorded: str, store: Path, what: str, wanted: Wanted) -> Content:
    """Find out what the artifact at ``source`` is.

    ``uri`` is the registry that named it, ``recorded`` the digest that the registry has for it, or empty;
    ``store`` the folder of artifacts on this machine; ``what`` names the version in messages.

    Raises UnfetchedError where its store can't be read, ProviderError where it is no artifact.
    """
    if (here := _local(source)) is not None:
        return _whole(here, what)
    if recorded and not _DIGEST.fullmatch(recorded):
        raise ProviderError(
            f"{what} can't be served: its tag artifact.digest is {recorded[:80]!r}, which is no digest "
            "(sha256: and 64 hex digits). Register it again, or delete the tag"
        )
    try:
        return _remote(uri, source, recorded, store, what, wanted)
    except (ArtifactError, stores.StoreError) as error:
        at = f" at {masked(source)}" if isinstance(error, stores.StoreError) else ""
        raise ProviderError(f"{what} can't be served: {error}{at}") from None
    except ProviderError:
        raise
    except Exception as error:
        raise UnfetchedError(
            f"the artifact of {what} can't be fetched from {masked(source)}: {reason(error, uri)}"
        ) from None


def _remote(uri: str, source: str, recorded: str, store: Path, what: str, wanted: Wanted) -> Content:
    pin = wanted.pin
    # A registry that has recorded another digest since is told by who has the pin.
    known = recorded or (pin.digest if pin else "")
    before = pin.listing if pin and pin.digest == known else ""
    if known and (whole := kept(store, known)):
        return _content(known, whole, before)
    opened = stores.open_store(source, uri)
    files = stores.listed(opened)
    size, listing = sum(file.size for file in files), stores.fingerprint(opened, files)
    pinned = pin is not None and pin.digest == known
    resized = pin is not None and not before and pin.size not in (0, size)
    written = pinned and (resized or not stores.same(before, listing))
    small = size <= SMALL
    if wanted.planning:
        needed = small and (written or not pinned)
    else:
        needed = wanted.here or written or not known or (small and not pinned)
    if needed:
        found = fetched(store, known, lambda folder: stores.download(opened, files, folder))
        return _whole(found, what, listing)
    papers = outline(opened, files, masked(source), listing, store)
    return Content(
        digest=known,
        folder=papers,
        artifact=str(folder_of(store, known)) if known else "",
        size=size,
        listing=before if written else listing,
        rewritten=written,
        unread=unread(opened, files, papers),
    )


def _whole(folder: Path, what: str, listing: str = "") -> Content:
    try:
        found = digest(folder)
    except ArtifactError as error:
        raise ProviderError(f"{what} can't be served: {error}") from None
    return _content(found, folder, listing)


def _content(digest: str, folder: Path, listing: str) -> Content:
    """What an artifact is whose folder is known to have that digest."""
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return Content(digest, folder, str(folder), size, listing)


def _local(source: str) -> Path | None:
    parts = urlsplit(source)
    if parts.scheme == "file":
        return Path(url2pathname(parts.path))
    return Path(source) if parts.scheme == "" else None
