"""A model's endpoint in a cluster: for each release its pods, and the route that splits traffic over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pulumi
import pulumi_kubernetes as k8s

from components.endpoint import ModelEndpoint
from components.environment import Flavor, Model
from components.kubernetes.callers import route_policies
from components.kubernetes.capacity import CapacityArgs, declare_capacity, declare_sleep
from components.kubernetes.labels import annotated, release_metadata, selector
from components.kubernetes.network import policy
from components.kubernetes.route import RouteArgs, route
from components.kubernetes.server import PORT, ServerArgs, deployment
from components.kubernetes.settings import Identity
from components.release import Release
from components.traffic import Share, shares

# A node may have to be started first, and a large artifact fetched.
_PATIENCE = pulumi.CustomTimeouts(create="20m", update="20m")


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointArgs:
    """Where an endpoint's parts go. The same for every model of a platform."""

    namespace: pulumi.Input[str]
    image: pulumi.Input[str]
    """The model server's image by its digest."""
    registry: pulumi.Input[str]
    """The tracking URI at which the model's versions are looked up by the machine that plans."""
    tracking: pulumi.Input[str]
    """The tracking URI as pods reach it."""
    url: pulumi.Input[str]
    """What callers use: scheme and host."""
    gateway: pulumi.Input[str]
    gateway_namespace: pulumi.Input[str]
    proxies: pulumi.Input[str]
    """The namespace of the gateway's proxies, which alone may call the servers; empty: any may."""
    waiter: pulumi.Input[str]
    """The service account that waits for capacity."""
    keda: bool = False
    """Whether KEDA scales the models, instead of Kubernetes itself."""
    prometheus: pulumi.Input[str] = ""
    """The Prometheus that KEDA asks; empty: none."""
    identity: Identity | None = None
    flavors: pulumi.Input[Sequence[Flavor] | None] = None
    """What the image serves; None: all that the model server serves."""


class Endpoint(ModelEndpoint):
    """One model behind the gateway, at ``URL/MODEL``.

    A release's objects are named after its version, not after its role: a canary that becomes stable keeps
    its pods. The route depends on all of them, and on the capacity for each release's share: see
    ``declare_capacity`` for the order in which one update grows, moves traffic and shrinks.
    """

    def __init__(self, model: Model, args: EndpointArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("delivery:kubernetes:Endpoint", model.name, None, opts)
        self._model, self._args = model, args
        self._child = pulumi.ResourceOptions(parent=self)
        split = shares(model)
        releases: list[Release] = []
        ready: list[pulumi.Resource] = []
        for share in split:
            release = self._release(share)
            releases.append(release)
            ready += self._backend(share, release)
        ready += route_policies(model, args.namespace, self._child)
        road = route(
            model,
            split,
            RouteArgs(
                namespace=args.namespace,
                url=args.url,
                gateway=args.gateway,
                gateway_namespace=args.gateway_namespace,
                proxies=args.proxies,
            ),
            pulumi.ResourceOptions(parent=self, depends_on=ready),
        )
        for share in split:
            declare_sleep(self._title(share), self._capacity(share), road, self._child)
        self.outputs = pulumi.Output.from_input(
            {
                "url": pulumi.Output.concat(args.url, "/", model.name),
                "releases": [
                    {"version": s.version, "digest": r.digest, "weight": s.weight, "shadow": s.shadow}
                    for s, r in zip(split, releases, strict=True)
                ],
            }
        )
        self.register_outputs({})

    def _release(self, share: Share) -> Release:
        name = self._title(share)
        args = self._args
        return Release(name, self._model, share.version, args.registry, self._child, flavors=args.flavors)

    def _title(self, share: Share) -> str:
        return f"{self._model.name}-v{share.version}"

    def _backend(self, share: Share, release: Release) -> Sequence[pulumi.Resource]:
        """Declare one release's objects; returns all that must be done before it gets its share."""
        name, model, args = self._title(share), self._model, self._args
        account = self._account(name, share)
        network = policy(name, model, share.version, args, self._child)
        acting = args.identity(args.namespace, name, self._child) if args.identity else ()
        workload = deployment(
            name,
            ServerArgs(
                model=model,
                version=share.version,
                namespace=args.namespace,
                image=args.image,
                source=release.source.apply(lambda source: _reachable(name, source)),
                digest=release.digest,
                tracking=args.tracking,
            ),
            pulumi.ResourceOptions(
                parent=self, depends_on=[account, network, *acting], custom_timeouts=_PATIENCE
            ),
        )
        capacity = declare_capacity(name, self._capacity(share), workload, self._child)
        self._disruptions(name, share)
        return [workload, self._service(name, share), *capacity]

    def _capacity(self, share: Share) -> CapacityArgs:
        args = self._args
        return CapacityArgs(
            model=self._model,
            share=share,
            namespace=args.namespace,
            image=args.image,
            service_account=args.waiter,
            keda=args.keda,
            prometheus=args.prometheus,
            url=args.url,
        )

    def _account(self, name: str, share: Share) -> k8s.core.v1.ServiceAccount:
        return k8s.core.v1.ServiceAccount(
            name,
            metadata=release_metadata(name, self._args.namespace, self._model, share.version),
            automount_service_account_token=False,
            opts=self._child,
        )

    def _service(self, name: str, share: Share) -> k8s.core.v1.Service:
        # The role is the Service's, not the pods': a promotion changes it without a restart, and Prometheus
        # takes it from here.
        labels = {"model-delivery/role": role(self._model, share)}
        metadata = release_metadata(name, self._args.namespace, self._model, share.version, **labels)
        if self._model.autoscaling.min == 0:
            # A Service without pods would be waited for; a Job waits for what is needed of it.
            metadata = annotated(metadata, "pulumi.com/skipAwait", "true")
        return k8s.core.v1.Service(
            name,
            metadata=metadata,
            spec={
                "type": "ClusterIP",
                "selector": selector(self._model, share.version),
                "ports": [{"name": "http", "port": PORT, "target_port": "http"}],
            },
            opts=pulumi.ResourceOptions(parent=self, custom_timeouts=_PATIENCE),
        )

    def _disruptions(self, name: str, share: Share) -> None:
        k8s.policy.v1.PodDisruptionBudget(
            name,
            metadata=release_metadata(name, self._args.namespace, self._model, share.version),
            spec={
                "selector": {"match_labels": selector(self._model, share.version)},
                # A share is rounded up: a single pod can be moved, a hundred not all at once.
                "max_unavailable": "25%",
                "unhealthy_pod_eviction_policy": "AlwaysAllow",
            },
            opts=self._child,
        )


def _reachable(name: str, source: str | None) -> str:
    """The artifact's URI; a plan that would send pods to another machine's disk stops here."""
    scheme, colon, _ = (source or "").partition(":")
    if source and colon and scheme != "file":
        return source
    raise pulumi.RunError(
        f"the artifact of {name} is at {source or 'no address that the registry knows'}, where pods can't"
        " fetch it: keep the registry's artifacts in a bucket (s3://, gs://), or let MLflow hand them out"
        " (mlflow server --serve-artifacts), and register the version there"
    )


def role(model: Model, share: Share) -> Literal["stable", "canary", "shadow"]:
    """What a release is to its model."""
    if share.version == model.stable.version:
        return "stable"
    return "shadow" if share.shadow else "canary"
