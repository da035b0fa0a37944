"""A model's load balancer: the weights of its releases, behind one name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_gcp as gcp

from components.environment import Model
from components.gcp.front import Front
from components.gcp.scope import Scope, model_labels
from components.traffic import Share


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """One release as the load balancer knows it."""

    share: Share
    service: gcp.compute.RegionBackendService
    ready: Sequence[pulumi.Resource]
    """What must be done before it is asked."""


def backend(
    name: str, share: Share, service: gcp.cloudrunv2.Service, scope: Scope, opts: pulumi.ResourceOptions
) -> gcp.compute.RegionBackendService:
    """Declare what leads from a load balancer to a service of Cloud Run."""
    group = gcp.compute.RegionNetworkEndpointGroup(
        name,
        region=scope.region,
        network_endpoint_type="SERVERLESS",
        cloud_run={"service": service.name},
        opts=opts,
    )
    return gcp.compute.RegionBackendService(
        name,
        region=scope.region,
        load_balancing_scheme="INTERNAL_MANAGED",
        protocol="HTTPS",
        backends=[{"group": group.id, "balancing_mode": "UTILIZATION", "capacity_scaler": 1.0}],
        log_config={"enable": True, "sample_rate": 1.0},
        opts=opts,
    )


def balance(
    model: Model, backends: Sequence[Backend], front: Front, scope: Scope, opts: pulumi.ResourceOptions
) -> pulumi.Resource:
    """Declare an internal load balancer that splits a model's traffic, and its name; returns the split.

    A release without traffic is not in the map: Google's provider leaves a weight of 0 out of its request,
    and a map without the backend doesn't depend on what an absent weight is taken for.
    """
    ready = [needed for found in backends for needed in (found.service, *found.ready)]
    split = gcp.compute.RegionUrlMap(
        model.name,
        region=scope.region,
        default_route_action={
            "weighted_backend_services": [
                {"backend_service": found.service.id, "weight": found.share.weight}
                for found in backends
                if found.share.weight
            ]
        },
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=ready)),
    )
    if front.certificate:
        proxy: gcp.compute.RegionTargetHttpsProxy | gcp.compute.RegionTargetHttpProxy = (
            gcp.compute.RegionTargetHttpsProxy(
                model.name,
                region=scope.region,
                url_map=split.id,
                certificate_manager_certificates=[front.certificate],
                opts=opts,
            )
        )
    else:
        proxy = gcp.compute.RegionTargetHttpProxy(
            model.name, region=scope.region, url_map=split.id, opts=opts
        )
    rule = gcp.compute.ForwardingRule(
        model.name,
        region=scope.region,
        load_balancing_scheme="INTERNAL_MANAGED",
        network=front.network.network.id,
        subnetwork=front.network.subnet.id,
        ip_protocol="TCP",
        port_range="443" if front.certificate else "80",
        target=proxy.id,
        labels=model_labels(model),
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=list(front.ready))),
    )
    gcp.dns.RecordSet(
        model.name,
        managed_zone=front.zone,
        name=f"{model.name}.{front.domain}.",
        type="A",
        ttl=60,
        rrdatas=[rule.ip_address],
        opts=opts,
    )
    return split
