"""Autoscaling of a SageMaker variant: on its requests, or where no rate is given on its CPU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from components.aws.scope import model_tags
from components.environment import Model

_SCALE_IN_SECONDS = 600
_SCALE_OUT_SECONDS = 60
_CPU_PERCENT = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingArgs:
    """Which variant scales."""

    model: Model
    endpoint: str
    """The endpoint's name."""
    variant: str
    cores: int
    """Of one instance."""
    least: int
    """The variant's share of ``autoscaling.min``."""


def scale(name: str, args: ScalingArgs, opts: pulumi.ResourceOptions) -> None:
    """Let a variant have from ``least`` to the model's most instances.

    The most is whole for each variant: when weights move, either may need it.
    """
    target = aws.appautoscaling.Target(
        name,
        service_namespace="sagemaker",
        scalable_dimension="sagemaker:variant:DesiredInstanceCount",
        resource_id=f"endpoint/{args.endpoint}/variant/{args.variant}",
        min_capacity=args.least,
        max_capacity=args.model.autoscaling.max,
        tags=model_tags(args.model),
        opts=opts,
    )
    policy: Any = {
        **_metric(args),
        "scale_in_cooldown": _SCALE_IN_SECONDS,
        "scale_out_cooldown": _SCALE_OUT_SECONDS,
    }
    aws.appautoscaling.Policy(
        name,
        service_namespace=target.service_namespace,
        scalable_dimension=target.scalable_dimension,
        resource_id=target.resource_id,
        policy_type="TargetTrackingScaling",
        target_tracking_scaling_policy_configuration=policy,
        opts=opts,
    )


def _metric(args: ScalingArgs) -> dict[str, Any]:
    rate = args.model.autoscaling.requests_per_second
    if rate is not None:
        return {
            "predefined_metric_specification": {
                "predefined_metric_type": "SageMakerVariantInvocationsPerInstance"
            },
            # The metric counts a minute's requests of one instance.
            "target_value": float(rate * 60),
        }
    return {
        "customized_metric_specification": {
            "namespace": "/aws/sagemaker/Endpoints",
            "metric_name": "CPUUtilization",
            "statistic": "Average",
            "dimensions": [
                {"name": "EndpointName", "value": args.endpoint},
                {"name": "VariantName", "value": args.variant},
            ],
        },
        # The metric counts 100 a core.
        "target_value": _CPU_PERCENT * args.cores,
    }
