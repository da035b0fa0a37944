"""A place on Kubernetes: a namespace, a gateway, MLflow, monitoring, and the models' endpoints among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components.endpoint import Before, waiting
from components.environment import Cluster, Model
from components.environment.kubernetes_versions import oldest
from components.kubernetes.charts import METRICS_SERVER, install
from components.kubernetes.definitions import Definitions, DefinitionsArgs, Name
from components.kubernetes.endpoint import Endpoint, EndpointArgs
from components.kubernetes.gateway import SYSTEM, Gateway, GatewayArgs
from components.kubernetes.gpu import device_plugin, exporter
from components.kubernetes.keda import Keda
from components.kubernetes.labels import PART_OF
from components.kubernetes.monitoring import PROMETHEUS, Monitoring, MonitoringArgs
from components.kubernetes.network import MONITORING
from components.kubernetes.receivers import ALERTMANAGER, Receivers
from components.kubernetes.settings import Settings
from components.kubernetes.tracking import Tracking, TrackingArgs
from components.kubernetes.tracking_door import Door

_WAITER = "capacity"


class KubernetesPlace(pulumi.ComponentResource):
    """The platform of a stack in one namespace of a cluster. Each part is installed, or one that is there."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        provider: k8s.Provider,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """``provider`` is the cluster's; every object but releases is declared by it."""
        own = pulumi.ResourceOptions(providers=[provider])
        super().__init__(
            "delivery:kubernetes:Platform", name, None, pulumi.ResourceOptions.merge(opts or own, own)
        )
        self._settings = settings
        cluster = settings.cluster
        child = pulumi.ResourceOptions(parent=self)
        space = _namespace(cluster, child)
        self._inside = inside = pulumi.ResourceOptions(parent=self, depends_on=[space])
        defined = self._definitions(inside)
        self._address: pulumi.Input[str] | None = None
        gateway, gateway_namespace, proxies = self._gateway(defined)
        tracking = self._tracking(gateway, inside)
        if settings.gpu == "install":
            device_plugin(child)
        if settings.metrics_server == "install":
            install("metrics-server", METRICS_SERVER, "kube-system", {}, child, create_namespace=False)
        if cluster.keda != "none":
            keda = Keda("keda", cluster.namespace, cluster.keda == "install", self._inside)
            self._inside = _after(self._inside, keda)
        if cluster.monitoring != "none":
            receivers, ready = self._receivers(child)
            monitoring = Monitoring(
                "monitoring",
                MonitoringArgs(
                    namespace=cluster.namespace,
                    install=cluster.monitoring == "install",
                    storage_class=settings.storage_class,
                    prices=cluster.prices,
                    receivers=receivers,
                ),
                _after(defined, *ready),
            )
            if settings.gpu == "install":
                exporter(_after(child, monitoring))
        self._endpoint = EndpointArgs(
            namespace=cluster.namespace,
            image=settings.image,
            flavors=cluster.image_flavors,
            registry=cluster.registry,
            tracking=tracking.url if tracking else cluster.registry,
            url=cluster.url,
            gateway=gateway,
            gateway_namespace=gateway_namespace,
            proxies=proxies,
            waiter=_waiter(cluster.namespace, inside),
            keda=cluster.keda != "none",
            prometheus=cluster.prometheus or (PROMETHEUS if cluster.monitoring == "install" else ""),
            identity=settings.identity,
        )
        self.register_outputs({"gatewayUrl": cluster.url})

    @property
    def outputs(self) -> dict[str, pulumi.Input[Any]]:
        """``gatewayUrl``, ``trackingUrl``, ``image``, and ``platform``, which other stacks serve on; and
        ``gatewayAddress``, the load balancer to which the host of ``gatewayUrl`` has to lead, where the
        gateway is installed here."""
        endpoint, settings = self._endpoint, self._settings
        shared = {
            "access": dict(settings.access),
            "namespace": endpoint.namespace,
            "image": endpoint.image,
            "registry": endpoint.registry,
            "tracking": endpoint.tracking,
            "url": endpoint.url,
            "gateway": endpoint.gateway,
            "gatewayNamespace": endpoint.gateway_namespace,
            "proxies": endpoint.proxies,
            "waiter": endpoint.waiter,
            "gpus": settings.gpu != "none" and settings.cluster.image_uses_gpu,
            "keda": endpoint.keda,
            "prometheus": endpoint.prometheus,
            **({"flavors": endpoint.flavors} if endpoint.flavors else {}),
        }
        address = {} if self._address is None else {"gatewayAddress": self._address}
        return {
            "gatewayUrl": endpoint.url,
            **address,
            "trackingUrl": endpoint.registry,
            "image": endpoint.image,
            "platform": shared,
        }

    def request_log(self, model: Model) -> Mapping[str, int] | None:
        """Return None: no request is kept."""
        return None

    def serve(self, model: Model, after: Before = ()) -> Endpoint:
        """Declare a model's endpoint; see ``Endpoint``."""
        return Endpoint(model, self._endpoint, waiting(self._inside, after))

    def _definitions(self, opts: pulumi.ResourceOptions) -> pulumi.ResourceOptions:
        """Declare the definitions that charts need, and wait for them."""
        cluster = self._settings.cluster
        names: list[Name] = []
        if not cluster.gateway.name:
            names.extend(("gateway-api", "envoy-gateway"))
        if cluster.monitoring == "install":
            names.append("prometheus-operator")
        if not names or cluster.definitions == "existing":
            return opts
        args = DefinitionsArgs(
            namespace=cluster.namespace,
            image=self._settings.image,
            names=names,
            least=oldest(gateway=not cluster.gateway.name, keda=cluster.keda == "install"),
        )
        return _after(opts, Definitions("definitions", args, opts))

    def _receivers(self, opts: pulumi.ResourceOptions) -> tuple[Receivers, Sequence[pulumi.Resource]]:
        """Who is told of alerts, and what Alertmanager's pods need before they start."""
        cluster, topic = self._settings.cluster, self._settings.alarm_topic
        if cluster.monitoring != "install":
            return Receivers(), ()
        secret = cluster.alerts.webhook_secret if cluster.alerts else None
        identity = self._settings.identity
        ready = identity(MONITORING, ALERTMANAGER, opts) if topic and identity else ()
        return Receivers(topic_arn=topic, webhook_secret=secret), ready

    def _gateway(self, opts: pulumi.ResourceOptions) -> tuple[str, str, str]:
        """Name and namespace of the Gateway, and the namespace of its proxies, empty where it isn't known."""
        cluster = self._settings.cluster
        chosen = cluster.gateway
        if chosen.name and chosen.namespace:
            return chosen.name, chosen.namespace, ""
        access = cluster.tracking.access if cluster.tracking else None
        gateway = Gateway(
            "gateway",
            GatewayArgs(
                namespace=cluster.namespace,
                url=cluster.url,
                tls_secret=chosen.tls_secret,
                annotations=self._settings.gateway_annotations,
                authentication=chosen.authentication,
                others={access.host: access.tls_secret} if access else {},
            ),
            opts,
        )
        self._address = gateway.address
        # Routes and models need the definitions that the gateway's chart brings.
        self._inside = _after(opts, gateway)
        return gateway.gateway, cluster.namespace, SYSTEM

    def _tracking(self, gateway: str, opts: pulumi.ResourceOptions) -> Tracking | None:
        settings = self._settings
        tracking = settings.cluster.tracking
        if tracking is None or settings.tracking_image is None:
            return None
        args = TrackingArgs(
            namespace=settings.cluster.namespace,
            image=settings.tracking_image,
            storage=tracking.storage,
            storage_class=settings.storage_class,
            store=settings.store,
            identity=settings.identity,
            protect=settings.cluster.protect_data,
            door=Door(access=tracking.access, gateway=gateway, proxies=SYSTEM) if tracking.access else None,
        )
        # Its route needs the definitions that the gateway's chart brings; the rest of it needs nothing of it.
        return Tracking("tracking", args, self._inside if tracking.access else opts)


def _after(opts: pulumi.ResourceOptions, *resources: pulumi.Resource) -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=list(resources)))


def _namespace(cluster: Cluster, opts: pulumi.ResourceOptions) -> k8s.core.v1.Namespace:
    """The models' namespace, in which the cluster itself refuses pods that aren't hardened."""
    levels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    keep = cluster.protect_data  # with a namespace goes all that is in it
    return k8s.core.v1.Namespace(
        cluster.namespace,
        metadata={"name": cluster.namespace, "labels": {**PART_OF, **levels}},
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(protect=keep, retain_on_delete=keep)),
    )


def _waiter(namespace: str, opts: pulumi.ResourceOptions) -> str:
    """The service account that waits for capacity: it may read Deployments of this namespace, no more."""
    metadata: k8s.meta.v1.ObjectMetaArgsDict = {"name": _WAITER, "namespace": namespace, "labels": PART_OF}
    account = k8s.core.v1.ServiceAccount(_WAITER, metadata=metadata, opts=opts)
    role = k8s.rbac.v1.Role(
        _WAITER,
        metadata=metadata,
        rules=[{"api_groups": ["apps"], "resources": ["deployments"], "verbs": ["get"]}],
        opts=opts,
    )
    k8s.rbac.v1.RoleBinding(
        _WAITER,
        metadata=metadata,
        role_ref={"api_group": "rbac.authorization.k8s.io", "kind": "Role", "name": _WAITER},
        subjects=[{"kind": "ServiceAccount", "name": _WAITER, "namespace": namespace}],
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[account, role])),
    )
    return _WAITER
