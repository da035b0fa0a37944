"""The platform of kind `gcp`: a VPC network and a GKE cluster in one region of one project."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from components.environment.cluster import Cluster
from components.environment.values import Runtime

Nat = Literal["none", "one"]
Channel = Literal["rapid", "regular", "stable", "extended"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Nodes of one kind."""

    machine_type: str
    """Compute Engine's name."""
    min: int
    """Over all zones together, like `max`."""
    max: int
    spot: bool = False
    """Spot nodes: cheaper, and taken back by Google with half a minute's notice."""
    disk_gb: int = 50
    """The size of a node's disk in GiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Nodes:
    """The pools of the cluster. GPU pools are tainted: only pods that ask for a GPU run there."""

    cpu: Pool = Pool(machine_type="n2-standard-2", min=2, max=6)
    gpu: Mapping[str, Pool] = field(default_factory=dict[str, Pool])


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """MLflow's PostgreSQL on Cloud SQL."""

    tier: str = "db-custom-1-3840"
    storage_gb: int = 20
    """Its size in GiB at first; it grows by itself up to five times that."""
    multi_zone: bool = False
    """A second instance in another zone takes over when the first fails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudRun:
    """What all models on Cloud Run have."""

    invokers: tuple[str, ...] = ()
    """Who may call them: `serviceAccount:…`, `user:…`, `group:…` or `domain:…`; none: nobody may."""
    domain: str | None = None
    """A model is at `NAME.DOMAIN`, in a private DNS zone; None: `PROJECT-STACK.internal`."""
    certificate: str | None = None
    """A regional certificate of the Certificate Manager for `*.DOMAIN`; None: plain HTTP inside the VPC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GcpPlatform:
    """A GKE cluster with its network, image registry and MLflow storage; Cloud Run beside it."""

    runtimes: ClassVar[tuple[Runtime, ...]] = ("kubernetes", "cloud-run")

    kind: Literal["gcp"] = "gcp"
    project: str
    """The project's id: nothing is declared in another one by mistake."""
    project_number: str
    """The project's number, by which Google names its own service agents."""
    region: str
    admins: tuple[str, ...]
    """`user:…` and `serviceAccount:…` that administer the cluster; the one that runs Pulumi among them."""
    cluster: Cluster
    zones: tuple[str, ...] = ()
    """One to three zones of the nodes; empty: three that GKE takes."""
    cidr: str = "10.20.0.0/16"
    pod_cidr: str = "10.64.0.0/14"
    service_cidr: str = "10.30.0.0/20"
    nat: Nat = "one"
    api_access: tuple[str, ...] = ()
    release_channel: Channel = "regular"
    nodes: Nodes = Nodes()
    database: Database = Database()
    cloud_run: CloudRun = CloudRun()
    kms_key: str | None = None
    """None: the platform makes a key of its own."""
    alarm_channel: str | None = None
    """The notification channel that alarms go to."""
    settle_seconds: int = 120
    """How long Google is given to make new rights known to its services before they are needed."""
    log_days: int = 90
    labels: Mapping[str, str] = field(default_factory=dict[str, str])

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
