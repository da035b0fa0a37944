"""Rules that join a rollout with its releases, where the registry has the model under another name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from policy.rule import Resource
from policy.rules import RULES
from policy.testkit import evaluate
from tests.policy.compliant import NOW, SETTINGS, release, rollout

WORSE = {"accuracy": 0.5, "log_loss": 0.3}


def of(model: str, version: int, registered: str, **facts: Any) -> Resource:
    """A release as the stack has it for a model whose registered model is called otherwise."""
    found = release(model, version, **facts)
    return replace(found, properties={**found.properties, "model": registered, "endpoint": model})


def broken(*stack: Resource) -> set[tuple[str, str]]:
    found = evaluate(RULES.values(), stack, settings=SETTINGS, now=NOW)
    return {(violation.rule, violation.resource.rpartition("::")[2]) for violation in found}


def stack(name: str, registered: str, risk: str = "high", **facts: Any) -> Iterable[Resource]:
    yield of(name, 3, registered)
    yield of(name, 4, registered, **facts)
    was = {"stable": {"version": 3}, "since": "2026-11-20T10:00:00Z", "registeredModel": registered}
    yield rollout(name, "lambda", registeredModel=registered, riskClass=risk, was=was)


def test_a_model_of_another_name_is_all_right_where_one_of_its_own_is() -> None:
    named = broken(release("churn", 3), release("churn", 4), rollout("churn", "lambda"))
    assert broken(*stack("churn", "main.ml.churn")) == named


@pytest.mark.parametrize(
    ("facts", "rule", "at"),
    [
        ({"metrics": WORSE}, "candidate-metrics", "churn"),
        ({"signature": {"inputs": '[{"type": "string", "name": "age"}]', "outputs": "[{}]"}},
         "signature-compatible", "churn"),
        ({"approvedBy": ""}, "high-risk-approval", "churn-v4"),
        ({"riskClass": "", "evaluation": "rejected"}, "high-risk-evaluation", "churn-v4"),
    ],
)  # fmt: skip
def test_its_candidate_is_compared_and_its_releases_are_of_its_risk_class(
    facts: dict[str, Any], rule: str, at: str
) -> None:
    right = broken(*stack("churn", "main.ml.churn"))
    assert (rule, at) in broken(*stack("churn", "main.ml.churn", **facts)) - right


def test_the_file_may_not_call_it_less_risky() -> None:
    assert ("risk-class-agrees", "churn-v3") in broken(*stack("churn", "Churn_Model", risk="minimal"))


def test_two_models_of_one_registered_model_are_each_judged_by_their_own_rollout() -> None:
    """The European one is minimal; the American one is high-risk, and its version 4 is not approved."""
    facts = {"riskClass": "", "approvedBy": ""}
    minimal = [*stack("churn-eu", "main.ml.churn", risk="minimal", **facts)]
    high = [*stack("churn-us", "main.ml.churn", risk="high", **facts)]
    for order in (minimal + high, high + minimal):
        found = {name for rule, name in broken(*order) if rule == "high-risk-approval"}
        assert found == {"churn-us-v4"}


def test_a_release_of_the_same_name_is_not_the_other_models() -> None:
    """``churn`` in the registry is served as ``old``; the model ``churn`` serves another registered model."""
    old = [*stack("old", "churn", metrics=WORSE)]
    found = {
        name for rule, name in broken(*old, *stack("churn", "main.ml.churn")) if rule == "candidate-metrics"
    }
    assert found == {"old"}


def switched(**more: Any) -> set[tuple[str, str]]:
    was = {"stable": {"version": 3}, "since": "2026-11-20T10:00:00Z"}
    after = rollout(
        "churn",
        "lambda",
        **{"canary": None, "served": [], "registeredModel": "main.ml.churn", "was": was, **more},
    )
    return {found for found in broken(after) if found[0] in ("canary-step", "stable-without-canary")}


def test_the_same_version_of_another_registered_model_has_not_served() -> None:
    assert switched() == {("stable-without-canary", "churn")}
    canary = {"version": 4, "weight": 20, "shadow": False}
    assert switched(canary=canary) == {("stable-without-canary", "churn")}


def test_the_way_straight_back_to_it_is_free() -> None:
    assert switched(served=[3]) == set()


def test_a_step_within_one_registered_model_is_a_step_like_any_other() -> None:
    was = {"stable": {"version": 3}, "since": "2026-11-20T10:00:00Z", "registeredModel": "main.ml.churn"}
    canary = {"version": 4, "weight": 90, "shadow": False}
    assert switched(was=was, served=[3]) == set()
    assert switched(was=was, served=[3], canary=canary) == {("canary-step", "churn")}
