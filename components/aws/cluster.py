"""The EKS cluster: its control plane, who may use it, and the add-ons that nodes need to become ready."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from components.aws.access import administer, admit
from components.aws.iam import Granted, document, granted, pod_trust, trust
from components.aws.iam import allow as allowed
from components.aws.network import Network
from components.aws.scope import Scope
from components.environment.aws_access import Access
from components.environment.ranges import is_private

_LOGS = ("api", "audit", "authenticator", "controllerManager", "scheduler")
# Without it the cluster takes NetworkPolicies and holds nobody to them.
_POLICIES = '{"enableNetworkPolicy": "true"}'


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterArgs:
    """What a cluster is made of."""

    version: str
    """Kubernetes' minor version, such as 1.35: the control plane's and, by ``NodePool``, the nodes'."""
    network: Network
    service_cidr: str
    """Addresses of Services; apart from the VPC's."""
    key_arn: pulumi.Input[str]
    """Encrypts Secrets in etcd and the control plane's logs."""
    admins: tuple[str, ...]
    """ARNs of the IAM roles and users that administer the cluster: the one that runs Pulumi is among them."""
    access: Mapping[str, Access] = field(default_factory=dict[str, Access])
    """Who else may use it, by ARN."""
    api_access: tuple[str, ...] = ()
    """Ranges from which the API server can be reached besides the VPC's own: public ones over the internet,
    private ones (a VPN's, a peer's) at its address inside the VPC."""
    addon_versions: Mapping[str, str] = field(default_factory=dict[str, str])
    """Versions by add-on; one that isn't here takes EKS' default for the Kubernetes version."""


class Cluster(pulumi.ComponentResource):
    """An EKS cluster whose API server answers inside the VPC, with every control-plane log kept.

    EKS' own security group lets in nobody but the nodes. Who is to use the API server from inside the VPC (a
    runner, a VPN) needs a rule in it, which is here, and Kubernetes' objects wait for it.

    Who made the cluster has no rights by that: ``admins`` and ``access`` say who has. Pods take AWS rights
    through Pod Identity. The network, proxy and identity add-ons are here, because no node is ready without
    them; those that need nodes to run on are in ``Addons``.
    """

    name: str
    """The cluster's name in AWS: ``aws eks update-kubeconfig --name NAME``."""
    version: str
    ready: tuple[pulumi.Resource, ...]
    """What a node needs to be ready, and what it takes to declare something in the cluster."""

    def __init__(
        self, name: str, scope: Scope, args: ClusterArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("delivery:aws:Cluster", name, None, opts)
        self._scope, self._args = scope, args
        self._child = pulumi.ResourceOptions(parent=self)
        # An interface: people type it, and the autoscaler finds its groups by it.
        self.name = scope.prefix
        self.version = args.version
        self.resource = self._control_plane(name)
        # The Kubernetes objects wait for the admins by way of `ready`: without them nobody may make any.
        admins = administer(name, scope, self.resource.name, args.admins, self._child)
        admit(name, scope, self.resource.name, args.access, self._child)
        self.ready = (*self._node_addons(name), *admins, *self._doors(name))
        self.register_outputs({"name": self.name})

    @property
    def authority(self) -> pulumi.Output[str]:
        """The certificate of the authority that signs the API server's, in base64."""
        return self.resource.certificate_authority.data.apply(str)

    @property
    def kubeconfig(self) -> pulumi.Output[str]:
        """A kubeconfig without a secret: ``aws eks get-token`` asks for one with the caller's own rights."""
        return pulumi.Output.all(self.resource.endpoint, self.authority).apply(
            lambda known: kubeconfig(self.name, self._scope.region, str(known[0]), str(known[1]))
        )

    def _control_plane(self, name: str) -> aws.eks.Cluster:
        scope, args = self._scope, self._args
        public = [reach for reach in args.api_access if not is_private(reach)]
        # EKS makes the group by itself, without end or key, if it isn't there first.
        logs = aws.cloudwatch.LogGroup(
            f"{name}-logs",
            name=f"/aws/eks/{self.name}/cluster",
            retention_in_days=scope.log_days,
            kms_key_id=args.key_arn,
            opts=self._child,
        )
        assume = trust("eks.amazonaws.com")
        role = granted(f"{name}-control", scope, assume, self._child, managed=("AmazonEKSClusterPolicy",))
        use_key = aws.iam.RolePolicy(
            f"{name}-control",
            role=role.role.name,
            policy=document(
                allowed(("kms:Encrypt", "kms:Decrypt", "kms:DescribeKey", "kms:ListGrants"), [args.key_arn]),
                # For the attributes of the gateway's target groups, which the service controller names so
                # (cloud-provider-aws#1214). What only reads has no narrower resource.
                allowed(
                    ("elasticloadbalancing:ModifyTargetGroupAttributes",),
                    [scope.arn("elasticloadbalancing", "targetgroup/k8s-*")],
                ),
                allowed(("elasticloadbalancing:DescribeTargetGroupAttributes",), ["*"]),
            ),
            opts=self._child,
        )
        return aws.eks.Cluster(
            name,
            name=self.name,
            version=args.version,
            role_arn=role.arn,
            vpc_config={
                "subnet_ids": list(args.network.private_subnet_ids),
                "endpoint_private_access": True,
                "endpoint_public_access": bool(public),
                "public_access_cidrs": public or None,
            },
            kubernetes_network_config={"service_ipv4_cidr": args.service_cidr, "ip_family": "ipv4"},
            access_config={
                "authentication_mode": "API",
                "bootstrap_cluster_creator_admin_permissions": False,
            },
            encryption_config={"provider": {"key_arn": args.key_arn}, "resources": ["secrets"]},
            enabled_cluster_log_types=list(_LOGS),
            bootstrap_self_managed_addons=False,
            # At the end of standard support the version goes on at a higher price, instead of being upgraded
            # by AWS at an hour that nobody chose.
            upgrade_policy={"support_type": "EXTENDED"},
            deletion_protection=scope.protect,
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[logs, use_key, *role.ready], protect=scope.protect
            ),
        )

    def _node_addons(self, name: str) -> tuple[pulumi.Resource, ...]:
        network = granted(
            f"{name}-network", self._scope, pod_trust(), self._child, managed=("AmazonEKS_CNI_Policy",)
        )
        return (
            addon(self, name, "eks-pod-identity-agent"),
            addon(self, name, "kube-proxy"),
            addon(self, name, "vpc-cni", {"aws-node": network}, configuration=_POLICIES),
        )

    def _doors(self, name: str) -> list[pulumi.Resource]:
        """Who may knock at the API server's address in the VPC: the VPC, and the private ranges named."""
        group = self.resource.vpc_config.cluster_security_group_id
        sources = {"vpc": self._args.network.cidr}
        for reach in self._args.api_access:
            # The same rule twice is refused by EC2.
            if is_private(reach) and reach != self._args.network.cidr:
                sources[reach.replace("/", "-")] = reach
        return [
            aws.vpc.SecurityGroupIngressRule(
                f"{name}-api-{short}",
                security_group_id=group,
                description="The API server",
                cidr_ipv4=reach,
                ip_protocol="tcp",
                from_port=443,
                to_port=443,
                opts=self._child,
            )
            for short, reach in sources.items()
        ]

    @property
    def addon_versions(self) -> Mapping[str, str]:
        return self._args.addon_versions


def addon(
    cluster: Cluster,
    name: str,
    addon_name: str,
    roles: Mapping[str, Granted] | None = None,
    opts: pulumi.ResourceOptions | None = None,
    configuration: str | None = None,
) -> aws.eks.Addon:
    """Declare one of EKS' add-ons. ``roles`` are taken by its service accounts, through Pod Identity.

    Without a version of ours EKS installs its default for the cluster's Kubernetes version and then leaves
    it: an add-on never changes by itself, and one is pinned where two clusters must be alike.
    """
    own = pulumi.ResourceOptions(
        parent=cluster, depends_on=[r for g in (roles or {}).values() for r in g.ready]
    )
    return aws.eks.Addon(
        f"{name}-{addon_name}",
        cluster_name=cluster.resource.name,
        addon_name=addon_name,
        addon_version=cluster.addon_versions.get(addon_name),
        configuration_values=configuration,
        resolve_conflicts_on_create="OVERWRITE",
        resolve_conflicts_on_update="OVERWRITE",
        pod_identity_associations=[
            {"service_account": account, "role_arn": role.arn} for account, role in (roles or {}).items()
        ]
        or None,
        opts=pulumi.ResourceOptions.merge(own, opts),
    )


def kubeconfig(name: str, region: str, endpoint: str, authority: str) -> str:
    """A kubeconfig that gets its token from ``aws eks get-token``: JSON, which is YAML too."""
    user = {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1beta1",
            "command": "aws",
            "args": ["eks", "get-token", "--cluster-name", name, "--region", region, "--output", "json"],
            "interactiveMode": "Never",
        }
    }
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": name,
            "clusters": [
                {"name": name, "cluster": {"server": endpoint, "certificate-authority-data": authority}}
            ],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "users": [{"name": name, "user": user}],
        }
    )
