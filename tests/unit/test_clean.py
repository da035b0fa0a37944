"""A run of tests that leaves something in the checkout fails, and names it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clean import state

ROOT = Path(__file__).resolve().parents[2]
CONFTEST = """
import sys
from pathlib import Path
from tests.clean import Clean

def refuse(event, arguments):
    # As tests/conftest.py does with files of users: a run of the tests doesn't open them.
    if event == "open" and str(arguments[0]).endswith("edited") and arguments[1] in ("r", "rb"):
        raise AssertionError("a test reads it")

sys.addaudithook(refuse)

def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Clean(Path(__file__).parent))
"""
TESTS = """
from pathlib import Path

HERE = Path(__file__).parent

def test_that_leaves_nothing(tmp_path):
    (tmp_path / "a").touch()
    (HERE / "passing").touch()
    (HERE / "passing").unlink()

def test_that_leaves_files():
    (HERE / "new").mkdir(exist_ok=True)
    (HERE / "new" / "left behind.txt").touch()
    (HERE / "mlflow.db").touch()
    (HERE / "mlruns").mkdir(exist_ok=True)
    (HERE / "mlruns" / "0").touch()
    (HERE / "Pulumi.local.yaml").write_text("weight: 50")

def test_that_removes_one():
    (HERE / "README.md").unlink()
    (HERE / "edited").write_text("not mine")
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout in which somebody works: a file is changed, one is new, one is ignored."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    ignored = "__pycache__/\n.pytest_cache/\nmlruns/\nmlflow.db\nnotes/\n"
    files = {"README.md": "", "Pulumi.local.yaml": "weight: 10", "edited": "", ".gitignore": ignored}
    for name, text in {**files, "conftest.py": CONFTEST, "test_it.py": TESTS}.items():
        (folder / name).write_text(text)
    identity = ("-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false")
    for words in (("init", "--quiet"), ("add", "."), (*identity, "commit", "--quiet", "-m", "all")):
        subprocess.run(["git", "-C", folder, *words], check=True, capture_output=True)
    (folder / "edited").write_text("mine")
    (folder / "mine.txt").touch()
    (folder / "notes").mkdir()
    (folder / "notes" / "mine").touch()
    return folder


def ran(checkout: Path, *words: str) -> tuple[int, list[str]]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    for name in ("PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_CURRENT_TEST"):
        environment.pop(name, None)
    command = [sys.executable, "-m", "pytest", "-q", *words]
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, timeout=120)
    lines = done.stdout.splitlines()
    heads = [index for index, line in enumerate(lines) if "the tests changed the checkout" in line]
    return done.returncode, lines[heads[0] + 1 :] if heads else []


def test_what_was_there_before_may_stay_and_what_is_left_fails_the_run(checkout: Path) -> None:
    before = state(checkout)
    assert before and {path: letters[:2] for path, letters in before.items()} == {
        "edited": " M",
        "mine.txt": "??",
        "notes/": "!!",
    }
    code, lines = ran(checkout, "-k", "leaves")
    assert code == 1
    assert lines[:4] == ["Pulumi.local.yaml", "mlflow.db", "mlruns/", "new/left behind.txt"]
    assert "tmp_path" in lines[4]
    # The next run has found them: it isn't to blame.
    assert ran(checkout, "-k", "leaves_nothing") == (0, [])


def test_workers_of_xdist_are_seen_as_well(checkout: Path) -> None:
    code, lines = ran(checkout, "-p", "xdist", "-n", "2", "-k", "removes")
    assert code == 1 and lines[:2] == ["README.md", "edited"] and "tmp_path" in lines[2]


def test_where_there_is_no_git_nothing_is_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert state(tmp_path) is None
