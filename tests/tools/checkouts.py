"""Small checkouts for the tests: this one's tools, toolchain and environment around another program."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from tests.waiting import PATIENCE
from tools.paths import ROOT
from tools.pulumiw import JUDGED, NO_PACK, read

PROJECT = """name: tiny
runtime: {name: python, options: {toolchain: uv, virtualenv: .venv}}
"""


@dataclass(frozen=True)
class Checkout:
    """A folder laid out as a clone of this repository, with a Pulumi home of its own."""

    root: Path
    home: Path
    env: dict[str, str] = field(default_factory=dict[str, str])

    def start(self, *arguments: str, cwd: Path | None = None) -> subprocess.Popen[str]:
        """Starts `./pulumiw ARGUMENTS`. Its process is the CLI's own: the wrapper becomes Pulumi.

        There is no policy/ in this checkout: the pack is left out.
        """
        if read(arguments).command in JUDGED:
            arguments = (*arguments, NO_PACK)
        return subprocess.Popen(
            [self.root / "pulumiw", *arguments],
            cwd=cwd or self.root,
            env={**_clean_environment(), "PULUMI_HOME": str(self.home), **self.env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str, cwd: Path | None = None, timeout: float = 3 * PATIENCE) -> tuple[int, str]:
        """Runs `./pulumiw ARGUMENTS`; returns its exit code and all that it wrote."""
        process = self.start(*arguments, cwd=cwd)
        try:
            text, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            text, _ = process.communicate()
            raise AssertionError(f"pulumiw {' '.join(arguments)} took over {timeout} s:\n{text}") from None
        return process.returncode, text

    def write(self, name: str, text: str) -> None:
        """Writes a file of the checkout."""
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    @property
    def checkpoint(self) -> Path:
        """The state of the stack `local`."""
        return self.root / ".delivery/state/.pulumi/stacks/tiny/local.json"

    def pending(self) -> list[str]:
        """The kinds of operations that the state says are still open."""
        if not self.checkpoint.exists():
            return []
        try:
            latest = json.loads(self.checkpoint.read_text())["checkpoint"].get("latest") or {}
        except ValueError:  # half written
            return []
        return [operation["type"] for operation in latest.get("pending_operations") or []]

    def locks(self) -> list[Path]:
        """The lock files in the state."""
        return sorted((self.root / ".delivery/state/.pulumi/locks").rglob("*.json"))


def make(folder: Path, program: str, config: str = "config: {}\n", project: str = PROJECT) -> Checkout:
    """Makes a checkout around a program, with the toolchain and the environment of this one."""
    root = folder / "a checkout"
    root.mkdir()
    shutil.copytree(ROOT / "tools", root / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pulumiw", "uv.lock", "pyproject.toml"):
        shutil.copy2(ROOT / name, root / name)
    (root / ".venv").symlink_to(ROOT / ".venv")
    (root / ".delivery").mkdir()
    (root / ".delivery" / "toolchain").symlink_to(ROOT / ".delivery" / "toolchain")
    checkout = Checkout(root, folder / "pulumi home")
    checkout.write("Pulumi.yaml", project)
    checkout.write("Pulumi.local.yaml", config)
    checkout.write("__main__.py", program)
    return checkout


def _clean_environment() -> dict[str, str]:
    dropped = ("PULUMI_", "VIRTUAL_ENV", "DELIVERY_")
    return {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
