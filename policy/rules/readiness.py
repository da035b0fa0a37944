"""Before a model takes traffic: somebody is told when it fails, and a lost node doesn't stop it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from policy.references import eu, nist, soc2
from policy.rule import Case, Finding, Resource, Rule, Severity
from policy.rules.pods import is_selected, labels_of
from policy.rules.releases import STEP

PROMETHEUS_RULE: Final = "kubernetes:monitoring.coreos.com/v1:PrometheusRule"
HELM_RELEASE: Final = "kubernetes:helm.sh/v3:Release"
_STACK: Final = "kube-prometheus-stack"
DEPLOYMENT: Final = "kubernetes:apps/v1:Deployment"
HPA: Final = "kubernetes:autoscaling/v2:HorizontalPodAutoscaler"
PDB: Final = "kubernetes:policy/v1:PodDisruptionBudget"
ALARM: Final = "aws:cloudwatch/metricAlarm:MetricAlarm"
ALERT_POLICY: Final = "gcp:monitoring/alertPolicy:AlertPolicy"
MODEL_LABEL: Final = "model-delivery/model"
# The platform of a stack that has only its models is another stack's, and its alerts are there.
_BORROWED: Final = "delivery:kubernetes:Borrowed"
_SCALED: Final = ("kubernetes", "sagemaker")
"""Runtimes on which a server is a machine or a pod that can be lost."""


def _alerts(case: Case) -> Iterator[Finding]:
    runtime, model = case.resource.value("runtime"), case.resource.value("model", case.resource.name)
    if runtime == "kubernetes":
        if any(case.others(_BORROWED)):
            return
        if not any(_alerting(rule) for rule in case.others(PROMETHEUS_RULE)):
            yield Finding(message=f"{model}: no PrometheusRule of the stack has an alert", fix=_PROMETHEUS)
        for chart in case.others(HELM_RELEASE):
            # By its name in a repository, or by a whole address in a registry.
            if str(chart.value("chart", "")).rpartition("/")[2] == _STACK and not _receives(chart):
                yield Finding(
                    message=f"{model}: the Alertmanager of the release {chart.name} has no receiver",
                    fix=_RECEIVER,
                )
    elif runtime in ("lambda", "sagemaker"):
        alarms = [alarm for alarm in case.others(ALARM) if _watches(alarm, model)]
        if not alarms:
            yield Finding(message=f"{model}: no CloudWatch alarm watches it", fix=_CLOUDWATCH)
        for alarm in alarms:
            if not alarm.given("alarmActions"):
                yield Finding(message=f"{model}: the alarm {alarm.name} tells nobody", fix=_TOPIC)
    elif runtime in ("cloud-run", "vertex"):
        policies = list(case.others(ALERT_POLICY))
        if not policies:
            yield Finding(
                message=f"{model}: no alert policy of Cloud Monitoring is declared", fix=_MONITORING
            )
        for policy in policies:
            if not policy.given("notificationChannels"):
                yield Finding(message=f"{model}: the alert policy {policy.name} tells nobody", fix=_CHANNEL)


_PROMETHEUS = "declare a PrometheusRule with alerts on errors and latency, as components/kubernetes does"
_RECEIVER = "set platform.alerts.webhookSecret, or on AWS platform.alarmTopicArn"
_CLOUDWATCH = "declare alarms on the endpoint's errors, as components/aws does"
_TOPIC = "set platform.alarmTopicArn, or the alarm's alarmActions"
_MONITORING = "declare a gcp.monitoring.AlertPolicy on the service's errors"
_CHANNEL = "set the alert policy's notificationChannels"


def _alerting(rule: Resource) -> bool:
    groups = cast("list[Mapping[str, Any]]", rule.items("spec.groups"))
    return any(
        "alert" in one
        for group in groups
        for one in cast("list[Mapping[str, Any]]", group.get("rules") or [])
    )


def _receives(chart: Resource) -> bool:
    """Whether an Alertmanager tells anyone: the chart's own receiver has a name and nothing more."""
    receivers = cast("list[Mapping[str, Any]]", chart.items("values.alertmanager.config.receivers"))
    return any(key.endswith("_configs") and one[key] for one in receivers for key in one)


def _watches(alarm: Resource, model: str) -> bool:
    dimensions = alarm.value("dimensions", {})
    if "EndpointConfigName" in dimensions:
        # Guards one update of SageMaker, and is for SageMaker to hear.
        return False
    if alarm.value("tags", {}).get(MODEL_LABEL) == model:
        return True
    words = [str(value) for value in dimensions.values()]
    return any(f"-{model}-v" in f"-{word}-" or f"-{word}-".endswith(f"-{model}-") for word in words)


def _replicas(case: Case) -> Iterator[Finding]:
    rollout = case.resource
    least, wanted = rollout.value("minReplicas"), case.settings.min_replicas
    if rollout.value("runtime") in _SCALED and isinstance(least, int | float) and least < wanted:
        model = rollout.value("model", rollout.name)
        yield Finding(
            message=f"{model} has {least:g} server{'' if least == 1 else 's'} at the least, not {wanted}",
            fix=f"set models.{model}.autoscaling.min to {wanted} or more",
        )


def _budget(case: Case) -> Iterator[Finding]:
    deployment = case.resource
    labels = labels_of(deployment)
    if MODEL_LABEL not in labels and not _is_scaled(case):
        return
    namespace = deployment.value("metadata.namespace", "default")
    budgets = [
        budget
        for budget in case.others(PDB)
        if budget.value("metadata.namespace", "default") == namespace
        and is_selected(labels, budget.value("spec.selector", {}))
    ]
    if not budgets:
        yield Finding(message=f"{namespace}/{deployment.name}: no PodDisruptionBudget selects its pods")
    for budget in budgets:
        allowed = budget.value("spec.maxUnavailable")
        if allowed in ("100%", "100 %") or budget.value("spec.minAvailable") in (0, "0", "0%"):
            yield Finding(
                message=f"{namespace}/{deployment.name}: its disruption budget allows to stop all pods"
            )


def _is_scaled(case: Case) -> bool:
    """Whether an autoscaler keeps more than one pod of a Deployment."""
    name = case.resource.value("metadata.name", case.resource.name)
    for scaler in case.others(HPA):
        target = scaler.value("spec.scaleTargetRef", {})
        if target.get("kind") == "Deployment" and target.get("name") == name:
            return scaler.value("spec.minReplicas", 1) > 1
    return False


RULES: Final = (
    Rule(
        id="alerts-present",
        title="Somebody is told when a model fails",
        severity=Severity.HIGH,
        references=(eu("Art. 26(5)"), nist("MEASURE 2.4"), nist("MANAGE 4.1"), soc2("CC7.2")),
        why="A release that fails unseen serves wrong answers until a caller complains.",
        fix="declare alerts for the model's runtime",
        types=frozenset({STEP}),
        check=_alerts,
        whole_stack=True,
    ),
    Rule(
        id="min-replicas",
        title="A model has more than one server",
        severity=Severity.HIGH,
        references=(eu("Art. 15(4)"), soc2("A1.2")),
        why="With one server every lost node, and every update of a node, is an outage of the model.",
        fix="set autoscaling.min of the model",
        types=frozenset({STEP}),
        check=_replicas,
        strict=True,
    ),
    Rule(
        id="disruption-budget",
        title="Model servers have a disruption budget",
        severity=Severity.MEDIUM,
        references=(eu("Art. 15(4)"), soc2("A1.2")),
        why="Without one an update of the nodes may stop all servers of a model at the same time.",
        fix="declare a PodDisruptionBudget with the Deployment's labels, and maxUnavailable below all",
        types=frozenset({DEPLOYMENT}),
        check=_budget,
        whole_stack=True,
    ),
)
