"""The image registry: one repository of Artifact Registry, for the images of the model server and MLflow."""

from __future__ import annotations

import pulumi
import pulumi_gcp as gcp

from components.gcp.key import Key
from components.gcp.scope import Scope
from components.image import Destination

_UNTAGGED = f"{14 * 86_400}s"


class Registry(pulumi.ComponentResource):
    """A repository whose tags can't be moved, scanned on each push and encrypted with the platform's key.

    Only images that no tag names are ever removed by Google, 14 days after their push. A tag can't be moved
    to another image here, so an image that was pushed with a tag keeps it, and a digest in use stays.
    """

    repository_url: str
    """Where images are pushed: ``REGION-docker.pkg.dev/PROJECT/PREFIX/serving``."""

    def __init__(self, name: str, scope: Scope, key: Key, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("delivery:gcp:Registry", name, None, opts)
        self.repository = gcp.artifactregistry.Repository(
            name,
            repository_id=scope.short("images", 63),
            location=scope.region,
            format="DOCKER",
            docker_config={"immutable_tags": True},
            kms_key_name=key.name,
            vulnerability_scanning_config={"enablement_config": "INHERITED"},
            cleanup_policy_dry_run=False,
            cleanup_policies=[
                {
                    "id": "untagged",
                    "action": "DELETE",
                    "condition": {"tag_state": "UNTAGGED", "older_than": _UNTAGGED},
                },
                # What is kept wins over what is deleted.
                {"id": "tagged", "action": "KEEP", "condition": {"tag_state": "TAGGED"}},
            ],
            opts=pulumi.ResourceOptions.merge(
                scope.data(self), pulumi.ResourceOptions(depends_on=list(key.ready))
            ),
        )
        host = f"{scope.region}-docker.pkg.dev"
        self.repository_url = f"{host}/{scope.project}/{scope.short('images', 63)}/serving"
        self.register_outputs({"repositoryUrl": self.repository_url})

    def destination(self) -> Destination:
        """Where an image is pushed. The login is Docker's own: ``gcloud auth configure-docker HOST``."""
        return Destination(repository=self.repository_url)

    def tracking(self) -> Destination:
        """Where MLflow's image is pushed, beside the model server's."""
        return Destination(repository=f"{self.repository_url.removesuffix('/serving')}/mlflow")


def repository(image: str) -> tuple[str, str, str]:
    """Project, location and name of the repository that an image is in."""
    host, project, name, *_ = image.partition("@")[0].split("/")
    return project, host.removesuffix("-docker.pkg.dev"), name
