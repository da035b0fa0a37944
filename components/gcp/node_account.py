"""Who the nodes are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
        repositories: Mapping[str, tuple[pulumi.Input[str], str, pulumi.Input[str]]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """``repositories``: project, location and name of each that has an image which pods run, by the name
        of the right to pull from it."""
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
        self.ready = (
            gcp.projects.IAMMember(
                name,
                project=scope.project,
                role="roles/container.defaultNodeServiceAccount",
                member=account.member,
                opts=child,
            ),
            *(
                gcp.artifactregistry.RepositoryIamMember(
                    right,
                    project=project,
                    location=location,
                    repository=repository,
                    role="roles/artifactregistry.reader",
                    member=account.member,
                    opts=child,
                )
                for right, (project, location, repository) in repositories.items()
            ),
        )
        self.register_outputs({})
