"""docs/compliance.md, made from the shipped rules: `python -m policy.compliance > docs/compliance.md`.

    python -m policy.compliance --yours

prints the page of this checkout, for an auditor: with the rules in ``policy/own``, and with the level that
``policy/enforcement.yaml`` gives each rule in each environment.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime

from components.environment import ConfigError
from policy import ai_act, enforcement, in_force
from policy.enforcement import Environments
from policy.references import FRAMEWORKS
from policy.rule import Reference, Rule, day, demands
from policy.rules import GROUPS, RULES, every

_INTRODUCTION = """\
# Compliance

<!-- Made by `python -m policy.compliance > docs/compliance.md`: change policy/rules, not this page. -->

The {count} rules that every preview and update is judged by, with what each asks for, why, and how to mend
what it finds. How they are enforced, and how one is exempted, is in [policy.md](policy.md).

A reference says that a rule helps with what a framework asks for. No rule, and not all of them together, make
a system compliant: most of each framework is about what people do.
"""
_LAW = """\
## What is law, and from when

As of {on}. High-risk systems are bound later than the Act said at first: Regulation (EU) 2026/1744, the
"Digital Omnibus on AI" of 8 July 2026, moved the dates. No rule is laxer for that. Each has the level that
`policy/enforcement.yaml` gives it, and `euAiAct` there can only make it
[stricter](policy.md#what-is-law-and-what-will-be). How sure the dates are is said under
[references](policy.md#references).

| from | what applies | provision | |
|---|---|---|---|
"""


def page() -> str:
    """Return the page of the shipped rules, as of the day on which the dates of the law were last checked."""
    return _page(GROUPS, None, ai_act.CHECKED)


def yours(today: date | None = None) -> str:
    """Return the page of this checkout on a day: own rules too, each with its level in each environment.

    Raises ConfigError for mistakes in ``policy/own`` or ``policy/enforcement.yaml``.
    """
    today = today or datetime.now(UTC).date()
    own = tuple(rule for rule in every().values() if rule.id not in RULES)
    groups = {**GROUPS, "Your own rules": own} if own else GROUPS
    return _page(groups, enforcement.read(every()), today)


def _page(groups: Mapping[str, tuple[Rule, ...]], environments: Environments | None, on: date) -> str:
    rules = [rule for group in groups.values() for rule in group]
    parts = [*_frameworks(), *_law(on), *_by_framework(rules, on), *_groups(groups, environments, on)]
    return "\n".join([_INTRODUCTION.format(count=len(rules)), *parts]) + "\n"


def _frameworks() -> Iterator[str]:
    yield "| framework | version | dated | what it is |\n|---|---|---|---|"
    for each in FRAMEWORKS:
        yield f"| [{each.name}]({each.source}) | {each.version} | {each.dated} | {each.title} |"
    yield ""


def _law(on: date) -> Iterator[str]:
    yield _LAW.format(on=day(on)).rstrip("\n")
    for each in ai_act.MILESTONES:
        state = "law" if on >= each.since else "not yet"
        yield f"| {day(each.since)} | {each.what} | [{each.basis}]({each.source}) | {state} |"
    yield ""


def _groups(
    groups: Mapping[str, tuple[Rule, ...]], environments: Environments | None, on: date
) -> Iterator[str]:
    for group, rules in groups.items():
        yield f"## {group}\n"
        for rule in rules:
            yield from _rule(rule, _levels(rule, environments, on) if environments else "", on)


def _levels(rule: Rule, environments: Environments, on: date) -> str:
    levels: list[str] = []
    for name in sorted(environments.named):
        held = in_force.as_of(environments.of(name), {rule.id: rule}, on)
        note = in_force.remark(rule, held, on).rstrip(".")
        levels.append(f"{name} {held.of(rule.id)}{f' ({note})' if note else ''}")
    return ", ".join(levels)


def _rule(rule: Rule, levels: str, on: date) -> Iterator[str]:
    yield f"### {rule.id}\n"
    yield f"{rule.title}. {rule.why}\n"
    yield f"- Fix: {rule.fix}."
    yield f"- Severity: {rule.severity}.{f' Enforced: {levels}.' if levels else ''}"
    if rule.references:
        yield f"- Helps with: {'; '.join(demands(rule, on))}."
    judged = ", ".join(f"`{kind}`" for kind in sorted(rule.types))
    beside = [f"`{kind}`" for kind in sorted(rule.beside)]
    others = ["what else the stack declares"] if rule.whole_stack else beside
    yield f"- Judges: {judged}{', with ' if others else ''}{', '.join(others)}."
    if rule.strict:
        yield "- A value that a preview doesn't know is refused."
    yield ""


def _by_framework(rules: list[Rule], on: date) -> Iterator[str]:
    yield "## By framework\n"
    for framework in FRAMEWORKS:
        yield f"**{framework.name}**\n"
        clauses: dict[Reference, list[str]] = {}
        for rule in rules:
            for reference in rule.references:
                if reference.framework == framework:
                    clauses.setdefault(reference, []).append(rule.id)
        dated = dict.fromkeys(reference.applies for reference in clauses if reference.applies)
        if dated:
            yield f"For high-risk systems {' and '.join(dict.fromkeys(one.words(on) for one in dated))}.\n"
        for reference in sorted(clauses, key=lambda one: _numbers(one.clause)):
            links = ", ".join(f"[{rule}](#{rule})" for rule in clauses[reference])
            yield f"- {reference.clause}: {links}"
        yield ""
        for applies in dated:
            clauses_of = ", ".join(sorted({r.clause for r in clauses if r.applies == applies}, key=_numbers))
            reading = f" {applies.reading}" if applies.reading else ""
            yield f"{clauses_of}: [{applies.basis}]({applies.source}).{reading}\n"


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
