"""What the stand-ins refuse, and what they take, by the installed SDKs' own declarations."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from planning import outputs
from planning.checking import faults
from planning.immutable import paths, replaces, tokens
from planning.schema import PACKAGES, Package, UnknownTypeError, alternatives
from provider.resource import UNKNOWN

AWS, KUBERNETES, DOCKER, GCP = (Package(name) for name in ("aws", "kubernetes", "docker-build", "gcp"))


def told(package: Package, token: str, inputs: dict[str, Any]) -> list[str]:
    return [str(fault) for fault in faults(package.kind(token), inputs)]


def alias(**more: Any) -> list[str]:
    given = {"functionName": "churn", "functionVersion": "3", **more}
    return told(
        AWS, "aws:lambda/alias:Alias", {key: value for key, value in given.items() if value is not ...}
    )


def test_what_the_sdk_declares_is_taken() -> None:
    assert alias() == []
    assert alias(routingConfig={"additionalVersionWeights": {"4": 0.1}}) == []
    assert alias(routingConfig={"additionalVersionWeights": {"4": 1}}) == []


def test_what_is_not_known_yet_is_taken_everywhere() -> None:
    assert alias(functionVersion=UNKNOWN, routingConfig=UNKNOWN) == []
    assert alias(routingConfig={"additionalVersionWeights": {"4": UNKNOWN}}) == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"functionVersion": ...}, "functionVersion: required"),
        ({"functionVersion": None}, "functionVersion: required"),
        ({"functionVersion": 3}, "functionVersion: must be text, is 3"),
        ({"function_version": "3"}, "function_version: unknown; did you mean functionVersion?"),
        ({"routingConfig": []}, "routingConfig: must be a map, is a list"),
        (
            {"routingConfig": {"additionalVersionWeights": {"4": True}}},
            'routingConfig.additionalVersionWeights["4"]: must be a number, is True',
        ),
    ],
)
def test_what_the_sdk_does_not_declare_is_named(given: dict[str, Any], message: str) -> None:
    assert alias(**given) == [message]


def test_every_mistake_is_told_at_once() -> None:
    pod = {"containers": [{"image": "a"}, {"name": "b", "stdin": "yes"}], "hostNetwork": 1}
    given = {"apiVersion": "v1", "kind": "Pod", "spec": pod}
    assert told(KUBERNETES, "kubernetes:core/v1:Pod", given) == [
        "spec.containers[0].name: required",
        "spec.containers[1].stdin: must be true or false, is 'yes'",
        "spec.hostNetwork: must be true or false, is 1",
    ]


def test_a_value_of_several_types_is_judged_by_the_nearest_one() -> None:
    probe = {"httpGet": {"port": "http"}}
    pod = {"containers": [{"name": "a", "livenessProbe": probe}]}
    given = {"apiVersion": "v1", "kind": "Pod", "spec": pod}
    assert told(KUBERNETES, "kubernetes:core/v1:Pod", given) == []
    probe["httpGet"]["port"] = ["http"]
    assert len(told(KUBERNETES, "kubernetes:core/v1:Pod", given)) == 1


def test_an_enumeration_takes_only_its_members() -> None:
    given = {"push": True, "platforms": ["linux/amd65"]}
    (message,) = told(DOCKER, "docker-build:index:Image", given)
    assert message.startswith("platforms[0]: must be one of ") and "linux/amd64" in message


def test_a_constant_field_takes_only_its_value() -> None:
    given = {"apiVersion": "v2", "kind": "ConfigMap"}
    assert told(KUBERNETES, "kubernetes:core/v1:ConfigMap", given) == ["apiVersion: must be v1, is 'v2'"]


def test_the_envelope_of_a_custom_object_is_checked() -> None:
    token = "kubernetes:gateway.networking.k8s.io/v1:HTTPRoute"
    given: dict[str, Any] = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "a"},
        "spec": {"anything": True},
    }
    assert told(KUBERNETES, token, given) == []
    given["metadata"]["nam"] = given["metadata"].pop("name")
    given["kind"] = "Route"
    assert told(KUBERNETES, token, given) == [
        "kind: must be HTTPRoute, is 'Route'",
        "metadata.nam: unknown; did you mean name?",
    ]


def test_a_type_that_a_package_does_not_have_is_refused() -> None:
    with pytest.raises(UnknownTypeError, match="aws:lambda/alais:Alais is no resource type of pulumi_aws"):
        AWS.kind("aws:lambda/alais:Alais")


def test_the_declarations_of_the_packages_can_be_read() -> None:
    """Every 7th type: the check must not pass over one for its form."""
    for package, prefix in (
        (DOCKER, "docker-build:"),
        (KUBERNETES, "kubernetes:"),
        (AWS, "aws:e"),
        (AWS, "aws:l"),
    ):
        for token in sorted(token for token in package._classes if token.startswith(prefix))[::7]:
            kind = package.kind(token)
            assert kind.inputs is not None and isinstance(faults(kind, {}), list), token
    assert set(PACKAGES) == {"aws", "kubernetes", "gcp", "docker-build"}


def test_names_are_kept_and_chosen_only_where_none_is_given() -> None:
    kind = AWS.kind("aws:cloudwatch/logGroup:LogGroup")
    first = outputs.named(kind, "log", None, {})
    assert first["name"].startswith("log-")
    assert outputs.named(kind, "log", {"name": "log-old"}, {})["name"] == "log-old"
    assert outputs.named(kind, "log", {"name": "log-old"}, {"name": "mine"})["name"] == "mine"
    assert outputs.named(AWS.kind("aws:ec2/vpc:Vpc"), "net", None, {}) == {}


def test_made_up_outputs_have_the_declared_type() -> None:
    for package, token in (
        (AWS, "aws:eks/cluster:Cluster"),
        (AWS, "aws:lambda/function:Function"),
        (AWS, "aws:s3/bucket:Bucket"),
        (KUBERNETES, "kubernetes:core/v1:Service"),
    ):
        kind = package.kind(token)
        made = outputs.created(kind, "one", {})
        assert kind.computed.keys() <= made.keys()
        for name, declared in kind.computed.items():
            options = alternatives(declared)
            if options == [str]:
                assert isinstance(made[name], str), (token, name)
    cluster = outputs.created(AWS.kind("aws:eks/cluster:Cluster"), "one", {})
    assert cluster["identities"][0]["oidcs"][0]["issuer"] == "one-issuer"


def test_what_a_provider_adds_inside_of_an_input_is_there_and_stays() -> None:
    kind = AWS.kind("aws:eks/cluster:Cluster")
    given = {"vpcConfig": {"subnetIds": ["a"]}}
    planned = outputs.preview(kind, given)["vpcConfig"]
    assert planned == {"subnetIds": ["a"], "clusterSecurityGroupId": UNKNOWN}
    made = outputs.created(kind, "one", given)
    assert made["vpcConfig"]["clusterSecurityGroupId"].startswith("sg-")
    wider = {"vpcConfig": {"subnetIds": ["a", "b"]}}
    assert outputs.updated(kind, "one", made, wider, preview=True)["vpcConfig"] == {
        "subnetIds": ["a", "b"],
        "clusterSecurityGroupId": made["vpcConfig"]["clusterSecurityGroupId"],
    }


def test_a_preview_knows_no_output_that_the_provider_alone_gives() -> None:
    kind = AWS.kind("aws:sqs/queue:Queue")
    assert outputs.preview(kind, {"name": "q"})["arn"] is UNKNOWN
    assert outputs.preview(kind, {"name": "q"})["name"] == "q"


def test_a_function_has_a_new_version_only_when_it_changes() -> None:
    kind = AWS.kind("aws:lambda/function:Function")
    old = {"imageUri": "a@sha256:1", "publish": True, "tags": {}}
    state = outputs.created(kind, "churn", old)
    assert state["version"] == "1"
    assert outputs.updated(kind, "churn", state, {**old, "tags": {"a": "b"}}, False)["version"] == "1"
    changed = {**old, "imageUri": "a@sha256:2"}
    assert outputs.updated(kind, "churn", state, changed, True)["version"] is UNKNOWN
    assert outputs.updated(kind, "churn", state, changed, False)["version"] == "2"
    assert outputs.updated(kind, "churn", state, changed, False)["qualifiedArn"].endswith(":2")


@pytest.mark.parametrize(
    ("token", "path", "expected"),
    [
        ("kubernetes:apps/v1:Deployment", "spec.selector.matchLabels.app", True),
        ("kubernetes:apps/v1:Deployment", "spec.selectors", False),
        ("kubernetes:apps/v1:Deployment", "spec.template.spec.containers[0].image", False),
        ("kubernetes:core/v1:ConfigMap", 'data["a.json"]', True),
        ("kubernetes:core/v1:ConfigMap", "metadata.labels.app", False),
        ("kubernetes:core/v1:ConfigMap", "metadata.name", True),
        ("kubernetes:gateway.networking.k8s.io/v1:HTTPRoute", "metadata.namespace", True),
        ("kubernetes:gateway.networking.k8s.io/v1:HTTPRoute", "spec.rules[0].backendRefs[1].weight", False),
        ("aws:lambda/alias:Alias", "metadata.name", False),
        ("aws:lambda/alias:Alias", "functionVersion", False),
        ("aws:lambda/alias:Alias", "functionName", True),
        ("aws:sagemaker/endpoint:Endpoint", "deploymentConfig.autoRollbackConfiguration", True),
        ("aws:sagemaker/endpoint:Endpoint", "deploymentConfig.autoRollbackConfiguration.alarms[1]", False),
        ("aws:eks/nodeGroup:NodeGroup", "launchTemplate.version", False),
        ("gcp:cloudrunv2/service:Service", "template.containers[0].image", False),
        ("gcp:cloudrunv2/service:Service", "name", True),
        ("gcp:compute/regionUrlMap:RegionUrlMap", "defaultRouteAction.weightedBackendServices[1]", False),
        ("gcp:compute/regionNetworkEndpointGroup:RegionNetworkEndpointGroup", "cloudRun.service", True),
        ("gcp:container/nodePool:NodePool", "nodeConfig.machineType", False),
        ("gcp:container/nodePool:NodePool", "nodeConfig.guestAccelerators[0].count", True),
        ("gcp:container/cluster:Cluster", "privateClusterConfig.masterIpv4CidrBlock", True),
        ("gcp:container/cluster:Cluster", "privateClusterConfig.enablePrivateEndpoint", False),
        ("gcp:sql/databaseInstance:DatabaseInstance", "settings.tier", False),
        ("gcp:sql/databaseInstance:DatabaseInstance", "encryptionKeyName", True),
    ],
)
def test_which_changes_replace(token: str, path: str, expected: bool) -> None:
    assert replaces(token, path) is expected


def test_the_table_of_immutable_fields_names_types_and_fields_that_exist() -> None:
    from pulumi import _types as sdk

    for token in tokens():
        packages = {"kubernetes": KUBERNETES, "aws": AWS, "gcp": GCP}
        inputs = packages[token.partition(":")[0]].kind(token).inputs
        assert inputs is not None
        for path in paths(token):
            types = inputs.types
            for name in path.split("."):
                assert name in types, (token, path)
                nested = [found for found in alternatives(types[name]) if sdk.is_input_type(found)]
                types = sdk.input_type_types(nested[0]) if nested else {}


@pytest.mark.parametrize(("cloud", "files"), [("aws", ("dev", "prod")), ("gcp", ("gcp",))])
def test_every_type_that_the_shipped_files_declare_is_in_the_table(
    cloud: str, files: tuple[str, ...]
) -> None:
    """A type that isn't there is planned as one of which everything can be changed: look, and say so."""
    golden = Path(__file__).parent / "golden"
    declared = {
        found
        for name in files
        for found in re.findall(
            rf"^(?:\S+\$)?({cloud}:\S+)", (golden / f"{name}.txt").read_text(), re.MULTILINE
        )
    }
    assert len(declared) > 30 and declared <= tokens()


def test_a_replacement_has_another_name_than_what_it_replaces() -> None:
    kind = AWS.kind("aws:sagemaker/endpointConfiguration:EndpointConfiguration")
    first = outputs.named(kind, "churn", None, {})["name"]
    second = outputs.named(kind, "churn", None, {}, {first})["name"]
    assert second != first and second.startswith("churn-")
    assert outputs.named(kind, "churn", {"name": first}, {}, {first})["name"] == first
