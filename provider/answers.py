"""What the registry says of a model version, kept for as long as its database is the same.

MLflow takes two seconds of a core to import and to open a SQLite database, and every plan asks about every
release. A database in a file tells whether it has changed since, so the same question has the same answer
until then. A registry behind an address is asked each time.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from hashlib import sha256
from pathlib import Path
from typing import Any

_SQLITE = "sqlite:///"
_HEADER_BYTES = 100
"""SQLite's file format, section 1.3: the header, with the counter of changes (offset 24)."""


@dataclass(frozen=True)
class Answer:
    """A model version in the registry's own words."""

    run: str
    """The id of the run that logged it; empty: none."""
    source: str
    """The URI of its artifact, with whatever secret is in it."""
    tags: dict[str, str]
    description: str
    created: int | None
    """When the version was made, in milliseconds since 1970."""
    metrics: dict[str, float]
    """The run's finite metrics."""
    run_tags: dict[str, str]


class Answers:
    """The answers about one version, kept in ``folder``, which is made when it is missing."""

    def __init__(self, folder: Path, uri: str, model: str, version: int) -> None:
        key = json.dumps([uri, model, version])
        self._file = folder / f"{sha256(key.encode()).hexdigest()}.json"
        self._stamp = _stamp(uri)

    def kept(self) -> Answer | None:
        """What was said before; None where the registry has to be asked."""
        if self._stamp is None:
            return None
        try:
            said = json.loads(self._file.read_text(encoding="utf-8"))
            return Answer(**said["answer"]) if said["stamp"] == self._stamp else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep(self, answer: Answer) -> None:
        """Keep what was just said. A disk that doesn't take it makes the next plan slower, and no worse."""
        if self._stamp is None:
            return
        fresh = self._file.with_name(f".{self._file.name}-{os.getpid()}")
        with suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            # The source may hold a password.
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                json.dump({"stamp": self._stamp, "answer": asdict(answer)}, file)
            fresh.replace(self._file)


def _stamp(uri: str) -> list[Any] | None:
    """What changes with every transaction of a SQLite database, taken before it is asked; None: there is no
    such file, or a transaction is under way."""
    if not uri.startswith(_SQLITE):
        return None
    database = Path(uri.removeprefix(_SQLITE))
    if database.with_name(f"{database.name}-journal").exists():
        return None
    log = database.with_name(f"{database.name}-wal")
    try:
        with database.open("rb") as file:
            header = file.read(_HEADER_BYTES).hex()
            about = os.fstat(file.fileno())
        written = log.stat() if log.exists() else None
    except OSError:
        return None
    return [
        [field.name for field in fields(Answer)],
        header,
        [about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns],
        None if written is None else [written.st_ino, written.st_size, written.st_mtime_ns],
    ]
