"""The variants of a SageMaker endpoint: which there are, what each starts with, and their alarms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws

from components.aws.scope import Scope, model_tags
from components.environment import Model
from components.traffic import Share

_LATENCY_MICROSECONDS: Final = 1_000_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One release as the endpoint knows it. Its name is its role: alarms and autoscaling keep theirs."""

    name: str
    share: Share

    @property
    def weight(self) -> float:
        """A shadow's is the stable variant's: it gets every request."""
        return float(100 if self.share.shadow else self.share.weight)


def variants_of(split: Sequence[Share], *, guarded: bool) -> list[Variant]:
    """A variant for each share, the stable one first.

    A ``guarded`` endpoint always has a canary: SageMaker guards an update between the same variants alone
    (deployment-guardrails-exclusions.html). At rest that one is the stable version, with a weight of 0.
    """
    found = [
        Variant(name="shadow" if share.shadow else ("stable", "canary")[index], share=share)
        for index, share in enumerate(split)
    ]
    if guarded and len(found) == 1:
        found.append(Variant(name="canary", share=Share(version=split[0].version, weight=0)))
    return found


def first_instances(share: Share, most: int) -> int:
    """The instances that a new fleet starts with: a release's share of the ``most``, rounded up."""
    percent = 100 if share.shadow else share.weight
    return max(-(-most * percent // 100), 1)


def variant_alarms(
    model: Model, scope: Scope, endpoint: str, variant: Variant, opts: pulumi.ResourceOptions
) -> dict[str, aws.cloudwatch.MetricAlarm]:
    """Declare alarms on what a variant answers: its own errors, and how long the model takes.

    Return them by their names in CloudWatch, which are plain text.
    """
    if variant.share.shadow:
        return {}
    found: dict[str, aws.cloudwatch.MetricAlarm] = {}
    for metric, statistic, threshold, text in (
        ("Invocation5XXErrors", "Sum", 5.0, "5 or more requests a minute fail"),
        ("ModelLatency", "p99", _LATENCY_MICROSECONDS, "1 request of 100 takes a second or more"),
    ):
        percentile = statistic.startswith("p")
        alarm = f"{endpoint}-{variant.name}-{metric}"
        found[alarm] = aws.cloudwatch.MetricAlarm(
            f"{model.name}-{variant.name}-{metric.lower()}",
            name=alarm,
            alarm_description=f"{endpoint} {variant.name}: {text}, for 2 minutes of 3",
            namespace="AWS/SageMaker",
            metric_name=metric,
            dimensions={"EndpointName": endpoint, "VariantName": variant.name},
            statistic=None if percentile else statistic,
            extended_statistic=statistic if percentile else None,
            period=60,
            evaluation_periods=3,
            datapoints_to_alarm=2,
            comparison_operator="GreaterThanOrEqualToThreshold",
            threshold=threshold,
            treat_missing_data="notBreaching",
            alarm_actions=scope.alarm_actions,
            tags=model_tags(model),
            opts=opts,
        )
    return found
