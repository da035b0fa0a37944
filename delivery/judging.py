"""What the policy says of a step before it is written: the pack's own rules, levels, exemptions and words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from delivery.past import Past
from policy import enforcement, exemptions, rules
from policy.enforcement import Enforcement
from policy.exemptions import told
from policy.rule import Case, Resource, judge
from policy.rules import candidates, high_risk, releases, steps
from policy.rules.releases import RELEASE, ROLLOUT
from policy.steps import Step

# What a rollout and its releases answer by themselves. Other rules ask for more of the stack than a step can
# change.
_RULES = (
    *steps.RULES,
    *candidates.RULES,
    *releases.RULES,
    *(rule for rule in high_risk.RULES if rule.types <= {RELEASE}),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Objection:
    """A rule that a step breaks."""

    stops: bool
    """Whether the rule is mandatory in this stack; else it only warns."""
    text: str
    """What the pack says: the finding, why, the fix, the rule."""


def held_to(stack: str) -> Enforcement:
    """What holds in a stack. Raises ConfigError for mistakes in policy/enforcement.yaml."""
    return enforcement.read(rules.every()).of(stack)


def objections(
    stack: str,
    model: str,
    before: Past,
    after: Step,
    now: datetime,
    registered_model: str | None = None,
) -> list[Objection]:
    """What a preview of this step, of versions of ``registered_model`` (None: the model's own name), would be
    told by the rules on steps, and by those on the releases that the stack has pinned. Raises ConfigError for
    mistakes in the policy's files."""
    holds, exempt = held_to(stack), exemptions.read(rules.every(), now)
    rollout = Resource(
        type=ROLLOUT, name=model, properties=_rollout(model, before, after, now, registered_model)
    )
    pinned = [release for release in before.releases if release.value("version") in after.declared]
    every = (rollout, *pinned)
    found: list[Objection] = []
    for rule, resource in ((rule, each) for rule in _RULES for each in every if each.type in rule.types):
        exemption = exempt.of(stack, rule.id, resource.id)
        case = Case(resource=resource, settings=holds.settings, now=now, stack=every)
        for finding in judge(rule, case).findings:
            message, exempted = told(rule, finding, exemption, now)
            stops = not exempted and holds.of(rule.id) == "mandatory"
            found.append(Objection(stops=stops, text=message))
    return found


def unjudged(before: Past, after: Step) -> list[int]:
    """The versions of a step that the stack hasn't pinned: what the registry says of them isn't known yet."""
    return sorted(after.declared - {release.value("version") for release in before.releases})


def _rollout(
    model: str, before: Past, after: Step, now: datetime, registered_model: str | None
) -> Mapping[str, Any]:
    """The properties that the rollout of this step would have in a preview, as far as the rules here look."""
    other = before.registered_model != registered_model
    # Versions of another registered model say nothing of this one's.
    served = [] if other else list(before.served)
    properties = {
        "model": model,
        **_step(after, registered_model),
        "since": now.isoformat(),
        "served": served,
    }
    if before.risk_class:
        properties["riskClass"] = before.risk_class
    if before.step is not None and (other or before.step != after):
        properties["was"] = _step(before.step, before.registered_model)
        if before.since:
            properties["was"]["since"] = before.since.isoformat()
    return properties


def _step(step: Step, registered_model: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {"stable": {"version": step.stable}}
    if registered_model:
        found["registeredModel"] = registered_model
    if step.canary:
        canary = step.canary
        found["canary"] = {"version": canary.version, "weight": canary.weight, "shadow": canary.shadow}
    return found
