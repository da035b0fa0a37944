"""What a law that isn't in force yet, or has come into force, does to a rule's level. Pure.

Whatever the date, no rule is ever less strict than ``enforcement.yaml`` says. ``euAiAct`` says when the rules
that are about high-risk systems alone become mandatory where they are advisory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date

from policy.enforcement import Enforcement, Level
from policy.rule import Application, Rule, day, demands


def law(rule: Rule) -> Application | None:
    """The dates of what a rule asks; None: it is no law, or not of high-risk systems alone."""
    if not rule.high_risk:
        return None
    found = [reference.applies for reference in rule.references if reference.applies]
    return min(found, key=lambda applies: applies.first, default=None)


def as_of(held: Enforcement, rules: Mapping[str, Rule], on: date) -> Enforcement:
    """What holds on a day: the levels as written, but ``mandatory`` for what ``euAiAct`` makes so."""
    advisory = (rule for rule in rules.values() if held.of(rule.id) == "advisory")
    raised = frozenset(rule.id for rule in advisory if _due(rule, held, on))
    levels: dict[str, Level] = {**held.rules, **dict.fromkeys(raised, "mandatory")}
    return replace(held, rules=levels, raised=raised)


def _due(rule: Rule, held: Enforcement, on: date) -> bool:
    applies = law(rule)
    return applies is not None and (held.act == "ahead" or (held.act == "on-date" and applies.binds(on)))


def remark(rule: Rule, held: Enforcement, on: date) -> str:
    """What there is to say of a rule's level on a day, by what holds on it; empty: the rule says it all."""
    applies = law(rule)
    if applies is None:
        return ""
    first = day(applies.first)
    if rule.id in held.raised:
        by = f"Mandatory here by euAiAct: {held.act} (policy/enforcement.yaml)"
        return f"{by}: law since {first}." if applies.binds(on) else f"{by}, ahead of the law: from {first}."
    if held.of(rule.id) == "mandatory":
        return ""
    asked = next(demand for demand in demands(rule, on) if applies.words(on) in demand)
    if applies.binds(on):
        return f"{asked}; only advisory here"
    # Advice is a line: the other date, which comes later still, is left to --verbose.
    early = asked.replace(applies.words(on), f"not law before {first}")
    return f"{early}{', mandatory here from then' if held.act == 'on-date' else ''}"
