"""`python -m planning`, before anything is planned; and what a plan is kept apart from."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from planning import __main__ as command
from planning import review
from planning.__main__ import policies
from planning.stack import PlanError, _without_secrets, program_as_of, readable, versions
from planning.stand_ins import ROOT, install
from tests.environments import FOLDER
from tests.waiting import PATIENCE


def plan(*words: str, module: str = "planning") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module, *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=3 * PATIENCE)


def test_an_environment_without_a_file_is_told() -> None:
    ran = plan("nowhere")
    assert ran.returncode == 2 and "Pulumi.nowhere.yaml" in ran.stderr and "no such file" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("module", [command, review])
def test_a_commit_that_does_not_exist_is_told(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "ROOT", FOLDER)
    monkeypatch.setattr(sys, "argv", ["plan", "dev", "--since", "no-such-commit"])
    assert module.main() == 2
    assert "Pulumi.dev.yaml as of no-such-commit can't be read" in capsys.readouterr().err


@pytest.mark.parametrize("module", [command, review])
def test_a_stack_of_this_machine_starts_nothing(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "ROOT", FOLDER)
    monkeypatch.setattr(module, "PlannedStack", None)
    monkeypatch.setattr(sys, "argv", ["plan", "local", "--since", "HEAD"])
    assert module.main() == 2
    assert "Pulumi.local.yaml is of this machine" in capsys.readouterr().err


def test_the_program_of_a_commit_is_planned_with_this_checkouts_tools(tmp_path: Path) -> None:
    program = program_as_of("HEAD", tmp_path)
    for name in ("Pulumi.yaml", "__main__.py", "components/platform.py"):
        assert (program / name).is_file()
    assert (program / ".venv").resolve() == (ROOT / ".venv").resolve()
    with pytest.raises(PlanError, match="the program as of no-such-commit can't be read"):
        program_as_of("no-such-commit", tmp_path)


def test_a_program_of_the_past_needs_its_time() -> None:
    ran = plan("prod", "--program")
    assert ran.returncode == 2 and "--program needs --since" in ran.stderr


def test_stand_ins_are_only_where_they_are_put(tmp_path: Path) -> None:
    folder = install(tmp_path / "plugins")
    assert {file.name for file in folder.iterdir()} == {
        f"pulumi-resource-{name}" for name in ("aws", "kubernetes", "gcp", "docker-build")
    }
    assert all(os.access(file, os.X_OK) for file in folder.iterdir())
    toolchain = ROOT / ".delivery" / "toolchain"
    assert not [file for file in toolchain.glob("**/pulumi-resource-*") if "pulumi-python" not in file.name]


def test_secret_values_are_not_needed() -> None:
    config: dict[str, Any] = {
        "a": {"secure": "v1:abc"},
        "b": [{"c": {"secure": "x"}}],
        "d": {"secure": "x", "e": 1},
    }
    found = _without_secrets(config)
    assert isinstance(found["a"], str) and isinstance(found["b"][0]["c"], str)
    assert found["d"] == config["d"]


@pytest.mark.parametrize(
    ("models", "expected"),
    [
        ({"a": {"stable": {"version": 3}, "canary": {"version": 4}}}, {"a": 4}),
        ({"a": {"stable": {"version": 3}}, "b": {"stable": {"version": 1}}}, {"a": 3, "b": 1}),
        (
            {
                "a": {"registeredModel": "m.a", "stable": {"version": 3}},
                "b": {"registeredModel": "m.a", "stable": {"version": 2}},
            },
            {"m.a": 3},
        ),
        ({"a": {"stable": "3"}, "b": None}, {"a": 0, "b": 0}),
        ([], {}),
    ],
)
def test_the_versions_that_a_file_names_are_found_however_it_is_written(
    models: Any, expected: dict[str, int]
) -> None:
    assert versions({"model-delivery:models": models, "platform": {}}) == expected
    assert versions({"models": models}) == expected


def test_only_the_notes_on_stand_ins_are_left_out_of_what_pulumi_says() -> None:
    text = "a\n  warning: using pulumi-resource-aws from $PATH at /x/pulumi-resource-aws\nerror: b"
    assert readable(text) == "a\nerror: b"


def test_what_the_policy_pack_says_is_shown_and_nothing_else() -> None:
    text = "a\nPolicies:\n    ⚠️ pack (local: policy)\n        - [advisory]  rule\n\nDiagnostics:\n  b\n"
    assert policies(text) == "    ⚠️ pack (local: policy)\n        - [advisory]  rule"
    assert "Pulumi didn't run it" in policies("Diagnostics:\n")
