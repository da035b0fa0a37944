"""Every kind of platform: which keys each has, and which function understands them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from components.environment import aws_parsing, azure, borrowed, gcp_parsing, kubernetes, local
from components.environment.aws import AwsPlatform
from components.environment.azure import AzurePlatform
from components.environment.borrowed import BorrowedPlatform
from components.environment.gcp import GcpPlatform
from components.environment.kubernetes import KubernetesPlatform
from components.environment.local import LocalPlatform
from components.environment.problems import Problem, nearest
from components.environment.section import Section, open_section
from components.environment.values import Model

Platform = LocalPlatform | KubernetesPlatform | AwsPlatform | GcpPlatform | AzurePlatform | BorrowedPlatform
"""Every kind of platform that this version supports.

Each has `kind`; `runtimes`, those that it offers, its default first; `gpus`, whether its nodes have GPUs; and
`uses_gpus`, whether its image of the model server runs models on one.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """All that a Pulumi.<stack>.yaml says: one platform and the models on it, sorted by name."""

    platform: Platform
    models: tuple[Model, ...] = ()


_KINDS: Final[Mapping[str, tuple[tuple[str, ...], Callable[[Section], Platform | None]]]] = {
    "local": (local.KEYS, local.parse_local),
    "kubernetes": (kubernetes.KEYS, kubernetes.parse_kubernetes),
    "aws": (aws_parsing.KEYS, aws_parsing.parse_aws),
    "gcp": (gcp_parsing.KEYS, gcp_parsing.parse_gcp),
    "azure": (azure.KEYS, azure.parse_azure),
}


def parse_platform(value: object, problems: list[Problem]) -> Platform | None:
    """Understand the value of `platform`; None where a problem leaves no platform to judge models by."""
    if value is None:
        message = "required, a map such as {kind: local}"
        problems.append(Problem(path="platform", message=message))
        return None
    section = open_section(value, ("platform",), problems, "{kind: local}")
    if section is None:
        return None
    if "stack" in section.values:
        section.only(borrowed.KEYS)
        return borrowed.parse_borrowed(section)
    kind = section.choice("kind", tuple(_KINDS))
    if kind is None:
        _require_kind(section)
        return None  # the other keys can't be judged
    keys, understand = _KINDS[kind]
    section.only(keys)
    return understand(section)


def _require_kind(section: Section) -> None:
    """Note that there is no kind, or the key that probably is one."""
    if "kind" in section.values:
        return
    misspelt = [key for key in section.values if nearest(key, ("kind",))]
    for key in misspelt:
        section.problem(key, "unknown key; accepted: kind", "Did you mean kind?")
    if not misspelt:
        section.require("kind", "one of: " + ", ".join(_KINDS))
