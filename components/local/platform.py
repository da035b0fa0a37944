"""The local place: supervisord, MLflow, Envoy and Prometheus on this machine, with the models' endpoints
beside them."""

from __future__ import annotations

import pulumi

from components.environment import LocalPlatform, Model
from components.local.cluster import Supervisor
from components.local.endpoint import Endpoint, EndpointArgs
from components.local.gateway import Gateway
from components.local.monitoring import Monitoring
from components.local.tracking import Tracking
from tools.paths import ROOT, home


class LocalPlace(pulumi.ComponentResource):
    """The platform of a local stack. Everything listens on 127.0.0.1."""

    def __init__(
        self, name: str, settings: LocalPlatform, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("delivery:local:Platform", name, None, opts)
        own, run, ports = home(), home() / "run", settings.ports
        child = pulumi.ResourceOptions(parent=self)
        supervisor = Supervisor("supervisor", run, child)
        supervised = pulumi.ResourceOptions(parent=self, depends_on=[supervisor])
        self._tracking = Tracking("tracking", run, own / "registry", ports.tracking, supervised)
        self._gateway = Gateway("gateway", run, ports.gateway, supervised)
        self._monitoring = Monitoring(
            "monitoring", run, own / "toolchain" / "bin", ports.prometheus, supervised
        )
        self._endpoint = EndpointArgs(
            root=ROOT, run=run, registry=self._tracking.registry, gateway=self._gateway
        )
        self._supervisor = supervisor
        self.register_outputs(dict(self.outputs))

    @property
    def outputs(self) -> dict[str, pulumi.Input[str]]:
        """``gatewayUrl``, ``trackingUrl`` and ``prometheusUrl``."""
        return {
            "gatewayUrl": self._gateway.url,
            "trackingUrl": self._tracking.url,
            "prometheusUrl": self._monitoring.url,
        }

    def serve(self, model: Model) -> Endpoint:
        """Declare a model's endpoint; see ``Endpoint``."""
        needed = [self._supervisor, self._gateway.process]
        return Endpoint(model, self._endpoint, pulumi.ResourceOptions(parent=self, depends_on=needed))
