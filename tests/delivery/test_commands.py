"""promote, rollback and status: what is written into a stack's file, what is refused, what is told."""

from __future__ import annotations

import json
import stat
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from delivery import past
from delivery.__main__ import main
from delivery.errors import DeliveryError
from delivery.past import NoStateError, found_in
from delivery.stack_file import load
from policy import exemptions
from policy.rules.steps import RULES
from policy.steps import Step
from tests.policy.declared import FACTS

ROOT = Path(__file__).resolve().parents[2]
FILE = """\
# A file that people edit.
encryptionsalt: v1:kept
config:
  model-delivery:platform:
    kind: local
  model-delivery:models:
    tumour: # the example
      stable: {version: 3}
      canary: {version: 4, weight: 10} # percent
      owner: oncology
      riskClass: high
    churn:
      stable:
        version: 7
"""
STABLE, CANARY = "      stable: {version: 3}\n", "      canary: {version: 4, weight: 10} # percent\n"
BAKING = FILE.replace("version: 3", "version: 5").replace("version: 4, weight: 10", "version: 3, weight: 0")
SHARED = """\
config:
  model-delivery:platform: {kind: local}
  model-delivery:models:
    tumour: &same
      stable: {version: 3}
      canary: {version: 4, weight: 10}
    churn: *same
"""


def rollout(
    model: str, stable: int, canary: int | None = None, weight: int = 0, **more: Any
) -> dict[str, Any]:
    found = {"model": model, "runtime": "local", "stable": {"version": stable}, "served": [], **more}
    found.setdefault("since", "2026-01-01T00:00:00Z")
    if canary is not None:
        found["canary"] = {"version": canary, "weight": weight, "shadow": False}
    return found


APPLIED = rollout("tumour", 3, 4, 10, served=[2, 3])


def git(folder: Path, *words: str) -> None:
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", folder, *identity, *words], check=True, capture_output=True)


def export(*rollouts: dict[str, Any], releases: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    """A state as Pulumi exports it."""
    resources = [{"type": "delivery:registry:Rollout", "outputs": found} for found in rollouts]
    for found in releases:
        urn = f"urn:pulumi:s::p::delivery:registry:Release::{found['model']}-v{found['version']}"
        resources.append({"type": "delivery:registry:Release", "urn": urn, "outputs": found})
    return {"version": 3, "deployment": {"resources": resources}}


class Workplace:
    """A folder with a stack's file, and a stack that has applied what one says."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.file = folder / "Pulumi.local.yaml"
        self.file.write_text(FILE)
        self.state: dict[str, Any] | str = {"tumour": APPLIED}
        self.asked: list[str] = []
        self.releases: list[dict[str, Any]] = []
        self.begun: dict[str, Any] | None = None
        monkeypatch.setattr(past, "exported", self._exported)

    def _exported(self, stack: str) -> dict[str, Any]:
        self.asked.append(stack)
        if isinstance(self.state, str):
            raise NoStateError(self.state)
        found = export(*self.state.values(), releases=self.releases)
        if self.begun:
            step = {"type": "delivery:registry:Step", "urn": "urn", "outputs": self.begun}
            found["deployment"]["resources"].append(step)
        return found

    def run(self, *words: str, stack: str = "local") -> int:
        return main([*words, "--stack", stack, "--config-file", str(self.file)])

    def says(self, *changes: tuple[str, str]) -> bool:
        """Whether the file is what it was, but for these lines."""
        text = FILE
        for before, after in changes:
            assert before in text
            text = text.replace(before, after)
        return self.file.read_text() == text

    def git(self, *words: str) -> None:
        git(self.file.parent, *words)

    def commit(self, text: str, subject: str) -> None:
        self.file.write_text(text)
        self.git("add", "-A")
        self.git("commit", "-qm", subject)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    return Workplace(tmp_path, monkeypatch)


class TestPromote:
    def test_a_weight_is_one_changed_line(self, place: Workplace, capsys: pytest.CaptureFixture[str]) -> None:
        mode = place.file.stat().st_mode
        assert place.run("promote", "tumour", "4", "--weight", "50") == 0
        assert place.says(("weight: 10", "weight: 50"))
        told = capsys.readouterr()
        assert "tumour v3 90 %, v4 10 % → v3 50 %, v4 50 %" in told.out
        assert "judged by the state of local; the preview judges what the registry says of v3, v4" in told.err
        assert "make review ENV=local" in told.out
        assert stat.S_IMODE(place.file.stat().st_mode) == stat.S_IMODE(mode)
        assert list(place.file.parent.iterdir()) == [place.file], "nothing is left beside it"

    def test_a_version_that_no_preview_would_take_gets_no_more(
        self, place: Workplace, capsys: pytest.CaptureFixture[str]
    ) -> None:
        place.releases = [{**FACTS, "model": "tumour", "version": version} for version in (3, 4)]
        place.releases[1]["metrics"] = {"accuracy": 0.5, "log_loss": 0.3}
        assert place.run("promote", "tumour", "4", "--weight", "50", stack="prod") == 3
        told = capsys.readouterr().err
        assert "refused: tumour v4 is worse than tumour v3: accuracy 0.9 → 0.5" in told
        assert "Rule: candidate-metrics" in told and "judged by the state of prod\n" in told
        assert place.says()
        # To take it back needs no proof.
        assert place.run("rollback", "tumour", "--remove", stack="prod") == 0

    def test_without_a_weight_it_is_as_much_as_a_step_may_add(self, place: Workplace) -> None:
        assert place.run("promote", "tumour", "4") == 0
        assert place.says(("weight: 10", "weight: 60"))
        place.state = {"tumour": rollout("tumour", 3, 4, 60)}
        assert place.run("promote", "tumour", "4") == 0
        assert place.says(("weight: 10", "weight: 100"))

    def test_a_first_share_is_as_much_as_a_version_may_start_at(self, place: Workplace) -> None:
        assert place.run("promote", "churn", "8") == 0
        assert place.file.read_text() == FILE + "      canary: {version: 8, weight: 20}\n"

    def test_a_version_that_becomes_stable_needs_no_canary_where_nothing_has_to_bake(
        self, place: Workplace
    ) -> None:
        place.state = {"tumour": rollout("tumour", 3, 4, 60, served=[3])}
        assert place.run("promote", "tumour", "4", "--stable") == 0
        assert place.says((STABLE, STABLE.replace("3", "4")), (CANARY, ""))

    def test_where_it_has_to_bake_the_one_before_stays_at_weight_0(self, place: Workplace) -> None:
        place.state = {"tumour": rollout("tumour", 3, 4, 60, served=[3])}
        assert place.run("promote", "tumour", "4", "--stable", stack="prod") == 0
        kept = CANARY.replace("version: 4, weight: 10", "version: 3, weight: 0")
        assert place.says((STABLE, STABLE.replace("3", "4")), (CANARY, kept))
        # Once it has baked, the same command takes the one before out.
        place.state = {"tumour": rollout("tumour", 4, 3, 0, served=[3, 4])}
        assert place.run("promote", "tumour", "4", "--stable", stack="prod") == 0
        assert place.says((STABLE, STABLE.replace("3", "4")), (CANARY, ""))

    def test_before_it_has_baked_it_stays(self, place: Workplace, capsys: pytest.CaptureFixture[str]) -> None:
        place.file.write_text(BAKING)
        place.state = {"tumour": rollout("tumour", 5, 3, 0, served=[3, 5], since="2099-01-01T00:00:00Z")}
        assert place.run("promote", "tumour", "5", "--stable", stack="prod") == 3
        assert "Rule: previous-stable-kept" in capsys.readouterr().err
        assert place.file.read_text() == BAKING

    @pytest.mark.parametrize(
        ("words", "rule", "says"),
        [
            (("tumour", "5", "--weight", "90"), "canary-step", "v5 starts at 90 %, it may start at 20 %"),
            (("tumour", "4", "--weight", "100"), "canary-step", "v4 goes from 10 % to 100 %"),
            (
                ("tumour", "5", "--stable"),
                "stable-without-canary",
                "v5 becomes stable, and has served nobody",
            ),
        ],
    )
    def test_what_the_policy_refuses_is_refused_in_its_words(
        self,
        place: Workplace,
        words: tuple[str, ...],
        rule: str,
        says: str,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        assert place.run("promote", *words) == 3
        told = capsys.readouterr().err
        (broken,) = (r for r in RULES if r.id == rule)
        assert f"refused: tumour: {says}" in told
        assert f"Why: {broken.why}" in told and "Fix: " in told and f"Rule: {rule} (high" in told
        assert "was not changed" in told and place.says()

    def test_where_a_rule_only_warns_the_step_is_written(
        self, place: Workplace, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert place.run("promote", "tumour", "4", "--weight", "100", stack="dev") == 0
        assert "warning: canary-step: tumour: v4 goes from 10 % to 100 %" in capsys.readouterr().err
        assert place.says(("weight: 10", "weight: 100"))

    def test_what_an_exemption_lets_through_is_said(
        self,
        place: Workplace,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        until = datetime.now(UTC).date() + timedelta(days=7)
        file = tmp_path / "policy" / "exemptions.yaml"
        file.parent.mkdir()
        file.write_text(
            "exemptions:\n  in-a-hurry:\n    rule: canary-step\n"
            "    resource: delivery:registry:Rollout::tumour\n    environment: local\n"
            f"    reason: a test\n    owner: tests\n    until: {until}\n"
        )
        read = exemptions.read
        monkeypatch.setattr(exemptions, "read", lambda rules, now: read(rules, now, file))
        assert place.run("promote", "tumour", "4", "--weight", "100") == 0
        assert place.says(("weight: 10", "weight: 100"))
        told = capsys.readouterr().err
        assert "warning: canary-step: tumour: v4 goes from 10 % to 100 %" in told
        assert f"It is let through until {until} by the exemption in-a-hurry (owner tests: a test)" in told

    def test_a_step_is_judged_by_what_is_applied_not_by_what_the_file_says(self, place: Workplace) -> None:
        """Two edits of 45 points without an apply between them are one step of 90."""
        assert place.run("promote", "tumour", "4", "--weight", "55") == 0
        assert place.run("promote", "tumour", "4", "--weight", "100") == 3
        assert place.says(("weight: 10", "weight: 55"))

    def test_without_a_state_git_knows_what_was_before(
        self, place: Workplace, capsys: pytest.CaptureFixture[str]
    ) -> None:
        place.git("init", "-q")
        place.commit(FILE.replace("weight: 10", "weight: 5"), "five")
        place.commit(FILE, "ten percent")
        place.state = "no stack named 'local' found"
        assert place.run("promote", "tumour", "4", "--weight", "61") == 3
        told = capsys.readouterr().err
        assert "v4 goes from 10 % to 61 %" in told
        assert "ten percent" in told and "no stack named 'local' found" in told
        assert place.run("promote", "tumour", "4", "--weight", "60", "--offline") == 0
        assert len(place.asked) == 1, "--offline asks nobody"

    def test_what_the_file_says_already_changes_nothing(
        self, place: Workplace, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert place.run("promote", "tumour", "4", "--weight", "10") == 0
        assert "says it already" in capsys.readouterr().out and place.says()

    @pytest.mark.parametrize(
        ("words", "says"),
        [
            (("tumor", "4"), "models.tumor isn't there; the file has churn, tumour. Did you mean tumour?"),
            (("tumour", "3"), "models.tumour.stable.version is 3 already"),
            (("tumour", "3", "--stable"), "v3 is stable, and its canary v4 has 10 %"),
        ],
    )
    def test_a_mistake_is_told_and_changes_nothing(
        self, place: Workplace, words: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert place.run("promote", *words) == 2
        assert says in capsys.readouterr().err and place.says()

    @pytest.mark.parametrize(
        "weight", ["101", "-1", "1e1", "10.5", "1_0", "٤", "", "0x10", "ten", "1" * 5000]
    )
    def test_a_weight_is_a_whole_number_of_percent(
        self, place: Workplace, weight: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as stopped:
            place.run("promote", "tumour", "4", "--weight", weight)
        assert stopped.value.code == 2
        assert "must be a whole number from 0 to 100" in capsys.readouterr().err and place.says()

    @pytest.mark.parametrize("version", ["0", "-1", "v4", "4.0", "1_0", "latest", "9" * 10])
    def test_a_version_is_a_whole_number(
        self, place: Workplace, version: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for words in (("promote", "tumour", version), ("rollback", "tumour", "--to", version)):
            with pytest.raises(SystemExit) as stopped:
                place.run(*words)
            assert stopped.value.code == 2
            assert "a version is a whole number, 1 or more" in capsys.readouterr().err and place.says()

    def test_where_nothing_is_known_the_file_is_what_was_applied(
        self, place: Workplace, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Not logged in, and a file that isn't in git yet, are no way around the limits."""
        place.state = "PULUMI_ACCESS_TOKEN must be set"
        assert place.run("promote", "tumour", "4", "--weight", "100") == 3
        told = capsys.readouterr().err
        assert "v4 goes from 10 % to 100 %" in told and place.says()
        assert "judged by what the file said (no state of local: PULUMI_ACCESS_TOKEN must be set" in told
        assert place.run("promote", "tumour", "4", "--weight", "60") == 0

    def test_a_file_that_somebody_else_changes_meanwhile_is_left_as_it_is(
        self, place: Workplace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        theirs = FILE.replace("owner: oncology", "owner: radiology")

        def asked(stack: str) -> dict[str, Any]:
            place.file.write_text(theirs)
            return export(APPLIED)

        monkeypatch.setattr(past, "exported", asked)
        assert place.run("promote", "tumour", "4", "--weight", "50") == 2
        assert "was changed by somebody else meanwhile" in capsys.readouterr().err
        assert place.file.read_text() == theirs and list(place.file.parent.iterdir()) == [place.file]

    def test_a_read_only_file_is_left_as_it_is(
        self, place: Workplace, capsys: pytest.CaptureFixture[str]
    ) -> None:
        place.file.chmod(0o444)
        assert place.run("promote", "tumour", "4", "--weight", "50") == 2
        assert "is read-only" in capsys.readouterr().err and place.says()

    def test_a_link_stays_one(self, place: Workplace) -> None:
        real = place.file.rename(place.file.with_name("shared.yaml"))
        place.file.symlink_to(real.name)
        assert place.run("promote", "tumour", "4", "--weight", "50") == 0
        assert place.file.is_symlink() and "weight: 50" in real.read_text()

    def test_what_would_be_a_mistake_is_told_as_one(self, place: Workplace) -> None:
        with pytest.raises(DeliveryError, match=r"it would have a mistake then .*stable.version is 0"):
            load("local", place.file).write("tumour", Step(stable=0))
        assert place.says()

    def test_a_file_with_a_mistake_is_told_with_its_line(
        self, place: Workplace, capsys: pytest.CaptureFixture[str]
    ) -> None:
        place.file.write_text(FILE.replace("weight: 10", "wieght: 10"))
        assert place.run("promote", "tumour", "4") == 2
        told = capsys.readouterr().err
        assert "line 9, models.tumour.canary.wieght" in told and "Did you mean weight?" in told

    @pytest.mark.parametrize(
        "text",
        [
            FILE.replace("stable: {version: 3}", "<<: {stable: {version: 3}}"),
            SHARED,
        ],
    )
    def test_what_is_merged_or_shared_is_left_to_people(
        self, place: Workplace, text: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        place.file.write_text(text)
        assert place.run("promote", "tumour", "4", "--weight", "20") == 2
        told = capsys.readouterr().err
        assert "Write this step by hand: v3 80 %, v4 20 %" in told
        assert place.file.read_text() == text and list(place.file.parent.iterdir()) == [place.file]

    def test_a_stack_without_a_file_says_which_have_one(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["promote", "tumour", "2", "--stack", "prd"]) == 2
        told = capsys.readouterr().err
        assert "Pulumi.prd.yaml" in told and "Did you mean prod?" in told
        assert all(f.name.split(".")[1] in told for f in ROOT.glob("Pulumi.*.yaml"))

    def test_blue_green_is_as_right_here_as_in_the_pack(
        self, place: Workplace, capsys: pytest.CaptureFixture[str]
    ) -> None:
        place.state = {"tumour": rollout("tumour", 3, 4, 0)}
        assert place.run("promote", "tumour", "4", "--weight", "90") == 3
        assert place.run("promote", "tumour", "4", "--weight", "100") == 0
        assert place.says(("weight: 10", "weight: 100"))


class TestRollback:
    def test_a_canary_answers_no_more(self, place: Workplace) -> None:
        assert place.run("rollback", "tumour") == 0
        assert place.says(("weight: 10", "weight: 0"))

    def test_a_canary_is_taken_out(self, place: Workplace) -> None:
        assert place.run("rollback", "tumour", "--remove") == 0
        assert place.says((CANARY, ""))

    def test_a_shadow_is_taken_out(self, place: Workplace) -> None:
        place.file.write_text(FILE.replace("weight: 10", "shadow: true"))
        assert place.run("rollback", "tumour") == 0
        assert place.says((CANARY, ""))

    def test_the_stable_version_before_comes_back_by_the_state(
        self, place: Workplace, capsys: pytest.CaptureFixture[str]
    ) -> None:
        was = {"stable": {"version": 6}, "canary": {"version": 7, "weight": 50, "shadow": False}}
        place.state = {"churn": rollout("churn", 7, was=was, served=[6, 7])}
        assert place.run("rollback", "churn", stack="prod") == 0
        assert place.says(("        version: 7", "        version: 6"))
        assert "v6 was stable before v7, by the state of prod" in capsys.readouterr().out

    def test_one_that_still_bakes_comes_back_alone(self, place: Workplace) -> None:
        place.file.write_text(BAKING)
        was = {"stable": {"version": 3}, "canary": {"version": 5, "weight": 50, "shadow": False}}
        place.state = {"tumour": rollout("tumour", 5, 3, 0, was=was, served=[3, 5])}
        assert place.run("rollback", "tumour", stack="prod") == 0
        assert place.says((CANARY, ""))

    def test_what_the_state_forgot_git_knows(
        self, place: Workplace, capsys: pytest.CaptureFixture[str]
    ) -> None:
        place.git("init", "-q")
        place.commit(FILE.replace("version: 7", "version: 5"), "five")
        place.commit(FILE.replace("version: 7", "version: 6"), "six")
        place.commit(FILE, "seven")
        place.state = {"churn": rollout("churn", 7, was={"stable": {"version": 7}}, served=[6, 7])}
        assert place.run("rollback", "churn") == 0
        assert place.says(("        version: 7", "        version: 6"))
        assert ", six)" in capsys.readouterr().out

    def test_it_never_goes_forward(self, place: Workplace, capsys: pytest.CaptureFixture[str]) -> None:
        """After a rollback from v8 the version before is v8: the one that was taken back."""
        place.state = {"churn": rollout("churn", 7, was={"stable": {"version": 8}}, served=[7, 8])}
        assert place.run("rollback", "churn") == 2
        assert "name it: --to VERSION" in capsys.readouterr().err and place.says()

    def test_a_version_may_be_named(self, place: Workplace) -> None:
        place.state = {"tumour": APPLIED}
        assert place.run("rollback", "tumour", "--to", "2") == 0
        assert place.says((STABLE, STABLE.replace("3", "2")), (CANARY, ""))

    def test_a_named_version_that_never_served_is_refused(self, place: Workplace) -> None:
        assert place.run("rollback", "tumour", "--to", "1") == 3
        assert place.says()

    def test_a_canary_that_answers_nobody_is_a_question(
        self, place: Workplace, capsys: pytest.CaptureFixture[str]
    ) -> None:
        place.file.write_text(FILE.replace("weight: 10", "weight: 0"))
        place.state = {"tumour": rollout("tumour", 3, 4, 0, was={"stable": {"version": 2}}, served=[2, 3])}
        assert place.run("rollback", "tumour") == 2
        told = capsys.readouterr().err
        assert "--remove" in told and "--to 2" in told

    def test_advice_is_not_in_the_way_of_a_rollback(
        self, place: Workplace, capsys: pytest.CaptureFixture[str]
    ) -> None:
        place.state = {"tumour": rollout("tumour", 3, 4, 50, served=[3], riskClass="high")}
        place.releases = [{"model": "tumour", "version": version, "riskClass": "high"} for version in (3, 4)]
        assert place.run("promote", "tumour", "4", "--weight", "60") == 0
        told = capsys.readouterr().err
        assert "warning: high-risk-approval: tumour v4 is high-risk" in told
        assert "tumour v3" not in told, "it gets no more than before"
        assert all(line.startswith(("warning: ", "judged by")) for line in told.splitlines())
        assert place.run("rollback", "tumour") == 0
        assert "warning" not in capsys.readouterr().err


class TestStatus:
    def test_the_file_alone(self, place: Workplace, capsys: pytest.CaptureFixture[str]) -> None:
        assert place.run("status") == 0
        assert capsys.readouterr().out.splitlines() == [
            "MODEL   RUNTIME  STABLE  CANARY  WEIGHT  OWNER     RISK",
            "churn   local    v7      –       –       –         –",
            "tumour  local    v3      v4      10 %    oncology  high",
        ]
        assert place.asked == []

    def test_beside_what_was_applied(self, place: Workplace, capsys: pytest.CaptureFixture[str]) -> None:
        place.state = {"tumour": rollout("tumour", 3, 4, 5), "fraud": rollout("fraud", 1)}
        assert place.run("status", "--live") == 0
        lines = [line.split("  ") for line in capsys.readouterr().out.splitlines()]
        shown = {line[0]: [word.strip() for word in line if word.strip()][-4:] for line in lines}
        since = "2026-01-01T00:00:00Z"
        assert shown["churn"] == ["–", "–", "–", "not applied yet"]
        assert shown["tumour"] == ["v3 95 %, v4 5 %", since, "–", "differs from the file"]
        assert shown["fraud"] == ["v1 100 %", since, "–", "not in the file any more"]
        place.state = {"tumour": APPLIED}
        assert place.run("status", "tumour", "--live") == 0
        assert "as in the file" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("judge", "said"), [("model-delivery 0.1.0", "model-delivery 0.1.0"), ("", "no policy pack")]
    )
    def test_which_pack_judged_a_step(
        self, place: Workplace, judge: str, said: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        place.state = {"tumour": {**APPLIED, "judge": judge}}
        assert place.run("status", "--live") == 0
        assert said in capsys.readouterr().out

    def test_a_step_that_did_not_come_to_its_end_is_no_fact(
        self, place: Workplace, capsys: pytest.CaptureFixture[str]
    ) -> None:
        place.begun = {**rollout("tumour", 3, 4, 60), "since": "2026-01-02T00:00:00Z"}
        assert place.run("status", "--live") == 0
        told = capsys.readouterr().out
        assert "a later step is not finished" in told
        assert (
            "tumour: the step to v3 40 %, v4 60 % was begun at 2026-01-02T00:00:00Z and did not come to its"
            " end: traffic may go by v3 40 %, v4 60 % or v3 90 %, v4 10 %."
        ) in told
        # What is asked for next is judged by both.
        assert place.run("promote", "tumour", "4", "--weight", "65") == 3
        assert "v4 goes from 10 % to 65 %" in capsys.readouterr().err
        assert place.run("rollback", "tumour") == 0

    def test_a_stack_that_is_not_there_is_no_empty_stack(
        self, place: Workplace, capsys: pytest.CaptureFixture[str]
    ) -> None:
        place.state = "no stack named 'local' found"
        assert place.run("status", "--live") == 1
        told = capsys.readouterr()
        assert "tumour" in told.out and "no stack named 'local' found" in told.err


class TestARegisteredModelOfAnotherName:
    NAMED = "main.ml.tumour"
    TEXT = FILE.replace("    tumour: # the example\n", f"    tumour:\n      registeredModel: {NAMED}\n")

    @pytest.fixture
    def named(self, place: Workplace) -> Workplace:
        place.file.write_text(self.TEXT)
        place.state = {"tumour": {**APPLIED, "registeredModel": self.NAMED}}
        return place

    def test_its_releases_are_judged_before_it_is_promoted(
        self, named: Workplace, capsys: pytest.CaptureFixture[str]
    ) -> None:
        facts = {**FACTS, "model": self.NAMED, "endpoint": "tumour"}
        named.releases = [{**facts, "version": version} for version in (3, 4)]
        assert named.run("promote", "tumour", "4", "--weight", "50", stack="prod") == 0
        assert "judged by the state of prod\n" in capsys.readouterr().err, "no version is left to the preview"
        assert named.file.read_text() == self.TEXT.replace("weight: 10", "weight: 50")
        named.file.write_text(self.TEXT)
        named.releases[1]["metrics"] = {"accuracy": 0.5, "log_loss": 0.3}
        assert named.run("promote", "tumour", "4", "--weight", "50", stack="prod") == 3
        assert "refused: main.ml.tumour v4 is worse than main.ml.tumour v3" in capsys.readouterr().err

    def test_a_rollback_does_not_go_to_a_version_of_another(self, named: Workplace) -> None:
        text = self.TEXT.replace(CANARY, "")
        named.file.write_text(text)
        was = {"stable": {"version": 2}}
        named.state = {"tumour": rollout("tumour", 3, was=was, registeredModel=self.NAMED)}
        assert named.run("rollback", "tumour") == 2, "v2 was one of the registered model tumour"
        assert named.file.read_text() == text
        was["registeredModel"] = self.NAMED  # type: ignore[assignment]
        named.state["tumour"]["served"] = [2]
        assert named.run("rollback", "tumour") == 0
        assert named.file.read_text() == text.replace("stable: {version: 3}", "stable: {version: 2}")

    def test_a_step_of_another_than_was_applied_is_refused(
        self, named: Workplace, capsys: pytest.CaptureFixture[str]
    ) -> None:
        named.state = {"tumour": APPLIED}
        assert named.run("promote", "tumour", "4", "--weight", "20", stack="prod") == 3
        told = capsys.readouterr().err
        assert (
            "v3, v4 of the registered model main.ml.tumour takes requests from the registered model tumour"
            in told
        )
        assert named.file.read_text() == self.TEXT

    def test_status_shows_it_where_one_has_another_name(
        self, named: Workplace, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert named.run("status") == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].endswith("RISK  REGISTERED MODEL")
        assert [line.split()[-1] for line in lines[1:]] == ["churn", "main.ml.tumour"]
        assert named.run("status", "--live") == 0
        assert "as in the file" in capsys.readouterr().out
        named.state = {"tumour": APPLIED}
        assert named.run("status", "--live") == 0
        told = capsys.readouterr().out
        assert "v3 90 %, v4 10 % of tumour" in told and "differs from the file" in told


def test_a_state_is_read_as_pulumi_exports_it() -> None:
    kept = {"type": "delivery:registry:Rollout", "outputs": APPLIED}
    others = [{"type": "delivery:registry:Release", "outputs": {}}, {"type": "pulumi:pulumi:Stack"}]
    gone = {"type": "delivery:registry:Rollout", "outputs": rollout("old", 1), "delete": True}
    text = json.dumps({"version": 3, "deployment": {"resources": [*others, kept, gone]}})
    assert found_in(json.loads(text)) == {"tumour": APPLIED}
    assert found_in({"version": 3, "deployment": {}}) == {}
