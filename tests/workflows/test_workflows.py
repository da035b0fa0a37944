"""What the workflows may do and never may: rights, triggers, one update at a time, pinned actions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".github" / "workflows"
FILES = {file.stem: file for file in sorted(FOLDER.iterdir())}


def workflow(name: str) -> dict[str, Any]:
    # YAML takes the key `on` for a boolean.
    return {
        ("on" if key is True else key): value
        for key, value in yaml.safe_load(FILES[name].read_text()).items()
    }


def jobs(name: str) -> dict[str, dict[str, Any]]:
    return workflow(name)["jobs"]


def steps(name: str) -> Iterator[dict[str, Any]]:
    for job in jobs(name).values():
        yield from job["steps"]


def command(name: str, job: str) -> str:
    """What a job does at its end, in one line."""
    return " ".join(jobs(name)[job]["steps"][-1]["run"].split())


def test_these_are_the_workflows() -> None:
    assert set(FILES) == {"check", "preview", "up", "drift"}
    assert {file.suffix for file in FILES.values()} == {".yml"}


@pytest.mark.parametrize(
    ("name", "triggers"),
    [
        ("check", {"pull_request", "push"}),
        ("preview", {"pull_request"}),
        ("up", {"push"}),
        ("drift", {"schedule", "workflow_dispatch"}),
    ],
)
def test_each_runs_when_it_should(name: str, triggers: set[str]) -> None:
    on = workflow(name)["on"]
    assert ({on} if isinstance(on, str) else set(on)) == triggers
    if "push" in triggers:
        assert on["push"] == {"branches": ["main"]}


@pytest.mark.parametrize("name", FILES)
def test_a_job_has_the_rights_it_needs_and_no_other(name: str) -> None:
    assert workflow(name)["permissions"] == {}, "what a job isn't given it hasn't"
    aws = {"contents": "read", "id-token": "write"}
    allowed = {
        ("preview", "preview"): {**aws, "pull-requests": "write"},
        ("up", "up"): aws,
        ("drift", "drift"): aws,
    }
    for job, content in jobs(name).items():
        assert content["permissions"] == allowed.get((name, job), {"contents": "read"}), job


@pytest.mark.parametrize("name", FILES)
def test_every_action_is_pinned_to_a_commit(name: str) -> None:
    lines = [line.strip() for line in FILES[name].read_text().splitlines() if "uses:" in line]
    assert lines
    for line in lines:
        assert re.fullmatch(r"- uses: (actions|aws-actions)/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line
    pins = {line for file in FILES.values() for line in re.findall(r"uses: (\S+ # \S+)", file.read_text())}
    assert len(pins) == len({pin.partition("@")[0] for pin in pins}), "one version of each action"


@pytest.mark.parametrize("name", FILES)
def test_nothing_secret_is_kept_and_nothing_of_a_stranger_is_run(name: str) -> None:
    text = FILES[name].read_text()
    expressions = " ".join(re.findall(r"\$\{\{(.*?)\}\}", text))
    named = set(re.findall(r"secrets\W+(\w+)", expressions))
    assert named <= {"MLFLOW_TRACKING_TOKEN"}, "roles are assumed by OIDC; there is no key"
    for step in steps(name):
        # What an expression puts into a script is code: it comes by the environment.
        assert "${{" not in step.get("run", "")
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False
        if step.get("uses", "").startswith("aws-actions/"):
            assert set(step["with"]) - {"role-duration-seconds"} == {"role-to-assume", "aws-region"}


@pytest.mark.parametrize(("name", "job"), [("preview", "preview"), ("up", "up"), ("drift", "drift")])
def test_what_plans_can_ask_an_mlflow_that_wants_a_token(name: str, job: str) -> None:
    """Only the step that plans has it: neither the set-up nor an action, nor a job without environment."""
    *before, last = jobs(name)[job]["steps"]
    assert last["env"]["MODEL_DELIVERY_AUDIENCE"] == "${{ vars.MLFLOW_AUDIENCE }}"
    assert last["env"]["MLFLOW_TRACKING_TOKEN"] == "${{ secrets.MLFLOW_TRACKING_TOKEN }}"
    assert not any("secrets" in str(step) for step in before)
    others = [content for other, content in jobs(name).items() if other != job]
    assert "secrets" not in str(others)


def test_an_update_may_take_longer_than_a_session_of_an_hour() -> None:
    """A session that ends in an update leaves half of it."""
    [role] = [step for step in steps("up") if step.get("uses", "").startswith("aws-actions/")]
    assert role["with"]["role-duration-seconds"] == "${{ vars.AWS_ROLE_SECONDS || '3600' }}"


def test_a_fork_gets_no_preview() -> None:
    condition = jobs("preview")["changed"]["if"]
    assert "github.event.pull_request.head.repo.full_name == github.repository" in condition
    assert jobs("preview")["preview"]["needs"] == "changed"


@pytest.mark.parametrize(("name", "job"), [("preview", "preview"), ("up", "up"), ("drift", "drift")])
def test_each_stack_is_a_job_of_its_own_in_its_own_environment(name: str, job: str) -> None:
    content = jobs(name)[job]
    assert content["strategy"]["fail-fast"] is False, "one stack's failure is none of another's business"
    suffix = "" if name == "up" else "-preview"
    assert content["environment"] == f"${{{{ matrix.stack }}}}{suffix}"
    assert content["concurrency"]["cancel-in-progress"] is False, "what is stopped half-way leaves its lock"
    assert content["concurrency"]["group"].startswith(f"{name}-${{{{ matrix.stack }}}}")


def test_what_a_push_took_back_is_applied_too() -> None:
    since = {name: jobs(name)["changed"]["steps"][-1]["run"] for name in ("preview", "up")}
    # From the merge's first parent for a pull request; for a push all that differs, if it went back as well.
    assert 'tools.changed --since "$BASE"' in since["preview"]
    assert 'tools.changed --from "$BEFORE"' in since["up"]


def test_never_two_updates_of_one_stack() -> None:
    assert jobs("up")["up"]["concurrency"]["group"] == "up-${{ matrix.stack }}"


def test_what_each_does_in_the_end() -> None:
    assert command("preview", "preview") == (
        '.venv/bin/python -m delivery review --stack "$STACK" --base "$BASE" --post'
    )
    up = command("up", "up")
    # The wrapper gives both the policy pack: see tests/tools/test_pulumiw.py.
    assert up.startswith('./pulumiw up --stack "$STACK" --yes')
    drift = command("drift", "drift")
    assert drift.startswith('./pulumiw preview --stack "$STACK"')
    assert {"--refresh", "--expect-no-changes"} <= set(drift.split())
    assert not any("--no-policy" in file.read_text() for file in FILES.values())
    assert command("check", "check") == ".ci/run"


def test_the_review_has_the_arguments_that_the_workflow_gives_it() -> None:
    from delivery.__main__ import COMMANDS

    assert "review" in {command.name for command in COMMANDS}


@pytest.mark.parametrize("name", FILES)
def test_every_job_ends_some_day(name: str) -> None:
    assert all(0 < job["timeout-minutes"] <= 180 for job in jobs(name).values())


def test_every_guard_rail_has_an_owner_and_every_line_a_path() -> None:
    lines = [line.split() for line in (ROOT / ".github" / "CODEOWNERS").read_text().splitlines()]
    owned = {line[0] for line in lines if line and not line[0].startswith("#")}
    assert all(len(line) > 1 for line in lines if line and not line[0].startswith("#"))
    for path in owned:
        assert (ROOT / path.strip("/")).exists(), path
    # Exemptions, levels and rules; what makes them be asked; what they are told.
    guards = {"/policy/", "/.github/", "/pulumiw", "/tools/", "/Makefile", "/delivery/", "/provider/"}
    assert owned >= guards | {"/components/", "/__main__.py", "/Pulumi.yaml"}
