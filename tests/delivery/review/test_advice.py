"""What stops nothing is a line a rule and model; a step in force that no pack judged is said."""

from __future__ import annotations

from datetime import date
from typing import Any

from delivery.review import markdown, terminal
from tests.delivery.review.building import Preview, reviewed, urn

RELEASE = "delivery:registry:Release"
CARD = "the registry has no model card for it"


def promotion() -> Preview:
    return (
        Preview()
        .rollout("churn", {"stable": 3, "canary": 4, "weight": 10}, {"stable": 3, "canary": 4, "weight": 50})
        .rollout("fraud", {"stable": 1}, {"stable": 1})
        .policy("release-model-card", f"churn v3: {CARD}", "advisory", urn(RELEASE, "churn-v3"))
        .policy("release-model-card", f"churn v4: {CARD}", "advisory", urn(RELEASE, "churn-v4"))
        .policy("release-model-card", f"fraud v1: {CARD}", "advisory", urn(RELEASE, "fraud-v1"))
        .policy("s3-versioned", "it keeps no versions", "advisory", urn("aws:s3/bucket:Bucket", "data"))
    )


def shown(preview: Preview, **options: Any) -> list[str]:
    return terminal.render(reviewed(preview, **options), colour=False).splitlines()


def test_advice_is_a_line_for_a_rule_and_a_model_that_changes() -> None:
    advice = [line for line in shown(promotion()) if "card" in line or "versions" in line or "EU AI" in line]
    assert advice == [f"advice: release-model-card: churn v3: {CARD}; churn v4: {CARD}"]
    comment = markdown.render(reviewed(promotion()))
    assert f"- `release-model-card`: churn v3: {CARD}; churn v4: {CARD}" in comment
    assert "fraud v1" not in comment and "EU AI Act" not in comment


def test_verbose_tells_why_and_how_and_who_asks() -> None:
    text = "\n".join(shown(promotion(), verbose=True))
    assert "fix:  register with a model card" in text and "EU AI Act Art. 13(3)" in text
    assert "fraud v1" not in text


def test_verbose_tells_whether_what_a_law_asks_is_law_on_that_day() -> None:
    dates = "for Annex I from 2 August 2028"
    for today, state in (
        (date(2027, 12, 1), f"not law yet, from 2 December 2027, {dates}"),
        (date(2027, 12, 2), f"law since 2 December 2027, {dates}"),
    ):
        lines = shown(promotion(), verbose=True, today=today)
        said = [line for line in lines if line.startswith("  rule: release-model-card")]
        assert set(said) == {
            f"  rule: release-model-card medium; EU AI Act Art. 13(3): {state}; NIST AI RMF MEASURE 2.9"
        }


def test_a_clause_in_parentheses_at_the_end_is_told_whole() -> None:
    told = "it keeps no versions\nWhy: w\nFix: f\nRule: s3-versioned (high; EU AI Act Art. 13(3))"
    text = "\n".join(shown(promotion().policy("s3-versioned", told)))
    assert "rule: s3-versioned high; EU AI Act Art. 13(3)\n" in text


def test_what_stops_a_change_is_told_in_full_whatever_it_touches() -> None:
    refused = promotion().policy(
        "s3-versioned", "it keeps no versions\nWhy: w\nFix: f\nRule: s3-versioned (high)"
    )
    text = "\n".join(shown(refused))
    assert "it keeps no versions" in text
    assert "why:  w" in text and "fix:  f" in text


def test_what_is_let_through_or_would_be_loosened_is_always_said() -> None:
    stack, bucket = urn("pulumi:pulumi:Stack", "prod"), urn("aws:s3/bucket:Bucket", "data")
    preview = promotion().policy("exemptions", "the exemption half is new here", "advisory", stack)
    preview = preview.policy("exemptions", "it is let through until then", "advisory", bucket)
    text = "\n".join(shown(preview))
    assert "advice: exemptions: the exemption half is new here" in text
    assert "advice: exemptions: it is let through until then" in text


def test_an_update_that_ended_half_way_is_said() -> None:
    step, recorded = {"stable": 3, "canary": 4, "weight": 60}, {"stable": 3, "canary": 4, "weight": 10}
    wish = {
        "model": "churn",
        "stable": {"version": 3},
        "canary": {"version": 4, "weight": 60, "shadow": False},
    }
    for old, said in ((wish, True), ({**wish, "canary": {**wish["canary"], "weight": 10}}, False)):
        preview = Preview().rollout("churn", recorded, step)
        preview = preview.step("update", "delivery:registry:Step", "churn", old, wish)
        text = "\n".join(shown(preview))
        assert ("churn: an update to v3 40 %, v4 60 % ended half-way" in text) == said
        assert ("traffic may go by that or by v3 90 %, v4 10 %" in text) == said
        assert ("ended half-way; traffic may go by that" in markdown.render(reviewed(preview))) == said
        assert "registry:Step" not in text and "1 update" in text


def test_a_step_that_no_pack_judged_is_said_in_the_next_review() -> None:
    for judge, said in (("", True), ("model-delivery 0.1.0", False), (None, False)):
        preview = Preview().rollout(
            "fraud", {"stable": 1}, {"stable": 1}, **({} if judge is None else {"judge": judge})
        )
        assert ("no policy pack judged it" in "\n".join(shown(preview))) == said
        assert ("was judged by no policy pack" in markdown.render(reviewed(preview))) == said
