"""The platform of kind `aws`: a VPC and an EKS cluster in one region of one account."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from components.environment.aws_access import Access
from components.environment.cluster import Cluster
from components.environment.values import Runtime

Nat = Literal["none", "one", "zone"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Nodes of one kind."""

    instance_types: tuple[str, ...]
    """EC2's names, the most wanted first."""
    min: int
    max: int
    spot: bool = False
    """Spot nodes: cheaper, and taken back by AWS with two minutes' notice."""
    disk_gb: int = 50
    """The size of a node's disk in GiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Nodes:
    """The pools of the cluster. GPU pools are tainted: only pods that ask for a GPU run there."""

    cpu: Pool = Pool(instance_types=("m7i.large",), min=2, max=6)
    gpu: Mapping[str, Pool] = field(default_factory=dict[str, Pool])


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """MLflow's PostgreSQL on RDS."""

    instance_class: str = "db.t4g.small"
    storage_gb: int = 20
    """Its size in GiB at first; it grows by itself up to five times that."""
    multi_zone: bool = False
    """A second instance in another zone takes over when the first fails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SageMaker:
    """What all SageMaker endpoints of the platform have."""

    auto_rollback: bool = False
    """An update that raises an alarm goes back by itself; it costs an instance while there is no canary."""
    capture_percent: int = 0
    """The percentage of requests and answers that is written to the artifacts bucket."""
    image: str | None = None
    """The model server's image for SageMaker, which runs as root, by its digest; None: it is built, or no
    model is on SageMaker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsPlatform:
    """An EKS cluster with its network, image registry and MLflow storage; Lambda and SageMaker beside it."""

    runtimes: ClassVar[tuple[Runtime, ...]] = ("kubernetes", "lambda", "sagemaker")

    kind: Literal["aws"] = "aws"
    account: str
    """The account's number: nothing is declared in another one by mistake."""
    region: str
    zones: tuple[str, ...]
    """Two or three availability zones."""
    admins: tuple[str, ...]
    """ARNs of the IAM roles and users that administer the cluster; the one that runs Pulumi among them."""
    cluster: Cluster
    access: Mapping[str, Access] = field(default_factory=dict[str, Access])
    """Who else may use the cluster, by ARN."""
    cidr: str = "10.20.0.0/16"
    service_cidr: str = "172.20.0.0/16"
    nat: Nat = "one"
    api_access: tuple[str, ...] = ()
    kubernetes_version: str = "1.35"
    addons: Mapping[str, str] = field(default_factory=dict[str, str])
    nodes: Nodes = Nodes()
    database: Database = Database()
    sagemaker: SageMaker = SageMaker()
    kms_key_arn: str | None = None
    """None: the platform makes a key of its own."""
    certificate_arn: str | None = None
    """A certificate for `url`'s host, of the load balancer in front of Lambda; None: HTTP inside the VPC."""
    alarm_topic_arn: str | None = None
    permissions_boundary_arn: str | None = None
    """The permissions boundary of every IAM role that is made; None: roles have none."""
    log_days: int = 90
    pod_logs: bool = True
    """Whether CloudWatch keeps what the models' pods write, for as many days."""
    tags: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def has_keda(self) -> bool:
        """Whether KEDA scales its models."""
        return self.cluster.keda != "none"

    @property
    def has_prometheus(self) -> bool:
        """Whether there is a Prometheus that KEDA can ask."""
        return self.cluster.has_prometheus

    @property
    def uses_gpus(self) -> bool:
        """Whether the model server's image runs models on a GPU."""
        return self.cluster.image_uses_gpu

    @property
    def gpus(self) -> bool:
        """Whether the cluster has GPU nodes."""
        return bool(self.nodes.gpu)
