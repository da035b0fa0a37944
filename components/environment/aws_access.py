"""Who besides the admins may use an EKS cluster, and for what."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from components.environment.patterns import LABEL, LABEL_RULE
from components.environment.section import Section

May = Literal["view", "edit"]
_MAY: Final[tuple[May, ...]] = ("view", "edit")


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What one IAM role or user may do in the cluster."""

    may: May
    namespaces: tuple[str, ...] = ()
    """Empty: in the whole cluster."""


def parse_access(
    platform: Section, principal: re.Pattern[str], partition: str, admins: tuple[str, ...]
) -> Mapping[str, Access]:
    """Understand the key `access`: a map by the ARNs of principals, which match the pattern ``principal``.

    ``admins`` have an access entry already, and EKS takes one for each principal.
    """
    example = f"arn:{partition}:iam::123456789012:role/preview"
    names = platform.names("access")
    inner = "{may: view, namespaces: [models]}"
    section = platform.section("access", accepted=names, example=f'{{"{example}": {inner}}}')
    found: dict[str, Access] = {}
    if section is None:
        return found
    for name in names:
        right = principal.fullmatch(name) is not None
        if not right:
            section.problem(name, f"must be keyed by the ARN of an IAM role or user such as {example}")
        elif name in admins:
            section.problem(name, "is one of the platform's admins, and may do all of it already")
        entry = section.section(name, accepted=("may", "namespaces"), example=inner)
        if entry is None:
            continue
        entry.require("may", f"one of: {', '.join(_MAY)}")
        may = entry.choice("may", _MAY)
        namespaces = entry.texts(
            "namespaces", LABEL, f"must be a list of different namespaces, each of which {LABEL_RULE}"
        )
        if may == "edit" and not entry.has("namespaces"):
            entry.problem(
                "namespaces", "required with `may: edit`: who may change the whole cluster is an admin"
            )
        elif may and right:
            found[name] = Access(may=may, namespaces=namespaces or ())
    return found
