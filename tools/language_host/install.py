"""How the dependencies of a program are installed (`pulumi install`): uv from its lock file, or pip."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from tools.language_host.pythons import OptionError, toolchain, venv_of


def commands(folder: Path, root: Path, options: Mapping[str, object]) -> list[list[str]]:
    """The commands that install a program's dependencies, to be run in its folder one after the other.

    Raises OptionError when a tool for them is missing.
    """
    if toolchain(options) == "uv":
        uv = shutil.which("uv")
        if uv is None:
            raise OptionError("uv isn't on PATH. Install it (`pip install uv`), or run Pulumi by ./pulumiw.")
        locked = any((parent / "uv.lock").exists() for parent in (folder, *folder.parents))
        return [[uv, "sync", *(["--locked"] if locked else [])]]
    venv = venv_of(root, options)
    requirements = folder / "requirements.txt"
    install = [["-m", "pip", "install", "--requirement", str(requirements)]] if requirements.exists() else []
    if venv is None:
        return [[sys.executable, *arguments] for arguments in install]
    python = str(venv / "bin" / "python")
    make = [] if Path(python).exists() else [[sys.executable, "-m", "venv", str(venv)]]
    return make + [[python, *arguments] for arguments in install]
