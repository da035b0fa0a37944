"""The executables by which the engine finds the stand-ins: in a folder for PATH, which nobody else has."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable
from pathlib import Path

from planning.schema import PACKAGES

ROOT = Path(__file__).resolve().parents[1]


def install(folder: Path, packages: Iterable[str] = tuple(PACKAGES)) -> Path:
    """Write `pulumi-resource-NAME` for each package into a folder; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in packages:
        file = folder / f"pulumi-resource-{name}"
        python, root = shlex.quote(sys.executable), shlex.quote(str(ROOT))
        file.write_text(
            f'#!/bin/sh\nPYTHONPATH={root} exec {python} -m planning.plugin {shlex.quote(name)} "$@"\n'
        )
        file.chmod(0o755)
    return folder
