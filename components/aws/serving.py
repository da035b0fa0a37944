"""What a model's servers on Lambda and SageMaker run, and where they take it from."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components.aws.artifacts import Artifacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """The same for every endpoint of a platform that isn't in its cluster."""

    image: pulumi.Input[str]
    """The model server's image, with its digest."""
    repository_arn: str
    """The ECR repository that the image is in."""
    registry: str
    """The tracking URI at which the model's versions are looked up."""
    artifacts: Artifacts
    key_arn: pulumi.Input[str]
    """Encrypts logs, disks and captured requests."""
