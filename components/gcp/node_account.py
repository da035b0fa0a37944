"""Who the nodes are."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_gcp as gcp

from components.gcp.scope import Scope, shortened


class NodeAccount(pulumi.ComponentResource):
    """Who the nodes of every pool are: they write logs and metrics and pull images. Pods' rights come by
    Workload Identity, never from the node."""

    email: pulumi.Output[str]
    ready: Sequence[pulumi.Resource]

    def __init__(
        self,
        name: str,
        scope: Scope,
        repository: tuple[pulumi.Input[str], str, pulumi.Input[str]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """``repository``: project, location and name of the one that has the model server's image."""
        super().__init__("delivery:gcp:NodeAccount", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        account = gcp.serviceaccount.Account(
            name,
            # Not PREFIX-NAME: so the accounts of models are called, and a model may be called `nodes`.
            account_id=shortened(f"gke-{scope.prefix}", 30),
            display_name=f"Nodes of {scope.prefix}",
            opts=child,
        )
        self.email = account.email
        project, location, repository_name = repository
        self.ready = (
            gcp.projects.IAMMember(
                name,
                project=scope.project,
                role="roles/container.defaultNodeServiceAccount",
                member=account.member,
                opts=child,
            ),
            gcp.artifactregistry.RepositoryIamMember(
                name,
                project=project,
                location=location,
                repository=repository_name,
                role="roles/artifactregistry.reader",
                member=account.member,
                opts=child,
            ),
        )
        self.register_outputs({})
