"""Models on Azure ML: what is declared, in which order, and what a file may ask."""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

import pulumi
import pytest

from components.azure.bodies import Names, fetchable, template, variables
from components.environment import AzurePlatform, ConfigError, parse
from components.environment.azure import azure_instance
from components.environment.values import Resources
from components.platform import declare
from components.traffic import shares
from tests.unit.azure import (
    DEPLOYMENT,
    DIGEST,
    ENDPOINT,
    ENVIRONMENT,
    PLATFORM,
    SUBSCRIPTION,
    TRAFFIC,
    WORKSPACE_ID,
    azure,
    needs_sdk,
)

TWO: dict[str, Any] = {"stable": {"version": 3}, "canary": {"version": 4, "weight": 10}}
NAME = "model-delivery-local-churn"


def churn(**keys: Any) -> dict[str, Any]:
    return {"churn": {**TWO, **keys}}


def mistakes(models: dict[str, Any] | None = None, **platform: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse({**PLATFORM, **platform}, models or {})
    return [str(problem) for problem in caught.value.problems]


@needs_sdk
def test_the_whole_graph() -> None:
    graph, endpoints = azure({**churn(), "fraud": {"stable": {"version": 1}}})
    assert Counter(graph.counts()) == {
        "delivery:azure:Platform": 1,
        "pulumi:providers:azure-native": 1,
        ENVIRONMENT: 1,
        "delivery:azure:AzureMlEndpoint": 2,
        "delivery:registry:Release": 3,
        ENDPOINT: 2,
        DEPLOYMENT: 3,
        TRAFFIC: 2,
    }
    provider = graph.one("pulumi:providers:azure-native", "azure")
    assert provider.inputs["subscriptionId"] == SUBSCRIPTION
    ours = [r for r in graph.resources if r.type.startswith("azure-native:")]
    assert {r.provider.rpartition("::")[0] for r in ours} == {provider.urn}
    assert {r.inputs["resourceGroupName"] for r in ours} == {"ml-prod"}
    assert {r.inputs["workspaceName"] for r in ours if r.type != TRAFFIC} == {"models"}
    assert endpoints["churn"] == {
        "url": f"https://{NAME}.westeurope.inference.ml.azure.com",
        "releases": [
            {"version": 3, "digest": "sha256:churn-v3", "weight": 90, "shadow": False},
            {"version": 4, "digest": "sha256:churn-v4", "weight": 10, "shadow": False},
        ],
    }


@needs_sdk
def test_nobody_has_a_key_and_the_internet_no_way() -> None:
    graph, _ = azure(churn())
    endpoint = graph.one(ENDPOINT, "churn").inputs
    assert endpoint["properties"] == {"authMode": "AADToken", "publicNetworkAccess": "Disabled"}
    assert endpoint["identity"] == {"type": "SystemAssigned"}
    assert endpoint["endpointName"] == NAME
    (again,) = graph.one(TRAFFIC, "churn-traffic").inputs["properties"]["template"]["resources"]
    assert again["name"] == f"models/{NAME}"
    assert (again["location"], again["tags"]) == (endpoint["location"], endpoint["tags"])
    assert again["identity"] == endpoint["identity"]
    assert {k: v for k, v in again["properties"].items() if k != "traffic"} == endpoint["properties"]


@needs_sdk
def test_what_a_release_runs() -> None:
    graph, _ = azure(churn(autoscaling={"min": 3}, resources={"cpu": 3, "memory": "10Gi"}))
    deployment = graph.one(DEPLOYMENT, "churn-v4").inputs
    assert (deployment["deploymentName"], deployment["endpointName"]) == ("release-v4", NAME)
    assert deployment["sku"] == {"name": "Default", "capacity": 3}
    properties = deployment["properties"]
    assert (properties["instanceType"], properties["endpointComputeType"]) == ("Standard_DS3_v2", "Managed")
    assert properties["environmentVariables"] == {
        "SERVING_MODEL": "churn",
        "SERVING_VERSION": "4",
        "SERVING_DIGEST": "sha256:churn-v4",
        "SERVING_SOURCE": "mlflow-artifacts:/churn-v4",
        "SERVING_TRACKING": "https://mlflow.example.com",
        "SERVING_ARTIFACT": "/tmp/model",
        "SERVING_HOST": "0.0.0.0",
        "SERVING_PORT": "8080",
        "SERVING_THREADS": "4",
    }
    assert properties["requestSettings"]["maxConcurrentRequestsPerInstance"] == 64
    assert properties["scaleSettings"] == {"scaleType": "Default"}
    assert properties["startupProbe"]["failureThreshold"] == 60
    # Not before the server had all the time that it has to start.
    assert properties["livenessProbe"]["initialDelay"] == "PT600S"
    environment = graph.one(ENVIRONMENT, "serving")
    asset = f"{environment.inputs['name']}/versions/{environment.inputs['version']}"
    assert properties["environmentId"] == f"{WORKSPACE_ID}/environments/{asset}"
    assert environment.inputs["properties"]["image"] == PLATFORM["image"]
    assert environment.retained, "what serves may still name it"
    routes = environment.inputs["properties"]["inferenceConfig"]
    assert {name: (route["path"], route["port"]) for name, route in routes.items()} == {
        "startupRoute": ("/v2/health/live", 8080),
        "livenessRoute": ("/v2/health/live", 8080),
        "readinessRoute": ("/v2/health/ready", 8080),
        "scoringRoute": ("/", 8080),
    }


@needs_sdk
def test_a_release_is_there_before_it_gets_traffic_and_after_it_had_any() -> None:
    graph, _ = azure(churn())
    traffic = graph.one(TRAFFIC, "churn-traffic")
    deployments = [graph.one(DEPLOYMENT, f"churn-v{version}") for version in (3, 4)]
    # An engine makes what is needed first, and deletes last: after the map was put without the release.
    assert {deployment.urn for deployment in deployments} <= traffic.needs
    endpoint = graph.one(ENDPOINT, "churn").urn
    for deployment in deployments:
        assert {endpoint, graph.one(ENVIRONMENT, "serving").urn} <= deployment.needs
        # Azure deletes no deployment that has traffic; the endpoint takes its own along.
        assert deployment.gone_with == endpoint


@needs_sdk
@pytest.mark.parametrize(
    "after",
    [{"canary": {"version": 4, "weight": 50}}, {"canary": {"version": 4, "weight": 0}}],
)
def test_a_promotion_changes_the_map_alone(after: dict[str, Any]) -> None:
    old, new = (
        {(r.type, r.name): r.inputs for r in g.resources} for g, _ in (azure(churn()), azure(churn(**after)))
    )
    assert {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)} == {
        (TRAFFIC, "churn-traffic")
    }


@needs_sdk
def test_an_endpoint_is_never_updated_without_its_map() -> None:
    """An update of the endpoint's own resource would put it with no traffic."""
    before, _ = azure(churn())
    after, _ = azure(churn(owner="risk-team"), publicAccess=True, tags={"team": "ml"})
    old, new = (graph.one(ENDPOINT, "churn") for graph in (before, after))
    changed = {key for key in old.inputs if old.inputs[key] != new.inputs[key]}
    assert changed == {"properties", "tags"} <= new.ignores
    (again,) = after.one(TRAFFIC, "churn-traffic").inputs["properties"]["template"]["resources"]
    assert again["properties"]["publicNetworkAccess"] == "Enabled"
    assert again["tags"]["model-delivery-owner"] == "risk-team" and again["tags"]["team"] == "ml"
    assert again["properties"]["traffic"] == {"release-v3": 90, "release-v4": 10}


def names(prefix: str = "model-delivery-prod") -> Names:
    platform = parse(PLATFORM, {}).platform
    assert isinstance(platform, AzurePlatform)
    return Names(prefix=prefix, settings=platform)


def test_names_are_as_azure_takes_them() -> None:
    assert names().endpoint("churn") == "model-delivery-prod-churn"
    long = [names().endpoint("a" * 39 + last) for last in "xy"]
    assert [len(name) <= 32 for name in long] == [True, True] and long[0] != long[1]
    assert names("Acme.Models-Prod").endpoint("churn") == "acme-models-prod-churn"
    assert names("2026-models-prod").endpoint("churn") == "m-2026-models-prod-churn", "a letter comes first"
    assert names().environment_version == DIGEST.removeprefix("sha256:")[:20]


@pytest.mark.parametrize(
    ("canary", "expected"),
    [
        (None, {"release-v3": 100}),
        ({"version": 4, "weight": 33}, {"release-v3": 67, "release-v4": 33}),
        ({"version": 4, "weight": 0}, {"release-v3": 100, "release-v4": 0}),
    ],
)
def test_the_map(canary: dict[str, Any] | None, expected: dict[str, int]) -> None:
    block = {"stable": {"version": 3}, **({"canary": canary} if canary else {})}
    (model,) = parse(PLATFORM, {"churn": block}).models
    (endpoint,) = template(names(), model, shares(model))["resources"]
    assert endpoint["properties"]["traffic"] == expected


def test_a_tag_in_brackets_is_no_expression_of_the_template() -> None:
    (model,) = parse(PLATFORM, {"churn": {**TWO, "owner": "[resourceGroup().id]"}}).models
    (endpoint,) = template(names(), model, shares(model))["resources"]
    assert endpoint["tags"]["model-delivery-owner"] == "[[resourceGroup().id]"


def test_an_artifact_that_servers_cannot_fetch_stops_the_plan() -> None:
    assert fetchable("mlflow-artifacts:/1/model") == "mlflow-artifacts:/1/model"
    for uri in ("s3://bucket/model", "azureml://models/churn", "file:///model"):
        with pytest.raises(pulumi.RunError, match=r"is not handed out by an MLflow server"):
            fetchable(uri)


def test_a_server_that_has_a_gpu_is_told_to_use_it() -> None:
    for gpu, device in ((0, None), (1, "gpu")):
        environment = parse(PLATFORM, churn(resources={"gpu": gpu}))
        (model,) = environment.models
        assert isinstance(environment.platform, AzurePlatform)
        names = Names(prefix="model-delivery-prod", settings=environment.platform)
        told = variables(names, model, shares(model)[0], 4, "sha256:a", "mlflow-artifacts:/a")
        assert told.get("SERVING_DEVICE") == device


def test_a_gpu_needs_an_image_that_uses_it() -> None:
    (found,) = mistakes(churn(resources={"gpu": 1}), imageUsesGpu=False)
    assert found.startswith(
        "models.churn.resources.gpu is 1: the model server's image has onnxruntime for CPUs"
    )


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ({}, "Standard_F2s_v2"),
        ({"memory": "5Gi"}, "Standard_DS2_v2"),
        ({"cpu": 2.5}, "Standard_F4s_v2"),
        ({"cpu": 72.0, "memory": "144Gi"}, "Standard_F72s_v2"),
        ({"gpu": 1}, "Standard_NC4as_T4_v3"),
        ({"gpu": 2}, "Standard_NC64as_T4_v3"),
    ],
)
def test_the_smallest_instance_that_has_it(asked: dict[str, Any], name: str) -> None:
    found = azure_instance(Resources(**asked))
    assert found is not None and found.name == name


def test_what_azure_ml_cannot_do_is_a_mistake_at_its_key() -> None:
    assert mistakes(churn(canary={"version": 4, "shadow": True})) == [
        "models.churn.canary.shadow is true: not on the runtime azure-ml: Azure ML mirrors at most half of"
        " the requests, and a shadow gets every one."
    ]
    assert mistakes(churn(autoscaling={"min": 2, "max": 4})) == [
        "models.churn.autoscaling.max is 4: must equal min, 2, or be left out: no autoscaling is declared on"
        " azure-ml."
    ]
    assert mistakes(churn(resources={"cpu": 73})) == [
        "models.churn.resources is a map of 1 key: more than an instance of Azure ML has; the largest has"
        " 72 cores, 144Gi."
    ]
    assert mistakes(churn(runtime="kubernetes")) == [
        'models.churn.runtime is "kubernetes": not on a platform of kind azure; accepted: azure-ml.'
    ]


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("subscription", "acme", "must be a subscription's id"),
        ("resourceGroup", "ends.", "must be the name of a resource group"),
        ("region", "West Europe", "must be a region as Azure writes it"),
        ("workspace", "ml", "must be a workspace's name"),
        ("image", "acmemodels.azurecr.io/serving:1", "pinned by its digest"),
        ("image", f"ghcr.io/acme/serving@{DIGEST}", "must be in the workspace's container registry"),
        ("registry", "azureml://westeurope.api.azureml.ms/mlflow", "must be an MLflow tracking URI"),
        ("publicAccess", "yes", "must be true or false"),
        ("tags", {"a b": "c"}, "a tag's name has"),
        ("egress", True, "unknown key"),
    ],
)
def test_a_wrong_value_is_named(key: str, value: object, words: str) -> None:
    (found,) = mistakes(**{key: value})
    assert found.startswith(f"platform.{key}") and words in found


def test_without_the_sdk_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if name.startswith("components.azure.")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "pulumi_azure_native", None)
    monkeypatch.setattr(pulumi.runtime, "register_stack_transformation", lambda _: None)
    with pytest.raises(pulumi.RunError, match=r"make setup WITH=azure"):
        declare(parse(PLATFORM, {}).platform)
