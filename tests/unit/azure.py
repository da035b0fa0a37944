"""The graph of an Azure environment on mocks, and the names of its types."""

from __future__ import annotations

import json
from functools import cache
from importlib.util import find_spec
from typing import Any

import pytest

from components.environment import parse
from components.platform import declare as declare_platform
from tests.unit.graph import Graph, declare

needs_sdk = pytest.mark.skipif(
    find_spec("pulumi_azure_native") is None,
    reason="Azure's SDK is not installed: make setup WITH=azure",
)

SUBSCRIPTION = "01234567-89ab-cdef-0123-456789abcdef"
DIGEST = "sha256:" + "a" * 64
WORKSPACE_ID = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/ml-prod"
    "/providers/Microsoft.MachineLearningServices/workspaces/models"
)

ENDPOINT = "azure-native:machinelearningservices:OnlineEndpoint"
DEPLOYMENT = "azure-native:machinelearningservices:OnlineDeployment"
ENVIRONMENT = "azure-native:machinelearningservices:EnvironmentVersion"
TRAFFIC = "azure-native:resources:Deployment"

PLATFORM: dict[str, Any] = {
    "kind": "azure",
    "subscription": SUBSCRIPTION,
    "resourceGroup": "ml-prod",
    "region": "westeurope",
    "workspace": "models",
    "image": f"acmemodels.azurecr.io/serving@{DIGEST}",
    "imageUsesGpu": True,
    "registry": "https://mlflow.example.com",
}
"""As little as can be said."""


def answers(type: str, name: str, inputs: dict[str, Any]) -> dict[str, Any]:
    """What Azure and the registry would answer."""
    if type == "delivery:registry:Release":
        return {"digest": f"sha256:{name}", "source": f"mlflow-artifacts:/{name}", "artifact": f"/a/{name}"}
    if type == ENDPOINT:
        return {"name": inputs["endpointName"]}
    return {}


def azure(models: dict[str, Any] | None = None, **more: Any) -> tuple[Graph, dict[str, Any]]:
    """The graph of an Azure environment and its endpoints' outputs: to read, not to change."""
    return _azure(json.dumps([{**PLATFORM, **more}, models or {}]))


@cache
def _azure(configuration: str) -> tuple[Graph, dict[str, Any]]:
    platform, models = json.loads(configuration)
    environment = parse(platform, models)
    found: dict[str, Any] = {}

    def program() -> None:
        place = declare_platform(environment.platform)
        for model in environment.models:
            place.serve(model).outputs.apply(lambda value, name=model.name: found.update({name: value}))

    return declare(program, answers), found
