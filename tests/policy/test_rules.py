"""Every rule: it passes the compliant stack, and finds the one property that is broken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from policy.rule import Resource
from policy.rules import GROUPS, RULES
from policy.testkit import Violation, changed, evaluate, resource, undecided
from tests.policy import broken
from tests.policy.compliant import COMPLIANT, NOW, SETTINGS


def found(resources: Sequence[Resource]) -> list[Violation]:
    return evaluate(RULES.values(), resources, settings=SETTINGS, now=NOW)


def with_change(name: str, path: str, value: Any) -> list[Resource]:
    """The compliant stack with one property of one resource changed; the name is the end of its id."""
    named = [one for one in COMPLIANT if one.id.endswith(name)]
    assert len(named) == 1, f"{name} names {[one.id for one in named]}"
    one = named[0]
    for key, new in value.items() if path == "*" else ((path, value),):
        one = changed(one, key, new)
    return [one if other is named[0] else other for other in COMPLIANT]


def test_every_rule_holds_in_the_compliant_stack() -> None:
    assert found(COMPLIANT) == []
    assert undecided(RULES.values(), COMPLIANT, settings=SETTINGS, now=NOW) == []


@pytest.mark.parametrize(("rule", "name", "path", "value", "words"), broken.ALL)
def test_a_broken_property_is_found(rule: str, name: str, path: str, value: Any, words: str) -> None:
    violations = found(with_change(name, path, value))
    assert {v.rule for v in violations} == {rule}, violations
    first = violations[0].message.splitlines()[0]
    assert any(words in v.message.splitlines()[0] for v in violations), first


def test_every_rule_has_its_broken_property() -> None:
    assert {one[0] for one in broken.ALL} == set(RULES)


def test_every_rule_says_why_how_to_mend_it_and_where_it_comes_from() -> None:
    rules = [rule for group in GROUPS.values() for rule in group]
    assert len(rules) == len(RULES), "an id stands twice"
    for rule in rules:
        assert rule.why.endswith(".") and rule.fix and not rule.fix.endswith("."), rule.id
        assert rule.title and not rule.title.endswith("."), rule.id
        assert rule.references or rule.id == "gpu-ceiling" or rule.id == "monthly-cost", rule.id


def test_a_violation_reads_from_what_is_wrong_to_the_rule() -> None:
    (violation,) = found(with_change("Step::fraud", "canary.weight", 90))
    assert violation.message.splitlines() == [
        "fraud: v4 starts at 90 %, it may start at 20 %: v3 100 % → v3 10 %, v4 90 %",
        "Why: What a version does wrong shows first under real requests: a small share at first, so that few "
        "callers see it, and a step that can be watched before the next one.",
        "Fix: set canary.weight to 20 or less",
        "Rule: canary-step (high; NIST AI RMF MANAGE 2.4; SOC 2 CC8.1)",
    ]


@pytest.mark.parametrize("rule", sorted(RULES))
def test_properties_of_another_shape_are_refused_or_undecided_and_never_an_exception(rule: str) -> None:
    """A rule that raises is a failed rule: whatever comes, there is a verdict."""
    for kind in sorted(RULES[rule].types):
        for strange in ({"spec": 1, "policy": "{", "rules": 3.0}, {"was": 1, "stable": 1, "canary": 1}, {}):
            one = resource(kind, "x", **strange)
            evaluate([RULES[rule]], [one], settings=SETTINGS, now=NOW)
