"""What the load balancers in front of Cloud Run share: room for Google's proxies, and names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_gcp as gcp

from components.environment.gcp import CloudRun
from components.gcp.network import Network
from components.gcp.scope import Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontArgs:
    """Where the load balancers stand."""

    network: Network
    settings: CloudRun


class Front(pulumi.ComponentResource):
    """A subnet for the proxies of the region's internal load balancers, and a private DNS zone."""

    domain: str
    """A model is at ``NAME.DOMAIN``: known in a preview."""
    zone: pulumi.Output[str]
    """The zone's name."""
    ready: Sequence[pulumi.Resource]
    """What a load balancer needs."""

    def __init__(
        self, name: str, scope: Scope, args: FrontArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("delivery:gcp:Front", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        network, settings = args.network, args.settings
        self.network = network
        self.certificate = settings.certificate
        self.domain = settings.domain or f"{scope.prefix}.internal"
        proxies = gcp.compute.Subnetwork(
            name,
            network=network.network.id,
            region=scope.region,
            ip_cidr_range=network.ranges.proxies,
            purpose="REGIONAL_MANAGED_PROXY",
            role="ACTIVE",
            opts=child,
        )
        self.ready = (proxies,)
        zone = gcp.dns.ManagedZone(
            name,
            dns_name=f"{self.domain}.",
            description="Models on Cloud Run",
            visibility="private",
            private_visibility_config={"networks": [{"network_url": network.network.id}]},
            opts=child,
        )
        self.zone = zone.name
        self.register_outputs({"domain": self.domain})

    def url(self, model: str) -> str:
        """Where callers in the VPC find a model; also the audience of their tokens."""
        return f"{'https' if self.certificate else 'http'}://{model}.{self.domain}"
