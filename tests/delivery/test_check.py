"""Every file that people edit, read at once."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from delivery import check
from tests.environments import FOLDER

NOTHING = argparse.Namespace()


def test_files_that_can_be_used_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert check.run(NOTHING, FOLDER) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[:4] == [
        "Pulumi.dev.yaml: 1 model",
        "Pulumi.gcp.yaml: 3 models",
        "Pulumi.local.yaml: 1 model",
        "Pulumi.prod.yaml: 4 models",
    ]
    assert said[4].startswith("policy: ") and said[4].endswith(" rules, 0 exemptions")


def test_the_mistakes_of_all_files_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "Pulumi.a.yaml").write_text("config: {platform: {kind: locl}, models: {}}\n")
    (tmp_path / "Pulumi.b.yaml").write_text("config: {a: [}\n")
    assert check.run(NOTHING, tmp_path) == 2
    error = capsys.readouterr().err
    assert "Did you mean local?" in error and "Pulumi.b.yaml:1: broken YAML" in error
