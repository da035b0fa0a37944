"""The GCP place: network, cluster, storage and registry, with models on Kubernetes and Cloud Run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_gcp as gcp
import pulumi_kubernetes as k8s

from components.endpoint import Before, ModelEndpoint, waiting
from components.environment import Build, Model
from components.environment.gcp import GcpPlatform
from components.gcp.artifacts import Artifacts
from components.gcp.cloud_run_endpoint import CloudRunEndpoint, CloudRunEndpointArgs
from components.gcp.cluster import Cluster, ClusterArgs
from components.gcp.front import Front, FrontArgs
from components.gcp.key import Key
from components.gcp.logs import Logs
from components.gcp.network import Network, NetworkArgs
from components.gcp.node_account import NodeAccount
from components.gcp.nodes import NodePool, NodePoolArgs
from components.gcp.registry import Registry, repository
from components.gcp.scope import Scope
from components.gcp.services import Services
from components.gcp.tracking import Tracking, TrackingArgs
from components.image import serving_image, tracking_image
from components.kubernetes.identity import cluster_identifier
from components.kubernetes.platform import KubernetesPlace
from components.kubernetes.settings import Settings, TrackingStore

TRACKING_ACCOUNT = "tracking"
"""MLflow's service account, as the Kubernetes platform names it."""
# The load balancer of the gateway stays inside the VPC.
_INTERNAL = {"networking.gke.io/load-balancer-type": "Internal"}
_STORAGE_CLASS = "standard-rwo"


def provider(settings: GcpPlatform, prefix: str) -> gcp.Provider:
    """Declare the provider of a platform: its project, its region, its labels on everything."""
    return gcp.Provider(
        "gcp",
        project=settings.project,
        region=settings.region,
        default_labels=labels(settings, prefix),
    )


def labels(settings: GcpPlatform, prefix: str) -> dict[str, str]:
    """Labels of everything that a platform has: the file's, and which stack it is from."""
    return {**settings.labels, "model-delivery-stack": prefix[:63]}


class GcpPlace(pulumi.ComponentResource):
    """The platform of a stack on GCP, in one region of one project.

    ``opts`` brings the GCP provider, see ``provider``; the Kubernetes provider is made here, out of the
    cluster.
    """

    def __init__(
        self, name: str, settings: GcpPlatform, prefix: str, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """``prefix`` begins every name that people see: project and stack."""
        super().__init__("delivery:gcp:Platform", name, None, opts)
        self._settings = settings
        self._scope = scope = Scope(
            prefix=prefix,
            project=settings.project,
            number=settings.project_number,
            region=settings.region,
            labels=labels(settings, prefix),
            protect=settings.cluster.protect_data,
            settle_seconds=settings.settle_seconds,
            alarm_channel=settings.alarm_channel,
        )
        services = Services("services", scope, pulumi.ResourceOptions(parent=self))
        # A service that isn't switched on yet answers with an error.
        self._child = pulumi.ResourceOptions(parent=self, depends_on=list(services.ready))
        self._key = Key("key", scope, services.storage_agent, settings.kms_key, self._child)
        self._network = Network(
            "network",
            scope,
            NetworkArgs(
                cidr=settings.cidr,
                pod_cidr=settings.pod_cidr,
                service_cidr=settings.service_cidr,
                nat=settings.nat,
            ),
            self._child,
        )
        self._registry = Registry("images", scope, self._key, self._child)
        self._artifacts = Artifacts("artifacts", scope, self._key, self._child)
        self._pushed = pulumi.ResourceOptions(parent=self, depends_on=[self._registry.repository])
        self._image = serving_image(settings.cluster.image, self._registry.destination, self._pushed)
        self._account = self._node_account()
        self._cluster = Cluster("cluster", scope, self._cluster_args(), self._child)
        Logs("logs", scope, self._cluster.name, settings.log_days, self._child)
        pools = self._nodes()
        self._identifier = cluster_identifier(
            "kubernetes", self._cluster.authority, self._cluster.resource, pulumi.ResourceOptions(parent=self)
        )
        self._kubernetes = k8s.Provider(
            "kubernetes",
            kubeconfig=self._cluster.kubeconfig,
            cluster_identifier=self._identifier,
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(self._cluster.ready)),
        )
        self._admins()
        self._front: Front | None = None
        self._place = KubernetesPlace(
            "kubernetes",
            self._in_cluster(),
            self._kubernetes,
            pulumi.ResourceOptions(parent=self, depends_on=pools),
        )
        self.register_outputs(dict(self.outputs))

    @property
    def outputs(self) -> dict[str, pulumi.Input[Any]]:
        """What the cluster's place has, and ``clusterName``, ``imageRepository``, ``artifactsBucket``."""
        return {
            **self._place.outputs,
            "clusterName": self._cluster.name,
            "imageRepository": self._registry.repository_url,
            "artifactsBucket": self._artifacts.bucket,
        }

    def request_log(self, model: Model) -> Mapping[str, int] | None:
        """Return None: no request is kept."""
        return None

    def serve(self, model: Model, after: Before = ()) -> ModelEndpoint:
        """Declare a model's endpoint where its runtime is."""
        if model.runtime != "cloud-run":
            return self._place.serve(model, after)
        args = CloudRunEndpointArgs(
            image=self._image,
            flavors=self._settings.cluster.image_flavors,
            registry=self._settings.cluster.registry,
            artifacts=self._artifacts,
            key=self._key,
            front=self._in_front(),
            invokers=self._settings.cloud_run.invokers,
        )
        return CloudRunEndpoint(model, self._scope, args, waiting(self._child, after))

    def _in_front(self) -> Front:
        """What all load balancers in front of Cloud Run need, declared with the first model there."""
        if self._front is None:
            self._front = Front(
                "front",
                self._scope,
                FrontArgs(network=self._network, settings=self._settings.cloud_run),
                self._child,
            )
        return self._front

    def _cluster_args(self) -> ClusterArgs:
        settings = self._settings
        return ClusterArgs(
            network=self._network,
            key=self._key,
            account=self._account,
            zones=settings.zones,
            channel=settings.release_channel,
            admins=settings.admins,
            api_access=settings.api_access,
        )

    def _node_account(self) -> NodeAccount:
        cluster, scope = self._settings.cluster, self._scope
        own = (scope.project, scope.region, self._registry.repository.repository_id)
        image = cluster.image
        pulled: dict[str, tuple[pulumi.Input[str], str, pulumi.Input[str]]]
        pulled = {"nodes": repository(image) if isinstance(image, str) else own}
        if isinstance(image, str) and cluster.tracking and isinstance(cluster.tracking.image, Build):
            pulled["nodes-tracking"] = own
        return NodeAccount("nodes", scope, pulled, self._child)

    def _nodes(self) -> list[pulumi.Resource]:
        """Declare the pools. Returns those that any pod can run on."""
        scope, nodes = self._scope, self._settings.nodes
        args = NodePoolArgs(
            cluster=self._cluster, account=self._account, key=self._key, zones=len(self._settings.zones) or 3
        )
        cpu = NodePool("cpu", scope, nodes.cpu, args, self._child)
        for name, pool in sorted(nodes.gpu.items()):
            NodePool(f"gpu-{name}", scope, pool, args, self._child)
        return [cpu.resource]

    def _admins(self) -> None:
        """Let the admins do everything in the cluster; Google's IAM calls a service account a user too."""
        k8s.rbac.v1.ClusterRoleBinding(
            "admins",
            metadata={"name": "model-delivery-admins"},
            role_ref={
                "api_group": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "cluster-admin",
            },
            subjects=[
                {
                    "kind": "User",
                    "name": admin.partition(":")[2],
                    "api_group": "rbac.authorization.k8s.io",
                }
                for admin in self._settings.admins
            ],
            opts=pulumi.ResourceOptions(parent=self, provider=self._kubernetes),
        )

    def _in_cluster(self) -> Settings:
        settings = self._settings
        store: TrackingStore | None = None
        if settings.cluster.tracking:
            tracking = Tracking(
                "tracking",
                self._scope,
                settings.database,
                TrackingArgs(network=self._network, key=self._key),
                self._child,
            )
            store = TrackingStore(database=tracking.uri, artifacts=self._artifacts.models_uri)
        return Settings(
            cluster=settings.cluster,
            image=self._image,
            tracking_image=tracking_image(settings.cluster.tracking, self._registry.tracking, self._pushed),
            access={"kubeconfig": self._cluster.kubeconfig, "clusterIdentifier": self._identifier},
            # GKE installs NVIDIA's driver and device plugin by itself.
            gpu="existing" if settings.gpus else "none",
            metrics_server="existing",
            # Google runs the scheduler and the controller manager out of reach, so alerts on them would ring.
            store=store,
            identity=self._identity,
            storage_class=_STORAGE_CLASS,
            gateway_annotations=_INTERNAL,
        )

    def _identity(
        self, namespace: pulumi.Input[str], account: str, opts: pulumi.ResourceOptions
    ) -> Sequence[pulumi.Resource]:
        """Let MLflow's pods read and add artifacts; a model's read them, unless MLflow hands them out."""
        if account != TRACKING_ACCOUNT and self._settings.cluster.tracking:
            return ()
        member = self._scope.pod(self._settings.cluster.namespace, account)
        # Not the cluster's provider, which the options of a pod bring.
        own = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[self._cluster.resource]))
        roles = {"read": "roles/storage.objectViewer"}
        if account == TRACKING_ACCOUNT:
            roles["add"] = "roles/storage.objectCreator"
        return [
            self._artifacts.grant(f"pod-{account}-{what}", member, role, own) for what, role in roles.items()
        ]
