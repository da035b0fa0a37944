"""The network: a VPC with one subnet in the region, whose nodes have no public address."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_gcp as gcp

from components.environment.gcp import Nat
from components.gcp.scope import Scope

PODS, SERVICES = "pods", "services"
"""Names of the subnet's secondary ranges."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges:
    """The parts of a platform's range, none of which shares an address with another."""

    nodes: str
    """A quarter of the whole: nodes and internal load balancers."""
    proxies: str
    """Google's proxies of load balancers."""
    database: str
    """Cloud SQL's network, which is joined to this one."""
    control_plane: str
    """A /28: GKE's control plane."""


def ranges(cidr: str) -> Ranges:
    """Divide a platform's range, /16 to /20."""
    quarters = list(ipaddress.IPv4Network(cidr).subnets(prefixlen_diff=2))
    proxies, database, last, _ = quarters[3].subnets(prefixlen_diff=2)
    return Ranges(
        nodes=str(quarters[0]),
        proxies=str(proxies),
        database=str(database),
        control_plane=str(next(iter(last.subnets(new_prefix=28)))),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkArgs:
    """What a network is made of."""

    cidr: str
    """The platform's range, /16 to /20."""
    pod_cidr: str
    service_cidr: str
    nat: Nat = "one"
    """``one``: Google's NAT, which has no single zone; ``none``: no way to the internet."""


class Network(pulumi.ComponentResource):
    """A VPC whose one subnet has ranges for nodes, pods and Services of a VPC-native cluster.

    Google's own services are reached inside (Private Google Access). What passes between addresses is in the
    flow logs.
    """

    ways: Sequence[pulumi.Resource]
    """What a node needs to reach anything."""

    def __init__(
        self, name: str, scope: Scope, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("delivery:gcp:Network", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.ranges = ranges(args.cidr)
        self.cidr = args.cidr
        network = gcp.compute.Network(
            name,
            auto_create_subnetworks=False,
            routing_mode="REGIONAL",
            opts=child,
        )
        self.subnet = gcp.compute.Subnetwork(
            name,
            network=network.id,
            region=scope.region,
            ip_cidr_range=self.ranges.nodes,
            private_ip_google_access=True,
            secondary_ip_ranges=[
                {"range_name": PODS, "ip_cidr_range": args.pod_cidr},
                {"range_name": SERVICES, "ip_cidr_range": args.service_cidr},
            ],
            log_config={
                "aggregation_interval": "INTERVAL_10_MIN",
                "flow_sampling": 0.5,
                "metadata": "INCLUDE_ALL_METADATA",
            },
            opts=child,
        )
        # GKE lets the control plane reach nodes and pods on 443 and 10250 alone (private clusters, "Adding
        # firewall rules for specific use cases"). What counts is the pod's port, not its Service's. 6443:
        # prometheus-adapter (`listenPort`) and KEDA's metrics server (`service.portHttpsTarget`), without
        # which no autoscaler has a metric. 9443: admission webhooks of Envoy Gateway (`webhookTLSPort`) and
        # KEDA. The webhook of kube-prometheus-stack listens on 10250; the other charts have none.
        webhooks = gcp.compute.Firewall(
            f"{name}-webhooks",
            network=network.id,
            description="Metrics APIs and admission webhooks, from the control plane alone",
            direction="INGRESS",
            source_ranges=[self.ranges.control_plane],
            allows=[{"protocol": "tcp", "ports": ["6443", "9443"]}],
            opts=child,
        )
        self.ways = (webhooks, *(self._nat(name, scope, network) if args.nat == "one" else ()))
        self.network = network
        self.register_outputs({})

    def _nat(self, name: str, scope: Scope, network: gcp.compute.Network) -> Sequence[pulumi.Resource]:
        router = gcp.compute.Router(
            name, network=network.id, region=scope.region, opts=pulumi.ResourceOptions(parent=self)
        )
        nat = gcp.compute.RouterNat(
            name,
            router=router.name,
            region=scope.region,
            nat_ip_allocate_option="AUTO_ONLY",
            source_subnetwork_ip_ranges_to_nat="LIST_OF_SUBNETWORKS",
            subnetworks=[{"name": self.subnet.id, "source_ip_ranges_to_nats": ["ALL_IP_RANGES"]}],
            # All pods of a node share its ports. Without this it has 64, and what finds none is dropped:
            # images then can't be pulled when many pods start.
            enable_dynamic_port_allocation=True,
            enable_endpoint_independent_mapping=False,
            min_ports_per_vm=64,
            max_ports_per_vm=4096,
            log_config={"enable": True, "filter": "ERRORS_ONLY"},
            opts=pulumi.ResourceOptions(parent=self),
        )
        return (nat,)
