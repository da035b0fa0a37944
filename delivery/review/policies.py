"""What the policy pack says, taken apart into what, why and how to fix it. Pure.

A rule's message is a line that says what is wrong and where, then `Why: …`, `Fix: …` and `Rule: …`. The
engine puts the policy's description before it. A message of another shape is shown as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

from delivery.review.events import PolicyResult, short
from policy.rule import signature
from policy.rules import RULES

EXEMPTIONS = "exemptions"
"""The policy that tells what exemptions let through, and what a change under review would loosen."""
NAME = "model-delivery"
"""The project's own pack."""

_LABEL = re.compile(r"^(Why|Fix|Rule): *(.*)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One rule that doesn't hold."""

    rule: str
    pack: str
    mandatory: bool
    what: str
    why: str
    fix: str
    reference: str
    """Severity and frameworks, as the rule names them."""
    resource: str
    """``type::name``; empty for the whole stack."""


def violations(results: Iterable[PolicyResult], today: date) -> tuple[Violation, ...]:
    """The violations, mandatory ones first, each once; what is law is said as of ``today``."""
    found = dict.fromkeys(_read(result, today) for result in results)
    return tuple(sorted(found, key=lambda v: (not v.mandatory, v.rule, v.resource, v.what)))


def advice(found: Iterable[Violation]) -> Iterator[tuple[str, str]]:
    """What stops nothing, a line for each rule and model: the rule, and what it finds."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for each in found:
        model = re.sub(r"-v\d+$", "", each.resource)
        grouped.setdefault((each.rule, model), []).append(each.what.removeprefix(f"{each.resource}: "))
    for (rule, _), words in grouped.items():
        yield rule, "; ".join(words)


def _read(result: PolicyResult, today: date) -> Violation:
    parts = {"": list[str](), "Why": list[str](), "Fix": list[str](), "Rule": list[str]()}
    label = ""
    for line in result.message.strip().splitlines():
        if match := _LABEL.match(line):
            label = match[1]
            line = match[2]
        parts[label].append(line.strip())
    # The first line is the policy's description, where there is more than that line.
    what = parts[""][1:] or parts[""]
    rule = RULES.get(result.policy) if result.pack == NAME else None
    if rule and not parts["Rule"]:
        # The pack says in one line what stops nothing; the rest is the rule's.
        parts |= {"Why": [rule.why], "Fix": [rule.fix], "Rule": [signature(rule, today)]}
    return Violation(
        rule=result.policy,
        pack=result.pack,
        # A remediation that couldn't remedy stops as well.
        mandatory=result.level in ("mandatory", "remediate"),
        what=" ".join(what),
        why=" ".join(parts["Why"]),
        fix=" ".join(parts["Fix"]),
        reference=" ".join(parts["Rule"]).removeprefix(f"{result.policy} (").removesuffix(")"),
        resource=short(result.urn) if result.urn else "",
    )
