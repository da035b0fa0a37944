"""What each runtime can do, and the check of a model against it and against its platform."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from components.environment.aws_services import judge_aws
from components.environment.platforms import Platform
from components.environment.section import Section
from components.environment.values import Canary, Resources, Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """What a runtime can do with a model.

    A text is the reason why it can't, as the reader of a configuration is told it; None: it can.
    """

    shadow: str | None = None
    gpu: str | None = None
    resources: str | None = None
    scaling: str | None = None
    """Whether the number of servers changes by itself: `max` above `min`."""
    requests_per_second: str | None = None
    fewest: int = 1
    """The least `autoscaling.min`, and its default."""
    most: int = 1000
    """The greatest `autoscaling.max`."""
    usual: int = 1
    """`autoscaling.max` where it isn't given, or `min` where that is more."""


CAPABILITIES: Final[Mapping[Runtime, Capability]] = {
    "local": Capability(
        gpu="processes on this machine are given no GPU",
        resources="processes on this machine are not limited",
        scaling="nothing scales on the runtime local",
        requests_per_second="nothing scales on the runtime local",
        most=16,
    ),
    "kubernetes": Capability(),
    "lambda": Capability(
        shadow="the load balancer in front of Lambda can't mirror requests",
        gpu="Lambda has no GPUs",
        requests_per_second="Lambda starts an instance a concurrent request",
        fewest=0,
        usual=1000,
    ),
    "sagemaker": Capability(),
    "cloud-run": Capability(
        shadow="Cloud Run can't mirror requests",
        requests_per_second="Cloud Run scales by concurrent requests",
        fewest=0,
    ),
    "vertex": Capability(
        shadow="an endpoint of Vertex AI can't mirror requests",
        requests_per_second="Vertex AI scales by CPU and GPU load",
    ),
}


def judge(
    runtime: Runtime,
    platform: Platform | None,
    canary: Canary | None,
    resources: Resources,
    model: Section,
) -> None:
    """Note what a runtime or its platform can't do of what is asked. `platform` is None where it is wrong."""
    able = CAPABILITIES[runtime]
    if canary and canary.shadow and able.shadow:
        model.inner("canary").problem("shadow", f"not on the runtime {runtime}: {able.shadow}")
    judge_aws(runtime, resources, model)
    if not resources.gpu:
        return
    if able.gpu:
        model.inner("resources").problem("gpu", f"not on the runtime {runtime}: {able.gpu}")
    elif runtime == "kubernetes" and platform and not platform.gpus:
        model.inner("resources").problem(
            "gpu",
            f"this platform of kind {platform.kind} has no GPU nodes",
            "Add them to the platform, or leave gpu out.",
        )
