"""A model's ``timeout`` reaches what ends its requests, or is refused where a runtime can't do it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from components.environment import ConfigError, parse
from tests.unit import azure, gcp
from tests.unit.aws import DEV, amazon
from tests.unit.graph import Graph
from tests.unit.kubernetes import DEPLOYMENT, PLATFORM, ROUTE, kubernetes
from tests.unit.test_local_graph import home as home
from tests.unit.test_local_graph import local

STABLE = {"stable": {"version": 3}}
CANARY = {**STABLE, "canary": {"version": 4, "weight": 10}}
API_ROUTE = "aws:apigatewayv2/route:Route"
INTEGRATION = "aws:apigatewayv2/integration:Integration"


def request_timeout(graph: Graph) -> str | None:
    (rule,) = graph.one(ROUTE, "churn").inputs["spec"]["rules"]
    return rule.get("timeouts", {}).get("request")


def pods(graph: Graph) -> list[dict[str, Any]]:
    templates = [r.inputs["spec"]["template"] for r in graph.resources if r.type == DEPLOYMENT]
    return [t["spec"] for t in templates if "model-delivery/model" in t["metadata"]["labels"]]


def flag(words: list[str], name: str) -> str | None:
    return words[words.index(name) + 1] if name in words else None


@pytest.mark.parametrize(("asked", "seconds"), [({}, 60), ({"timeout": 5}, 5), ({"timeout": 600}, 600)])
def test_in_a_cluster_the_route_ends_requests_and_pods_let_them_end(
    asked: dict[str, int], seconds: int
) -> None:
    graph, _ = kubernetes({"churn": {**CANARY, **asked}})
    # Envoy's own default is 15 s, of which the file would say nothing.
    assert request_timeout(graph) == f"{seconds}s"
    for spec in pods(graph):
        words = spec["containers"][0]["args"]
        grace = int(flag(words, "--grace") or 0)
        # A request may come for as long as the server drains, at most 20 s.
        assert grace == 20 + seconds < spec["terminationGracePeriodSeconds"]
        stuck = flag(words, "--stuck")
        assert (stuck is None) if seconds <= 60 else (int(stuck or 0) > seconds)


def test_a_first_server_is_waited_for_before_the_models_own_time_begins() -> None:
    graph, _ = kubernetes({"churn": {**STABLE, "autoscaling": {"min": 0}, "timeout": 400}}, keda="install")
    assert request_timeout(graph) == "1000s"
    (held,) = [r for r in graph.resources if r.type.endswith(":InterceptorRoute")]
    # The interceptor's own default is 300 s.
    assert held.inputs["spec"]["timeouts"] == {"readiness": "600s", "responseHeader": "400s"}


def test_a_gateway_that_is_there_is_told_only_what_the_file_says() -> None:
    existing = {"gateway": {"name": "public", "namespace": "gateways"}}
    assert request_timeout(kubernetes({"churn": STABLE}, **existing)[0]) is None
    assert request_timeout(kubernetes({"churn": {**STABLE, "timeout": 30}}, **existing)[0]) == "30s"


def test_a_silent_connection_is_kept_for_longer_than_load_balancers_do() -> None:
    graph, _ = kubernetes({"churn": {**STABLE, "timeout": 3600}})
    policy = graph.one("kubernetes:gateway.envoyproxy.io/v1alpha1:ClientTrafficPolicy", "models-clients")
    assert policy.inputs["spec"] == {
        "targetRefs": [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "models"}],
        "tcpKeepalive": {"idleTime": "60s", "interval": "60s", "probes": 3},
    }


def test_locally_the_route_ends_requests_and_processes_let_them_end(home: Path) -> None:
    graph, _ = local({"churn": CANARY, "slow": {**STABLE, "timeout": 300}})
    times = {name: graph.one("delivery:local:Route", name).inputs["timeout"] for name in ("churn", "slow")}
    assert times == {"churn": 60, "slow": 300}
    slow = graph.one("delivery:local:Process", "slow-v3-0").inputs
    assert flag(slow["command"], "--grace") == "310" and slow["stopSeconds"] == 320
    churn = graph.one("delivery:local:Process", "churn-v3-0").inputs
    # What says nothing of it has the servers that it had.
    assert flag(churn["command"], "--grace") is None and churn["stopSeconds"] == 30


def test_the_api_in_front_of_lambda_waits_and_the_function_goes_on() -> None:
    models: dict[str, Any] = {
        "churn": {"runtime": "lambda", **STABLE, "timeout": 5},
        "fraud": {"runtime": "lambda", **STABLE, "timeout": 5},
        "usual": {"runtime": "lambda", **STABLE},
    }
    graph, _, _ = amazon(models, DEV)
    waits = {r.name: r.inputs["timeoutMilliseconds"] for r in graph.resources if r.type == INTEGRATION}
    assert waits == {"lambda": 30_000, "lambda-5s": 5_000}
    targets = {r.name: r.inputs["target"] for r in graph.resources if r.type == API_ROUTE}
    assert targets["churn"] == targets["fraud-below"] != targets["usual"] == targets["link-keeper"]
    functions = [r for r in graph.resources if r.type == "aws:lambda/function:Function"]
    # It may be loading the model, which a timeout of the function would never let it finish.
    assert {r.inputs["timeout"] for r in functions if "-v" in r.name} == {30}


def test_cloud_run_ends_requests() -> None:
    graph, _, _ = gcp.google({"churn": {"runtime": "cloud-run", **CANARY, "timeout": 900}})
    services = [r.inputs for r in graph.resources if r.type == "gcp:cloudrunv2/service:Service"]
    assert [found["template"]["timeout"] for found in services] == ["900s", "900s"]


@azure.needs_sdk
def test_azure_ml_ends_requests() -> None:
    graph, _ = azure.azure({"churn": {**STABLE, "timeout": 120}})
    (deployment,) = [r for r in graph.resources if r.type.endswith(":OnlineDeployment")]
    settings = deployment.inputs["properties"]["requestSettings"]
    assert settings["requestTimeout"] == "PT120S"


LAMBDA = "must be 1 to 30 seconds on the runtime lambda: the API in front of Lambda waits no longer"
SAGEMAKER = "must be 60 seconds on the runtime sagemaker: SageMaker waits as long for every model"


@pytest.mark.parametrize(
    ("platform", "runtime", "timeout", "message"),
    [
        (DEV, "lambda", 31, LAMBDA),
        (DEV, "sagemaker", 59, SAGEMAKER),
        (DEV, "sagemaker", 61, SAGEMAKER),
        (
            azure.PLATFORM,
            "azure-ml",
            181,
            "must be 1 to 180 seconds on the runtime azure-ml: Azure ML waits no longer",
        ),
        (PLATFORM, "kubernetes", 3601, "must be a whole number from 1 to 3600"),
        ({"kind": "local"}, "local", 0, "must be a whole number from 1 to 3600"),
    ],
)
def test_what_a_runtime_cannot_do_is_a_mistake_at_its_key(
    platform: dict[str, Any], runtime: str, timeout: int, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(platform, {"churn": {**STABLE, "runtime": runtime, "timeout": timeout}})
    assert [(p.path, p.message) for p in caught.value.problems] == [("models.churn.timeout", message)]
