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


def test_an_environment_whose_python_is_gone_is_made_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    venv = tmp_path / ".venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").symlink_to(tmp_path / "gone")
    (venv / "bin" / "left").touch()

    def run(command: Sequence[str], **_: Any) -> tuple[int, str]:
        assert "--python" in command and not venv.exists()
        venv.mkdir()
        return 0, ""

    monkeypatch.setattr(environment, "TOOLCHAIN", tmp_path / "toolchain")
    monkeypatch.setattr(environment, "VENV", venv)
    monkeypatch.setattr(environment, "STAMP", venv / "stamp")
    monkeypatch.setattr(environment, "uv", lambda: Path("/bin/uv"))
    monkeypatch.setattr(progress, "run", run)
    assert environment.ensure() == venv / "bin" / "python"
    assert [path.name for path in venv.iterdir()] == ["stamp"]
