"""What the policy says of a step before it is written: the pack's own rules, levels, exemptions and words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from delivery.past import Past
from policy import enforcement, exemptions, in_force, rules
from policy.enforcement import Enforcement
from policy.exemptions import told
from policy.rule import Case, Resource, judge
from policy.rules import candidates, high_risk, releases, servable, steps
from policy.rules.releases import RELEASE, STEP
from policy.steps import Step

# What a step and its releases answer by themselves. Other rules ask for more of the stack than a step can
# change.
_RULES = (
    *steps.RULES,
    *candidates.RULES,
    *releases.RULES,
    *servable.RULES,
    *(rule for rule in high_risk.RULES if rule.types <= {RELEASE}),
)

# What people add to a version after it was pinned, as an approval, the state learns at the next update.
_OF_PEOPLE = (*releases.RULES, *high_risk.RULES)
_LATER = frozenset(rule.id for rule in _OF_PEOPLE if rule.types <= {RELEASE})
_AS_OF = "as of the last update; the preview asks the registry again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Objection:
    """A rule that a step breaks."""

    rule: str
    """The rule's id."""
    stops: bool
    """Whether the rule is mandatory in this stack; else it only warns."""
    text: str
    """What the pack says: the finding, why, the fix, the rule; of one that only warns, the finding."""


def held_to(stack: str, now: datetime) -> Enforcement:
    """What holds in a stack at a time, by what is law then.

    Raises ConfigError for mistakes in policy/enforcement.yaml.
    """
    every = rules.every()
    return in_force.as_of(enforcement.read(every).of(stack), every, now.astimezone(UTC).date())


def objections(
    stack: str,
    model: str,
    before: Past,
    after: Step,
    now: datetime,
    registered_model: str | None = None,
) -> list[Objection]:
    """What a preview of this step, of versions of ``registered_model`` (None: the model's own name), would be
    told by the rules on steps, and by those on the releases that the stack has pinned. What the registry may
    have learnt of a release since then stops nothing here. Raises ConfigError for mistakes in the policy's
    files."""
    holds, exempt = held_to(stack, now), exemptions.read(rules.every(), now)
    planned = Resource(
        type=STEP, name=model, properties=_planned(model, before, after, now, registered_model)
    )
    pinned = [release for release in before.releases if release.value("version") in after.declared]
    every = (planned, *pinned)
    found: list[Objection] = []
    for rule, resource in ((rule, each) for rule in _RULES for each in every if each.type in rule.types):
        exemption = exempt.of(stack, rule.id, resource.id)
        case = Case(resource=resource, settings=holds.settings, now=now, stack=every)
        for finding in judge(rule, case).findings:
            later = rule.id in _LATER
            mandatory = holds.of(rule.id) == "mandatory" and not later
            remark = in_force.remark(rule, holds, now.astimezone(UTC).date())
            message, exempted = told(rule, finding, exemption, now, brief=not mandatory, remark=remark)
            if (
                not (mandatory or exempted)
                and resource.type == RELEASE
                and not _grows(resource, before, after)
            ):
                continue  # advice on what the step doesn't touch
            message = f"{message} ({_AS_OF})" if later else message
            found.append(Objection(rule=rule.id, stops=mandatory and not exempted, text=message))
    return found


def _grows(release: Resource, before: Past, after: Step) -> bool:
    version = int(release.value("version"))
    return before.step is None or after.share(version) > before.step.share(version)


def unjudged(before: Past, after: Step) -> list[int]:
    """The versions of a step that the stack hasn't pinned: what the registry says of them isn't known yet."""
    return sorted(after.declared - {release.value("version") for release in before.releases})


def _planned(
    model: str, before: Past, after: Step, now: datetime, registered_model: str | None
) -> Mapping[str, Any]:
    """The properties that this step would have in a preview, as far as the rules here look."""
    other = before.registered_model != registered_model
    # Versions of another registered model say nothing of this one's.
    properties: dict[str, Any] = {
        "model": model,
        **_step(after, registered_model),
        "since": now.isoformat(),
        "served": [] if other else list(before.served),
    }
    if before.risk_class:
        properties["riskClass"] = before.risk_class
    if before.step is not None and (other or before.step != after):
        properties["was"] = _step(before.step, before.registered_model)
        if before.since:
            properties["was"]["since"] = before.since.isoformat()
        if not other:
            properties["served"] += [v for v in before.step.declared if before.step.share(v)]
    if before.unfinished and before.unfinished not in (before.step, after) and before.step != after:
        properties["unfinished"] = _step(before.unfinished, registered_model)
    return properties


def _step(step: Step, registered_model: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {"stable": {"version": step.stable}}
    if registered_model:
        found["registeredModel"] = registered_model
    if step.canary:
        canary = step.canary
        found["canary"] = {"version": canary.version, "weight": canary.weight, "shadow": canary.shadow}
    return found
