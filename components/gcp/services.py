"""Google's services: each must be switched on in a project before anything of it can be declared."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_gcp as gcp

from components.gcp.scope import Scope

_ALWAYS = (
    "artifactregistry",
    "cloudkms",
    # Rights in a project are its affair, and each service is read through it too.
    "cloudresourcemanager",
    "compute",
    "container",
    "containerscanning",
    "dns",
    "iam",
    "logging",
    "monitoring",
    "run",
    "secretmanager",
    "servicenetworking",
    "sqladmin",
    "storage",
)
# They have no agent before somebody asks for it; it must be there before it is given rights. (Compute
# Engine's comes with the service.)
_WITH_AGENT = ("artifactregistry", "container", "run", "secretmanager", "sqladmin")


class Services(pulumi.ComponentResource):
    """The services that a platform is made of, and their agents.

    What is switched on stays on when the platform goes: others in the project may use it.
    """

    ready: Sequence[pulumi.Resource]
    """What everything else waits for."""
    storage_agent: pulumi.Output[str]
    """The IAM member by which Cloud Storage acts in the project: it comes to be by being asked for."""

    def __init__(self, name: str, scope: Scope, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("delivery:gcp:Services", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        services = {
            service: gcp.projects.Service(
                f"{name}-{service}",
                project=scope.project,
                service=f"{service}.googleapis.com",
                disable_on_destroy=False,
                opts=child,
            )
            for service in _ALWAYS
        }
        agents = [
            gcp.projects.ServiceIdentity(
                f"{name}-{service}",
                project=scope.project,
                service=f"{service}.googleapis.com",
                opts=pulumi.ResourceOptions(parent=self, depends_on=[services[service]]),
            )
            for service in _WITH_AGENT
        ]
        self.ready = (*services.values(), *agents)
        storage = gcp.storage.get_project_service_account_output(
            project=scope.project,
            opts=pulumi.InvokeOutputOptions(parent=self, depends_on=[services["storage"]]),
        )
        self.storage_agent = storage.member
        self.register_outputs({})
