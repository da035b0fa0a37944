"""The demands of frameworks that rules refer to, each in one place with what it asks for."""

from __future__ import annotations

from policy.rule import Reference


def eu(clause: str) -> Reference:
    """Regulation (EU) 2024/1689, the AI Act."""
    return Reference("EU AI Act", clause)


def cis_eks(clause: str) -> Reference:
    """CIS Amazon Elastic Kubernetes Service Benchmark."""
    return Reference("CIS EKS", clause)


def cis_aws(clause: str) -> Reference:
    """CIS Amazon Web Services Foundations Benchmark."""
    return Reference("CIS AWS", clause)


def nist(clause: str) -> Reference:
    """NIST AI Risk Management Framework 1.0 (NIST AI 100-1), a subcategory of its core."""
    return Reference("NIST AI RMF", clause)


def soc2(clause: str) -> Reference:
    """AICPA Trust Services Criteria 2017, a common criterion."""
    return Reference("SOC 2", clause)
