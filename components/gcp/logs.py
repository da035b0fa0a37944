"""Where the logs of a platform are kept, and for how long."""

from __future__ import annotations

import pulumi
import pulumi_gcp as gcp

from components.gcp.scope import Scope


class Logs(pulumi.ComponentResource):
    """A log bucket in the region, and the sink that brings the logs of this stack's cluster and services."""

    def __init__(
        self,
        name: str,
        scope: Scope,
        cluster: str,
        days: int,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """``cluster``: its name. ``days``: how long a line is kept."""
        super().__init__("delivery:gcp:Logs", name, None, opts)
        bucket_id = scope.short("logs", 100)
        bucket = gcp.logging.ProjectBucketConfig(
            name,
            project=scope.project,
            location=scope.region,
            bucket_id=bucket_id,
            retention_days=days,
            description=f"Logs of {scope.prefix}",
            opts=scope.data(self),
        )
        gcp.logging.ProjectSink(
            name,
            project=scope.project,
            destination=(
                f"logging.googleapis.com/projects/{scope.project}/locations/{scope.region}/buckets/{bucket_id}"
            ),
            filter=(
                f'resource.labels.cluster_name="{cluster}"'
                f' OR (resource.type="cloud_run_revision" AND resource.labels.service_name:"{scope.prefix}-")'
            ),
            unique_writer_identity=True,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[bucket]),
        )
        self.register_outputs({})
