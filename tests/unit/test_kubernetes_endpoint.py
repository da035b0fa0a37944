"""The whole graph that a model's endpoint in a cluster declares, for every traffic mode."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.graph import Declared, Graph
from tests.unit.kubernetes import (
    DEPLOYMENT,
    ENDPOINT,
    HPA,
    IMAGE,
    JOB,
    MLFLOW,
    NETWORK_POLICY,
    PDB,
    RELEASE,
    ROUTE,
    SERVICE,
    SERVICE_ACCOUNT,
    jobs,
    kubernetes,
    platform_counts,
)

STABLE = {"stable": {"version": 3}}
MANY = {"autoscaling": {"min": 10, "max": 20, "requestsPerSecond": 50}}
MODES: list[tuple[dict[str, Any], list[tuple[int, int, bool]]]] = [
    ({"version": 4, "weight": 10}, [(3, 90, False), (4, 10, False)]),
    ({"version": 4, "weight": 0}, [(3, 100, False), (4, 0, False)]),
    ({"version": 4, "weight": 100}, [(3, 0, False), (4, 100, False)]),
    ({"version": 4, "shadow": True}, [(3, 100, False), (4, 0, True)]),
]


def counts(releases: int, waits: int = 0, endpoints: int = 1) -> dict[str, int]:
    each = (RELEASE, DEPLOYMENT, SERVICE, SERVICE_ACCOUNT, HPA, PDB, NETWORK_POLICY)
    found = platform_counts()
    for type in each:
        found[type] = found.get(type, 0) + releases
    found |= {ENDPOINT: endpoints, ROUTE: endpoints}
    found[JOB] += waits
    return found


def rule(graph: Graph, model: str = "churn") -> dict[str, Any]:
    (only,) = graph.one(ROUTE, model).inputs["spec"]["rules"]
    return only


def pod(graph: Graph, name: str = "churn-v3") -> dict[str, Any]:
    return graph.one(DEPLOYMENT, name).inputs["spec"]["template"]["spec"]


def spec(graph: Graph, type: str, name: str = "churn-v3") -> dict[str, Any]:
    return graph.one(type, name).inputs["spec"]


def test_one_stable_release_gets_everything() -> None:
    graph, endpoints = kubernetes({"churn": STABLE})
    assert graph.counts() == counts(releases=1)
    assert graph.one(RELEASE, "churn-v3").inputs == {
        "model": "churn",
        "version": 3,
        "registry": "https://mlflow.example.com",
        "memory": 2048,
    }
    assert graph.one(ROUTE, "churn").inputs == {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {
            "name": "churn",
            "namespace": "models",
            "labels": {
                "app.kubernetes.io/name": "churn",
                "app.kubernetes.io/part-of": "model-delivery",
                "model-delivery/model": "churn",
            },
        },
        "spec": {
            "parentRefs": [{"name": "models", "namespace": "models"}],
            "hostnames": ["models.example.com"],
            "rules": [
                {
                    "matches": [{"path": {"type": "PathPrefix", "value": "/churn"}}],
                    "filters": [
                        {
                            "type": "URLRewrite",
                            "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}},
                        }
                    ],
                    "backendRefs": [{"name": "churn-v3", "port": 8080, "weight": 100}],
                    "timeouts": {"request": "60s"},
                }
            ],
        },
    }
    assert endpoints["churn"] == {
        "url": "http://models.example.com/churn",
        "releases": [{"version": 3, "digest": "sha256:churn-v3", "weight": 100, "shadow": False}],
    }


@pytest.mark.parametrize(("canary", "weights"), MODES)
def test_traffic_modes_are_weights_and_a_mirror(
    canary: dict[str, Any], weights: list[tuple[int, int, bool]]
) -> None:
    graph, endpoints = kubernetes({"churn": {**STABLE, "canary": canary}})
    assert graph.counts() == counts(releases=2)
    answering = [(v, w) for v, w, shadow in weights if not shadow]
    assert rule(graph)["backendRefs"] == [
        {"name": f"churn-v{version}", "port": 8080, "weight": weight} for version, weight in answering
    ]
    mirrors = [f["requestMirror"] for f in rule(graph)["filters"] if f["type"] == "RequestMirror"]
    assert mirrors == [
        {"backendRef": {"name": f"churn-v{version}", "port": 8080}}
        for version, _, shadow in weights
        if shadow
    ]
    released = endpoints["churn"]["releases"]
    assert [(r["version"], r["weight"], r["shadow"]) for r in released] == weights


@pytest.mark.parametrize(
    ("canary", "role"),
    [({"version": 4, "weight": 10}, "canary"), ({"version": 4, "shadow": True}, "shadow")],
)
def test_the_role_is_the_services_alone(canary: dict[str, Any], role: str) -> None:
    graph, _ = kubernetes({"churn": {**STABLE, "canary": canary}})
    roles = {
        name: graph.one(SERVICE, name).inputs["metadata"]["labels"]["model-delivery/role"]
        for name in ("churn-v3", "churn-v4")
    }
    assert roles == {"churn-v3": "stable", "churn-v4": role}
    template = graph.one(DEPLOYMENT, "churn-v4").inputs["spec"]["template"]
    assert "model-delivery/role" not in template["metadata"]["labels"]


@pytest.mark.parametrize(
    ("canary", "minimums"),
    [
        (None, {"churn-v3": 10}),
        ({"version": 4, "weight": 10}, {"churn-v3": 9, "churn-v4": 1}),
        ({"version": 4, "weight": 11}, {"churn-v3": 9, "churn-v4": 2}),
        ({"version": 4, "weight": 50}, {"churn-v3": 5, "churn-v4": 5}),
        ({"version": 4, "weight": 0}, {"churn-v3": 10, "churn-v4": 1}),
        ({"version": 4, "weight": 100}, {"churn-v3": 1, "churn-v4": 10}),
        ({"version": 4, "shadow": True}, {"churn-v3": 10, "churn-v4": 10}),
    ],
)
def test_capacity_follows_weight(canary: dict[str, Any] | None, minimums: dict[str, int]) -> None:
    block = {**STABLE, **MANY} | ({"canary": canary} if canary else {})
    graph, _ = kubernetes({"churn": block})
    scaled = {name: spec(graph, HPA, name) for name in graph.names(HPA)}
    assert {name: found["minReplicas"] for name, found in scaled.items()} == minimums
    # A lower maximum would end pods at once, before the route has moved.
    assert {found["maxReplicas"] for found in scaled.values()} == {20}
    # Ready pods are waited for wherever one is not enough, and before the route changes.
    awaited = {f"{name}-c{minimum}" for name, minimum in minimums.items() if minimum > 1}
    assert jobs(graph) == awaited
    assert graph.counts() == counts(releases=len(minimums), waits=len(awaited))
    before = graph.waits_for(ROUTE, "churn")
    assert awaited | minimums.keys() <= before


def test_the_route_waits_for_everything_of_each_release() -> None:
    graph, _ = kubernetes({"churn": {**STABLE, **MANY, "canary": {"version": 4, "weight": 50}}})
    route = graph.one(ROUTE, "churn")
    needed = {(type_of(graph, urn), urn.split("::")[-1]) for urn in route.needs}
    expected = {(type, f"churn-v{version}") for type in (DEPLOYMENT, SERVICE, HPA) for version in (3, 4)} | {
        (JOB, "churn-v3-c5"),
        (JOB, "churn-v4-c5"),
    }
    assert expected <= needed
    for version in (3, 4):
        assert needs(graph, HPA, f"churn-v{version}") >= {f"churn-v{version}"}
        job = graph.one(JOB, f"churn-v{version}-c5")
        types = {type_of(graph, urn) for urn in job.needs}
        assert {DEPLOYMENT, HPA} <= types


def test_what_is_waited_for_is_the_share_of_this_release() -> None:
    graph, _ = kubernetes({"churn": {**STABLE, **MANY}})
    job = spec(graph, JOB, "churn-v3-c10")
    (container,) = job["template"]["spec"]["containers"]
    assert container["command"] == ["python", "-m", "serving.capacity"]
    assert container["args"] == [
        *("--namespace", "models", "--deployment", "churn-v3", "--ready", "10", "--seconds", "1140"),
    ]
    assert container["image"] == IMAGE
    assert job["activeDeadlineSeconds"] == 1200 and job["backoffLimit"] == 3
    assert job["template"]["spec"]["serviceAccountName"] == "capacity"
    # It isn't one of the servers: neither their Service nor their budget may count it.
    selected = spec(graph, SERVICE)["selector"]
    assert not selected.items() & job["template"]["metadata"]["labels"].items()


def test_the_autoscaler_grows_at_once_and_shrinks_late() -> None:
    graph, _ = kubernetes({"churn": {**STABLE, **MANY}})
    found = spec(graph, HPA)
    assert found["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "churn-v3"}
    assert found["metrics"] == [
        {
            "type": "Resource",
            "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}},
        },
        {
            "type": "Pods",
            "pods": {
                "metric": {"name": "model_requests_per_second"},
                "target": {"type": "AverageValue", "averageValue": "50"},
            },
        },
    ]
    behavior = found["behavior"]
    assert behavior["scaleUp"]["stabilizationWindowSeconds"] == 0
    assert behavior["scaleDown"] == {
        "stabilizationWindowSeconds": 300,
        "selectPolicy": "Max",
        "policies": [{"type": "Percent", "value": 10, "periodSeconds": 60}],
    }


def test_without_requests_per_second_cpu_alone_decides() -> None:
    graph, _ = kubernetes({"churn": {**STABLE, "autoscaling": {"min": 2, "max": 4}}})
    assert [metric["type"] for metric in spec(graph, HPA)["metrics"]] == ["Resource"]


def test_the_autoscaler_owns_the_replicas() -> None:
    graph, _ = kubernetes({"churn": {**STABLE, **MANY}})
    assert "replicas" not in spec(graph, DEPLOYMENT)


def test_a_pod_fetches_and_checks_its_artifact_before_it_serves() -> None:
    graph, _ = kubernetes({"churn": {**STABLE, "resources": {"cpu": 2.5, "memory": "3Gi"}}})
    (fetch,), (server,) = pod(graph)["initContainers"], pod(graph)["containers"]
    assert fetch["image"] == server["image"] == IMAGE
    assert fetch["command"] == ["python", "-m", "serving.fetch"]
    assert fetch["args"] == [
        *("--source", "s3://artifacts/churn-v3", "--digest", "sha256:churn-v3"),
        *("--tracking", "https://mlflow.example.com", "--to", "/artifact/model"),
    ]
    assert server["command"] == ["python", "-m", "serving"]
    assert server["args"] == [
        *("--model", "churn", "--version", "3"),
        *("--artifact", "/artifact/model", "--digest", "sha256:churn-v3"),
        *("--host", "0.0.0.0", "--port", "8080", "--threads", "2"),
        *("--drain", "10", "--grace", "80"),
    ]
    wanted = {"cpu": "2500m", "memory": "3Gi"}
    for container in (fetch, server):
        assert container["resources"] == {"requests": wanted, "limits": wanted}
    mounts = {m["name"]: (m["mountPath"], m.get("readOnly", False)) for m in server["volumeMounts"]}
    assert mounts == {"artifact": ("/artifact", True), "tmp": ("/tmp", False)}
    assert pod(graph)["volumes"] == [
        {"name": "artifact", "emptyDir": {}},
        {"name": "tmp", "emptyDir": {}},
    ]


def test_the_servers_command_line_is_one_that_the_server_takes() -> None:
    from serving.settings import parse

    graph, _ = kubernetes({"churn": STABLE})
    (server,) = pod(graph)["containers"]
    words = [word.replace("sha256:churn-v3", "sha256:" + "0" * 64) for word in server["args"]]
    settings = parse(words, {})
    assert (settings.model, settings.version, settings.port) == ("churn", "3", 8080)
    # The pod is not killed before the server's own grace is over.
    assert pod(graph)["terminationGracePeriodSeconds"] > settings.grace


def test_pods_are_hardened() -> None:
    graph, _ = kubernetes({"churn": {**STABLE, **MANY}})
    for found in (pod(graph), spec(graph, JOB, "churn-v3-c10")["template"]["spec"]):
        security = found["securityContext"]
        assert security["runAsNonRoot"] is True and security["runAsUser"] == 10001
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in [*found.get("initContainers", []), *found["containers"]]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["limits"].keys() >= {"cpu", "memory"}
    assert pod(graph)["automountServiceAccountToken"] is False
    assert pod(graph)["serviceAccountName"] == "churn-v3"
    assert graph.one(SERVICE_ACCOUNT, "churn-v3").inputs["automountServiceAccountToken"] is False


def test_probes_ask_the_servers_own_pages() -> None:
    graph, _ = kubernetes({"churn": STABLE})
    (server,) = pod(graph)["containers"]
    pages = {
        kind: (server[f"{kind}Probe"]["httpGet"], server[f"{kind}Probe"]["periodSeconds"])
        for kind in ("startup", "readiness", "liveness")
    }
    assert pages == {
        "startup": ({"path": "/v2/health/ready", "port": "http"}, 5),
        "readiness": ({"path": "/v2/health/ready", "port": "http"}, 2),
        "liveness": ({"path": "/v2/health/live", "port": "http"}, 10),
    }
    assert server["startupProbe"]["failureThreshold"] == 120
    assert server["ports"] == [{"name": "http", "containerPort": 8080}]


def test_pods_are_spread_and_updates_keep_what_serves() -> None:
    graph, _ = kubernetes({"churn": STABLE})
    selected = {"model-delivery/model": "churn", "model-delivery/version": "3"}
    assert pod(graph)["topologySpreadConstraints"] == [
        {
            "maxSkew": 1,
            "topologyKey": key,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": selected},
            "matchLabelKeys": ["pod-template-hash"],
        }
        for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
    ]
    assert spec(graph, DEPLOYMENT)["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0},
    }
    assert spec(graph, DEPLOYMENT)["selector"] == {"matchLabels": selected}
    assert spec(graph, PDB) == {
        "selector": {"matchLabels": selected},
        "maxUnavailable": "25%",
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }
    assert spec(graph, SERVICE) == {
        "type": "ClusterIP",
        "selector": selected,
        "ports": [{"name": "http", "port": 8080, "targetPort": "http"}],
    }


def test_only_the_gateway_and_prometheus_reach_a_server() -> None:
    graph, _ = kubernetes({"churn": STABLE})
    found = spec(graph, NETWORK_POLICY)
    assert found["policyTypes"] == ["Ingress", "Egress"]
    assert found["ingress"] == [
        {
            "ports": [{"protocol": "TCP", "port": 8080}],
            "from": [
                {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}
                for name in ("envoy-gateway-system", "monitoring")
            ],
        }
    ]
    assert found["egress"][:3] == [
        {"ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]},
        {"ports": [{"protocol": "TCP", "port": 443}]},
        {
            "to": [{"ipBlock": {"cidr": "169.254.0.0/16"}}],
            "ports": [{"protocol": "TCP", "port": 80}, {"protocol": "TCP", "port": 988}],
        },
    ]


@pytest.mark.parametrize(
    ("platform", "rule"),
    [
        ({}, {"ports": [{"protocol": "TCP", "port": 443}]}),
        ({"registry": "http://mlflow.example.com"}, {"ports": [{"protocol": "TCP", "port": 80}]}),
        ({"registry": "http://mlflow.example.com:5001/x"}, {"ports": [{"protocol": "TCP", "port": 5001}]}),
        (
            {"tracking": {"image": MLFLOW}},
            {
                "to": [{"podSelector": {"matchLabels": {"app.kubernetes.io/name": "tracking"}}}],
                "ports": [{"protocol": "TCP", "port": 5000}],
            },
        ),
    ],
)
def test_a_server_reaches_mlflow_where_it_is(platform: dict[str, Any], rule: dict[str, Any]) -> None:
    graph, _ = kubernetes({"churn": STABLE}, **platform)
    assert spec(graph, NETWORK_POLICY)["egress"][3:] == [rule]


def test_the_proxies_of_another_gateway_may_be_anywhere() -> None:
    graph, _ = kubernetes({"churn": STABLE}, gateway={"name": "public", "namespace": "gateways"})
    assert spec(graph, NETWORK_POLICY)["ingress"] == [{"ports": [{"protocol": "TCP", "port": 8080}]}]
    assert spec(graph, ROUTE, "churn")["parentRefs"] == [{"name": "public", "namespace": "gateways"}]


def test_a_gpu_is_asked_for_by_the_server_alone() -> None:
    graph, _ = kubernetes({"churn": {**STABLE, "resources": {"gpu": 2}}}, gpu="existing")
    (fetch,), (server,) = pod(graph)["initContainers"], pod(graph)["containers"]
    assert server["resources"]["limits"]["nvidia.com/gpu"] == "2"
    # With it the server isn't ready unless the model runs on the GPU.
    assert server["args"][-2:] == ["--device", "gpu"]
    assert "nvidia.com/gpu" not in fetch["resources"]["limits"]
    assert pod(graph)["tolerations"] == [
        {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
    ]
    plain, _ = kubernetes({"churn": STABLE}, gpu="existing")
    assert "tolerations" not in pod(plain) and "--device" not in pod(plain)["containers"][0]["args"]


def test_everything_is_labelled_and_nothing_restarts_for_it() -> None:
    graph, _ = kubernetes({"churn": {**STABLE, **MANY, "owner": "the risk team", "riskClass": "high"}})
    ours = [r for r in graph.resources if r.parent == "churn" and r.type != RELEASE]
    assert len(ours) == 8
    for resource in ours:
        metadata = resource.inputs["metadata"]
        assert metadata["labels"]["model-delivery/model"] == "churn", resource.name
        assert metadata["labels"]["model-delivery/riskClass"] == "high"
        assert metadata["annotations"].items() >= {"model-delivery/owner": "the risk team"}.items()
        assert resource.type == ROUTE or metadata["labels"]["model-delivery/version"] == "3"
        assert metadata["namespace"] == "models"
    other, _ = kubernetes({"churn": {**STABLE, **MANY, "owner": "others", "riskClass": "limited"}})
    assert spec(graph, DEPLOYMENT) == spec(other, DEPLOYMENT)


def test_a_weight_changes_the_route_and_the_capacity_and_nothing_else() -> None:
    before, _ = kubernetes({"churn": {**STABLE, **MANY, "canary": {"version": 4, "weight": 10}}})
    after, _ = kubernetes({"churn": {**STABLE, **MANY, "canary": {"version": 4, "weight": 50}}})
    changed = {
        (r.type, r.name)
        for r in after.resources
        if (r.type, r.name) not in keys(before) or before.one(r.type, r.name).inputs != r.inputs
    }
    assert changed == {
        (ROUTE, "churn"),
        (HPA, "churn-v3"),
        (HPA, "churn-v4"),
        (JOB, "churn-v3-c5"),
        (JOB, "churn-v4-c5"),
    }
    assert keys(before) - keys(after) == {(JOB, "churn-v3-c9")}


def test_promotion_keeps_the_canarys_pods_as_they_are() -> None:
    canary, _ = kubernetes({"churn": {**STABLE, **MANY, "canary": {"version": 4, "weight": 100}}})
    promoted, _ = kubernetes({"churn": {"stable": {"version": 4}, **MANY}})
    for type in (DEPLOYMENT, HPA, PDB, NETWORK_POLICY, SERVICE_ACCOUNT):
        assert promoted.one(type, "churn-v4").inputs == canary.one(type, "churn-v4").inputs
    assert promoted.one(JOB, "churn-v4-c10").inputs == canary.one(JOB, "churn-v4-c10").inputs


def test_models_share_nothing_but_the_platform() -> None:
    graph, endpoints = kubernetes({"churn": STABLE, "fraud": STABLE})
    assert graph.counts() == counts(releases=2, endpoints=2)
    assert not any("churn" in name for name in graph.waits_for(ROUTE, "fraud"))
    assert set(endpoints) == {"churn", "fraud"}


def test_the_longest_name_fits_where_the_cluster_takes_63_characters() -> None:
    name, version = "a" * 40, 2**31 - 1
    graph, _ = kubernetes(
        {name: {"stable": {"version": version}, "autoscaling": {"min": 1000}, "owner": "x" * 100}}
    )
    longest = max(
        len(r.inputs["metadata"]["name"]) for r in graph.resources if r.parent == name and r.type != RELEASE
    )
    assert longest <= 63


def test_names_of_resources_stay() -> None:
    """A renamed resource is a deleted Deployment and a new one: it must be a decision, with an alias."""
    graph, _ = kubernetes({"churn": {**STABLE, "autoscaling": {"min": 2}}})
    ours = sorted((r.type, r.name) for r in graph.resources if "churn" in (r.name, r.parent))
    assert ours == [
        ("delivery:kubernetes:Endpoint", "churn"),
        ("delivery:registry:Release", "churn-v3"),
        ("kubernetes:apps/v1:Deployment", "churn-v3"),
        ("kubernetes:autoscaling/v2:HorizontalPodAutoscaler", "churn-v3"),
        ("kubernetes:batch/v1:Job", "churn-v3-c2"),
        ("kubernetes:core/v1:Service", "churn-v3"),
        ("kubernetes:core/v1:ServiceAccount", "churn-v3"),
        ("kubernetes:gateway.networking.k8s.io/v1:HTTPRoute", "churn"),
        ("kubernetes:networking.k8s.io/v1:NetworkPolicy", "churn-v3"),
        ("kubernetes:policy/v1:PodDisruptionBudget", "churn-v3"),
    ]


@pytest.mark.parametrize("source", ["file:///home/ann/mlruns/3", "/home/ann/mlruns/3", "", None])
def test_an_artifact_on_some_machines_disk_stops_the_plan(source: str | None) -> None:
    with pytest.raises(Exception, match=r"the artifact of churn-v3 is at .* where pods can't fetch"):
        kubernetes({"churn": STABLE}, source=source)


def keys(graph: Graph) -> set[tuple[str, str]]:
    return {(r.type, r.name) for r in graph.resources}


def needs(graph: Graph, type: str, name: str) -> set[str]:
    return {urn.split("::")[-1] for urn in graph.one(type, name).needs}


def type_of(graph: Graph, urn: str) -> str:
    found: dict[str, Declared] = {r.urn: r for r in graph.resources}
    return found[urn].type if urn in found else ""
