"""The whole graph of a model on SageMaker, for every traffic mode."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pytest

from components.environment import ConfigError, Resources, parse
from components.environment.aws_services import sagemaker_instance
from components.platform import declare as declare_platform
from components.platform import deliver
from tests.unit.aws import ACCOUNT, DEV, PREFIX, ROOT, amazon, answers, model_part, one_policy
from tests.unit.graph import Declared, Graph, declare

COMPONENT = "delivery:aws:SageMakerEndpoint"
CONFIGURATION = "aws:sagemaker/endpointConfiguration:EndpointConfiguration"
ENDPOINT = "aws:sagemaker/endpoint:Endpoint"
MODEL = "aws:sagemaker/model:Model"
ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
TARGET = "aws:appautoscaling/target:Target"
POLICY = "aws:appautoscaling/policy:Policy"


CHURN: dict[str, Any] = {"runtime": "sagemaker", "stable": {"version": 3}}
GUARDED: dict[str, Any] = {**DEV, "sagemaker": {**DEV["sagemaker"], "autoRollback": True}}


def churn(platform: dict[str, Any] | None = None, **model: Any) -> tuple[Graph, dict[str, Any]]:
    graph, endpoints, _ = amazon({"churn": {**CHURN, **model}}, platform or DEV)
    return graph, endpoints["churn"]


def counts(releases: int, answering: int, scaled: int = 0) -> dict[str, int]:
    found = {
        "delivery:registry:Release": releases,
        MODEL: releases,
        ALARM: 2 * answering,
        TARGET: scaled,
        POLICY: scaled,
        "aws:iam/role:Role": 1,
        "aws:iam/rolePolicy:RolePolicy": 1,
        "aws:cloudwatch/logGroup:LogGroup": 1,
        CONFIGURATION: 1,
        ENDPOINT: 1,
    }
    return {type: number for type, number in found.items() if number}


def endpoint_counts(graph: Graph) -> dict[str, int]:
    found: dict[str, int] = {}
    for resource in model_part(graph, COMPONENT, "churn"):
        found[resource.type] = found.get(resource.type, 0) + 1
    return found


def variants(graph: Graph, key: str = "productionVariants") -> list[dict[str, Any]]:
    return graph.one(CONFIGURATION, "churn").inputs.get(key, [])


def guards_of(graph: Graph) -> list[Declared]:
    return [r for r in graph.resources if r.type == ALARM and r.name.endswith("-guard")]


def split(found: list[dict[str, Any]]) -> dict[str, tuple[str, float]]:
    return {v["variantName"]: (v["modelName"], v["initialVariantWeight"]) for v in found}


@pytest.mark.parametrize(
    ("canary", "production", "shadow"),
    [
        (None, {"stable": ("churn-v3-auto", 100)}, {}),
        (
            {"version": 4, "weight": 10},
            {"stable": ("churn-v3-auto", 90), "canary": ("churn-v4-auto", 10)},
            {},
        ),
        (
            {"version": 4, "weight": 0},
            {"stable": ("churn-v3-auto", 100), "canary": ("churn-v4-auto", 0)},
            {},
        ),
        (
            {"version": 4, "weight": 100},
            {"stable": ("churn-v3-auto", 0), "canary": ("churn-v4-auto", 100)},
            {},
        ),
        (
            {"version": 4, "shadow": True},
            {"stable": ("churn-v3-auto", 100)},
            # As much as the stable: every request.
            {"shadow": ("churn-v4-auto", 100)},
        ),
    ],
)
def test_every_mode_is_the_variants_of_one_configuration(
    canary: dict[str, Any] | None,
    production: dict[str, tuple[str, float]],
    shadow: dict[str, tuple[str, float]],
) -> None:
    graph, endpoint = churn(**({"canary": canary} if canary else {}))
    assert endpoint_counts(graph) == counts(len(production) + len(shadow), len(production))
    assert split(variants(graph)) == production
    assert split(variants(graph, "shadowProductionVariants")) == shadow
    told = [(r["version"], r["weight"], r["shadow"]) for r in endpoint["releases"]]
    assert told == [
        *((int(model[7]), weight, False) for model, weight in production.values()),
        *((int(model[7]), 0, True) for model, _ in shadow.values()),
    ]


def test_a_change_of_weights_makes_a_configuration_and_moves_the_endpoint_in_place() -> None:
    def others(graph: Graph) -> list[Any]:
        return sorted(
            (r.type, r.name, json.dumps(r.inputs, sort_keys=True))
            for r in graph.resources
            if r.type != CONFIGURATION
        )

    ten, _ = churn(canary={"version": 4, "weight": 10})
    fifty, _ = churn(canary={"version": 4, "weight": 50})
    # But for the configuration's name, which SageMaker's answer gives a new value.
    assert others(ten) == others(fifty)
    assert split(variants(ten)) != split(variants(fifty))
    # Auto-named: the new one is made beside the old one.
    assert "name" not in ten.one(CONFIGURATION, "churn").inputs
    assert ten.one(ENDPOINT, "churn").inputs["endpointConfigName"] == "churn-auto"


def test_promotion_keeps_the_canarys_model() -> None:
    canary, _ = churn(canary={"version": 4, "weight": 50})
    promoted, _ = churn(stable={"version": 4})
    assert promoted.one(MODEL, "churn-v4").inputs == canary.one(MODEL, "churn-v4").inputs
    assert split(variants(promoted)) == {"stable": ("churn-v4-auto", 100)}
    # The endpoint, which callers name, stays.
    for graph in (canary, promoted):
        assert graph.one(ENDPOINT, "churn").inputs["name"] == f"{PREFIX}-churn"


def test_a_release_is_a_model_without_a_network() -> None:
    graph, endpoint = churn(owner="risk-team")
    model = graph.one(MODEL, "churn-v3")
    assert model.inputs == {
        "executionRoleArn": "arn:of:churn",
        "enableNetworkIsolation": True,
        "primaryContainer": {
            "image": ROOT,
            "mode": "SingleModel",
            "modelDataSource": {
                "s3DataSources": [
                    {
                        "s3Uri": "s3://models/churn-v3/",
                        "s3DataType": "S3Prefix",
                        "compressionType": "None",
                    }
                ]
            },
            "environment": {
                "SERVING_MODEL": "churn",
                "SERVING_VERSION": "3",
                "SERVING_DIGEST": "sha256:churn-v3",
                "SERVING_ARTIFACT": "/opt/ml/model",
                "SERVING_HOST": "0.0.0.0",
                "SERVING_PORT": "8080",
            },
        },
        "tags": {
            "model-delivery/model": "churn",
            "model-delivery/version": "3",
            "model-delivery/owner": "risk-team",
        },
    }
    types = {r.urn: r.type for r in graph.resources}
    assert "aws:iam/rolePolicy:RolePolicy" in {types[urn] for urn in model.needs}
    assert endpoint["url"] == (
        f"https://runtime.sagemaker.eu-central-1.amazonaws.com/endpoints/{PREFIX}-churn/invocations"
    )
    taggable = (*counts(1, 1), TARGET)
    untagged = ("delivery:registry:Release", "aws:iam/rolePolicy:RolePolicy")
    for resource in model_part(graph, COMPONENT, "churn"):
        if resource.type in taggable and resource.type not in untagged:
            assert resource.inputs["tags"]["model-delivery/model"] == "churn", resource.type


def test_what_it_may_do() -> None:
    graph, _ = churn()
    bucket = f"arn:aws:s3:::{PREFIX}-artifacts-{ACCOUNT}"
    rights = one_policy(graph, "aws:iam/rolePolicy:RolePolicy", "churn")
    assert [(r["Action"], r["Resource"]) for r in rights] == [
        (["s3:ListBucket"], [bucket]),
        (["s3:GetObject"], [f"{bucket}/mlflow/*"]),
        (["kms:Decrypt"], ["arn:of:key"]),
        (
            ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            [f"arn:aws:ecr:eu-central-1:{ACCOUNT}:repository/serving"],
        ),
        (["ecr:GetAuthorizationToken"], ["*"]),
        (["cloudwatch:PutMetricData"], ["*"]),
        (
            ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"],
            [f"arn:aws:logs:eu-central-1:{ACCOUNT}:log-group:/aws/sagemaker/Endpoints/{PREFIX}-churn:*"],
        ),
    ]
    assert rights[5]["Condition"] == {"StringEquals": {"cloudwatch:namespace": "/aws/sagemaker/Endpoints"}}
    # Its log has an end only if the group is there first.
    group = graph.one("aws:cloudwatch/logGroup:LogGroup", "churn")
    assert group.inputs["name"] == f"/aws/sagemaker/Endpoints/{PREFIX}-churn"
    assert group.urn in graph.one(ENDPOINT, "churn").needs


class TestCapture:
    def test_is_off_by_default(self) -> None:
        graph, _ = churn()
        assert "dataCaptureConfig" not in graph.one(CONFIGURATION, "churn").inputs

    def test_writes_a_part_of_requests_and_answers_to_the_bucket(self) -> None:
        graph, _ = churn({**DEV, "sagemaker": {**DEV["sagemaker"], "capturePercent": 10}})
        bucket = f"{PREFIX}-artifacts-{ACCOUNT}"
        assert graph.one(CONFIGURATION, "churn").inputs["dataCaptureConfig"] == {
            "enableCapture": True,
            "initialSamplingPercentage": 10,
            "destinationS3Uri": f"s3://{bucket}/capture/churn",
            "kmsKeyId": "arn:of:key",
            "captureOptions": [{"captureMode": "Input"}, {"captureMode": "Output"}],
            "captureContentTypeHeader": {"jsonContentTypes": ["application/json"]},
        }
        rights = one_policy(graph, "aws:iam/rolePolicy:RolePolicy", "churn")
        assert [r["Resource"] for r in rights if "s3:PutObject" in r["Action"]] == [
            [f"arn:aws:s3:::{bucket}/capture/churn/*"]
        ]


class TestRollback:
    def test_an_update_whose_new_fleet_raises_an_alarm_goes_back(self) -> None:
        graph, _ = churn(GUARDED, canary={"version": 4, "weight": 10})
        endpoint = graph.one(ENDPOINT, "churn")
        deployment = endpoint.inputs["deploymentConfig"]
        guards = guards_of(graph)
        assert [a["alarmName"] for a in deployment["autoRollbackConfiguration"]["alarms"]] == [
            f"churn-{variant}-{metric}-guard-auto"
            for variant in ("stable", "canary")
            for metric in ("invocation5xxerrors", "modellatency")
        ]
        assert len(guards) == 4
        assert deployment["blueGreenUpdatePolicy"] == {
            "trafficRoutingConfiguration": {"type": "ALL_AT_ONCE", "waitIntervalInSeconds": 300},
            "terminationWaitInSeconds": 60,
            "maximumExecutionTimeoutInSeconds": 3600,
        }
        assert {r.urn for r in graph.resources if r.type == ALARM} <= endpoint.needs

    def test_an_old_fleet_that_fails_refuses_no_update(self) -> None:
        """SageMaker ends an update whose old fleet trips an alarm, so a revert of a bad release would bounce
        back to it: docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-configuration.html. The
        dimension EndpointConfigName leaves the old fleet out."""
        graph, _ = churn(GUARDED, canary={"version": 4, "weight": 10})
        for guard in guards_of(graph):
            assert guard.inputs["dimensions"] == {
                "EndpointName": f"{PREFIX}-churn",
                "VariantName": guard.name.split("-")[1],
                "EndpointConfigName": "churn-auto",
            }
            # CloudWatch leaves an alarm that is changed in the state that it was in
            # (API_PutMetricAlarm.html): one that rang for the old fleet would end the update before it
            # began. So each one is new, and its name, by which SageMaker knows it, too.
            assert guard.replaced_by == {"dimensions"} and not guard.goes_first
            assert "name" not in guard.inputs
            # Before the first request of the new fleet there is no metric of it.
            assert guard.inputs["treatMissingData"] == "notBreaching"

    def test_the_guard_changes_with_a_configuration_alone(self) -> None:
        """An endpoint is updated to a new configuration (API_UpdateEndpoint.html), so one whose guard was of
        another kind gets one."""
        for platform, kind in ((GUARDED, "new-fleet"), (DEV, None)):
            configuration = churn(platform)[0].one(CONFIGURATION, "churn")
            assert configuration.inputs["tags"].get("model-delivery/guard") == kind
            assert configuration.replaced_by == {'tags["model-delivery/guard"]'}

    def test_the_operators_alarms_are_told_of_any_fleet_and_guard_nothing(self) -> None:
        graph, _ = churn({**GUARDED, "alarmTopicArn": f"arn:aws:sns:eu-central-1:{ACCOUNT}:oncall"})
        guarding = graph.one(ENDPOINT, "churn").inputs["deploymentConfig"]["autoRollbackConfiguration"]
        used = {alarm["alarmName"] for alarm in guarding["alarms"]}
        telling = [r for r in graph.resources if r.type == ALARM and r.inputs.get("alarmActions")]
        assert {r.name for r in telling} == {
            f"churn-{variant}-{metric}"
            for variant in ("stable", "canary")
            for metric in ("invocation5xxerrors", "modellatency")
        }
        for alarm in telling:
            assert set(alarm.inputs["dimensions"]) == {"EndpointName", "VariantName"}
            assert alarm.inputs["name"] not in used

    def test_what_raises_an_alarm(self) -> None:
        topic = f"arn:aws:sns:eu-central-1:{ACCOUNT}:oncall"
        graph, _ = churn({**DEV, "alarmTopicArn": topic})
        errors = graph.one(ALARM, "churn-stable-invocation5xxerrors").inputs
        assert (errors["statistic"], errors["threshold"]) == ("Sum", 5)
        assert errors["dimensions"] == {"EndpointName": f"{PREFIX}-churn", "VariantName": "stable"}
        slow = graph.one(ALARM, "churn-stable-modellatency").inputs
        assert (slow["extendedStatistic"], slow["threshold"]) == ("p99", 1_000_000)
        assert "statistic" not in slow
        for alarm in (errors, slow):
            assert (alarm["period"], alarm["evaluationPeriods"], alarm["datapointsToAlarm"]) == (60, 3, 2)
            assert (alarm["treatMissingData"], alarm["alarmActions"]) == ("notBreaching", [topic])

    def test_is_off_by_default_and_alarms_are_not(self) -> None:
        graph, _ = churn()
        assert "deploymentConfig" not in graph.one(ENDPOINT, "churn").inputs
        assert len(graph.names(ALARM)) == 2

    def test_keeps_the_names_of_the_variants_through_a_whole_promotion(self) -> None:
        """SageMaker refuses a guarded update between variants of other names."""
        steps: list[dict[str, Any]] = [
            {},
            {"canary": {"version": 4, "weight": 0}},
            {"canary": {"version": 4, "weight": 10}},
            {"canary": {"version": 4, "weight": 100}},
            {"stable": {"version": 4}},
        ]
        graphs = [churn(GUARDED, **step)[0] for step in steps]
        assert [split(variants(graph)) for graph in graphs] == [
            {"stable": ("churn-v3-auto", 100), "canary": ("churn-v3-auto", 0)},
            {"stable": ("churn-v3-auto", 100), "canary": ("churn-v4-auto", 0)},
            {"stable": ("churn-v3-auto", 90), "canary": ("churn-v4-auto", 10)},
            {"stable": ("churn-v3-auto", 0), "canary": ("churn-v4-auto", 100)},
            {"stable": ("churn-v4-auto", 100), "canary": ("churn-v4-auto", 0)},
        ]
        # Neither is the guard itself, whose coming or going would replace the endpoint, ever another one.
        guards = [json.dumps(graph.one(ENDPOINT, "churn").inputs, sort_keys=True) for graph in graphs]
        assert len(set(guards)) == 1

    def test_a_canary_at_rest_is_one_unasked_instance_of_the_stable_version(self) -> None:
        graph, endpoint = churn(GUARDED, autoscaling={"min": 4, "max": 20})
        assert [v["initialInstanceCount"] for v in variants(graph)] == [20, 1]
        # Two alarms of the operator and two of the guard for each of two variants.
        assert endpoint_counts(graph) == counts(1, 4, 1)
        assert [(r["version"], r["weight"]) for r in endpoint["releases"]] == [(3, 100)]

    def test_sagemaker_may_look_at_the_alarms(self) -> None:
        for platform, expected in (
            (DEV, []),
            (GUARDED, [[f"arn:aws:cloudwatch:eu-central-1:{ACCOUNT}:alarm:*"]]),
        ):
            graph, _ = churn(platform)
            rights = one_policy(graph, "aws:iam/rolePolicy:RolePolicy", "churn")
            assert [r["Resource"] for r in rights if r["Action"] == ["cloudwatch:DescribeAlarms"]] == expected

    def test_a_shadow_has_no_room_beside_it(self) -> None:
        with pytest.raises(ConfigError) as caught:
            parse(GUARDED, {"churn": {**CHURN, "canary": {"version": 4, "shadow": True}}})
        assert [str(problem) for problem in caught.value.problems] == [
            "models.churn.canary.shadow is true: not with platform.sagemaker.autoRollback: it asks for two"
            " answering variants at all times, and SageMaker takes only one beside a shadow. Turn that off,"
            " or give the canary a weight."
        ]

    def test_an_update_that_went_back_is_no_success_and_is_told_in_no_rollout(self) -> None:
        """The provider's answer is then the old configuration, with no error."""
        graphs: list[Graph] = []

        def back(type: str, name: str, inputs: dict[str, Any]) -> dict[str, Any]:
            if type == ENDPOINT:
                return {**answers(type, name, inputs), "endpointConfigName": "churn-of-yesterday"}
            return answers(type, name, inputs)

        told = f"{PREFIX}-churn has gone back.*churn-of-yesterday.*churn-auto"
        with pytest.raises(pulumi.RunError, match=told):
            environment = parse(DEV, {"churn": CHURN})
            declare(
                lambda: deliver(declare_platform(environment.platform), environment.models),
                back,
                into=graphs,
            )
        assert graphs[0].names(ENDPOINT) and not graphs[0].names("delivery:registry:Rollout")

    def test_the_configuration_that_it_may_go_back_to_stays(self) -> None:
        graph, _ = churn()
        assert graph.one(CONFIGURATION, "churn").retained


class TestCapacity:
    @pytest.mark.parametrize(
        ("canary", "first", "least"),
        [
            (None, {"stable": 20}, {"stable": 4}),
            ({"version": 4, "weight": 10}, {"stable": 18, "canary": 2}, {"stable": 4}),
            ({"version": 4, "weight": 0}, {"stable": 20, "canary": 1}, {"stable": 4}),
            ({"version": 4, "shadow": True}, {"stable": 20, "shadow": 20}, {"stable": 4}),
        ],
    )
    def test_follows_the_weight(
        self, canary: dict[str, Any] | None, first: dict[str, int], least: dict[str, int]
    ) -> None:
        more: dict[str, Any] = {"canary": canary} if canary else {}
        graph, _ = churn(autoscaling={"min": 4, "max": 20}, **more)
        found = [*variants(graph), *variants(graph, "shadowProductionVariants")]
        # A new fleet starts at its largest: SageMaker forgets what the autoscaler had reached.
        assert {v["variantName"]: v["initialInstanceCount"] for v in found} == first
        targets = {r.name.removeprefix("churn-"): r.inputs for r in graph.resources if r.type == TARGET}
        assert {name: t["minCapacity"] for name, t in targets.items()} == least
        assert {t["maxCapacity"] for t in targets.values()} == {20}
        assert endpoint_counts(graph) == counts(len(first), len(first) - ("shadow" in first), 1)
        for name, target in targets.items():
            assert target["resourceId"] == f"endpoint/{PREFIX}-churn/variant/{name}"
            assert ENDPOINT in {
                r.type for r in graph.resources if r.urn in graph.one(TARGET, f"churn-{name}").needs
            }

    def test_of_equal_bounds_is_fixed(self) -> None:
        graph, _ = churn(autoscaling={"min": 3}, canary={"version": 4, "weight": 50})
        assert not graph.names(TARGET)
        assert [v["initialInstanceCount"] for v in variants(graph)] == [2, 2]

    def test_grows_with_requests_where_a_rate_is_given(self) -> None:
        graph, _ = churn(autoscaling={"min": 1, "max": 4, "requestsPerSecond": 50})
        policy = graph.one(POLICY, "churn-stable").inputs
        assert policy["policyType"] == "TargetTrackingScaling"
        assert policy["targetTrackingScalingPolicyConfiguration"] == {
            "predefinedMetricSpecification": {
                "predefinedMetricType": "SageMakerVariantInvocationsPerInstance"
            },
            "targetValue": 3000,
            "scaleInCooldown": 600,
            "scaleOutCooldown": 60,
        }

    def test_grows_with_the_load_of_its_cores_where_none_is(self) -> None:
        graph, _ = churn(autoscaling={"min": 1, "max": 4}, resources={"cpu": 4, "memory": "8Gi"})
        found = graph.one(POLICY, "churn-stable").inputs["targetTrackingScalingPolicyConfiguration"]
        metric = found["customizedMetricSpecification"]
        assert (metric["metricName"], metric["namespace"]) == ("CPUUtilization", "/aws/sagemaker/Endpoints")
        assert metric["dimensions"] == [
            {"name": "EndpointName", "value": f"{PREFIX}-churn"},
            {"name": "VariantName", "value": "stable"},
        ]
        assert found["targetValue"] == 240  # 60 % of four cores


class TestInstances:
    @pytest.mark.parametrize(
        ("asked", "name"),
        [
            (Resources(), "ml.m5.large"),
            (Resources(cpu=2, memory="8Gi"), "ml.m5.large"),
            (Resources(cpu=2.001, memory="2Gi"), "ml.m5.xlarge"),
            (Resources(cpu=1, memory="9Gi"), "ml.m5.xlarge"),
            (Resources(cpu=17, memory="1Gi"), "ml.m5.12xlarge"),
            (Resources(gpu=1), "ml.g5.xlarge"),
            (Resources(gpu=1, cpu=8), "ml.g5.2xlarge"),
            (Resources(gpu=2), "ml.g5.12xlarge"),
            (Resources(gpu=5), "ml.g5.48xlarge"),
        ],
    )
    def test_the_smallest_that_has_what_is_asked(self, asked: Resources, name: str) -> None:
        found = sagemaker_instance(asked)
        assert found and found.name == name

    def test_is_the_variants(self) -> None:
        graph, _ = churn(resources={"cpu": 3, "memory": "4Gi"})
        assert [v["instanceType"] for v in variants(graph)] == ["ml.m5.xlarge"]
        assert graph.one(CONFIGURATION, "churn").inputs["kmsKeyArn"] == "arn:of:key"

    def test_a_gpu_needs_no_gpu_pool_and_takes_no_key(self) -> None:
        """Instances with disks of their own refuse one."""
        graph, _ = churn({**DEV, "imageUsesGpu": True}, resources={"gpu": 1})
        assert [v["instanceType"] for v in variants(graph)] == ["ml.g5.xlarge"]
        assert "kmsKeyArn" not in graph.one(CONFIGURATION, "churn").inputs
        (name,) = graph.names(MODEL)
        assert graph.one(MODEL, name).inputs["primaryContainer"]["environment"]["SERVING_DEVICE"] == "gpu"

    @pytest.mark.parametrize(
        ("resources", "most"),
        [
            ({"cpu": 97}, "96 cores, 384Gi"),
            ({"memory": "385Gi"}, "96 cores, 384Gi"),
            ({"gpu": 9}, "8 GPUs, 192 cores, 768Gi"),
        ],
    )
    def test_more_than_any_has_is_a_mistake_in_the_file(self, resources: dict[str, Any], most: str) -> None:
        models = {"churn": {"runtime": "sagemaker", "stable": {"version": 3}, "resources": resources}}
        with pytest.raises(ConfigError) as caught:
            parse({**DEV, "imageUsesGpu": True}, models)
        assert [str(problem) for problem in caught.value.problems] == [
            "models.churn.resources is a map of 1 key: more than a SageMaker instance has; the largest has"
            f" {most}."
        ]
