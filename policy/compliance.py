"""docs/compliance.md, made from the shipped rules: `python -m policy.compliance > docs/compliance.md`.

    python -m policy.compliance --yours

prints the page of this checkout, for an auditor: with the rules in ``policy/own``, and with the level that
``policy/enforcement.yaml`` gives each rule in each environment.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping

from components.environment import ConfigError
from policy import enforcement
from policy.enforcement import Environments
from policy.references import EDITIONS
from policy.rule import Rule
from policy.rules import GROUPS, RULES, every

_INTRODUCTION = """\
# Compliance

<!-- Made by `python -m policy.compliance > docs/compliance.md`: change policy/rules, not this page. -->

The {count} rules that every preview and update is judged by, with what each asks for, why, and how to mend
what it finds. How they are enforced, and how one is exempted, is in [policy.md](policy.md).

A reference says that a rule helps with what a framework asks for. No rule, and not all of them together, make
a system compliant: most of each framework is about what people do.
"""


def page() -> str:
    """Return the page of the shipped rules."""
    return _page(GROUPS, None)


def yours() -> str:
    """Return the page of this checkout: own rules too, each with its level in each environment.

    Raises ConfigError for mistakes in ``policy/own`` or ``policy/enforcement.yaml``.
    """
    own = tuple(rule for rule in every().values() if rule.id not in RULES)
    groups = {**GROUPS, "Your own rules": own} if own else GROUPS
    return _page(groups, enforcement.read(every()))


def _page(groups: Mapping[str, tuple[Rule, ...]], environments: Environments | None) -> str:
    rules = [rule for group in groups.values() for rule in group]
    parts = [*_editions(), *_by_framework(rules), *_groups(groups, environments)]
    return "\n".join([_INTRODUCTION.format(count=len(rules)), *parts]) + "\n"


def _editions() -> Iterator[str]:
    yield "| framework | edition |\n|---|---|"
    for name, edition in EDITIONS.items():
        yield f"| {name} | {edition} |"
    yield ""


def _groups(groups: Mapping[str, tuple[Rule, ...]], environments: Environments | None) -> Iterator[str]:
    for group, rules in groups.items():
        yield f"## {group}\n"
        for rule in rules:
            yield from _rule(rule, _levels(rule, environments) if environments else "")


def _levels(rule: Rule, environments: Environments) -> str:
    return ", ".join(f"{name} {environments.of(name).of(rule.id)}" for name in sorted(environments.named))


def _rule(rule: Rule, levels: str) -> Iterator[str]:
    yield f"### {rule.id}\n"
    yield f"{rule.title}. {rule.why}\n"
    yield f"- Fix: {rule.fix}."
    yield f"- Severity: {rule.severity}.{f' Enforced: {levels}.' if levels else ''}"
    if rule.references:
        yield f"- Helps with: {'; '.join(map(str, rule.references))}."
    judged = ", ".join(f"`{kind}`" for kind in sorted(rule.types))
    beside = [f"`{kind}`" for kind in sorted(rule.beside)]
    others = ["what else the stack declares"] if rule.whole_stack else beside
    yield f"- Judges: {judged}{', with ' if others else ''}{', '.join(others)}."
    if rule.strict:
        yield "- A value that a preview doesn't know is refused."
    yield ""


def _by_framework(rules: list[Rule]) -> Iterator[str]:
    yield "## By framework\n"
    for framework in EDITIONS:
        yield f"**{framework}**\n"
        clauses: dict[str, list[str]] = {}
        for rule in rules:
            for reference in rule.references:
                if reference.framework == framework:
                    clauses.setdefault(reference.clause, []).append(rule.id)
        for clause in sorted(clauses, key=_numbers):
            links = ", ".join(f"[{rule}](#{rule})" for rule in clauses[clause])
            yield f"- {clause}: {links}"
        yield ""


def _numbers(clause: str) -> list[tuple[int, str]]:
    """Sorts 4.2.10 after 4.2.9."""
    words = clause.replace("(", ".").replace(" ", ".").split(".")
    return [(int(word), "") if word.isdigit() else (0, word) for word in words]


def main() -> int:
    """Print a page; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m policy.compliance", description="Print the rules.")
    parser.add_argument("--yours", action="store_true", help="with own rules and the levels in force here")
    try:
        sys.stdout.write(yours() if parser.parse_args().yours else page())
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
