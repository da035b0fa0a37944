"""Where a model comes from."""

import subprocess
from pathlib import Path

import pytest

from pipeline.provenance import Commit, commit, source, training_digest


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", "-C", folder, *identity, *words], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-qm", "first")
    return tmp_path


def test_a_clean_checkout(checkout: Path):
    assert commit(checkout) == Commit(commit=git(checkout, "rev-parse", "HEAD"), dirty=False)


@pytest.mark.parametrize("name", ["a", "new"])
def test_a_changed_or_a_new_file_is_dirty(checkout: Path, name: str):
    (checkout / name).write_text("2")
    assert commit(checkout) == Commit(commit=git(checkout, "rev-parse", "HEAD"), dirty=True)


def test_no_checkout(tmp_path: Path):
    assert commit(tmp_path) == Commit(commit="unknown", dirty=True)


def test_no_commit_yet(tmp_path: Path):
    git(tmp_path, "init", "-q")
    assert commit(tmp_path) == Commit(commit="unknown", dirty=True)


def test_no_git(checkout: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert commit(checkout) == Commit(commit="unknown", dirty=True)


def test_a_training_is_known_by_recipe_data_and_code(tmp_path: Path):
    code = tmp_path / "code.py"
    code.write_text("1")
    first = training_digest("a", "sha256:1", [code])
    assert first == training_digest("a", "sha256:1", [code])
    others = {training_digest("b", "sha256:1", [code]), training_digest("a", "sha256:2", [code])}
    code.write_text("2")
    others.add(training_digest("a", "sha256:1", [code]))
    assert len(others | {first}) == 4


@pytest.mark.parametrize(
    ("remote", "repository"),
    [
        ("https://host.example/o/r.git", "https://host.example/o/r.git"),
        ("https://ann:pw123@host.example/o/r.git", "https://host.example/o/r.git"),
        ("https://host.example/o/r.git?token=t0ken", "https://host.example/o/r.git"),
        ("git@host.example:o/r.git", "git@host.example:o/r.git"),
        ("ssh://git@host.example:2222/o/r.git", "ssh://host.example:2222/o/r.git"),
        # Paths of this machine say nothing to others.
        ("/srv/r.git", ""),
        ("../r.git", ""),
        ("file:///srv/r.git", ""),
    ],
)
def test_a_checkout_knows_where_others_find_it(checkout: Path, remote: str, repository: str):
    git(checkout, "remote", "add", "origin", remote)
    assert commit(checkout).repository == repository


def test_training_code_is_named_by_repository_file_and_command():
    file = Path("pipeline/training.py")
    assert source("https://host.example/o/r.git", file, "python -m pipeline train") == (
        "https://host.example/o/r.git#pipeline/training.py (python -m pipeline train)"
    )
    assert source("", file, "make train") == "pipeline/training.py (make train)"
