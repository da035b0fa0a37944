"""Pools of nodes: managed node groups, whose sizes the cluster autoscaler chooses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
from pulumi_aws.eks.outputs import NodeGroupResource

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
    return granted(name, scope, assume, opts, managed=_NODE_POLICIES)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePoolArgs:
    """Where a pool's nodes are."""

    cluster: Cluster
    network: Network
    role: Granted
    gpu: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """One node group of a pool."""

    name: str
    subnet_ids: tuple[pulumi.Output[str], ...]
    min: int
    max: int


class NodePool(pulumi.ComponentResource):
    """Managed node groups, which share the pool's bounds and a launch template.

    The CPU pool has a group in each zone: a volume of EBS stays in its zone, and of a group over several
    zones the autoscaler can't ask for a node in that one (EKS' best practices, cluster autoscaler, "EBS
    Volumes"). It keeps the groups alike (``balance-similar-node-groups``).

    A GPU pool is one group over every zone, so that EC2 takes what a zone has; no volume is used there. It
    carries the taint ``nvidia.com/gpu=present:NoSchedule``, so that only pods that ask for a GPU come onto
    it, and takes AMIs with NVIDIA's driver.

    The autoscaler owns the number of nodes: the one declared here counts at creation alone. Without a pod
    that needs it, a pool of ``min`` 0 has no node.

    Tags reach new nodes by way of the Auto Scaling group. What the launch template sets is of the pool's
    creation and stays: a change of it would replace every node.
    """

    groups: tuple[aws.eks.NodeGroup, ...]

    def __init__(
        self,
        name: str,
        scope: Scope,
        pool: Pool,
        args: NodePoolArgs,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("delivery:aws:NodePool", name, None, opts)
        self._name, self._scope, self._pool, self._args = name, scope, pool, args
        self._child = pulumi.ResourceOptions(parent=self)
        template = self._template()
        self.groups = tuple(self._group(group, template) for group in _groups(name, pool, args))
        self.register_outputs({})

    def _template(self) -> aws.ec2.LaunchTemplate:
        scope, name = self._scope, self._name
        tags = {**scope.tags, "Name": f"{scope.prefix}-{name}"}
        return aws.ec2.LaunchTemplate(
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
                        "volume_size": self._pool.disk_gb,
                        "delete_on_termination": "true",
                    },
                }
            ],
            # No default tags of a provider reach what a group starts.
            tag_specifications=[{"resource_type": kind, "tags": tags} for kind in ("instance", "volume")],
            # The template's own tags make no version, but the provider says in a preview that they may
            # (CustomizeDiff of aws_launch_template), so that every group would show a change.
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["tagSpecifications", "tags", "tagsAll"]),
        )

    def _group(self, group: _Group, template: aws.ec2.LaunchTemplate) -> aws.eks.NodeGroup:
        args, pool = self._args, self._pool
        declared = aws.eks.NodeGroup(
            group.name,
            cluster_name=args.cluster.resource.name,
            node_role_arn=args.role.arn,
            subnet_ids=list(group.subnet_ids),
            # By this they are upgraded after the control plane; without, they would stay as they came.
            version=args.cluster.version,
            ami_type="AL2023_x86_64_NVIDIA" if args.gpu else "AL2023_x86_64_STANDARD",
            instance_types=list(pool.instance_types),
            capacity_type="SPOT" if pool.spot else "ON_DEMAND",
            scaling_config={"min_size": group.min, "max_size": group.max, "desired_size": group.min},
            update_config={"max_unavailable_percentage": 33},
            node_repair_config={"enabled": True},
            labels={"model-delivery/pool": self._name, **(_GPU_LABEL if args.gpu else {})},
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
        for key, value in sorted(self._scope.tags.items()):
            aws.autoscaling.Tag(
                f"{group.name}-{key}",
                autoscaling_group_name=declared.resources.apply(_scaling_group),
                tag={"key": key, "value": value, "propagate_at_launch": True},
                opts=self._child,
            )
        return declared


def _groups(name: str, pool: Pool, args: NodePoolArgs) -> list[_Group]:
    network = args.network
    if args.gpu:
        return [_Group(name=name, subnet_ids=network.private_subnet_ids, min=pool.min, max=pool.max)]
    count = len(network.zones)
    bounds = zip(divided(pool.min, count), divided(pool.max, count), strict=True)
    return [
        _Group(name=f"{name}-{zone}", subnet_ids=(subnet,), min=least, max=most)
        for zone, subnet, (least, most) in zip(network.zones, network.private_subnet_ids, bounds, strict=True)
    ]


def _scaling_group(resources: Sequence[NodeGroupResource]) -> str:
    """The name of the Auto Scaling group that EKS has made for a node group."""
    groups = [group for resource in resources for group in resource.autoscaling_groups or ()]
    return str(groups[0].name)


def divided(nodes: int, zones: int) -> list[int]:
    """Divide nodes over zones, as evenly as whole numbers can be; the first zones have one more."""
    each, more = divmod(nodes, zones)
    return [each + (index < more) for index in range(zones)]
