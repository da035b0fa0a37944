"""A git branch that changes a line gets its review, on the real engine with the project's own policy pack."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.engine.stack import COMMAND_SECONDS, ROOT, Stack

pytestmark = pytest.mark.real


class Repository:
    """A git repository with the stack's file in it."""

    def __init__(self, folder: Path, stack: Stack) -> None:
        self.folder = folder
        self._stack = stack
        folder.mkdir()
        self._git("init", "--quiet", "--initial-branch", "main")

    def _git(self, *words: str) -> str:
        identity = ("-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")
        return subprocess.run(
            ["git", *identity, *words], cwd=self.folder, check=True, capture_output=True, text=True
        ).stdout

    def commit(self, text: str) -> None:
        (self.folder / "Pulumi.local.yaml").write_text(text)
        self._git("add", ".")
        self._git("commit", "--quiet", "--message", "a change")

    def branch(self, name: str, old: str, new: str) -> None:
        """A branch from main in which one line of the file is another one."""
        self._git("checkout", "--quiet", "-b", name, "main")
        text = (self.folder / "Pulumi.local.yaml").read_text()
        assert text.count(old) == 1
        self.commit(text.replace(old, new))
        assert self._git("diff", "--shortstat", "main").split()[:3] == ["1", "file", "changed,"]

    def review(self, *words: str) -> subprocess.CompletedProcess[str]:
        """`make review ENV=local` with what is checked out."""
        extra = " ".join((f"--config-file {self.folder}/Pulumi.local.yaml", *words))
        environment = {k: v for k, v in os.environ.items() if not k.startswith("GITHUB_")}
        return subprocess.run(
            ["make", "review", "ENV=local", f"REVIEW={extra}"],
            cwd=ROOT,
            env={**environment, **self._stack.env, "MAKEFLAGS": ""},
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
        )


@pytest.fixture
def repository(stack: Stack, tmp_path: Path) -> Repository:
    stack.up({"churn": {"stable": {"version": 1}, "canary": {"version": 2, "weight": 10}}})
    repository = Repository(tmp_path / "repository", stack)
    repository.commit(stack.config.read_text())
    return repository


def test_a_branch_that_changes_one_line_gets_its_review(repository: Repository) -> None:
    repository.branch("promote", "weight: 10", "weight: 40")
    done = repository.review("--format markdown")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("## `local`: `churn` 1 → 2 at 40 % (was 10 %)\n")
    assert "- `backends[1].weight`: `10` → `40`" in done.stdout
    assert "| `accuracy` | 0.9 | 0.9 | 0 | same |" in done.stdout
    assert "**Policy**: `model-delivery" in done.stdout


def test_a_branch_that_is_forbidden_is_refused_with_the_fix(repository: Repository) -> None:
    repository.branch("jump", "weight: 10", "weight: 90")
    done = repository.review("--format json")
    assert "Error 3" in done.stderr, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    assert said["outcome"] == "refused"
    (violation,) = [v for v in said["violations"] if v["mandatory"]]
    assert violation["rule"] == "canary-step"
    assert violation["fix"].startswith("set canary.weight to 60 or less")


def test_a_version_that_is_not_registered_is_no_green_review(repository: Repository) -> None:
    repository.branch("typo", "version: 2", "version: 99")
    done = repository.review("--no-policy")
    assert "Error 1" in done.stderr, done.stderr
    assert "churn has no version 99 in the registry" in done.stdout
