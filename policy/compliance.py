"""docs/compliance.md, made from the rules: `python -m policy.compliance > docs/compliance.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from policy import enforcement
from policy.references import EDITIONS
from policy.rule import Rule
from policy.rules import GROUPS, IDS, RULES

_INTRODUCTION = """\
# Compliance

<!-- Made by `python -m policy.compliance > docs/compliance.md`: change policy/rules, not this page. -->

The {count} rules that every preview and update is judged by, with what each asks for, why, and how to mend
what it finds. How they are enforced, and how one is exempted, is in [policy.md](policy.md).

A reference says that a rule helps with what a framework asks for. No rule, and not all of them together, make
a system compliant: most of each framework is about what people do.
"""


def page() -> str:
    """The whole page."""
    return (
        "\n".join([_INTRODUCTION.format(count=len(RULES)), *_editions(), *_by_framework(), *_groups()]) + "\n"
    )


def _editions() -> Iterator[str]:
    yield "| framework | edition |\n|---|---|"
    for name, edition in EDITIONS.items():
        yield f"| {name} | {edition} |"
    yield ""


def _groups() -> Iterator[str]:
    environments = enforcement.read(IDS)
    for group, rules in GROUPS.items():
        yield f"## {group}\n"
        for rule in rules:
            levels = ", ".join(
                f"{name} {environments.of(name).of(rule.id)}" for name in sorted(environments.named)
            )
            yield from _rule(rule, levels)


def _rule(rule: Rule, levels: str) -> Iterator[str]:
    yield f"### {rule.id}\n"
    yield f"{rule.title}. {rule.why}\n"
    yield f"- Fix: {rule.fix}."
    yield f"- Severity: {rule.severity}. Enforced: {levels}."
    if rule.references:
        yield f"- Helps with: {'; '.join(map(str, rule.references))}."
    judged = ", ".join(f"`{kind}`" for kind in sorted(rule.types))
    yield f"- Judges: {judged}{', with what else the stack declares' if rule.whole_stack else ''}."
    if rule.strict:
        yield "- A value that a preview doesn't know is refused."
    yield ""


def _by_framework() -> Iterator[str]:
    yield "## By framework\n"
    for framework in EDITIONS:
        yield f"**{framework}**\n"
        clauses: dict[str, list[str]] = {}
        for rule in RULES.values():
            for reference in rule.references:
                if reference.framework == framework:
                    clauses.setdefault(reference.clause, []).append(rule.id)
        for clause in sorted(clauses, key=_numbers):
            rules = ", ".join(f"[{rule}](#{rule})" for rule in clauses[clause])
            yield f"- {clause}: {rules}"
        yield ""


def _numbers(clause: str) -> list[tuple[int, str]]:
    """Sorts 4.2.10 after 4.2.9."""
    words = clause.replace("(", ".").replace(" ", ".").split(".")
    return [(int(word), "") if word.isdigit() else (0, word) for word in words]


if __name__ == "__main__":
    sys.stdout.write(page())
