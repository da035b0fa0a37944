"""What Azure's API is told of an endpoint and its releases. Pure, and without the SDK: a model in, plain
values out."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import pulumi

from components.environment import AzurePlatform, Model
from components.traffic import Share

PORT: Final = 8080
_API_VERSION: Final = "2024-10-01"
_SCHEMA: Final = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What everything of one platform is called, as literal values, known in a preview."""

    prefix: str
    """What names begin with: project and stack, such as ``model-delivery-prod``."""
    settings: AzurePlatform

    def endpoint(self, model: str) -> str:
        """An endpoint's name, which no other in the region has: at most 32 characters, a letter first."""
        name = re.sub(r"[^a-z0-9]+", "-", f"{self.prefix}-{model}".lower()).strip("-")
        if not name[:1].isalpha():
            name = f"m-{name}"
        if len(name) <= 32:
            return name
        return f"{name[:23].rstrip('-')}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"

    def url(self, model: str) -> str:
        """Where callers reach it."""
        return f"https://{self.endpoint(model)}.{self.settings.region}.inference.ml.azure.com"

    @property
    def environment(self) -> str:
        """The environment asset that holds the servers' image."""
        return f"{self.prefix}-serving"

    @property
    def environment_version(self) -> str:
        """Made of the image's digest: a version can't change."""
        return self.settings.image.rpartition("sha256:")[2][:20]

    @property
    def environment_id(self) -> str:
        """The environment's version as deployments name it."""
        at = self.settings
        return (
            f"/subscriptions/{at.subscription}/resourceGroups/{at.resource_group}"
            f"/providers/Microsoft.MachineLearningServices/workspaces/{at.workspace}"
            f"/environments/{self.environment}/versions/{self.environment_version}"
        )


def deployment_name(version: int) -> str:
    """A release's deployment: Azure takes no name of less than three characters."""
    return f"release-v{version}"


def tags(names: Names, model: Model, version: int | None = None) -> dict[str, str]:
    """Tags that say whose a resource is, beside the file's. Without a version: of all its releases."""
    found = {
        **names.settings.tags,
        "model-delivery-stack": names.prefix,
        "model-delivery-model": model.name,
    }
    if version is not None:
        found["model-delivery-version"] = str(version)
    if model.owner:
        found["model-delivery-owner"] = model.owner
    if model.risk_class:
        found["model-delivery-risk-class"] = model.risk_class
    return found


def endpoint_properties(settings: AzurePlatform) -> dict[str, Any]:
    """An endpoint that takes tokens of Microsoft Entra ID alone: it has keys nowhere."""
    return {
        "authMode": "AADToken",
        "publicNetworkAccess": "Enabled" if settings.public_access else "Disabled",
    }


def traffic(split: Sequence[Share]) -> dict[str, int]:
    """The percentage of each deployment; they sum to 100."""
    return {deployment_name(share.version): share.weight for share in split}


def template(names: Names, model: Model, split: Sequence[Share]) -> dict[str, Any]:
    """The ARM template that puts the whole endpoint as it is meant to be, its traffic with it."""
    settings = names.settings
    return {
        "$schema": _SCHEMA,
        "contentVersion": "1.0.0.0",
        "resources": [
            {
                "type": "Microsoft.MachineLearningServices/workspaces/onlineEndpoints",
                "apiVersion": _API_VERSION,
                "name": f"{settings.workspace}/{names.endpoint(model.name)}",
                "location": settings.region,
                "tags": {_literal(key): _literal(value) for key, value in tags(names, model).items()},
                "identity": {"type": "SystemAssigned"},
                "properties": {**endpoint_properties(settings), "traffic": traffic(split)},
            }
        ],
    }


def variables(
    names: Names, model: Model, share: Share, cores: int, digest: pulumi.Input[str], source: pulumi.Input[str]
) -> dict[str, pulumi.Input[str]]:
    """What a release's servers are set up by."""
    return {
        "SERVING_MODEL": model.name,
        "SERVING_VERSION": str(share.version),
        "SERVING_DIGEST": digest,
        "SERVING_SOURCE": source,
        "SERVING_TRACKING": names.settings.registry,
        "SERVING_ARTIFACT": "/tmp/model",  # noqa: S108 - a container's own disk
        "SERVING_HOST": "0.0.0.0",  # noqa: S104
        "SERVING_PORT": str(PORT),
        "SERVING_THREADS": str(cores),
        **model.server_variables,
    }


def fetchable(uri: str) -> str:
    """An artifact's URI, which its MLflow server hands out.

    Raises RunError for any other: servers on Azure have credentials for no other store.
    """
    if urlsplit(uri).scheme == "mlflow-artifacts":
        return uri
    raise pulumi.RunError(
        f"the artifact {uri} is not handed out by an MLflow server, and servers on azure-ml fetch from there "
        "alone. Register the model with an MLflow that serves artifacts (mlflow server --serve-artifacts)"
    )


def _literal(text: str) -> str:
    """Text in a template: what stands in brackets would be an expression."""
    return f"[{text}" if text.startswith("[") and text.endswith("]") else text
