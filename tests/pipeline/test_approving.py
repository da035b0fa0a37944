"""A person's decision on a version, in a real registry."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline.__main__ import main
from pipeline.approving import APPROVAL, EVALUATION, decide
from pipeline.registering import Facts, Registry, register
from serving.artifact import digest

NOW = datetime(2026, 11, 24, 9, 30, 15, 123456, tzinfo=UTC)
AT = "2026-11-24T09:30:15Z"


class TestADecision:
    def test_to_approve_names_who_when_and_which_artifact(self):
        assert decide(by="Ann", digest="sha256:a", evaluation=None, note="", now=NOW) == {
            "approved.by": "Ann",
            "approved.at": AT,
            "approved.digest": "sha256:a",
        }

    def test_to_approve_with_its_evaluation_has_both(self):
        assert decide(by="Ann", digest="sha256:a", evaluation="approved", note="as good as v1", now=NOW) == {
            "approved.by": "Ann",
            "approved.at": AT,
            "approved.digest": "sha256:a",
            "evaluation": "approved",
            "evaluation.by": "Ann",
            "evaluation.at": AT,
            "evaluation.note": "as good as v1",
        }

    def test_to_reject_takes_an_approval_back(self):
        decided = decide(by="Ann", digest="sha256:a", evaluation="rejected", note="worse", now=NOW)
        assert {key: decided[key] for key in APPROVAL} == dict.fromkeys(APPROVAL, "")
        assert decided["evaluation"] == "rejected"


@pytest.mark.real
class TestARegistry:
    @pytest.fixture
    def registered(self, model: Callable[[str], Path], tracking_uri: str) -> str:
        """A version 1 of `people`; returns its digest."""
        folder = model("model")
        facts = Facts(training_digest="sha256:t", data_name="d", data_digest="sha256:d")
        register(folder, "people", facts, tracking_uri=tracking_uri)
        return digest(folder)

    def tags(self, tracking_uri: str) -> dict[str, str]:
        with Registry.open(tracking_uri) as registry:
            found = dict(registry.client.get_model_version("people", "1").tags)
        return {key: value for key, value in found.items() if key in (*APPROVAL, *EVALUATION)}

    def approve(self, tracking_uri: str, *words: str) -> int:
        return main(["approve", *words, "--tracking-uri", tracking_uri])

    def test_keeps_who_approved_which_artifact(
        self, registered: str, tracking_uri: str, capsys: pytest.CaptureFixture[str]
    ):
        assert self.approve(tracking_uri, "people", "1", "--by", " Ann Example ") == 0
        kept = self.tags(tracking_uri)
        assert kept.keys() == set(APPROVAL)
        assert (kept["approved.by"], kept["approved.digest"]) == ("Ann Example", registered)
        assert abs(datetime.fromisoformat(kept["approved.at"]) - datetime.now(UTC)).total_seconds() < 120
        told = capsys.readouterr().out
        assert "people version 1" in told and "Ann Example" in told

    def test_a_rejected_version_is_approved_only_by_a_new_evaluation(
        self, registered: str, tracking_uri: str, capsys: pytest.CaptureFixture[str]
    ):
        words = ("people", "1", "--by", "Ann")
        assert self.approve(tracking_uri, *words) == 0
        assert self.approve(tracking_uri, *words, "--evaluation", "rejected", "--note", "biased by age") == 0
        kept = self.tags(tracking_uri)
        assert not kept.keys() & set(APPROVAL), "a version that is rejected is not approved"
        assert (kept["evaluation"], kept["evaluation.note"]) == ("rejected", "biased by age")
        capsys.readouterr()
        assert self.approve(tracking_uri, *words) == 1
        refused = capsys.readouterr().err
        assert "was rejected by Ann (biased by age)" in refused and "--evaluation approved" in refused
        assert self.tags(tracking_uri) == kept
        assert self.approve(tracking_uri, *words, "--evaluation", "approved") == 0
        kept = self.tags(tracking_uri)
        assert (kept["evaluation"], kept["approved.by"]) == ("approved", "Ann")
        assert "evaluation.note" not in kept, "the note was of the other evaluation"

    @pytest.mark.parametrize(
        ("words", "says"),
        [
            (("people", "7", "--by", "Ann"), "people has no version 7; registered are 1"),
            (
                ("poeple", "1", "--by", "Ann"),
                "no model 'poeple'; registered are people. Did you mean people?",
            ),
            (("people", "1", "--by", " "), "--by must be the name of the person"),
            (("people", "1", "--by", "Ann\nBob"), "--by must be the name of the person"),
            (("people", "1", "--by", "Ann", "--note", "fine"), "add --evaluation"),
        ],
    )
    @pytest.mark.usefixtures("registered")
    def test_a_mistake_is_told_and_nothing_is_recorded(
        self, tracking_uri: str, words: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
    ):
        assert self.approve(tracking_uri, *words) == 1
        told = capsys.readouterr()
        assert says in told.err and "Traceback" not in told.err
        assert self.tags(tracking_uri) == {}

    def test_what_has_no_digest_cannot_be_approved(
        self, registered: str, tracking_uri: str, capsys: pytest.CaptureFixture[str]
    ):
        with Registry.open(tracking_uri) as registry:
            registry.client.delete_model_version_tag("people", "1", "artifact.digest")
        assert self.approve(tracking_uri, "people", "1", "--by", "Ann") == 1
        assert "has no tag artifact.digest" in capsys.readouterr().err

    @pytest.mark.parametrize("name", ["main.ml.churn", "O'Brien"])
    def test_whatever_mlflow_takes_as_a_name_can_be_approved(
        self, model: Callable[[str], Path], tracking_uri: str, name: str
    ) -> None:
        with Registry.open(tracking_uri) as registry:
            registry.client.create_registered_model(name)
            tags = {"artifact.digest": "sha256:a"}
            registry.client.create_model_version(name, model("model").as_uri(), tags=tags)
        assert main(["approve", name, "1", "--by", "Ann", "--tracking-uri", tracking_uri]) == 0
        with Registry.open(tracking_uri) as registry:
            assert registry.client.get_model_version(name, "1").tags["approved.by"] == "Ann"

    def test_a_training_that_finds_its_version_keeps_what_people_said_of_it(
        self, registered: str, tracking_uri: str
    ):
        assert self.approve(tracking_uri, "people", "1", "--by", "Ann", "--evaluation", "approved") == 0
        kept = self.tags(tracking_uri)
        claims: dict[str, Any] = {"owner": "risk-team", "risk.class": "high"}
        with Registry.open(tracking_uri) as registry:
            found = registry.find("people", "sha256:t", claims)
            assert found is not None and found.state == "found"
            assert registry.client.get_model_version("people", "1").tags["owner"] == "risk-team"
            again = registry.find("people", "sha256:t", {"owner": "somebody else"})
            assert again is not None and again.state == "found"
            assert registry.client.get_model_version("people", "1").tags["owner"] == "risk-team"
        assert self.tags(tracking_uri) == kept
