"""A place that another stack owns: only endpoints are declared, on what that stack exports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import pulumi
import pulumi_kubernetes as k8s

from components.endpoint import Before, waiting
from components.environment import BorrowedPlatform, Model
from components.kubernetes.endpoint import Endpoint, EndpointArgs


class BorrowedPlace(pulumi.ComponentResource):
    """The cluster of another stack. A plan knows its outputs as of its last apply."""

    def __init__(
        self, name: str, settings: BorrowedPlatform, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("delivery:kubernetes:Borrowed", name, None, opts)
        self._stack = settings.stack
        owner = pulumi.StackReference(settings.stack, opts=pulumi.ResourceOptions(parent=self))
        self._shared: pulumi.Output[dict[str, Any]] = owner.get_output("platform").apply(self._checked)
        access = self._shared.apply(lambda shared: shared["access"])
        # Declared here because only here is known what it is made from; it belongs to no component's caller.
        provider = k8s.Provider(
            "cluster",
            context=access.apply(lambda found: found.get("context")),
            kubeconfig=access.apply(lambda found: found.get("kubeconfig")),
            cluster_identifier=access.apply(lambda found: found.get("clusterIdentifier")),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self._child = pulumi.ResourceOptions(parent=self, providers=[provider])
        self._endpoint = EndpointArgs(
            namespace=self._text("namespace"),
            image=self._text("image"),
            flavors=self._shared.apply(lambda shared: shared.get("flavors")),
            registry=self._text("registry"),
            tracking=self._text("tracking"),
            url=self._text("url"),
            gateway=self._text("gateway"),
            gateway_namespace=self._text("gatewayNamespace"),
            proxies=self._text("proxies"),
            waiter=self._text("waiter"),
            keda=settings.has_keda,
            prometheus=self._shared.apply(lambda shared: str(shared.get("prometheus", ""))),
        )
        self.register_outputs({"gatewayUrl": self._endpoint.url})

    @property
    def outputs(self) -> dict[str, pulumi.Input[Any]]:
        """``gatewayUrl`` and ``trackingUrl``, the owner's."""
        return {"gatewayUrl": self._endpoint.url, "trackingUrl": self._endpoint.registry}

    def request_log(self, model: Model) -> Mapping[str, int] | None:
        """Return None: no request is kept."""
        return None

    def serve(self, model: Model, after: Before = ()) -> Endpoint:
        """Declare a model's endpoint; see ``Endpoint``. Fails the plan for what the owner doesn't have."""
        args = self._endpoint
        # By the image, which no pod can do without: the plan can't go on past it.
        image = pulumi.Output.all(args.image, self._shared).apply(lambda found: self._able(model, *found))
        return Endpoint(model, replace(args, image=image), waiting(self._child, after))

    def _text(self, key: str) -> pulumi.Output[str]:
        return self._shared.apply(lambda shared: str(shared[key]))

    def _checked(self, shared: object) -> dict[str, Any]:
        if isinstance(shared, dict):
            return cast(dict[str, Any], shared)
        raise pulumi.RunError(
            f"platform.stack {self._stack}: that stack exports no platform; accepted: a stack that has been"
            " applied and whose own platform is a cluster"
        )

    def _able(self, model: Model, image: str, shared: dict[str, Any]) -> str:
        scaling = model.autoscaling
        path = f"models.{model.name}"
        if model.resources.gpu and not shared["gpus"]:
            raise pulumi.RunError(
                f"{path}.resources.gpu is {model.resources.gpu}: the platform of {self._stack}"
                " has no GPU nodes, or an image that doesn't use them (platform.imageUsesGpu)."
                " Add them there first, or leave gpu out"
            )
        if self._endpoint.keda and not shared.get("keda"):
            raise pulumi.RunError(
                f"platform.keda is existing: the platform of {self._stack} has no KEDA."
                " Set platform.keda there first, or leave it out here"
            )
        asked = scaling.gpu_utilization or (scaling.min and scaling.requests_per_second)
        if self._endpoint.keda and asked and not shared.get("prometheus"):
            key = "gpuUtilization" if scaling.gpu_utilization else "requestsPerSecond"
            raise pulumi.RunError(
                f"{path}.autoscaling.{key} is {asked}: the platform of {self._stack} has no Prometheus that"
                " KEDA can ask. Set platform.prometheus there first"
            )
        asked = {"authentication": model.authentication, "rateLimit": model.rate_limit}
        for key in (key for key, value in asked.items() if value):
            if not shared.get("proxies"):
                raise pulumi.RunError(
                    f"{path}.{key} needs Envoy Gateway as this project installs it: the platform of"
                    f" {self._stack} has another gateway. Leave it out, or let that gateway check by its own"
                    " policies"
                )
        if model.authentication not in (None, "none") and str(shared["url"]).startswith("http://"):
            raise pulumi.RunError(
                f"{path}.authentication only over https: tokens and keys would be sent in the clear. Make"
                f" platform.url of {self._stack} https first, with platform.gateway.tlsSecret"
            )
        return image
