"""What every place that models run on fulfils, and the one spot that picks the place."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import pulumi

from components.endpoint import Before, ModelEndpoint
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
from components.replacement import in_order
from components.rollout import Rollout
from components.step import Step, recorded


class Place(Protocol):
    """A platform with everything that models need around them."""

    @property
    def outputs(self) -> Mapping[str, pulumi.Input[Any]]:
        """The stack outputs of the platform itself: ``gatewayUrl``, ``trackingUrl`` and the place's own."""
        ...

    def serve(self, model: Model, after: Before = ()) -> ModelEndpoint:
        """Declare a model's endpoint. It depends on ``after``: nothing of it begins before that is done."""
        ...

    def request_log(self, model: Model) -> Mapping[str, int] | None:
        """Return the share of a model's requests that its endpoint keeps, ``percent``, and for how long,
        ``retentionDays`` (absent: until deleted by hand); None if it keeps none."""
        ...


def deliver(place: Place, models: Sequence[Model]) -> dict[str, pulumi.Output[dict[str, Any]]]:
    """Declare models on a place. Returns each one's stack output by name, known when its step is recorded.

    Every model has a step before its endpoint and a rollout after it, under the same names on every place. No
    endpoint begins before the steps of all models are judged: a refused one leaves the others' traffic alone.
    """
    if not models:
        return {}
    applied = recorded()
    steps = [_step(place, model, applied) for model in models]
    judged = pulumi.Output.all(*(step.urn for step in steps))
    return {
        model.name: _delivered(place, model, step, judged) for model, step in zip(models, steps, strict=True)
    }


def _step(place: Place, model: Model, applied: pulumi.Output[dict[str, dict[str, Any]]]) -> Step:
    of_model = applied.apply(lambda found, name=model.name: found.get(name))
    return Step(model.name, model, place.request_log(model), of_model)


def _delivered(
    place: Place, model: Model, step: Step, judged: pulumi.Output[list[str]]
) -> pulumi.Output[dict[str, Any]]:
    async def own() -> pulumi.Resource:
        # Awaited apart from its resources: the state names one dependency a model, not every other model.
        await judged.future()
        return step

    endpoint = place.serve(model, [step, asyncio.ensure_future(own())])
    # Also for what an endpoint finds out after its parts are there: that its step was rolled back.
    served = endpoint.outputs.apply(lambda _: endpoint)
    opts = pulumi.ResourceOptions(depends_on=[endpoint, served])
    rollout = Rollout(model.name, model, place.request_log(model), step.judge, opts)
    # What failed on its way is not exported: the stack's outputs stay as they were.
    return pulumi.Output.all(endpoint.outputs, rollout.urn).apply(lambda both: both[0])


def declare(platform: Platform) -> Place:
    """Declare the platform of an environment. A platform, with its SDKs, is imported only when it is
    chosen."""
    pulumi.runtime.register_stack_transformation(in_order)
    match platform:
        case LocalPlatform():
            from components.local.platform import LocalPlace

            return LocalPlace("local", platform)
        case KubernetesPlatform():
            import pulumi_kubernetes as k8s

            from components.image import serving_image, tracking_image
            from components.kubernetes.platform import KubernetesPlace
            from components.kubernetes.settings import Settings

            return KubernetesPlace(
                "kubernetes",
                Settings(
                    cluster=platform.cluster,
                    image=serving_image(platform.cluster.image),
                    tracking_image=tracking_image(platform.cluster.tracking),
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
