"""What every place that models run on fulfils, and the one spot that picks the place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import pulumi

from components.endpoint import ModelEndpoint
from components.environment import (
    AwsPlatform,
    AzurePlatform,
    BorrowedPlatform,
    GcpPlatform,
    KubernetesPlatform,
    LocalPlatform,
    Model,
    Platform,
)
from components.rollout import Rollout


class Place(Protocol):
    """A platform with everything that models need around them."""

    @property
    def outputs(self) -> Mapping[str, pulumi.Input[Any]]:
        """The stack outputs of the platform itself: ``gatewayUrl``, ``trackingUrl`` and the place's own."""
        ...

    def serve(self, model: Model) -> ModelEndpoint:
        """Declare a model's endpoint."""
        ...


def deliver(place: Place, model: Model) -> pulumi.Output[dict[str, Any]]:
    """Declare a model on a place: its endpoint, and the rollout that tells who serves there. Returns the
    endpoint's stack output.

    The rollout belongs to no floor, so that every place has it, under the same name.
    """
    endpoint = place.serve(model)
    # Also for what an endpoint finds out after its parts are there: that its step was rolled back.
    served = endpoint.outputs.apply(lambda _: endpoint)
    opts = pulumi.ResourceOptions(depends_on=[endpoint, served])
    Rollout(model.name, model, endpoint.request_log, opts)
    return endpoint.outputs


def declare(platform: Platform) -> Place:
    """Declare the platform of an environment. A floor, and the SDKs under it, is imported only when it is
    chosen."""
    match platform:
        case LocalPlatform():
            from components.local.platform import LocalPlace

            return LocalPlace("local", platform)
        case KubernetesPlatform():
            import pulumi_kubernetes as k8s

            from components.image import serving_image
            from components.kubernetes.platform import KubernetesPlace
            from components.kubernetes.settings import Settings

            return KubernetesPlace(
                "kubernetes",
                Settings(
                    cluster=platform.cluster,
                    image=serving_image(platform.cluster.image),
                    access={"context": platform.context},
                    gpu=platform.gpu,
                    metrics_server=platform.metrics_server,
                ),
                k8s.Provider("cluster", context=platform.context),
            )
        case AwsPlatform():
            from components.aws.platform import AwsPlace, provider
            from components.aws.scope import prefix

            own = prefix(pulumi.get_project(), pulumi.get_stack())
            opts = pulumi.ResourceOptions(providers=[provider(platform, own)])
            return AwsPlace("aws", platform, own, opts)
        case GcpPlatform():
            from components.gcp.platform import GcpPlace
            from components.gcp.platform import provider as google
            from components.gcp.scope import prefix as named

            own = named(pulumi.get_project(), pulumi.get_stack())
            opts = pulumi.ResourceOptions(providers=[google(platform, own)])
            return GcpPlace("gcp", platform, own, opts)
        case AzurePlatform():
            return _azure(platform)
        case BorrowedPlatform():
            from components.kubernetes.borrowed import BorrowedPlace

            return BorrowedPlace("borrowed", platform)


def _azure(platform: AzurePlatform) -> Place:
    try:
        from components.azure.platform import AzurePlace
    except ModuleNotFoundError as error:
        if error.name != "pulumi_azure_native":
            raise
        raise pulumi.RunError(
            "a platform of kind azure needs Azure's SDK, which is not installed by default. "
            "Run `make setup WITH=azure`"
        ) from None
    return AzurePlace("azure", platform, f"{pulumi.get_project()}-{pulumi.get_stack()}")
