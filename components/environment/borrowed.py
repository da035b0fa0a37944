"""A platform that another stack owns: this one declares only models on it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from components.environment.section import Section
from components.environment.values import Runtime

KEYS: Final = ("keda", "stack")


@dataclass(frozen=True, slots=True, kw_only=True)
class BorrowedPlatform:
    """The cluster of another stack, found by what that stack exports."""

    runtimes: ClassVar[tuple[Runtime, ...]] = ("kubernetes",)
    gpus: ClassVar[bool] = True
    """Whether it has GPU nodes, its own stack knows: a plan asks it, the file can't be judged by it."""
    uses_gpus: ClassVar[bool] = True
    """Likewise."""
    has_prometheus: ClassVar[bool] = True
    """Likewise."""

    kind: Literal["borrowed"] = "borrowed"
    stack: str
    """`organization/project/stack`."""
    keda: Literal["existing", "none"] = "none"
    """Whether the models of this stack are scaled by the owner's KEDA, which a plan checks that it has."""

    @property
    def has_keda(self) -> bool:
        """Whether KEDA scales its models."""
        return self.keda != "none"


def parse_borrowed(section: Section) -> BorrowedPlatform | None:
    """Understand a platform with the key `stack`; None if that is wrong."""
    stack = section.matching(
        "stack",
        re.compile(r"[-\w.]+/[-\w.]+/[-\w.]+", re.ASCII),
        "must be organization/project/stack, such as acme/model-delivery/prod",
    )
    keda = section.choice("keda", ("existing", "none"))
    return BorrowedPlatform(stack=stack, keda=keda or "none") if stack else None
