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
    ],
)
def test_what_a_preview_refuses_in_a_release_is_refused_before_it_is_written(
    facts: dict[str, Any], rule: str
) -> None:
    assert rules("prod", past(**facts)) == {rule: True}
    assert rules("dev", past(**facts)) == {rule: False}, "where it is advisory it only warns"


@pytest.mark.parametrize(
    ("facts", "rule"),
    [
        ({"card": ""}, "release-model-card"),
        ({"approvedBy": ""}, "high-risk-approval"),
        ({"evaluation": "rejected"}, "high-risk-evaluation"),
    ],
)
def test_what_people_may_have_added_since_the_last_update_stops_nothing(
    facts: dict[str, Any], rule: str
) -> None:
    """A canary is approved while it runs: the state knows of it only after the update that gives it more."""
    assert rules("prod", past(**facts)) == {rule: False}
    [said] = objections("prod", "fraud", past(**facts), AFTER, NOW)
    assert said.text.endswith("(as of the last update; the preview asks the registry again)")


def test_it_is_said_in_the_words_of_the_pack() -> None:
    known = past(metrics={"accuracy": 0.5, "log_loss": 0.3})
    [said] = objections("prod", "fraud", known, AFTER, NOW)
    after = rollout("fraud", "kubernetes", canary={"version": 4, "weight": 50, "shadow": False})
    case = Case(resource=after, settings=SETTINGS, now=NOW, stack=(after, *known.releases))
    [finding] = judge(RULES["candidate-metrics"], case).findings
    assert said.text == text(RULES["candidate-metrics"], finding, NOW.date())


def test_a_version_that_the_step_takes_out_is_not_judged() -> None:
    assert rules("prod", past(card=""), Step(stable=3)) == {}


def test_a_risk_class_of_the_file_alone_counts() -> None:
    known = past(riskClass="", approvedBy="")
    assert "high-risk-approval" in rules("prod", known)


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


NAMED = "main.ml.fraud"


def test_releases_are_found_by_the_model_that_they_serve_not_by_the_registrys_name() -> None:
    def exported(name: str, version: int, **outputs: Any) -> dict[str, Any]:
        urn = f"urn:pulumi:prod::p::delivery:registry:Release::{name}-v{version}"
        return {"type": "delivery:registry:Release", "urn": urn, "outputs": {"version": version, **outputs}}

    resources = [
        exported("fraud", 3, model=NAMED, endpoint="fraud"),
        exported("fraud-us", 3, model=NAMED, endpoint="fraud-us"),
        exported("eu", 3, model="fraud", endpoint="eu"),
    ]
    state = {"deployment": {"resources": resources}}
    assert [found.name for found in releases_in(state, "fraud", NAMED)] == ["fraud-v3"]
    assert [found.name for found in releases_in(state, "fraud-us", NAMED)] == ["fraud-us-v3"]
    assert [found.name for found in releases_in(state, "eu", "fraud")] == ["eu-v3"]
    assert releases_in(state, "fraud") == (), "it has pinned no version of a registered model fraud"


def test_a_candidate_of_another_name_is_judged_as_a_preview_would() -> None:
    def of(version: int, **facts: Any) -> Any:
        found = release("fraud", version, **facts)
        return replace(found, properties={**found.properties, "model": NAMED, "endpoint": "fraud"})

    was = {**BEFORE["was"], "registeredModel": NAMED}
    state = {**BEFORE, "registeredModel": NAMED, "was": was}
    pinned = (of(3), of(4, metrics={"accuracy": 0.5, "log_loss": 0.3}))
    known = replace(applied(state, "prod", 3, NAMED), releases=pinned)
    [said] = objections("prod", "fraud", known, AFTER, NOW, NAMED)
    assert said.stops and "Rule: candidate-metrics" in said.text


def test_another_registered_model_in_the_file_is_a_switch_to_versions_that_never_served() -> None:
    known = replace(past(), releases=())
    found = objections("prod", "fraud", known, Step(stable=3), NOW, NAMED)
    assert [said.stops for said in found if "Rule: stable-without-canary" in said.text] == [True]
    assert "of the registered model main.ml.fraud takes requests" in found[0].text
