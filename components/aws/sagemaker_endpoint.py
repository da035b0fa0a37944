"""A model's endpoint on SageMaker: production variants with weights, and a shadow variant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from components.aws.artifacts import CAPTURE
from components.aws.iam import Granted, allow, document, granted, trust
from components.aws.sagemaker_variants import (
    Variant,
    first_instances,
    guard_alarms,
    variant_alarms,
    variants_of,
)
from components.aws.scaling import ScalingArgs, scale
from components.aws.scope import Scope, model_tags
from components.aws.serving import Serving
from components.endpoint import ModelEndpoint
from components.environment import Model
from components.environment.aws import SageMaker
from components.environment.aws_services import sagemaker_instance
from components.release import Release
from components.traffic import Share, minimum_replicas, shares

_STARTUP_SECONDS = 600
_GUARD = "model-delivery/guard"
"""The tag of a configuration that says which fleet the alarms of its update watch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SageMakerEndpointArgs:
    """What an endpoint's instances run."""

    serving: Serving
    settings: SageMaker


class SageMakerEndpoint(ModelEndpoint):
    """One model on SageMaker, called as ``sagemaker:InvokeEndpoint`` with the caller's own IAM rights.

    Weights are part of an endpoint's configuration, and a configuration can't change: every promotion makes
    a new one and moves the endpoint to it in place. SageMaker starts the new fleet beside the old one and
    shifts when it is in service, so a share never moves to instances that aren't there. Configurations that
    the endpoint has left are kept: one that an endpoint has gone back to must be there.

    With ``auto_rollback`` an alarm on the new fleet within the minutes after the shift brings the old fleet
    back, and the update fails; alarms of the old fleet don't, so a bad release can be left. SageMaker guards
    an update only if the names of the variants stay, so there always are two then: while no canary is
    declared, the canary variant runs the stable version, unasked, on one instance.

    Only the stable variant scales, and starts each new fleet at its largest: SageMaker forgets what the
    autoscaler had reached. A canary or shadow has its share of the most for as long as it is there: SageMaker
    may refuse to let go of a variant that is registered for scaling.
    """

    def __init__(
        self,
        model: Model,
        scope: Scope,
        args: SageMakerEndpointArgs,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("delivery:aws:SageMakerEndpoint", model.name, None, opts)
        self._model, self._scope, self._args = model, scope, args
        self._child = pulumi.ResourceOptions(parent=self)
        instance = sagemaker_instance(model.resources)
        if instance is None:
            raise ValueError(f"no SageMaker instance has what {model.name} asks: {model.resources}")
        self._instance = instance
        # An interface: callers name it.
        self._endpoint_name = scope.short(model.name, 63)
        split = shares(model)
        releases = [self._release(share) for share in split]
        role = self._role()
        models = {
            share.version: self._release_model(share, release, role)
            for share, release in zip(split, releases, strict=True)
        }
        variants = variants_of(split, guarded=args.settings.auto_rollback)
        alarms = [
            alarm
            for variant in variants
            for alarm in variant_alarms(model, scope, self._endpoint_name, variant, self._child)
        ]
        configuration = self._configuration(variants, models)
        guards = [
            guard
            for variant in (variants if args.settings.auto_rollback else ())
            for guard in guard_alarms(model, self._endpoint_name, configuration.name, variant, self._child)
        ]
        endpoint = self._endpoint(configuration, alarms, guards)
        stable = variants[0]
        if model.autoscaling.min != model.autoscaling.max:
            scale(
                f"{model.name}-{stable.name}",
                ScalingArgs(
                    model=model,
                    endpoint=self._endpoint_name,
                    variant=stable.name,
                    cores=instance.cores,
                    least=minimum_replicas(model, stable.share),
                ),
                pulumi.ResourceOptions(parent=self, depends_on=[endpoint]),
            )
        url = pulumi.Output.all(endpoint.endpoint_config_name, configuration.name).apply(
            lambda names: self._url(*names)
        )
        self.outputs = pulumi.Output.from_input(
            {
                "url": url,
                "releases": [
                    {"version": s.version, "digest": r.digest, "weight": s.weight, "shadow": s.shadow}
                    for s, r in zip(split, releases, strict=True)
                ],
            }
        )
        self.register_outputs({})

    def _url(self, has: str | None, wanted: str | None) -> str:
        """Where callers ask, once the endpoint has the configuration that it was moved to.

        The provider takes an update that SageMaker has rolled back for done (terraform-provider-aws#46663,
        #48997). Raises RunError then, which stops the update before anything of the old fleet is removed.
        """
        name = self._endpoint_name
        if has != wanted:
            raise pulumi.RunError(
                f"the endpoint {name} has gone back to its old configuration, {has}: an alarm rang, or the"
                f" new instances of {wanted} did not come into service. It serves what it served before."
                f" `aws sagemaker describe-endpoint --endpoint-name {name}` tells the reason. To try again,"
                " run `pulumi up` again; to stay, put the old lines back into the file and run it"
            )
        host = f"runtime.sagemaker.{self._scope.region}.{self._scope.partition.dns_suffix}"
        return f"https://{host}/endpoints/{name}/invocations"

    def _release(self, share: Share) -> Release:
        name = f"{self._model.name}-v{share.version}"
        of = self._args.serving
        return Release(name, self._model, share.version, of.registry, self._child, flavors=of.flavors)

    def _role(self) -> Granted:
        scope, args, name = self._scope, self._args, self._model.name
        logs = scope.arn("logs", f"log-group:/aws/sagemaker/Endpoints/{self._endpoint_name}")
        statements = [
            *args.serving.artifacts.may_read(),
            allow(
                ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"),
                [args.serving.repository_arn],
            ),
            # These two have no narrower resource.
            allow(("ecr:GetAuthorizationToken",), ["*"]),
            allow(
                ("cloudwatch:PutMetricData",),
                ["*"],
                {"StringEquals": {"cloudwatch:namespace": "/aws/sagemaker/Endpoints"}},
            ),
            allow(("logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"), [f"{logs}:*"]),
        ]
        if args.settings.auto_rollback:
            statements.append(allow(("cloudwatch:DescribeAlarms",), [scope.arn("cloudwatch", "alarm:*")]))
        if args.settings.capture_percent:
            statements += args.serving.artifacts.may_keep(f"{CAPTURE}/{name}")
        return granted(
            name,
            scope,
            trust("sagemaker.amazonaws.com"),
            self._child,
            document(*statements),
            tags=model_tags(self._model),
        )

    def _release_model(self, share: Share, release: Release, role: Granted) -> aws.sagemaker.Model:
        name = f"{self._model.name}-v{share.version}"
        return aws.sagemaker.Model(
            name,
            execution_role_arn=role.arn,
            # The container has no network at all; SageMaker brings it artifact and requests.
            enable_network_isolation=True,
            primary_container={
                "image": self._args.serving.image,
                "mode": "SingleModel",
                "model_data_source": {
                    "s3_data_sources": [
                        {
                            # A prefix: without the slash also what only begins alike would be taken.
                            "s3_uri": pulumi.Output.concat(
                                self._args.serving.artifacts.s3_uri(release.source), "/"
                            ),
                            "s3_data_type": "S3Prefix",
                            "compression_type": "None",
                        }
                    ]
                },
                "environment": {
                    "SERVING_MODEL": self._model.name,
                    "SERVING_VERSION": str(share.version),
                    "SERVING_DIGEST": release.digest,
                    "SERVING_ARTIFACT": "/opt/ml/model",
                    "SERVING_HOST": "0.0.0.0",  # noqa: S104 - inside the container
                    "SERVING_PORT": "8080",
                    **self._model.server_variables,
                },
            },
            tags=model_tags(self._model, share.version),
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(role.ready)),
        )

    def _configuration(
        self, variants: Sequence[Variant], models: Mapping[int, aws.sagemaker.Model]
    ) -> aws.sagemaker.EndpointConfiguration:
        def settings(shadow: bool) -> Any:
            return [
                {
                    "variant_name": variant.name,
                    "model_name": models[variant.share.version].name,
                    "instance_type": self._instance.name,
                    "initial_instance_count": first_instances(variant.share, self._model.autoscaling.max),
                    "initial_variant_weight": variant.weight,
                    "container_startup_health_check_timeout_in_seconds": _STARTUP_SECONDS,
                    "model_data_download_timeout_in_seconds": _STARTUP_SECONDS,
                }
                for variant in variants
                if variant.share.shadow == shadow
            ]

        guard = {_GUARD: "new-fleet"} if self._args.settings.auto_rollback else {}
        percent = self._args.settings.capture_percent
        capture: Any = None
        if percent:
            capture = {
                "enable_capture": True,
                "initial_sampling_percentage": percent,
                "destination_s3_uri": f"s3://{self._args.serving.artifacts.bucket}/{CAPTURE}/{self._model.name}",
                "kms_key_id": self._args.serving.key_arn,
                "capture_options": [{"capture_mode": "Input"}, {"capture_mode": "Output"}],
                "capture_content_type_header": {"json_content_types": ["application/json"]},
            }
        return aws.sagemaker.EndpointConfiguration(
            self._model.name,
            production_variants=settings(shadow=False),
            shadow_production_variants=settings(shadow=True) or None,
            data_capture_config=capture,
            # Instances with disks of their own encrypt these themselves and take no key.
            kms_key_arn=None if self._model.resources.gpu else self._args.serving.key_arn,
            tags={**model_tags(self._model), **guard},
            opts=pulumi.ResourceOptions(
                parent=self,
                retain_on_delete=True,
                # SageMaker takes another guard with another configuration alone (API_UpdateEndpoint.html).
                replace_on_changes=[f'tags["{_GUARD}"]'],
            ),
        )

    def _endpoint(
        self,
        configuration: aws.sagemaker.EndpointConfiguration,
        alarms: Sequence[aws.cloudwatch.MetricAlarm],
        guards: Sequence[aws.cloudwatch.MetricAlarm],
    ) -> aws.sagemaker.Endpoint:
        deployment: Any = None
        if guards:
            deployment = {
                "blue_green_update_policy": {
                    "traffic_routing_configuration": {
                        "type": "ALL_AT_ONCE",
                        # How long the alarms are watched before the old fleet goes.
                        "wait_interval_in_seconds": 300,
                    },
                    "termination_wait_in_seconds": 60,
                    "maximum_execution_timeout_in_seconds": 3600,
                },
                "auto_rollback_configuration": {"alarms": [{"alarm_name": guard.name} for guard in guards]},
            }
        logs = aws.cloudwatch.LogGroup(
            self._model.name,
            name=f"/aws/sagemaker/Endpoints/{self._endpoint_name}",
            retention_in_days=self._scope.log_days,
            kms_key_id=self._args.serving.key_arn,
            tags=model_tags(self._model),
            opts=self._child,
        )
        return aws.sagemaker.Endpoint(
            self._model.name,
            name=self._endpoint_name,
            endpoint_config_name=configuration.name,
            deployment_config=deployment,
            tags=model_tags(self._model),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[logs, *alarms]),
        )
