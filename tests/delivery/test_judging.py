"""What promote and rollback say of a step before it is written: the words and the verdict of a preview."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from delivery.judging import objections, unjudged
from delivery.past import NoStateError, Past, applied, releases_in
from policy.rule import Case, judge, text
from policy.rules import RULES
from policy.steps import Canary, Step
from tests.policy.compliant import NOW, SETTINGS, release, rollout

BEFORE = rollout("fraud", "kubernetes", canary={"version": 4, "weight": 20, "shadow": False}).properties
AFTER = Step(stable=3, canary=Canary(version=4, weight=50))


def past(**facts: Any) -> Past:
    """A stack that serves versions 3 and 4 of a model; ``facts`` are what the registry says of 4."""
    releases = (release("fraud", 3), release("fraud", 4, **facts))
    return replace(applied(BEFORE, "prod", declared=3), releases=releases)


def rules(stack: str, before: Past, after: Step = AFTER) -> dict[str, bool]:
    """The rules that object, and whether they stop it."""
    found = objections(stack, "fraud", before, after, NOW)
    return {said.rule: said.stops for said in found}


def test_a_release_that_is_all_right_may_have_more() -> None:
    assert rules("prod", past()) == {}


@pytest.mark.parametrize(
    ("facts", "rule"),
    [
        ({"metrics": {"accuracy": 0.5, "log_loss": 0.3}}, "candidate-metrics"),
        ({"card": ""}, "release-model-card"),
        ({"approvedBy": ""}, "high-risk-approval"),
        ({"evaluation": "rejected"}, "high-risk-evaluation"),
    ],
)
def test_what_a_preview_refuses_in_a_release_is_refused_before_it_is_written(
    facts: dict[str, Any], rule: str
) -> None:
    assert rules("prod", past(**facts)) == {rule: True}
    assert rules("dev", past(**facts)) == {rule: False}, "where it is advisory it only warns"


def test_it_is_said_in_the_words_of_the_pack() -> None:
    known = past(metrics={"accuracy": 0.5, "log_loss": 0.3})
    [said] = objections("prod", "fraud", known, AFTER, NOW)
    after = rollout("fraud", "kubernetes", canary={"version": 4, "weight": 50, "shadow": False})
    case = Case(resource=after, settings=SETTINGS, now=NOW, stack=(after, *known.releases))
    [finding] = judge(RULES["candidate-metrics"], case).findings
    assert said.text == text(RULES["candidate-metrics"], finding)


def test_a_version_that_the_step_takes_out_is_not_judged() -> None:
    assert rules("prod", past(card=""), Step(stable=3)) == {}


def test_a_risk_class_of_the_file_alone_counts() -> None:
    known = past(riskClass="", approvedBy="")
    assert rules("prod", known)["high-risk-approval"]


def test_what_the_stack_has_not_pinned_is_named() -> None:
    assert unjudged(past(), Step(stable=4, canary=Canary(version=6, weight=5))) == [6]
    assert unjudged(Past(source="git"), AFTER) == [3, 4]


def test_releases_are_read_as_pulumi_exports_them() -> None:
    def exported(model: str, version: int, **more: Any) -> dict[str, Any]:
        urn = f"urn:pulumi:prod::p::delivery:local:Platform$delivery:registry:Release::{model}-v{version}"
        kept = {"type": "delivery:registry:Release", "urn": urn}
        return {**kept, "outputs": {"model": model, "version": version}, **more}

    others = [exported("churn", 3), exported("fraud", 2, delete=True), {"type": "pulumi:pulumi:Stack"}]
    state = {"deployment": {"resources": [*others, exported("fraud", 3)]}}
    [found] = releases_in(state, "fraud")
    # As the pack and its exemptions call it.
    assert (found.id, found.value("version")) == ("delivery:registry:Release::fraud-v3", 3)
    with pytest.raises(NoStateError, match="its export can't be read"):
        releases_in({"deployment": {"resources": [{"type": "delivery:registry:Release"}]}}, "fraud")
