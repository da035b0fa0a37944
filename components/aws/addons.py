"""Add-ons that need nodes to run on: DNS, disks, and the autoscaler that adds nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

from components.aws.cluster import Cluster, addon
from components.aws.iam import allow, document, granted, pod_trust
from components.aws.scope import Scope
from components.kubernetes.charts import Chart, install

_CHART = Chart(
    chart="cluster-autoscaler",
    version="9.59.0",
    repository="https://kubernetes.github.io/autoscaler",
)
_NAMESPACE = "kube-system"
_ACCOUNT = "cluster-autoscaler"
STORAGE_CLASS = "gp3"
"""The storage class of volumes: encrypted, in the zone of their pod, growing when their claim does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddonsArgs:
    """What the add-ons run on."""

    cluster: Cluster
    nodes: Sequence[pulumi.Resource]
    """The groups whose nodes carry them."""
    kubernetes: k8s.Provider


class Addons(pulumi.ComponentResource):
    """CoreDNS, the EBS driver, metrics-server, and the cluster autoscaler.

    The autoscaler finds the cluster's node groups by the tags that EKS puts on them, reads labels and
    taints of an empty group from EKS, and may change the size of this cluster's groups alone.
    """

    ready: tuple[pulumi.Resource, ...]
    """What workloads wait for: names that resolve, disks that attach, nodes that come."""

    def __init__(
        self, name: str, scope: Scope, args: AddonsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("delivery:aws:Addons", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        cluster = args.cluster
        after_nodes = pulumi.ResourceOptions(parent=self, depends_on=list(args.nodes))
        disks = granted(
            f"{name}-disks",
            scope,
            pod_trust(),
            child,
            managed=("service-role/AmazonEBSCSIDriverPolicy",),
        )
        ebs = addon(cluster, name, "aws-ebs-csi-driver", {"ebs-csi-controller-sa": disks}, after_nodes)
        dns = addon(cluster, name, "coredns", opts=after_nodes)
        metrics = addon(cluster, name, "metrics-server", opts=after_nodes)
        scaler = self._autoscaler(name, scope, args, dns)
        disk = k8s.storage.v1.StorageClass(
            f"{name}-gp3",
            metadata={
                "name": STORAGE_CLASS,
                "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
            },
            provisioner="ebs.csi.aws.com",
            parameters={"type": "gp3", "encrypted": "true"},
            volume_binding_mode="WaitForFirstConsumer",
            allow_volume_expansion=True,
            reclaim_policy="Retain" if scope.protect else "Delete",
            # Kubernetes changes neither, which the provider doesn't know; volumes keep what they have.
            opts=pulumi.ResourceOptions(
                parent=self,
                provider=args.kubernetes,
                replace_on_changes=["reclaimPolicy", "volumeBindingMode"],
                delete_before_replace=True,
            ),
        )
        self.ready = (ebs, dns, metrics, scaler, disk)
        self.register_outputs({})

    def _autoscaler(self, name: str, scope: Scope, args: AddonsArgs, dns: pulumi.Resource) -> pulumi.Resource:
        child = pulumi.ResourceOptions(parent=self)
        cluster = args.cluster
        owned = {"StringEquals": {f"aws:ResourceTag/k8s.io/cluster-autoscaler/{cluster.name}": "owned"}}
        groups = scope.arn("autoscaling", "autoScalingGroup:*:autoScalingGroupName/*")
        role = granted(
            f"{name}-autoscaler",
            scope,
            pod_trust(),
            child,
            document(
                allow(
                    ("autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup"),
                    [groups],
                    owned,
                ),
                allow(("eks:DescribeNodegroup",), [scope.arn("eks", f"nodegroup/{cluster.name}/*/*")]),
                # What only reads has no narrower resource.
                allow(
                    (
                        "autoscaling:DescribeAutoScalingGroups",
                        "autoscaling:DescribeAutoScalingInstances",
                        "autoscaling:DescribeLaunchConfigurations",
                        "autoscaling:DescribeScalingActivities",
                        "ec2:DescribeImages",
                        "ec2:DescribeInstanceTypes",
                        "ec2:DescribeLaunchTemplateVersions",
                        "ec2:GetInstanceTypesFromInstanceRequirements",
                    ),
                    ["*"],
                ),
            ),
        )
        identity = aws.eks.PodIdentityAssociation(
            f"{name}-autoscaler",
            cluster_name=cluster.resource.name,
            namespace=_NAMESPACE,
            service_account=_ACCOUNT,
            role_arn=role.arn,
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(role.ready)),
        )
        return install(
            _ACCOUNT,
            _CHART,
            _NAMESPACE,
            {
                "awsRegion": scope.region,
                "autoDiscovery": {"clusterName": cluster.name},
                "rbac": {"serviceAccount": {"name": _ACCOUNT}},
                "extraArgs": {
                    "balance-similar-node-groups": True,
                    "expander": "least-waste",
                    "skip-nodes-with-system-pods": False,
                },
                "resources": {
                    "requests": {"cpu": "50m", "memory": "300Mi"},
                    "limits": {"memory": "600Mi"},
                },
            },
            pulumi.ResourceOptions(
                parent=self, provider=args.kubernetes, depends_on=[identity, dns, *args.nodes]
            ),
            create_namespace=False,
        )
