"""The compliant stack written in another way that is as right, and what rules count and compare."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from policy.rule import Resource
from policy.rules import RULES
from policy.rules.ceilings import gpus_of
from policy.rules.pods import is_selected
from policy.rules.readiness import HELM_RELEASE, PROMETHEUS_RULE
from policy.settings import Settings
from policy.testkit import MISSING, changed, evaluate, resource
from tests.policy.compliant import NOW, POD, SETTINGS, TAGS, kubernetes, release, rollout
from tests.policy.test_rules import found, with_change

AGE = {"type": "double", "name": "age", "required": True}
CONTAINER = "spec.template.spec.containers.0"
RIGHT: list[tuple[str, str, Any]] = [
    # The same, said at another place or in another way.
    ("Deployment::fraud", f"{CONTAINER}.resources.requests.memory", MISSING),
    (
        "Deployment::fraud",
        f"{CONTAINER}.securityContext.capabilities.add",
        ["NET_BIND_SERVICE"],
    ),
    (
        "Deployment::fraud",
        f"{CONTAINER}.securityContext.seccompProfile",
        {"type": "Localhost"},
    ),
    ("Deployment::fraud", "spec.template.spec.serviceAccountName", "fraud"),
    ("NetworkPolicy::all", "spec.policyTypes", MISSING),
    (
        "NetworkPolicy::all",
        "spec.podSelector",
        {"matchExpressions": [{"key": "x", "operator": "DoesNotExist"}]},
    ),
    (
        "PodDisruptionBudget::fraud",
        "spec",
        {"minAvailable": 1, "selector": {}},
    ),
    ("StorageClass::gp3", "provisioner", "other.csi.example.com"),
    ("Key::data", "*", {"customerMasterKeySpec": "RSA_2048", "enableKeyRotation": False}),
    ("Key::data", "deletionWindowInDays", 14),
    ("Key::data", "deletionWindowInDays", MISSING),
    (
        "Configuration::models",
        "rules.0.applyServerSideEncryptionByDefault.sseAlgorithm",
        "aws:kms:dsse",
    ),
    ("LogGroup::fraud", "retentionInDays", 0),
    ("LogGroup::fraud", "retentionInDays", 180),
    ("LaunchTemplate::gpu", "metadataOptions", {"httpEndpoint": "disabled"}),
    (
        "LaunchTemplate::gpu",
        "blockDeviceMappings.0",
        {"deviceName": "/dev/xvdb", "virtualName": "ephemeral0"},
    ),
    ("aws:s3/bucketVersioning:BucketVersioning::models", "bucket", "models"),
    ("BucketPolicy::models", "policy", json.dumps({"Statement": [{"Effect": "Deny", "Principal": "*"}]})),
    ("SecurityGroup::web", "ingress.0", {"fromPort": 22, "toPort": 22, "securityGroups": ["sg-1"]}),
    ("Route::score", "authorizationType", "AWS_IAM"),
    ("Method::score", "authorization", "AWS_IAM"),
    ("ecr/repository:Repository::serving", "imageTagMutability", "IMMUTABLE_WITH_EXCLUSION"),
    ("Listener::plain", "protocol", "TLS"),
    ("aws:s3/bucket:Bucket::models", "acl", "private"),
    ("Cluster::gke", "privateClusterConfig.enablePrivateEndpoint", True),
    ("Cluster::gke", "masterAuthorizedNetworksConfig", {"cidrBlocks": [{"cidrBlock": "10.0.0.0/8"}]}),
    ("Cluster::gke", "deletionProtection", True),
    ("Firewall::web", "direction", "EGRESS"),
    ("Firewall::web", "sourceRanges", ["10.0.0.0/8"]),
    ("artifactregistry/repository:Repository::serving", "format", "DOCKER"),
    # What is better, or not worse by more than is tolerated.
    ("Release::fraud-v4", "metrics.accuracy", 0.95),
    ("Release::fraud-v4", "metrics.accuracy", 0.883),
    ("Release::fraud-v4", "metrics.log_loss", 0.305),
    ("Release::fraud-v4", "metrics.latency_of_training", 9),
    ("Release::fraud-v3", "metrics.epochs", 30),
    # An input that callers need not send, after those they do.
    (
        "Release::fraud-v4",
        "signature.inputs",
        json.dumps([AGE, {**AGE, "name": "income", "required": False}]),
    ),
    # One that is approved at the very second in which it was registered.
    ("Release::fraud-v4", "approvedAt", "2026-11-19T10:00:00+00:00"),
    # The file may call a model more risky than its registry does.
    ("Release::score-v3", "riskClass", "minimal"),
    ("Step::fraud", "requestLog.retentionDays", 180),
    ("Step::score", "minReplicas", 0),
]


@pytest.mark.parametrize(("name", "path", "value"), RIGHT)
def test_what_is_right_in_another_way_passes(name: str, path: str, value: Any) -> None:
    assert found(with_change(name, path, value)) == []


def rules_of(*resources: Resource, settings: Settings = SETTINGS) -> list[str]:
    return [v.rule for v in evaluate(RULES.values(), resources, settings=settings, now=NOW)]


def test_a_bucket_may_say_all_in_itself() -> None:
    bucket = resource(
        "aws:s3/bucket:Bucket",
        "b",
        bucket="b",
        protect=True,
        tags=TAGS,
        versioning={"enabled": True},
        serverSideEncryptionConfiguration={
            "rule": {"applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms"}}
        },
    )
    assert rules_of(bucket) == ["s3-not-public"]


def test_a_metric_of_ones_own_is_compared_where_the_environment_says_which_way_it_is_better() -> None:
    before, after = ({"cost_per_claim": cost} for cost in (10.0, 12.0))
    releases = [release("fraud", 3, metrics=before), release("fraud", 4, metrics=after)]
    rules = [RULES["candidate-metrics"]]
    assert evaluate(rules, [*releases, rollout("fraud", "local")], now=NOW) == []
    said = rollout("fraud", "local", metrics={"cost_per_claim": "lower"})
    (violation,) = evaluate(rules, [*releases, said], now=NOW)
    assert "cost_per_claim 10 → 12 (lower is better" in violation.message


def test_order_of_inputs_counts_for_rows_without_names() -> None:
    pair = [{"type": "double", "name": name, "required": True} for name in ("age", "income")]
    stack = [
        release("fraud", 3, signature={"inputs": json.dumps(pair), "outputs": "[]"}),
        release("fraud", 4, signature={"inputs": json.dumps(pair[::-1]), "outputs": "[]"}),
        rollout("fraud", "local"),
    ]
    (violation,) = evaluate([RULES["signature-compatible"]], stack, now=NOW)
    assert "in another order" in violation.message


def test_a_changed_signature_is_one_finding_of_a_model() -> None:
    """A finding for each column hides that it is one change."""
    column = [{"type": "double", "name": f"f{n}", "required": True} for n in range(30)]
    other = [{"type": "double", "name": f"g{n}", "required": True} for n in range(12)]
    kept = {"type": "long", "name": "age", "required": True}
    before = {"inputs": json.dumps([kept, *column]), "outputs": '[{"type": "long"}]'}
    after = {
        "inputs": json.dumps([*other, {**kept, "type": "string"}]),
        "outputs": '[{"type": "string"}]',
    }
    stack = [
        rollout("fraud", "kubernetes"),
        release("fraud", 3, signature=before),
        release("fraud", 4, signature=after),
    ]
    (violation,) = evaluate([RULES["signature-compatible"]], stack, now=NOW)
    assert violation.message.splitlines()[0] == (
        "fraud v4 against fraud v3: "
        "lacks the inputs f0, f1, f2, f3, f4, f5, f6, f7, f8, f9 and 20 more; "
        "has another type of the inputs age (long → string); "
        "requires the inputs g0, g1, g2, g3, g4, g5, g6, g7, g8, g9 and 2 more, which callers don't send; "
        "has another type of the outputs 0 (long → string)"
    )


def test_tensors_are_compared_as_a_whole() -> None:
    def tensor(size: int) -> str:
        return json.dumps([{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, size]}}])

    for size, wrong in ((224, 0), (128, 1)):
        stack = [
            release("vision", 3, signature={"inputs": tensor(224)}),
            release("vision", 4, signature={"inputs": tensor(size)}),
            rollout("vision", "local"),
        ]
        assert len(evaluate([RULES["signature-compatible"]], stack, now=NOW)) == wrong


def test_an_older_version_beside_the_new_one_needs_no_proof() -> None:
    stack = [
        release("fraud", 4, metrics={"accuracy": 0.9}),
        release("fraud", 3, metrics={"accuracy": 0.5}),
        rollout("fraud", "local", stable={"version": 4}, canary={"version": 3, "weight": 0}),
    ]
    assert evaluate([RULES["candidate-metrics"]], stack, now=NOW) == []


def test_another_models_versions_are_not_compared() -> None:
    stack = [release("fraud", 3), release("other", 4, metrics={"accuracy": 0.1}), rollout("fraud", "local")]
    assert evaluate([RULES["candidate-metrics"], RULES["signature-compatible"]], stack, now=NOW) == []


@pytest.mark.parametrize(
    ("kind", "gpus"),
    [
        ("g6.xlarge", 1),
        ("ml.g5.2xlarge", 1),
        ("g5.48xlarge", 8),
        ("ml.g6.12xlarge", 4),
        ("p5.48xlarge", 8),
        ("p5.4xlarge", 1),
        ("gr6.4xlarge", 1),
        ("m7i.xlarge", 0),
        ("ml.m5.large", 0),
        ("r6g.metal", 0),
    ],
)
def test_the_gpus_of_an_instance_type(kind: str, gpus: int) -> None:
    assert gpus_of(kind) == gpus


def gpus(*resources: Resource) -> list[str]:
    stack = [*resources, resource("pulumi:pulumi:Stack", "s")]
    rule = RULES["gpu-ceiling"]
    return [
        v.message.splitlines()[0] for v in evaluate([rule], stack, settings=Settings(max_gpus=0), now=NOW)
    ]


def test_gpus_are_counted_at_the_most_that_scaling_allows() -> None:
    deployment = kubernetes("apps/v1:Deployment", "fraud", spec={"replicas": 3, "template": POD})
    scaler = kubernetes(
        "autoscaling/v2:HorizontalPodAutoscaler",
        "fraud",
        spec={"scaleTargetRef": {"kind": "Deployment", "name": "fraud"}, "minReplicas": 2, "maxReplicas": 4},
    )
    assert gpus() == []
    assert "may take 3 GPUs" in gpus(deployment)[0]
    assert "may take 1 GPUs" in gpus(changed(deployment, "spec.replicas", MISSING))[0]
    assert "may take 4 GPUs, 0 are allowed: fraud 4" in gpus(deployment, scaler)[0]
    # Pods run on the machines: they don't count twice.
    group = resource(
        "aws:eks/nodeGroup:NodeGroup", "pool", instanceTypes=["g6.12xlarge"], scalingConfig={"maxSize": 2}
    )
    assert "may take 8 GPUs, 0 are allowed: pool 8" in gpus(deployment, group)[0]
    pool = resource(
        "gcp:container/nodePool:NodePool",
        "pool",
        nodeLocations=["a", "b", "c"],
        nodeConfig={"guestAccelerators": [{"count": 2}]},
        autoscaling={"maxNodeCount": 2},
    )
    assert "may take 12 GPUs" in gpus(pool)[0]
    fixed = changed(changed(pool, "autoscaling", MISSING), "nodeCount", 1)
    assert "may take 6 GPUs" in gpus(fixed)[0]
    variant = {"variantName": "v", "instanceType": "ml.g5.xlarge"}
    endpoint = resource(
        "aws:sagemaker/endpointConfiguration:EndpointConfiguration", "e", productionVariants=[variant]
    )
    assert "may take 1 GPUs" in gpus(endpoint)[0]


def test_labels_may_come_from_the_provider_where_google_takes_them_from_there() -> None:
    rule, provider = RULES["required-tags"], {"defaultLabels": json.dumps(TAGS)}

    def said(type: str, **properties: Any) -> list[str]:
        one = resource(type, "x", provider=provider, **properties)
        return [v.message.splitlines()[0] for v in evaluate([rule], [one], settings=SETTINGS, now=NOW)]

    assert said("gcp:storage/bucket:Bucket") == said("gcp:container/cluster:Cluster") == []
    pool, instance = "gcp:container/nodePool:NodePool", "gcp:sql/databaseInstance:DatabaseInstance"
    assert said(pool) == [f"{pool}::x: it has no label team"]
    assert said(instance) == [f"{instance}::x: it has no label team"]
    assert said(instance, settings={"userLabels": TAGS}) == []


def test_a_key_that_google_does_not_rotate_and_a_bucket_that_keeps_all_are_right() -> None:
    signing = resource("gcp:kms/cryptoKey:CryptoKey", "k", purpose="ASYMMETRIC_SIGN")
    assert evaluate([RULES["gcp-key-rotation"]], [signing], now=NOW) == []
    kept = resource("gcp:storage/bucket:Bucket", "b", retentionPolicy={"retentionPeriod": 86400})
    assert evaluate([RULES["gcs-versioned"]], [kept], now=NOW) == []


def test_tags_may_come_from_the_provider() -> None:
    rule = RULES["required-tags"]
    one = resource("aws:kms/key:Key", "k", provider={"defaultTags": json.dumps({"tags": {"team": "a"}})})
    assert evaluate([rule], [one], settings=SETTINGS, now=NOW) == []
    given = resource("aws:kms/key:Key", "k", provider={"defaultTags": {"tags": {"team": "a"}}})
    assert evaluate([rule], [given], settings=SETTINGS, now=NOW) == []
    assert (
        evaluate([rule], [resource("aws:kms/key:Key", "k", tagsAll=TAGS)], settings=SETTINGS, now=NOW) == []
    )
    two = Settings(required_tags=("team", "cost"))
    (violation,) = evaluate([rule], [one], settings=two, now=NOW)
    assert "it has no tag cost" in violation.message
    assert evaluate([rule], [resource("aws:kms/key:Key", "k")], settings=Settings(), now=NOW) == []


@pytest.mark.parametrize(
    ("selector", "selects"),
    [
        ({}, True),
        ({"matchLabels": {"a": "1"}}, True),
        ({"matchLabels": {"a": "2"}}, False),
        ({"matchLabels": {"a": "1", "b": "1"}}, False),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1", "2"]}]}, True),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["2"]}]}, False),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, False),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["2"]}]}, True),
        ({"matchExpressions": [{"key": "b", "operator": "Exists"}]}, False),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, False),
        ({"matchExpressions": [{"key": "b", "operator": "DoesNotExist"}]}, True),
    ],
)
def test_a_selector_selects_as_kubernetes_says(selector: dict[str, Any], selects: bool) -> None:
    assert is_selected({"a": "1"}, selector) is selects


def test_alerts_of_each_runtime() -> None:
    rule = [RULES["alerts-present"]]

    def wrong(*resources: Resource) -> int:
        return len(evaluate(rule, resources, now=NOW))

    cloud_run = rollout("rank", "cloud-run")
    policy = resource("gcp:monitoring/alertPolicy:AlertPolicy", "p", notificationChannels=["c"])
    assert (wrong(cloud_run), wrong(cloud_run, policy)) == (1, 0)
    assert wrong(cloud_run, changed(policy, "notificationChannels", MISSING)) == 1
    # The platform of a stack that has only models is another stack's, with its alerts.
    pods = rollout("rank", "kubernetes")
    assert (wrong(pods), wrong(pods, resource("delivery:kubernetes:Borrowed", "b"))) == (1, 0)
    assert wrong(rollout("rank", "local")) == 0
    rules = resource(PROMETHEUS_RULE, "r", spec={"groups": [{"rules": [{"alert": "a"}]}]})
    assert wrong(pods, rules) == 0  # the cluster has its own Prometheus, and its own Alertmanager
    for chart in ("kube-prometheus-stack", "oci://mirror.example.com/charts/kube-prometheus-stack"):
        assert wrong(pods, rules, resource(HELM_RELEASE, "m", chart=chart, values={})) == 1
    assert wrong(pods, rules, resource(HELM_RELEASE, "m", chart="envoy-gateway", values={})) == 0
    alarm = resource("aws:cloudwatch/metricAlarm:MetricAlarm", "a", alarmActions=["arn"])
    churn = rollout("churn", "sagemaker")
    assert wrong(churn, changed(alarm, "tags", {"model-delivery/model": "churn"})) == 0
    assert wrong(churn, changed(alarm, "dimensions", {"EndpointName": "prod-churn"})) == 0
    assert wrong(churn, changed(alarm, "dimensions", {"EndpointName": "prod-churn-eu"})) == 1
    assert wrong(churn, changed(alarm, "tags", {"model-delivery/model": "fraud"})) == 1
    # The guard of an update rolls it back, and is no alarm that the operator hears.
    watching = changed(alarm, "tags", {"model-delivery/model": "churn"})
    guard = changed(changed(watching, "alarmActions", MISSING), "dimensions", {"EndpointConfigName": "new"})
    assert (wrong(churn, guard), wrong(churn, watching, guard)) == (1, 0)


def test_the_logs_of_a_high_risk_models_pods_on_eks() -> None:
    rule = [RULES["high-risk-pod-logs"]]

    def wrong(*resources: Resource) -> int:
        return len(evaluate(rule, resources, now=NOW))

    cluster = resource("aws:eks/cluster:Cluster", "eks")
    group = resource("aws:cloudwatch/logGroup:LogGroup", "pods", name="/prod/pods")
    pods = rollout("fraud", "kubernetes")
    assert (wrong(pods, cluster), wrong(pods, cluster, group)) == (1, 0)
    # Another cluster keeps them by itself, or is its owner's to judge; another runtime has logs of its own.
    assert wrong(pods) == wrong(rollout("fraud", "lambda"), cluster) == 0
    assert wrong(changed(pods, "riskClass", "limited"), cluster) == 0


def test_a_deployment_that_is_no_models_needs_a_budget_only_when_it_is_scaled() -> None:
    rule = [RULES["disruption-budget"]]
    plain = kubernetes("apps/v1:Deployment", "web", spec={"template": {"metadata": {"labels": {"app": "w"}}}})

    def scaler(least: int, name: str = "web", kind: str = "Deployment") -> Resource:
        target = {"kind": kind, "name": name}
        spec = {"scaleTargetRef": target, "minReplicas": least, "maxReplicas": 4}
        return kubernetes("autoscaling/v2:HorizontalPodAutoscaler", "web", spec=spec)

    assert evaluate(rule, [plain], now=NOW) == []
    assert evaluate(rule, [plain, scaler(1)], now=NOW) == []
    assert evaluate(rule, [plain, scaler(2, "other")], now=NOW) == []
    assert evaluate(rule, [plain, scaler(2, kind="StatefulSet")], now=NOW) == []
    assert len(evaluate(rule, [plain, scaler(2)], now=NOW)) == 1


def test_what_a_high_risk_model_needs_others_do_not() -> None:
    bare: dict[str, Any] = {"approvedBy": "", "evaluation": "", "riskClass": "limited"}
    rules = [RULES[r] for r in RULES if r.startswith("high-risk")]
    loose = rollout("churn", "lambda", riskClass="limited", drift=False, requestLog={})
    assert evaluate(rules, [release("churn", 3, **bare), loose], now=NOW) == []
    # Either of the two makes it high-risk: the registry, or the environment's file.
    strict = rollout("churn", "lambda", riskClass="high")
    assert len(evaluate(rules, [release("churn", 3, **bare), strict], now=NOW)) == 2
    assert len(evaluate(rules, [release("churn", 3, **{**bare, "riskClass": "high"}), loose], now=NOW)) == 2
    # The model is what the rollout says, whatever the resource is called.
    renamed = replace(
        strict, name="rollout", properties={**strict.properties, "drift": False, "requestLog": {}}
    )
    told = evaluate(rules, [release("churn", 3, **bare), renamed], now=NOW)
    words = {v.message.splitlines()[0] for v in told}
    assert len(told) == 4
    assert any("churn is high-risk and nothing watches its drift" in line for line in words)
    assert any("churn is high-risk and its requests are not logged" in line for line in words)


def test_a_step_is_judged_by_what_is_in_force_and_by_what_was_begun() -> None:
    rule = [RULES["canary-step"]]
    jump = rollout("fraud", "local", canary={"version": 4, "weight": 90})
    assert len(evaluate(rule, [jump], now=NOW)) == 1
    assert evaluate(rule, [changed(jump, "was", MISSING)], now=NOW) == [], "it is in force, or the first"
    # 10 % are recorded, and an update to 60 % ended half-way: neither the one nor the other may be forgotten.
    step = {"stable": {"version": 3}, "canary": {"version": 4, "weight": 10, "shadow": False}, "since": ""}
    grown = changed(changed(jump, "was", step), "canary.weight", 60)
    assert evaluate(rule, [grown], now=NOW) == []
    begun = changed(changed(jump, "was", step), "unfinished", changed_weight(step, 60))
    (told,) = evaluate(rule, [begun], now=NOW)
    assert "v4 goes from 10 % to 90 %" in told.message
    lost = changed(
        changed(changed(jump, "was", changed_weight(step, 60)), "unfinished", step), "canary.weight", 70
    )
    (told,) = evaluate(rule, [lost], now=NOW)
    assert "v4 goes from 10 % to 70 %" in told.message and "was begun and not finished" in told.message


def changed_weight(step: dict[str, Any], weight: int) -> dict[str, Any]:
    return {**step, "canary": {**step["canary"], "weight": weight}}


def test_images_count_wherever_they_are_named() -> None:
    plain = resource("aws:lambda/function:Function", "zip", handler="main", tags=TAGS)
    assert rules_of(plain) == []
    preparing = {**POD["spec"], "initContainers": [{**POD["spec"]["containers"][0], "image": "busybox"}]}
    assert "pod-image-digest" in rules_of(kubernetes("core/v1:Pod", "p", spec=preparing))
