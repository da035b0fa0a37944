"""The Python environment: `.venv`, exactly as uv.lock says, made with a pinned uv.

python3 -m tools.environment                  makes it or brings it up to date
python3 -m tools.environment --group azure    the same, with an optional group of pyproject.toml
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tools import errors, progress, versions
from tools.alone import alone
from tools.errors import ToolError
from tools.paths import BIN, ROOT, TOOLCHAIN, VENV, make_folder

STAMP = VENV / ".delivery-lock"
"""Digest of the lock file that the environment was last made from."""


def ensure() -> Path:
    """The environment's Python, after making the environment or bringing it up to date when the lock has
    changed.

    Raises ToolError when it can't be made.
    """
    python = VENV / "bin" / "python"
    try:
        wanted = _wanted()
        if _is_current(python, wanted):
            return python
        with alone(TOOLCHAIN, "environment"):
            if not _is_current(python, wanted):
                if VENV.exists() and not python.exists():
                    # Made by a Python that is gone. uv would keep what else is in it.
                    shutil.rmtree(VENV)
                _sync(uv())
                STAMP.write_text(wanted)
    except OSError as error:
        raise errors.explain(error, f"Making the Python environment in {VENV}") from error
    return python


def add(groups: Sequence[str]) -> Path:
    """The environment's Python, after adding optional groups. They stay until the lock changes.

    Raises ToolError when they can't be had.
    """
    python = ensure()
    try:
        with alone(TOOLCHAIN, "environment"):
            _sync(uv(), groups)
    except OSError as error:
        raise errors.explain(
            error, f"Adding {', '.join(groups)} to the Python environment in {VENV}"
        ) from error
    return python


def _is_current(python: Path, wanted: str) -> bool:
    return python.exists() and STAMP.exists() and STAMP.read_text() == wanted


def uv() -> Path:
    """A uv of the pinned version, or a newer one that is installed. Raises ToolError when it can't be had."""
    pinned = versions.parse(versions.UV)
    found = shutil.which("uv")
    if found is not None:
        answer = subprocess.run([found, "--version"], capture_output=True, text=True, check=False)
        if answer.returncode == 0 and versions.accepts(pinned, versions.parse(answer.stdout)):
            return Path(found)
    folder = TOOLCHAIN / f"uv-{versions.UV}"
    own = folder / "bin" / "uv"
    if not own.exists():
        _install_uv(folder)
    # Where Pulumi finds it too, for `pulumi install`.
    make_folder(BIN)
    (BIN / "uv").unlink(missing_ok=True)
    (BIN / "uv").symlink_to(os.path.relpath(own, BIN))
    return own


def _install_uv(folder: Path) -> None:
    make_folder(TOOLCHAIN)
    shutil.rmtree(folder, ignore_errors=True)
    made = subprocess.run([sys.executable, "-m", "venv", folder], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        raise ToolError(
            f"{sys.executable} can't make a virtual environment. On Debian and Ubuntu: `apt install "
            "python3-venv`. "
            f"It says:\n{(made.stdout + made.stderr).strip()}"
        )
    code, tail = progress.run(
        [
            str(folder / "bin" / "python"),
            "-m",
            "pip",
            "install",
            "--disable-pip-version-check",
            f"uv=={versions.UV}",
        ],
        what=f"Installing uv {versions.UV}",
        usual="a few seconds",
        cwd=ROOT,
        env=os.environ,
    )
    if code != 0:
        # Half an installation must not be taken for a whole one.
        shutil.rmtree(folder, ignore_errors=True)
        raise ToolError(f"uv {versions.UV} can't be installed by pip. pip says:\n{tail}")


def _sync(uv_path: Path, groups: Sequence[str] = ()) -> None:
    command = [str(uv_path), "sync", "--locked", *(f"--group={group}" for group in groups)]
    if not VENV.exists():
        command += ["--python", sys.executable]
    env = {
        name: value
        for name, value in os.environ.items()
        if name not in ("VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT")
    }
    code, tail = progress.run(
        command,
        what="Installing the Python packages of uv.lock into .venv",
        usual="1 to 3 minutes, seconds when uv has them already",
        cwd=ROOT,
        env={**env, "UV_PYTHON_DOWNLOADS": "never"},
    )
    if code == 0:
        return
    if "No space left on device" in tail:
        raise ToolError(
            "The disk is full: the Python environment needs about 2 GB. Free some space and run this again."
        )
    raise ToolError(f"`uv sync --locked` failed in {ROOT}. uv says:\n{tail}")


def _wanted() -> str:
    digest = hashlib.sha256()
    for name in ("uv.lock", "pyproject.toml"):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python3 -m tools.environment", description="Make .venv.")
    parser.add_argument("--group", action="append", default=[], help="an optional group of pyproject.toml")
    groups: list[str] = parser.parse_args().group
    sys.stdout.write(f"{add(groups) if groups else ensure()}\n")
    return 0


if __name__ == "__main__":
    sys.exit(errors.run(main))
