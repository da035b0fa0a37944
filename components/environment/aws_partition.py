"""AWS' partitions: the regions of GovCloud and of China have other ARNs and other host names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """A group of regions with accounts of its own."""

    name: str
    """The second part of its ARNs, such as ``aws-us-gov``."""
    dns_suffix: str
    """What its host names end with."""
    endpoints: frozenset[str] = frozenset()
    """The services whose VPC endpoints begin with its reversed suffix instead of ``com.amazonaws``."""

    def endpoint(self, region: str, service: str) -> str:
        """Return the name of a service for a VPC endpoint, such as ``com.amazonaws.eu-central-1.sts``."""
        prefix = (
            ".".join(reversed(self.dns_suffix.split("."))) if service in self.endpoints else "com.amazonaws"
        )
        return f"{prefix}.{region}.{service}"


_COMMERCIAL: Final = Partition(name="aws", dns_suffix="amazonaws.com")
_BY_PREFIX: Final = {
    "cn-": Partition(
        name="aws-cn",
        dns_suffix="amazonaws.com.cn",
        # aws-cdk-lib, aws-ec2/lib/vpc-endpoint.ts (of those that are declared here).
        endpoints=frozenset({"autoscaling", "ec2", "ecr.api", "ecr.dkr", "eks", "sts"}),
    ),
    "us-gov-": Partition(name="aws-us-gov", dns_suffix="amazonaws.com"),
}


def partition_of(region: str) -> Partition:
    """Return the partition that a region is in."""
    return next((found for prefix, found in _BY_PREFIX.items() if region.startswith(prefix)), _COMMERCIAL)
