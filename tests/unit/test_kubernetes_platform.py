"""The whole graph that a platform on Kubernetes declares around its models."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar

import pulumi
import pulumi_kubernetes as k8s
import pytest
from hypothesis import HealthCheck, given, settings

from components.environment import Cluster, Environment, Gateway, Tracking, parse
from components.kubernetes.platform import KubernetesPlace
from components.kubernetes.settings import Settings, TrackingStore
from components.platform import declare as declare_platform
from components.traffic import shares
from tests.unit.environments import environments, kubernetes_platforms
from tests.unit.graph import Graph, declare
from tests.unit.kubernetes import (
    BUILT,
    CHART,
    CONFIG_MAP,
    DEPLOYMENT,
    ENDPOINT,
    HPA,
    IMAGE,
    JOB,
    MLFLOW,
    MONITOR,
    NAMESPACE,
    NETWORK_POLICY,
    PLATFORM,
    PROVIDER,
    PVC,
    RELEASE,
    ROLE,
    ROLE_BINDING,
    ROUTE,
    RULES,
    SCALED_OBJECT,
    SECRET,
    SECURITY_POLICY,
    SERVICE,
    SERVICE_ACCOUNT,
    declared,
    kubernetes,
    platform_counts,
    registry,
)

STABLE = {"stable": {"version": 3}}
GATEWAY = "kubernetes:gateway.networking.k8s.io/v1:Gateway"
GATEWAY_CLASS = "kubernetes:gateway.networking.k8s.io/v1:GatewayClass"
PROXY = "kubernetes:gateway.envoyproxy.io/v1alpha1:EnvoyProxy"


def charts(graph: Graph) -> dict[str, tuple[str, str]]:
    found = [r.inputs for r in graph.resources if r.type == CHART]
    return {chart["name"]: (chart["version"], chart["namespace"]) for chart in found}


def test_a_platform_without_models() -> None:
    graph, endpoints = kubernetes({})
    assert graph.counts() == platform_counts()
    assert endpoints == {}
    assert graph.one(PROVIDER, "cluster").inputs == {"context": "prod"}
    assert not any(r.protect for r in graph.resources)


def test_charts_are_pinned_and_wait_for_what_they_install() -> None:
    graph, _ = kubernetes({}, gpu="install", metricsServer="install")
    assert charts(graph) == {
        "envoy-gateway": ("v1.9.3", "envoy-gateway-system"),
        "monitoring": ("81.6.2", "monitoring"),
        "prometheus-adapter": ("5.3.0", "monitoring"),
        "metrics-server": ("3.13.0", "kube-system"),
        "nvidia-device-plugin": ("0.18.2", "nvidia-device-plugin"),
        "dcgm-exporter": ("4.8.2", "dcgm-exporter"),
    }
    for chart in (r.inputs for r in graph.resources if r.type == CHART):
        assert chart["atomic"] is True and "skipAwait" not in chart
        oci = chart["chart"].startswith("oci://")
        assert oci != ("repositoryOpts" in chart), chart["name"]
        assert chart["createNamespace"] is (chart["namespace"] != "kube-system")


def test_the_page_names_the_versions_that_are_installed() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs/components/kubernetes.md").read_text()
    graph, _ = kubernetes({}, gpu="install", metricsServer="install")
    for name, (version, _) in charts(graph).items():
        assert version in page, name


def test_nothing_is_installed_that_the_cluster_has() -> None:
    graph, _ = kubernetes(
        {}, gateway={"name": "public", "namespace": "gateways"}, monitoring="existing", gpu="existing"
    )
    assert graph.counts() == {
        "delivery:kubernetes:Platform": 1,
        "delivery:kubernetes:Monitoring": 1,
        PROVIDER: 1,
        NAMESPACE: 1,
        MONITOR: 1,
        RULES: 1,
        CONFIG_MAP: 3,
        SERVICE_ACCOUNT: 1,
        ROLE: 1,
        ROLE_BINDING: 1,
    }


def test_without_monitoring_nothing_asks_for_its_definitions() -> None:
    graph, _ = kubernetes({"churn": STABLE}, monitoring="none")
    assert not any("monitoring" in type.lower() for type in graph.counts())
    assert graph.names(CONFIG_MAP) == {
        f"definitions-{part}" for part in ("program", "gateway-api", "envoy-gateway")
    }
    assert charts(graph).keys() == {"envoy-gateway"}


def test_the_gateway_of_plain_http() -> None:
    graph, _ = kubernetes({})
    gateway = graph.one(GATEWAY, "models-gateway")
    assert gateway.inputs["metadata"]["namespace"] == "models"
    assert gateway.inputs["spec"] == {
        "gatewayClassName": "models",
        "listeners": [
            {
                "name": "http",
                "hostname": "models.example.com",
                "port": 80,
                "protocol": "HTTP",
                "allowedRoutes": {"namespaces": {"from": "Same"}},
            }
        ],
    }
    assert graph.one(GATEWAY_CLASS, "models-class").inputs["spec"]["parametersRef"] == {
        "group": "gateway.envoyproxy.io",
        "kind": "EnvoyProxy",
        "name": "models",
        "namespace": "envoy-gateway-system",
    }
    proxy = graph.one(PROXY, "models-proxy").inputs["spec"]
    assert proxy["provider"]["kubernetes"]["envoyDeployment"]["replicas"] == 2
    assert proxy["provider"]["kubernetes"]["envoyPDB"] == {"minAvailable": 1}
    assert {"envoy-gateway", "models-class", "models"} <= graph.waits_for(GATEWAY, "models-gateway")


def test_the_gateway_of_https_ends_tls() -> None:
    graph, endpoints = kubernetes(
        {"churn": STABLE}, url="https://models.example.com", gateway={"tlsSecret": "models-tls"}
    )
    (listener,) = graph.one(GATEWAY, "models-gateway").inputs["spec"]["listeners"]
    assert (listener["port"], listener["protocol"]) == (443, "HTTPS")
    assert listener["tls"] == {"mode": "Terminate", "certificateRefs": [{"name": "models-tls"}]}
    assert endpoints["churn"]["url"] == "https://models.example.com/churn"


def test_the_namespace_refuses_pods_that_are_not_hardened() -> None:
    graph, _ = kubernetes({}, namespace="serving")
    assert graph.one(NAMESPACE, "serving").inputs["metadata"] == {
        "name": "serving",
        "labels": {
            "app.kubernetes.io/part-of": "model-delivery",
            "pod-security.kubernetes.io/enforce": "restricted",
            "pod-security.kubernetes.io/warn": "restricted",
        },
    }
    assert "serving" in graph.waits_for(GATEWAY, "models-gateway")


def test_the_waiter_may_read_deployments_and_nothing_else() -> None:
    graph, _ = kubernetes({})
    assert graph.one(ROLE, "capacity").inputs["rules"] == [
        {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get"]}
    ]
    binding = graph.one(ROLE_BINDING, "capacity").inputs
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "capacity", "namespace": "models"}]


def test_endpoints_wait_for_the_gateway_and_everything_for_the_namespace() -> None:
    graph, _ = kubernetes({"churn": STABLE})
    assert {"envoy-gateway", "models-gateway", "models"} <= graph.waits_for(ROUTE, "churn")
    for type in (MONITOR, RULES):
        (name,) = graph.names(type)
        assert {"models", "monitoring"} <= graph.waits_for(type, name)


def test_every_object_is_the_given_clusters() -> None:
    graph, _ = kubernetes({"churn": STABLE}, tracking={"image": MLFLOW})
    outside = {
        r.type for r in graph.resources if r.type.startswith("kubernetes:") and "cluster" not in r.provider
    }
    assert outside == set()


class TestTracking:
    def test_on_a_volume(self) -> None:
        graph, _ = kubernetes({"churn": STABLE}, tracking={"image": MLFLOW, "storage": "5Gi"})
        server = graph.one(DEPLOYMENT, "tracking").inputs["spec"]
        assert server["replicas"] == 1 and server["strategy"] == {"type": "Recreate"}
        (container,) = server["template"]["spec"]["containers"]
        assert container["image"] == MLFLOW
        assert container["command"] == [
            *("mlflow", "server", "--host", "0.0.0.0", "--port", "5000"),
            *("--artifacts-destination", "/data/artifacts", "--serve-artifacts", "--workers", "2"),
            *("--allowed-hosts", "tracking.models.svc:5000,localhost:*,127.0.0.1:*"),
        ]
        variables = {v["name"]: v.get("value") for v in container["env"]}
        assert variables["MLFLOW_BACKEND_STORE_URI"] == "sqlite:////data/mlflow.db"
        claim = graph.one(PVC, "tracking")
        assert claim.inputs["spec"] == {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "5Gi"}},
        }
        assert not claim.protect
        fetch = graph.one(DEPLOYMENT, "churn-v3").inputs["spec"]["template"]["spec"]["initContainers"][0]
        assert "http://tracking.models.svc:5000" in fetch["args"]

    def test_its_data_outlive_a_mistake(self) -> None:
        graph, _ = kubernetes({}, tracking={"image": MLFLOW}, protectData=True)
        data = {(PVC, "tracking"), (NAMESPACE, "models")}
        assert {(r.type, r.name) for r in graph.resources if r.protect} == data
        assert {(r.type, r.name) for r in graph.resources if r.retained} == data

    def test_models_alone_reach_it(self) -> None:
        graph, _ = kubernetes({}, tracking={"image": MLFLOW})
        policy = graph.one(NETWORK_POLICY, "tracking").inputs["spec"]
        assert policy["ingress"] == [
            {
                "from": [{"podSelector": {"matchLabels": {"app.kubernetes.io/part-of": "model-delivery"}}}],
                "ports": [{"protocol": "TCP", "port": 5000}],
            }
        ]
        assert "type" not in graph.one(SERVICE, "tracking").inputs["spec"]

    ACCESS: ClassVar[dict[str, Any]] = {
        "host": "mlflow.example.com",
        "tlsSecret": "mlflow-tls",
        "issuer": "https://token.actions.githubusercontent.com",
        "jwks": "https://token.actions.githubusercontent.com/.well-known/jwks",
        "audience": "mlflow",
        "claims": {"repository_owner": "acme", "ref": "refs/heads/main"},
    }

    def published(self) -> Graph:
        graph, _ = kubernetes({}, tracking={"image": MLFLOW, "access": self.ACCESS})
        return graph

    def test_outside_it_asks_for_a_token_and_what_the_token_says(self) -> None:
        graph = self.published()
        assert graph.one(SECURITY_POLICY, "tracking-access").inputs["spec"] == {
            "targetRefs": [
                {"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": "tracking.mlflow"}
            ],
            "jwt": {
                "providers": [
                    {
                        "name": "issuer",
                        "issuer": self.ACCESS["issuer"],
                        "audiences": ["mlflow"],
                        "remoteJWKS": {"uri": self.ACCESS["jwks"]},
                        "extractFrom": {"headers": [{"name": "Authorization", "valuePrefix": "Bearer "}]},
                    }
                ]
            },
            "authorization": {
                "defaultAction": "Deny",
                "rules": [
                    {
                        "name": "bearers",
                        "action": "Allow",
                        "principal": {
                            "jwt": {
                                "provider": "issuer",
                                "claims": [
                                    {"name": "ref", "values": ["refs/heads/main"]},
                                    {"name": "repository_owner", "values": ["acme"]},
                                ],
                            }
                        },
                    }
                ],
            },
        }
        route = graph.one(ROUTE, "tracking-route").inputs
        # With a dot, which no model's name has: the routes of models are called after them.
        assert route["metadata"]["name"] == "tracking.mlflow"
        # The policy is there before the route, and until it is gone.
        assert "tracking-access" in {urn.split("::")[-1] for urn in graph.one(ROUTE, "tracking-route").needs}
        assert route["spec"]["hostnames"] == ["mlflow.example.com"]
        assert route["spec"]["rules"][0]["backendRefs"] == [{"name": "tracking", "port": 5000}]
        assert route["spec"]["rules"][0]["timeouts"] == {"request": "0s"}

    def test_it_has_a_host_with_tls_of_its_own(self) -> None:
        graph = self.published()
        models, mlflow = graph.one(GATEWAY, "models-gateway").inputs["spec"]["listeners"]
        assert models["name"] == "http"  # the models' own is as it was
        assert (mlflow["hostname"], mlflow["port"], mlflow["protocol"]) == (
            "mlflow.example.com",
            443,
            "HTTPS",
        )
        assert mlflow["tls"] == {"mode": "Terminate", "certificateRefs": [{"name": "mlflow-tls"}]}
        (parent,) = graph.one(ROUTE, "tracking-route").inputs["spec"]["parentRefs"]
        assert parent == {"name": "models", "sectionName": mlflow["name"]}
        (container,) = graph.one(DEPLOYMENT, "tracking").inputs["spec"]["template"]["spec"]["containers"]
        assert "mlflow.example.com" in container["command"][-1].split(",")

    def test_the_gateways_proxies_reach_it_then(self) -> None:
        (rule,) = self.published().one(NETWORK_POLICY, "tracking").inputs["spec"]["ingress"]
        assert rule["from"] == [
            {"podSelector": {"matchLabels": {"app.kubernetes.io/part-of": "model-delivery"}}},
            {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "envoy-gateway-system"}}},
        ]

    def test_on_a_database_and_a_bucket(self) -> None:
        acting: list[tuple[object, str]] = []

        def identity(
            namespace: pulumi.Input[str], account: str, opts: pulumi.ResourceOptions
        ) -> list[pulumi.Resource]:
            acting.append((namespace, account))
            return [k8s.core.v1.ConfigMap(f"identity-{account}", opts=opts)]

        settings = Settings(
            cluster=cluster(tracking=Tracking(image=MLFLOW)),
            access={},
            image=IMAGE,
            tracking_image=MLFLOW,
            store=TrackingStore(database="postgresql://u:p@db/mlflow", artifacts="s3://bucket/artifacts"),
            identity=identity,
        )
        graph = place(settings, {"churn": STABLE})
        assert graph.names(PVC) == graph.names(CHART) == set()
        server = graph.one(DEPLOYMENT, "tracking").inputs["spec"]
        assert server["replicas"] == 2 and server["strategy"] == {"type": "RollingUpdate"}
        (container,) = server["template"]["spec"]["containers"]
        assert container["command"][7] == "s3://bucket/artifacts"
        assert container["env"][0] == {
            "name": "MLFLOW_BACKEND_STORE_URI",
            "valueFrom": {"secretKeyRef": {"name": "tracking", "key": "database"}},
        }
        assert acting == [("models", "tracking"), ("models", "churn-v3")]
        # Pods may act in the cloud before they try to.
        assert "identity-tracking" in graph.waits_for(DEPLOYMENT, "tracking")
        assert "identity-churn-v3" in graph.waits_for(DEPLOYMENT, "churn-v3")

    def test_its_service_isnt_awaited_before_its_pods_can_be_there(self) -> None:
        """pulumi-kubernetes waits 10 minutes for the endpoints of a Service (provider/pkg/await/service.go),
        and the pods wait for a database, which AWS may take longer to make."""
        settings = Settings(
            cluster=cluster(tracking=Tracking(image=MLFLOW)),
            access={},
            image=IMAGE,
            tracking_image=MLFLOW,
            store=TrackingStore(database="postgresql://u:p@db/mlflow", artifacts="s3://bucket"),
        )
        graph = place(settings, {})
        assert graph.one(DEPLOYMENT, "tracking").urn in graph.one(SERVICE, "tracking").needs

    def test_the_database_is_a_secret(self) -> None:
        settings = Settings(
            cluster=cluster(tracking=Tracking(image=MLFLOW)),
            access={},
            image=IMAGE,
            tracking_image=MLFLOW,
            store=TrackingStore(database="postgresql://u:p@db/mlflow", artifacts="s3://bucket"),
        )
        graph = place(settings, {})
        # A bare value here would be one in the state too.
        assert graph.one(SECRET, "tracking").secrets >= {"stringData"}


def test_an_image_that_is_built_is_used_everywhere() -> None:
    built = "registry.example.com/built"
    graph, _ = kubernetes(
        {"churn": {**STABLE, "autoscaling": {"min": 2}}},
        image={"build": {"base": IMAGE, "repository": built}},
        imageUsesGpu=False,
    )
    (tag,) = graph.one("docker-build:index:Image", "serving").inputs["tags"]
    assert tag.startswith(f"{built}:")
    pods = [
        graph.one(DEPLOYMENT, "churn-v3").inputs["spec"]["template"]["spec"],
        graph.one(JOB, "churn-v3-c2").inputs["spec"]["template"]["spec"],
    ]
    images = {c["image"] for pod in pods for c in [*pod.get("initContainers", []), *pod["containers"]]}
    assert images == {f"{tag}@{BUILT}"}
    assert "serving" in graph.waits_for(DEPLOYMENT, "churn-v3")


def test_names_of_resources_stay() -> None:
    """A renamed resource is deleted and made anew: it must be a decision, with an alias."""
    graph, _ = kubernetes({}, tracking={"image": MLFLOW}, gpu="install", metricsServer="install")
    assert sorted((r.type.rpartition(":")[2], r.name, r.parent) for r in graph.resources) == [
        ("ClientTrafficPolicy", "models-clients", "gateway"),
        ("ClusterRole", "definitions", "definitions"),
        ("ClusterRoleBinding", "definitions", "definitions"),
        ("ConfigMap", "dashboard-delivery", "monitoring"),
        ("ConfigMap", "dashboard-hardware", "monitoring"),
        ("ConfigMap", "dashboard-inputs", "monitoring"),
        ("ConfigMap", "definitions-envoy-gateway", "definitions"),
        ("ConfigMap", "definitions-gateway-api", "definitions"),
        ("ConfigMap", "definitions-program", "definitions"),
        ("ConfigMap", "definitions-prometheus-operator", "definitions"),
        ("Definitions", "definitions", "kubernetes"),
        ("Deployment", "tracking", "tracking"),
        ("EnvoyProxy", "models-proxy", "gateway"),
        ("Gateway", "gateway", "kubernetes"),
        ("Gateway", "models-gateway", "gateway"),
        ("GatewayClass", "models-class", "gateway"),
        ("Job", "definitions", "definitions"),
        ("Monitoring", "monitoring", "kubernetes"),
        ("Namespace", "models", "kubernetes"),
        ("NetworkPolicy", "tracking", "tracking"),
        ("PersistentVolumeClaim", "tracking", "tracking"),
        ("Platform", "kubernetes", ""),
        ("PrometheusRule", "models-rules", "monitoring"),
        ("Release", "dcgm-exporter", "kubernetes"),
        ("Release", "envoy-gateway", "gateway"),
        ("Release", "metrics-server", "kubernetes"),
        ("Release", "monitoring", "monitoring"),
        ("Release", "nvidia-device-plugin", "kubernetes"),
        ("Release", "prometheus-adapter", "monitoring"),
        ("Role", "capacity", "kubernetes"),
        ("RoleBinding", "capacity", "kubernetes"),
        ("Service", "tracking", "tracking"),
        ("ServiceAccount", "capacity", "kubernetes"),
        ("ServiceAccount", "definitions", "definitions"),
        ("ServiceAccount", "tracking", "tracking"),
        ("ServiceMonitor", "models-monitor", "monitoring"),
        ("Tracking", "tracking", "kubernetes"),
        ("kubernetes", "cluster", ""),
    ]


@given(environments(on=kubernetes_platforms))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_is_valid_is_declared_and_weights_sum_to_100(environment: Environment) -> None:
    graph, endpoints = declared(environment)
    assert set(endpoints) == {model.name for model in environment.models}
    for model in environment.models:
        (rule,) = graph.one(ROUTE, model.name).inputs["spec"]["rules"]
        assert sum(backend["weight"] for backend in rule["backendRefs"]) == 100
        for share in shares(model):
            name = f"{model.name}-v{share.version}"
            if environment.platform.has_keda:
                scaling = graph.one(SCALED_OBJECT, name).inputs["spec"]
                least, most = scaling["minReplicaCount"], scaling["maxReplicaCount"]
            else:
                scaling = graph.one(HPA, name).inputs["spec"]
                least, most = scaling["minReplicas"], scaling["maxReplicas"]
            assert min(model.autoscaling.min, 1) <= least <= most
    endpoints_declared = graph.counts().get(ENDPOINT, 0)
    assert endpoints_declared == len(environment.models)


class TestBorrowed:
    OWNED: ClassVar[dict[str, Any]] = {
        "access": {"context": "prod"},
        "namespace": "models",
        "image": IMAGE,
        "registry": "https://mlflow.example.com",
        "tracking": "http://tracking.models.svc:5000",
        "url": "https://models.example.com",
        "gateway": "models",
        "gatewayNamespace": "models",
        "proxies": "envoy-gateway-system",
        "waiter": "capacity",
        "gpus": False,
        "keda": False,
        "prometheus": "",
    }

    def borrow(self, models: dict[str, Any], owned: Any, **platform: str) -> tuple[Graph, dict[str, Any]]:
        def outputs(type: str, name: str, inputs: dict[str, Any]) -> dict[str, Any]:
            if type == "pulumi:pulumi:StackReference":
                return {"outputs": {"platform": owned} if owned else {}, "secretOutputNames": []}
            return registry(type, name, inputs)

        environment = parse({"stack": "acme/model-delivery/prod", **platform}, models)
        found: list[tuple[str, Any]] = []

        def program() -> None:
            place = declare_platform(environment.platform)
            for model in environment.models:
                name, endpoint = model.name, place.serve(model).outputs
                endpoint.apply(lambda value, name=name: found.append((name, value)))

        return declare(program, outputs), dict(found)

    def test_an_endpoint_is_the_same_as_on_the_owners_own_stack(self) -> None:
        block = {**STABLE, "canary": {"version": 4, "weight": 10}, "autoscaling": {"min": 4}}
        borrowed, endpoints = self.borrow({"churn": block}, self.OWNED)
        owned, _ = kubernetes(
            {"churn": block},
            url="https://models.example.com",
            gateway={"tlsSecret": "t"},
            tracking={"image": MLFLOW},
        )
        same = {(r.type, r.name): r.inputs for r in owned.resources if r.parent == "churn"}
        assert {(r.type, r.name): r.inputs for r in borrowed.resources if r.parent == "churn"} == same
        assert endpoints["churn"]["url"] == "https://models.example.com/churn"
        assert borrowed.one(PROVIDER, "cluster").inputs == {"context": "prod"}

    def test_every_object_is_the_owners_clusters(self) -> None:
        graph, _ = self.borrow({"churn": STABLE}, {**self.OWNED, "access": {"kubeconfig": "kind: Config"}})
        assert graph.one(PROVIDER, "cluster").inputs == {"kubeconfig": "kind: Config"}
        assert graph.one(PROVIDER, "cluster").parent == graph.one(ENDPOINT, "churn").parent == "borrowed"
        ours = [r for r in graph.resources if r.type.startswith("kubernetes:")]
        assert len(ours) == 7 and all("::cluster::" in r.provider for r in ours)

    def test_nothing_of_the_platform_is_declared(self) -> None:
        graph, _ = self.borrow({}, self.OWNED)
        assert graph.counts() == {"delivery:kubernetes:Borrowed": 1, PROVIDER: 1}

    def test_what_the_owner_exports_is_what_is_taken(self) -> None:
        exported: list[Any] = []

        def program() -> None:
            place = declare_platform(parse(PLATFORM, {}).platform)
            pulumi.Output.from_input(place.outputs["platform"]).apply(exported.append)

        declare(program, registry)
        assert exported[0].keys() == self.OWNED.keys()

    @pytest.mark.parametrize(
        ("asked", "owner", "words"),
        [
            (
                {"rateLimit": {"requestsPerSecond": 5}},
                {"proxies": ""},
                r"models\.churn\.rateLimit needs Envoy Gateway as this project installs it",
            ),
            (
                {"authentication": "none"},
                {"proxies": ""},
                r"models\.churn\.authentication needs Envoy Gateway as this project installs it",
            ),
            (
                {"authentication": {"apiKeys": {"secret": "callers"}}},
                {"url": "http://models.example.com"},
                r"models\.churn\.authentication only over https",
            ),
        ],
    )
    def test_what_the_owners_gateway_cannot_ask_of_callers_stops_the_plan(
        self, asked: dict[str, Any], owner: dict[str, Any], words: str
    ) -> None:
        models = {"churn": {**STABLE, **asked}}
        able = {**self.OWNED, "proxies": "envoy-gateway-system", "url": "https://models.example.com"}
        with pytest.raises(Exception, match=words):
            self.borrow(models, {**able, **owner})
        graph, _ = self.borrow(models, able)
        (policy,) = [r for r in graph.resources if r.type.endswith("Policy") and "envoyproxy" in r.type]
        assert policy.parent == "churn" and "::cluster::" in policy.provider

    def test_a_gpu_that_the_owner_does_not_have_stops_the_plan(self) -> None:
        models = {"churn": {**STABLE, "resources": {"gpu": 1}}}
        with pytest.raises(Exception, match=r"models\.churn\.resources\.gpu is 1: .*has\s+no GPU nodes"):
            self.borrow(models, self.OWNED)
        graph, _ = self.borrow(models, {**self.OWNED, "gpus": True})
        assert graph.names(RELEASE) == {"churn-v3"}

    def test_an_owner_without_keda_stops_the_plan(self) -> None:
        models = {"churn": {**STABLE, "autoscaling": {"min": 0}}}
        before = {key: value for key, value in self.OWNED.items() if key not in ("keda", "prometheus")}
        for owned in (
            self.OWNED,
            before,
        ):  # one that has, and one that hasn't been applied since there is KEDA
            message = (
                "platform.keda is existing: the platform of acme/model-delivery/prod has no KEDA."
                " Set platform.keda there first, or leave it out here"
            )
            with pytest.raises(Exception, match=re.escape(message)):
                self.borrow(models, owned, keda="existing")
        graph, _ = self.borrow(models, {**self.OWNED, "keda": True}, keda="existing")
        assert graph.names(SCALED_OBJECT) == {"churn-v3"}

    @pytest.mark.parametrize(
        ("block", "key"),
        [
            ({"resources": {"gpu": 1}, "autoscaling": {"gpuUtilization": 60}}, "gpuUtilization is 60"),
            ({"autoscaling": {"requestsPerSecond": 9}}, "requestsPerSecond is 9"),
        ],
    )
    def test_an_owner_without_a_prometheus_stops_what_asks_it(self, block: dict[str, Any], key: str) -> None:
        owned = {**self.OWNED, "keda": True, "gpus": True}
        message = (
            f"models.churn.autoscaling.{key}: the platform of acme/model-delivery/prod has no Prometheus that"
            " KEDA can ask. Set platform.prometheus there first"
        )
        with pytest.raises(Exception, match=re.escape(message)):
            self.borrow({"churn": {**STABLE, **block}}, owned, keda="existing")
        graph, _ = self.borrow(
            {"churn": {**STABLE, **block}}, {**owned, "prometheus": "http://p:9090"}, keda="existing"
        )
        found = graph.one(SCALED_OBJECT, "churn-v3").inputs["spec"]["triggers"]
        assert found[-1]["metadata"]["serverAddress"] == "http://p:9090"

    def test_a_stack_without_a_cluster_stops_the_plan(self) -> None:
        with pytest.raises(Exception, match="acme/model-delivery/prod: that stack exports no platform"):
            self.borrow({"churn": STABLE}, None)


def cluster(tracking: Tracking | None = None) -> Cluster:
    return Cluster(
        image=IMAGE,
        registry="https://mlflow.example.com",
        url="http://models.example.com",
        gateway=Gateway(name="public", namespace="gateways"),
        monitoring="none",
        tracking=tracking,
    )


def place(settings: Settings, models: dict[str, Any]) -> Graph:
    """The graph of a place that another platform declares."""
    environment = parse(PLATFORM, models)

    def program() -> None:
        provider = k8s.Provider("cluster", context="prod")
        declared_place = KubernetesPlace("kubernetes", settings, provider)
        for model in environment.models:
            declared_place.serve(model)

    return declare(program, registry)
