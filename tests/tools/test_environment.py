"""Optional groups of packages: what uv is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tools import environment, progress


def test_a_group_is_added_to_what_everybody_has(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[Sequence[str]] = []

    def run(command: Sequence[str], **_: Any) -> tuple[int, str]:
        asked.append(command)
        return 0, ""

    monkeypatch.setattr(environment, "TOOLCHAIN", tmp_path)
    monkeypatch.setattr(environment, "VENV", tmp_path)
    monkeypatch.setattr(environment, "ensure", lambda: tmp_path / "bin" / "python")
    monkeypatch.setattr(environment, "uv", lambda: Path("/bin/uv"))
    monkeypatch.setattr(progress, "run", run)
    assert environment.add(["azure"]) == tmp_path / "bin" / "python"
    assert asked == [["/bin/uv", "sync", "--locked", "--group=azure"]]
