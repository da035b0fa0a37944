"""All rules that this project ships, by the group they belong to; ``every`` adds those in ``policy/own``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Final

from policy import own
from policy.rule import Rule
from policy.rules import (
    aws_access,
    aws_cluster,
    aws_data,
    callers,
    candidates,
    ceilings,
    gcp,
    gcp_access,
    high_risk,
    kubernetes,
    pods,
    readiness,
    releases,
    servable,
    steps,
)

GROUPS: Final[Mapping[str, tuple[Rule, ...]]] = {
    "Traceability": releases.RULES,
    "High-risk models": high_risk.RULES,
    "Release safety": (
        *steps.RULES,
        *candidates.RULES,
        *servable.RULES,
        *readiness.RULES,
    ),
    "Pods": pods.RULES,
    "Kubernetes": (*kubernetes.RULES, *callers.RULES),
    "Data on AWS": aws_data.RULES,
    "Access on AWS": aws_access.RULES,
    "Clusters and images on AWS": aws_cluster.RULES,
    "Google Cloud": (*gcp.RULES, *gcp_access.RULES),
    "Ceilings": ceilings.RULES,
}
"""The rules by group, in the order in which documents have them."""

RULES: Final[Mapping[str, Rule]] = {rule.id: rule for rules in GROUPS.values() for rule in rules}
"""Every rule that is shipped, by its id."""


@cache
def every() -> Mapping[str, Rule]:
    """Return the shipped rules and those in ``policy/own``, by id. Raises ConfigError for mistakes there."""
    return {**RULES, **own.load(RULES)}
