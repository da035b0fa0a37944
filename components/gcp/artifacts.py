"""The artifacts bucket: models as they were registered."""

from __future__ import annotations

from urllib.parse import urlsplit

import pulumi
import pulumi_gcp as gcp

from components.gcp.key import Key
from components.gcp.scope import Scope

MODELS = "mlflow"


class Artifacts(pulumi.ComponentResource):
    """A versioned bucket, encrypted with the platform's key, that can't be made public.

    A model stays, and what replaces or deletes it is a new version in front of it.
    """

    bucket: str
    """The bucket's name: an interface, as it stands in the URI of every artifact."""

    def __init__(self, name: str, scope: Scope, key: Key, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("delivery:gcp:Artifacts", name, None, opts)
        self.bucket = scope.short(f"artifacts-{scope.number}", 63)
        self.resource = gcp.storage.Bucket(
            name,
            name=self.bucket,
            location=scope.region,
            storage_class="STANDARD",
            uniform_bucket_level_access=True,
            public_access_prevention="enforced",
            versioning={"enabled": True},
            encryption={"default_kms_key_name": key.name},
            force_destroy=False,
            lifecycle_rules=[{"action": {"type": "AbortIncompleteMultipartUpload"}, "condition": {"age": 7}}],
            opts=pulumi.ResourceOptions.merge(
                scope.data(self), pulumi.ResourceOptions(depends_on=list(key.ready))
            ),
        )
        self.register_outputs({"bucket": self.bucket})

    @property
    def models_uri(self) -> str:
        """Where MLflow keeps artifacts."""
        return f"gs://{self.bucket}/{MODELS}"

    def gs_uri(self, source: pulumi.Input[str]) -> pulumi.Output[str]:
        """Where an artifact is in the bucket, of which the registry may say that MLflow hands it out."""
        return pulumi.Output.from_input(source).apply(lambda uri: located(uri, self.models_uri))

    def grant(
        self, name: str, member: pulumi.Input[str], role: str, opts: pulumi.ResourceOptions
    ) -> gcp.storage.BucketIAMMember:
        """Let a member read (``roles/storage.objectViewer``) or add (``roles/storage.objectCreator``)."""
        return gcp.storage.BucketIAMMember(
            name, bucket=self.resource.name, role=role, member=member, opts=opts
        )


def located(uri: str, root: str) -> str:
    """The folder in the bucket of an artifact's URI: ``gs://…`` as it is, ``mlflow-artifacts:/…`` below
    ``root``.

    Raises RunError for any other: who has no MLflow to ask can't fetch it.
    """
    parts = urlsplit(uri)
    if parts.scheme == "gs":
        return uri.rstrip("/")
    if parts.scheme == "mlflow-artifacts":
        return f"{root}/{parts.path.strip('/')}"
    raise pulumi.RunError(
        f"the artifact {uri} is not in Cloud Storage, and Cloud Run fetches from there alone. "
        f"Register the model with an MLflow whose artifacts are in {root}"
    )
