"""A model's managed online endpoint on Azure Machine Learning: a deployment for each release."""

from __future__ import annotations

import pulumi
from pulumi_azure_native import machinelearningservices as ml
from pulumi_azure_native import resources

from components.azure import bodies
from components.azure.bodies import PORT, Names
from components.endpoint import ModelEndpoint
from components.environment import Model
from components.environment.azure import azure_instance
from components.release import Release
from components.traffic import Share, shares

_REQUESTS_AT_ONCE = 64
"""Requests that an instance is given at once: Azure's own default is one."""


class AzureMlEndpoint(ModelEndpoint):
    """One model on Azure ML.

    The traffic map is a property of the endpoint, and names deployments, which are the endpoint's children:
    it can't be said when the endpoint is made. So the endpoint is made without, and once all deployments are
    there an ARM template puts it again, whole, with its map. A promotion changes that template alone; what
    later changes of the endpoint goes by it too, for an update without the map would empty the map.

    A release that goes is deleted after the map has left it. When the endpoint goes, its deployments go with
    it: Azure deletes none that has traffic.
    """

    def __init__(
        self,
        model: Model,
        names: Names,
        environment: pulumi.Resource,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """``environment`` is the one that ``names`` tells of."""
        super().__init__("delivery:azure:AzureMlEndpoint", model.name, None, opts)
        instance = azure_instance(model.resources)
        if instance is None:
            raise ValueError(f"no instance of Azure ML has what {model.name} asks: {model.resources}")
        self._instance = instance
        self._model, self._names, self._environment = model, names, environment
        self._child = pulumi.ResourceOptions(parent=self)
        settings = names.settings
        split = shares(model)
        endpoint = self._endpoint()
        releases = [
            Release(
                f"{model.name}-v{s.version}",
                model,
                s.version,
                settings.registry,
                self._child,
                flavors=settings.image_flavors,
            )
            for s in split
        ]
        deployments = [
            self._deployment(share, release, endpoint) for share, release in zip(split, releases, strict=True)
        ]
        resources.Deployment(
            f"{model.name}-traffic",
            deployment_name=f"{names.endpoint(model.name)}-traffic",
            resource_group_name=settings.resource_group,
            properties=resources.DeploymentPropertiesArgs(
                mode=resources.DeploymentMode.INCREMENTAL, template=bodies.template(names, model, split)
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=deployments),
        )
        self.outputs = pulumi.Output.from_input(
            {
                "url": names.url(model.name),
                "releases": [
                    {"version": s.version, "digest": r.digest, "weight": s.weight, "shadow": s.shadow}
                    for s, r in zip(split, releases, strict=True)
                ],
            }
        )
        self.register_outputs({})

    def _endpoint(self) -> ml.OnlineEndpoint:
        settings, names = self._names.settings, self._names
        body = bodies.endpoint_properties(settings)
        return ml.OnlineEndpoint(
            self._model.name,
            endpoint_name=names.endpoint(self._model.name),
            resource_group_name=settings.resource_group,
            workspace_name=settings.workspace,
            location=settings.region,
            tags=bodies.tags(names, self._model),
            identity={"type": ml.ManagedServiceIdentityType.SYSTEM_ASSIGNED},
            properties={
                "auth_mode": body["authMode"],
                "public_network_access": body["publicNetworkAccess"],
            },
            opts=pulumi.ResourceOptions(
                parent=self,
                ignore_changes=["identity", "properties", "tags"],
                # Its name is an address that can't be had twice.
                delete_before_replace=True,
            ),
        )

    def _deployment(self, share: Share, release: Release, endpoint: ml.OnlineEndpoint) -> ml.OnlineDeployment:
        model, names, settings = self._model, self._names, self._names.settings
        source = release.source.apply(bodies.fetchable)
        variables = bodies.variables(names, model, share, self._instance.cores, release.digest, source)
        return ml.OnlineDeployment(
            f"{model.name}-v{share.version}",
            deployment_name=bodies.deployment_name(share.version),
            endpoint_name=endpoint.name,
            resource_group_name=settings.resource_group,
            workspace_name=settings.workspace,
            location=settings.region,
            tags=bodies.tags(names, model, share.version),
            # As many whatever its share is: weights move at once, and no instance starts or stops for it.
            sku={"name": "Default", "capacity": model.autoscaling.min},
            properties=ml.ManagedOnlineDeploymentArgs(
                endpoint_compute_type="Managed",
                environment_id=names.environment_id,
                environment_variables=variables,
                instance_type=self._instance.name,
                request_settings=ml.OnlineRequestSettingsArgs(
                    max_concurrent_requests_per_instance=_REQUESTS_AT_ONCE,
                    request_timeout=f"PT{model.seconds}S",
                ),
                scale_settings=ml.DefaultScaleSettingsArgs(scale_type="Default"),
                # The artifact is fetched and loaded before the first answer.
                startup_probe=ml.ProbeSettingsArgs(period="PT10S", timeout="PT2S", failure_threshold=60),
                readiness_probe=ml.ProbeSettingsArgs(period="PT5S", timeout="PT2S", failure_threshold=3),
                # Azure documents no order of the probes, and deployments failed because of a liveness probe
                # that began before their server was up (azureml-examples#3983).
                liveness_probe=ml.ProbeSettingsArgs(
                    initial_delay="PT600S", period="PT10S", timeout="PT2S", failure_threshold=3
                ),
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self._environment], deleted_with=endpoint),
        )


def serving_environment(names: Names, opts: pulumi.ResourceOptions) -> ml.EnvironmentVersion:
    """The version of the workspace's environment that holds the servers' image.

    It stays when its declaration goes: a workspace keeps the versions of an asset.
    """
    settings = names.settings
    return ml.EnvironmentVersion(
        "serving",
        name=names.environment,
        version=names.environment_version,
        resource_group_name=settings.resource_group,
        workspace_name=settings.workspace,
        properties={
            "image": settings.image,
            "os_type": "Linux",
            "inference_config": {
                "startup_route": {"path": "/v2/health/live", "port": PORT},
                "liveness_route": {"path": "/v2/health/live", "port": PORT},
                "readiness_route": {"path": "/v2/health/ready", "port": PORT},
                # All paths below it are the server's.
                "scoring_route": {"path": "/", "port": PORT},
            },
        },
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(retain_on_delete=True)),
    )
