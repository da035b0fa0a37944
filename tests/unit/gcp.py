"""The graph of a GCP environment on mocks, and the names of its types."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pulumi

from components.environment import parse
from components.platform import declare as declare_platform
from tests.unit.graph import Declared, Graph, declare

PROJECT, NUMBER = "acme-models", "123456789012"
DIGEST = "sha256:" + "a" * 64
IMAGE = f"europe-west4-docker.pkg.dev/{PROJECT}/serving/serving@{DIGEST}"
MLFLOW = f"ghcr.io/mlflow/mlflow@{DIGEST}"
DEPLOYER = f"serviceAccount:deploy@{PROJECT}.iam.gserviceaccount.com"
CALLERS = "group:callers@example.com"
PREFIX = "model-delivery-local"

SERVICE = "gcp:cloudrunv2/service:Service"
URL_MAP = "gcp:compute/regionUrlMap:RegionUrlMap"
CLUSTER = "gcp:container/cluster:Cluster"
POOL = "gcp:container/nodePool:NodePool"
INVOKER = "gcp:cloudrunv2/serviceIamMember:ServiceIamMember"
BUCKET_MEMBER = "gcp:storage/bucketIAMMember:BucketIAMMember"

DEV: dict[str, Any] = {
    "kind": "gcp",
    "project": PROJECT,
    "projectNumber": NUMBER,
    "region": "europe-west4",
    "admins": [DEPLOYER],
    "image": IMAGE,
    "registry": "https://mlflow.example.com",
    "url": "http://models.example.com",
}
"""As little as can be said."""

PROD: dict[str, Any] = {
    **DEV,
    "zones": ["europe-west4-a", "europe-west4-b", "europe-west4-c"],
    "protectData": True,
    "tracking": {"image": MLFLOW},
    "imageUsesGpu": True,
    "database": {"tier": "db-perf-optimized-N-2", "storageGb": 100, "multiZone": True},
    "nodes": {
        "cpu": {"machineType": "n2-standard-4", "min": 3, "max": 12},
        "gpu": {"l4": {"machineType": "g2-standard-24", "max": 4, "spot": True}},
    },
    "cloudRun": {
        "invokers": [CALLERS],
        "domain": "run.models.example.com",
        "certificate": f"projects/{PROJECT}/locations/europe-west4/certificates/models",
    },
    "alarmChannel": f"projects/{PROJECT}/notificationChannels/77",
    "logDays": 365,
    "labels": {"cost-centre": "ml"},
}
"""Three zones, a GPU pool, MLflow with its database, protected data."""

BUILD: dict[str, Any] = {"build": {"base": f"docker.io/library/python:3.12-slim@{DIGEST}"}}
"""An image that is built."""


AGENT = f"serviceAccount:service-{NUMBER}@gs-project-accounts.iam.gserviceaccount.com"
"""Who Cloud Storage is in the project."""
CALLS = {"gcp:storage/getProjectServiceAccount:getProjectServiceAccount": {"member": AGENT}}


def answers(type: str, name: str, inputs: dict[str, Any]) -> dict[str, Any]:
    """What Google and the registry would answer."""
    if type == "delivery:registry:Release":
        return {"digest": f"sha256:{name}", "source": f"mlflow-artifacts:/{name}", "artifact": f"/a/{name}"}
    if type == "docker-build:index:Image":
        return {"ref": f"{inputs['tags'][0]}@{DIGEST}"}
    if type.startswith("kubernetes:") and type.endswith(":Gateway"):
        return {"status": {"addresses": [{"type": "IPAddress", "value": "10.20.0.9"}]}}
    if not type.startswith("gcp:"):
        return {}
    answer: dict[str, Any] = {"name": inputs.get("name", f"{name}-auto")}
    if type == CLUSTER:
        answer |= {"endpoint": "10.20.240.2", "masterAuth": {"clusterCaCertificate": "Y2E="}}
    if type == "gcp:serviceaccount/account:Account":
        email = f"{inputs['accountId']}@{PROJECT}.iam.gserviceaccount.com"
        answer |= {"email": email, "member": f"serviceAccount:{email}"}
    if type == "gcp:sql/databaseInstance:DatabaseInstance":
        answer["privateIpAddress"] = "10.20.212.3"
    if type == "gcp:compute/forwardingRule:ForwardingRule":
        answer["ipAddress"] = f"address-of-{name}"
    return answer


def google(
    models: dict[str, Any] | None = None, platform: dict[str, Any] = DEV, **more: Any
) -> tuple[Graph, dict[str, Any], dict[str, Any]]:
    """The graph of a GCP environment, its endpoints' outputs, and its platform's: to read, not to change."""
    return _google(json.dumps([{**platform, **more}, models or {}]))


@cache
def _google(configuration: str) -> tuple[Graph, dict[str, Any], dict[str, Any]]:
    platform, models = json.loads(configuration)
    environment = parse(platform, models)
    found: dict[str, Any] = {}
    outputs: dict[str, Any] = {}

    def program() -> None:
        place = declare_platform(environment.platform)
        outputs.update(place.outputs)
        address = pulumi.Output.from_input(place.outputs["gatewayAddress"])
        address.apply(lambda value: outputs.update(gatewayAddress=value))
        for model in environment.models:
            place.serve(model).outputs.apply(lambda value, name=model.name: found.update({name: value}))

    return declare(program, answers, calls=CALLS), found, outputs


def only_gcp(graph: Graph) -> list[Declared]:
    return [r for r in graph.resources if r.type.startswith("gcp:")]


def model_part(graph: Graph, name: str) -> list[Declared]:
    """All that an endpoint on Cloud Run declares, without itself."""
    top = graph.one("delivery:gcp:CloudRunEndpoint", name)
    return [r for r in graph.resources if r.parent_urn == top.urn]
