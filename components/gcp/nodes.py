"""Pools of nodes, which GKE's own autoscaler grows from zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_gcp as gcp

from components.environment.gcp import Pool
from components.environment.gcp_services import accelerator
from components.gcp.cluster import Cluster
from components.gcp.key import Key
from components.gcp.node_account import NodeAccount
from components.gcp.scope import Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePoolArgs:
    """What a pool's nodes belong to."""

    cluster: Cluster
    account: NodeAccount
    key: Key
    zones: int
    """How many zones a pool is spread over."""


class NodePool(pulumi.ComponentResource):
    """A pool over the zones of the cluster, whose bounds count all zones together.

    A pool whose machines bring GPUs carries the taint ``nvidia.com/gpu=present:NoSchedule``, so that only
    pods that ask for a GPU come onto it; GKE installs NVIDIA's driver and device plugin on it. Without a pod
    that needs it, a pool of ``min`` 0 has no node.
    """

    def __init__(
        self,
        name: str,
        scope: Scope,
        pool: Pool,
        args: NodePoolArgs,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("delivery:gcp:NodePool", name, None, opts)
        gpu = accelerator(pool.machine_type)
        accelerators: list[Any] = []
        if gpu:
            accelerators = [
                {
                    "type": gpu.type,
                    "count": gpu.count,
                    "gpu_driver_installation_config": {"gpu_driver_version": "DEFAULT"},
                }
            ]
        self.resource = gcp.container.NodePool(
            name,
            cluster=args.cluster.resource.id,
            location=scope.region,
            initial_node_count=first_nodes(pool, args.zones),
            autoscaling={
                "total_min_node_count": pool.min,
                "total_max_node_count": pool.max,
                # Where there are some: of spot machines and of GPUs there is not enough everywhere.
                "location_policy": "ANY" if gpu or pool.spot else "BALANCED",
            },
            management={"auto_repair": True, "auto_upgrade": True},
            upgrade_settings={"strategy": "SURGE", "max_surge": 1, "max_unavailable": 0},
            node_config={
                "machine_type": pool.machine_type,
                "image_type": "COS_CONTAINERD",
                "spot": pool.spot,
                "disk_size_gb": pool.disk_gb,
                "boot_disk_kms_key": args.key.name,
                "service_account": args.account.email,
                # What a node may do is its account's roles' to say.
                "oauth_scopes": ["https://www.googleapis.com/auth/cloud-platform"],
                "workload_metadata_config": {"mode": "GKE_METADATA"},
                "shielded_instance_config": {
                    "enable_secure_boot": True,
                    "enable_integrity_monitoring": True,
                },
                "metadata": {"disable-legacy-endpoints": "true"},
                "labels": {"model-delivery/pool": name},
                "resource_labels": dict(scope.labels),
                "guest_accelerators": accelerators or None,
                "taints": [{"key": "nvidia.com/gpu", "value": "present", "effect": "NO_SCHEDULE"}]
                if gpu
                else None,
            },
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[*args.account.ready, *args.key.ready],
                # The autoscaler's.
                ignore_changes=["initialNodeCount", "nodeCount"],
            ),
        )
        self.register_outputs({})


def first_nodes(pool: Pool, zones: int) -> int:
    """How many nodes of a pool each zone begins with: ``min`` at least, as far as ``max`` has room for it.

    Without it a pool begins with none, whatever its ``min``, and its first nodes come only when the
    autoscaler looks.
    """
    more = -(-pool.min // zones)
    return more if more * zones <= pool.max else pool.min // zones
