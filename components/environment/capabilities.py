"""What each runtime can do, and the check of a model against it and against its platform."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from components.environment.aws_services import judge_aws
from components.environment.azure import judge_azure
from components.environment.gcp_services import judge_gcp
from components.environment.platforms import Platform
from components.environment.section import Section
from components.environment.values import (
    DEFAULT_TIMEOUT,
    LAMBDA_TIMEOUT,
    Autoscaling,
    Canary,
    Resources,
    Runtime,
)


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
    gpu_utilization: str | None = None
    authentication: str | None = None
    rate_limit: str | None = None
    fewest: int = 1
    """The least `autoscaling.min`."""
    start: int | None = None
    """Its default; None: the least."""
    most: int = 1000
    """The greatest `autoscaling.max`."""
    usual: int = 1
    """`autoscaling.max` where it isn't given, or `min` where that is more."""
    shortest: int = 1
    """The least `timeout`, in seconds."""
    longest: int = 3600
    """The greatest `timeout`, in seconds; Cloud Run's too
    (cloud.google.com/run/docs/configuring/request-timeout)."""
    waits: str = ""
    """Why these bounds are narrower than usual."""

    @property
    def first(self) -> int:
        """`autoscaling.min` where it isn't given."""
        return self.fewest if self.start is None else self.start


CAPABILITIES: Final[Mapping[Runtime, Capability]] = {
    "local": Capability(
        gpu="processes on this machine are given no GPU",
        resources="processes on this machine are not limited",
        scaling="nothing scales on the runtime local",
        requests_per_second="nothing scales on the runtime local",
        gpu_utilization="nothing scales on the runtime local",
        authentication="the local gateway answers on this machine alone",
        rate_limit="the local gateway counts no requests",
        most=16,
    ),
    "kubernetes": Capability(fewest=0, start=1),
    "lambda": Capability(
        shadow="the load balancer in front of Lambda can't mirror requests",
        gpu="Lambda has no GPUs",
        requests_per_second="Lambda starts an instance a concurrent request",
        gpu_utilization="Lambda has no GPUs",
        authentication="AWS checks who signed a request (IAM)",
        rate_limit="the API in front of Lambda has one limit for all models",
        fewest=0,
        usual=1000,
        longest=LAMBDA_TIMEOUT,
        waits="the API in front of Lambda waits no longer",
    ),
    "sagemaker": Capability(
        gpu_utilization="SageMaker scales by CPU and requests",
        authentication="AWS checks who signed a request (IAM)",
        rate_limit="no limit is declared on sagemaker",
        # docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
        shortest=DEFAULT_TIMEOUT,
        longest=DEFAULT_TIMEOUT,
        waits="SageMaker waits as long for every model",
    ),
    "cloud-run": Capability(
        shadow="the load balancer in front of Cloud Run can't mirror requests",
        requests_per_second="Cloud Run scales by concurrent requests",
        gpu_utilization="Cloud Run scales by concurrent requests",
        authentication="Google checks who calls (IAM)",
        rate_limit="no limit is declared on cloud-run",
        fewest=0,
        usual=100,
    ),
    "azure-ml": Capability(
        shadow="Azure ML mirrors at most half of the requests, and a shadow gets every one",
        scaling="no autoscaling is declared on azure-ml",
        requests_per_second="no autoscaling is declared on azure-ml",
        gpu_utilization="no autoscaling is declared on azure-ml",
        authentication="Azure checks who calls (Microsoft Entra ID)",
        rate_limit="no limit is declared on azure-ml",
        most=50,
        # request_timeout_ms:
        # learn.microsoft.com/azure/machine-learning/reference-yaml-deployment-managed-online
        longest=180,
        waits="Azure ML waits no longer",
    ),
}

UNDECLARABLE: Final[Mapping[str, str]] = {
    "vertex": "Google's providers for Pulumi and Terraform have nothing that puts a model on an endpoint of"
    " Vertex AI, so its traffic split can't be declared",
}
"""Runtimes that people may expect here, each with the reason why it is none."""


def judge(
    runtime: Runtime,
    platform: Platform | None,
    canary: Canary | None,
    resources: Resources,
    autoscaling: Autoscaling,
    model: Section,
) -> None:
    """Note what a runtime or its platform can't do of what is asked. `platform` is None where it is wrong."""
    able = CAPABILITIES[runtime]
    if canary and canary.shadow and able.shadow:
        model.inner("canary").problem("shadow", f"not on the runtime {runtime}: {able.shadow}")
    if platform and platform.kind == "aws":
        judge_aws(runtime, platform, canary, resources, model)
    elif platform and platform.kind == "gcp":
        judge_gcp(runtime, platform.region, resources, model)
    elif platform and platform.kind == "azure" and runtime == "azure-ml":
        judge_azure(resources, model)
    _judge_scaling(runtime, platform, canary, resources, autoscaling, model)
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
    elif platform and runtime in platform.runtimes and not platform.uses_gpus:
        model.inner("resources").problem(
            "gpu",
            "the model server's image has onnxruntime for CPUs: the GPU would be paid for, and not used",
            "Leave gpu out; or name an image of your own with onnxruntime-gpu as platform.image, and set"
            " platform.imageUsesGpu to true.",
        )


def _judge_scaling(
    runtime: Runtime,
    platform: Platform | None,
    canary: Canary | None,
    resources: Resources,
    autoscaling: Autoscaling,
    model: Section,
) -> None:
    """Note what asks for a GPU or for KEDA where there is none."""
    section = model.inner("autoscaling")
    if autoscaling.gpu_utilization and not resources.gpu:
        section.problem(
            "gpuUtilization", "only for a model with a GPU", "Set resources.gpu, or leave it out."
        )
    if runtime != "kubernetes" or platform is None:
        return
    sleeps = autoscaling.min == 0
    if sleeps and canary and canary.shadow:
        model.inner("canary").problem(
            "shadow",
            "not with autoscaling.min 0: the copy of a request wakes nobody",
            "Set autoscaling.min to 1, or give the canary a weight.",
        )
    if not platform.has_keda:
        for key, asked in (("min", sleeps), ("gpuUtilization", bool(autoscaling.gpu_utilization))):
            if asked:
                section.problem(
                    key,
                    f"{'0 ' if key == 'min' else ''}needs KEDA, which scales nothing on this platform",
                    "Set platform.keda to install, or to existing where the cluster has it.",
                )
    elif not platform.has_prometheus:
        # A server that sleeps is woken, and scaled, by the requests that KEDA's interceptor counts itself.
        counted = bool(autoscaling.requests_per_second) and not sleeps
        for key, asked in (
            ("gpuUtilization", bool(autoscaling.gpu_utilization)),
            ("requestsPerSecond", counted),
        ):
            if asked:
                section.problem(
                    key,
                    "needs a Prometheus that KEDA can ask",
                    "Set platform.prometheus, or platform.monitoring to install.",
                )
