"""The platform's key: one KMS key for its logs, secrets, images, database and artifacts."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from components.aws.iam import allow, document
from components.aws.scope import Scope

USE = (
    "kms:Encrypt",
    "kms:Decrypt",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:DescribeKey",
)
_MANAGE = (
    "kms:CancelKeyDeletion",
    "kms:CreateAlias",
    "kms:CreateGrant",
    "kms:DeleteAlias",
    "kms:DisableKey",
    "kms:DisableKeyRotation",
    "kms:EnableKey",
    "kms:EnableKeyRotation",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListAliases",
    "kms:ListGrants",
    "kms:ListKeyPolicies",
    "kms:ListResourceTags",
    "kms:PutKeyPolicy",
    "kms:RevokeGrant",
    "kms:RotateKeyOnDemand",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
)


class Key(pulumi.ComponentResource):
    """A KMS key, rotated every year.

    Its policy leaves it to IAM who in the account may use it, and lets CloudWatch Logs encrypt the
    account's log groups. A deleted key is data lost: in protected settings it can't be removed, else it
    waits for 30 days.
    """

    arn: pulumi.Output[str]

    def __init__(self, name: str, scope: Scope, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("delivery:aws:Key", name, None, opts)
        root = {"AWS": f"arn:{scope.partition.name}:iam::{scope.account}:root"}
        logs = {"Service": f"logs.{scope.region}.{scope.partition.dns_suffix}"}
        groups = {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": scope.arn("logs", "log-group:*")}}
        # In a key's policy the resource "*" is the key itself.
        policy = document(
            allow((*_MANAGE, *USE), ["*"], principal=root),
            allow(USE, ["*"], groups, logs),
        )
        key = aws.kms.Key(
            name,
            description=f"Data of {scope.prefix}",
            enable_key_rotation=True,
            deletion_window_in_days=30,
            policy=policy,
            opts=scope.data(self),
        )
        aws.kms.Alias(
            name,
            name=f"alias/{scope.prefix}",
            target_key_id=key.key_id,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.arn = key.arn
        self.register_outputs({"arn": self.arn})
