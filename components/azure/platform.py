"""The Azure place: models on an Azure Machine Learning workspace that is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_azure_native as azure

from components.azure.bodies import Names
from components.azure.endpoint import AzureMlEndpoint, serving_environment
from components.endpoint import Before, ModelEndpoint, waiting
from components.environment import AzurePlatform, Model


class AzurePlace(pulumi.ComponentResource):
    """The platform of a stack on Azure: an environment in the workspace, and a provider that is bound to the
    file's subscription."""

    outputs: Mapping[str, pulumi.Input[Any]]
    """``trackingUrl`` and ``workspace``."""

    def __init__(
        self, name: str, settings: AzurePlatform, prefix: str, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """``prefix`` begins every name that people see: project and stack."""
        super().__init__("delivery:azure:Platform", name, None, opts)
        self._names = Names(prefix=prefix, settings=settings)
        provider = azure.Provider(
            "azure",
            subscription_id=settings.subscription,
            location=settings.region,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self._environment = serving_environment(
            self._names, pulumi.ResourceOptions(parent=self, provider=provider)
        )
        # Of a component, it goes to all of its parts.
        self._child = pulumi.ResourceOptions(parent=self, providers=[provider])
        self.outputs = {"trackingUrl": settings.registry, "workspace": settings.workspace}
        self.register_outputs(dict(self.outputs))

    def request_log(self, model: Model) -> Mapping[str, int] | None:
        """Return None: no request is kept."""
        return None

    def serve(self, model: Model, after: Before = ()) -> ModelEndpoint:
        """Declare a model's endpoint."""
        return AzureMlEndpoint(model, self._names, self._environment, waiting(self._child, after))
