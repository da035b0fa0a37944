"""Scaling by KEDA: down to no server without losing a request, by GPU load, and in the right order."""

from __future__ import annotations

import re
from typing import Any

import pytest

from components.environment import parse
from tests.unit.graph import Graph
from tests.unit.kubernetes import (
    CHART,
    DEPLOYMENT,
    HPA,
    INTERCEPTOR_ROUTE,
    JOB,
    NETWORK_POLICY,
    PLATFORM,
    REFERENCE_GRANT,
    ROUTE,
    SCALED_OBJECT,
    SERVICE,
    declared,
    jobs,
    kubernetes,
)

STABLE = {"stable": {"version": 3}}
ASLEEP = {**STABLE, "autoscaling": {"min": 0, "max": 5}}
GPU = {**STABLE, "resources": {"gpu": 1}, "autoscaling": {"min": 2, "max": 4, "gpuUtilization": 70}}


def keda(models: dict[str, Any], **platform: Any) -> Graph:
    graph, _ = kubernetes(models, **{"keda": "install", **platform})
    return graph


def spec(graph: Graph, type: str, name: str) -> dict[str, Any]:
    return graph.one(type, name).inputs["spec"]


def triggers(graph: Graph, name: str = "churn-v3") -> dict[str, dict[str, Any]]:
    found = spec(graph, SCALED_OBJECT, name)["triggers"]
    return {trigger.get("name", trigger["type"]): trigger for trigger in found}


def test_both_charts_are_installed_and_endpoints_wait_for_them() -> None:
    graph = keda({"churn": ASLEEP})
    charts = {r.name: r.inputs for r in graph.resources if r.type == CHART}
    assert charts["keda"]["namespace"] == charts["keda-add-ons-http"]["namespace"] == "keda"
    assert "keda" in graph.waits_for(CHART, "keda-add-ons-http")
    for type, name in ((SCALED_OBJECT, "churn-v3"), (INTERCEPTOR_ROUTE, "churn-v3-held")):
        assert {"keda", "keda-add-ons-http"} <= graph.waits_for(type, name)


def test_what_the_cluster_has_is_not_installed_and_the_route_may_still_name_it() -> None:
    graph = keda({"churn": ASLEEP}, keda="existing", namespace="serving")
    assert not [r for r in graph.resources if r.type == CHART and "keda" in r.name]
    grant = graph.one(REFERENCE_GRANT, "models-grant").inputs
    assert grant["metadata"]["namespace"] == "keda"
    assert grant["spec"] == {
        "from": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": "serving"}],
        "to": [{"group": "", "kind": "Service", "name": "keda-add-ons-http-interceptor-proxy"}],
    }


def test_without_keda_there_is_nothing_of_it() -> None:
    graph, _ = kubernetes({"churn": STABLE})
    assert not [r for r in graph.resources if "keda" in r.type.lower()]
    assert "keda" not in str(spec(graph, NETWORK_POLICY, "churn-v3"))
    # Where KEDA comes later, its webhook lets the old autoscaler be until the update has removed it.
    annotations = graph.one(HPA, "churn-v3").inputs["metadata"]["annotations"]
    assert annotations["validations.keda.sh/hpa-ownership"] == "false"


def test_requests_to_a_release_that_may_sleep_go_through_the_interceptor() -> None:
    graph = keda({"churn": {**ASLEEP, "canary": {"version": 4, "weight": 10}}})
    (rule,) = spec(graph, ROUTE, "churn")["rules"]
    assert rule["backendRefs"] == [
        {
            "name": "keda-add-ons-http-interceptor-proxy",
            "namespace": "keda",
            "port": 8080,
            "weight": weight,
            "filters": [
                {
                    "type": "RequestHeaderModifier",
                    "requestHeaderModifier": {
                        "set": [{"name": "x-model-delivery-release", "value": f"churn-v{version}"}]
                    },
                }
            ],
        }
        for version, weight in ((3, 90), (4, 10))
    ]
    for version in (3, 4):
        held = spec(graph, INTERCEPTOR_ROUTE, f"churn-v{version}-held")
        # By the header that the gateway sets, and to the release's own Service.
        assert held["rules"] == [
            {
                "hosts": ["models.example.com"],
                "headers": [{"name": "x-model-delivery-release", "value": f"churn-v{version}"}],
            }
        ]
        assert held["target"] == {"service": f"churn-v{version}", "port": 8080}
        assert graph.one(SERVICE, f"churn-v{version}").inputs["spec"]["ports"][0]["port"] == 8080
        # KEDA finds the route by its name in the cluster.
        name = graph.one(INTERCEPTOR_ROUTE, f"churn-v{version}-held").inputs["metadata"]["name"]
        push = triggers(graph, f"churn-v{version}")["external-push"]["metadata"]
        assert push == {
            "interceptorRoute": name,
            "scalerAddress": "keda-add-ons-http-external-scaler.keda:9090",
        }


def test_the_gateway_is_more_patient_than_the_interceptor() -> None:
    graph = keda({"churn": ASLEEP})
    (rule,) = spec(graph, ROUTE, "churn")["rules"]
    held = spec(graph, INTERCEPTOR_ROUTE, "churn-v3-held")["timeouts"]["readiness"]
    assert seconds(rule["timeouts"]["request"]) > seconds(held) == 600


def seconds(text: str) -> int:
    assert text.endswith("s")
    return int(text[:-1])


def test_what_waits_counts_for_as_long_as_it_waits() -> None:
    plain = spec(keda({"churn": ASLEEP}), INTERCEPTOR_ROUTE, "churn-v3-held")
    assert plain["scalingMetric"] == {"concurrency": {"targetValue": 100}}
    block = {**STABLE, "autoscaling": {"min": 0, "max": 5, "requestsPerSecond": 20}}
    graph = keda({"churn": block})
    assert spec(graph, INTERCEPTOR_ROUTE, "churn-v3-held")["scalingMetric"] == {
        "concurrency": {"targetValue": 100},
        "requestRate": {"targetValue": 20, "window": "1m", "granularity": "1s"},
    }
    # The interceptor counts all requests of a release, so Prometheus isn't asked for them too.
    assert triggers(graph).keys() == {"cpu", "external-push"}


def test_the_last_server_goes_only_when_the_route_is_through_the_interceptor() -> None:
    graph = keda({"churn": {**ASLEEP, "canary": {"version": 4, "weight": 10}}})
    for version in (3, 4):
        name = f"churn-v{version}"
        found = spec(graph, SCALED_OBJECT, name)
        assert (found["minReplicaCount"], found["maxReplicaCount"]) == (0, 5)
        assert found["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
        assert found["cooldownPeriod"] == found["initialCooldownPeriod"] == 300
        assert "churn" in needs(graph, SCALED_OBJECT, name)
        # And the route only when the interceptor knows the release, and it is awake.
        assert {f"{name}-held", f"{name}-w{90 if version == 3 else 10}"} <= needs(graph, ROUTE, "churn")
    assert not graph.names(HPA)


def test_a_release_is_awake_before_it_gets_another_weight() -> None:
    graph = keda({"churn": {**ASLEEP, "canary": {"version": 4, "weight": 10}}}, url="https://m.example.org",
                 gateway={"tlsSecret": "t"})  # fmt: skip
    assert jobs(graph) == {"churn-v3-w90", "churn-v4-w10"}
    (container,) = spec(graph, JOB, "churn-v4-w10")["template"]["spec"]["containers"]
    assert container["args"] == [
        "--wake",
        "http://keda-add-ons-http-interceptor-proxy.keda:8080/v2/health/ready",
        *("--header", "Host: m.example.org", "--header", "x-model-delivery-release: churn-v4"),
        *("--seconds", "1140"),
    ]
    assert "churn-v4-held" in needs(graph, JOB, "churn-v4-w10")
    after = keda({"churn": {**ASLEEP, "canary": {"version": 4, "weight": 50}}})
    assert jobs(after) == {"churn-v3-w50", "churn-v4-w50"}


def test_a_release_without_traffic_may_sleep_on() -> None:
    graph = keda({"churn": {**ASLEEP, "canary": {"version": 4, "weight": 0}}})
    assert jobs(graph) == {"churn-v3-w100"}
    assert graph.names(SCALED_OBJECT) == {"churn-v3", "churn-v4"}


def test_minimum_replicas_are_kept_by_keda_as_by_kubernetes_and_comes_before_the_route() -> None:
    block = {**STABLE, "autoscaling": {"min": 10, "max": 20}, "canary": {"version": 4, "weight": 11}}
    graph = keda({"churn": block})
    scaled = {name: spec(graph, SCALED_OBJECT, name) for name in graph.names(SCALED_OBJECT)}
    assert {name: found["minReplicaCount"] for name, found in scaled.items()} == {
        "churn-v3": 9,
        "churn-v4": 2,
    }
    assert {found["maxReplicaCount"] for found in scaled.values()} == {20}
    assert {"churn-v3", "churn-v4", "churn-v3-c9", "churn-v4-c2"} <= needs(graph, ROUTE, "churn")
    assert not graph.names(INTERCEPTOR_ROUTE)
    (rule,) = spec(graph, ROUTE, "churn")["rules"]
    assert [backend["name"] for backend in rule["backendRefs"]] == ["churn-v3", "churn-v4"]
    assert rule["timeouts"] == {"request": "60s"}


def test_a_release_that_no_longer_sleeps_is_awake_before_the_route_leads_to_it() -> None:
    # Its Deployment may be at zero until this update, so even one pod is waited for.
    graph = keda({"churn": STABLE})
    assert jobs(graph) == {"churn-v3-c1"}
    assert "churn-v3-c1" in needs(graph, ROUTE, "churn")
    # It is reached by both ways meanwhile.
    (ingress,) = spec(graph, NETWORK_POLICY, "churn-v3")["ingress"]
    spaces = [s["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] for s in ingress["from"]]
    assert spaces == ["envoy-gateway-system", "monitoring", "keda"]


def test_keda_shrinks_as_slowly_as_kubernetes_does() -> None:
    plain, _ = kubernetes({"churn": STABLE})
    behaviour = spec(keda({"churn": STABLE}), SCALED_OBJECT, "churn-v3")["advanced"]
    assert behaviour == {
        "horizontalPodAutoscalerConfig": {"behavior": spec(plain, HPA, "churn-v3")["behavior"]}
    }
    found = triggers(keda({"churn": STABLE}))
    assert found == {"cpu": {"type": "cpu", "metricType": "Utilization", "metadata": {"value": "70"}}}


def test_gpu_load_is_the_mean_of_the_releases_own_pods() -> None:
    graph = keda({"churn": GPU}, gpu="install")
    gpu = triggers(graph)["gpu"]
    assert gpu["type"] == "prometheus" and gpu["metricType"] == "Value"
    assert gpu["metadata"] == {
        "serverAddress": "http://monitoring-prometheus.monitoring.svc:9090",
        "query": 'avg(DCGM_FI_DEV_GPU_UTIL{namespace="models", pod=~"churn-v3-[a-z0-9]+-[a-z0-9]{5}"})',
        "threshold": "70",
    }


def test_pods_of_a_model_with_a_longer_name_are_not_counted() -> None:
    graph = keda({"churn": GPU}, gpu="existing")
    found = re.search('pod=~"(.*?)"', triggers(graph)["gpu"]["metadata"]["query"])
    assert found
    assert re.fullmatch(found[1], "churn-v3-6d9f7c5b8d-x2x4z")
    assert not re.fullmatch(found[1], "churn-v3-v1-6d9f7c5b8d-x2x4z")
    assert not re.fullmatch(found[1], "churn-v33-6d9f7c5b8d-x2x4z")


def test_requests_are_asked_of_prometheus_where_it_is() -> None:
    block = {**STABLE, "autoscaling": {"min": 2, "max": 4, "requestsPerSecond": 30}}
    graph = keda({"churn": block}, monitoring="existing", prometheus="http://prometheus.watch.svc:9090")
    assert triggers(graph)["requests"] == {
        "type": "prometheus",
        "name": "requests",
        "metricType": "AverageValue",
        "metadata": {
            "serverAddress": "http://prometheus.watch.svc:9090",
            "query": 'sum(rate(model_requests_total{namespace="models", model="churn", version="3"}[1m]))',
            "threshold": "30",
        },
    }


def test_the_exporter_comes_with_the_gpus_and_keeps_the_pods_names() -> None:
    graph = keda({}, gpu="install")
    (exporter,) = [r.inputs for r in graph.resources if r.type == CHART and r.name == "dcgm-exporter"]
    assert exporter["values"]["serviceMonitor"]["honorLabels"] is True
    assert exporter["values"]["tolerations"][0]["key"] == "nvidia.com/gpu"
    assert "monitoring" in graph.waits_for(CHART, "dcgm-exporter")
    for other in ({"gpu": "existing"}, {"gpu": "install", "monitoring": "none"}):
        assert "dcgm-exporter" not in keda({}, **other).names(CHART)


@pytest.mark.parametrize(("block", "waits"), [(ASLEEP, False), (STABLE, True)])
def test_a_release_asleep_is_not_waited_for(block: dict[str, Any], waits: bool) -> None:
    graph = keda({"churn": block})
    assert "replicas" not in spec(graph, DEPLOYMENT, "churn-v3")
    # Pulumi waits for a Service's pods: of a new role, which is no reason to wake it, too.
    annotations = graph.one(SERVICE, "churn-v3").inputs["metadata"].get("annotations")
    assert annotations == (None if waits else {"pulumi.com/skipAwait": "true"})


@pytest.mark.parametrize("least", [0, 1])
def test_the_same_models_share_the_same_percentages_asleep_or_awake(least: int) -> None:
    block = {**STABLE, "autoscaling": {"min": least}, "canary": {"version": 4, "weight": 35}}
    _, endpoints = declared(parse({**PLATFORM, "keda": "install"}, {"churn": block}))
    assert [(r["version"], r["weight"]) for r in endpoints["churn"]["releases"]] == [(3, 65), (4, 35)]


def needs(graph: Graph, type: str, name: str) -> set[str]:
    return {urn.split("::")[-1] for urn in graph.one(type, name).needs}
