"""The whole graph of a model on Lambda, for every traffic mode."""

from __future__ import annotations

import json
from typing import Any

import pytest

from components.aws.artifacts import located
from components.environment import ConfigError, parse
from tests.unit.aws import ACCOUNT, DEV, IMAGE, PREFIX, amazon, model_part, one_policy
from tests.unit.graph import Graph

ENDPOINT = "delivery:aws:LambdaEndpoint"
A_RELEASE = {
    "delivery:registry:Release": 1,
    "aws:lambda/function:Function": 1,
    "aws:lambda/alias:Alias": 1,
    "aws:lambda/permission:Permission": 1,
    "aws:lb/targetGroup:TargetGroup": 1,
    "aws:lb/targetGroupAttachment:TargetGroupAttachment": 1,
    "aws:cloudwatch/logGroup:LogGroup": 1,
    "aws:cloudwatch/metricAlarm:MetricAlarm": 2,
    "aws:iam/role:Role": 1,
    "aws:iam/rolePolicy:RolePolicy": 1,
    "aws:scheduler/schedule:Schedule": 1,
}
ROUTE = "aws:apigatewayv2/route:Route"
RULE = "aws:lb/listenerRule:ListenerRule"
FUNCTION = "aws:lambda/function:Function"
WARM = "aws:lambda/provisionedConcurrencyConfig:ProvisionedConcurrencyConfig"


def churn(platform: dict[str, Any] | None = None, **model: Any) -> tuple[Graph, dict[str, Any]]:
    graph, endpoints, _ = amazon(
        {"churn": {"runtime": "lambda", "stable": {"version": 3}, **model}}, platform or DEV
    )
    return graph, endpoints["churn"]


def counts(releases: int, **more: int) -> dict[str, int]:
    return {**{k: n * releases for k, n in A_RELEASE.items()}, RULE: 1, ROUTE: 2, **more}


def endpoint_counts(graph: Graph, name: str = "churn") -> dict[str, int]:
    found: dict[str, int] = {}
    for resource in model_part(graph, ENDPOINT, name):
        found[resource.type] = found.get(resource.type, 0) + 1
    return found


def weights(graph: Graph) -> dict[str, int]:
    (action,) = graph.one(RULE, "churn").inputs["actions"]
    return {
        group["arn"].removeprefix("arn:of:"): group["weight"] for group in action["forward"]["targetGroups"]
    }


MODES: list[tuple[dict[str, Any] | None, dict[str, int]]] = [
    (None, {"churn-v3": 100}),
    ({"version": 4, "weight": 10}, {"churn-v3": 90, "churn-v4": 10}),
    ({"version": 4, "weight": 0}, {"churn-v3": 100, "churn-v4": 0}),
    ({"version": 4, "weight": 100}, {"churn-v3": 0, "churn-v4": 100}),
]


@pytest.mark.parametrize(("canary", "split"), MODES)
def test_every_mode_is_the_weights_of_one_rule(canary: dict[str, Any] | None, split: dict[str, int]) -> None:
    graph, endpoint = churn(**({"canary": canary} if canary else {}))
    assert endpoint_counts(graph) == counts(len(split))
    assert weights(graph) == split
    assert [(f"churn-v{r['version']}", r["weight"], r["shadow"]) for r in endpoint["releases"]] == [
        (name, weight, False) for name, weight in split.items()
    ]
    assert endpoint["url"] == "https://api.example.com/churn"


def test_a_change_of_weights_changes_the_rule_alone() -> None:
    def others(graph: Graph) -> list[Any]:
        return sorted(
            (r.type, r.name, json.dumps(r.inputs, sort_keys=True)) for r in graph.resources if r.type != RULE
        )

    ten, _ = churn(canary={"version": 4, "weight": 10})
    fifty, _ = churn(canary={"version": 4, "weight": 50})
    assert others(ten) == others(fifty)
    assert weights(ten) != weights(fifty)


def test_promotion_leaves_the_canarys_function_as_it_is() -> None:
    canary, _ = churn(canary={"version": 4, "weight": 50})
    promoted, _ = churn(stable={"version": 4})
    left = {
        (r.type, r.name): r.inputs
        for r in model_part(promoted, ENDPOINT, "churn")
        if r.type not in (RULE, ROUTE)
    }
    before = {(r.type, r.name): r.inputs for r in model_part(canary, ENDPOINT, "churn")}
    assert left and {key: before[key] for key in left} == left


def test_the_rule() -> None:
    graph, _ = churn(owner="risk-team", canary={"version": 4, "weight": 10}, autoscaling={"min": 2})
    rule = graph.one(RULE, "churn").inputs
    assert rule["listenerArn"] == "arn:of:lambda"
    assert rule["conditions"] == [{"pathPattern": {"values": ["/churn", "/churn/*"]}}]
    assert rule["tags"] == {"model-delivery/model": "churn", "model-delivery/owner": "risk-team"}
    # A release can answer, and is warm, before it is asked.
    ready = {
        r.urn
        for r in graph.resources
        if r.type in (WARM, "aws:lb/targetGroupAttachment:TargetGroupAttachment")
    }
    assert len(ready) == 4 and ready <= graph.one(RULE, "churn").needs
    by_name = {r.urn: r for r in graph.resources}
    for name in ("churn-v3", "churn-v4"):
        attachment = graph.one("aws:lb/targetGroupAttachment:TargetGroupAttachment", name)
        assert "aws:lambda/permission:Permission" in {by_name[urn].type for urn in attachment.needs}


def test_a_release_is_one_published_function() -> None:
    graph, _ = churn(owner="risk-team", riskClass="high", resources={"cpu": 1, "memory": "3Gi"})
    function = graph.one(FUNCTION, "churn-v3").inputs
    tags = {
        "model-delivery/model": "churn",
        "model-delivery/version": "3",
        "model-delivery/owner": "risk-team",
        "model-delivery/riskClass": "high",
    }
    assert function == {
        "name": f"{PREFIX}-churn-v3",
        "packageType": "Image",
        "imageUri": IMAGE,
        "architectures": ["x86_64"],
        "role": "arn:of:churn-v3",
        "memorySize": 3072,
        "timeout": 30,
        "ephemeralStorage": {"size": 2048},
        "publish": True,
        "environment": {
            "variables": {
                "SERVING_MODEL": "churn",
                "SERVING_VERSION": "3",
                "SERVING_DIGEST": "sha256:churn-v3",
                "SERVING_SOURCE": "s3://models/churn-v3",
                "SERVING_ARTIFACT": "/tmp/model",
                "SERVING_PORT": "8080",
                "AWS_LWA_PORT": "8080",
                "AWS_LWA_READINESS_CHECK_PATH": "/v2/health/ready",
                "AWS_LWA_READINESS_CHECK_HEALTHY_STATUS": "200",
                "AWS_LWA_REMOVE_BASE_PATH": "/churn",
                "AWS_LWA_ASYNC_INIT": "true",
                "AWS_LWA_ERROR_STATUS_CODES": "500-599",
            }
        },
        "loggingConfig": {"logFormat": "JSON", "logGroup": f"/{PREFIX}/lambda/churn-v3"},
        "tags": tags,
    }
    alias = graph.one("aws:lambda/alias:Alias", "churn-v3").inputs
    assert alias == {"name": "live", "functionName": f"{PREFIX}-churn-v3", "functionVersion": "1"}
    tagged = [r for r in model_part(graph, ENDPOINT, "churn") if "tags" in r.inputs and r.type != RULE]
    assert len(tagged) == 6 and all(r.inputs["tags"] == tags for r in tagged)


def test_only_the_load_balancer_may_call_it_and_only_by_the_alias() -> None:
    graph, _ = churn()
    permission = graph.one("aws:lambda/permission:Permission", "churn-v3").inputs
    assert permission == {
        "action": "lambda:InvokeFunction",
        "function": f"{PREFIX}-churn-v3",
        "qualifier": "live",
        "principal": "elasticloadbalancing.amazonaws.com",
        "sourceArn": "arn:of:churn-v3",
    }
    group = graph.one("aws:lb/targetGroup:TargetGroup", "churn-v3").inputs
    assert group["targetType"] == "lambda"
    attachment = graph.one("aws:lb/targetGroupAttachment:TargetGroupAttachment", "churn-v3").inputs
    assert attachment == {"targetGroupArn": "arn:of:churn-v3", "targetId": "arn:of:churn-v3"}


def test_it_may_read_models_and_write_its_own_log() -> None:
    graph, _ = churn()
    bucket = f"arn:aws:s3:::{PREFIX}-artifacts-{ACCOUNT}"
    rights = one_policy(graph, "aws:iam/rolePolicy:RolePolicy", "churn-v3")
    assert [(r["Action"], r["Resource"], r.get("Condition")) for r in rights] == [
        (
            ["logs:CreateLogStream", "logs:PutLogEvents"],
            [f"arn:aws:logs:eu-central-1:{ACCOUNT}:log-group:/{PREFIX}/lambda/churn-v3:*"],
            None,
        ),
        (["s3:ListBucket"], [bucket], {"StringLike": {"s3:prefix": ["mlflow/*"]}}),
        (["s3:GetObject"], [f"{bucket}/mlflow/*"], None),
        (["kms:Decrypt"], ["arn:of:key"], None),
    ]
    # Lambda can't take a role whose rights are not there yet.
    function = graph.one(FUNCTION, "churn-v3")
    by_urn = {r.urn: r.type for r in graph.resources}
    assert "aws:iam/rolePolicy:RolePolicy" in {by_urn[urn] for urn in function.needs}


@pytest.mark.parametrize(
    ("autoscaling", "canary", "warm", "reserved"),
    [
        (None, None, {}, None),
        ({"min": 0, "max": 50}, 10, {}, 50),
        ({"min": 10, "max": 50}, None, {"churn-v3": 10}, 50),
        ({"min": 10, "max": 50}, 25, {"churn-v3": 8, "churn-v4": 3}, 50),
        ({"min": 10, "max": 50}, 0, {"churn-v3": 10, "churn-v4": 1}, 50),
        ({"min": 2}, 100, {"churn-v3": 1, "churn-v4": 2}, None),
    ],
)
def test_warm_instances_follow_the_weight_and_the_limit_does_not(
    autoscaling: dict[str, int] | None, canary: int | None, warm: dict[str, int], reserved: int | None
) -> None:
    more: dict[str, Any] = {"autoscaling": autoscaling} if autoscaling else {}
    if canary is not None:
        more["canary"] = {"version": 4, "weight": canary}
    graph, _ = churn(**more)
    found = {r.name: r.inputs for r in graph.resources if r.type == WARM}
    assert {name: i["provisionedConcurrentExecutions"] for name, i in found.items()} == warm
    assert all(i["qualifier"] == "live" for i in found.values())
    functions = [r for r in graph.resources if r.type == FUNCTION and r.parent == "churn"]
    limits = {r.inputs.get("reservedConcurrentExecutions") for r in functions}
    assert limits == {reserved}


def test_alarms_on_errors_and_throttles_of_each_release() -> None:
    topic = f"arn:aws:sns:eu-central-1:{ACCOUNT}:oncall"
    graph, _ = churn({**DEV, "alarmTopicArn": topic}, canary={"version": 4, "weight": 10})
    alarms = {r.name: r.inputs for r in graph.resources if r.type == "aws:cloudwatch/metricAlarm:MetricAlarm"}
    assert set(alarms) == {
        *("churn-v3-errors", "churn-v3-throttles", "churn-v4-errors", "churn-v4-throttles"),
        *("lambda-5xx", "link-keeper"),
    }
    errors = alarms["churn-v4-errors"]
    assert (errors["metricName"], errors["statistic"], errors["threshold"]) == ("Errors", "Sum", 5)
    assert errors["dimensions"] == {"FunctionName": f"{PREFIX}-churn-v4"}
    assert (errors["period"], errors["evaluationPeriods"], errors["datapointsToAlarm"]) == (60, 5, 3)
    assert errors["alarmActions"] == [topic]
    assert alarms["churn-v3-throttles"]["threshold"] == 1
    assert all(a["treatMissingData"] == "notBreaching" for a in alarms.values())


def test_alarms_are_of_the_releases_and_of_the_door() -> None:
    topic = f"arn:aws:sns:eu-central-1:{ACCOUNT}:oncall"
    graph, _ = churn({**DEV, "alarmTopicArn": topic})
    alarm = graph.one("aws:cloudwatch/metricAlarm:MetricAlarm", "lambda-5xx").inputs
    assert (alarm["namespace"], alarm["metricName"]) == ("AWS/ApiGateway", "5xx")
    assert alarm["dimensions"] == {"ApiId": "lambda-id"} and alarm["alarmActions"] == [topic]
    assert (alarm["statistic"], alarm["threshold"], alarm["treatMissingData"]) == ("Sum", 5, "notBreaching")


class TestTheWayIn:
    """A caller signs a request, the API asks IAM, the balancer takes requests from the API alone."""

    def test_every_route_asks_iam(self) -> None:
        graph, _, _ = amazon(
            {name: {"runtime": "lambda", "stable": {"version": 1}} for name in ("churn", "fraud")}
        )
        routes = [r.inputs for r in graph.resources if r.type == ROUTE]
        assert {route["routeKey"] for route in routes} == {
            *("ANY /churn", "ANY /churn/{proxy+}", "ANY /fraud", "ANY /fraud/{proxy+}"),
            "GET /-/link",
        }
        assert {route["authorizationType"] for route in routes} == {"AWS_IAM"}
        assert {(route["apiId"], route["target"]) for route in routes} == {
            ("lambda-id", "integrations/lambda-id")
        }

    def test_a_route_comes_after_its_rule(self) -> None:
        graph, _ = churn()
        rule = graph.one(RULE, "churn").urn
        routes = [r for r in graph.resources if r.type == ROUTE and r.parent == "churn"]
        assert len(routes) == 2 and all(rule in r.needs for r in routes)

    def test_is_there_only_with_a_model_on_lambda_and_once(self) -> None:
        kinds = {
            *("aws:lb/loadBalancer:LoadBalancer", "aws:lb/listener:Listener", "aws:apigatewayv2/api:Api"),
            *("aws:apigatewayv2/stage:Stage", "aws:apigatewayv2/vpcLink:VpcLink"),
            "aws:apigatewayv2/integration:Integration",
        }
        without, _, _ = amazon()
        assert not any(without.names(kind) for kind in kinds)
        graph, _, _ = amazon(
            {name: {"runtime": "lambda", "stable": {"version": 1}} for name in ("churn", "fraud")}
        )
        assert {kind: graph.counts().get(kind) for kind in kinds} == dict.fromkeys(kinds, 1)

    def test_the_api_goes_through_the_vpc_to_the_balancer(self) -> None:
        graph, _ = churn()
        api = graph.one("aws:apigatewayv2/api:Api", "lambda").inputs
        assert (api["protocolType"], api["name"]) == ("HTTP", f"{PREFIX}-lambda")
        assert "corsConfiguration" not in api, "browsers of other origins have no business here"
        assert graph.one("aws:apigatewayv2/integration:Integration", "lambda").inputs == {
            "apiId": "lambda-id",
            "integrationType": "HTTP_PROXY",
            "integrationMethod": "ANY",
            "integrationUri": "arn:of:lambda",
            "connectionType": "VPC_LINK",
            "connectionId": "lambda-id",
            "payloadFormatVersion": "1.0",
            "timeoutMilliseconds": 30000,
        }
        link = graph.one("aws:apigatewayv2/vpcLink:VpcLink", "lambda").inputs
        assert link["securityGroupIds"] == ["lambda-link-id"]
        assert link["subnetIds"] == [
            f"network-private-{zone}-id" for zone in ("eu-central-1a", "eu-central-1b")
        ]

    def test_the_balancer_takes_requests_from_the_api_alone(self) -> None:
        graph, _ = churn()
        balancer = graph.one("aws:lb/loadBalancer:LoadBalancer", "lambda").inputs
        assert balancer["internal"] is True and balancer["securityGroups"] == ["lambda-id"]
        ways = [
            r.inputs
            for r in graph.resources
            if r.type == "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
            and r.inputs["securityGroupId"] == "lambda-id"
        ]
        assert [(way["referencedSecurityGroupId"], way["fromPort"], way["toPort"]) for way in ways] == [
            ("lambda-link-id", 80, 80)
        ]
        assert "cidrIpv4" not in ways[0]
        # Without this one the API's requests would not leave its own group.
        out = graph.one("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule", "lambda-link").inputs
        assert (out["securityGroupId"], out["referencedSecurityGroupId"]) == ("lambda-link-id", "lambda-id")
        assert (out["fromPort"], out["toPort"]) == (80, 80)

    def test_who_asked_for_what_is_logged(self) -> None:
        graph, _ = churn()
        stage = graph.one("aws:apigatewayv2/stage:Stage", "lambda").inputs
        assert (stage["name"], stage["autoDeploy"]) == ("$default", True)
        logged = json.loads(stage["accessLogSettings"]["format"])
        assert stage["accessLogSettings"]["destinationArn"] == "arn:of:lambda-requests"
        assert logged["caller"] == "$context.identity.userArn" and logged["path"] == "$context.path"
        group = graph.one("aws:cloudwatch/logGroup:LogGroup", "lambda-requests").inputs
        assert (group["retentionInDays"], group["kmsKeyId"]) == (90, "arn:of:key")
        # A stage that sets anything of these and leaves a limit out lets no request pass.
        assert stage["defaultRouteSettings"] == {
            "detailedMetricsEnabled": True,
            "throttlingBurstLimit": 5000,
            "throttlingRateLimit": 10000,
        }

    def test_the_balancer(self) -> None:
        graph, _ = churn()
        balancer = graph.one("aws:lb/loadBalancer:LoadBalancer", "lambda").inputs
        assert balancer["name"] == f"{PREFIX}-lambda"
        assert (balancer["dropInvalidHeaderFields"], balancer["desyncMitigationMode"]) == (True, "strictest")
        listener = graph.one("aws:lb/listener:Listener", "lambda").inputs
        assert (listener["port"], listener["protocol"]) == (80, "HTTP")
        (default,) = listener["defaultActions"]
        assert default["fixedResponse"]["statusCode"] == "404"

    @pytest.mark.parametrize("protect", [True, False])
    def test_the_last_model_can_be_taken_out(self, protect: bool) -> None:
        """The balancer goes with it, which AWS refuses under deletion protection
        (elasticloadbalancing/latest/APIReference/API_DeleteLoadBalancer.html), and all else of it too."""
        with_it, _ = churn({**DEV, "protectData": protect})
        without = amazon(platform={**DEV, "protectData": protect})[0]
        stays = {(r.type, r.name) for r in without.resources}
        goes = [r for r in with_it.resources if (r.type, r.name) not in stays]
        assert "aws:lb/loadBalancer:LoadBalancer" in {r.type for r in goes}
        for resource in goes:
            assert not resource.protect and not resource.retained, resource.urn
            guarded = [key for key in resource.inputs if "deletionprotection" in key.lower()]
            assert all(resource.inputs[key] is False for key in guarded), resource.urn

    def test_speaks_tls_inside_the_vpc_with_a_certificate(self) -> None:
        certificate = f"arn:aws:acm:eu-central-1:{ACCOUNT}:certificate/{'0' * 8}-0000-0000-0000-{'0' * 12}"
        graph, endpoint = churn({**DEV, "certificateArn": certificate})
        listener = graph.one("aws:lb/listener:Listener", "lambda").inputs
        assert (listener["port"], listener["protocol"]) == (443, "HTTPS")
        assert listener["certificateArn"] == certificate
        assert listener["sslPolicy"] == "ELBSecurityPolicy-TLS13-1-2-2021-06"
        integration = graph.one("aws:apigatewayv2/integration:Integration", "lambda").inputs
        assert integration["tlsConfig"] == {"serverNameToVerify": "models.example.com"}
        for kind in ("Ingress", "Egress"):
            rule = graph.one(f"aws:vpc/securityGroup{kind}Rule:SecurityGroup{kind}Rule", "lambda-link")
            assert (rule.inputs["fromPort"], rule.inputs["toPort"]) == (443, 443)
        assert endpoint["url"] == "https://api.example.com/churn"


def test_long_names_are_cut_and_stay_apart() -> None:
    long = "a" * 39
    graph, _, _ = amazon(
        {f"{long}{end}": {"runtime": "lambda", "stable": {"version": 2147483647}} for end in "bc"}
    )
    groups = {r.inputs["name"] for r in graph.resources if r.type == "aws:lb/targetGroup:TargetGroup"}
    functions = {
        r.inputs["name"] for r in graph.resources if r.type == FUNCTION and r.parent != "link-keeper"
    }
    assert len(groups) == len(functions) == 2
    assert all(len(name) <= 32 for name in groups) and all(len(name) <= 64 for name in functions)


class TestTheArtifact:
    def test_of_an_mlflow_in_the_cluster_is_found_in_its_bucket(self) -> None:
        assert located("mlflow-artifacts:/1/models/m-7/artifacts", "s3://bucket/mlflow") == (
            "s3://bucket/mlflow/1/models/m-7/artifacts"
        )
        assert located("s3://elsewhere/models/7/", "s3://bucket/mlflow") == "s3://elsewhere/models/7"

    def test_that_is_not_in_s3_is_refused(self) -> None:
        with pytest.raises(Exception, match=r"gs://x/y is not in S3.*artifacts are in s3://bucket/mlflow"):
            located("gs://x/y", "s3://bucket/mlflow")


@pytest.mark.parametrize(
    ("model", "mistake"),
    [
        (
            {"canary": {"version": 4, "shadow": True}},
            "models.churn.canary.shadow is true: not on the runtime lambda: the load balancer in front of"
            " Lambda can't mirror requests.",
        ),
        (
            {"resources": {"gpu": 1}},
            "models.churn.resources.gpu is 1: not on the runtime lambda: Lambda has no GPUs.",
        ),
        (
            {"resources": {"memory": "11Gi"}},
            'models.churn.resources.memory is "11Gi": too much for Lambda: 10240Mi is the most, and 5.788'
            " cores come with that.",
        ),
        (
            {"resources": {"cpu": 6}},
            "models.churn.resources.cpu is 6: too much for Lambda: 10240Mi is the most, and 5.788 cores come"
            " with that.",
        ),
        (
            {"autoscaling": {"min": 1, "requestsPerSecond": 5}},
            "models.churn.autoscaling.requestsPerSecond is 5: not on the runtime lambda: Lambda starts an"
            " instance a concurrent request.",
        ),
    ],
)
def test_what_lambda_cannot_do_is_a_mistake_in_the_file(model: dict[str, Any], mistake: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(DEV, {"churn": {"runtime": "lambda", "stable": {"version": 3}, **model}})
    assert [str(problem) for problem in caught.value.problems] == [mistake]
