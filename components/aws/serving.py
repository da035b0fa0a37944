"""What a model's servers on Lambda and SageMaker run, and where they take it from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components.aws.artifacts import Artifacts
from components.environment import Flavor

_TAG = re.compile(r":[^:@/]+(?=@)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """The same for every endpoint of a platform that isn't in its cluster."""

    image: pulumi.Input[str]
    """The model server's image by its digest and without a tag, see ``by_digest``."""
    flavors: Sequence[Flavor] | None
    """What the image serves; None: all that the model server serves."""
    repository_arn: str
    """The ECR repository that the image is in."""
    registry: str
    """The tracking URI at which the model's versions are looked up."""
    artifacts: Artifacts
    key_arn: pulumi.Input[str]
    """Encrypts logs, disks and captured requests."""


def by_digest(image: pulumi.Input[str]) -> pulumi.Input[str]:
    """``repository@sha256:…`` of ``repository:tag@sha256:…``: Lambda refuses an image that is named by both
    (pulumi-docker-build#571). What is known stays known."""
    if isinstance(image, str):
        return _TAG.sub("", image)
    return pulumi.Output.from_input(image).apply(lambda known: _TAG.sub("", known))
