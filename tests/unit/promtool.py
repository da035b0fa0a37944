"""Prometheus' own tool, for tests of what is asked of Prometheus."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.waiting import PATIENCE

ROOT = Path(__file__).resolve().parents[2]


def promtool(*words: str) -> str:
    """Run promtool; returns what it says."""
    tools = ROOT / ".delivery" / "toolchain" / "bin"
    found = shutil.which("promtool", path=f"{tools}{os.pathsep}{os.environ.get('PATH', '')}")
    assert found, "python3 -m tools.toolchain promtool (as `make test` does) brings promtool"
    done = subprocess.run([found, *words], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def check(folder: Path, test: dict[str, Any], rules: dict[str, Any] | None = None) -> None:
    """Run one of promtool's tests of rules and queries, minute by minute."""
    if rules:
        (folder / "rules.json").write_text(json.dumps(rules))
    whole = {
        "rule_files": ["rules.json"] if rules else [],
        "evaluation_interval": "1m",
        "tests": [{"interval": "1m", **test}],
    }
    (folder / "test.json").write_text(json.dumps(whole))
    promtool("test", "rules", str(folder / "test.json"))


def series(name: str, values: str, **labels: str) -> dict[str, str]:
    given = {"namespace": "models", "model": "churn", "version": "3", "role": "stable"} | labels
    matchers = ", ".join(f'{key}="{value}"' for key, value in given.items() if value)
    return {"series": f"{name}{{{matchers}}}", "values": values}
