"""What the EU AI Act asks of high-risk systems on top, as far as a plan can show it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from policy.references import eu, nist, soc2
from policy.rule import Case, Finding, Resource, Rule, Severity
from policy.rules.releases import RELEASE, STEP, called, endpoint_of

EKS: Final = "aws:eks/cluster:Cluster"
LOG_GROUP: Final = "aws:cloudwatch/logGroup:LogGroup"
_ORDER: Final = {"minimal": 0, "limited": 1, "high": 2}


def step_of(case: Case, model: str) -> Resource | None:
    """The step of a model in the stack."""
    return next((step for step in case.others(STEP) if step.value("model", step.name) == model), None)


def _is_high(case: Case) -> bool:
    """Whether a release is of a high-risk system: its registry says so, or the environment's file does."""
    if case.resource.value("riskClass") == "high":
        return True
    step = step_of(case, endpoint_of(case.resource))
    return step is not None and step.value("riskClass") == "high"


def _class_agrees(case: Case) -> Iterator[Finding]:
    step = step_of(case, endpoint_of(case.resource))
    registered = case.resource.value("riskClass")
    declared = step.value("riskClass") if step else None
    if registered in _ORDER and declared in _ORDER and _ORDER[declared] < _ORDER[registered]:
        yield Finding(
            message=f"{called(case.resource)}: the environment's file says riskClass {declared}, the "
            f"registry says {registered}"
        )
    elif registered == "high" and step is not None and declared is None:
        yield Finding(
            message=f"{called(case.resource)}: the environment's file says no riskClass, the registry says "
            "high"
        )


def _approval(case: Case) -> Iterator[Finding]:
    release = case.resource
    if not _is_high(case):
        return
    missing = [key for key in ("approvedBy", "approvedAt") if not release.value(key)]
    if missing:
        yield Finding(
            message=f"{called(release)} is high-risk and nobody approved it: no {' and no '.join(missing)}"
        )
        return
    approved, registered = _time(release.value("approvedAt")), _time(release.value("registered"))
    if approved is None:
        yield Finding(message=f"{called(release)}: approvedAt is no time: `{release.value('approvedAt')}`")
    elif registered and approved < registered:
        yield Finding(
            message=f"{called(release)} was approved before it was registered: approvedAt "
            f"{release.value('approvedAt')}, registered {release.value('registered')}"
        )


def _evaluation(case: Case) -> Iterator[Finding]:
    found = case.resource.value("evaluation")
    if _is_high(case) and found != "approved":
        said = f"is `{found}`" if found else "is missing"
        yield Finding(message=f"{called(case.resource)} is high-risk and its evaluation {said}, not approved")


def _request_log(case: Case) -> Iterator[Finding]:
    step = case.resource
    if step.value("riskClass") != "high":
        return
    log: dict[str, Any] = step.value("requestLog", {})
    days, model = log.get("retentionDays"), step.value("model", step.name)
    if not log:
        yield Finding(message=f"{model} is high-risk and its requests are not logged")
    elif not isinstance(days, int | float) or days < case.settings.log_days:
        kept = f"{days:g} days" if isinstance(days, int | float) else "for an unknown time"
        yield Finding(
            message=f"{model} is high-risk and its request log is kept {kept}, "
            f"not {case.settings.log_days} days",
            fix=f"keep the request log for {case.settings.log_days} days or more",
        )


def _drift(case: Case) -> Iterator[Finding]:
    if case.resource.value("riskClass") == "high" and not case.resource.value("drift"):
        model = case.resource.value("model", case.resource.name)
        yield Finding(message=f"{model} is high-risk and nothing watches its drift")


def _pod_logs(case: Case) -> Iterator[Finding]:
    step = case.resource
    if step.value("riskClass") != "high" or step.value("runtime") != "kubernetes":
        return
    # On GKE Cloud Logging takes what pods write by itself; a cluster of one's own is one's own to judge.
    if any(case.others(EKS)) and not any(_is_of_pods(group) for group in case.others(LOG_GROUP)):
        yield Finding(
            message=f"{step.value('model', step.name)} is high-risk and what its pods write is kept nowhere"
        )


def _is_of_pods(group: Resource) -> bool:
    return str(group.value("name", "")).endswith("/pods")


def _time(text: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return found.astimezone() if found else None


RULES: Final = (
    Rule(
        id="risk-class-agrees",
        title="An environment doesn't call a model less risky than its registry does",
        severity=Severity.HIGH,
        references=(eu("Art. 6"), nist("GOVERN 1.3")),
        why="Half of these rules ask by the risk class: a lower one in the file would switch them off.",
        fix="write the registry's risk class into the environment's file, or have the model classified anew",
        types=frozenset({RELEASE}),
        check=_class_agrees,
        beside=frozenset({STEP}),
        strict=True,
    ),
    Rule(
        id="high-risk-approval",
        title="A high-risk release was approved by a human",
        severity=Severity.CRITICAL,
        references=(eu("Art. 17(1)(a)"), nist("MANAGE 1.1"), soc2("CC8.1")),
        why="That a high-risk model may serve is a person's decision; who took it, and when, is on record.",
        fix="record who decided: python -m pipeline approve MODEL VERSION --by NAME",
        types=frozenset({RELEASE}),
        check=_approval,
        beside=frozenset({STEP}),
        high_risk=True,
        strict=True,
    ),
    Rule(
        id="high-risk-evaluation",
        title="A high-risk release has an approved evaluation",
        severity=Severity.CRITICAL,
        references=(eu("Art. 9(8)"), eu("Art. 17(1)(d)"), nist("MEASURE 2.5")),
        why="High-risk systems are tested against figures set beforehand, before they are put into service.",
        fix="record the result: python -m pipeline approve MODEL VERSION --by NAME --evaluation approved",
        types=frozenset({RELEASE}),
        check=_evaluation,
        beside=frozenset({STEP}),
        high_risk=True,
        strict=True,
    ),
    Rule(
        id="high-risk-request-log",
        title="Requests to a high-risk model are logged and kept",
        severity=Severity.HIGH,
        references=(eu("Art. 12(1)"), eu("Art. 19(1)"), eu("Art. 26(6)"), soc2("CC7.2")),
        why="What a high-risk system did must be found out afterwards: logs are kept for six months or more.",
        fix="keep the model's requests for six months or more; this version declares no such log, so "
        "exempt the step and name the log that you have",
        types=frozenset({STEP}),
        check=_request_log,
        high_risk=True,
        strict=True,
    ),
    Rule(
        id="high-risk-pod-logs",
        title="What the pods of a high-risk model write is kept",
        severity=Severity.HIGH,
        references=(eu("Art. 19(1)"), eu("Art. 26(6)"), soc2("CC7.2")),
        why="Kubernetes forgets what a pod has written when the pod goes; EKS keeps it nowhere by itself.",
        fix="leave platform.podLogs on, or exempt the step and name the log that you have",
        types=frozenset({STEP}),
        check=_pod_logs,
        beside=frozenset({EKS, LOG_GROUP}),
        high_risk=True,
        strict=True,
    ),
    Rule(
        id="high-risk-drift-monitor",
        title="The drift of a high-risk model is watched",
        severity=Severity.HIGH,
        references=(eu("Art. 26(5)"), eu("Art. 72(1)"), nist("MEASURE 2.4"), nist("MANAGE 4.1")),
        why="A model gets worse when the world moves away from its training data, without any error.",
        fix="watch its inputs against its training data; this version declares no monitor, so "
        "exempt the step and name the one that you have",
        types=frozenset({STEP}),
        check=_drift,
        high_risk=True,
        strict=True,
    ),
)
