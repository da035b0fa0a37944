"""docs/compliance.md says what the rules say."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest

from policy import ai_act, compliance, own
from policy.compliance import page
from policy.references import EU_AI_ACT, FRAMEWORKS
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


def test_every_reference_has_a_version_a_date_and_a_source() -> None:
    references = {reference for rule in RULES.values() for reference in rule.references}
    assert {reference.framework for reference in references} == set(FRAMEWORKS)
    for each in FRAMEWORKS:
        assert each.version and each.source.startswith("https://") and f"| [{each.name}](" in page()
        assert re.fullmatch(r"\d{4}(-\d\d-\d\d)?", each.dated), each
    for reference in references:
        assert (reference.applies is not None) == (reference.framework == EU_AI_ACT), reference
        if reference.applies:
            # Regulation (EU) 2024/1689, Art. 113, as Regulation (EU) 2026/1744, Art. 1(40), has it.
            assert (reference.applies.annex_iii, reference.applies.annex_i) == (
                date(2027, 12, 2),
                date(2028, 8, 2),
            ), reference
            assert reference.applies.basis.startswith("Art. 113") and "/eli/reg/" in reference.applies.source


@pytest.mark.parametrize(
    "clause", ["Art. 50(2)", "Art. 5(1)", "Art. 28(1)", "Art. 6(5)", "Annex III", "12(1)"]
)
def test_an_article_whose_dates_are_not_known_can_not_be_referred_to(clause: str) -> None:
    with pytest.raises(ValueError, match="doesn't say from when it applies"):
        ai_act.application(clause)


def test_the_page_says_what_is_law_on_the_day_of_the_check_and_what_is_not() -> None:
    assert date(2026, 11, 27) == ai_act.CHECKED
    text = page()
    assert f"As of {ai_act.CHECKED.day} November 2026." in text
    states = dict(re.findall(r"^\| (\d+ \w+ \d{4}) \|.*\| ([\w ]+) \|$", text, re.MULTILINE))
    assert states == {
        "2 February 2025": "law",
        "2 August 2025": "law",
        "2 August 2026": "law",
        "2 December 2026": "not yet",
        "2 December 2027": "not yet",
        "2 August 2028": "not yet",
        "2 August 2030": "not yet",
    }
    clauses = "EU AI Act Art. 12(1), Art. 19(1), Art. 26(6)"
    dates = "not law yet, from 2 December 2027, for Annex I from 2 August 2028"
    assert f"- Helps with: {clauses}: {dates}; SOC 2 CC7.2." in text


def test_the_page_of_a_checkout_has_its_own_rules_and_the_levels_in_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ours.py").write_text(OWN)
    monkeypatch.setattr(compliance, "every", lambda: {**RULES, **own.load(RULES, tmp_path)})
    text = compliance.yours(date(2027, 12, 2))
    assert "## Your own rules\n\n### team-is-named\n" in text
    assert "- Severity: low. Enforced: dev advisory, gcp mandatory, local advisory, prod mandatory." in text
    assert "team-is-named" not in page() and "Enforced:" not in page()
    assert "Art. 19(1), Art. 26(6): law since 2 December 2027, for Annex I from 2 August 2028; SOC 2" in text
    assert "prod advisory (EU AI Act Art. 26(5), Art. 72(1): law since 2 December 2027, " in text
