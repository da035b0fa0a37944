"""Reaching a registry: a database on this machine with its folder and lock, or a server that answers."""

import contextlib
import fcntl
import os
import re
import socket
import sys
import tempfile
from collections.abc import Generator
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from tools.paths import home


class RegistryError(Exception):
    """A registry that can't be used. The message is for the user."""


def database(tracking_uri: str) -> Path | None:
    """Return the file of an SQLite tracking URI, its folder made and found writable; None for other URIs.

    Raises RegistryError.
    """
    if not tracking_uri.startswith("sqlite:///"):
        return None
    file = Path(tracking_uri.removeprefix("sqlite:///")).absolute()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=file.parent) as probe:
            probe.write(b"x" * 4096)
        head = b""
        if file.exists():
            with file.open("rb") as opened:
                head = opened.read(16)
    except OSError as error:
        raise RegistryError(
            f"the registry's folder {file.parent} can't be written: {error.strerror}"
        ) from None
    if head and head != b"SQLite format 3\0":
        raise RegistryError(f"{file} isn't an SQLite database; move it away, or choose another tracking URI")
    return file


def answers(tracking_uri: str) -> None:
    """Raise RegistryError if a tracking URI names a server that takes no connections."""
    parts = urlsplit(tracking_uri)
    if parts.scheme not in ("http", "https"):
        return
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        socket.create_connection((parts.hostname or "", port), timeout=30).close()
    except (OSError, ValueError) as error:
        raise RegistryError(
            f"nothing answers at {tracking_uri}: {error}; start that server, or choose another tracking URI"
        ) from None


@contextlib.contextmanager
def locked(file: Path) -> Generator[None]:
    """Hold the lock of a database. The system releases it when the process ends, however it ends."""
    with file.with_name(file.name + ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.stderr.write("another training is using this registry; waiting for it\n")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def chosen(tracking_uri: str) -> Generator[None]:
    """Make a tracking URI MLflow's own: it looks a model up there, whatever its client was given."""
    import mlflow

    before = os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(tracking_uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(cast(Any, None))
        if before is not None:
            os.environ["MLFLOW_TRACKING_URI"] = before


def default_tracking_uri() -> str:
    """Return MLFLOW_TRACKING_URI, or the local stack's registry."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{home()}/registry/mlflow.db"


def versions_of(client: Any, model: str) -> list[Any]:
    """Return a registered model's versions by an MLflow client, the oldest first; none of one unknown."""
    quote = '"' if "'" in model else "'"  # a filter of MLflow's knows no escapes
    found = client.search_model_versions(f"name={quote}{model}{quote}")
    return sorted(found, key=lambda version: int(version.version))


def logged_name(model: str) -> str:
    """Return what a logged model of a registered model is called: MLflow takes fewer marks there."""
    return re.sub(r"""[/:.%"']""", "-", model)


def registered_version(client: Any, model: str, version: int) -> Any:
    """Return a version by an MLflow client. Raises RegistryError, which says what is registered."""
    versions = {int(found.version): found for found in versions_of(client, model)}
    if version in versions:
        return versions[version]
    if versions:
        known = ", ".join(map(str, sorted(versions)))
        raise RegistryError(f"{model} has no version {version}; registered are {known}")
    models = sorted(found.name for found in client.search_registered_models())
    near = get_close_matches(model, models, n=1)
    known = f"registered are {', '.join(models)}" if models else "nothing is registered there yet"
    meant = f" Did you mean {near[0]}?" if near else ""
    raise RegistryError(f"the registry has no model {model!r}; {known}.{meant}")
