"""What comes first when a resource is replaced: the new one, or the end of the old one.

The engine makes the new one first and then ends the old one. Providers ask for the other order where a name
is fixed, but ``pulumi up --replace`` and ``pulumi state taint`` don't ask the provider
(``pkg/resource/deploy/step_generator.go``, ``diff`` and ``isTargetedReplace``). So the program says it.

docs/decisions/0023-what-is-replaced.md has the rule, ``tests/plan/identities.py`` what is known of each type.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pulumi

TAKEN_OVER: Final = frozenset(
    {
        "aws:appautoscaling/target:Target",
        "aws:autoscaling/tag:Tag",
        "aws:cloudwatch/metricAlarm:MetricAlarm",  # one with a name of ours
        "aws:ec2/route:Route",
        "aws:ecr/lifecyclePolicy:LifecyclePolicy",
        "aws:ecr/repositoryPolicy:RepositoryPolicy",
        "aws:eks/accessPolicyAssociation:AccessPolicyAssociation",
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        "aws:lambda/provisionedConcurrencyConfig:ProvisionedConcurrencyConfig",
        "aws:lb/targetGroupAttachment:TargetGroupAttachment",
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
        "aws:s3/bucketPolicy:BucketPolicy",
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        "aws:s3/bucketVersioning:BucketVersioning",
        "gcp:artifactregistry/repositoryIamMember:RepositoryIamMember",
        "gcp:cloudrunv2/serviceIamMember:ServiceIamMember",
        "gcp:kms/cryptoKeyIAMMember:CryptoKeyIAMMember",
        "gcp:logging/projectBucketConfig:ProjectBucketConfig",
        "gcp:projects/iAMMember:IAMMember",
        "gcp:servicenetworking/connection:Connection",
        "gcp:sql/user:User",
        "gcp:storage/bucketIAMMember:BucketIAMMember",
    }
)
"""Types whose creation succeeds where the same thing exists already: it is the one that exists. The deletion
of the old resource would then end the new one, and the update would report success."""

_ALARM: Final = "aws:cloudwatch/metricAlarm:MetricAlarm"

NAMED_ALIKE: Final = frozenset({"aws:apigatewayv2/api:Api", "aws:apigatewayv2/vpcLink:VpcLink"})
"""Types that are found by an id of their own and may share a name. Their provider ends the old one first
because a name is given, which isn't needed: callers would find nothing meanwhile."""


def in_order(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
    """Return a resource's options with the order of its replacement, where this module knows better than the
    engine and the provider."""
    taken_over = args.type_ in TAKEN_OVER and not _named_by_pulumi(args.type_, args.props)
    if not taken_over and args.type_ not in NAMED_ALIKE:
        return None
    order = pulumi.ResourceOptions(delete_before_replace=taken_over)
    return pulumi.ResourceTransformationResult(args.props, pulumi.ResourceOptions.merge(args.opts, order))


def _named_by_pulumi(type_: str, properties: Mapping[str, object]) -> bool:
    """Whether each creation has another name: then the new one isn't the old one."""
    return type_ == _ALARM and properties.get("name") is None
