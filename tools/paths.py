"""The places inside a checkout. Everything the tools write is below `.delivery` and `.venv`."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The checkout."""

DELIVERY = ROOT / ".delivery"
TOOLCHAIN = DELIVERY / "toolchain"
BIN = TOOLCHAIN / "bin"
VENV = ROOT / ".venv"
GO_MODULES = ROOT / "tools" / "go"
LANGUAGE_HOST = ROOT / "tools" / "language_host"


def home() -> Path:
    """The folder of what a local stack keeps: MODEL_DELIVERY_HOME, or `.delivery`. A relative one is the
    checkout's, wherever it is read."""
    return (ROOT / (os.environ.get("MODEL_DELIVERY_HOME") or DELIVERY)).resolve()


def make_folder(folder: Path) -> Path:
    """The folder, made when it is missing. Raises OSError when it can't be."""
    folder.mkdir(parents=True, exist_ok=True)
    return folder
