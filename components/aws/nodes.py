"""Pools of nodes: managed node groups, which the cluster autoscaler grows from zero."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.aws.cluster import Cluster
from components.aws.iam import Granted, granted, trust
from components.aws.network import Network
from components.aws.scope import Scope
from components.environment.aws import Pool

# Nodes pull images and speak to the cluster; pods' rights come by Pod Identity, never from the node.
_NODE_POLICIES = ("AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly")

# A GPU is there some time after its node. By this label the autoscaler knows that one will come: else it
# takes the node for one without, and starts another (its README for AWS, "Special note on GPU instances").
_GPU_LABEL = {"k8s.amazonaws.com/accelerator": "nvidia"}


def node_role(name: str, scope: Scope, opts: pulumi.ResourceOptions) -> Granted:
    """Declare the role that the nodes of every pool have."""
    assume = trust("ec2.amazonaws.com")
    return granted(name, assume, opts, managed=_NODE_POLICIES)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePoolArgs:
    """Where a pool's nodes are."""

    cluster: Cluster
    network: Network
    role: Granted
    gpu: bool = False


class NodePool(pulumi.ComponentResource):
    """A managed node group over every zone of the network.

    A GPU pool carries the taint ``nvidia.com/gpu=present:NoSchedule``, so that only pods that ask for a GPU
    come onto it, and takes AMIs with NVIDIA's driver. The autoscaler owns the number of nodes: the one
    declared here counts at creation alone. Without a pod that needs it, a pool of ``min`` 0 has no node.
    """

    def __init__(
        self,
        name: str,
        scope: Scope,
        pool: Pool,
        args: NodePoolArgs,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("delivery:aws:NodePool", name, None, opts)
        tags = {**scope.tags, "Name": f"{scope.prefix}-{name}"}
        template = aws.ec2.LaunchTemplate(
            name,
            update_default_version=True,
            # Version 2 of the metadata service, one hop: a pod can't take the node's rights from it.
            metadata_options={
                "http_endpoint": "enabled",
                "http_tokens": "required",
                "http_put_response_hop_limit": 1,
                "instance_metadata_tags": "disabled",
            },
            # The key is EBS' own: with the platform's the autoscaling service would need grants on it, and
            # there is nothing on these disks that outlives a node.
            block_device_mappings=[
                {
                    "device_name": "/dev/xvda",
                    "ebs": {
                        "encrypted": "true",
                        "volume_type": "gp3",
                        "volume_size": pool.disk_gb,
                        "delete_on_termination": "true",
                    },
                }
            ],
            # No default tags of a provider reach what a group starts.
            tag_specifications=[{"resource_type": kind, "tags": tags} for kind in ("instance", "volume")],
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.resource = aws.eks.NodeGroup(
            name,
            cluster_name=args.cluster.resource.name,
            node_role_arn=args.role.arn,
            subnet_ids=list(args.network.private_subnet_ids),
            # By this they are upgraded after the control plane; without, they would stay as they came.
            version=args.cluster.version,
            ami_type="AL2023_x86_64_NVIDIA" if args.gpu else "AL2023_x86_64_STANDARD",
            instance_types=list(pool.instance_types),
            capacity_type="SPOT" if pool.spot else "ON_DEMAND",
            scaling_config={"min_size": pool.min, "max_size": pool.max, "desired_size": pool.min},
            update_config={"max_unavailable_percentage": 33},
            node_repair_config={"enabled": True},
            labels={"model-delivery/pool": name, **(_GPU_LABEL if args.gpu else {})},
            taints=[{"key": "nvidia.com/gpu", "value": "present", "effect": "NO_SCHEDULE"}]
            if args.gpu
            else None,
            launch_template={"id": template.id, "version": template.latest_version.apply(str)},
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[*args.role.ready, *args.cluster.ready, *args.network.ways],
                ignore_changes=["scalingConfig.desiredSize"],
            ),
        )
        self.register_outputs({})
