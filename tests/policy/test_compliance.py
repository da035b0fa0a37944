"""docs/compliance.md says what the rules say."""

from __future__ import annotations

from pathlib import Path

from policy.compliance import page
from policy.references import EDITIONS
from policy.rules import RULES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "compliance.md"


def test_the_page_is_made_from_the_rules_as_they_are() -> None:
    assert PAGE.read_text() == page(), "run: python -m policy.compliance > docs/compliance.md"


def test_every_rule_is_on_the_page_once_with_its_fix() -> None:
    text = page()
    for rule in RULES.values():
        assert text.count(f"\n### {rule.id}\n") == 1 and f"- Fix: {rule.fix}." in text


def test_every_reference_is_to_an_edition_that_is_named() -> None:
    assert {reference.framework for rule in RULES.values() for reference in rule.references} == set(EDITIONS)
