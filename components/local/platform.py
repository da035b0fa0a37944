"""The local place: supervisord, MLflow, Envoy and Prometheus on this machine, with the models' endpoints
beside them."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi

from components.endpoint import Before
from components.environment import LocalPlatform, Model
from components.local.cluster import Supervisor
from components.local.endpoint import LOGGED_PERCENT, Endpoint, EndpointArgs
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
        """``gatewayUrl``, ``trackingUrl`` and ``prometheusUrl``, each known when its process is ready."""
        parts = {
            "gatewayUrl": self._gateway,
            "trackingUrl": self._tracking,
            "prometheusUrl": self._monitoring,
        }
        return {key: part.process.urn.apply(lambda _, url=part.url: url) for key, part in parts.items()}

    def request_log(self, model: Model) -> Mapping[str, int] | None:
        """Return the share of the requests that the servers log; nothing deletes them."""
        return {"percent": LOGGED_PERCENT}

    def serve(self, model: Model, after: Before = ()) -> Endpoint:
        """Declare a model's endpoint; see ``Endpoint``."""
        needed = [self._supervisor, self._gateway.process, *after]
        return Endpoint(model, self._endpoint, pulumi.ResourceOptions(parent=self, depends_on=needed))
