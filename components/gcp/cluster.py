"""The GKE cluster: its control plane, and who may use it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_gcp as gcp

from components.environment.gcp import Channel
from components.gcp.key import Key
from components.gcp.network import PODS, SERVICES, Network
from components.gcp.node_account import NodeAccount
from components.gcp.scope import Scope, shortened

_LOGS = ("APISERVER", "CONTROLLER_MANAGER", "SCHEDULER", "SYSTEM_COMPONENTS", "WORKLOADS")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterArgs:
    """What a cluster is made of."""

    network: Network
    key: Key
    account: NodeAccount
    """Who the nodes are, those too that GKE makes first."""
    zones: Sequence[str]
    """Zones of the nodes; empty: three that GKE takes. The control plane is in three anyway."""
    channel: Channel
    """How soon GKE upgrades it."""
    admins: Sequence[str]
    """IAM members that administer the cluster: ``user:…`` and ``serviceAccount:…``."""
    api_access: Sequence[str] = ()
    """Ranges from which the API server can be reached over the internet; none: from inside the VPC alone."""


class Cluster(pulumi.ComponentResource):
    """A regional GKE cluster without public nodes, with every control-plane log kept.

    Pods take Google's rights through Workload Identity Federation. Dataplane V2 holds pods to the network
    policies. Nodes are in pools of their own: the one that GKE makes first is removed.
    """

    name: str
    """The cluster's name: ``gcloud container clusters get-credentials NAME``."""

    def __init__(
        self, name: str, scope: Scope, args: ClusterArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("delivery:gcp:Cluster", name, None, opts)
        # An interface: people type it.
        self.name = shortened(scope.prefix, 40)
        self._scope = scope
        network, public = args.network, bool(args.api_access)
        self.resource = gcp.container.Cluster(
            name,
            name=self.name,
            location=scope.region,
            node_locations=list(args.zones) or None,
            network=network.network.id,
            subnetwork=network.subnet.id,
            networking_mode="VPC_NATIVE",
            ip_allocation_policy={
                "cluster_secondary_range_name": PODS,
                "services_secondary_range_name": SERVICES,
            },
            private_cluster_config={
                "enable_private_nodes": True,
                "enable_private_endpoint": not public,
                "master_ipv4_cidr_block": network.ranges.control_plane,
            },
            master_authorized_networks_config={
                "cidr_blocks": [
                    {"cidr_block": block, "display_name": "apiAccess"} for block in args.api_access
                ]
                or [{"cidr_block": network.cidr, "display_name": "cidr"}],
                "gcp_public_cidrs_access_enabled": False,
            },
            release_channel={"channel": args.channel.upper()},
            maintenance_policy={"daily_maintenance_window": {"start_time": "02:00"}},
            remove_default_node_pool=True,
            initial_node_count=1,
            # Of that first pool: the project's default account, which it would take, may have no rights or
            # not be there, and its nodes then never come up.
            node_config={
                "service_account": args.account.email,
                "oauth_scopes": ["https://www.googleapis.com/auth/cloud-platform"],
                "boot_disk_kms_key": args.key.name,
            },
            datapath_provider="ADVANCED_DATAPATH",
            enable_shielded_nodes=True,
            enable_l4_ilb_subsetting=True,
            workload_identity_config={"workload_pool": f"{scope.project}.svc.id.goog"},
            database_encryption={"state": "ENCRYPTED", "key_name": args.key.name},
            master_auth={"client_certificate_config": {"issue_client_certificate": False}},
            enable_legacy_abac=False,
            logging_config={"enable_components": list(_LOGS)},
            monitoring_config={
                "enable_components": ["SYSTEM_COMPONENTS"],
                # The platform brings its own Prometheus.
                "managed_prometheus": {"enabled": False},
            },
            security_posture_config={"mode": "BASIC", "vulnerability_mode": "VULNERABILITY_DISABLED"},
            node_pool_defaults={"node_config_defaults": {"insecure_kubelet_readonly_port_enabled": "FALSE"}},
            cost_management_config={"enabled": True},
            resource_labels=dict(scope.labels),
            deletion_protection=scope.protect,
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=scope.protect,
                depends_on=[*args.key.ready, *args.account.ready, *network.ways],
                # The pool that it is of is gone.
                ignore_changes=["nodeConfig"],
            ),
        )
        # Enough to find the cluster and log in; what they may do there is the cluster's own affair.
        self.ready: Sequence[pulumi.Resource] = [
            gcp.projects.IAMMember(
                f"{name}-admin-{admin.partition(':')[2]}",
                project=scope.project,
                role="roles/container.clusterViewer",
                member=admin,
                opts=pulumi.ResourceOptions(parent=self),
            )
            for admin in args.admins
        ]
        self.register_outputs({"name": self.name})

    @property
    def authority(self) -> pulumi.Output[str]:
        """The certificate of the authority that signs the API server's, in base64."""
        return self.resource.master_auth.cluster_ca_certificate.apply(str)

    @property
    def kubeconfig(self) -> pulumi.Output[str]:
        """A kubeconfig without a secret: ``gke-gcloud-auth-plugin`` asks for a token with the caller's own
        rights."""
        return pulumi.Output.all(self.resource.endpoint, self.authority).apply(
            lambda known: kubeconfig(self.name, str(known[0]), str(known[1]))
        )


def kubeconfig(name: str, endpoint: str, authority: str) -> str:
    """A kubeconfig that gets its token from ``gke-gcloud-auth-plugin``: JSON, which is YAML too."""
    user = {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1beta1",
            "command": "gke-gcloud-auth-plugin",
            "installHint": "gcloud components install gke-gcloud-auth-plugin",
            "provideClusterInfo": True,
            "interactiveMode": "Never",
        }
    }
    server = {"server": f"https://{endpoint}", "certificate-authority-data": authority}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": name,
            "clusters": [{"name": name, "cluster": server}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "users": [{"name": name, "user": user}],
        }
    )
