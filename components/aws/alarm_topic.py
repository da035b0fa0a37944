"""The SNS topic that is told of alarms and alerts: what it takes to publish to it."""

from __future__ import annotations

from components.aws.iam import Statement, allow


def may_publish(topic_arn: str) -> tuple[Statement, ...]:
    """What whoever publishes to one topic needs, and to no other.

    SNS asks KMS in the publisher's name where the topic is encrypted with a key of one's own, and its key's
    policy must allow the account's roles (docs.aws.amazon.com/sns/latest/dg/sns-key-management.html, read on
    28 November 2026). Which key it is can change, so the right is bound to the topic instead.
    """
    _, partition, _, region, account, _ = topic_arn.split(":")
    return (
        allow(("sns:Publish",), [topic_arn]),
        allow(
            ("kms:Decrypt", "kms:GenerateDataKey"),
            [f"arn:{partition}:kms:{region}:{account}:key/*"],
            {"StringEquals": {"kms:EncryptionContext:aws:sns:topicArn": topic_arn}},
        ),
    )
