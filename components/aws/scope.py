"""Where everything of one AWS platform is, as literal values: names, ARNs and tags are known in a preview."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi

from components.environment import Model
from components.environment.aws_partition import Partition, partition_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The account and region of a platform, and the prefix of the names in it."""

    prefix: str
    """What names of this platform begin with: project and stack, such as ``model-delivery-prod``."""
    account: str
    region: str
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    """Tags for what no provider default reaches: instances and volumes that AWS makes by itself."""
    protect: bool = False
    """Data can't be deleted: protected in the state, kept when it leaves the program, guarded by AWS."""
    log_days: int = 90
    """How long CloudWatch keeps logs."""
    alarm_topic: str | None = None
    """ARN of the SNS topic that alarms notify; None: alarms show in CloudWatch alone."""
    boundary: str | None = None
    """ARN of the permissions boundary of every role; None: roles have none."""

    def arn(self, service: str, resource: str) -> str:
        """The ARN of something in this account and region."""
        return f"arn:{self.partition.name}:{service}:{self.region}:{self.account}:{resource}"

    def provided(self, service: str, resource: str) -> str:
        """The ARN of something that AWS provides in every account, such as a managed policy."""
        return f"arn:{self.partition.name}:{service}::aws:{resource}"

    @property
    def partition(self) -> Partition:
        return partition_of(self.region)

    def data(self, parent: pulumi.Resource) -> pulumi.ResourceOptions:
        """Options of a resource that holds data."""
        return pulumi.ResourceOptions(parent=parent, protect=self.protect, retain_on_delete=self.protect)

    def short(self, name: str, most: int) -> str:
        """``PREFIX-NAME``, cut to ``most`` characters with a hash of the whole where it is longer."""
        whole = f"{self.prefix}-{name}"
        if len(whole) <= most:
            return whole
        return f"{whole[: most - 9].rstrip('-')}-{hashlib.sha256(whole.encode()).hexdigest()[:8]}"

    @property
    def alarm_actions(self) -> list[str]:
        return [self.alarm_topic] if self.alarm_topic else []


def prefix(project: str, stack: str) -> str:
    """What names of a stack begin with, in the letters that every service of AWS takes."""
    return re.sub(r"[^a-z0-9]+", "-", f"{project}-{stack}".lower()).strip("-")


def model_tags(model: Model, version: int | None = None) -> dict[str, str]:
    """Tags that say whose a resource is. Without a version: of all the model's releases."""
    tags = {"model-delivery/model": model.name}
    if version is not None:
        tags["model-delivery/version"] = str(version)
    if model.owner:
        tags["model-delivery/owner"] = model.owner
    if model.risk_class:
        tags["model-delivery/riskClass"] = model.risk_class
    return tags
