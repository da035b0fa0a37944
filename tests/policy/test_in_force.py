"""What a date on which a law applies does to levels, and what is said of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from pulumi_policy import EnforcementLevel, PolicyResourceOptions, ResourceValidationArgs
from pulumi_policy.proxy import unknown_checking_proxy

from delivery import judging
from policy import enforcement, in_force, pack
from policy.enforcement import Act, Enforcement, Level
from policy.rule import Application
from policy.rules import RULES
from policy.testkit import changed, evaluate
from tests.policy import broken
from tests.policy.compliant import COMPLIANT, NOW, SETTINGS

BEFORE, ANNEX_III, ANNEX_I = date(2027, 12, 1), date(2027, 12, 2), date(2028, 8, 2)
DRIFT = RULES["high-risk-drift-monitor"]
STEP = "delivery:registry:Step"
OF_THE_ACT = {
    "high-risk-approval",
    "high-risk-drift-monitor",
    "high-risk-evaluation",
    "high-risk-pod-logs",
    "high-risk-request-log",
}


def held(act: Act, level: Level = "advisory", **rules: Level) -> Enforcement:
    return Enforcement(level=level, act=act, rules={key.replace("_", "-"): one for key, one in rules.items()})


def mandatory(one: Enforcement) -> set[str]:
    return {rule for rule in RULES if one.of(rule) == "mandatory"}


def test_the_rules_that_the_act_asks_for_are_about_high_risk_systems_alone() -> None:
    assert {rule.id for rule in RULES.values() if in_force.law(rule)} == OF_THE_ACT
    rules = [RULES[rule] for rule in sorted(OF_THE_ACT)]
    harmless = [
        changed(one, "riskClass", "minimal") if one.properties.get("riskClass") == "high" else one
        for one in COMPLIANT
    ]
    changes = [one for one in broken.ALL if one[0] in OF_THE_ACT]
    assert {one[0] for one in changes} == OF_THE_ACT
    for _, name, path, value, _ in changes:
        new = value if path == "*" else {path: value}
        stack = harmless
        for key, wrong in new.items():
            stack = [changed(one, key, wrong) if one.id.endswith(name) else one for one in stack]
        assert evaluate(rules, stack, settings=SETTINGS, now=NOW) == []


@pytest.mark.parametrize("on", [date(2026, 11, 27), BEFORE, ANNEX_III, ANNEX_I, date(2035, 1, 1)])
@pytest.mark.parametrize("level", ["mandatory", "advisory"])
def test_no_date_changes_a_level_unless_the_environment_asks_for_it(on: date, level: Level) -> None:
    written = held("as-set", level, high_risk_drift_monitor="advisory", canary_step="mandatory")
    found = in_force.as_of(written, RULES, on)
    assert {rule: found.of(rule) for rule in RULES} == {rule: written.of(rule) for rule in RULES}
    assert not found.raised


@pytest.mark.parametrize("act", enforcement.ACTS)
@pytest.mark.parametrize("on", [date(2026, 11, 27), BEFORE, ANNEX_III, ANNEX_I])
def test_no_date_and_no_setting_makes_a_rule_laxer(act: Act, on: date) -> None:
    for name in ("prod", "dev", "local", "never-heard-of"):
        written = replace(enforcement.read(RULES).of(name), act=act)
        assert mandatory(written) <= mandatory(in_force.as_of(written, RULES, on))


def test_on_date_makes_the_rules_mandatory_on_the_day_of_annex_iii_and_no_others() -> None:
    written = held("on-date", high_risk_drift_monitor="advisory")
    assert mandatory(in_force.as_of(written, RULES, BEFORE)) == set()
    assert mandatory(in_force.as_of(written, RULES, ANNEX_III)) == OF_THE_ACT
    assert in_force.as_of(written, RULES, ANNEX_III).raised == OF_THE_ACT


def test_ahead_makes_them_mandatory_before_the_day() -> None:
    assert mandatory(in_force.as_of(held("ahead"), RULES, date(2026, 11, 27))) == OF_THE_ACT
    strict = in_force.as_of(held("ahead", "mandatory", high_risk_drift_monitor="advisory"), RULES, BEFORE)
    assert strict.raised == {DRIFT.id} and strict.of(DRIFT.id) == "mandatory"


CLAUSES = "EU AI Act Art. 26(5), Art. 72(1): "
NOT_YET = f"{CLAUSES}not law before 2 December 2027"
LAW = f"{CLAUSES}law since 2 December 2027, for Annex I "
BY = "Mandatory here by euAiAct: {} (policy/enforcement.yaml)"


@pytest.mark.parametrize(
    ("act", "on", "says"),
    [
        ("as-set", BEFORE, NOT_YET),
        ("as-set", ANNEX_III, f"{LAW}from 2 August 2028; only advisory here"),
        ("as-set", ANNEX_I, f"{LAW}since 2 August 2028; only advisory here"),
        ("on-date", BEFORE, f"{NOT_YET}, mandatory here from then"),
        ("on-date", ANNEX_III, f"{BY.format('on-date')}: law since 2 December 2027."),
        ("ahead", BEFORE, f"{BY.format('ahead')}, ahead of the law: from 2 December 2027."),
        ("ahead", ANNEX_III, f"{BY.format('ahead')}: law since 2 December 2027."),
    ],
)
def test_a_reader_is_told_what_the_date_does_to_the_level(act: Act, on: date, says: str) -> None:
    assert in_force.remark(DRIFT, in_force.as_of(held(act), RULES, on), on) == says


def test_nothing_is_said_of_rules_that_the_date_does_not_concern() -> None:
    for rule in RULES.values():
        strict = in_force.as_of(held("on-date", "mandatory"), RULES, ANNEX_III)
        assert in_force.remark(rule, strict, ANNEX_III) == ""
        if rule.id not in OF_THE_ACT:
            assert in_force.remark(rule, held("as-set"), ANNEX_III) == ""


def test_the_earlier_of_two_dates_counts() -> None:
    dates = Application(annex_iii=ANNEX_I, annex_i=ANNEX_III, basis="", source="")
    assert dates.first == ANNEX_III and dates.binds(ANNEX_III) and not dates.binds(BEFORE)


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    (tmp_path / "exemptions.yaml").write_text("exemptions: {}\n")
    (tmp_path / "enforcement.yaml").write_text(
        "environments:\n  prod: {euAiAct: on-date, rules: {high-risk-drift-monitor: advisory}}\n"
    )
    return tmp_path


def reported(folder: Path, on: date) -> tuple[EnforcementLevel, list[str]]:
    """The level of the rule on drift and what it says of a model, in a pack that is loaded on a day."""
    told: list[str] = []
    now = datetime(on.year, on.month, on.day, tzinfo=UTC)
    policy = pack.load("prod", folder, lambda: now).policies([DRIFT])[0]
    properties: dict[str, Any] = {"model": "fraud", "riskClass": "high"}
    options = PolicyResourceOptions(False, [], None, [], None, [], None)  # type: ignore[arg-type]
    args = ResourceValidationArgs(
        STEP, unknown_checking_proxy(properties), "urn:fraud", "fraud", options, None, None, {}
    )
    policy.validate(args, lambda message, urn=None: told.append(message))  # type: ignore[attr-defined]
    assert isinstance(policy.enforcement_level, EnforcementLevel)
    return policy.enforcement_level, told


def test_the_pack_stops_a_change_from_the_day_on_and_says_why(settings: Path) -> None:
    level, [message] = reported(settings, BEFORE)
    assert level == EnforcementLevel.ADVISORY
    assert message.startswith("fraud is high-risk and nothing watches its drift (EU AI Act Art. 26(5)")
    assert message.endswith("mandatory here from then)") and "\n" not in message

    level, [message] = reported(settings, ANNEX_III)
    assert level == EnforcementLevel.MANDATORY
    first, note, *_, rule = message.splitlines()
    assert first == "fraud is high-risk and nothing watches its drift"
    assert note == "Mandatory here by euAiAct: on-date (policy/enforcement.yaml): law since 2 December 2027."
    assert "EU AI Act Art. 26(5), Art. 72(1): law since 2 December 2027" in rule


def test_promote_judges_by_the_same_day(settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enforcement, "FILE", settings / "enforcement.yaml")
    for on, level in ((BEFORE, "advisory"), (ANNEX_III, "mandatory")):
        now = datetime(on.year, on.month, on.day, tzinfo=UTC)
        assert judging.held_to("prod", now).of(DRIFT.id) == level
