"""The frameworks that rules refer to. A reference says that a rule helps with a demand, no more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from policy.rule import Reference

_EU = "EU AI Act"
_CIS_EKS = "CIS EKS"
_CIS_AWS = "CIS AWS"
_NIST = "NIST AI RMF"
_SOC2 = "SOC 2"

EDITIONS: Final[Mapping[str, str]] = {
    _EU: "Regulation (EU) 2024/1689; most of its articles named here bind high-risk systems alone",
    _CIS_EKS: "CIS Amazon Elastic Kubernetes Service Benchmark, version 1.5.0",
    _CIS_AWS: "CIS Amazon Web Services Foundations Benchmark, version 3.0.0",
    _NIST: "NIST AI 100-1, AI Risk Management Framework 1.0, subcategories of its core",
    _SOC2: "AICPA Trust Services Criteria (2017): common criteria, and availability",
}
"""The edition of each framework whose numbers the references are."""


def eu(clause: str) -> Reference:
    """An article of the AI Act."""
    return Reference(_EU, clause)


def cis_eks(clause: str) -> Reference:
    """A recommendation for clusters on EKS."""
    return Reference(_CIS_EKS, clause)


def cis_aws(clause: str) -> Reference:
    """A recommendation for an AWS account."""
    return Reference(_CIS_AWS, clause)


def nist(clause: str) -> Reference:
    """A subcategory of the framework's core."""
    return Reference(_NIST, clause)


def soc2(clause: str) -> Reference:
    """A trust services criterion."""
    return Reference(_SOC2, clause)
