"""A benchmark that is interrupted leaves nothing of it running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import PATIENCE

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.real
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_of_an_interrupted_benchmark(number: signal.Signals, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.delivery", "weights"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("switching"):
            break
    # supervisord, its two Envoys, and the load.
    assert len(_about(tmp_path)) >= 4
    process.send_signal(number)
    text, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, text
    assert "interrupted" in text and "Traceback" not in text
    assert _about(tmp_path) == []
    assert list(tmp_path.glob("weights-*")) == []


def _about(folder: Path) -> list[str]:
    """Command lines of processes that were started with the folder as their place, or name it."""
    found: list[str] = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command, variables = (entry / "cmdline").read_bytes(), (entry / "environ").read_bytes()
        except OSError:
            continue
        if os.fsencode(folder) in command + variables:
            found.append(command.replace(b"\0", b" ").decode())
    return [command for command in found if "-m benchmarks.delivery weights" not in command]
