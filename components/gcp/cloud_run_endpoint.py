"""A model's endpoint on Cloud Run: a service for each release, and the load balancer that splits traffic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_gcp as gcp

from components.endpoint import ModelEndpoint
from components.environment import Flavor, Model
from components.environment.gcp_services import Container, cloud_run_container
from components.gcp.alarms import alarm_on_errors
from components.gcp.artifacts import Artifacts
from components.gcp.front import Front
from components.gcp.key import Key
from components.gcp.load_balancer import Backend, backend, balance
from components.gcp.scope import Scope, model_labels, shortened
from components.gcp.settled import settled
from components.release import Release
from components.traffic import Share, minimum_replicas, shares

_PORT = 8080
_ARTIFACT = "/tmp/model"  # noqa: S108 - a container's own memory


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudRunEndpointArgs:
    """What an endpoint's services run and stand behind."""

    image: pulumi.Input[str]
    """The model server's image, with its digest."""
    flavors: Sequence[Flavor] | None
    """What the image serves; None: all that the model server serves."""
    registry: str
    """The tracking URI at which the model's versions are looked up."""
    artifacts: Artifacts
    key: Key
    front: Front
    invokers: tuple[str, ...]
    """IAM members that may call the model; nobody else may."""


class CloudRunEndpoint(ModelEndpoint):
    """One model on Cloud Run.

    A service splits traffic over its revisions, and has one template: the program that declares version 4's
    revision can't declare version 3's too, only remember its name. So each release is a service of its own,
    and the split is the weights of a load balancer's URL map. A promotion changes that map.

    The map depends on every service and on who may call it, so a release can answer before it is asked and is
    asked no more when it goes. Services answer the load balancer alone, and check each caller's token, whose
    audience is the model's URL: the same for both releases.
    """

    def __init__(
        self,
        model: Model,
        scope: Scope,
        args: CloudRunEndpointArgs,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("delivery:gcp:CloudRunEndpoint", model.name, None, opts)
        container = cloud_run_container(model.resources)
        if container is None:
            raise ValueError(f"no instance of Cloud Run has what {model.name} asks: {model.resources}")
        self._container: Container = container
        self._model, self._scope, self._args = model, scope, args
        self._child = pulumi.ResourceOptions(parent=self)
        split = shares(model)
        account, rights = self._account()
        releases = [
            Release(
                self._named(share),
                model,
                share.version,
                args.registry,
                self._child,
                flavors=args.flavors,
            )
            for share in split
        ]
        backends = [
            self._backend(share, self._service(share, release, account, rights))
            for share, release in zip(split, releases, strict=True)
        ]
        balance(model, backends, args.front, scope, self._child)
        self.outputs = pulumi.Output.from_input(
            {
                "url": args.front.url(model.name),
                "releases": [
                    {"version": s.version, "digest": r.digest, "weight": s.weight, "shadow": s.shadow}
                    for s, r in zip(split, releases, strict=True)
                ],
            }
        )
        self.register_outputs({})

    def _named(self, share: Share) -> str:
        return f"{self._model.name}-v{share.version}"

    def _account(self) -> tuple[gcp.serviceaccount.Account, Sequence[pulumi.Resource]]:
        """Who the model's servers are: they may read artifacts, nothing else."""
        name, scope = self._model.name, self._scope
        account = gcp.serviceaccount.Account(
            name,
            account_id=scope.short(name, 30),
            display_name=f"{name} on Cloud Run, {scope.prefix}",
            opts=self._child,
        )
        read = self._args.artifacts.grant(name, account.member, "roles/storage.objectViewer", self._child)
        # A server that can't fetch its artifact ends, and its release with it.
        return account, settled(f"{name}-rights", scope, [read], account.email, self._child)

    def _service(
        self,
        share: Share,
        release: Release,
        account: gcp.serviceaccount.Account,
        rights: Sequence[pulumi.Resource],
    ) -> gcp.cloudrunv2.Service:
        model, scope, args = self._model, self._scope, self._args
        name = self._named(share)
        labels = model_labels(model, share.version)
        url = args.front.url(model.name)
        template: Any = {
            "service_account": account.email,
            "encryption_key": args.key.name,
            "execution_environment": "EXECUTION_ENVIRONMENT_GEN2",
            "timeout": f"{model.seconds}s",
            "labels": labels,
            # Every release may take all that the model may: whatever the weights are, they can move at once.
            "scaling": {"max_instance_count": model.autoscaling.max},
            "containers": [self._server(share, release)],
        }
        if self._container.gpu:
            template |= {
                "node_selector": {"accelerator": "nvidia-l4"},
                "gpu_zonal_redundancy_disabled": True,
            }
        return gcp.cloudrunv2.Service(
            name,
            name=shortened(f"{scope.prefix}-{name}", 49),
            location=scope.region,
            ingress="INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER",
            default_uri_disabled=True,
            invoker_iam_disabled=False,
            custom_audiences=[url],
            deletion_protection=False,
            labels=labels,
            # Of the service, not of the template: a share that moves makes no new revision.
            scaling={"min_instance_count": minimum_replicas(model, share)},
            template=template,
            traffics=[{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100}],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*rights, *args.key.ready]),
        )

    def _server(self, share: Share, release: Release) -> dict[str, Any]:
        container = self._container
        limits = {"cpu": str(container.cpu), "memory": f"{container.mebibytes}Mi"}
        if container.gpu:
            limits["nvidia.com/gpu"] = str(container.gpu)
        variables: dict[str, pulumi.Input[str]] = {
            "SERVING_MODEL": self._model.name,
            "SERVING_VERSION": str(share.version),
            "SERVING_DIGEST": release.digest,
            "SERVING_SOURCE": self._args.artifacts.gs_uri(release.source),
            "SERVING_ARTIFACT": _ARTIFACT,
            "SERVING_HOST": "0.0.0.0",  # noqa: S104
            "SERVING_PORT": str(_PORT),
            "SERVING_THREADS": str(container.cpu),
            # Cloud Run kills after 10 seconds.
            "SERVING_GRACE": "9",
            **self._model.server_variables,
        }
        return {
            "image": self._args.image,
            "ports": {"container_port": _PORT},
            "resources": {
                "limits": limits,
                # A core only while there are requests; with a GPU Cloud Run has no such thing.
                "cpu_idle": not container.gpu,
                "startup_cpu_boost": True,
            },
            "envs": [{"name": key, "value": value} for key, value in variables.items()],
            "startup_probe": {
                "http_get": {"path": "/v2/health/ready", "port": _PORT},
                "period_seconds": 5,
                "timeout_seconds": 2,
                # Cloud Run waits for 4 minutes at most.
                "failure_threshold": 48,
            },
            "liveness_probe": {
                "http_get": {"path": "/v2/health/live", "port": _PORT},
                "period_seconds": 10,
                "timeout_seconds": 2,
                "failure_threshold": 3,
            },
        }

    def _backend(self, share: Share, service: gcp.cloudrunv2.Service) -> Backend:
        name, scope = self._named(share), self._scope
        callers = [
            gcp.cloudrunv2.ServiceIamMember(
                f"{name}-{member.replace(':', '-')}",
                project=scope.project,
                location=scope.region,
                name=service.name,
                role="roles/run.invoker",
                member=member,
                opts=self._child,
            )
            for member in self._args.invokers
        ]
        alarm_on_errors(name, service, scope, self._child)
        return Backend(
            share=share,
            service=backend(name, share, service, scope, self._child),
            # Else its share of the requests would be refused (403) until they are in effect.
            ready=[service, *settled(f"{name}-callers", scope, callers, service.name, self._child)],
        )
