"""Which Python runs a program or a plugin, as the `runtime.options` of its project say."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

TOOLCHAINS = ("uv", "pip")


class OptionError(Exception):
    """An option under `runtime.options` that can't be used. The message is for the reader."""


@dataclass(frozen=True)
class Python:
    """An interpreter, and the virtual environment that it belongs to, if any."""

    executable: Path
    venv: Path | None

    def environment(self, base: Mapping[str, str]) -> dict[str, str]:
        """The environment of a process that runs with this virtual environment active."""
        env = dict(base)
        if self.venv is not None:
            env["VIRTUAL_ENV"] = str(self.venv)
            env["PATH"] = f"{self.venv / 'bin'}{os.pathsep}{env.get('PATH', '')}"
            env.pop("PYTHONHOME", None)
        return env


def toolchain(options: Mapping[str, object]) -> str:
    """The toolchain an options block names (`uv` or `pip`), `pip` when it names none."""
    name = options.get("toolchain", "pip")
    if name not in TOOLCHAINS:
        raise OptionError(
            f"runtime.options.toolchain is {name!r}; this language host accepts {' and '.join(TOOLCHAINS)}. "
            "The official Pulumi distribution accepts poetry as well."
        )
    return str(name)


def venv_of(root: Path, options: Mapping[str, object]) -> Path | None:
    """Where the virtual environment of a project is or would be; None: the Python on PATH is used."""
    named = options.get("virtualenv")
    if named is not None and not isinstance(named, str):
        raise OptionError(f"runtime.options.virtualenv is {named!r}; a path is needed")
    if named:
        return Path(os.path.normpath(root / named))
    if toolchain(options) == "uv":
        locked = next((folder for folder in (root, *root.parents) if (folder / "uv.lock").exists()), root)
        return locked / ".venv"
    active = os.environ.get("VIRTUAL_ENV")
    return Path(active) if active else None


def python_of(root: Path, options: Mapping[str, object]) -> Python:
    """The interpreter for a project. Raises OptionError when its environment hasn't been made yet."""
    venv = venv_of(root, options)
    if venv is None:
        found = shutil.which("python3") or sys.executable
        return Python(Path(found), None)
    executable = venv / "bin" / "python"
    if not executable.exists():
        raise OptionError(
            f"there is no virtual environment in {venv}. Run `pulumi install`, or `uv sync`, in {root}."
        )
    return Python(executable, venv)


def site_packages(python: Python) -> Iterator[Path]:
    """The folders in which an interpreter's environment has its packages."""
    prefix = python.venv or Path(sys.prefix)
    yield from sorted(prefix.glob("lib/python3*/site-packages"))
