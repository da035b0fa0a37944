"""Where everything of one GCP platform is, as literal values: names, members and labels are known in a
preview."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

import pulumi

from components.environment import Model

Agent = Literal["artifactregistry", "cloudsql", "compute", "gke", "run", "secretmanager"]

_AGENTS: Final[Mapping[Agent, str]] = {
    "artifactregistry": "gcp-sa-artifactregistry",
    "cloudsql": "gcp-sa-cloud-sql",
    "compute": "compute-system",
    "gke": "container-engine-robot",
    "run": "serverless-robot-prod",
    "secretmanager": "gcp-sa-secretmanager",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The project and region of a platform, and the prefix of the names in it."""

    prefix: str
    """What names of this platform begin with: project and stack, such as ``model-delivery-prod``."""
    project: str
    number: str
    """The project's number."""
    region: str
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    """Labels for what no provider default reaches: nodes that GKE makes by itself."""
    protect: bool = False
    """Data can't be deleted: protected in the state, kept when it leaves the program, guarded by Google."""
    settle_seconds: int = 0
    """How long Google is given to make rights known to its services, see ``settled``; 0: no time."""
    alarm_channel: str | None = None
    """The notification channel that alarms go to; None: they show in Cloud Monitoring alone."""

    def data(self, parent: pulumi.Resource) -> pulumi.ResourceOptions:
        """Options of a resource that holds data."""
        return pulumi.ResourceOptions(parent=parent, protect=self.protect, retain_on_delete=self.protect)

    def short(self, name: str, most: int) -> str:
        """``PREFIX-NAME``, cut to ``most`` characters with a hash of the whole where it is longer."""
        return shortened(f"{self.prefix}-{name}", most)

    def agent(self, service: Agent) -> str:
        """The IAM member by which one of Google's services acts in this project."""
        host = _AGENTS[service]
        return f"serviceAccount:service-{self.number}@{host}.iam.gserviceaccount.com"

    def pod(self, namespace: str, account: str) -> str:
        """The IAM member of the pods of one service account, by Workload Identity Federation for GKE."""
        pool = f"projects/{self.number}/locations/global/workloadIdentityPools/{self.project}.svc.id.goog"
        return f"principal://iam.googleapis.com/{pool}/subject/ns/{namespace}/sa/{account}"


def shortened(name: str, most: int) -> str:
    """A name, cut to ``most`` characters with a hash of the whole where it is longer."""
    if len(name) <= most:
        return name
    return f"{name[: most - 9].rstrip('-')}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def prefix(project: str, stack: str) -> str:
    """What names of a stack begin with, in the letters that every service of Google takes: clusters and
    service accounts take none that begins with a digit."""
    name = re.sub(r"[^a-z0-9]+", "-", f"{project}-{stack}".lower()).strip("-")
    return name if name[:1].isalpha() else f"m-{name}"


def model_labels(model: Model, version: int | None = None) -> dict[str, str]:
    """Labels that say whose a resource is. Without a version: of all the model's releases.

    Google takes lower-case letters, digits, ``_`` and ``-`` alone: an owner's other characters become ``-``.
    """
    labels = {"model-delivery-model": model.name}
    if version is not None:
        labels["model-delivery-version"] = str(version)
    if model.owner:
        labels["model-delivery-owner"] = re.sub(r"[^a-z0-9_-]", "-", model.owner.lower())[:63]
    if model.risk_class:
        labels["model-delivery-risk-class"] = model.risk_class
    return labels
