"""The places inside a checkout that the tools use. Everything they write is below `.delivery` and `.venv`."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The checkout."""

DELIVERY = ROOT / ".delivery"
TOOLCHAIN = DELIVERY / "toolchain"
BIN = TOOLCHAIN / "bin"
VENV = ROOT / ".venv"
GO_MODULES = ROOT / "tools" / "go"
LANGUAGE_HOST = ROOT / "tools" / "language_host"


def make_folder(folder: Path) -> Path:
    """The folder, made when it is missing. Raises OSError when it can't be."""
    folder.mkdir(parents=True, exist_ok=True)
    return folder
