"""Where a model comes from: the commit, and a digest of everything that decides what training gives."""

import hashlib
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

_LIBRARIES = ("numpy", "scikit-learn", "skl2onnx", "onnx", "mlflow")


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """The state of a git checkout. Outside of git the commit is `unknown`, which counts as dirty."""

    commit: str
    dirty: bool
    repository: str = ""
    """The address of the remote `origin`, without user and password; empty where there is none."""


def commit(folder: Path) -> Commit:
    """Read the commit that a folder is at, and whether anything in it differs from that commit."""
    head = _git(folder, "rev-parse", "HEAD")
    changes = _git(folder, "status", "--porcelain")
    if head is None or changes is None:
        return Commit(commit="unknown", dirty=True)
    remote = (_git(folder, "remote", "get-url", "origin") or "").strip()
    return Commit(commit=head.strip(), dirty=bool(changes.strip()), repository=_address(remote))


def source(repository: str, file: Path, entry: str) -> str:
    """Return where training code is: `REPOSITORY#FILE (ENTRY)`, without a repository `FILE (ENTRY)`.

    `file` is relative to the checkout, `entry` is the command that trains.
    """
    return f"{repository}{'#' if repository else ''}{file.as_posix()} ({entry})"


def training_digest(recipe: str, data_digest: str, sources: Iterable[Path]) -> str:
    """Return `sha256:<hex>` over a recipe's name, the data, the code that trains, and its libraries.

    Two trainings with the same digest give the same model.
    """
    total = hashlib.sha256()
    parts = [recipe, data_digest, *(f"{name}=={version(name)}" for name in _LIBRARIES)]
    for part in [*(text.encode() for text in parts), *(source.read_bytes() for source in sources)]:
        total.update(len(part).to_bytes(8, "big") + part)
    return f"sha256:{total.hexdigest()}"


def _address(remote: str) -> str:
    """Return a remote's address as others can use it: no secrets, and no path of this machine."""
    if "://" in remote and not remote.startswith("file:"):
        return re.sub(r"(?<=://)[^/]*@", "", remote).partition("?")[0]
    return remote if re.fullmatch(r"[\w.-]+@[\w.-]+:[\w./~-]+", remote) else ""


def _git(folder: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=120)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
