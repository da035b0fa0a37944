"""What the shipped environment files declare passes the pack that is shipped with them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from policy import enforcement
from policy.rules import RULES
from policy.testkit import evaluate, undecided
from tests.policy.declared import resources, shipped
from tests.unit.gcp import PROD, google
from tests.unit.test_gcp_golden import MODELS

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def violations(name: str, level: str) -> set[tuple[str, str]]:
    """Rule and resource of every violation at a level."""
    holds = enforcement.read(RULES).of(name)
    found = evaluate(RULES.values(), shipped(name), settings=holds.settings, now=NOW)
    return {(v.rule, v.resource) for v in found if holds.of(v.rule) == level}


def test_nothing_that_prod_declares_stops_it() -> None:
    assert violations("prod", "mandatory") == set()
    assert violations("prod", "advisory") == {
        ("high-risk-drift-monitor", "delivery:registry:Step::fraud"),
        ("high-risk-request-log", "delivery:registry:Step::fraud"),
    }


@pytest.mark.parametrize("name", ["dev", "local"])
def test_nothing_that_the_others_declare_stops_them(name: str) -> None:
    assert violations(name, "mandatory") == set()


def test_what_dev_leaves_out_is_said() -> None:
    rules = {rule for rule, _ in violations("dev", "advisory")}
    assert rules == {
        "alerts-present",
        "deletion-protected",
        "eks-private-endpoint",
        "high-risk-drift-monitor",
        "high-risk-request-log",
    }


@pytest.mark.parametrize("name", ["prod", "dev", "local"])
def test_every_rule_can_decide_on_them(name: str) -> None:
    assert undecided(RULES.values(), shipped(name), now=NOW) == []


def test_nothing_that_the_platform_on_google_cloud_declares_is_refused() -> None:
    labels = {"environment": "prod", "cost-centre": "ml"}
    declared = resources(google(MODELS, PROD, labels=labels)[0])
    settings = enforcement.read(RULES).of("gcp").settings
    assert set(settings.required_tags) == set(labels)
    assert evaluate(RULES.values(), declared, settings=settings, now=NOW) == []
    assert undecided(RULES.values(), declared, settings=settings, now=NOW) == []
