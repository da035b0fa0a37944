"""Official release archives: fetched, compared with the publisher's checksum, unpacked."""

from __future__ import annotations

import hashlib
import http.client
import platform
import sys
import tarfile
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from tools.errors import ToolError
from tools.progress import Reporter

CONNECT_SECONDS = 5.0
"""A machine without the internet must not wait long to learn that."""

BLOCK_BYTES = 1 << 20
CHECKSUM_FILE_BYTES = 1 << 20


@dataclass(frozen=True)
class Archive:
    """A .tar.gz of a release, and the file in which its publisher lists the SHA-256 of every archive."""

    url: str
    checksums: str

    @property
    def name(self) -> str:
        """The archive's file name, by which the checksum file lists it."""
        return self.url.rsplit("/", 1)[-1]


def machine(architectures: dict[str, str]) -> tuple[str, str] | None:
    """Operating system and architecture as a publisher names them; None where nothing is published for this
    one."""
    system = {"linux": "linux", "darwin": "darwin"}.get(sys.platform)
    architecture = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}.get(
        platform.machine().lower()
    )
    return (system, architectures[architecture]) if system and architecture else None


def fetch(archive: Archive, folder: Path) -> Path | None:
    """Downloads an archive into a folder, checks it and unpacks it there.

    Returns the folder, or None when the publisher can't be reached. Raises ToolError when what came isn't
    what the publisher lists, and OSError when it can't be written.
    """
    listed = _get(archive.checksums)
    if listed is None:
        return None
    expected = checksum(listed.decode(errors="replace"), archive.name)
    target = folder / archive.name
    digest = _save(archive, target)
    if digest is None:
        return None
    if digest != expected:
        target.unlink()
        raise ToolError(
            f"{archive.url} has SHA-256 {digest}, but its publisher lists {expected}: it was changed on "
            "the way "
            "or not loaded whole. Run this again; if it stays so, something rewrites your downloads."
        )
    with tarfile.open(target) as packed:
        packed.extractall(folder, filter="data")
    target.unlink()
    return folder


def checksum(listing: str, name: str) -> str:
    """The SHA-256 that a listing (`<hex>  <name>` lines) has for a file. Raises ToolError when it has
    none."""
    for line in listing.splitlines():
        words = line.split()
        if len(words) == 2 and words[1].lstrip("*") == name and len(words[0]) == 64:
            return words[0].lower()
    raise ToolError(f"The publisher's list of checksums has no line for {name}.")


def _open(url: str) -> http.client.HTTPResponse | None:
    try:
        answer: http.client.HTTPResponse = urllib.request.urlopen(url, timeout=CONNECT_SECONDS)  # noqa: S310
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError):
        return None
    return answer


def _get(url: str) -> bytes | None:
    answer = _open(url)
    if answer is None:
        return None
    try:
        with answer:
            return answer.read(CHECKSUM_FILE_BYTES)
    except (http.client.HTTPException, TimeoutError, ConnectionError):
        return None


def _save(archive: Archive, target: Path) -> str | None:
    """Saves the archive; returns its SHA-256, or None when the connection is lost."""
    answer = _open(archive.url)
    if answer is None:
        return None
    reporter = Reporter(f"Downloading {archive.name}", "under a minute")
    digest, size = hashlib.sha256(), 0
    try:
        with answer, target.open("wb") as file:
            while block := answer.read(BLOCK_BYTES):
                file.write(block)
                digest.update(block)
                size += len(block)
                reporter.tick(f"{size >> 20} MB")
    except (http.client.HTTPException, TimeoutError, ConnectionError):
        return None
    reporter.done()
    return digest.hexdigest()
