"""The artifacts bucket: models as they were registered, and captured requests."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import pulumi
import pulumi_aws as aws

from components.aws.iam import Statement, allow
from components.aws.scope import Scope

MODELS = "mlflow"
CAPTURE = "capture"
CAPTURE_DAYS = 90


class Artifacts(pulumi.ComponentResource):
    """A versioned bucket, encrypted with the platform's key, not public, reached by TLS alone.

    What is captured of requests goes after 90 days; a model stays, and what replaces or deletes it is a
    new version in front of it.
    """

    bucket: str
    """The bucket's name: an interface, as it stands in the URI of every artifact."""

    def __init__(
        self, name: str, scope: Scope, key_arn: pulumi.Input[str], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("delivery:aws:Artifacts", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.bucket = scope.short(f"artifacts-{scope.account}", 63)
        self.arn = f"arn:{scope.partition.name}:s3:::{self.bucket}"
        self._key_arn = key_arn
        bucket = aws.s3.Bucket(name, bucket=self.bucket, force_destroy=False, opts=scope.data(self))
        aws.s3.BucketOwnershipControls(
            name, bucket=bucket.id, rule={"object_ownership": "BucketOwnerEnforced"}, opts=child
        )
        aws.s3.BucketPublicAccessBlock(
            name,
            bucket=bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=child,
        )
        versioning = aws.s3.BucketVersioning(
            name, bucket=bucket.id, versioning_configuration={"status": "Enabled"}, opts=child
        )
        aws.s3.BucketServerSideEncryptionConfiguration(
            name,
            bucket=bucket.id,
            rules=[
                {
                    "apply_server_side_encryption_by_default": {
                        "sse_algorithm": "aws:kms",
                        "kms_master_key_id": key_arn,
                    },
                    "bucket_key_enabled": True,
                }
            ],
            opts=child,
        )
        aws.s3.BucketPolicy(name, bucket=bucket.id, policy=json.dumps(_tls_only(self.arn)), opts=child)
        aws.s3.BucketLifecycleConfiguration(
            name,
            bucket=bucket.id,
            rules=[
                {
                    "id": "captured-requests",
                    "status": "Enabled",
                    "filter": {"prefix": f"{CAPTURE}/"},
                    "expiration": {"days": CAPTURE_DAYS},
                    "noncurrent_version_expiration": {"noncurrent_days": 1},
                },
                {
                    "id": "unfinished-uploads",
                    "status": "Enabled",
                    "filter": {"prefix": ""},
                    "abort_incomplete_multipart_upload": {"days_after_initiation": 7},
                },
            ],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[versioning]),
        )
        self.register_outputs({"bucket": self.bucket})

    @property
    def models_uri(self) -> str:
        """Where MLflow keeps artifacts."""
        return f"s3://{self.bucket}/{MODELS}"

    def s3_uri(self, source: pulumi.Input[str]) -> pulumi.Output[str]:
        """Where an artifact is in S3, of which the registry may say that MLflow hands it out itself."""
        return pulumi.Output.from_input(source).apply(lambda uri: located(uri, self.models_uri))

    def may_read(self) -> tuple[Statement, ...]:
        """What a model server needs to fetch its artifact."""
        listed = {"StringLike": {"s3:prefix": [f"{MODELS}/*"]}}
        return (
            allow(("s3:ListBucket",), [self.arn], listed),
            allow(("s3:GetObject",), [f"{self.arn}/{MODELS}/*"]),
            allow(("kms:Decrypt",), [self._key_arn]),
        )

    def may_keep(self, prefix: str) -> tuple[Statement, ...]:
        """What it takes to write below a prefix. Nothing is deleted."""
        return (
            allow(("s3:PutObject", "s3:AbortMultipartUpload"), [f"{self.arn}/{prefix}/*"]),
            allow(("kms:GenerateDataKey",), [self._key_arn]),
        )


def located(uri: str, root: str) -> str:
    """The folder in S3 of an artifact's URI: ``s3://…`` as it is, ``mlflow-artifacts:/…`` below ``root``.

    Raises RunError for any other: who has no MLflow to ask can't fetch it.
    """
    parts = urlsplit(uri)
    if parts.scheme == "s3":
        return uri.rstrip("/")
    if parts.scheme == "mlflow-artifacts":
        return f"{root}/{parts.path.strip('/')}"
    raise pulumi.RunError(
        f"the artifact {uri} is not in S3, and Lambda and SageMaker fetch from S3 alone. "
        f"Register the model with an MLflow whose artifacts are in {root}"
    )


def _tls_only(arn: str) -> dict[str, object]:
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}
