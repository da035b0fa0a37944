"""The frameworks that rules refer to, each with its version, date and source.

A reference says that a rule helps with a demand, no more.
"""

from __future__ import annotations

from typing import Final

from policy import ai_act
from policy.rule import Framework, Reference

EU_AI_ACT: Final = Framework(
    name="EU AI Act",
    title="Regulation (EU) 2024/1689 of 13 June 2024, amended by Regulation (EU) 2026/1744 of 8 July 2026; "
    "most of its articles named here bind high-risk systems alone",
    version="consolidated text of 27 July 2026",
    dated="2026-07-27",
    source="https://eur-lex.europa.eu/legal-content/EN/TXT/?uri=CELEX:02024R1689-20260727",
)
CIS_EKS: Final = Framework(
    name="CIS EKS",
    title="CIS Amazon Elastic Kubernetes Service (EKS) Benchmark; later versions have other numbers",
    version="1.5.0",
    dated="2024",
    source="https://www.cisecurity.org/benchmark/kubernetes",
)
CIS_AWS: Final = Framework(
    name="CIS AWS",
    title="CIS Amazon Web Services Foundations Benchmark; later versions have other numbers",
    version="3.0.0",
    dated="2024-01-31",
    source="https://www.cisecurity.org/benchmark/amazon_web_services",
)
NIST: Final = Framework(
    name="NIST AI RMF",
    title="NIST AI 100-1, Artificial Intelligence Risk Management Framework, subcategories of its core",
    version="1.0",
    dated="2023-01-26",
    source="https://doi.org/10.6028/NIST.AI.100-1",
)
SOC2: Final = Framework(
    name="SOC 2",
    title="AICPA TSP section 100, Trust Services Criteria: common criteria, and availability",
    version="2017",
    dated="2017",
    source="https://www.aicpa-cima.com/resources/download/"
    "2017-trust-services-criteria-with-revised-points-of-focus-2022",
)

FRAMEWORKS: Final = (EU_AI_ACT, CIS_EKS, CIS_AWS, NIST, SOC2)
"""In the order in which documents have them."""


def eu(clause: str) -> Reference:
    """An article of the AI Act, with the dates from which it applies."""
    return Reference(EU_AI_ACT, clause, ai_act.application(clause))


def cis_eks(clause: str) -> Reference:
    """A recommendation for clusters on EKS."""
    return Reference(CIS_EKS, clause)


def cis_aws(clause: str) -> Reference:
    """A recommendation for an AWS account."""
    return Reference(CIS_AWS, clause)


def nist(clause: str) -> Reference:
    """A subcategory of the framework's core."""
    return Reference(NIST, clause)


def soc2(clause: str) -> Reference:
    """A trust services criterion."""
    return Reference(SOC2, clause)
