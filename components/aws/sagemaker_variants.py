"""The variants of a SageMaker endpoint: which there are, what each starts with, and their alarms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from components.aws.scope import Scope, model_tags
from components.environment import Model
from components.traffic import Share

_LATENCY_MICROSECONDS: Final = 1_000_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Watch:
    """What rings an alarm on a variant."""

    metric: str
    statistic: str
    threshold: float
    text: str

    @property
    def rule(self) -> dict[str, Any]:
        percentile = self.statistic.startswith("p")
        return {
            "namespace": "AWS/SageMaker",
            "metric_name": self.metric,
            "statistic": None if percentile else self.statistic,
            "extended_statistic": self.statistic if percentile else None,
            "period": 60,
            "evaluation_periods": 3,
            "datapoints_to_alarm": 2,
            "comparison_operator": "GreaterThanOrEqualToThreshold",
            "threshold": self.threshold,
            # No request is no failure. A new fleet has no metrics before it takes requests.
            "treat_missing_data": "notBreaching",
        }


_WATCHES: Final = (
    _Watch(
        metric="Invocation5XXErrors",
        statistic="Sum",
        threshold=5.0,
        text="5 or more requests a minute fail",
    ),
    _Watch(
        metric="ModelLatency",
        statistic="p99",
        threshold=_LATENCY_MICROSECONDS,
        text="1 request of 100 takes a second or more",
    ),
)


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
) -> list[aws.cloudwatch.MetricAlarm]:
    """Declare alarms that tell the operator what a variant answers: its errors, and how long the model takes.

    They watch the variant whatever configuration serves it, so they ring for the old fleet and the new one.
    """
    if variant.share.shadow:
        return []
    return [
        aws.cloudwatch.MetricAlarm(
            f"{model.name}-{variant.name}-{watch.metric.lower()}",
            name=f"{endpoint}-{variant.name}-{watch.metric}",
            alarm_description=f"{endpoint} {variant.name}: {watch.text}, for 2 minutes of 3",
            dimensions={"EndpointName": endpoint, "VariantName": variant.name},
            alarm_actions=scope.alarm_actions,
            tags=model_tags(model),
            opts=opts,
            **watch.rule,
        )
        for watch in _WATCHES
    ]


def guard_alarms(
    model: Model,
    endpoint: str,
    configuration: pulumi.Output[str],
    variant: Variant,
    opts: pulumi.ResourceOptions,
) -> list[aws.cloudwatch.MetricAlarm]:
    """Declare the alarms that roll an update back: they watch the fleet of one ``configuration`` alone.

    SageMaker ends an update whose old fleet trips an alarm of the guard, so one that watched both fleets
    would refuse the revert of a bad release for as long as that release fails
    (deployment-guardrails-configuration.html, "Monitor model latency on the new fleet").

    Each configuration gets alarms of its own: an alarm that is changed keeps the state that it was in
    (API_PutMetricAlarm.html), and would ring for the fleet before. They notify nobody: the operator's own
    alarms see the same failures, and the update that goes back fails.
    """
    if variant.share.shadow:
        return []
    fresh = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(replace_on_changes=["dimensions"]))
    return [
        aws.cloudwatch.MetricAlarm(
            f"{model.name}-{variant.name}-{watch.metric.lower()}-guard",
            alarm_description=f"{endpoint} {variant.name}, new fleet: {watch.text}, for 2 minutes of 3."
            " Rolls the update back",
            dimensions={
                "EndpointName": endpoint,
                "VariantName": variant.name,
                "EndpointConfigName": configuration,
            },
            tags=model_tags(model),
            opts=fresh,
            **watch.rule,
        )
        for watch in _WATCHES
    ]
