"""The packages of a program: the Pulumi packages whose plugins it needs, and everything that is installed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import cast

_PYTHON_VERSION = re.compile(r"(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:(a|b|rc)(\d+))?")
_PRERELEASES = {"a": "alpha", "b": "beta", "rc": "rc"}


@dataclass(frozen=True)
class Plugin:
    """A resource plugin that an installed package asks for."""

    name: str
    version: str
    server: str


def semantic_version(version: str) -> str:
    """A Python version as Pulumi writes it: `4.1` is `4.1.0`, `4.1.0a2` is `4.1.0-alpha.2`.

    Raises ValueError for what has no such form (an epoch, or no number at all).
    """
    found = _PYTHON_VERSION.match(version)
    if found is None or "!" in version:
        raise ValueError(f"{version!r} is no version that Pulumi can read")
    numbers = ".".join(found.group(index) or "0" for index in (1, 2, 3))
    return f"{numbers}-{_PRERELEASES[found.group(4)]}.{found.group(5)}" if found.group(4) else numbers


def plugins(folders: Iterable[Path]) -> Iterator[Plugin]:
    """The plugins that the packages in these site-packages folders ask for (`pulumi-plugin.json`)."""
    for folder in folders:
        for file in sorted(folder.glob("*/pulumi-plugin.json")):
            described = cast("dict[str, object]", json.loads(file.read_text()))
            if not described.get("resource"):
                continue
            package = file.parent.name
            name = str(described.get("name") or package.removeprefix("pulumi_").replace("_", "-"))
            version = str(described.get("version") or _installed_version(folder, package))
            yield Plugin(name, version.removeprefix("v"), str(described.get("server") or ""))


def installed(folders: Iterable[Path]) -> list[tuple[str, str]]:
    """Name and version of every distribution in these folders, sorted."""
    found = metadata.distributions(path=[str(folder) for folder in folders])
    return sorted({(distribution.name, distribution.version) for distribution in found})


def _installed_version(folder: Path, package: str) -> str:
    for distribution in metadata.distributions(path=[str(folder)]):
        if distribution.name.replace("-", "_").lower() == package.lower():
            return semantic_version(distribution.version)
    return ""
