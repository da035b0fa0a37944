"""What a platform on Kubernetes is made of: the file's choices, and what a cloud adds around it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pulumi

from components.environment import Cluster, Source

Identity = Callable[[pulumi.Input[str], str, pulumi.ResourceOptions], Sequence[pulumi.Resource]]
"""Lets a service account act in a cloud: from namespace, service account and options to what does it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackingStore:
    """Where an MLflow in the cluster keeps its data. Absent: SQLite and files on one volume."""

    database: pulumi.Input[str]
    """A SQLAlchemy URI with user and password, such as ``postgresql+psycopg2://…``; kept as a secret."""
    artifacts: pulumi.Input[str]
    """The artifacts' root, such as ``s3://bucket/artifacts``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A platform on Kubernetes."""

    cluster: Cluster
    """The choices of the file."""
    access: Mapping[str, pulumi.Input[str]]
    """How other stacks reach the cluster: ``context`` of a kubeconfig, or ``kubeconfig``, the text of one
    without secrets, with the ``clusterIdentifier`` of the cluster that it leads to."""
    image: pulumi.Input[str]
    """The model server's image by its digest."""
    tracking_image: pulumi.Input[str] | None
    """MLflow's image by its digest; None where no MLflow is installed."""
    gpu: Source = "none"
    metrics_server: Source = "existing"
    store: TrackingStore | None = None
    identity: Identity | None = None
    """None: service accounts are nobody outside the cluster."""
    alarm_topic: str | None = None
    """ARN of the SNS topic that is told of alerts; ``identity`` lets Alertmanager publish to it."""
    storage_class: str | None = None
    """None: the cluster's default."""
    gateway_annotations: Mapping[str, str] = field(default_factory=dict[str, str])
    """Annotations of the Service of an installed Gateway, by which a cloud's load balancer is chosen."""
