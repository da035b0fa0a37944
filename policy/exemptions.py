"""``exemptions.yaml``: which resource is let through which rule, why, on whose word and until when."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

from components.environment import ConfigError, Problem
from components.environment.section import Section, open_section
from components.environment.stack_file import document
from policy.enforcement import line_of
from policy.rule import Finding, Rule, line, text

FILE: Final = Path(__file__).with_name("exemptions.yaml")
_KEYS: Final = ("rule", "resource", "environment", "reason", "owner", "until")
_EXAMPLE: Final = (
    "{rule: canary-step, resource: 'delivery:registry:Step::fraud', environment: prod, "
    "reason: …, owner: …, until: 2026-12-31}"
)
_RESOURCE: Final = re.compile(r"[^\s:*?]+:[^\s*?]*[^\s:*?]::[^\s*?]+")
_MOVED: Final = ("delivery:registry:Rollout::", "delivery:registry:Step::")
"""What was judged until version 0.1 and what is since, under the same names."""
_STACK: Final = re.compile(r"[\w.-]+")
_LONGEST: Final = timedelta(days=366)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exemption:
    """One resource that one rule lets through in one environment, up to and including the day ``until``."""

    name: str
    rule: str
    resource: str
    """``TYPE::NAME``, as the rule's message calls it."""
    environment: str
    reason: str
    owner: str
    until: date

    def holds(self, now: datetime) -> bool:
        """Whether it is still in force; days are UTC's."""
        return now.astimezone(UTC).date() <= self.until


@dataclass(frozen=True, slots=True, kw_only=True)
class Exemptions:
    """All exemptions of the file, those that are past their date included."""

    every: tuple[Exemption, ...] = ()

    def of(self, stack: str, rule: str, *resources: str) -> Exemption | None:
        """The exemption for a rule and one of some resources in a stack: the one that holds longest."""
        environment = stack.rpartition("/")[2]
        found = [
            e
            for e in self.every
            if (e.environment, e.rule) == (environment, rule) and e.resource in resources
        ]
        return max(found, key=lambda exemption: exemption.until, default=None)

    def in_stack(self, stack: str) -> tuple[Exemption, ...]:
        """Those for a stack."""
        return tuple(e for e in self.every if e.environment == stack.rpartition("/")[2])


def read(rules: Collection[str], now: datetime, path: Path | None = None) -> Exemptions:
    """Read the file, ``FILE`` by default; ``rules`` are the ids there are.

    Raises ConfigError with every mistake and its line.
    """
    path = path or FILE
    found = document(path)
    problems: list[Problem] = []
    exemptions: list[Exemption] = []
    top = open_section({} if found.value is None else found.value, (), problems, "{exemptions: {…}}")
    if top:
        top.only(("exemptions",))
        value = top.values.get("exemptions")
        section = open_section(
            {} if value is None else value, ("exemptions",), problems, f"{{a-name: {_EXAMPLE}}}"
        )
        for name in section.values if section else ():
            part = section.section(name, accepted=_KEYS, example=_EXAMPLE) if section else None
            one = _exemption(name, part, rules, now) if part else None
            exemptions.extend([one] if one else [])
    if problems:
        raise ConfigError([replace(p, line=line_of(p, found.lines)) for p in problems], f"policy/{path.name}")
    return Exemptions(every=tuple(exemptions))


def _exemption(name: str, part: Section, rules: Collection[str], now: datetime) -> Exemption | None:
    part.require("rule", "the id of the rule: docs/compliance.md has them")
    part.require("resource", "TYPE::NAME as the rule's message has it")
    part.require("environment", "the stack it is for, such as prod")
    part.require("reason", "why this one may")
    part.require("owner", "who answers for it")
    part.require("until", "the last day it holds, such as 2026-12-31")
    environment = part.matching(
        "environment", _STACK, "must be the name of one stack, such as prod; no wildcards"
    )
    resource = part.matching(
        "resource",
        _RESOURCE,
        "must be one resource, TYPE::NAME as the rule's message has it; wildcards are refused",
    )
    rule = part.choice("rule", sorted(rules))
    reason, owner, until = part.line("reason", 500), part.line("owner", 100), _day(part, now)
    if rule and resource and environment and reason and owner and until:
        return Exemption(
            name=name,
            rule=rule,
            resource=current(resource),
            environment=environment,
            reason=reason,
            owner=owner,
            until=until,
        )
    return None


def _day(part: Section, now: datetime) -> date | None:
    value = part.values.get("until")
    if value is None:
        return None
    try:
        day = date.fromisoformat(value) if isinstance(value, str) and len(value) == 10 else None
    except ValueError:
        day = None
    if day is None:
        part.problem("until", "must be a day such as 2026-12-31")
    elif day > (now.astimezone(UTC) + _LONGEST).date():
        part.problem("until", f"must be within {_LONGEST.days} days: an exemption is looked at once a year")
        return None
    return day


def current(resource: str) -> str:
    """What a resource that an exemption names is called today."""
    return resource.replace(*_MOVED)


def told(
    rule: Rule,
    finding: Finding,
    exemption: Exemption | None,
    now: datetime,
    *,
    brief: bool = False,
    remark: str = "",
) -> tuple[str, bool]:
    """What a reader is told of a finding, by the exemption of its rule and resource if there is one; and
    whether that lets it through. ``brief``: in one line, for what stops nothing. ``remark``: what there is to
    say of its level."""
    if exemption is None and brief:
        return f"{line(finding)}{f' ({remark})' if remark else ''}", False
    today = now.astimezone(UTC).date()
    if exemption is None:
        return text(rule, finding, today, remark), False
    if exemption.holds(now):
        return _let_through(rule, finding, exemption), True
    return text(rule, finding, today, " ".join(filter(None, (ended(exemption), remark)))), False


def _let_through(rule: Rule, finding: Finding, exemption: Exemption) -> str:
    return "\n".join(
        (
            " ".join(finding.message.split()),
            f"It is let through until {exemption.until} by the exemption {exemption.name} (owner "
            f"{exemption.owner}: {exemption.reason}).",
            f"Fix: {finding.fix or rule.fix}",
            f"Rule: {rule.id} ({rule.severity})",
        )
    )


def ended(exemption: Exemption) -> str:
    """What a reader is told of an exemption that is past its date."""
    return (
        f"The exemption {exemption.name} for this ended on {exemption.until} (owner {exemption.owner}: "
        f"{exemption.reason}), so the rule holds again."
    )
