"""docs/compliance.md says what the rules say."""

from __future__ import annotations

from pathlib import Path

import pytest

from policy import compliance, own
from policy.compliance import page
from policy.references import EDITIONS
from policy.rules import RULES

OWN = """
from policy.rule import Rule, Severity

RULES = (
    Rule(
        id="team-is-named",
        title="A model names its team",
        why="Its cost is charged to a team",
        fix="set models.NAME.owner",
        severity=Severity.LOW,
        types=frozenset({"delivery:registry:Step"}),
        check=lambda case: (),
    ),
)
"""
PAGE = Path(__file__).resolve().parents[2] / "docs" / "compliance.md"


def test_the_page_is_made_from_the_rules_as_they_are() -> None:
    assert PAGE.read_text() == page(), "run: python -m policy.compliance > docs/compliance.md"


def test_every_rule_is_on_the_page_once_with_its_fix() -> None:
    text = page()
    for rule in RULES.values():
        assert text.count(f"\n### {rule.id}\n") == 1 and f"- Fix: {rule.fix}." in text


def test_every_reference_is_to_an_edition_that_is_named() -> None:
    assert {reference.framework for rule in RULES.values() for reference in rule.references} == set(EDITIONS)


def test_the_page_of_a_checkout_has_its_own_rules_and_the_levels_in_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ours.py").write_text(OWN)
    monkeypatch.setattr(compliance, "every", lambda: {**RULES, **own.load(RULES, tmp_path)})
    text = compliance.yours()
    assert "## Your own rules\n\n### team-is-named\n" in text
    assert "- Severity: low. Enforced: dev advisory, gcp mandatory, local advisory, prod mandatory." in text
    assert "team-is-named" not in page() and "Enforced:" not in page()
