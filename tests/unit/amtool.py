"""Alertmanager's own tool, for tests of what it is told."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.waiting import PATIENCE

ROOT = Path(__file__).resolve().parents[2]


def amtool(*words: str) -> str:
    """Run amtool; returns what it says."""
    tools = ROOT / ".delivery" / "toolchain" / "bin"
    found = shutil.which("amtool", path=f"{tools}{os.pathsep}{os.environ.get('PATH', '')}")
    assert found, "python3 -m tools.toolchain amtool (as `make test` does) brings amtool"
    done = subprocess.run([found, *words], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
