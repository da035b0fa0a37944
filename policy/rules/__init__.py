"""All rules of the pack, by the group they belong to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from policy.rule import Rule
from policy.rules import (
    aws_access,
    aws_cluster,
    aws_data,
    candidates,
    ceilings,
    gcp,
    gcp_access,
    high_risk,
    kubernetes,
    pods,
    readiness,
    releases,
    steps,
)

GROUPS: Final[Mapping[str, tuple[Rule, ...]]] = {
    "Traceability": releases.RULES,
    "High-risk models": high_risk.RULES,
    "Release safety": (*steps.RULES, *candidates.RULES, *readiness.RULES),
    "Pods": pods.RULES,
    "Kubernetes": kubernetes.RULES,
    "Data on AWS": aws_data.RULES,
    "Access on AWS": aws_access.RULES,
    "Clusters and images on AWS": aws_cluster.RULES,
    "Google Cloud": (*gcp.RULES, *gcp_access.RULES),
    "Ceilings": ceilings.RULES,
}
"""The rules by group, in the order in which documents have them."""

RULES: Final[Mapping[str, Rule]] = {rule.id: rule for rules in GROUPS.values() for rule in rules}
"""Every rule by its id."""

IDS: Final = frozenset(RULES)
