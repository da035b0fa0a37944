"""What a stack has applied, as Pulumi says it; and what git has, where Pulumi can't be asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from delivery import past
from delivery.past import NoStateError, applied
from policy.steps import Canary, Step

ROLLOUT = {
    "model": "churn",
    "stable": {"version": 4},
    "canary": {"version": 3, "weight": 0, "shadow": False},
    "since": "2026-11-24T09:12:41Z",
    "was": {"stable": {"version": 3}, "canary": {"version": 4, "weight": 60, "shadow": False}},
    "served": [2, 3, 4],
}


def pulumi(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Put a pulumiw that does this in the checkout's place."""
    file = folder / "pulumiw"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    monkeypatch.setattr(past, "ROOT", folder)


def test_a_stack_is_asked_for_its_rollouts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resources = [{"type": "delivery:registry:Rollout", "outputs": ROLLOUT}, {"type": "pulumi:pulumi:Stack"}]
    export = json.dumps({"version": 3, "deployment": {"resources": resources}})
    (tmp_path / "export.json").write_text(export)
    pulumi(
        tmp_path, monkeypatch, f'echo "$@" > {tmp_path}/words; cat {tmp_path}/export.json; echo a note >&2'
    )
    assert past.rollouts("prod") == {"churn": ROLLOUT}
    assert (tmp_path / "words").read_text().split() == [
        "stack",
        "export",
        "--stack",
        "prod",
        "--non-interactive",
    ]


NO_LOGIN = "error: PULUMI_ACCESS_TOKEN must be set for login during non-interactive CLI sessions"


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("echo \"error: no stack named 'prod' found\" >&2; exit 255", "no stack named 'prod' found"),
        ("exit 7", "pulumi failed without a word"),
        (
            f"echo '{NO_LOGIN}' >&2; exit 255",
            "the state of prod is: `./pulumiw login` logs in",
        ),
        ("echo '{'", "its export can't be read"),
        ('echo \'{"deployment": {"resources": [{"type": "delivery:registry:Rollout"}]}}\'', "can't be read"),
    ],
)
def test_why_there_is_no_state_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, says: str
) -> None:
    pulumi(tmp_path, monkeypatch, script)
    with pytest.raises(NoStateError) as caught:
        past.rollouts("prod")
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_a_checkout_without_pulumi_has_no_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past, "ROOT", tmp_path)
    with pytest.raises(NoStateError, match="pulumi can't be asked"):
        past.rollouts("prod")


def test_a_rollout_says_the_step_since_when_and_the_stable_version_before() -> None:
    known = applied(ROLLOUT, "prod", declared=4)
    assert known.step == Step(stable=4, canary=Canary(version=3, weight=0))
    assert known.since is not None and known.since.isoformat() == "2026-11-24T09:12:41+00:00"
    assert (known.previous, known.served, known.source) == (3, (2, 3, 4), "the state of prod")


@pytest.mark.parametrize(
    ("declared", "previous"),
    [
        (5, 4),  # the file is a step ahead: what is applied is what it goes back to
        (4, 3),
        (3, None),  # never forward
    ],
)
def test_the_version_before_is_older_than_the_one_in_the_file(declared: int, previous: int | None) -> None:
    assert applied(ROLLOUT, "prod", declared).previous == previous


def test_a_model_that_was_never_applied_has_no_step() -> None:
    known = applied(None, "prod", declared=1)
    assert (known.step, known.previous, known.served) == (None, None, ())


def test_the_version_before_is_one_of_the_same_registered_model() -> None:
    named = {**ROLLOUT, "registeredModel": "main.ml.churn"}
    known = applied(named, "prod", 4, "main.ml.churn")
    assert (known.previous, known.registered_model) == (None, "main.ml.churn"), "v3 was one of churn"
    same = {**named, "was": {**ROLLOUT["was"], "registeredModel": "main.ml.churn"}}  # pyright: ignore
    assert applied(same, "prod", 4, "main.ml.churn").previous == 3
    assert applied(same, "prod", 9).previous is None, "none of them is a version of what the file names"


class TestGit:
    """The file's commits, from the first to the last."""

    @staticmethod
    def text(stable: int, canary: str = "") -> str:
        return f"config:\n  model-delivery:models:\n    churn:\n      stable: {{version: {stable}}}\n{canary}"

    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        return tmp_path / "Pulumi.prod.yaml"

    def commits(self, file: Path, *texts: tuple[str, str]) -> None:
        from tests.delivery.test_commands import git

        git(file.parent, "init", "-q")
        for subject, text in texts:
            file.write_text(text)
            git(file.parent, "add", "-A")
            git(file.parent, "commit", "-qm", subject, "--allow-empty")

    def known(self, file: Path, declared: int) -> Any:
        return past.committed(file, "churn", declared)

    def test_the_last_step_and_who_had_requests_before_it(self, file: Path) -> None:
        ten, fifty = (f"      canary: {{version: 4, weight: {weight}}}\n" for weight in (10, 50))
        self.commits(
            file,
            ("two", self.text(2)),
            ("three", self.text(3)),
            ("ten", self.text(3, ten)),
            ("fifty", self.text(3, fifty)),
            ("words", self.text(3, fifty) + "# said\n"),
        )
        known = self.known(file, declared=3)
        assert known.step == Step(stable=3, canary=Canary(version=4, weight=50))
        assert ", fifty)" in known.source, "the commit that brought the step, not the last one"
        assert known.served == (2, 3, 3, 4)
        assert known.previous == 2 and ", two)" in known.previous_source

    def test_a_shadow_had_no_requests(self, file: Path) -> None:
        shadow = "      canary: {version: 4, shadow: true}\n"
        self.commits(file, ("shadow", self.text(3, shadow)), ("four", self.text(4)))
        assert self.known(file, declared=4).served == (3,)

    def test_texts_that_nobody_understands_any_more_are_passed_over(self, file: Path) -> None:
        self.commits(
            file, ("two", self.text(2)), ("broken", "config: ["), ("other", "{}"), ("3", self.text(3))
        )
        known = self.known(file, declared=3)
        assert (known.previous, known.served) == (2, (2,))

    def test_a_folder_without_git_knows_nothing(self, file: Path) -> None:
        file.write_text(self.text(3))
        assert self.known(file, declared=3) is None

    def test_versions_of_another_registered_model_are_none_to_go_back_to(self, file: Path) -> None:
        def named(stable: int, name: str) -> str:
            return self.text(stable, f"      registeredModel: {name}\n")

        self.commits(
            file,
            ("two", self.text(2)),
            ("two of it", named(2, "main.ml.churn")),
            ("five", named(5, "main.ml.churn")),
        )
        known = past.committed(file, "churn", 5, "main.ml.churn")
        assert known is not None and known.registered_model == "main.ml.churn"
        assert (known.previous, known.served) == (2, (2,)) and ", two of it)" in known.previous_source
        other = past.committed(file, "churn", 5, "another")
        assert other is not None and other.previous is None
        said = past.committed(file, "churn", 5)
        assert said is not None and said.previous == 2 and ", two)" in said.previous_source

    def test_a_registered_model_of_the_models_own_name_is_none_of_another(self, file: Path) -> None:
        self.commits(file, ("a", self.text(2)), ("b", self.text(3, "      registeredModel: churn\n")))
        assert self.known(file, declared=3).registered_model is None
        assert self.known(file, declared=3).served == (2,)
