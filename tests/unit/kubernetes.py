"""The graph of a Kubernetes environment on mocks, and the names of its types."""

from __future__ import annotations

from typing import Any

from components.environment import Environment, parse
from components.platform import declare as declare_platform
from tests.unit.graph import Graph, declare

IMAGE = "registry.example.com/serving@sha256:" + "a" * 64
BUILT = "sha256:" + "c" * 64
"""The digest of an image that is built."""
MLFLOW = "registry.example.com/mlflow@sha256:" + "b" * 64
PLATFORM: dict[str, Any] = {
    "kind": "kubernetes",
    "context": "prod",
    "image": IMAGE,
    "imageUsesGpu": True,
    "registry": "https://mlflow.example.com",
    "url": "http://models.example.com",
}

RELEASE = "delivery:registry:Release"
ENDPOINT = "delivery:kubernetes:Endpoint"
CHART = "kubernetes:helm.sh/v3:Release"
PROVIDER = "pulumi:providers:kubernetes"
CLUSTER_ROLE = "kubernetes:rbac.authorization.k8s.io/v1:ClusterRole"
CLUSTER_ROLE_BINDING = "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding"
CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
DEFINITIONS = "delivery:kubernetes:Definitions"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"
HPA = "kubernetes:autoscaling/v2:HorizontalPodAutoscaler"
INTERCEPTOR_ROUTE = "kubernetes:http.keda.sh/v1beta1:InterceptorRoute"
JOB = "kubernetes:batch/v1:Job"
NAMESPACE = "kubernetes:core/v1:Namespace"
NETWORK_POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
PDB = "kubernetes:policy/v1:PodDisruptionBudget"
PVC = "kubernetes:core/v1:PersistentVolumeClaim"
REFERENCE_GRANT = "kubernetes:gateway.networking.k8s.io/v1beta1:ReferenceGrant"
ROLE = "kubernetes:rbac.authorization.k8s.io/v1:Role"
ROLE_BINDING = "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding"
ROUTE = "kubernetes:gateway.networking.k8s.io/v1:HTTPRoute"
RULES = "kubernetes:monitoring.coreos.com/v1:PrometheusRule"
MONITOR = "kubernetes:monitoring.coreos.com/v1:ServiceMonitor"
SCALED_OBJECT = "kubernetes:keda.sh/v1alpha1:ScaledObject"
SECRET = "kubernetes:core/v1:Secret"
SECURITY_POLICY = "kubernetes:gateway.envoyproxy.io/v1alpha1:SecurityPolicy"
SERVICE = "kubernetes:core/v1:Service"
SERVICE_ACCOUNT = "kubernetes:core/v1:ServiceAccount"


def platform_counts() -> dict[str, int]:
    """What a platform with the defaults has before its first model."""
    return {
        "delivery:kubernetes:Platform": 1,
        DEFINITIONS: 1,
        "delivery:kubernetes:Gateway": 1,
        "delivery:kubernetes:Monitoring": 1,
        PROVIDER: 1,
        NAMESPACE: 1,
        CHART: 3,
        "kubernetes:gateway.envoyproxy.io/v1alpha1:EnvoyProxy": 1,
        "kubernetes:gateway.envoyproxy.io/v1alpha1:ClientTrafficPolicy": 1,
        "kubernetes:gateway.networking.k8s.io/v1:GatewayClass": 1,
        "kubernetes:gateway.networking.k8s.io/v1:Gateway": 1,
        MONITOR: 1,
        RULES: 1,
        # Three dashboards; the Job's program and three files of definitions.
        CONFIG_MAP: 3 + 4,
        SERVICE_ACCOUNT: 1 + 1,
        ROLE: 1,
        ROLE_BINDING: 1,
        CLUSTER_ROLE: 1,
        CLUSTER_ROLE_BINDING: 1,
        JOB: 1,
    }


def jobs(graph: Graph) -> set[str]:
    """The Jobs but that of the definitions, which every platform has."""
    return graph.names(JOB) - {"definitions"}


def registry(type: str, name: str, inputs: dict[str, Any]) -> dict[str, Any]:
    """What the providers would answer."""
    if type == RELEASE:
        return {"digest": f"sha256:{name}", "source": f"s3://artifacts/{name}", "artifact": f"/a/{name}"}
    if type == "docker-build:index:Image":
        return {"ref": f"{inputs['tags'][0]}@{BUILT}"}
    return {}


_BUCKET = "s3://artifacts/{}"


def kubernetes(
    models: dict[str, Any], *, source: str | None = _BUCKET, **platform: Any
) -> tuple[Graph, dict[str, Any]]:
    """The graph of a Kubernetes environment, and its endpoints' outputs; artifacts are at ``source``."""
    return declared(parse({**PLATFORM, **platform}, models), source)


def declared(environment: Environment, source: str | None = _BUCKET) -> tuple[Graph, dict[str, Any]]:
    """The graph of any environment, and its endpoints' outputs."""

    def outputs(type: str, name: str, inputs: dict[str, Any]) -> dict[str, Any]:
        found = registry(type, name, inputs)
        artifact = source.format(name) if source else source
        return {**found, "source": artifact} if type == RELEASE else found

    found: list[tuple[str, Any]] = []

    def program() -> None:
        place = declare_platform(environment.platform)
        for model in environment.models:
            name, endpoint = model.name, place.serve(model).outputs
            endpoint.apply(lambda value, name=name: found.append((name, value)))

    return declare(program, outputs), dict(found)
