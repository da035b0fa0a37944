"""The AWS place: network, cluster, storage and registry, with models on Kubernetes, Lambda and SageMaker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

from components.aws.addons import STORAGE_CLASS, Addons, AddonsArgs
from components.aws.alarm_topic import may_publish
from components.aws.artifacts import CAPTURE_DAYS, MODELS, Artifacts
from components.aws.cluster import Cluster, ClusterArgs
from components.aws.iam import document, granted, pod_trust
from components.aws.key import Key
from components.aws.lambda_api import LambdaApi, LambdaApiArgs
from components.aws.lambda_endpoint import LambdaEndpoint, LambdaEndpointArgs
from components.aws.link_keeper import LinkKeeper, LinkKeeperArgs
from components.aws.load_balancer import LoadBalancer, LoadBalancerArgs
from components.aws.network import Network, NetworkArgs
from components.aws.nodes import NodePool, NodePoolArgs, node_role
from components.aws.pod_identity import effective
from components.aws.pod_logs import PodLogs, PodLogsArgs
from components.aws.registry import Registry, repository_arn
from components.aws.sagemaker_endpoint import SageMakerEndpoint, SageMakerEndpointArgs
from components.aws.scope import Scope
from components.aws.serving import Serving, by_digest
from components.aws.tracking import Tracking, TrackingArgs
from components.endpoint import Before, ModelEndpoint, waiting
from components.environment import ImageBuild, Model
from components.environment.aws import AwsPlatform
from components.image import sagemaker_image, serving_image, tracking_image
from components.kubernetes.identity import cluster_identifier
from components.kubernetes.platform import KubernetesPlace
from components.kubernetes.receivers import ALERTMANAGER
from components.kubernetes.settings import Settings, TrackingStore

TRACKING_ACCOUNT = "tracking"
"""MLflow's service account, as the Kubernetes platform names it."""
_SERVICE = "service.beta.kubernetes.io/aws-load-balancer"
_LOAD_BALANCER = {
    f"{_SERVICE}-type": "nlb",
    # It stays inside the VPC.
    f"{_SERVICE}-internal": "true",
    # A caller on the node of a proxy would come back to its own node, and time out (Network Load Balancers,
    # load-balancer-troubleshooting.html#loopback-timeout). So proxies see the balancer's address.
    f"{_SERVICE}-target-group-attributes": "preserve_client_ip.enabled=false",
}


def provider(settings: AwsPlatform, prefix: str) -> aws.Provider:
    """Declare the provider of a platform: its region, its account and no other, its tags on everything."""
    return aws.Provider(
        "aws",
        region=settings.region,
        allowed_account_ids=[settings.account],
        default_tags={"tags": tags(settings, prefix)},
    )


def tags(settings: AwsPlatform, prefix: str) -> dict[str, str]:
    """Tags of everything that a platform has: the file's, and which stack it is from."""
    return {**settings.tags, "model-delivery/stack": prefix}


class AwsPlace(pulumi.ComponentResource):
    """The platform of a stack on AWS, in one region of one account.

    ``opts`` brings the AWS provider, see ``provider``; the Kubernetes provider is made here, out of the
    cluster.
    """

    def __init__(
        self, name: str, settings: AwsPlatform, prefix: str, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """``prefix`` begins every name that people see: project and stack."""
        super().__init__("delivery:aws:Platform", name, None, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        self._settings = settings
        self._scope = scope = Scope(
            prefix=prefix,
            account=settings.account,
            region=settings.region,
            tags=tags(settings, prefix),
            protect=settings.cluster.protect_data,
            log_days=settings.log_days,
            alarm_topic=settings.alarm_topic_arn,
            boundary=settings.permissions_boundary_arn,
        )
        self._key_arn = settings.kms_key_arn or Key("key", scope, self._child).arn
        self._network = Network(
            "network",
            scope,
            NetworkArgs(zones=settings.zones, cidr=settings.cidr, key_arn=self._key_arn, nat=settings.nat),
            self._child,
        )
        self._registry = Registry("images", scope, self._key_arn, self._child)
        self._artifacts = Artifacts("artifacts", scope, self._key_arn, self._child)
        # Whoever pulls an image that was just pushed may do so.
        self._pushed = pulumi.ResourceOptions(parent=self, depends_on=[self._registry.policy])
        self._image = serving_image(settings.cluster.image, self._registry.destination, self._pushed)
        self._serving = self._what_serves(settings.cluster.image, self._image)
        self._root: Serving | None = None
        if isinstance(settings.cluster.image, ImageBuild) and settings.cluster.image.sagemaker:
            self._root = self._on_sagemaker(settings.cluster.image)
        self._cluster = Cluster("cluster", scope, self._cluster_args(), self._child)
        self._identifier = cluster_identifier(
            "kubernetes", self._cluster.authority, self._cluster.resource, pulumi.ResourceOptions(parent=self)
        )
        self._kubernetes = k8s.Provider(
            "kubernetes",
            kubeconfig=self._cluster.kubeconfig,
            cluster_identifier=self._identifier,
            # Whoever may not use the cluster can't declare anything in it.
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(self._cluster.ready)),
        )
        nodes = self._nodes()
        self._addons = Addons(
            "addons",
            scope,
            AddonsArgs(cluster=self._cluster, nodes=nodes, kubernetes=self._kubernetes),
            self._child,
        )
        if settings.pod_logs:
            self._keep_pod_logs(nodes)
        self._lambda: LambdaEndpointArgs | None = None
        self._place = KubernetesPlace(
            "kubernetes",
            self._in_cluster(),
            self._kubernetes,
            pulumi.ResourceOptions(parent=self, depends_on=list(self._addons.ready)),
        )
        self.register_outputs(dict(self.outputs))

    @property
    def outputs(self) -> dict[str, pulumi.Input[Any]]:
        """What the cluster's place has, and ``clusterName``, ``imageRepository``, ``artifactsBucket``; and
        ``sagemakerImage``, where there is one."""
        return {
            **self._place.outputs,
            **({"sagemakerImage": self._root.image} if self._root else {}),
            "clusterName": self._cluster.name,
            "imageRepository": self._registry.repository_url,
            "artifactsBucket": self._artifacts.bucket,
        }

    def request_log(self, model: Model) -> Mapping[str, int] | None:
        """Return what SageMaker captures; the other runtimes keep no request."""
        percent = self._settings.sagemaker.capture_percent
        if model.runtime != "sagemaker" or not percent:
            return None
        return {"percent": percent, "retentionDays": CAPTURE_DAYS}

    def serve(self, model: Model, after: Before = ()) -> ModelEndpoint:
        """Declare a model's endpoint where its runtime is."""
        opts = waiting(self._child, after)
        if model.runtime == "lambda":
            return LambdaEndpoint(model, self._scope, self._lambda_args(), opts)
        if model.runtime == "sagemaker":
            if self._root is None:
                self._root = self._on_sagemaker(self._settings.cluster.image)
            rooms = SageMakerEndpointArgs(serving=self._root, settings=self._settings.sagemaker)
            return SageMakerEndpoint(model, self._scope, rooms, opts)
        return self._place.serve(model, after)

    def _keep_pod_logs(self, nodes: Sequence[pulumi.Resource]) -> None:
        logs = PodLogsArgs(
            cluster=self._cluster,
            nodes=nodes,
            kubernetes=self._kubernetes,
            namespace=self._settings.cluster.namespace,
            key_arn=self._key_arn,
        )
        PodLogs("pod-logs", self._scope, logs, self._child)

    def _what_serves(self, named: str | ImageBuild, image: pulumi.Input[str]) -> Serving:
        """What servers outside the cluster run: ``image``, which the file has ``named``."""
        registry = self._registry
        return Serving(
            image=by_digest(image),
            flavors=self._settings.cluster.image_flavors,
            repository_arn=repository_arn(named) if isinstance(named, str) else registry.repository_arn,
            registry=self._settings.cluster.registry,
            artifacts=self._artifacts,
            key_arn=self._key_arn,
        )

    def _on_sagemaker(self, image: str | ImageBuild) -> Serving:
        """What SageMaker runs: the same as root. It is built with the first model there, or where the file
        asks for it."""
        named = self._settings.sagemaker.image or image
        if isinstance(named, str):
            return self._what_serves(named, named)
        return self._what_serves(named, sagemaker_image(named, self._registry.destination, self._pushed))

    def _lambda_args(self) -> LambdaEndpointArgs:
        """What is in front of Lambda, declared with the first model that needs it: it costs while idle."""
        if self._lambda is None:
            settings, name = self._settings, "lambda"
            balancer = LoadBalancer(
                name,
                self._scope,
                LoadBalancerArgs(network=self._network, certificate_arn=settings.certificate_arn),
                self._child,
            )
            door = LambdaApiArgs(
                network=self._network,
                balancer=balancer,
                server_name=urlsplit(settings.cluster.url).hostname if settings.certificate_arn else None,
                key_arn=self._key_arn,
            )
            api = LambdaApi(name, self._scope, door, self._child)
            kept = LinkKeeperArgs(api=api, key_arn=self._key_arn)
            keeper = LinkKeeper("link-keeper", self._scope, kept, self._child)
            self._lambda = LambdaEndpointArgs(
                serving=self._serving, balancer=balancer, api=api, keeper=keeper
            )
        return self._lambda

    def _cluster_args(self) -> ClusterArgs:
        settings = self._settings
        return ClusterArgs(
            version=settings.kubernetes_version,
            network=self._network,
            service_cidr=settings.service_cidr,
            key_arn=self._key_arn,
            admins=settings.admins,
            access=settings.access,
            api_access=settings.api_access,
            addon_versions=settings.addons,
        )

    def _nodes(self) -> list[pulumi.Resource]:
        """Declare the pools. Returns those that any pod can run on."""
        role = node_role("nodes", self._scope, self._child)
        shared = NodePoolArgs(cluster=self._cluster, network=self._network, role=role)
        graphics = NodePoolArgs(cluster=self._cluster, network=self._network, role=role, gpu=True)
        nodes = self._settings.nodes
        cpu = NodePool("cpu", self._scope, nodes.cpu, shared, self._child)
        for name, pool in sorted(nodes.gpu.items()):
            NodePool(f"gpu-{name}", self._scope, pool, graphics, self._child)
        return list(cpu.groups)

    def _in_cluster(self) -> Settings:
        settings = self._settings
        store: TrackingStore | None = None
        if settings.cluster.tracking:
            tracking = Tracking(
                "tracking",
                self._scope,
                settings.database,
                TrackingArgs(network=self._network, cluster=self._cluster, key_arn=self._key_arn),
                self._child,
            )
            store = TrackingStore(database=tracking.uri, artifacts=self._artifacts.models_uri)
        return Settings(
            cluster=settings.cluster,
            image=self._image,
            tracking_image=tracking_image(settings.cluster.tracking, self._registry.tracking, self._child),
            access={"kubeconfig": self._cluster.kubeconfig, "clusterIdentifier": self._identifier},
            gpu="install" if settings.gpus else "none",
            metrics_server="existing",
            store=store,
            identity=self._identity,
            alarm_topic=settings.alarm_topic_arn,
            storage_class=STORAGE_CLASS,
            gateway_annotations=_LOAD_BALANCER,
        )

    def _identity(
        self, namespace: pulumi.Input[str], account: str, opts: pulumi.ResourceOptions
    ) -> Sequence[pulumi.Resource]:
        """Let MLflow's pods read and write artifacts; a model's read them, unless MLflow hands them out; and
        Alertmanager's publish."""
        models, name = self._artifacts, f"pod-{account}"
        topic = self._settings.alarm_topic_arn
        if account == ALERTMANAGER and topic:
            rights = may_publish(topic)
        elif account == TRACKING_ACCOUNT:
            rights = (*models.may_read(), *models.may_keep(MODELS))
        elif self._settings.cluster.tracking:
            return ()
        else:
            rights = models.may_read()
        role = granted(name, self._scope, pod_trust(), opts, document(*rights))
        association = aws.eks.PodIdentityAssociation(
            name,
            cluster_name=self._cluster.resource.name,
            namespace=namespace,
            service_account=account,
            role_arn=role.arn,
            opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=list(role.ready))),
        )
        if account in (TRACKING_ACCOUNT, ALERTMANAGER):
            # A database, or the chart with its operator, takes longer than the association. And of
            # Alertmanager's namespace, which the chart makes, a Job could not be before it.
            return (association,)
        return (effective(f"{account}-identity", namespace, account, self._image, association, opts),)
