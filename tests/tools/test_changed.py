"""Which environments a change concerns: what a workflow previews and applies."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.environments import FOLDER
from tools import changed


@pytest.mark.parametrize(
    ("paths", "suite"),
    [
        (["Pulumi.prod.yaml"], False),
        (
            ["Pulumi.prod.yaml", "policy/exemptions.yaml", "policy/enforcement.yaml", "policy/own/ours.py"],
            False,
        ),
        (["Pulumi.prod.yaml", "components/traffic.py"], True),
        (["Pulumi.yaml"], True),
        (["policy/rules/steps.py"], True),
        (["examples/Pulumi.prod.yaml"], True),
        (["docs/ci.md"], True),
        ([], True),
        (None, True),
    ],
)
def test_the_products_tests_run_where_more_than_users_files_change(
    paths: list[str] | None, suite: bool
) -> None:
    assert changed.concerns_the_product(paths) is suite


def test_the_shipped_environments_but_the_machines_own() -> None:
    assert changed.stacks(FOLDER) == ["dev", "gcp", "prod"]


@pytest.mark.parametrize(
    ("text", "own"),
    [
        ("config:\n  model-delivery:platform:\n    kind: local\n", True),
        ("config: \n  platform: {kind: 'local'}\n", True),
        ('config:\n  platform: {kind: "local", ports: {}}\n', True),
        ("config:\n  platform:\n    kind: aws # not local\n", False),
        ("config:\n  platform: {stack: acme/model-delivery/local}\n", False),
        ("config:\n  models:\n    a: {runtime: local}\n  platform: {kind: kubernetes}\n", False),
        ("config:\n  platform: {region: x, kind: local}\n", True),
        ("config:\n  model-delivery:platform: {\n    kind: local}\n", True),
        ("config:\n  platform: # ours\n    ports: {}\n    # here\n\n    kind: local\n", True),
        # What only looks like it would leave a stack out of every review and apply.
        ("config:\n  platform:\n    kind: aws\n    x:\n      kind: local\n", False),
        ("config:\n  platform:\n    kind: aws\n  other:thing:\n    kind: local\n", False),
        (
            "config:\n  platform:\n    kind: aws\n  models:\n    a:\n      owner: |\n        kind: local\n",
            False,
        ),
        ("config:\n  platform: {kind: aws}\n  other:\n    kind: local\n", False),
        ("config: {}\n", False),
    ],
)
def test_a_local_stack_is_known_by_its_kind(tmp_path: Path, text: str, own: bool) -> None:
    (tmp_path / "Pulumi.mine.yaml").write_text(text)
    assert changed.stacks(tmp_path) == ([] if own else ["mine"])


@pytest.mark.parametrize(
    ("paths", "found"),
    [
        ([], []),
        (["Pulumi.prod.yaml"], ["prod"]),
        (["Pulumi.prod.yaml", "Pulumi.dev.yaml", "README.md"], ["dev", "prod"]),
        (["Pulumi.local.yaml"], []),
        (["Pulumi.gone.yaml"], []),
        (["docs/plan.md", "tests/unit/graph.py", "CHANGELOG.md", "examples/Pulumi.prod.yaml"], []),
        (["components/aws/iam.py"], ["dev", "prod"]),
        (["policy/enforcement.yaml"], ["dev", "prod"]),
        (["uv.lock"], ["dev", "prod"]),
        (["__main__.py"], ["dev", "prod"]),
        (["pulumiw"], ["dev", "prod"]),
        (["components.md", "docs/__main__.py"], []),
    ],
)
def test_a_file_concerns_its_stack_and_the_program_all(paths: list[str], found: list[str]) -> None:
    assert changed.concerned(paths, ["prod", "dev"]) == found


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in ("dev", "prod"):
        (tmp_path / f"Pulumi.{name}.yaml").write_text("config: {platform: {kind: aws}}\n")
    git(tmp_path, "init", "-q", "-b", "main")
    commit(tmp_path, "first")
    return tmp_path


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", "-C", folder, *identity, *words], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def commit(folder: Path, subject: str) -> str:
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", subject, "--allow-empty")
    return git(folder, "rev-parse", "HEAD")


def printed(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    assert changed.main(words, folder) == 0
    return json.loads(capsys.readouterr().out)


def test_a_branch_is_compared_with_where_it_began(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    git(checkout, "checkout", "-qb", "mine")
    (checkout / "Pulumi.prod.yaml").write_text("config: {platform: {kind: aws}, models: {}}\n")
    commit(checkout, "mine")
    git(checkout, "checkout", "-q", "main")
    (checkout / "Pulumi.dev.yaml").write_text("config: {platform: {kind: aws}, models: {}}\n")
    main = commit(checkout, "somebody else's")
    git(checkout, "checkout", "-q", "mine")
    assert printed(checkout, capsys, "--since", main) == ["prod"]


def test_a_commit_that_nobody_knows_concerns_all(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As a first push says it, and one after the history was rewritten."""
    assert printed(checkout, capsys, "--since", "0" * 40) == ["dev", "prod"]
    assert printed(checkout, capsys, "--all") == ["dev", "prod"]
    assert printed(checkout, capsys, "--since", "HEAD") == []


def test_a_renamed_file_of_the_program_concerns_all(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (checkout / "components").mkdir()
    (checkout / "components" / "a.py").write_text("x = 1\n" * 20)
    before = commit(checkout, "before")
    git(checkout, "mv", "components/a.py", "docs.py")
    commit(checkout, "moved away")
    assert printed(checkout, capsys, "--since", before) == ["dev", "prod"]


def test_a_push_that_goes_back_concerns_what_it_takes_back(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = git(checkout, "rev-parse", "HEAD")
    (checkout / "Pulumi.prod.yaml").write_text("config: {platform: {kind: aws}, models: {}}\n")
    second = commit(checkout, "a release")
    git(checkout, "reset", "-q", "--hard", first)
    assert printed(checkout, capsys, "--from", second) == ["prod"]
    assert printed(checkout, capsys, "--from", "0" * 40) == ["dev", "prod"]


def test_a_stack_may_have_dots_in_its_name(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = git(checkout, "rev-parse", "HEAD")
    (checkout / "Pulumi.prod.eu.yaml").write_text("config: {platform: {kind: aws}}\n")
    commit(checkout, "one more")
    assert printed(checkout, capsys, "--since", before) == ["prod.eu"]


def test_a_stack_whose_file_goes_is_said(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = git(checkout, "rev-parse", "HEAD")
    git(checkout, "mv", "Pulumi.prod.yaml", "Pulumi.production.yaml")
    commit(checkout, "renamed")
    assert changed.main(["--since", before], checkout) == 0
    said = capsys.readouterr()
    assert json.loads(said.out) == ["production"]
    assert "Pulumi.prod.yaml is gone" in said.err and "what it has stays" in said.err
